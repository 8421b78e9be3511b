"""What a GPU kernel's time is made of: counts that all rise with its sizes, at costs of no less than nothing, so that more work never takes less.

``time = sum(theta[t] * terms[t])``. Some terms have a meaning of their own: multiply-accumulates on channels stored in slices of four, elements
read and written, weights, a launch. The others give the sum its shape (``latency/rising.py``), and have no prior. A convolution takes its depth, which
is input slices times taps, times a staircase in the threads that compute its outputs, launched in blocks, waves and whole work groups:
on 14x14 with 1x1 filters an Adreno 640 takes 1.3 us for each input slice where there are 32 to 72 output slices, 4 to 7 groups, and
3.1 us from 78 to 144, 14 groups (medians). Which of the terms a GPU pays for, training finds.

Packs of earlier versions correct the sum, ``time = sum * exp(trees(features))``: one forest for each class of kernel. They are read as before.

Sources: ``tensorflow/lite/delegates/gpu/common/`` of TensorFlow 2.10, ``tasks/`` (slices, block sizes: ``conv_generic.cc``, ``conv_metal.cc``,
``conv_constants.cc``) and ``task/work_group_picking.cc``; Li, Paolieri and Golubchik, ICPE 2023, for one predictor per op kind over what
the runtime launches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from math import ceil, log, prod
from types import MappingProxyType

from latlint.graph.ops import BINARY, MOVEMENT, REDUCTIONS, UNARY
from latlint.latency.rising import pieces, powers
from latlint.latency.terms import CostModel, Term, Terms, is_unpriced
from latlint.runtime.types import Kernel
from latlint.runtime.work import constant_weights, slices

#: Priors for a GPU of about 200 GFLOP/s in these kernels and 10 GB/s; every term is divided by nothing: a queue is serial.
_PRIORS: Mapping[str, float] = MappingProxyType(
    {
        "conv.launch": 8000,
        "conv.macs": 0.01,
        "conv.tiled": 0.003,
        # read and written while the arithmetic goes on
        "conv.input": 0.02,
        "conv.output": 0.02,
        "conv.weights": 0.2,
        "winograd.launch": 20000,
        "winograd.macs": 0.005,
        "winograd.input": 0.4,
        "winograd.output": 0.4,
        "winograd.weights": 0.4,
        "grouped.launch": 8000,
        "grouped.macs": 0.01,
        "grouped.input": 0.2,
        "grouped.output": 0.2,
        "depthwise.launch": 8000,
        "depthwise.macs": 0.03,
        "depthwise.strided": 0.01,
        "depthwise.input": 0.02,
        "depthwise.output": 0.02,
        "depthwise.weights": 0.2,
        "depthwise_1x1.launch": 8000,
        "depthwise_1x1.macs": 0.02,
        "depthwise_1x1.output": 0.2,
        "fully_connected.launch": 8000,
        "fully_connected.weights": 1,
        # a chain: one step after the other for each slice of the input
        "fully_connected.input": 50,
        "fully_connected.output": 1,
        "mean.launch": 8000,
        "mean.input": 0.2,
        "mean.pixels": 1,
        "mean.channels": 5,
        "pool.launch": 8000,
        "pool.taps": 0.1,
        "pool.input": 0.2,
        "pool.output": 0.2,
        "concat.launch": 8000,
        "concat.output": 0.1,
        "linked.operand": 0.2,
        # never measured by themselves in these data; the end-to-end remainder prices them together
        "other.launch": 3000,
        "other.elements": 0.1,
        "other.math": 0.2,
        "other.gather": 0.4,
        "matmul.launch": 20000,
        "matmul.macs": 0.02,
        "matmul.elements": 0.4,
    }
)


#: Kernel class (the prefix of its terms) of the delegate's implementations.
CLASSES: Mapping[str, str] = MappingProxyType(
    {
        "convolution_2d": "conv",
        "convolution_winograd_4x4_6x6": "winograd",
        "convolution_2d_grouped": "grouped",
        "depthwise_convolution": "depthwise",
        "depthwise_conv_plus_1x1_conv": "depthwise_1x1",
        "fully_connected": "fully_connected",
        "mean": "mean",
        "pooling_2d": "pool",
        "concat": "concat",
    }
)
_MATH = frozenset("elu erf exp gelu log pow rsqrt sigmoid sin cos sqrt tanh softmax div".split())


def kernel_class(kernel: Kernel) -> str:
    """The class whose terms, forest and envelope price this kernel; ``other`` and ``matmul`` have no forest."""
    found = CLASSES.get(kernel.implementation)
    if found:
        return found
    return "matmul" if kernel.macs else "other"


def price(kernel: Kernel) -> Terms | None:
    """The terms of one GPU kernel, by name; empty where it is free, ``None`` where its cost is not known from its shapes."""
    if kernel.free:
        return {}
    if is_unpriced(kernel):
        return None
    name = kernel_class(kernel)
    found = _PRICING[name](kernel)
    found[f"{name}.launch"] = float(kernel.launches) if name in {"matmul", "other"} else 1.0
    if kernel.linked and name != "other":
        operands = float(sum(_sliced(shape) for shape in kernel.inputs[kernel.own_inputs :]))
        # the first is of packs in which all classes pay alike
        found["linked.operand"] = found[f"{name}.operand"] = operands
    return found


@lru_cache(maxsize=1024)
def _bhwc(shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """A shape as the delegate stores it: batch, height, width, channels."""
    if len(shape) >= 4:
        return prod(shape[:-3]), shape[-3], shape[-2], shape[-1]
    if len(shape) == 3:
        return shape[0], 1, shape[1], shape[2]
    if len(shape) == 2:
        return shape[0], 1, 1, shape[1]
    return 1, 1, 1, shape[0] if shape else 1


@lru_cache(maxsize=1024)
def _sliced(shape: tuple[int, ...]) -> float:
    """Elements as stored: channels in slices of four."""
    b, h, w, c = _bhwc(shape)
    return float(b * h * w * slices(c) * 4)


def _input(kernel: Kernel) -> tuple[int, int, int, int]:
    return _bhwc(kernel.inputs[0]) if kernel.inputs else (1, 1, 1, 1)


def _taps(kernel: Kernel) -> int:
    return int(prod(kernel.attributes.get("kernel", (1,))))


def _stored_macs(kernel: Kernel) -> float:
    """Multiply-accumulates on slices: channels of input (a group's) and output rounded up to four."""
    b, h, w, outputs = _bhwc(kernel.outputs[0])
    channels = _input(kernel)[3] // max(int(kernel.attributes.get("groups", 1)), 1)
    return float(b * h * w * slices(outputs) * 4 * slices(max(channels, 1)) * 4 * _taps(kernel))


def _stored_weights(kernel: Kernel) -> float:
    channels = _input(kernel)[3] // max(int(kernel.attributes.get("groups", 1)), 1)
    return float(slices(_bhwc(kernel.outputs[0])[3]) * 4 * slices(max(channels, 1)) * 4 * _taps(kernel))


def _tiling(kernel: Kernel) -> float:
    """Work done over work wanted when the output is cut into squares of 8: work groups at the edges run half empty."""
    _, height, width, _ = _bhwc(kernel.outputs[0])
    return (-(-height // 8) * 8 / height) * (-(-width // 8) * 8 / width)


def _up(count: int, to: int) -> int:
    return -(-count // to) * to


#: The largest work group of a convolution with many registers; how many slices of outputs it has at most, of Adreno and Mali (GetPossibleWorkGroupsConv).
_GROUP, _GROUP_SLICES = 256, (64, 16)


@lru_cache(maxsize=4096)
def _work_groups(across: int, down: int, deep: int, most: int) -> int:
    """How many work groups blocks of outputs are cut into. How deep a group is divides how deep all are, so that a prime number makes many; what
    is counted is what the best of the next larger numbers makes, which rises with every size."""
    return min(_cut(across, down, more, most) for more in range(deep, min(2 * deep, deep + 64) + 1))


def _cut(across: int, down: int, deep: int, most: int) -> int:
    inner = _divisor(deep, most)
    x = min(across, _GROUP // inner)
    y = min(_GROUP // inner // x, down)
    return -(-across // x) * -(-down // y) * (deep // inner)


@lru_cache(maxsize=4096)
def _divisor(of: int, most: int) -> int:
    """The largest divisor that is no larger than ``most``."""
    return next(each for each in range(min(of, most), 0, -1) if of % each == 0)


#: What fits Adreno's constant memory as float32 (see ``runtime.gpu.variants``): bytes of weights, and slices of outputs. On whichever GPU: what
#: costs no more where it does not fit, training finds to cost nothing.
_CONSTANTS, _CONSTANT_SLICES = 3584, 8


def _constant(kernel: Kernel) -> bool:
    """Whether a convolution's weights stay in constant memory."""
    channels, outputs = _input(kernel)[3], _bhwc(kernel.outputs[0])[3]
    weights = constant_weights(channels, outputs) * _taps(kernel)
    return bool(4 * weights <= _CONSTANTS and slices(outputs) <= _CONSTANT_SLICES)


def _strided(kernel: Kernel) -> bool:
    return bool(max(kernel.attributes.get("stride", (1,))) > 1)


def _numbered(name: str, counts: Iterable[float]) -> Terms:
    return {f"{name}.{at}": count for at, count in enumerate(counts)}


def _links(name: str, kernel: Kernel, out: float) -> Terms:
    """What is linked to a kernel costs besides its operands, for each of ``out`` slices of outputs."""
    return {f"{name}.linked": out * len(kernel.linked), f"{name}.hard_swish": out * ("hard_swish" in kernel.linked)}


def _conv(kernel: Kernel) -> Terms:
    macs = _stored_macs(kernel)
    batch, height, width, outputs = _bhwc(kernel.outputs[0])
    deep, depth = slices(outputs), slices(_input(kernel)[3]) * _taps(kernel)
    across, pixels = batch * width, batch * height * width
    out, halves = pixels * deep, -(-height // 2)
    blocks = -(-across // 2), halves, -(-deep // 2)
    # outputs, in slices, that threads compute: all eight of a block of 2x2x2, in whole work groups, and whole waves of pairs of rows
    groups = [8 * _GROUP * _work_groups(*blocks, most) for most in _GROUP_SLICES]
    pairs = 2 * 4 * _up(across * halves * -(-deep // 4), 32)
    strided, one, general = _strided(kernel), _taps(kernel) == 1, not _constant(kernel)
    powers_of_depth = (base * rest for base in (depth**0.5, depth) for rest in powers(deep, pixels, of=(0.0, 0.5, 1.0)))
    return {
        "conv.macs": macs,
        "conv.tiled": macs * _tiling(kernel),
        "conv.input": _sliced(_input(kernel)),
        "conv.output": _sliced(kernel.outputs[0]),
        "conv.weights": _stored_weights(kernel),
        "conv.taps": float(_taps(kernel)),
        "conv.pixels": float(pixels),
        "conv.one": float(depth * out * (one and not strided)),
        "conv.one_strided": float(depth * out * (one and strided)),
        "conv.wide": float(depth * out * (not one and not strided)),
        "conv.wide_strided": float(depth * out * (not one and strided)),
        "conv.blocks_2x1x1": float(depth * _up(across, 2) * height * deep),
        "conv.blocks_2x2x2": float(depth * 8 * prod(blocks)),
        "conv.blocks_1x1x8": float(depth * pixels * _up(deep, 8)),
        "conv.waves_of_4": float(depth * _up(pixels, 32) * _up(deep, 4)),
        "conv.waves_of_8": float(depth * _up(pixels, 32) * _up(deep, 8)),
        "conv.waves_of_pairs": float(depth * pairs),
        **_numbered("conv.groups", (depth * count for count in groups)),
        **_numbered("conv.general", (general * count for count in (1.0, depth, out, depth * out))),
        **_numbered("conv.macs_piece", (depth * piece for piece in pieces(out))),
        **_numbered("conv.group_piece", (depth * piece for piece in pieces(groups[0]))),
        **_numbered("conv.pair_piece", (depth * piece for piece in pieces(pairs))),
        # what has no pixels is a chain, and weights that are read once
        **{f"conv.{'power' if at % 3 else 'chain'}.{at}": count for at, count in enumerate(powers_of_depth)},
        **_links("conv", kernel, out),
    }


def _winograd(kernel: Kernel) -> Terms:
    batch, height, width, outputs = _bhwc(kernel.outputs[0])
    tiles, depth, deep = batch * -(-height // 4) * -(-width // 4), slices(_input(kernel)[3]), slices(outputs)
    return {
        "winograd.macs": _stored_macs(kernel),
        "winograd.input": _sliced(_input(kernel)),
        "winograd.output": _sliced(kernel.outputs[0]),
        "winograd.weights": _stored_weights(kernel),
        **_numbered("winograd.threads", (_up(tiles, n) * depth * _up(deep, m) for n in (32, 64, 128) for m in (1, 4))),
        **_numbered("winograd.count", (tiles, depth, tiles * depth, tiles * deep, depth * deep)),
        **_numbered("winograd.power", powers(tiles, depth, deep, of=(0.5, 1.0))),
        **_links("winograd", kernel, batch * height * width * deep),
    }


def _grouped(kernel: Kernel) -> Terms:
    return {
        "grouped.macs": _stored_macs(kernel),
        "grouped.input": _sliced(_input(kernel)),
        "grouped.output": _sliced(kernel.outputs[0]),
    }


def _depthwise(kernel: Kernel) -> Terms:
    stored, taps, strided = _sliced(kernel.outputs[0]), _taps(kernel), _strided(kernel)
    batch, height, width, outputs = _bhwc(kernel.outputs[0])
    deep = slices(outputs)
    out = batch * height * width * deep
    across = batch * width
    threads = (
        _up(across, 2) * height * deep,
        _up(across, 8) * _up(height, 4) * deep,
        _up(across, 8) * _up(height, 8) * deep,
        _up(batch * height * width, 32) * deep,
    )
    # a filter of 3x3 whose padding is one pixel all around has a kernel of its own
    around = tuple(kernel.attributes.get("padding", ())) == (1, 1, 1, 1)
    kinds = (strided, taps > 9, taps == 9 and around and not strided, taps == 9 and not around)
    return {
        "depthwise.macs": stored * taps,
        "depthwise.strided": stored * taps if strided else 0.0,
        "depthwise.input": _sliced(_input(kernel)),
        "depthwise.output": stored,
        "depthwise.weights": float(deep * 4 * taps),
        **_numbered("depthwise.kind", (kind * count for kind in kinds for count in (1.0, out, out * taps))),
        **_numbered("depthwise.threads", (count * by for count in threads for by in (1, taps))),
        **_numbered("depthwise.output_piece", pieces(out)),
        **_numbered("depthwise.taps_piece", (taps * piece for piece in pieces(out))),
        **_links("depthwise", kernel, out),
    }


def _depthwise_1x1(kernel: Kernel) -> Terms:
    return {"depthwise_1x1.macs": float(kernel.macs), "depthwise_1x1.output": _sliced(kernel.outputs[0])}


def _fully_connected(kernel: Kernel) -> Terms:
    inputs, outputs = slices(_input(kernel)[3]), slices(_bhwc(kernel.outputs[0])[3])
    rows = prod(_bhwc(kernel.outputs[0])[:3])
    return {
        "fully_connected.weights": float(inputs * outputs * rows),
        "fully_connected.input": float(inputs * rows),
        "fully_connected.output": float(outputs * rows),
    }


def _mean(kernel: Kernel) -> Terms:
    b, h, w, c = _input(kernel)
    return {"mean.input": _sliced((b, h, w, c)), "mean.pixels": float(b * h * w), "mean.channels": float(slices(c))}


def _pool(kernel: Kernel) -> Terms:
    out = _sliced(kernel.outputs[0])
    return {"pool.taps": out * _taps(kernel), "pool.input": _sliced(_input(kernel)), "pool.output": out}


def _concat(kernel: Kernel) -> Terms:
    return {"concat.output": _sliced(kernel.outputs[0])}


def _matmul(kernel: Kernel) -> Terms:
    return {"matmul.macs": float(kernel.macs), "matmul.elements": _all_elements(kernel)}


def _all_elements(kernel: Kernel) -> float:
    return sum(_sliced(shape) for shape in (*kernel.inputs, *kernel.outputs))


def _other(kernel: Kernel) -> Terms:
    elements = _all_elements(kernel)
    if kernel.op in _MATH:
        return {"other.math": elements}
    plain = kernel.op in UNARY | BINARY | REDUCTIONS or kernel.op in {
        "pad",
        "slice",
        "strided_slice",
        "split",
        "concat",
    }
    return {"other.elements": elements} if plain or kernel.op not in MOVEMENT else {"other.gather": elements}


_PRICING: Mapping[str, Callable[[Kernel], Terms]] = MappingProxyType(
    {
        "conv": _conv,
        "winograd": _winograd,
        "grouped": _grouped,
        "depthwise": _depthwise,
        "depthwise_1x1": _depthwise_1x1,
        "fully_connected": _fully_connected,
        "mean": _mean,
        "pool": _pool,
        "concat": _concat,
        "matmul": _matmul,
        "other": _other,
    }
)

#: A kernel of one multiply-accumulate.
_LEAST = Kernel("conv2d", "", (0,), ((1, 1, 1, 1),), ((1, 1, 1, 1),))
#: All terms. What gives a sum its shape has no prior: nothing is paid for it until kernels were measured. No term is divided by threads: a queue
#: is serial.
TERMS: Mapping[str, Term] = MappingProxyType(
    {
        name: Term(_PRIORS.get(name, 0.0))
        for name in dict.fromkeys(
            (
                *(name for counts in (_conv, _winograd, _depthwise) for name in counts(_LEAST)),
                *(f"{name}.operand" for name in _PRICING if name != "other"),
                *_PRIORS,
            )
        )
    }
)

#: Features of the forests of packs that have some; ``log`` of a count plus one where sizes differ by orders of magnitude.
FEATURES = (
    "log_macs",
    "channels",
    "outputs",
    "height",
    "out_height",
    "log_pixels",
    "taps",
    "stride",
    "log_tasks",
    "intensity",
    "channels_mod_4",
    "outputs_mod_4",
    "slices_mod_2",
    "slices_to_4",
    "rows_to_8",
    "log_weights",
    "log_input",
    "log_output",
    "linked",
    "operands",
    "groups",
    "group_channels",
    "hard_swish",
)


#: Side of the smallest map that was measured, of kernels that have a pixel's neighbours or channels to share out. Products of one pixel and
#: means, which go over maps of any size, are others.
SMALLEST_MAP = 7
_OF_MAPS = frozenset({"conv", "winograd", "grouped", "depthwise", "depthwise_1x1", "pool"})


def _on_a_map(kernel: Kernel) -> Kernel:
    """``kernel`` on the smallest map that was measured, if its own is smaller: what trees say of smaller ones they were taught by other kernels."""
    _, height, width, _ = _bhwc(kernel.outputs[0])
    if min(height, width) >= SMALLEST_MAP or kernel_class(kernel) not in _OF_MAPS:
        return kernel
    ratios = max(SMALLEST_MAP / height, 1.0), max(SMALLEST_MAP / width, 1.0)

    def grown(shape: tuple[int, ...]) -> tuple[int, ...]:
        if len(shape) != 4:
            return shape
        return (shape[0], *(ceil(side * ratio) for side, ratio in zip(shape[1:3], ratios, strict=True)), shape[3])

    inputs = tuple(grown(shape) if index < kernel.own_inputs else shape for index, shape in enumerate(kernel.inputs))
    return kernel._replace(inputs=inputs, outputs=tuple(map(grown, kernel.outputs)))


def features(kernel: Kernel) -> list[float]:
    """The features of one kernel, in the order of ``FEATURES``."""
    kernel = _on_a_map(kernel)
    _, height, _, channels = _input(kernel)
    b, out_height, out_width, outputs = _bhwc(kernel.outputs[0])
    groups = max(int(kernel.attributes.get("groups", 1)), 1)
    depthwise = kernel.op == "depthwise_conv2d"
    out = _sliced(kernel.outputs[0])
    taps = _taps(kernel)
    macs = out * taps if depthwise or kernel.op not in {"conv2d", "fully_connected"} else _stored_macs(kernel)
    deep = slices(outputs)
    weights = deep * 4.0 * taps if depthwise else _stored_weights(kernel)
    read = sum(_sliced(shape) for shape in kernel.inputs)
    return [
        log(macs + 1),
        float(channels),
        float(outputs),
        float(height),
        float(out_height),
        log(b * out_height * out_width),
        float(taps),
        float(max(kernel.attributes.get("stride", (1,)))),
        log(b * out_height * out_width * deep + 1),
        log((macs + 1) / (read + out + weights + 1)),
        float(channels % 4),
        float(outputs % 4),
        float(deep % 2),
        -(-deep // 4) * 4 / deep,
        -(-out_height // 8) * 8 / out_height,
        log(weights + 1),
        log(read + 1),
        log(out + 1),
        float(len(kernel.linked)),
        float(len(kernel.inputs)),
        float(groups),
        float(channels // groups),
        float("hard_swish" in kernel.linked),
    ]


MODEL = CostModel(
    executor="gpu",
    kind="gpu",
    terms=TERMS,
    price=price,
    prefixes=("",),
    kernel_class=kernel_class,
    features=features,
    feature_names=FEATURES,
    # The delegate computes an int8 model in float: only float models were measured.
    derived=frozenset({"int8"}),
)
