"""What counts as a measurement of an NPU: whole networks, as their files are now, of families that are held out as one."""

from __future__ import annotations

from pathlib import Path

import pytest

from latlint.training.npu.measurements import CURRENT, OLDER, Cell, Job, cells, current, devices, jobs, networks

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def found(shared: Path) -> list[Cell]:
    return cells(jobs(shared / "data", shared / "corpus"), networks(shared / "corpus"))


def test_cells_are_of_networks_that_a_fit_may_rest_on(found: list[Cell], shared: Path) -> None:
    known = networks(shared / "corpus")
    assert len(found) > 9000
    assert all(known[cell.network].match != "unlike" for cell in found)
    names = {cell.network for cell in found}
    assert names.isdisjoint({"resnet_3d", "whisper_tiny__decoder", "hfnet", "levit"})
    assert {known[name].family for name in names if "detr" in name} == {"detr"}


def test_cells_have_the_devices_that_packs_are_for(found: list[Cell]) -> None:
    assert {cell.device for cell in found} == {name for name, facts in devices().items() if "like" not in facts}


def test_the_newest_version_of_each_is_reported(found: list[Cell]) -> None:
    chosen = current(found)
    assert len({cell[:4] for cell in chosen}) == len(chosen)
    newest = {cell[:4]: cell.version for cell in chosen}
    assert all(newest[cell[:4]] >= cell.version for cell in found)
    assert {cell.version for cell in found} == {CURRENT, OLDER}


def test_times_of_a_network_that_has_other_layers_now_are_left_out(shared: Path) -> None:
    known = networks(shared / "corpus")

    def job(when: str, ms: float, layers: int, column: str = "Samsung Galaxy S24") -> Job:
        return Job("resnet18", column, "litert", "float32", CURRENT, when, ms, layers, (0, 60))

    found = cells([job("2026-01", 9.0, 60), job("2026-02", 1.0, 38), job("2026-03", 1.2, 38)], known)
    assert [(cell.ms, cell.jobs) for cell in found] == [(pytest.approx(1.1), 2)]
    assert cells([job("2026-01", 1.0, 38, "a device of no pack")], known) == []
