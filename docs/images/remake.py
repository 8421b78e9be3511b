"""The pictures of the HTML pages: ``python docs/images/remake.py [DIRECTORY]``. Needs Chromium, and Pillow beside what the tests need.

They show the small models of ``tests/models``. ``DIRECTORY`` has the model files for the picture of many; without one that picture stays.
"""

from __future__ import annotations

import gzip
import io
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

from latlint.api import Run
from latlint.difference import between_files, html
from latlint.report import render
from latlint.report.plain import Style
from latlint.settings import Settings

COLOURS = 48

HERE = Path(__file__).resolve().parent
MODELS = HERE.parent.parent / "tests" / "models"
SIX = (
    "mobilenet_v2.tflite",
    "mobilenet_v3_small.tflite",
    "one_gelu.tflite",
    "resnet18.onnx",
    "shufflenet_v2_05.tflite",
    "vit_tiny.onnx",
)
TARGETS = (
    "pixel-4/gpu",
    "pixel-4/cpu-1large",
    "pixel-4/cpu-1large@xnnpack",
    "galaxy-s10/gpu",
    "galaxy-s10/cpu-1large",
    "iphone-xs/gpu",
)


def report(models: list[str]) -> str:
    """The page of a check of some models."""
    settings = Settings(targets=TARGETS).with_flags(budgets=["20ms"])
    return render(Run.prepare(models, settings, judge=True, kernels=True).report(), "check", "html", Style())


def few(shot: Image.Image) -> Image.Image:
    """The picture in the colours that most of it has: those of areas stay what they are, and edges of letters take the nearest."""
    counts = sorted(shot.getcolors(shot.width * shot.height), reverse=True)
    palette = Image.new("P", (1, 1))
    palette.putpalette([part for _, colour in counts[:COLOURS] for part in colour])
    return shot.quantize(palette=palette, dither=Image.Dither.NONE)


@contextmanager
def pictures() -> Iterator[Callable[..., None]]:
    """``picture(name, page, width, height, at, scheme, media)`` takes the part of a page that begins at the element ``at``."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"))

        def picture(
            name: str, text: str, size: tuple[int, int], at: str = "", scheme: str = "light", media: str = "screen"
        ) -> None:
            Path("page.html").write_text(text, encoding="utf-8")
            page: Any = browser.new_page(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme)
            page.emulate_media(media=media)
            page.goto(Path("page.html").resolve().as_uri())
            if at:
                page.locator(f"#{at}").evaluate("each => each.scrollIntoView()")
            shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
            few(shot).save(HERE / f"{name}.png", optimize=True)
            page.close()

        yield picture
        browser.close()


def main(many: str | None) -> None:
    others = [str(path) for path in sorted(Path(many).resolve().rglob("*.tflite"))[:60]] if many else []
    with TemporaryDirectory() as scratch, pictures() as picture:
        os.chdir(scratch)
        for name in (*SIX, "mobilenet_v2.onnx"):
            Path(name).write_bytes(gzip.decompress((MODELS / f"{name}.gz").read_bytes()))
        one, six = report(["resnet18.onnx"]), report([*SIX])
        both = Settings(targets=("pixel-4/gpu", "pixel-4/cpu-1large"))
        changed = html.diff(between_files("mobilenet_v2.onnx", "mobilenet_v2.tflite", both), Style())
        picture("one", one, (1280, 640))
        picture("six", six, (1280, 1280))
        picture("timeline-dark", six, (1280, 1180), "picker", "dark")
        picture("phone", six, (390, 1000), "start")
        picture("paper", six, (794, 1000), media="print")
        picture("difference", changed, (1280, 1060))
        if others:
            picture("sixty", report(others), (1280, 860), "matrix")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)
