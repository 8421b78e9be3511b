"""The pictures of the HTML pages: ``python docs/images/remake.py DIRECTORY``. Needs Chromium, and Pillow and pypdfium2 beside what the tests need.

They show the small models of ``tests/models``. ``DIRECTORY`` has the model files for the pictures of many.
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

import pypdfium2
from PIL import Image
from playwright.sync_api import sync_playwright

from latlint.api import Run
from latlint.difference import between_files, html
from latlint.report import render
from latlint.report.plain import Style
from latlint.settings import Settings

COLOURS = 48
#: Grey between two pictures, in pixels; a phone; pixels of a sheet for each of its points; the sides of a sheet.
GAP, PHONE, SHEET = 16, (390, 844), 0.9
SIDES = ("top", "right", "bottom", "left")

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


def beside(shots: list[Image.Image]) -> Image.Image:
    """The pictures next to each other, on grey."""
    whole = Image.new(
        "RGB", (sum(each.width + GAP for each in shots) - GAP, max(each.height for each in shots)), "#999"
    )
    left = 0
    for each in shots:
        whole.paste(each, (left, 0))
        left += each.width + GAP
    return whole


def save(name: str, *shots: Image.Image) -> None:
    few(beside([*shots])).save(HERE / f"{name}.png", optimize=True)


@contextmanager
def cameras() -> Iterator[tuple[Callable[..., Image.Image], Callable[[str], list[Image.Image]]]]:
    """``screen(page, (width, height), at, scheme)`` is the part of a page that begins at the element ``at``; ``paper(page)`` are the sheets that a printer
    gets of it."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"))

        def opened(text: str, size: tuple[int, int] = (1280, 900), scheme: str = "light") -> Any:
            Path("page.html").write_text(text, encoding="utf-8")
            page = browser.new_page(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme)
            page.goto(Path("page.html").resolve().as_uri())
            return page

        def screen(text: str, size: tuple[int, int], at: str = "", scheme: str = "light") -> Image.Image:
            page = opened(text, size, scheme)
            if at:
                page.locator(f"#{at}").evaluate("each => each.scrollIntoView()")
            return Image.open(io.BytesIO(page.screenshot())).convert("RGB")

        def paper(text: str) -> list[Image.Image]:
            sheets = pypdfium2.PdfDocument(opened(text).pdf(format="A4", margin=dict.fromkeys(SIDES, "12mm")))
            return [sheet.render(scale=SHEET).to_pil().convert("RGB") for sheet in sheets]

        yield screen, paper
        browser.close()


def main(many: str) -> None:
    others = [str(path) for path in sorted(Path(many).resolve().rglob("*.tflite"))[:60]]
    with TemporaryDirectory() as scratch, cameras() as (screen, paper):
        os.chdir(scratch)
        for name in (*SIX, "mobilenet_v2.onnx"):
            Path(name).write_bytes(gzip.decompress((MODELS / f"{name}.gz").read_bytes()))
        one, six, sixty = report(["resnet18.onnx"]), report([*SIX]), report(others)
        both = Settings(targets=("pixel-4/gpu", "pixel-4/cpu-1large"))
        changed = html.diff(between_files("mobilenet_v2.onnx", "mobilenet_v2.tflite", both), Style())
        save("one", screen(one, (1280, 640)))
        save("six", screen(six, (1280, 1280)))
        save("sixty", screen(sixty, (1280, 860), "matrix"))
        save("timeline-dark", screen(six, (1280, 1180), "picker", "dark"))
        save("phone", screen(one, PHONE), screen(six, PHONE, "matrix"), screen(sixty, PHONE, "matrix"))
        save("paper", *(sheet for text in (one, six, sixty) for sheet in paper(text)[1:2]))
        save("difference", screen(changed, (1280, 1060)))
        for name, text in (("one", one), ("six", six), ("sixty", sixty)):
            print(f"{name}: {len(text) / 1e6:.2f} MB, {len(paper(text))} sheets of paper")


if __name__ == "__main__":
    main(sys.argv[1])
