"""``latlint pack``: measurements in, a pack out that other commands use."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from latlint.latency.engine import times, workload
from latlint.runtime import plan
from tests.targets import bundled

Run = Callable[..., Any]

SMALL = (
    "mobilenet_v2.tflite",
    "mobilenet_v2.onnx",
    "mobilenet_v3_small.tflite",
    "resnet18.onnx",
    "shufflenet_v2_05.tflite",
)
BUILD = ("pack", "build", "times.csv", "--device", "mine", "--processor", "cpu-1large", "--like", "pixel-4/cpu-1large")


@pytest.fixture(scope="module")
def rows(model: Callable[[str], Path]) -> str:
    """Times of five models on a phone that is twice as slow as a Pixel 4."""
    from latlint.graph import read

    target = bundled()["pixel-4/cpu-1large"]
    rows = ["model,latency_ms"]
    for name in SMALL:
        found = times(workload(plan(read(model(name)), target.processor)), target)
        rows.append(f"{name},{2 * (float(found.kernels.sum()) + found.overhead_ms):.4f}")
    return "\n".join(rows) + "\n"


@pytest.fixture
def table(repository: Path, model: Callable[[str], Path], rows: str) -> Path:
    """``times.csv``: ``rows``, beside the models."""
    for name in SMALL:
        (repository / name).symlink_to(model(name))
    path = repository / "times.csv"
    path.write_text(rows, "utf-8")
    return path


def test_a_pack_is_built_checked_and_used(latlint: Run, table: Path) -> None:
    built = latlint(*BUILD, "--output", "packs/mine", "--format", "json")
    assert (built.status, built.err) == (0, "")
    found = json.loads(built.out)
    assert found["schema"] == "latlint.pack-build/1"
    assert (found["target"], found["like"], found["models"]) == ("mine/cpu-1large", "pixel-4/cpu-1large", 5)
    assert found["times_faster"] == pytest.approx(0.5, rel=1e-3)
    assert [each["measurement"] for each in found["held_out"]] == [f"times.csv:{line}" for line in range(2, 7)]
    assert found["accuracy"]["float32"]["mean_error_percent"] < 1

    verified = latlint("pack", "verify", "packs/mine")
    assert (verified.status, verified.out) == (0, "packs/mine: good, mine/cpu-1large\n")

    predicted = latlint("predict", SMALL[0], "--pack", "packs/mine", "-t", "*/cpu-1large", "--format", "json")
    times_ms = {each["target"]: each["latency_ms"] for each in json.loads(predicted.out)["predictions"]}
    assert times_ms["mine/cpu-1large"] == pytest.approx(2 * times_ms["pixel-4/cpu-1large"], rel=0.01)
    assert latlint("check", SMALL[0], "--pack", "packs", "-t", "mine/cpu-1large").status == 0


def test_the_summary_names_donor_and_error(latlint: Run, table: Path) -> None:
    built = latlint(*BUILD, "--output", "out", "--threads", "4")
    assert built.status == 0
    assert "mine/cpu-1large from 5 measured models" in built.out
    assert "like pixel-4/cpu-1large, 2.00 times slower" in built.out
    assert "held out" in built.out
    assert json.loads(Path("out/card.json").read_text("utf-8"))["processors"]["cpu-1large"]["processor"]["threads"] == 4


def test_nothing_is_overwritten_without_force(latlint: Run, table: Path) -> None:
    assert latlint(*BUILD, "--output", "out").status == 0
    before = Path("out/card.json").read_bytes()
    refused = latlint(*BUILD, "--output", "out", "--threads", "2")
    assert refused.status == 2
    assert refused.err == "latlint: error: out: not empty: --force replaces the pack that is there\n"
    assert Path("out/card.json").read_bytes() == before
    assert latlint(*BUILD, "--output", "out", "--threads", "2", "--force").status == 0
    assert Path("out/card.json").read_bytes() != before


def test_force_replaces_packs_alone(latlint: Run, table: Path) -> None:
    Path("notes").mkdir()
    Path("notes/mine.txt").write_text("keep", "utf-8")
    refused = latlint(*BUILD, "--output", "notes", "--force")
    assert refused.status == 2 and "holds something that is not a pack" in refused.err
    assert latlint(*BUILD, "--output", "times.csv", "--force").err.startswith(
        "latlint: error: times.csv: not a directory"
    )
    assert table.read_text("utf-8").startswith("model")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("--like", "pixel-5/cpu-1large"), "unknown target 'pixel-5/cpu-1large'"),
        (("--like", "pixel-4/gpu"), "unknown target 'pixel-4/gpu'"),
        (("--processor", "npu"), "unknown target 'pixel-4/cpu-1large'"),
        (("--processor", "vpu"), "--processor vpu: expected cpu, gpu, npu, or with cores: cpu-1large"),
        (("--device", "a/b"), "--device a/b: expected letters"),
        (("--runtime", "tflite-9"), "tflite-9"),
    ],
)
def test_wrong_options_get_one_line(latlint: Run, table: Path, change: tuple[str, str], message: str) -> None:
    result = latlint(*BUILD, "--output", "out", *change)
    assert result.status == 2
    assert message in result.err
    assert result.err.count("\n") == 1
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model,ms\n", "times.csv: unknown column 'ms'"),
        ("model,latency_ms\nmobilenet_v2.tflite,10\n", "1 measured model is too few: at least 5"),
        ("model,latency_ms\n" + "".join(f"m{i}.tflite,1\n" for i in range(5)), "m0.tflite: no such file"),
    ],
)
def test_bad_measurements_get_one_line(latlint: Run, table: Path, text: str, message: str) -> None:
    table.write_text(text, "utf-8")
    result = latlint(*BUILD, "--output", "out")
    assert result.status == 2
    assert message in result.err and result.err.count("\n") == 1
    assert not Path("out").exists()


def test_without_scipy_it_says_what_to_install(latlint: Run, table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "scipy" else found(name, *rest)
    )
    result = latlint(*BUILD, "--output", "out")
    assert (result.status, result.err) == (
        2,
        "latlint: error: building a pack needs scipy: pip install scipy\n",
    )


def test_neither_lightgbm_nor_zstandard_is_needed(repository: Path, table: Path) -> None:
    import subprocess

    code = (
        "import sys\n"
        "sys.modules.update(lightgbm=None, zstandard=None, pandas=None)\n"
        "from latlint.cli import main\n"
        f"sys.exit(main({[*BUILD, '--output', 'out']!r}))"
    )
    root = str(Path(__file__).resolve().parents[2])
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": root, "PATH": ""}, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_damaged_pack_is_told(latlint: Run, table: Path) -> None:
    assert latlint(*BUILD, "--output", "out").status == 0
    blob = bytearray(Path("out/arrays.bin").read_bytes())
    blob[100] ^= 1
    Path("out/arrays.bin").write_bytes(blob)
    result = latlint("pack", "verify", "out")
    assert result.status == 2 and "does not have the hash" in result.err
    assert latlint("pack", "verify", "nowhere").status == 2


def test_profile_here_measures_with_one_of_two_runtimes(latlint: Run, tmp_path: Path) -> None:
    result = latlint("pack", "build", "--profile-here", "--runtime", "qnn", "-o", str(tmp_path / "p"))
    assert result.status == 2
    assert "litert or onnxruntime" in result.err
