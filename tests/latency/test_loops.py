"""Loops and recurrent ops are priced like the same network unrolled, and count all their rounds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import tflite
from onnx import NodeProto, TensorProto, helper, numpy_helper

from latlint.graph import Graph, read
from latlint.graph.onnx import read_onnx
from latlint.graph.tflite import read_tflite
from latlint.latency import engine
from latlint.latency.packs import load_targets
from latlint.latency.types import Prediction
from latlint.runtime import plan
from tests.graph.test_tflite import Body, Op, T, build, weights

STEPS, WIDTH, UNITS = 40, 32, 96
TARGETS = (
    "pixel-4/cpu-1large",
    "pixel-4/cpu-1large@xnnpack",
    "galaxy-s10/cpu-2large",
    "galaxy-a03s/cpu-1small",
    "iphone-xs/cpu-1large",
)
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


def predicted(graph: Graph, name: str) -> Prediction:
    target = load_targets()[name]
    return engine.predict(graph, plan(graph, target.processor), target, model="m", sha256="")


class Net:
    """An ONNX graph in the making."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []

    def op(self, kind: str, *inputs: str, count: int = 1, **attributes: object) -> str:
        made = [f"{kind}_{len(self.nodes)}_{number}" for number in range(count)]
        self.nodes.append(helper.make_node(kind, inputs, made, name=made[0], **attributes))
        return made[0] if count == 1 else " ".join(made)

    def constant(self, *shape: int, values: object = None) -> str:
        data = np.zeros(shape, np.float32) if values is None else np.asarray(values)
        self.constants.append(numpy_helper.from_array(data, f"constant_{len(self.constants)}"))
        return self.constants[-1].name

    def graph(self, *outputs: str) -> Graph:
        given = helper.make_tensor_value_info("x", TensorProto.FLOAT, (STEPS, 1, WIDTH))
        made = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
        model = helper.make_model(
            helper.make_graph(self.nodes, "net", [given], made, self.constants),
            opset_imports=[helper.make_opsetid("", 17)],
        )
        return read_onnx(model.SerializeToString(), "m.onnx")


def as_op(kind: str, directions: int) -> Graph:
    net, rows = Net(), GATES[kind] * UNITS
    parts = [net.constant(directions, rows, WIDTH), net.constant(directions, rows, UNITS)]
    direction = "forward" if directions == 1 else "bidirectional"
    return net.graph(net.op(kind, "x", *parts, hidden_size=UNITS, direction=direction))


def unrolled(kind: str, directions: int) -> Graph:
    """A step at a time, as PyTorch exports a loop over cells."""
    net, rows = Net(), GATES[kind] * UNITS
    steps = net.op("Split", "x", count=STEPS, axis=0).split()
    ends = []
    for _ in range(directions):
        own, other = net.constant(WIDTH, rows), net.constant(UNITS, rows)
        hidden = memory = net.constant(1, 1, UNITS)
        for step in steps:
            read, kept = net.op("MatMul", step, own), net.op("MatMul", hidden, other)
            hidden, memory = _CELLS[kind](net, read, kept, hidden, memory)
            ends.append(hidden)
    return net.graph(net.op("Concat", *ends, axis=0))


def _lstm(net: Net, read: str, kept: str, hidden: str, memory: str) -> tuple[str, str]:
    enter, leave, forget, new = net.op("Split", net.op("Add", read, kept), count=4, axis=2).split()
    memory = net.op(
        "Add",
        net.op("Mul", net.op("Sigmoid", forget), memory),
        net.op("Mul", net.op("Sigmoid", enter), net.op("Tanh", new)),
    )
    return net.op("Mul", net.op("Sigmoid", leave), net.op("Tanh", memory)), memory


def _gru(net: Net, read: str, kept: str, hidden: str, memory: str) -> tuple[str, str]:
    (a, b, c), (d, e, f) = (net.op("Split", each, count=3, axis=2).split() for each in (read, kept))
    reset, update = net.op("Sigmoid", net.op("Add", a, d)), net.op("Sigmoid", net.op("Add", b, e))
    new = net.op("Tanh", net.op("Add", c, net.op("Mul", reset, f)))
    mixed = net.op("Mul", net.op("Sub", net.constant(values=np.float32(1)), update), new)
    return net.op("Add", mixed, net.op("Mul", update, hidden)), memory


def _rnn(net: Net, read: str, kept: str, hidden: str, memory: str) -> tuple[str, str]:
    return net.op("Tanh", net.op("Add", read, kept)), memory


_CELLS = {"LSTM": _lstm, "GRU": _gru, "RNN": _rnn}


