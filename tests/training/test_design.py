"""What is planned for the model files is what the phones measured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from latlint.latency.models.gpu import FEATURES, features
from latlint.runtime.types import Kernel, Partition, Plan
from latlint.training.design import CPU, GPU, Design, build, cpu_counts, listed
from latlint.training.measurements import Measurements


@pytest.mark.slow
def test_every_measured_kernel_is_a_planned_one(measurements: Measurements, corpus: Path) -> None:
    """``build`` compares names and order itself; here, that it leaves out and invents no time."""
    rows = build(measurements, corpus).rows
    for column, device in enumerate(measurements.devices):
        known = np.isfinite(rows.time_ns[:, column])
        for number, model in enumerate(measurements.models):
            if model not in measurements.kernels[device]:
                continue
            times = [kernel.time_ns for kernel in measurements.kernels[device][model]]
            here = rows.time_ns[known & (rows.model == number), column]
            assert sorted(here.tolist()) == sorted(times), (device, model)


def test_kernels_stand_beside_their_measured_names(design: Design) -> None:
    for device, works in design.gpu.items():
        for model, work in works.items():
            kernels = [work.plan.kernels[position] for position in listed(work.plan)]
            measured = design.measurements.kernels[device][model]
            assert [kernel.implementation for kernel in kernels] == [time.implementation for time in measured]


def test_what_the_measurements_list_is_in_the_order_of_the_ops() -> None:
    """A kernel may run later than its op stands in the model; free ops and elementwise ones are not listed."""
    kernels = (
        Kernel("conv2d", "convolution_2d", (4, 5), (), ()),
        Kernel("add", "add", (1,), (), ()),
        Kernel("concat", "none", (2,), (), (), free="its inputs are written in place"),
        Kernel("mean", "mean", (3,), (), ()),
        Kernel("concat", "concat", (0,), (), ()),
    )
    assert listed(Plan("r", "p", "float32", kernels, (Partition("gpu", 5),))) == [4, 3, 0]


@pytest.mark.parametrize(
    "change",
    [
        lambda times: times[1:],
        lambda times: (*times, times[0]),
        lambda times: (replace(times[0], implementation="pooling_2d"), *times[1:]),
        lambda times: (replace(times[0], linked=("tanh",)), *times[1:]),
    ],
    ids=["one fewer", "one more", "another kernel", "another link"],
)
def test_measured_kernels_that_are_not_planned_are_an_error(change: object, few: Measurements, corpus: Path) -> None:
    model = few.models[0]
    one = replace(few, models=few.models[:1], families=few.families[:1])
    assert len(build(one, corpus).rows.model) >= len(few.kernels["iphone-xs"][model])
    kernels = {device: dict(each) for device, each in few.kernels.items()}
    kernels["iphone-xs"][model] = change(kernels["iphone-xs"][model])  # type: ignore[operator]
    with pytest.raises(ValueError, match=f"{model} on iphone-xs: "):
        build(replace(one, kernels=kernels), corpus)


def test_rows_have_a_value_for_every_term(design: Design) -> None:
    rows = design.rows
    count = len(rows.model)
    assert rows.terms.shape == (count, len(GPU.names))
    assert rows.time_ns.shape == (count, 6)
    assert rows.classes.shape == (count,)
    assert np.isfinite(rows.terms).all() and np.all(rows.terms >= 0)
    assert np.isfinite(rows.time_ns).any(axis=1).all()
    assert set(rows.model) == set(range(len(design.measurements.models)))


def test_kernels_have_a_value_for_every_feature(design: Design) -> None:
    """Of the forests of earlier versions' packs."""
    plans = [work.plan for works in design.gpu.values() for work in works.values()]
    looked_at = np.array([features(plan.kernels[at]) for plan in plans for at in listed(plan)])
    assert looked_at.shape[1] == len(FEATURES) and np.isfinite(looked_at).all()


def test_phones_that_launch_the_same_kernel_share_its_row(design: Design) -> None:
    """Mali and PowerVR convolve with Winograd where Adreno does not: a row each, with times where they were measured."""
    winograd = design.rows.classes == "winograd"
    assert winograd.any()
    measured = dict(zip(design.gpu, np.isfinite(design.rows.time_ns[winograd]).any(axis=0), strict=True))
    assert not measured["pixel-4"] and measured["galaxy-s10"]
    depthwise = design.rows.time_ns[design.rows.classes == "depthwise"]
    assert np.isfinite(depthwise[:, :4]).all()


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_a_models_counts_are_those_of_its_kernels_and_one_model(precision: str, design: Design) -> None:
    models = design.measurements.models[:5]
    counts = cpu_counts(design, precision, models)
    kernels = "f32" if precision == "float32" else "i8"
    for row, model in enumerate(models):
        work = design.cpu[precision][model]
        found = dict(zip(CPU.names, counts[row], strict=True))
        assert found[f"{kernels}.model"] == 1
        assert found[f"{kernels}.call"] == sum(not kernel.free for kernel in work.plan.kernels)
        other = "i8" if precision == "float32" else "f32"
        assert not any(count for name, count in found.items() if name.startswith((f"{other}.conv", "xnn.")))
