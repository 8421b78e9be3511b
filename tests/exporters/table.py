"""What latlint makes of the models here, one row each: ``python tests/exporters/table.py`` brings docs/exporters.md up to date."""

from __future__ import annotations

import gzip
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "exporters.md"
if __name__ == "__main__":
    sys.path.insert(0, str(HERE.parents[1]))

from latlint.api import check, predict_files  # noqa: E402
from latlint.settings import Settings  # noqa: E402

TARGETS = ("pixel-4/cpu-1large", "pixel-4/gpu")
#: The files with open sizes, at the sizes that their twins have.
SHAPES = {
    "keras_dynamic_size.tflite": "serving_default_input_1:0=1x128x128x3",
    "torch_legacy_dynamic_size.onnx": "image=1x3x128x128",
}


#: The rows of the table in PAGE.
ROWS = re.compile(r"^\| `\w+\.(?:tflite|onnx)` \|.*\|$", re.MULTILINE)


def names() -> list[str]:
    return sorted(path.stem for path in HERE.glob("*.gz"))


def unpacked(name: str, directory: Path) -> Path:
    path = directory / name
    path.write_bytes(gzip.decompress((HERE / f"{name}.gz").read_bytes()))
    return path


def row(name: str, directory: Path) -> str:
    """Kernels that run, partitions, coverage to the ten percent below, and codes of findings, on a GPU and on a CPU."""
    path = str(unpacked(name, directory))
    shapes = [SHAPES[name]] if name in SHAPES else []
    settings = Settings(root=directory, targets=TARGETS).with_flags(shapes=shapes)
    findings = check([path], settings).findings
    cells = [f"`{name}`"]
    for prediction in reversed(predict_files([path], settings).predictions):
        codes = sorted({each.code for each in findings if each.target == prediction.target})
        running = sum(kernel.source != "free" for kernel in prediction.kernels)
        cells += [
            f"{running} in {len(prediction.partitions)}",
            f"{int(prediction.coverage * 10) * 10} %",
            " ".join(codes) or "none",
        ]
    return f"| {' | '.join(cells)} |"


def rows() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as directory:
        for name in names():
            yield row(name, Path(directory))


if __name__ == "__main__":
    text = PAGE.read_text(encoding="utf-8")
    start, *_, end = (place for match in ROWS.finditer(text) for place in match.span())
    PAGE.write_text(text[:start] + "\n".join(rows()) + text[end:], encoding="utf-8")
