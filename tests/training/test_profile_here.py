"""Networks that are generated to be timed, and the pack of this machine that comes of it."""

from __future__ import annotations

import hashlib
import itertools
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

import numpy as np
import pytest

from latlint.cli import main
from latlint.errors import LatlintError
from latlint.graph import read
from latlint.latency.engine import times, workload
from latlint.latency.models import xnnpack
from latlint.latency.packs import Pack, read_pack, write_pack
from latlint.runtime import plan
from latlint.runtime.types import Kernel, Plan
from latlint.training import blocks, profile_here
from latlint.training.clock import Timing
from latlint.training.generate import Network
from latlint.training.profile_here import COLUMNS, RUNTIME, build_pack, processor

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def litert(lacking: Callable[[str], NoReturn]) -> ModuleType:
    """LiteRT's interpreter, which measures."""
    try:
        return import_module("ai_edge_litert.interpreter")
    except ImportError:
        lacking("measuring needs LiteRT, an optional package: pip install ai-edge-litert")


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Fragments at the lowest resolutions of every kind of block: the fastest to make and to run."""
    directory = tmp_path_factory.mktemp("networks")
    paths = []
    for name, content in blocks.generated(lambda name: name.endswith(("-7", "-14", "-net0"))):
        paths.append(directory / f"{name}.tflite")
        paths[-1].write_bytes(content)
    return paths


def planned(path: Path) -> Plan:
    return plan(read(path), processor())


def planned_network(network: Network, output: int, directory: Path) -> Plan:
    path = directory / "network.tflite"
    path.write_bytes(network.finish(output))
    return planned(path)


ONE_OP: dict[str, tuple[Callable[[Network, int], int], str, str]] = {
    "conv2d": (lambda net, x: net.conv2d(x, 24, 3, 2, "relu6"), "xnnpack", "igemm"),
    "conv2d 1x1": (lambda net, x: net.conv2d(x, 24), "xnnpack", "gemm"),
    "conv2d 1x1 stride 2": (lambda net, x: net.conv2d(x, 24, 1, 2), "xnnpack", "igemm"),
    "conv2d grouped": (lambda net, x: net.conv2d(x, 24, 3, groups=4), "xnnpack", "igemm"),
    "depthwise_conv2d": (lambda net, x: net.depthwise_conv2d(x, 5, 2), "xnnpack", "dwconv"),
    "add": (lambda net, x: net.add(x, x, "relu"), "xnnpack", "vadd"),
    "mul": (lambda net, x: net.mul(x, x), "xnnpack", "vmul"),
    "max_pool2d": (lambda net, x: net.max_pool2d(x, 3, 2), "xnnpack", "maxpool"),
    "average_pool2d": (lambda net, x: net.average_pool2d(x, 2, 2), "xnnpack", "avgpool"),
    "average_pool2d, stride above kernel": (lambda net, x: net.average_pool2d(x, 1, 2), "builtin", "average_pool2d"),
    "mean": (lambda net, x: net.mean(x), "xnnpack", "gavgpool"),
    "concat of five": (lambda net, x: net.concat(x, x, x, x, x), "xnnpack", "concatenate"),
    "concat of six": (lambda net, x: net.concat(x, x, x, x, x, x), "builtin", "concatenation"),
    "pad": (lambda net, x: net.pad(x), "xnnpack", "pad"),
    "hard_swish": (lambda net, x: net.hard_swish(x), "xnnpack", "vhswish"),
    "sigmoid": (lambda net, x: net.sigmoid(x), "xnnpack", "vsigmoid"),
    "relu": (lambda net, x: net.relu(x), "xnnpack", "vclamp"),
    "softmax": (lambda net, x: net.softmax(x), "xnnpack", "softmax"),
    "gelu": (lambda net, x: net.gelu(x), "xnnpack", "vgelu"),
    "batch_matmul": (lambda net, x: net.batch_matmul(x, x), "xnnpack", "gemm"),
    "transpose": (lambda net, x: net.transpose(x, 0, 3, 1, 2), "xnnpack", "transpose"),
    "reshape": (lambda net, x: net.reshape(x, 1, 256, 16), "xnnpack", "copy"),
    "fully_connected": (lambda net, x: net.fully_connected(x, 24), "xnnpack", "gemm"),
}


@pytest.mark.parametrize("name", ONE_OP)
def test_a_generated_op_is_read_and_runs_where_litert_runs_it(name: str, tmp_path: Path) -> None:
    build, executor, implementation = ONE_OP[name]
    network = Network((1, 16, 16, 16))
    output = build(network, network.inputs[0])
    found = planned_network(network, output, tmp_path)
    assert [kernel.implementation for kernel in found.kernels] == [implementation]
    assert found.kernels[0].op == name.partition(" ")[0].rstrip(",")
    assert found.kernels[0].outputs == (network.shape(output),)
    assert [partition.executor for partition in found.partitions] == [executor]


def test_a_fully_connected_layer_is_a_product(tmp_path: Path) -> None:
    network = Network((1, 16))
    (kernel,) = planned_network(network, network.fully_connected(network.inputs[0], 10), tmp_path).kernels
    assert (kernel.op, kernel.implementation, kernel.macs) == ("fully_connected", "gemm", 160)


def test_a_map_of_one_row_is_filtered_over_time(tmp_path: Path) -> None:
    network = Network((1, 1, 64, 16))
    (kernel,) = planned_network(network, network.conv2d(network.inputs[0], 24, 7, 2), tmp_path).kernels
    assert (kernel.attributes["kernel"], kernel.outputs) == ((1, 7), ((1, 1, 32, 24),))


def test_a_prelu_is_spelt_out(tmp_path: Path) -> None:
    """XNNPACK takes the product alone."""
    network = Network((1, 16, 16, 8))
    found = planned_network(network, network.prelu(network.inputs[0]), tmp_path)
    ran = [(found.partitions[kernel.partition].executor, kernel.op) for kernel in found.kernels]
    assert ran == [("builtin", "greater"), ("xnnpack", "mul"), ("builtin", "select")]


def test_groups_must_divide_the_channels() -> None:
    network = Network((1, 8, 8, 12))
    with pytest.raises(ValueError, match="5 groups do not divide"):
        network.conv2d(network.inputs[0], 20, 3, groups=5)


def test_the_same_files_come_out_every_time() -> None:
    def some() -> list[tuple[str, str]]:
        found = itertools.islice(blocks.generated(), 5)
        return [(name, hashlib.sha256(content).hexdigest()) for name, content in found]

    first = some()
    assert first == some()
    assert len({digest for _, digest in first}) == 5


def test_what_published_networks_run_is_what_is_timed(corpus: Path, networks: list[Path]) -> None:
    def kernels(paths: list[Path]) -> set[tuple[str, str]]:
        plans = [planned(path) for path in paths]
        return {
            (each.partitions[kernel.partition].executor, kernel.implementation)
            for each in plans
            for kernel in each.kernels
            if not kernel.free
        }

    rare = {("xnnpack", "slice"), ("xnnpack", "pad"), ("builtin", "average_pool2d"), ("builtin", "resize_nearest")}
    published = kernels(sorted((corpus / "tflite_fp32").glob("*.tflite")))
    assert published - kernels(networks) <= rare


def true_costs() -> np.ndarray[Any, np.dtype[np.float64]]:
    """A machine seven times as fast as the priors' core, with slow memory."""
    return COLUMNS.terms.prior / 7 * np.where(["memory" in name for name in COLUMNS.names], 3, 1)


