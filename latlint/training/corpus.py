"""The model files that were measured, from their archives: weights zeroed, so that they unpack to files full of holes."""

from __future__ import annotations

import os
import shutil
import tarfile
import tempfile
from pathlib import Path

import zstandard

_BLOCK = 1 << 16


def unpacked(archives: Path) -> Path:
    """A directory with the contents of every ``*.tar.zst`` in ``archives``, such as ``tflite_fp32/``.

    ``LATLINT_CORPUS`` may name one that is unpacked already. Else it is unpacked once into the temporary directory and kept there,
    under a name made of the archives' sizes, so that new archives are unpacked anew. Raises FileNotFoundError without archives.
    """
    if named := os.environ.get("LATLINT_CORPUS"):
        return Path(named)
    found = sorted(archives.glob("*.tar.zst"))
    if not found:
        raise FileNotFoundError(f"{archives}: no *.tar.zst here")
    key = "-".join(str(archive.stat().st_size) for archive in found)
    target = Path(tempfile.gettempdir()) / f"latlint-corpus-{key}"
    if not target.is_dir():
        scratch = Path(tempfile.mkdtemp(prefix="latlint-corpus-", dir=target.parent))
        for archive in found:
            _unpack(archive, scratch)
        try:
            scratch.rename(target)
        except OSError:  # another process was faster
            shutil.rmtree(scratch)
    return target


def _unpack(archive: Path, target: Path) -> None:
    """Unpack, leaving runs of zeros as holes: 5.5 GB of zeroed weights then take a tenth of that."""
    with (
        archive.open("rb") as packed,
        zstandard.ZstdDecompressor().stream_reader(packed) as stream,
        tarfile.open(fileobj=stream, mode="r|") as members,
    ):
        for member in members:
            path = target / member.name
            if not path.resolve().is_relative_to(target.resolve()):
                raise ValueError(f"{archive}: {member.name} leaves the directory")
            source = members.extractfile(member)
            if source is None:
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            with source, path.open("wb") as out:
                while block := source.read(_BLOCK):
                    if block.count(0) == len(block):
                        out.seek(len(block), os.SEEK_CUR)
                    else:
                        out.write(block)
                out.truncate()
