"""ONNX Runtime on servers: the file of times, and the pack that comes of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from latlint.training import servers
from latlint.training.clock import Timing
from latlint.training.corpus import unpack_archive
from latlint.training.profile_onnxruntime import Measured
from tests.targets import bundled

NETWORKS = [Measured("a", "f", Path("a.onnx")), Measured("generated/b", "g", Path("b.onnx"), judged=False)]


def test_rounds_are_added_to_what_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rounds = iter(
        [
            [Timing([3e6], {"Conv": 2e6}), Timing([5e6], {})],
            [Timing([2e6], {"Conv": 2.5e6, "Relu": 1e5}), Timing([6e6], {})],
            [Timing([1e6], {}), Timing([1e6], {})],
        ]
    )

    def measure(paths: Sequence[Path], **_: Any) -> list[Timing]:
        assert list(paths) == [Path("a.onnx"), Path("b.onnx")]
        return next(rounds)

    monkeypatch.setattr(servers, "measure", measure)
    monkeypatch.setattr(servers, "onnxruntime", lambda: json)
    monkeypatch.setattr(json, "__version__", "1.32.0", raising=False)
    file = tmp_path / "measured" / "here.json"
    servers.add_round(file, NETWORKS, 1)
    servers.add_round(file, NETWORKS, 1)
    servers.add_round(file, NETWORKS, 2)
    found = servers.timings(file, 1)
    assert found["a"].passes == [3e6, 2e6] and found["a"].best_ns == 2e6
    assert found["a"].nodes == {"Conv": 2e6, "Relu": 1e5}  # the fastest of any round
    assert servers.timings(file, 2)["generated/b"].passes == [1e6]
    assert json.loads(file.read_text("utf-8"))["runtime"] == "onnxruntime 1.32.0"


def test_the_bundled_times_are_of_published_and_generated_networks() -> None:
    found = servers.timings(servers.FILE, 1)
    assert all(timing.best_ns > 0 and len(timing.passes) >= 2 for timing in found.values())
    assert sum(name.startswith("generated/") for name in found) == 60
    assert sum(name.endswith("~qdq") for name in found) >= 20
    assert {"resnet18", "swin-tiny-patch4-window7-224", "mobilenetv2_w1~qdq", "resnet10~dynamic"} <= found.keys()


def test_every_quantised_network_is_kept(tmp_path: Path) -> None:
    unpack_archive(servers.QUANTIZED, tmp_path)
    kept = {path.stem for path in tmp_path.glob("*.onnx")}
    assert kept == {name for name in servers.timings(servers.FILE, 1) if "~" in name}


@pytest.mark.parametrize(("precision", "limit"), [("float32", 5), ("int8", 10)])
def test_the_card_has_the_errors_of_published_networks(precision: str, limit: float) -> None:
    target = bundled()[f"{servers.DEVICE}/cpu-1@onnxruntime"]
    found = target.card["accuracy"][precision]
    families = json.loads(servers.FILE.read_text("utf-8"))["networks"]
    published = {entry["family"] for name, entry in families.items() if not name.startswith("generated/")}
    assert set(found["by_family_percent"]) <= published
    assert found["models"] >= 25
    assert found["median_error_percent"] <= limit
    assert servers.FILE.name in target.pack.card["sources"][0]