def made_up(networks: list[Path]) -> list[Timing]:
    found = []
    for path in networks:
        total = COLUMNS.counts(workload(planned(path))) @ true_costs()
        found.append(Timing((total * 1.1, total, total * 1.02)))
    return found


def total_ms(pack: Pack, path: Path) -> float:
    (target,) = pack.targets()
    found = times(workload(plan(read(path), target.processor)), target)
    return float(found.kernels.sum()) + found.overhead_ms


def test_a_pack_predicts_networks_that_it_was_not_fitted_to(networks: list[Path]) -> None:
    fitted, others = networks[::2], networks[1::2]
    pack = build_pack(fitted, made_up(fitted), device="mine", threads=1)
    assert [target.name for target in pack.targets()] == ["mine/cpu-1thread"]
    for path, timing in zip(others, made_up(others), strict=True):
        assert total_ms(pack, path) == pytest.approx(timing.best_ns * 1e-6, rel=0.15), path


def test_the_card_tells_the_spread_of_the_measurements_and_what_they_cover(networks: list[Path]) -> None:
    card = build_pack(networks, made_up(networks), device="mine", threads=2).card
    found = card["processors"]["cpu-2thread"]
    assert found["processor"]["runtime"] == RUNTIME
    assert found["processor"]["threads"] == 2
    assert found["accuracy"]["float32"]["noise_percent"] == pytest.approx(2.0)
    assert sum(each["models"] for each in found["accuracy"].values()) == len(networks)
    assert set(found["accuracy"]["int8"]["by_family_percent"]) == {*blocks.QUANTISED}
    assert found["interval"].keys() == {"float32", "int8"}
    assert set(found["accuracy"]["float32"]["by_family_percent"]) == {*blocks.BLOCKS, "audio", "transformer"}
    assert "xnn.wide.macs" in card["covers"]["cpu"]["measured_terms"]
    assert "xnn.q8.macs" in card["covers"]["cpu"]["measured_terms"]


