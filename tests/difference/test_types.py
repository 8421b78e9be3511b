"""What the parts of a difference say of themselves, on and beside their boundaries; and the marks that texts put on them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from latlint.difference import markdown, text
from latlint.difference.types import Base, Difference, ModelChange
from latlint.latency.types import KernelPrediction, Prediction
from latlint.report.plain import Style
from latlint.whatif.change import KernelChange, TargetChange
from latlint.whatif.launches import Launch, dims
from tests.report.conftest import prediction

OLD = replace(prediction("m.tflite"), latency_ms=10.0, low_ms=9.0, high_ms=12.0, overhead_ms=1.0)


def taking(latency_ms: float, **fields: Any) -> Prediction:
    """The new model: its own interval is wide, which is not what a change is held against."""
    return replace(OLD, latency_ms=latency_ms, low_ms=0.1 * latency_ms, high_ms=10 * latency_ms, **fields)


def launch(
    latency_ms: float = 1.0, linked: tuple[str, ...] = (), op: str = "conv2d", name: str = "n", **fields: Any
) -> Launch:
    kernel = KernelPrediction(0, 0, (name,), op, linked, "convolution_2d", latency_ms, "predicted", 0, 0)
    given = {"executor": "gpu", "input": (1, 8, 8, 4), "output": (1, 8, 8, 4), "dtype": "float32", "parameters": {}}
    return Launch(kernel, **{**given, **fields})


@pytest.mark.parametrize(
    ("latency_ms", "within", "mark"),
    [(8.999, False, "🔽 "), (9.0, True, ""), (10.0, True, ""), (12.0, True, ""), (12.001, False, "🔺 ")],
)
def test_a_change_is_held_against_the_interval_of_the_old_model(latency_ms: float, within: bool, mark: str) -> None:
    change = TargetChange(OLD, taking(latency_ms))
    assert change.within_interval is within
    assert change.change_ms == pytest.approx(latency_ms - 10) and change.ratio == pytest.approx(latency_ms / 10)
    shown = Difference((ModelChange("m.tflite", "m.tflite", (change,)),), targets=("pixel-4/gpu",))
    row = next(line for line in markdown.diff(shown, Style()).splitlines() if line.startswith("| m.tflite"))
    moved = row.split(" | ")[4]
    assert [sign for sign in "🔺🔽" if sign in moved] == list(mark.strip())
    told = "within the 90% interval 9.0–12.0 ms" if within else "beyond the 90% interval 9.0–12.0 ms"
    assert (told in row) is (latency_ms != 10.0)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (1.0, 1.0, ""),
        (0.995, 1.0, ""),
        (0.9949, 1.0, "coverage 99% → 100%"),
        (1.0, 0.95, "coverage 100% → 95%"),
        (0.95, 0.95, "coverage 95%"),
    ],
)
def test_what_is_not_covered_before_or_after_is_said(old: float, new: float, told: str) -> None:
    change = TargetChange(replace(OLD, coverage=old), taking(10.0, coverage=new))
    assert text.remarks(change) == ([told] if told else [])


@pytest.mark.parametrize(
    ("old", "new", "change_ms", "ratio", "within", "overhead_ms"),
    [
        (OLD, taking(11.0, overhead_ms=1.5), 1.0, 1.1, True, 0.5),
        (OLD, None, None, None, None, None),
        (None, OLD, None, None, None, None),
        (replace(OLD, latency_ms=0.0), taking(11.0), 11.0, None, True, 0.0),
    ],
)
def test_a_model_that_is_new_or_gone_has_no_change(
    old: Prediction | None,
    new: Prediction | None,
    change_ms: float | None,
    ratio: float | None,
    within: bool | None,
    overhead_ms: float | None,
) -> None:
    change = TargetChange(old, new)
    found = change.change_ms, change.ratio, change.within_interval, change.overhead_change_ms
    assert found == pytest.approx((change_ms, ratio, within, overhead_ms))
    assert change.target == "pixel-4/gpu"


@pytest.mark.parametrize(
    ("old", "new", "kind", "what", "is_change"),
    [
        (None, launch(2.0), "added", (), True),
        (launch(2.0), None, "removed", (), True),
        (launch(), launch(name="other"), "changed", (), False),
        (launch(1.0), launch(1.0 + 1e-7), "changed", (), False),
        (launch(1.0), launch(1.0 + 3e-6), "changed", (), True),
        (launch(0.0), launch(0.0), "changed", (), False),
        (launch(), launch(dtype="int8"), "changed", ("float32 → int8",), True),
        (launch(), launch(executor="builtin"), "changed", ("gpu → builtin",), True),
        (launch(), launch(input=(1, 9, 8, 4)), "changed", ("in 1x8x8x4 → 1x9x8x4",), True),
        (launch(), launch(output=(1, 8, 8, 8)), "changed", ("out 1x8x8x4 → 1x8x8x8",), True),
        (launch(), launch(op="add"), "changed", ("conv2d → add",), True),
        (launch(parameters={"kernel": (3, 3)}), launch(), "changed", ("kernel 3x3 → ",), True),
        (launch(linked=("relu", "add")), launch(linked=("relu",)), "changed", ("no longer fused: add",), True),
        (launch(linked=("relu",)), launch(linked=("relu", "relu")), "changed", ("now fused: relu",), True),
        # the GPU has one word for what the CPU calls relu and relu6; on one processor they are two
        (launch(linked=("relu6",)), launch(linked=("relu",), executor="cpu"), "changed", ("gpu → cpu",), True),
        (
            launch(linked=("relu6",)),
            launch(linked=("relu",)),
            "changed",
            ("no longer fused: relu6", "now fused: relu"),
            True,
        ),
    ],
)
def test_what_is_different_about_a_kernel(
    old: Launch | None, new: Launch | None, kind: str, what: tuple[str, ...], is_change: bool
) -> None:
    change = KernelChange(old, new)
    assert (change.kind, change.what, change.is_change) == (kind, what, is_change)


def test_a_target_counts_what_became_of_its_kernels() -> None:
    winograd = launch()
    winograd = replace(winograd, kernel=winograd.kernel._replace(implementation="winograd"))
    kernels = (
        KernelChange(None, launch()),
        KernelChange(launch(), None),
        KernelChange(launch(linked=("relu",)), winograd),
        KernelChange(launch(), launch(linked=("add",))),
    )
    change = TargetChange(OLD, taking(9.5), kernels, 3)
    assert change.counts == {"added": 1, "removed": 1, "changed": 2}
    assert (change.fusions_lost, change.fusions_gained) == ({"relu": 1}, {"add": 1})
    assert change.implementations == {("convolution_2d", "winograd"): 1}


@pytest.mark.parametrize(
    ("old", "new", "renamed", "status"),
    [
        (None, OLD, False, "added"),
        (OLD, None, False, "removed"),
        (OLD, taking(10.0), False, "identical"),
        (OLD, taking(10.0, sha256="cd" * 32), False, "modified"),
        (OLD, taking(10.0), True, "renamed"),
        (OLD, taking(10.0, sha256="cd" * 32), True, "renamed"),
    ],
)
def test_the_status_of_a_model(old: Prediction | None, new: Prediction | None, renamed: bool, status: str) -> None:
    model = ModelChange("a.tflite", "b.tflite", (TargetChange(old, new),), renamed)
    assert model.status == status
    assert (model.before, model.after) == (old, new)
    shown = text.diff(Difference((model,), targets=("pixel-4/gpu",)), Style())
    assert (f"{status} · " in shown) is (status in ("added", "removed", "renamed"))


@pytest.mark.parametrize(
    ("value", "shown"), [((1, 56, 56, 64), "1x56x56x64"), (((0, 1), (2, 3)), "(0,1)x(2,3)"), (None, ""), (3, "3")]
)
def test_dimensions_as_text(value: Any, shown: str) -> None:
    assert dims(value) == shown


def test_without_a_change_the_base_is_named() -> None:
    assert text.diff(Difference((), Base("main", "a" * 40)), Style()) == "no model has changed since main\n"
    assert text.diff(Difference(()), Style()) == "no difference\n"
