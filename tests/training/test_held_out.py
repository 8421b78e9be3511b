"""A held-out family is predicted by packs that know nothing of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from latlint.latency.packs import read_pack, write_pack
from latlint.training import held_out
from latlint.training.build import build
from latlint.training.design import Design
from latlint.training.held_out import hold_out, predicted_ms
from latlint.training.measurements import KernelTime, Measurements, Series

pytestmark = pytest.mark.slow


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Three models of two families on one target; a prediction is a digit for each model, 1 where the packs know it."""
    series = Series("toy", "gpu", "float32", np.array([1e6, 2e6, 4e6]), np.zeros(3))
    measurements = Measurements(("a1", "b", "a2"), ("a", "b", "a"), (series,), {}, {})

    def digits(design: Any, packs: Any, series: Series, model: int) -> float:
        return float("".join(str(int(known)) for known in packs)) + model / 10

    monkeypatch.setattr(held_out, "build", lambda design, models: models)
    monkeypatch.setattr(held_out, "predicted_ms", digits)
    return SimpleNamespace(measurements=measurements)


def test_each_family_is_predicted_by_packs_built_without_it(toy: Any) -> None:
    done: list[str] = []
    found = hold_out(toy, progress=done.append)
    assert found.predicted_ms["toy/gpu", "float32"].tolist() == [10.0, 101.1, 10.2]
    assert done == ["a", "b"]


def test_models_of_families_that_were_not_held_out_have_no_prediction(toy: Any) -> None:
    found = hold_out(toy, ["b"])
    np.testing.assert_array_equal(found.predicted_ms["toy/gpu", "float32"], [np.nan, 101.1, np.nan])


def falsified(design: Design, out: Any) -> Design:
    """``design`` with every time of the models in ``out`` a thousand times longer."""
    measured = design.measurements
    longer = np.where(out, 1000.0, 1.0)
    names = {model for model, falsify in zip(measured.models, out, strict=True) if falsify}
    kernels = {
        device: {
            model: tuple(
                KernelTime(k.implementation, k.linked, k.time_ns * (1000 if model in names else 1)) for k in each
            )
            for model, each in models.items()
        }
        for device, models in measured.kernels.items()
    }
    series = tuple(replace(each, mean_ns=each.mean_ns * longer) for each in measured.series)
    rows = replace(design.rows, time_ns=design.rows.time_ns * longer[design.rows.model][:, None])
    return replace(design, measurements=replace(measured, kernels=kernels, series=series), rows=rows)


def test_what_is_built_without_a_family_does_not_depend_on_its_times(design: Design) -> None:
    out = np.array([family == "mobilenetv2" for family in design.measurements.families])
    honest, lied_to = build(design, ~out), build(falsified(design, out), ~out)
    for device, pack in honest.items():
        assert pack.card == lied_to[device].card
        for name, array in pack.arrays.items():
            np.testing.assert_array_equal(array, lied_to[device].arrays[name], err_msg=f"{device} {name}")


def test_a_built_pack_predicts_the_same_when_it_is_read_again(design: Design, tmp_path: Path) -> None:
    out = np.array([family == "squeezenet" for family in design.measurements.families])
    packs = build(design, ~out)
    for pack in packs.values():
        write_pack(pack, tmp_path / pack.device)
    again = {device: read_pack(tmp_path / device) for device in packs}
    errors = []
    for each in design.measurements.series:
        for model in np.flatnonzero(out):
            predicted = predicted_ms(design, packs, each, int(model))
            assert predicted == predicted_ms(design, again, each, int(model))
            errors.append(predicted / (each.mean_ns[model] * 1e-6) - 1)
    assert np.median(np.abs(errors)) < 0.25  # 21 models of three families know squeezenets this well
