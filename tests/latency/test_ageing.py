"""Packs of other versions, and processors of kinds that no pack has yet."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import latlint
from latlint.data import data_dir
from latlint.errors import LatlintError
from latlint.graph.types import Graph, Node, Tensor
from latlint.latency import catalogue, engine, models
from latlint.latency.costs import UnpricedError, costs
from latlint.latency.models import model_of
from latlint.latency.packs import Pack, Target, load_targets, read_pack, vocabulary, write_pack
from latlint.runtime.types import Kernel, Partition, Plan

OLD = Path(__file__).with_name("pack_of_0_1")
WANTED: dict[str, list[float]] = json.loads((OLD / "predictions.json").read_text("utf-8"))


def numbers(path: Path, target: str, pack: Path) -> list[float | None]:
    (found,) = latlint.predict(path, target, packs=[pack])
    return [found.latency_ms, found.low_ms, found.high_ms, found.coverage, found.overhead_ms]


@pytest.mark.parametrize(
    "case", [case for case in WANTED if not case.startswith(("one_gelu", "vit_tiny", "shufflenet"))]
)
def test_a_pack_that_0_1_built_predicts_what_it_did(case: str, model: Callable[[str], Path]) -> None:
    """``predictions.json`` was written by 0.1 (162dccc) with this pack: costs at random, terms of the GPU in another order.

    What a transformer is made of is counted in terms that came later, and a SPLIT is more than a concatenation since it was measured.
    """
    name, target = case.split()
    assert numbers(model(name), target, OLD) == pytest.approx(WANTED[case], rel=1e-9, abs=1e-12)


def without(pack: Pack, kind: str, lost: set[str]) -> Pack:
    """``pack`` as if built by a version that does not know some terms."""
    names = pack.card["terms"][kind]
    keep = [at for at, name in enumerate(names) if name not in lost]
    assert len(keep) == len(names) - len(lost) > 0
    arrays = dict(pack.arrays)
    for processor in pack.card["processors"].values():
        if processor["processor"]["kind"] == kind:
            arrays[processor["theta"]] = pack.arrays[processor["theta"]][keep]
    return Pack({**pack.card, "terms": {**pack.card["terms"], kind: [names[at] for at in keep]}}, arrays)


@pytest.mark.parametrize("lost", ["f32.softmax", "f32.matmul.elements", "i8.row.macs"])
def test_a_term_that_a_pack_lacks_costs_what_an_unexercised_one_does(lost: str, tmp_path: Path) -> None:
    """None of these was exercised by the networks that bundled packs are made from: training gave them the prior at the core's speed."""
    whole = read_pack(data_dir("predictors") / "galaxy-s10")
    write_pack(without(whole, "cpu", {lost}), tmp_path)
    older = {target.key: target for target in read_pack(tmp_path).targets()}
    model = model_of("builtin")
    for target in whole.targets():
        if target.host:
            np.testing.assert_allclose(older[target.key].costs(model), target.costs(model), rtol=1e-6)


def test_a_term_that_a_pack_lacks_goes_with_the_speed_and_the_threads() -> None:
    """Where all that is known was measured, the speed is that of the median term."""
    model = model_of("builtin")
    known = {name: 2 * term.prior_ns * 4**-term.parallel for name, term in model.terms.items() if "conv" in name}
    found = dict(zip(model.names, costs(model, known, list(known), threads=4), strict=True))
    for name, term in model.terms.items():
        assert found[name] == pytest.approx(2 * term.prior_ns * 4**-term.parallel), name


def test_what_has_no_prior_does_not_tell_a_speed() -> None:
    """Such terms give a sum its shape; a pack may pay anything for them."""
    model = model_of("gpu")
    assert model.terms["conv.pixels"].prior_ns == 0 and model.terms["conv.taps"].prior_ns == 0
    known = {"conv.pixels": 5.0, "conv.taps": 0.1} | {
        name: 3 * model.terms[name].prior_ns for name in ("conv.macs", "conv.input")
    }
    found = dict(zip(model.names, costs(model, known, [], threads=1), strict=True))
    assert found["conv.output"] == pytest.approx(3 * model.terms["conv.output"].prior_ns)


