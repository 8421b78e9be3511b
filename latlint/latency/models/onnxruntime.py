"""ONNX Runtime's kernels on the CPU (MLAS). Terms are named ``ort.<op>.<what>``; priors are for an x86-64 core with AVX-512 at about 3 GHz.

Sources: onnxruntime/core/mlas/lib/ (``snchwc.cpp``, ``sgemm.cpp``, ``convolve.cpp``, ``qgemm.cpp``, ``qdwconv.cpp``) and core/providers/cpu/.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from types import MappingProxyType

from latlint.latency.counts import L1, L2, Cell, Pricing, Product, beyond, blocks, calls, read, taps_of, written
from latlint.latency.terms import CostModel, Term, Terms, is_unpriced
from latlint.runtime.types import Kernel

#: Channels in a vector, and how many vectors of them an NCHWc kernel makes at once.
LANES, FILTERS = 16, 4
#: Channels that a pointwise kernel sums before it writes.
POINTWISE = 128
#: Rows of data and columns of weights that a matrix kernel holds in registers (``SgemmKernelAvx512F``).
ROWS, COLUMNS = 12, 32
#: Pixels of a task of an integer convolution, the least multiply-accumulates of one, and the most tasks on eight threads of an Arm processor.
TASK, LEAST, TASKS = 4, 65536.0, 512
#: What leaves a core's own cache, in bytes.
LARGE = 1e6
#: Numbers whose conversions have no vector kernels.
_WIDE = ("int16", "uint16", "int32")

_COSTS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "nchwc.macs": (0.014, 1),
        "nchwc.loads": (0.05, 1),
        "nchwc.sums": (0.05, 1),
        "nchwc.rows": (30, 1),
        "nchwc.weights": (0.05, 1),
        "pointwise.direct": (0.03, 1),
        "nchw.macs": (0.02, 1),
        "nchw.loads": (0.05, 1),
        "pointwise.macs": (0.014, 1),
        "pointwise.loads": (0.05, 1),
        "pointwise.sums": (0.05, 1),
        "pointwise.rows": (30, 1),
        "pointwise.weights": (0.05, 1),
        "nchwc.depthwise": (0.02, 1),
        "nchwc.scale": (0.1, 1),
        "nchwc.depthwise.output": (0.05, 1),
        "nchwc.depthwise.rows": (30, 1),
        "nchwc.output": (0.1, 1),
        "nchwc.added": (0.1, 1),
        "nchwc.sigmoid": (0.3, 1),
        "nchwc.pool": (0.02, 1),
        "nchwc.pool.output": (0.1, 1),
        "nchwc.resize": (0.2, 1),
        "reorder": (0.15, 1),
        "reorder.last": (0.15, 1),
        "conv.macs": (0.018, 1),
        "conv.gather": (0.3, 1),
        "conv.depthwise": (0.2, 1),
        "conv.output": (0.2, 1),
        "conv.weights": (0.05, 1),
        "conv.groups": (300, 1),
        "gemm.macs": (0.014, 1),
        "gemm.rows": (0.02, 1),
        "gemm.weights": (0.05, 1),
        "gemm.large": (0.1, 0.5),
        "gemm.output": (0.1, 1),
        "gemm.input": (0.1, 1),
        "matmul.macs": (0.016, 1),
        "matmul.pack": (0.2, 1),
        "matmul.input": (0.2, 1),
        "matmul.output": (0.1, 1),
        "matmul.batch": (200, 1),
        "qconv.macs": (0.006, 1),
        "qconv.gather": (0.1, 1),
        "qconv.output": (0.3, 1),
        "qconv.depthwise": (0.05, 1),
        "qconv.rows": (30, 1),
        "qconv.task": (0.01, 0),
        "qconv.call": (1000, 0),
        "qconv.first": (0.3, 1),
        "qconv.first.pixels": (10, 1),
        "qconv.depthwise.output": (0.1, 1),
        "qconv.depthwise.narrow": (0.2, 1),
        "iconv.macs": (0.02, 0.5),
        "iconv.gather": (0.3, 0.5),
        "iconv.depthwise": (0.3, 0.5),
        "iconv.weights": (0.3, 0.5),
        "iconv.output": (0.3, 0.5),
        "igemm.macs": (0.01, 1),
        "igemm.output": (0.3, 1),
        "qgemm.macs": (0.006, 1),
        "qgemm.pack": (0.1, 1),
        "qgemm.output": (0.3, 1),
        "qgemm.weights": (0.02, 1),
        "quantize": (0.15, 1),
        "dequantize": (0.15, 1),
        "quantize.wide": (0.5, 1),
        "dequantize.wide": (0.3, 1),
        "quantize.range": (0.2, 0.5),
        "qbinary": (0.2, 1),
        "qtable": (0.2, 1),
        "qpool.taps": (0.3, 1),
        "qpool": (0.1, 1),
        "qmax": (0.3, 1),
        "qsoftmax": (1.0, 1),
        "unary": (0.1, 1),
        "sigmoid": (0.3, 1),
        "tanh": (0.3, 1),
        "exp": (0.3, 1),
        "erf": (0.4, 1),
        "gelu": (0.8, 1),
        "silu": (0.5, 1),
        "pow": (1.0, 1),
        "other": (2.0, 1),
        "binary": (0.1, 1),
        "binary.div": (0.1, 1),
        "binary.spans": (5, 1),
        "copy": (0.1, 1),
        "copy.runs": (5, 0.5),
        "transpose": (0.2, 1),
        "transpose.items": (0.5, 1),
        "transpose.runs": (5, 1),
        "softmax": (0.7, 1),
        "softmax.rows": (50, 1),
        "norm": (0.4, 1),
        "norm.rows": (50, 1),
        "norm.skip": (0.4, 1),
        "instance": (0.5, 1),
        "batch": (0.2, 1),
        "reduce": (0.1, 1),
        "reduce.strided": (0.2, 1),
        "reduce.outputs": (2, 1),
        "pool": (0.5, 1),
        "average": (1.0, 1),
        "pool.output": (0.5, 1),
        "pool.global": (0.1, 1),
        "resize": (2, 1),
        "scan": (2, 0.5),
        "recurrent": (0.035, 0.5),
        "recurrent.steps": (250, 0.5),
        "memory": (0.03, 0.5),
        "call": (1500, 0),
        "model": (5_000, 0),
    }
)  # fmt: skip

TERMS: Mapping[str, Term] = MappingProxyType(
    {f"ort.{name}": Term(prior, parallel) for name, (prior, parallel) in _COSTS.items()}
)


#: A call of a later round of a loop, in calls of an op that runs once: 1.32.0 on x86-64 takes 0.3 us for a small op in a loop of 100 rounds, 0.5 for each round of the
#: loop itself and 1 for an If, where the networks that it was measured with show 0.4 for each op.
WARM_CALL = 0.8


def price(kernel: Kernel) -> Terms | None:
    """The terms of one kernel, by name; ``None`` where its cost is not known from its shapes, or nobody measured its kind."""
    pricing = _PRICING.get(kernel.implementation)
    if kernel.free:
        return {}
    unfollowed = kernel.implementation in ("If", "Loop", "Scan") and is_unpriced(kernel)
    if pricing is None or unfollowed or not kernel.sized or not kernel.outputs:
        return None
    found = {f"ort.{name}": count for name, count in pricing(kernel).items()}
    touched = float(kernel.bytes)
    return found | {"ort.call": calls(kernel, WARM_CALL), "ort.memory": touched / 4 * beyond(touched, LARGE)}


def _once(_: str) -> str:
    return "ort.model"


# --- Convolutions ------------------------------------------------------------------------------------------------------------------


def _conv(kernel: Kernel) -> Terms:
    if kernel.attributes.get("layout") == "nchwc":
        return _blocked(kernel) | _activation(kernel)
    return _by_columns(kernel) | _activation(kernel)


def _activation(kernel: Kernel) -> Terms:
    curved = kernel.attributes.get("activation") in ("Sigmoid", "Tanh", "HardSwish", "HardSigmoid")
    return {"nchwc.sigmoid": written(kernel)} if curved else {}


def _blocked(kernel: Kernel) -> Terms:
    """``snchwc.cpp``: a row of output at a time, up to four blocks of channels, over blocks of channels in."""
    shape, data = kernel.outputs[0], kernel.inputs[0]
    pixels, rows = prod(shape[:-1]), prod(shape[:-2])
    groups, taps = max(int(kernel.attributes.get("groups", 1)), 1), taps_of(kernel)
    out = blocks(shape[-1], LANES)
    common = {"nchwc.output": pixels * out * LANES}
    if kernel.attributes.get("added"):
        common["nchwc.added"] = pixels * out * LANES
    if groups > 1 and groups == shape[-1]:
        work = pixels * out * LANES
        if taps == 1:
            return common | {"nchwc.scale": work}
        return common | {
            "nchwc.depthwise": work * taps,
            "nchwc.depthwise.output": work,
            "nchwc.depthwise.rows": rows * out,
        }
    channels, out = data[-1] / groups, out / groups
    sets = max(out / FILTERS, 1.0) if out < FILTERS else blocks(out, FILTERS)
    if channels < LANES and groups == 1:
        work = pixels * taps * channels
        name = "pointwise.direct" if taps == 1 else "nchw.macs"
        return common | {name: work * out * LANES, "nchw.loads": work * sets, "nchwc.rows": rows * sets}
    into = blocks(channels, LANES)
    depth = into * LANES * taps
    name = "pointwise" if taps == 1 else "nchwc"
    passes = -(-into * LANES // POINTWISE) if taps == 1 else into
    return common | {
        f"{name}.macs": groups * pixels * depth * out * LANES,
        f"{name}.loads": groups * pixels * depth * sets,
        f"{name}.sums": groups * pixels * out * LANES * passes,
        f"{name}.rows": groups * rows * sets * passes,
        f"{name}.weights": groups * rows * depth * out * LANES * beyond(4 * depth * out * LANES, L2),
    }


def _by_columns(kernel: Kernel) -> Terms:
    """``convolve.cpp``: the image in columns, then a matrix product; for each group."""
    shape, data = kernel.outputs[0], kernel.inputs[0]
    pixels, groups, taps = prod(shape[:-1]), max(int(kernel.attributes.get("groups", 1)), 1), taps_of(kernel)
    if groups > 1 and groups == shape[-1]:
        return {"conv.depthwise": pixels * shape[-1] * taps, "conv.output": written(kernel), "conv.groups": groups}
    gathered = 0.0 if taps == 1 and max(kernel.attributes.get("stride", (1,))) == 1 else pixels * data[-1] * taps
    return {
        "conv.macs": kernel.macs / shape[-1] * blocks(shape[-1] / groups, ROWS) * ROWS * groups,
        "conv.gather": gathered,
        "conv.output": written(kernel),
        "conv.weights": kernel.weight_bytes / 4,
        "conv.groups": groups,
    }


def _transposed(kernel: Kernel) -> Terms:
    return {
        "conv.macs": float(kernel.macs),
        "conv.gather": kernel.macs / max(kernel.inputs[0][-1], 1),
        "conv.output": written(kernel),
    }


def _integer_conv(kernel: Kernel) -> Terms:
    """Of uint8 with scales for each channel (``qgemm.cpp``, ``qdwconv.cpp``), channels last.

    Threads take some pixels at a time (``qlinearconv.cc``, ``ComputeOutputStride``); all wait for the last of these tasks, on the slowest core. At each
    call scales are worked out and buffers taken anew.
    """
    shape = kernel.outputs[0]
    pixels, groups, taps = prod(shape[:-1]), max(int(kernel.attributes.get("groups", 1)), 1), taps_of(kernel)
    if groups > 1 and groups == shape[-1]:
        work = written(kernel)
        narrow = "qconv.depthwise.narrow" if shape[-1] % LANES else "qconv.depthwise"
        return {narrow: work * taps, "qconv.depthwise.output": work, "qconv.call": 1.0}
    depth = blocks(kernel.inputs[0][-1] / groups * taps, 4) * 4
    first = kernel.inputs[0][-1] < 4
    gathered = 0.0 if taps == 1 else pixels * kernel.inputs[0][-1] * taps
    return {
        "qconv.macs": pixels * depth * blocks(shape[-1] / groups, LANES) * LANES * groups,
        "qconv.first" if first else "qconv.gather": gathered,
        "qconv.first.pixels": pixels if first else 0.0,
        "qconv.output": written(kernel),
        "qconv.rows": prod(shape[:-2]),
        "qconv.call": 1.0,
        "qconv.task": min(float(kernel.macs), max(kernel.macs * TASK / max(pixels, 1), LEAST, kernel.macs / TASKS)),
    }


def _dynamic_conv(kernel: Kernel) -> Terms:
    """ConvInteger: columns and a product for each image and group, on one thread."""
    shape = kernel.outputs[0]
    pixels, groups, taps = prod(shape[:-1]), max(int(kernel.attributes.get("groups", 1)), 1), taps_of(kernel)
    if groups > 1 and groups == shape[-1]:
        return {"iconv.depthwise": pixels * shape[-1] * taps, "iconv.output": written(kernel), "conv.groups": groups}
    return {
        "iconv.macs": float(kernel.macs),
        "iconv.gather": pixels * kernel.inputs[0][-1] * taps,
        "iconv.weights": float(kernel.weight_bytes),
        "iconv.output": written(kernel),
    }


# --- Matrix products -----------------------------------------------------------------------------------------------------------------


def _gemm(kernel: Kernel) -> Terms:
    """``sgemm.cpp``: weights are packed once, when they are constant; else at every call."""
    product = Product.of(kernel)
    columns = blocks(product.columns, LANES) * LANES
    batch = 1.0
    if not kernel.attributes.get("packed"):
        batch = float(prod(kernel.outputs[0][:-2]))
        return {
            "matmul.macs": product.pixels * columns * product.depth,
            "matmul.pack": batch * product.weights,
            "matmul.input": product.pixels * product.depth,
            "matmul.output": written(kernel),
            "matmul.batch": batch,
        }
    size = product.weights
    return {
        "gemm.macs": product.pixels * columns * product.depth,
        "gemm.rows": product.pixels * product.depth * blocks(columns, COLUMNS),
        "gemm.weights": size * blocks(product.pixels, ROWS) * beyond(4 * size, L1),
        "gemm.large": size * beyond(4 * size, LARGE),
        "gemm.output": written(kernel),
        "gemm.input": product.pixels * product.depth,
    } | _activation(kernel)


def _integer_gemm(kernel: Kernel) -> Terms:
    product = Product.of(kernel)
    if kernel.implementation == "MatMulInteger":
        return {
            "igemm.macs": float(kernel.macs),
            "igemm.output": written(kernel),
            "qgemm.pack": product.pixels * product.depth,
        }
    dynamic = {"quantize.range": read(kernel)} if kernel.implementation == "DynamicQuantizeMatMul" else {}
    return {
        "qgemm.macs": product.pixels * product.depth * blocks(product.columns, LANES) * LANES,
        "qgemm.pack": product.pixels * product.depth + (0.0 if kernel.attributes.get("packed") else product.weights),
        "qgemm.output": written(kernel),
        "qgemm.weights": product.weights,
    } | dynamic


def _recurrent(kernel: Kernel) -> Terms:
    """Not among the networks that are timed: ten ops of 20 to 100 steps and 32 to 256 units, timed on one x86-64 core with 1.32.0, set the priors, which give
    them 0.7 to 1.5 times what they take."""
    _, steps = Cell.of(kernel)
    return {"recurrent": float(kernel.macs), "recurrent.steps": steps}


# --- The rest ------------------------------------------------------------------------------------------------------------------------


def _made(name: str) -> Pricing:
    return lambda kernel: {name: written(kernel)}


def _taken(name: str) -> Pricing:
    return lambda kernel: {name: read(kernel)}


def _nothing(kernel: Kernel) -> Terms:
    return {}


def _quantize(kernel: Kernel) -> Terms:
    return {"quantize.wide" if kernel.output_dtype in _WIDE else "quantize": written(kernel)}


def _dequantize(kernel: Kernel) -> Terms:
    return {"dequantize.wide" if kernel.input_dtype in _WIDE else "dequantize": written(kernel)}


def _binary(kernel: Kernel) -> Terms:
    name = "binary.div" if kernel.implementation in ("Div", "Mod") else "binary"
    return {name: written(kernel), "binary.spans": float(kernel.attributes.get("spans", 0))}


def _copy(kernel: Kernel) -> Terms:
    return {"copy": written(kernel), "copy.runs": float(kernel.attributes.get("runs", 1))}


def _transpose(kernel: Kernel) -> Terms:
    run = float(kernel.attributes.get("run", 1))  # 0 where a dimension is
    made = written(kernel)
    return {"transpose": made} | ({"transpose.items": made} if run <= 1 else {"transpose.runs": made / run})


def _reorder(kernel: Kernel) -> Terms:
    return {"reorder.last" if kernel.attributes.get("channels_last") else "reorder": written(kernel)}


def _softmax(kernel: Kernel) -> Terms:
    made = written(kernel)
    return {"softmax": made, "softmax.rows": made / max(kernel.outputs[0][-1] if kernel.outputs[0] else 1, 1)}


def _norm(kernel: Kernel) -> Terms:
    made = written(kernel)
    skip = {"norm.skip": made} if kernel.implementation.startswith("Skip") else {}
    return {"norm": made, "norm.rows": made / max(kernel.outputs[0][-1] if kernel.outputs[0] else 1, 1)} | skip


def _reduce(kernel: Kernel) -> Terms:
    shape, axes = kernel.inputs[0], kernel.attributes.get("axes") or ()
    last = not axes or len(shape) - 1 in axes
    return {"reduce" if last else "reduce.strided": read(kernel), "reduce.outputs": written(kernel)}


def _pool(kernel: Kernel) -> Terms:
    whole = kernel.implementation.startswith("Global")
    if whole:
        return {"pool.global": read(kernel)}
    blocked = kernel.attributes.get("layout") == "nchwc"
    prefix = "nchwc.pool" if blocked else "pool"
    taps = "average" if kernel.implementation == "AveragePool" and not blocked else prefix
    return {taps: written(kernel) * taps_of(kernel), f"{prefix}.output": written(kernel)}


def _integer_pool(kernel: Kernel) -> Terms:
    return {"qpool.taps": written(kernel) * taps_of(kernel), "qpool": read(kernel)}


def _resize(kernel: Kernel) -> Terms:
    return {"nchwc.resize" if kernel.attributes.get("layout") == "nchwc" else "resize": written(kernel)}


_PRICING: Mapping[str, Pricing] = MappingProxyType(
    {
        "Conv": _conv,
        "FusedConv": _conv,
        "ConvTranspose": _transposed,
        "QLinearConv": _integer_conv,
        "ConvInteger": _dynamic_conv,
        **dict.fromkeys(("Gemm", "FusedGemm", "MatMul", "FusedMatMul"), _gemm),
        **dict.fromkeys(
            ("QGemm", "QLinearMatMul", "MatMulIntegerToFloat", "DynamicQuantizeMatMul", "MatMulInteger"), _integer_gemm
        ),
        **dict.fromkeys(("LSTM", "GRU", "RNN"), _recurrent),
        "QuantizeLinear": _quantize,
        "DynamicQuantizeLinear": _taken("quantize.range"),
        "DequantizeLinear": _dequantize,
        **dict.fromkeys(("QLinearAdd", "QLinearMul", "QLinearWhere"), _made("qbinary")),
        **dict.fromkeys(("QLinearSigmoid", "QLinearLeakyRelu"), _made("qtable")),
        "QLinearAveragePool": _integer_pool,
        "NhwcMaxPool": _made("qmax"),
        "QLinearGlobalAveragePool": _taken("qpool"),
        "QLinearSoftmax": _made("qsoftmax"),
        "QLinearConcat": _copy,
        **dict.fromkeys(
            "Relu Clip Neg Abs LeakyRelu HardSigmoid Sqrt Floor Ceil Round Reciprocal Sign Not PRelu Cast".split(), _made("unary")
        ),
        "Sigmoid": _made("sigmoid"),
        "Tanh": _made("tanh"),
        "Exp": _made("exp"),
        "Erf": _made("erf"),
        "QuickGelu": _made("silu"),
        **dict.fromkeys(("Gelu", "BiasGelu", "FastGelu"), _made("gelu")),
        "Pow": _made("pow"),
        **dict.fromkeys("Elu Selu Softplus Softsign Log Sin Cos Celu ThresholdedRelu".split(), _made("other")),
        **dict.fromkeys(
            "Add Mul Sub Div Max Min Sum Mean Mod Where Equal Greater Less GreaterOrEqual LessOrEqual And Or Xor".split(), _binary
        ),
        **dict.fromkeys("Reshape Flatten Squeeze Unsqueeze Identity Shape Size If Loop Scan".split(), _nothing),
        **dict.fromkeys("Concat Split Slice Gather Pad Expand Tile ConstantOfShape Range SpaceToDepth DepthToSpace".split(), _copy),
        "Transpose": _transpose,
        **dict.fromkeys(("ReorderInput", "ReorderOutput"), _reorder),
        **dict.fromkeys(("Softmax", "LogSoftmax"), _softmax),
        **dict.fromkeys(("LayerNormalization", "SkipLayerNormalization", "SimplifiedLayerNormalization"), _norm),
        **dict.fromkeys(("InstanceNormalization", "GroupNormalization", "LpNormalization", "LRN"), _made("instance")),
        "BatchNormalization": _made("batch"),
        **dict.fromkeys(
            "ReduceMean ReduceSum ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2 ReduceSumSquare".split(), _reduce
        ),
        **dict.fromkeys(("MaxPool", "AveragePool", "LpPool", "GlobalAveragePool", "GlobalMaxPool"), _pool),
        **dict.fromkeys(("Resize", "Upsample"), _resize),
        **dict.fromkeys(("ArgMax", "ArgMin", "CumSum"), _taken("scan")),
    }
)  # fmt: skip

MODEL = CostModel("onnxruntime", "cpu", TERMS, price, prefixes=("ort.",), once=_once, leads=True)