def as_while(*, loop: bool) -> Graph:
    """A Keras ``SimpleRNN`` as TensorFlow's converter writes it, or with ``unroll=True``."""
    whole, step, state = T((STEPS, 1, WIDTH)), T((1, WIDTH)), T((1, UNITS))
    own, other = weights(UNITS, WIDTH), weights(UNITS, UNITS)

    def cell(read: int, hidden: int, at: int, own: int, other: int) -> Iterator[Op]:
        yield Op("FULLY_CONNECTED", [read, own], [at])
        yield Op("FULLY_CONNECTED", [hidden, other], [at + 1])
        yield Op("ADD", [at, at + 1], [at + 2], ("AddOptions", {}))
        yield Op("TANH", [at + 2], [at + 3])

    if not loop:
        tensors = [whole, own, other, T((1, UNITS), "float32", np.zeros((1, UNITS), np.float32))]
        tensors += [step] * STEPS
        ops = [Op("UNPACK", [0], [4 + number for number in range(STEPS)], ("UnpackOptions", {"Num": STEPS, "Axis": 0}))]
        hidden = 3
        for number in range(STEPS):
            at = len(tensors)
            ops += cell(4 + number, hidden, at, 1, 2)
            tensors += [state] * 4
            hidden = at + 3
        return read_tflite(build(tensors, ops), "m.tflite")
    number, one = T((), "int32"), T((), "int32", np.asarray(1, "int32"))
    limit = T((), "int32", np.asarray(STEPS, "int32"))
    condition = Body([number, state, whole, limit, T((), "bool")], [Op("LESS", [0, 3], [4])], [0, 1, 2], [4])
    body = Body(
        [number, state, whole, one, number, step, own, other, *[state] * 4],
        [
            Op("ADD", [0, 3], [4], ("AddOptions", {})),
            Op("GATHER", [2, 0], [5], ("GatherOptions", {"Axis": 0})),
            *cell(5, 1, 8, 6, 7),
        ],
        [0, 1, 2],
        [4, 11, 2],
    )
    tensors = [
        whole,
        T((), "int32", np.asarray(0, "int32")),
        T((1, UNITS), "float32", np.zeros((1, UNITS), np.float32)),
    ]
    tensors += [number, state, whole]
    ops = [Op("WHILE", [1, 2, 0], [3, 4, 5], ("WhileOptions", {"CondSubgraphIndex": 1, "BodySubgraphIndex": 2}))]
    return read_tflite(build(tensors, ops, bodies=[condition, body]), "m.tflite")


def scanned() -> Graph:
    """``tanh(x w + h u) * sigmoid(x g)``, by a Scan."""
    net = Net()
    parts = [net.constant(WIDTH, UNITS), net.constant(UNITS, UNITS), net.constant(WIDTH, UNITS), net.constant(1, UNITS)]
    node = helper.make_node
    nodes = [
        node("MatMul", ["step", parts[0]], ["a"]), node("MatMul", ["h", parts[1]], ["b"]), node("Add", ["a", "b"], ["c"]),
        node("Tanh", ["c"], ["d"]), node("MatMul", ["step", parts[2]], ["e"]), node("Sigmoid", ["e"], ["f"]),
        node("Mul", ["d", "f"], ["next"]),
    ]  # fmt: skip
    value = helper.make_tensor_value_info
    body = helper.make_graph(
        nodes, "body", [value("h", 1, (1, UNITS)), value("step", 1, (1, WIDTH))], [value("next", 1, (1, UNITS))]
    )
    net.nodes.append(node("Scan", [parts[3], "x"], ["last"], name="scan", body=body, num_scan_inputs=1))
    return net.graph("last")


def stepped() -> Graph:
    net = Net()
    own, kept, gate = net.constant(WIDTH, UNITS), net.constant(UNITS, UNITS), net.constant(WIDTH, UNITS)
    hidden = net.constant(1, 1, UNITS)
    for step in net.op("Split", "x", count=STEPS, axis=0).split():
        new = net.op("Tanh", net.op("Add", net.op("MatMul", step, own), net.op("MatMul", hidden, kept)))
        hidden = net.op("Mul", new, net.op("Sigmoid", net.op("MatMul", step, gate)))
    return net.graph(hidden)


