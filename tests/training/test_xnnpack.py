"""The Raspberry Pi 5 on XNNPACK: its pack follows from the times, and PRELU spelt out is no outlier."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from latlint.data import data_dir
from latlint.latency.packs import load_targets, read_pack
from latlint.training import edge_compat, xnnpack
from latlint.training.edge_compat import Network


@pytest.fixture(scope="module")
def networks(shared: Path) -> list[Network]:
    return xnnpack.measured(shared)


def test_networks_of_one_architecture_are_one_family(networks: list[Network]) -> None:
    families = {each.name.partition("__")[0]: each.family for each in networks}
    assert families["u-2-net"] == families["cloth-segmentation-u2net"] == families["u2net-portrait-sketch"] == "u2net"
    assert families["dis-isnet"] == families["ormbg"] == "isnet"
    assert families["places365-resnet18"] == families["plantnet-300k-resnet18"] == "resnet18"
    assert families["yolox-s"] == families["yolox-tiny"] != families["yolact-resnet50"]
    assert len(networks) >= 38


def test_an_artifact_that_is_measured_under_several_names_is_one_network(shared: Path) -> None:
    found = edge_compat.times(shared, "raspberry-pi-5", "cpu_xnnpack")
    styles = [ms for name, ms in found.items() if name.startswith("fast-neural-style")]
    assert styles == [pytest.approx(287.54, abs=0.01)]


def test_the_bundled_pack_follows_from_the_times(networks: list[Network]) -> None:
    assert xnnpack.difference(networks, read_pack(data_dir("predictors") / "raspberry-pi-5")) < 0.01


def test_the_pack_has_the_error_of_families_held_out(networks: list[Network]) -> None:
    """Two families here; ``benchmarks/litert.py`` has all of them."""
    card = load_targets()["raspberry-pi-5/cpu-4"].for_dialect("tflite").card["accuracy"]["float32"]
    assert (card["models"], card["worst_error_percent"] < 30) == (len(networks), True)
    for family in ("silent-face-anti-spoofing", "rtmpose"):
        out = np.array([each.family == family for each in networks])
        theta = xnnpack.costs([each for each in networks if each.family != family])
        held = [each for each in networks if each.family == family]
        counts = np.array([xnnpack.COLUMNS.counts(each.work) for each in held])
        errors = np.abs(counts @ theta / np.array([each.latency_ms * 1e6 for each in held]) - 1) * 100
        assert out.any()
        assert errors.mean() == pytest.approx(card["by_family_percent"][family], abs=0.5)


def test_a_choice_and_a_comparison_cost_what_simple_loops_do(networks: list[Network]) -> None:
    """litert-torch writes PRELU as GREATER, MUL, SELECT; XNNPACK takes only the MUL."""
    (face,) = (each for each in networks if each.family == "silent-face-anti-spoofing")
    target = load_targets()["raspberry-pi-5/cpu-4@xnnpack"]
    (builtin,) = (part for part in face.work.parts if part.model.executor == "builtin")
    spent_ms = float((builtin.terms @ target.costs(builtin.model)).sum()) * 1e-6
    assert {face.work.plan.kernels[at].op for at in builtin.positions} == {"greater", "select"}
    assert 0.2 < spent_ms < 1.0
