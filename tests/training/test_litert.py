"""What edge-compat measured with LiteRT: packs follow from the times, and PRELU spelt out is no outlier on the Raspberry Pi 5."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from latlint.data import data_dir
from latlint.latency.models import model_of
from latlint.latency.packs import Target, read_pack
from latlint.training import edge_compat, litert
from latlint.training.edge_compat import Network
from latlint.training.litert import GALAXY_S26, RASPBERRY_PI, Subject
from tests.targets import bundled


@pytest.fixture(scope="module")
def measured(shared: Path) -> Callable[[Subject], list[Network]]:
    """What each subject has run, read and planned once."""
    found: dict[str, list[Network]] = {}

    def of(subject: Subject) -> list[Network]:
        if subject.target not in found:
            found[subject.target] = subject.measured(shared)
        return found[subject.target]

    return of


@pytest.fixture
def networks(measured: Callable[[Subject], list[Network]]) -> list[Network]:
    return measured(RASPBERRY_PI)


@pytest.mark.slow
def test_networks_of_one_architecture_are_one_family(networks: list[Network]) -> None:
    families = {each.name.partition("__")[0]: each.family for each in networks}
    assert families["u-2-net"] == families["cloth-segmentation-u2net"] == families["u2net-portrait-sketch"] == "u2net"
    assert families["dis-isnet"] == families["ormbg"] == "isnet"
    assert families["places365-resnet18"] == families["plantnet-300k-resnet18"] == "resnet18"
    assert families["yolox-s"] == families["yolox-tiny"] != families["yolact-resnet50"]
    assert families["kokoro-g2p-en-us.tflite".removesuffix(".tflite")] == families["matcha-tts"] == "g2p"
    assert len(networks) >= 40


def test_an_artifact_that_is_measured_under_several_names_is_one_network(shared: Path) -> None:
    found = edge_compat.times(shared, "raspberry-pi-5", "cpu_xnnpack")
    styles = [ms for name, ms in found.items() if name.startswith("fast-neural-style")]
    assert styles == [pytest.approx(287.54, abs=0.01)]


@pytest.mark.parametrize("subject", litert.SUBJECTS, ids=lambda subject: subject.target)
def test_the_bundled_packs_follow_from_the_times(
    subject: Subject, measured: Callable[[Subject], list[Network]]
) -> None:
    known = read_pack(data_dir("predictors") / subject.directory)
    assert subject.difference(measured(subject), known) < 0.01


def test_the_gpu_runs_whole_what_it_ran(measured: Callable[[Subject], list[Network]]) -> None:
    """The delegate of TensorFlow Lite 2.10 refuses ten of them."""
    found = measured(GALAXY_S26)
    assert len(found) >= 24
    for each in found:
        assert [part.executor for part in each.work.plan.partitions] == ["mldrift"], each.name
        assert not each.work.unknown


def test_the_gpus_card_tells_its_error() -> None:
    target = bundled()["galaxy-s26/gpu"].for_dialect("tflite")
    told = target.card["accuracy"]["float32"]
    assert (target.key, told["models"]) == ("gpu@litert", 24)
    assert told["mean_error_percent"] < 20


def test_the_pixel_8a_is_derived_from_the_s26() -> None:
    """Five graphs that both ran lie within the interval that their spread adds to the S26's."""
    there, here = (read_pack(data_dir("predictors") / name) for name in ("pixel-8a", "galaxy-s26-gpu"))
    assert litert.pixel_8a(here).arrays["gpu@litert/theta"] == pytest.approx(there.arrays["gpu@litert/theta"])
    factor = float(np.median(there.arrays["gpu@litert/theta"] / here.arrays["gpu@litert/theta"]))
    high = there.card["processors"]["gpu@litert"]["interval"]["float32"]["high"]
    assert high > here.card["processors"]["gpu@litert"]["interval"]["float32"]["high"]
    for name, (slow, fast) in litert.PIXEL_8A.items():
        assert abs(np.log(slow / fast / factor)) < high, name
    assert not there.card["covers"]["gpu"]["measured_terms"]


def test_the_pack_has_the_error_of_families_held_out(networks: list[Network]) -> None:
    """Two families here; ``benchmarks/litert.py`` has all of them."""
    card = bundled()["raspberry-pi-5/cpu-4"].for_dialect("tflite").card["accuracy"]["float32"]
    assert (card["models"], card["worst_error_percent"] < 30) == (len(networks), True)
    for family in ("silent-face-anti-spoofing", "rtmpose"):
        out = np.array([each.family == family for each in networks])
        theta = RASPBERRY_PI.costs([each for each in networks if each.family != family])
        held = [each for each in networks if each.family == family]
        counts = np.array([RASPBERRY_PI.columns.counts(each.work) for each in held])
        errors = np.abs(counts @ theta / np.array([each.latency_ms * 1e6 for each in held]) - 1) * 100
        assert out.any()
        assert errors.mean() == pytest.approx(card["by_family_percent"][family], abs=0.5)


def test_8_bit_products_on_the_raspberry_pi_take_the_cycles_that_the_same_cores_take_on_a_pixel_4() -> None:
    """Nobody measured them on the Pi; float ones say nothing of dot-product instructions."""

    def cycles(target: str, model: str, term: str, threads: int, ghz: float) -> float:
        found = bundled()[target]
        assert isinstance(found, Target)
        return float(found.costs(model_of(model))[model_of(model).index[term]]) * threads * ghz

    here = cycles("raspberry-pi-5/cpu-4@xnnpack", "xnnpack", "xnn.q8.macs", 4, 2.40)
    for core, ghz in (("1large", 2.84), ("1med", 2.32)):
        assert here == pytest.approx(cycles(f"pixel-4/cpu-{core}", "builtin", "i8.conv.macs", 1, ghz), rel=0.05)


def test_a_choice_and_a_comparison_cost_what_simple_loops_do(networks: list[Network]) -> None:
    """litert-torch writes PRELU as GREATER, MUL, SELECT; XNNPACK takes only the MUL."""
    (face,) = (each for each in networks if each.family == "silent-face-anti-spoofing")
    target = bundled()["raspberry-pi-5/cpu-4@xnnpack"]
    (builtin,) = (part for part in face.work.parts if part.model.executor == "builtin")
    spent_ms = float((builtin.terms @ target.costs(builtin.model)).sum()) * 1e-6
    assert {face.work.plan.kernels[at].op for at in builtin.positions} == {"greater", "select"}
    assert 0.2 < spent_ms < 1.0
