"""XNNPACK on phones and boards: derived from their packs, near what is published, and said to be derived."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import latlint
from latlint.data import data_dir
from latlint.latency.packs import read_pack
from latlint.run.targets import resolve_targets
from latlint.settings import Settings
from latlint.training import derived
from tests.targets import PHONES, bundled, phones

BENCHMARK = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "litert.py"))


@pytest.mark.parametrize("device", PHONES)
def test_the_bundled_pack_follows_from_the_phones(device: str) -> None:
    bundled = data_dir("predictors")
    built, known = derived.pack(read_pack(bundled / device)), read_pack(bundled / f"{device}-xnnpack")
    assert built.arrays.keys() == known.arrays.keys()
    for name, array in built.arrays.items():
        np.testing.assert_allclose(array, known.arrays[name], rtol=1e-6)


def test_every_core_configuration_has_both_runtimes() -> None:
    wanted = {f"{name}@xnnpack" for name, target in phones().items() if target.host}
    assert len(wanted) == 42 and wanted <= bundled().keys()


@pytest.fixture(scope="module")
def published(corpus: Path) -> list[Any]:
    """What ``benchmarks/litert.py`` holds against XNNPACK's README."""
    found: list[Any] = BENCHMARK["anchored"](corpus)
    return found


def test_published_times_are_met(published: list[Any]) -> None:
    assert BENCHMARK["off_published"](published) == []
    for each in published:
        widths = derived.BOARD_INTERVALS if "raspberry" in each.published.target else derived.INTERVALS
        off = np.abs(np.log(each.ratios))
        assert (off[:4] < widths["float32"]).all() and (off[4:] < widths["int8"]).all(), each.published.name


def test_the_page_shows_how_far_off_they_are(published: list[Any]) -> None:
    assert f"<!-- litert: published -->\n{BENCHMARK['table'](published)}<!-- end -->" in BENCHMARK["PAGE"].read_text(
        "utf-8"
    )


def test_a_figure_that_is_far_off_is_said(published: list[Any]) -> None:
    far = published[-1]._replace(ratios=(1.3, 1.3, 1.3, 1.0, 1.0, 1.3))
    (said,) = BENCHMARK["off_published"]([*published[:-1], far])
    assert said.startswith("Raspberry Pi 4, 32 bit: median 30.0% off")


@pytest.mark.parametrize("name", ["raspberry-pi-2", "raspberry-pi-4"])
def test_a_board_is_as_much_slower_as_two_figures_let_expect(name: str, published: list[Any]) -> None:
    (each,) = (each for each in published if each.published.target.startswith(name) and each.published.sets)
    assert np.exp(np.log(each.ratios[: each.published.sets]).mean()) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("name", derived.BOARDS)
def test_the_bundled_pack_of_a_board_follows_from_the_core_beside_it(name: str) -> None:
    packs = data_dir("predictors")
    built, known = derived.board(name, read_pack(packs / "galaxy-a03s-xnnpack")), read_pack(packs / name)
    np.testing.assert_allclose(built.arrays["cpu-4@xnnpack/theta"], known.arrays["cpu-4@xnnpack/theta"])
    for key in built.card.keys() - {"schema", "sha256", "arrays"}:
        assert built.card[key] == known.card[key], key
    assert "set nothing" in known.card["method"] and known.card["method"].startswith("derived")


def test_all_of_it_is_derived_and_the_interval_is_what_the_card_says(corpus: Path) -> None:
    for precision, width in (("fp32", 0.24), ("int8", 0.4)):
        path = corpus / f"tflite_{precision}" / "mobilenet_w1.tflite"
        (found,) = latlint.predict(path, "pixel-4/cpu-1large@xnnpack")
        assert {kernel.source for kernel in found.kernels} <= {"derived", "free"}
        assert found.high_ms is not None
        assert np.log(found.high_ms / found.latency_ms) == pytest.approx(width)


def test_int8_is_faster_than_float32(corpus: Path) -> None:
    for target in (name for name in bundled() if name.endswith("@xnnpack") and name.partition("/")[0] in PHONES):
        whole, quantised = (
            latlint.predict(corpus / directory / "mobilenetv2_w1.tflite", target)[0].latency_ms
            for directory in ("tflite_fp32", "tflite_int8")
        )
        assert quantised < whole, target


def test_a_run_on_built_in_kernels_names_the_other_runtime_once() -> None:
    _, notes = resolve_targets(Settings(targets=("pixel-4/cpu-1large", "pixel-4/cpu-1med")))
    assert [note for note in notes if "pixel-4/cpu-1large@xnnpack and 1 more" in note] == list(notes)
    assert len(notes) == 1
    for names in (
        ("raspberry-pi-4/cpu-4", "raspberry-pi-5/cpu-4"),
        ("pixel-4/gpu",),
        ("pixel-4/cpu-1large", "pixel-4/cpu-1large@xnnpack"),
    ):
        assert resolve_targets(Settings(targets=names))[1] == ()