def test_costs_that_are_nothing_do_not_tell_a_speed() -> None:
    model = model_of("gpu")
    known = dict.fromkeys(model.names[:-1], 0.0)
    found = costs(model, known, [], threads=1)
    assert found[-1] == model.terms[model.names[-1]].prior_ns
    assert not found[:-1].any()


def test_a_pack_without_any_of_a_models_terms_cannot_price_it() -> None:
    with pytest.raises(UnpricedError, match="no costs for kernels that run on 'xnnpack'"):
        costs(model_of("xnnpack"), {"f32.call": 1.0}, [], threads=1)


def test_only_the_terms_of_executors_that_occur_are_asked_for(
    pack: Pack, tmp_path: Path, model: Callable[[str], Path]
) -> None:
    """The toy pack's CPU runs built-in kernels: costs of XNNPACK's are not missed."""
    xnnpack = {name for name in pack.card["terms"]["cpu"] if name.startswith("xnn.")}
    older = without(pack, "cpu", xnnpack)
    write_pack(older, tmp_path / "older")
    write_pack(pack, tmp_path / "pack")
    path = model("mobilenet_v2.tflite")
    for target in ("toy/cpu-1large", "toy/gpu"):
        assert numbers(path, target, tmp_path / "older") == numbers(path, target, tmp_path / "pack")
    with pytest.raises(LatlintError, match=r"terms\.cpu: no costs for kernels that run on 'xnnpack'") as caught:
        next(t for t in read_pack(tmp_path / "older").targets() if t.host).costs(model_of("xnnpack"))
    assert caught.value.code == "LAT901"


def test_a_pack_is_of_the_oldest_format_that_holds_it(pack: Pack, tmp_path: Path) -> None:
    def written(card: dict[str, Any]) -> str:
        write_pack(replace(pack, card=card), tmp_path)
        return str(json.loads((tmp_path / "card.json").read_text("utf-8"))["schema"])

    assert written(dict(pack.card)) == "latlint.pack/1"
    cpu = {key: {"cpu": pack.card[key]["cpu"]} for key in ("terms", "covers")}
    processors = {"cpu-1large": pack.card["processors"]["cpu-1large"]}
    alone = {**pack.card, **cpu, "processors": processors, "forests": {}}
    assert written(alone) == "latlint.pack/2"
    several = {**pack.card, "processors": {**pack.card["processors"], "cpu-1large@xnnpack": processors["cpu-1large"]}}
    assert written(several) == "latlint.pack/2"
    assert [target.key for target in read_pack(tmp_path).targets()] == ["cpu-1large", "cpu-1large@xnnpack", "gpu"]


def test_a_pack_of_a_newer_format_is_refused_with_what_to_do(pack: Pack, tmp_path: Path) -> None:
    write_pack(pack, tmp_path)
    card = tmp_path / "card.json"
    text = card.read_text("utf-8")
    card.write_text(text.replace("latlint.pack/1", f"latlint.pack/{catalogue.FORMAT + 1}"), "utf-8")
    for read in (read_pack, lambda directory: load_targets([directory])):
        with pytest.raises(LatlintError, match=f"reads up to {catalogue.FORMAT}: update latlint") as caught:
            read(tmp_path)
        assert (caught.value.code, caught.value.path) == ("LAT901", str(card))


def test_a_tree_that_corrects_without_end_gives_a_finite_time(pack: Pack, tmp_path: Path) -> None:
    """A pack within all bounds, one by one: together they were too much."""
    huge = {**pack.arrays, "gpu/theta": np.full(len(pack.arrays["gpu/theta"]), 1e15)}
    huge["gpu/conv/number"] = np.array([64, 690, 690], np.float32)
    card = json.loads(json.dumps(pack.card))
    card["processors"]["gpu"]["queue"] = {"scale": 1e15, "dispatch_ms": 1e15, "start_ms": 1e15, "copy_gb_per_s": 1e-300}
    write_pack(Pack(card, huge), tmp_path)
    (target,) = (target for target in read_pack(tmp_path).targets() if target.key == "gpu")
    conv = Kernel("conv2d", "convolution_2d", (0,), ((1, 14, 14, 32),), ((1, 14, 14, 64),), macs=14 * 14 * 32 * 64)
    plan = Plan("r", "gpu", "float32", (conv,), (Partition("gpu", 1),))
    with np.errstate(all="raise"):
        found = engine.predict(GRAPH, plan, target, model="m", sha256="")
    assert np.isfinite([found.latency_ms, found.low_ms, found.high_ms, found.chance_above(1.0)]).all()