def product(channels: int, implementation: str, groups: int = 1, size: int = 28) -> Kernel:
    taps = 1 if implementation == "gemm" else 9
    return Kernel(
        op="conv2d",
        implementation=implementation,
        nodes=(0,),
        inputs=((1, size, size, 64),),
        outputs=((1, size, size, channels),),
        attributes={"kernel": (3, 3) if taps == 9 else (1, 1), "groups": groups},
        macs=size * size * channels * taps * 64 // groups,
    )


@pytest.mark.parametrize(
    ("channels", "implementation", "padded", "tile"),
    [
        (16, "gemm", 16, "narrow"),
        (24, "gemm", 32, "narrow"),
        (32, "gemm", 32, "wide"),
        (80, "gemm", 80, "narrow"),
        (80, "igemm", 96, "wide"),
        (88, "gemm", 96, "wide"),
    ],
)
def test_products_run_in_whole_tiles(channels: int, implementation: str, padded: int, tile: str) -> None:
    found = xnnpack.price(product(channels, implementation))
    assert found is not None
    depth = 64 if implementation == "gemm" else 64 * 9
    assert found[f"xnn.{tile}.macs"] == 28 * 28 * padded * depth
    assert f"xnn.{'wide' if tile == 'narrow' else 'narrow'}.macs" not in found


def test_each_group_has_tiles_of_its_own() -> None:
    found = xnnpack.price(product(64, "igemm", groups=8))
    assert found is not None
    assert found["xnn.narrow.macs"] == 28 * 28 * 9 * 8 * (8 * 16)


def test_without_litert_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    with pytest.raises(LatlintError, match="pip install ai-edge-litert") as error:
        profile_here.profile_here(tmp_path / "pack")
    assert "\n" not in error.value.message
    assert not (tmp_path / "pack").exists()


def test_generated_networks_are_delegated_as_litert_does(networks: list[Path], litert: ModuleType) -> None:
    for path in networks:
        interpreter = litert.Interpreter(model_path=str(path), num_threads=1)
        interpreter.allocate_tensors()
        ops = interpreter._get_ops_details()
        found = planned(path)
        executors = [partition.executor for partition in found.partitions]
        assert sum(op["op_name"] == "DELEGATE" for op in ops) == executors.count("xnnpack"), path


@pytest.mark.usefixtures("litert")
def test_this_machine_is_measured_and_its_pack_predicts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, networks: list[Path]
) -> None:
    kinds = ("plain", "separable", "fire")
    few = [path for path in networks if path.stem.startswith(kinds)]
    monkeypatch.setattr(profile_here, "generated", lambda: ((path.stem, path.read_bytes()) for path in few))
    seen: list[tuple[int, int, str]] = []
    profile_here.profile_here(tmp_path, budget_s=3, progress=lambda *step: seen.append(step))
    assert [done for done, _, _ in seen] == list(range(1, 3 * len(few) + 1))
    assert {total for _, total, _ in seen} == {3 * len(few)}
    pack = read_pack(tmp_path)
    ratios = [
        total_ms(pack, path) / (timing.best_ns * 1e-6)
        for path, timing in zip(few, profile_here.measure(few, budget_s=2, passes=1), strict=True)
    ]
    # a machine that others use may be slow for a second or two
    assert 0.5 < float(np.median(ratios)) < 2


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((), "Missing argument 'MEASUREMENTS...'"),
        (("times.csv",), "Missing option '--device'"),
        (("times.csv", "--device", "mine"), "Missing option '--processor'"),
        (("times.csv", "--profile-here"), "--profile-here measures for itself"),
        (("--profile-here", "--device", "a/b"), "expected letters, digits, dots and dashes"),
    ],
)
def test_either_measurements_or_this_machine(
    args: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["pack", "build", *args, "--output", str(tmp_path / "pack")]) == 2
    assert message in capsys.readouterr().err


def test_the_command_line_measures_this_machine(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, networks: list[Path]
) -> None:
    def measured(output: Path, **options: Any) -> Pack:
        options["progress"](1, 2, "plain-7")
        pack = build_pack(networks, made_up(networks), device=options["device"], threads=options["threads"])
        write_pack(pack, output)
        return pack

    monkeypatch.setattr(profile_here, "interpreter_class", lambda: None)
    monkeypatch.setattr(profile_here, "profile_here", measured)
    command = ["pack", "build", "--profile-here", "--output", str(tmp_path / "pack"), "--threads", "2"]
    assert main(command) == 0
    assert f"this-host/cpu-2thread from {len(networks)} generated networks" in capsys.readouterr().out
    assert [target.name for target in read_pack(tmp_path / "pack").targets()] == ["this-host/cpu-2thread"]
    assert main(command) == 2
    assert "--force replaces the pack" in capsys.readouterr().err
    assert main([*command, "--force", "--format", "json"]) == 0
    assert '"target": "this-host/cpu-2thread"' in capsys.readouterr().out
