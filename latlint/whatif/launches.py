"""The kernels that a plan launches, each with all that two plans can differ in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from latlint.latency.types import KernelPrediction, Prediction
from latlint.words import short_name

if TYPE_CHECKING:
    from latlint.runtime.types import Plan

_PARAMETERS = ("kernel", "stride", "dilation", "groups")


@dataclass(frozen=True, slots=True)
class Launch:
    """A kernel that a runtime launches for a model: its time, where it runs (``executor``), the shapes of the main input and output
    as the kernel gets them (NHWC for 4-D), and what else of ``parameters`` (kernel, stride, dilation, groups) shapes its work."""

    kernel: KernelPrediction
    executor: str
    input: tuple[int, ...]
    output: tuple[int, ...]
    dtype: str
    parameters: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The name of the node that the kernel is named for; empty where there is none in the file."""
        return short_name(self.kernel.nodes[0]) if self.kernel.nodes else ""


def launches(prediction: Prediction, plan: Plan) -> list[Launch]:
    """The kernels that are launched; ops that cost nothing come and go without a difference."""
    return [
        Launch(
            kernel=known,
            executor=plan.partitions[kernel.partition].executor if plan.partitions else "",
            input=kernel.inputs[0] if kernel.inputs else (),
            output=kernel.outputs[0] if kernel.outputs else (),
            dtype=kernel.input_dtype,
            parameters={key: kernel.attributes[key] for key in _PARAMETERS if key in kernel.attributes},
        )
        for kernel, known in zip(plan.kernels, prediction.kernels, strict=True)
        if not kernel.free
    ]


def dims(value: Any) -> str:
    """``1x56x56x64``; of anything that is not a tuple, its text."""
    if isinstance(value, tuple):
        return "x".join(str(each).replace(" ", "") for each in value)
    return "" if value is None else str(value)