# A processor of another kind: a cost model of three terms, and a pack.

MODEL = """
from latlint.latency.terms import CostModel, Term


def price(kernel):
    if kernel.op == "unknown":
        return None
    return {"tpu.launch": 1.0, "tpu.macs": float(kernel.macs), "tpu.bytes": float(kernel.bytes)}


MODEL = CostModel("tpu", "tpu", {"tpu.launch": Term(1000), "tpu.macs": Term(0.001), "tpu.bytes": Term(0.1)}, price, ("tpu.",))
"""
GRAPH = Graph(
    name="by hand",
    format="tflite",
    nodes=tuple(Node(i, f"n{i}", "conv2d", "CONV_2D", (i,), (i + 1,)) for i in range(3)),
    tensors=tuple(Tensor(f"t{i}", (1, 8, 8, 16), "float32") for i in range(4)),
    inputs=(0,),
    outputs=(3,),
    dialect="tflite",
)
SHAPE = ((1, 8, 8, 16),)
INTERVAL = {"int8": {"level": 0.9, "low": -0.1, "high": 0.1}}


@pytest.fixture
def tpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A cost model in a file of its own, among the others."""
    (tmp_path / "tpu.py").write_text(MODEL, "utf-8")
    monkeypatch.setattr(models, "__path__", [*models.__path__, str(tmp_path)])
    model_of.cache_clear()
    yield
    model_of.cache_clear()
    sys.modules.pop("latlint.latency.models.tpu", None)


def with_tpu(pack: Pack) -> Pack:
    """The toy phone with a TPU for each of two runtimes, one for each dialect."""
    facts = {"kind": "tpu", "vendor": "acme", "generation": "", "precision": "int8", "threads": 1}
    queue = {"scale": 1.0, "dispatch_ms": 0.0, "start_ms": 0.5, "copy_gb_per_s": 2.0}
    tpus = {
        f"tpu@{name}": {
            "processor": {**facts, "runtime": f"{name}-1/tpu"},
            "theta": f"{name}/theta",
            "interval": INTERVAL,
            "queue": queue,
            "fallback": "cpu-1large",
        }
        for name in ("litert", "onnxruntime")
    }
    names = vocabulary(model_of("tpu"))["terms"]
    card = {
        **pack.card,
        "processors": {**pack.card["processors"], **tpus},
        "defaults": {"tpu": {"tflite": "litert", "onnx": "onnxruntime"}},
        "terms": {**pack.card["terms"], **names},
        "covers": {
            **pack.card["covers"],
            "tpu": {"measured_terms": names["tpu"], "envelope": {"conv:int8": [[0] * 6, [20] * 6]}},
        },
    }
    costs = {"litert/theta": np.array([1e6, 0.01, 0.5]), "onnxruntime/theta": np.array([2e6, 0.01, 0.5])}
    return Pack(card, {**pack.arrays, **costs})


@pytest.fixture
def targets(pack: Pack, tmp_path: Path, tpu: None) -> dict[str, Target]:
    write_pack(with_tpu(pack), tmp_path / "toy")
    return {target.name: target for target in read_pack(tmp_path / "toy").targets()}


def test_a_target_whose_runtime_follows_the_file(targets: dict[str, Target], tmp_path: Path, tpu: None) -> None:
    assert {"toy/tpu", "toy/tpu@litert", "toy/tpu@onnxruntime"} <= targets.keys()
    assert {"toy/tpu", "toy/tpu@litert"} <= catalogue.find_targets([tmp_path / "toy"]).keys()
    given = targets["toy/tpu"]
    assert given.defaults == {"tflite": "litert", "onnx": "onnxruntime"}
    assert not isinstance(given, Target) and not hasattr(given, "card")  # which of the two, only a file can say
    for dialect, runtime in (("tflite", "litert-1/tpu"), ("onnx", "onnxruntime-1/tpu")):
        found = given.for_dialect(dialect)
        assert (found.name, found.runtime, found.host) == ("toy/tpu", runtime, False)
        assert found.for_dialect(dialect) is found
        assert targets["toy/tpu@litert"].for_dialect(dialect).runtime == "litert-1/tpu"
    with pytest.raises(LatlintError, match="toy/tpu runs onnx, tflite, not pte"):
        given.for_dialect("pte")
    assert (found.processor.name, found.processor.kind) == ("tpu", "tpu")


def split(*kernels: Kernel) -> Plan:
    partitions = (Partition("tpu", 1, 1024, 2048), Partition("builtin", 1), Partition("tpu", 1, 2048, 1024))
    return Plan("litert-1/tpu", "tpu", "int8", kernels, partitions)


def test_a_model_split_between_another_kind_and_the_host_is_priced_by_parts(targets: dict[str, Target]) -> None:
    target = targets["toy/tpu"].for_dialect("tflite")
    conv = Kernel(
        "conv2d", "conv", (0,), SHAPE, SHAPE, input_dtype="int8", output_dtype="int8", macs=10**6, weight_bytes=2304
    )
    host = Kernel("add", "add", (1,), SHAPE * 2, SHAPE, partition=1, input_dtype="int8", output_dtype="int8")
    work = engine.workload(split(conv, host, conv._replace(nodes=(2,), partition=2)))
    assert [(part.model.executor, part.positions, part.host) for part in work.parts] == [
        ("tpu", (0, 2), False),
        ("builtin", (1,), True),
    ]
    found = engine.predict(GRAPH, work.plan, target, model="m", sha256="", work=work)
    each = (1e6 + 0.01 * 10**6 + 0.5 * (2 * 1024 + 2304)) * 1e-6
    alone = engine.times(
        engine.workload(Plan("r", "c", "int8", (host._replace(partition=0),), (Partition("builtin", 1),))),
        targets["toy/cpu-1large"],
    )
    assert [kernel.latency_ms for kernel in found.kernels] == pytest.approx([each, alone.kernels[0], each])
    assert [kernel.source for kernel in found.kernels] == ["predicted", "derived", "predicted"]
    crossed = (1024 + 2048) * 2 * 1e-6 / 2.0
    assert found.border_ms == pytest.approx(0.5 * 2 * 0.5 + crossed)
    assert found.overhead_ms == pytest.approx(0.5 + found.border_ms)
    assert [part.processor for part in found.partitions] == ["tpu", "builtin", "tpu"]


def test_kernels_of_a_processor_that_the_target_has_not_are_an_error(targets: dict[str, Target]) -> None:
    gpu = Plan("r", "gpu", "float32", (Kernel("add", "add", (0,), SHAPE, SHAPE),), (Partition("gpu", 1),))
    for name in ("toy/cpu-1large", "toy/tpu@litert"):
        with pytest.raises(LatlintError, match="has no processor for kernels that run on 'gpu'") as caught:
            engine.times(engine.workload(gpu), targets[name])
        assert caught.value.code == "LAT901"


@pytest.mark.parametrize("executor", ["htp", "", "../gpu", "__init__", "Gpu"])
def test_an_executor_that_nobody_prices_is_named(executor: str) -> None:
    """It was priced by the CPU's built-in terms, without a word."""
    plan = Plan("r", "npu", "float32", (Kernel("add", "add", (0,), SHAPE, SHAPE),), (Partition(executor, 1),))
    with pytest.raises(LatlintError, match="no cost model for kernels that run on ") as caught:
        engine.workload(plan)
    assert repr(executor) in caught.value.message
    assert caught.value.code == "LAT901"
