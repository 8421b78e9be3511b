"""More work never takes less time: convolutions of random sizes, like those that were measured and unlike them, doubled.

Kernels are made by hand, so that doubling one changes nothing but its size: not its implementation, not its neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray
from sketch import sketch

from latlint.graph.types import Graph
from latlint.latency import engine
from latlint.latency.packs import Target
from latlint.runtime import plan
from latlint.runtime.types import Kernel, Partition, Plan
from tests.targets import PHONES, bundled, phones

Times = tuple[NDArray[np.float64], NDArray[np.bool_]]

COUNT = 150


@dataclass(frozen=True, slots=True)
class Convolution:
    """The size of one convolution; ``outputs`` and ``channels`` of a depthwise one are the same."""

    implementation: str
    side: int
    channels: int
    outputs: int
    kernel: int
    stride: int = 1
    groups: int = 1
    batch: int = 1
    rows: int = 1
    """How many times higher than wide."""

    def build(self, dtype: str) -> Kernel:
        depthwise = self.implementation.startswith("depthwise") or self.implementation == "dwconv"
        height, width = self.side * self.rows, self.side
        out = (self.batch, -(-height // self.stride), -(-width // self.stride), self.outputs)
        groups = self.channels if depthwise else self.groups
        weights = self.outputs * self.kernel**2 * (self.channels // groups)
        return Kernel(
            op="depthwise_conv2d" if depthwise else "conv2d",
            implementation=self.implementation,
            nodes=(0,),
            inputs=((self.batch, height, width, self.channels),),
            outputs=(out,),
            input_dtype=dtype,
            output_dtype=dtype,
            attributes={"kernel": (self.kernel,) * 2, "stride": (self.stride,) * 2, "groups": groups},
            macs=out[0] * out[1] * out[2] * weights,
            weight_bytes=4 * (weights + self.outputs),
        )


Change = Callable[[Convolution], Convolution]

#: Ways to double a convolution, or one dimension of it.
DOUBLED: dict[str, Change] = {
    "channels in": lambda c: replace(c, channels=2 * c.channels),
    "channels out": lambda c: replace(c, outputs=2 * c.outputs),
    "all channels": lambda c: replace(c, channels=2 * c.channels, outputs=2 * c.outputs),
    "rows": lambda c: replace(c, rows=2 * c.rows),
    "pixels": lambda c: replace(c, side=2 * c.side),
    "batch": lambda c: replace(c, batch=2 * c.batch),
}
CHANNELS_ALONE = frozenset({"channels in", "channels out"})

#: Implementation, kernel, stride, groups.
BUILTIN = (
    ("conv_ruy_1x1", 1, 1, 1),
    ("conv_ruy_im2col", 3, 1, 1),
    ("conv_ruy_im2col", 5, 2, 1),
    ("conv_grouped_reference", 3, 1, 8),
    ("depthwise_generic", 3, 1, 1),
    ("depthwise_generic", 5, 2, 1),
)
XNNPACK = (("gemm", 1, 1, 1), ("igemm", 3, 2, 1), ("dwconv", 3, 1, 1))
GPU = (
    ("convolution_2d", 1, 1, 1),
    ("convolution_2d", 3, 1, 1),
    ("convolution_2d", 3, 2, 1),
    ("convolution_winograd_4x4_6x6", 3, 1, 1),
    ("convolution_2d_grouped", 3, 1, 8),
    ("depthwise_convolution", 3, 1, 1),
    ("depthwise_convolution", 5, 2, 1),
    ("fully_connected", 1, 1, 1),
)


def samples(implementation: str, kernel: int, stride: int, groups: int) -> list[Convolution]:
    """Convolutions of all sizes, from one pixel to beyond what any phone was asked to run; always the same."""
    random = np.random.default_rng(7)
    found = []
    for _ in range(COUNT):
        side, channels, outputs = (int(2 ** random.uniform(0, high)) for high in (8, 11, 11))
        channels, outputs = -(-channels // groups) * groups, -(-outputs // groups) * groups
        if implementation.startswith("depthwise") or implementation == "dwconv":
            outputs = channels
        side = 1 if implementation == "fully_connected" else side
        found.append(Convolution(implementation, side, channels, outputs, kernel, stride, groups))
    return found


def changes(implementation: str) -> dict[str, Change]:
    depthwise = implementation.startswith("depthwise") or implementation == "dwconv"
    left_out = (CHANNELS_ALONE if depthwise else frozenset()) | (
        {"rows", "pixels"} if implementation == "fully_connected" else frozenset()
    )
    return {name: change for name, change in DOUBLED.items() if name not in left_out}


def work_of(convolutions: Iterable[Convolution], executor: str, dtype: str) -> engine.Workload:
    kernels = tuple(each.build(dtype) for each in convolutions)
    precision = "int8" if dtype == "int8" else "float32"
    return engine.workload(Plan("r", "p", precision, kernels, (Partition(executor, len(kernels)),)))


@cache
def priced(convolutions: tuple[Convolution, ...], executor: str, dtype: str) -> engine.Workload:
    return work_of(convolutions, executor, dtype)


@cache
def doubled(settings: tuple[str, int, int, int], executor: str, dtype: str) -> dict[str, engine.Workload]:
    """Workloads of the samples, as they are (``once``) and doubled in each way."""
    once = samples(*settings)
    works = {"once": priced(tuple(once), executor, dtype)}
    for name, change in changes(settings[0]).items():
        works[name] = priced(tuple(change(each) for each in once), executor, dtype)
    return works


def targets(kind: str) -> list[Target]:
    return [target for target in phones().values() if target.processor.kind == kind]


def times(work: engine.Workload, target: Target) -> Times:
    found = engine.times(work, target)
    return found.kernels, found.predicted


@pytest.mark.parametrize(
    ("settings", "executor", "dtype"),
    [(each, "builtin", dtype) for each in BUILTIN for dtype in ("float32", "int8")]
    + [(each, "xnnpack", "float32") for each in XNNPACK],
    ids=str,
)
def test_twice_the_work_takes_no_less_on_a_cpu(settings: tuple[str, int, int, int], executor: str, dtype: str) -> None:
    works = doubled(settings, executor, dtype)
    for target in targets("cpu"):
        once, _ = times(works["once"], target)
        assert np.all(once > 0)
        for way in works.keys() - {"once"}:
            assert np.all(times(works[way], target)[0] >= once), (target.name, way)


@pytest.mark.parametrize("dtype", ["float32", "int8"])
@pytest.mark.parametrize("settings", XNNPACK, ids=str)
def test_twice_the_work_takes_no_less_on_xnnpack(settings: tuple[str, int, int, int], dtype: str) -> None:
    """Arithmetic hides the wait for memory: a multiply-accumulate more may not hide more than it takes."""
    works = doubled(settings, "xnnpack", dtype)
    for name, target in bundled().items():
        if target.key.endswith("@xnnpack"):
            once, _ = times(works["once"], target)
            for way in works.keys() - {"once"}:
                assert np.all(times(works[way], target)[0] >= once), (name, way)


#: How many pairs of a kernel and a larger one each target is asked about, of all implementations.
PAIRS = 10_000

#: By runtime its executor, and implementations, kernels, strides and groups. The last two have other kernels for 8-bit numbers, by other attributes.
LARGER = {
    "tflite-2.10/builtin": ("builtin", BUILTIN),
    "litert-2.3/xnnpack": ("xnnpack", (*XNNPACK, ("igemm", 5, 1, 8), ("dwconv", 5, 2, 1), ("dwconv", 7, 1, 1))),
    "litert-2.2/gpu": (
        "mldrift",
        (("convolution", 1, 1, 1), ("convolution", 3, 2, 1), ("convolution", 3, 1, 8), ("depthwise", 3, 1, 1)),
    ),
    "onnxruntime-1.32/cpu": ("onnxruntime", (("Conv", 1, 1, 1), ("Conv", 3, 1, 1), ("Conv", 3, 2, 8))),
    "tflite-2.10/gpu-delegate": ("gpu", GPU),
}


def larger(settings: tuple[str, int, int, int], count: int) -> tuple[list[Convolution], list[Convolution]]:
    """Convolutions of all sizes, and each of them again, up to four times larger in some dimensions, and smaller in none."""
    implementation, kernel, stride, groups = settings
    depthwise = implementation.startswith("depthwise") or implementation == "dwconv"
    random = np.random.default_rng(11)
    few = 2 ** random.uniform(0, (8, 11, 11, 2, 2), (count, 5))
    more = few * 2 ** (random.uniform(0, 2, (count, 5)) * random.integers(0, 2, (count, 5)))
    found: tuple[list[Convolution], list[Convolution]] = ([], [])
    for convolutions, sizes in zip(found, (few, more), strict=True):
        for side, channels, outputs, batch, rows in sizes.astype(int).tolist():
            # two of each group at least: where a group has one input and one output, ONNX Runtime has another kernel
            into, out = (max(-(-size // groups), 2 if groups > 1 else 1) * groups for size in (channels, outputs))
            out = into if depthwise else out
            convolutions.append(Convolution(implementation, side, into, out, kernel, stride, groups, batch, rows))
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("runtime", "dtype"),
    [(each, "float32") for each in LARGER] + [(each, "int8") for each in ("tflite-2.10/builtin", "litert-2.3/xnnpack")],
)
def test_a_larger_kernel_takes_no_less(runtime: str, dtype: str) -> None:
    """Of whatever sizes, on every CPU and every GPU."""
    asked = [each for each in bundled().values() if isinstance(each, Target) and each.runtime == runtime]
    assert len(asked) > 1
    executor, kernels = LARGER[runtime]
    for settings in kernels:
        few, more = (work_of(each, executor, dtype) for each in larger(settings, PAIRS // len(kernels)))
        for target in asked:
            assert np.all(times(more, target)[0] >= times(few, target)[0]), (target.name, settings)


def test_the_samples_are_like_measured_kernels_and_unlike_them() -> None:
    for kind, executor, all_settings in (("cpu", "builtin", BUILTIN), ("gpu", "gpu", GPU)):
        for target in targets(kind):
            for settings in all_settings:
                work = doubled(settings, executor, target.processor.precision)["once"]
                inside = times(work, target)[1]
                measured = (target.name, settings[0]) not in UNMEASURED
                assert inside.any() == measured, (target.name, settings)
                assert not inside.all() or settings[0] == "fully_connected", (target.name, settings)


#: Some GPUs have no Winograd kernel in TensorFlow Lite.
UNMEASURED = {(f"{device}/gpu", "convolution_winograd_4x4_6x6") for device in ("pixel-4", "mi-8-se")}


def ratios(way: str) -> NDArray[np.float64]:
    """Time of twice the work over time of the work, for all GPUs and kernels, like measured ones and unlike them."""
    found = []
    for target in targets("gpu"):
        for settings in GPU:
            works = doubled(settings, "gpu", target.processor.precision)
            if way in works:
                found.append(times(works[way], target)[0] / times(works["once"], target)[0])
    return np.concatenate(found)


@pytest.mark.parametrize("settings", GPU, ids=str)
def test_no_term_of_a_gpu_falls_with_a_size(settings: tuple[str, int, int, int]) -> None:
    """Whatever a GPU pays for them, then, a larger kernel takes no less."""
    (few,), (more,) = (work_of(each, "gpu", "float32").parts for each in larger(settings, 200))
    falls = np.any(more.terms < few.terms * (1 - 1e-12), axis=0)
    assert not falls.any(), [name for name, fell in zip(few.model.names, falls, strict=True) if fell]


@pytest.mark.parametrize("way", DOUBLED)
def test_twice_the_work_takes_no_less_on_a_gpu(way: str) -> None:
    found = ratios(way)
    assert len(found) > 5000
    assert found.min() >= 1


def resnet18(batch: int, side: int) -> Graph:
    drawn = [
        f"x = input {batch}x{side}x{side}x3",
        "first = conv2d x 64 kernel=7 stride=2 padding=same activation=relu",
        "block0 = max_pool2d first kernel=3 stride=2 padding=same",
    ]
    blocks = [(64, 1), (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1)]
    for number, (channels, stride) in enumerate(blocks):
        last = skipped = f"block{number}"
        drawn += [
            f"a{number} = conv2d {last} {channels} kernel=3 stride={stride} padding=same activation=relu",
            f"b{number} = conv2d a{number} {channels} kernel=3 padding=same",
        ]
        if stride > 1:
            skipped = f"c{number}"
            drawn.append(f"{skipped} = conv2d {last} {channels} kernel=1 stride={stride} padding=same")
        drawn.append(f"block{number + 1} = add b{number} {skipped} activation=relu")
    drawn.append(f"pixel = mean block8 axes=1,2 keepdims=true -> {batch}x1x1x512")
    return sketch("\n".join([*drawn, "y = conv2d pixel 1000 kernel=1"]))


def total_ms(graph: Graph, target: Target) -> float:
    found = engine.times(engine.workload(plan(graph, target.processor)), target)
    return float(found.kernels.sum()) + found.overhead_ms


@pytest.mark.parametrize("device", PHONES)
def test_larger_images_and_more_of_them_take_longer(device: str) -> None:
    """ResNet-18's last maps are of one pixel at 32x32: fewer than anything measured, and not as slow as the products of one pixel that were."""
    target = phones()[f"{device}/gpu"]
    by_side = [total_ms(resnet18(1, side), target) for side in (32, 64, 96, 128, 160, 224, 320, 448)]
    assert np.all(np.diff(by_side) > 0), by_side
    assert by_side[0] < 0.6 * by_side[5]
    by_batch = [total_ms(resnet18(batch, 224), target) for batch in (1, 2, 4, 8)]
    assert np.all(np.diff(by_batch) > 0.4 * by_batch[0]), by_batch


def test_a_batch_takes_what_one_image_of_as_many_pixels_does() -> None:
    once = Convolution("convolution_2d", 28, 64, 64, 3)
    for target in targets("gpu"):
        tall, two = (priced((each,), "gpu", "float32") for each in (replace(once, rows=2), replace(once, batch=2)))
        assert times(two, target)[0] == pytest.approx(times(tall, target)[0], rel=0.25), target.name


@pytest.mark.parametrize("kind", ["cpu", "gpu"])
def test_one_kernel_more_takes_longer(kind: str) -> None:
    """The overhead may not shrink by more than the kernel adds."""
    settings = ("conv_ruy_1x1", 1, 1, 1) if kind == "cpu" else ("convolution_2d", 1, 1, 1)
    executor = "gpu" if kind == "gpu" else "builtin"
    for target in targets(kind):
        totals = []
        for count in range(1, 30):
            work = priced(tuple(samples(*settings)[:count]), executor, target.processor.precision)
            found = engine.times(work, target)
            totals.append(found.kernels.sum() + found.overhead_ms)
        assert np.all(np.diff(totals) > 0), target.name
