"""XNNPACK on the phones: derived from their packs, near what is published, and said to be derived."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import latlint
from latlint.data import data_dir
from latlint.latency.packs import read_pack
from latlint.run.targets import resolve_targets
from latlint.settings import Settings
from latlint.training import derived
from tests.targets import PHONES, bundled, phones


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


@pytest.mark.parametrize("anchor", [*derived.ANCHORS, *derived.CHECKS])
def test_published_times_are_met(anchor: str, corpus: Path) -> None:
    target, clock, published = {**derived.ANCHORS, **derived.CHECKS}[anchor]
    for name, ms in zip(derived.NETWORKS, published, strict=True):
        (found,) = latlint.predict(corpus / "tflite_fp32" / f"{name}.tflite", f"{target}@xnnpack")
        assert found.latency_ms * clock == pytest.approx(ms, rel=0.15)
        assert found.low_ms * clock < ms < (found.high_ms or 0) * clock


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
    for names in (("pixel-4/gpu",), ("pixel-4/cpu-1large", "pixel-4/cpu-1large@xnnpack")):
        assert resolve_targets(Settings(targets=names))[1] == ()