NETS = {
    "LSTM": (lambda: as_op("LSTM", 1), lambda: unrolled("LSTM", 1)),
    "bidirectional LSTM": (lambda: as_op("LSTM", 2), lambda: unrolled("LSTM", 2)),
    "GRU": (lambda: as_op("GRU", 1), lambda: unrolled("GRU", 1)),
    "RNN": (lambda: as_op("RNN", 1), lambda: unrolled("RNN", 1)),
    "Scan": (scanned, stepped),
    "WHILE": (lambda: as_while(loop=True), lambda: as_while(loop=False)),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", NETS)
def test_a_loop_takes_about_as_long_as_its_rounds_one_by_one(name: str) -> None:
    loop, twin = (make() for make in NETS[name])
    for target in TARGETS:
        one, other = predicted(loop, target), predicted(twin, target)
        assert not one.unknown and not other.unknown
        assert one.macs == pytest.approx(other.macs, rel=0.05)  # of the first step the state is a constant
        assert 1 / 1.5 < one.latency_ms / other.latency_ms < 1.5, target


#: What ONNX Runtime 1.32.0 takes for an op and for its steps one by one, in ms: one x86-64 core with AVX-512, its thread's own clock, the least of many runs.
ONNXRUNTIME: dict[tuple[str, int, int, int, int], tuple[float, float]] = {
    ("LSTM", 1, 50, 64, 128): (0.184, 0.451),
    ("LSTM", 1, 20, 128, 256): (0.304, 0.496),
    ("LSTM", 2, 50, 64, 64): (0.130, 0.628),
    ("LSTM", 1, 20, 16, 32): (0.013, 0.104),
    ("GRU", 1, 50, 64, 128): (0.151, 0.459),
    ("GRU", 1, 100, 40, 64): (0.101, 0.711),
    ("RNN", 1, 50, 64, 128): (0.082, 0.133),
}


@pytest.mark.slow
@pytest.mark.parametrize("what", ONNXRUNTIME, ids=str)
def test_onnxruntimes_recurrent_ops_and_small_nodes_take_what_was_measured(
    what: tuple[str, int, int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    kind, directions, *sizes = what
    for name, size in zip(("STEPS", "WIDTH", "UNITS"), sizes, strict=True):
        monkeypatch.setitem(globals(), name, size)
    for made, measured in zip((as_op, unrolled), ONNXRUNTIME[what], strict=True):
        found = predicted(made(kind, directions), "x86-64-avx512/cpu-1@onnxruntime")
        assert not found.unknown
        assert 1 / 1.5 < found.latency_ms / measured < 1.5, (made.__name__, found.latency_ms)


def fused(steps: int, width: int, units: int) -> Graph:
    """A Keras ``LSTM`` as TensorFlow's converter writes it."""
    tensors = [T((1, steps, width)), *[weights(units, width)] * 4, *[weights(units, units)] * 4, *[weights(units)] * 4]
    tensors += [*[T((1, units), variable=True)] * 2, T((1, steps, units))]
    inputs = [*range(9), -1, -1, -1, *range(9, 13), -1, -1, 13, 14]
    options = ("UnidirectionalSequenceLSTMOptions", {"FusedActivationFunction": tflite.ActivationFunctionType.TANH})
    op = Op("UNIDIRECTIONAL_SEQUENCE_LSTM", inputs, [15], options)
    return read_tflite(build(tensors, [op], outputs=[15]), "m.tflite")


def one_by_one(steps: int, width: int, units: int) -> Graph:
    """The same with ``unroll=True``."""
    tensors = [T((steps, 1, width)), weights(4 * units, width), weights(4 * units, units), weights(4 * units)]
    tensors += [T((), "int32", np.asarray(1, "int32")), weights(1, units), *[T((1, width))] * steps]
    ops = [Op("UNPACK", [0], range(6, 6 + steps), ("UnpackOptions", {"Num": steps, "Axis": 0}))]

    def run(code: str, *inputs: int, size: int = units, count: int = 1, **fields: int) -> list[int]:
        made = list(range(len(tensors), len(tensors) + count))
        tensors.extend([T((1, size))] * count)
        kind = {"SPLIT": "Split", "FULLY_CONNECTED": "FullyConnected", "ADD": "Add", "MUL": "Mul"}.get(code)
        ops.append(Op(code, inputs, made, (f"{kind}Options", fields) if kind else None))
        return made

    hidden, memory, ends = 5, 5, []
    for step in range(6, 6 + steps):
        products = [
            *run("FULLY_CONNECTED", step, 1, size=4 * units),
            *run("FULLY_CONNECTED", hidden, 2, size=4 * units),
        ]
        biased = run("ADD", *run("ADD", *products, size=4 * units), 3, size=4 * units)
        enter, forget, new, leave = run("SPLIT", 4, *biased, count=4, NumSplits=4)
        kept = run("MUL", *run("LOGISTIC", forget), memory)
        (memory,) = run("ADD", *kept, *run("MUL", *run("LOGISTIC", enter), *run("TANH", new)))
        (hidden,) = run("MUL", *run("LOGISTIC", leave), *run("TANH", memory))
        ends.append(hidden)
    tensors.append(T((1, steps, units)))
    ops.append(Op("PACK", ends, [len(tensors) - 1], ("PackOptions", {"ValuesCount": steps, "Axis": 1})))
    return read_tflite(build(tensors, ops, outputs=[len(tensors) - 1]), "m.tflite")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("steps", "width", "units", "least"), [(30, 16, 16, 0.55), (20, 32, 32, 0.65), (20, 64, 128, 0.75), (4, 128, 256, 0.9)]
)  # fmt: skip
def test_a_fused_lstm_takes_about_as_long_as_its_steps_one_by_one(
    steps: int, width: int, units: int, least: float
) -> None:
    """LiteRT 2.3 on x86-64 takes 0.55, 0.67, 0.94, 0.97 times as long for so many units; where XNNPACK runs the steps, which takes half as long for few
    units, 1.27, 1.27, 1.40 (wide ones its AVX-512 kernels run slower)."""
    op, twin = fused(steps, width, units), one_by_one(steps, width, units)
    for target in TARGETS:
        one, other = predicted(op, target), predicted(twin, target)
        assert not one.unknown and not other.unknown
        assert one.macs == other.macs
        assert least < one.latency_ms / other.latency_ms < 1.5, target


#: Networks of ordinary sizes by Keras (``make_recurrent.py``): between which ratios of loop over twin predictions with built-in kernels are, and what LiteRT 2.3
#: takes on x86-64 (processor time, the least of many). A WHILE that returns all its steps copies them in each round. int8: Arm has vector code for what x86-64
#: works out one by one.
ORDINARY: dict[str, tuple[float, float, float]] = {
    "lstm_50_64_128_last": (0.75, 0.9, 0.97),
    "lstm_20_128_256_last": (0.9, 1.05, 1.22),
    "gru_50_64_128_last": (0.95, 1.1, 1.08),
    "gru_20_128_256_last": (0.95, 1.1, 1.26),
    "gru_100_40_64_all": (1.6, 2.1, 2.36),
    "bilstm_50_64_64_last": (0.66, 0.75, 0.85),
    "lstm_50_64_128_last_int8": (0.85, 1.0, 2.27),
}


@pytest.fixture(scope="module")
def recurrent(archived: Callable[[Path], Path]) -> Path:
    return archived(Path(__file__).with_name("recurrent.tar.xz"))


@pytest.mark.slow
@pytest.mark.parametrize("name", ORDINARY)
def test_ordinary_recurrent_networks_take_about_as_long_as_unrolled(recurrent: Path, name: str) -> None:
    least, most, measured = ORDINARY[name]
    loop, twin = (read(recurrent / f"{name}{form}.tflite") for form in ("", "_unrolled"))
    ratios = []
    for target in TARGETS:
        if not target.endswith("@xnnpack"):
            one, other = predicted(loop, target), predicted(twin, target)
            assert not one.unknown and not other.unknown
            ratios.append(one.latency_ms / other.latency_ms)
    assert least < min(ratios) and max(ratios) < most, ratios
    if "int8" not in name:
        assert all(1 / 1.5 < ratio / measured < 1.5 for ratio in ratios), ratios


def test_on_one_thread_a_small_op_takes_xnnpack_less_than_the_built_in_kernels() -> None:
    twin = one_by_one(40, 8, 8)
    for target in ("pixel-4/cpu-1large", "galaxy-a03s/cpu-1small", "iphone-xs/cpu-1large"):
        assert predicted(twin, f"{target}@xnnpack").latency_ms < predicted(twin, target).latency_ms, target


def test_kernels_in_a_loop_count_all_rounds() -> None:
    prediction = predicted(scanned(), "pixel-4/cpu-1large")
    products = [kernel for kernel in prediction.kernels if kernel.macs]
    assert [kernel.macs for kernel in products] == [STEPS * width * UNITS for width in (WIDTH, UNITS, WIDTH)]
    assert prediction.macs == sum(kernel.macs for kernel in prediction.kernels)
    assert all(kernel.bytes >= STEPS * 4 * UNITS for kernel in products)
    assert all(f"run {STEPS} times, once in each round of its loop" in kernel.explain for kernel in products)


@pytest.mark.parametrize(
    ("runtime", "taken"),
    [("litert-2.3/xnnpack", True), ("tflite-2.15/xnnpack", False), ("tflite-2.10/gpu-delegate", False)],
)
def test_which_delegates_reach_into_the_body_of_a_loop(runtime: str, taken: bool) -> None:
    """XNNPACK of LiteRT 2.3 does: what a loop computes has other last bits than by the built-in kernels. TensorFlow 2.15.1's does not."""
    graph = as_while(loop=True)
    name = "pixel-4/gpu" if "gpu" in runtime else "pixel-4/cpu-1large@xnnpack"
    processor = load_targets()[name].processor._replace(runtime=runtime)
    found = plan(graph, processor)
    executors = {
        found.partitions[kernel.partition].executor for kernel in found.kernels if kernel.op == "fully_connected"
    }
    assert executors == ({"xnnpack"} if taken else {"builtin"})
