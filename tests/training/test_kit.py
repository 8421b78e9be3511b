"""A kit is written, its scripts are run as on a phone, and a pack comes of what they bring back."""

from __future__ import annotations

import csv
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest

from latlint.cli import main
from latlint.errors import LatlintError
from latlint.graph import read
from latlint.latency.engine import times, workload
from latlint.latency.packs import Target, load_targets
from latlint.runtime import plan
from latlint.training import blocks, onnx_blocks
from latlint.training.columns import Columns
from latlint.training.kit import write
from latlint.training.kit.choose import NOISE, PRIOR, most_telling
from latlint.training.kit.results import read_kit
from latlint.training.user.build import PRIORS, TRANSFER, Wanted, build, chosen
from latlint.training.user.readers import Profile, read_file
from tests.targets import bundled

pytestmark = pytest.mark.slow
#: What LiteRT 2's tool says (its log, ``litert/tools/benchmark_litert_model.h``), with the base class's line of runs before it.
LITERT = """\
INFO: [benchmark_litert_model.cc:99] Loading model from: /data/local/tmp/latlint-kit/models/{model}.tflite
INFO: Running benchmark for at least 1 iterations and at least 0.5 seconds but terminate if exceeding 20 seconds.
INFO: count=10 first=99000 curr=88000 min=80000 max=99000 avg=85000 std=4 p5=80000 median=85000 p95=90000

INFO: Running benchmark for at least 20 iterations and at least 1 seconds but terminate if exceeding 20 seconds.
INFO: count=50 first=9000 curr=8000 min=7000 max=9900 avg=8123.4 std=4 p5=7000 median={us:.0f} p95=9000

INFO: [benchmark_litert_model.h:77]
========== BENCHMARK RESULTS ==========
INFO: [benchmark_litert_model.h:78] Model initialization: 45.32 ms
INFO: [benchmark_litert_model.h:82] Warmup (avg):         98.76 ms (10 runs)
INFO: [benchmark_litert_model.h:84] Inference (avg):      {ms:.2f} ms (50 runs)
INFO: [benchmark_litert_model.h:92] Inference (std):      3.21
"""
#: A tool that takes benchmark_model's flags: 2 ms for each letter of the model's name, a twentieth more in each run.
TOOL = """\
#!/bin/sh
printf '%s\\n' "$*" >> "{log}"
for flag in "$@"; do case $flag in --graph=*) graph=${{flag#--graph=}} ;; esac; done
case $graph in *broken*) echo "ERROR: cannot" >&2; exit 3 ;; esac
name=$(basename "$graph" .tflite)
runs=$(grep -c "$graph" "{log}")
echo "INFO: [benchmark_litert_model.cc:99] Loading model from: $graph" >&2
echo "INFO: [benchmark_litert_model.h:77] ========== BENCHMARK RESULTS ==========" >&2
echo "INFO: count=20 first=1 curr=1 min=1 max=1 avg=1 std=1 p5=1 median=$((${{#name}} * (1900 + 100 * runs))) p95=1" >&2
echo "INFO: [benchmark_litert_model.h:84] Inference (avg):      1.00 ms (20 runs)" >&2
"""
#: A phone: the shim's ``/data`` is a folder of this machine.
ADB = """\
#!/bin/sh
[ "$1" != -s ] || {{ echo "serial $2" >> "{root}/log"; shift 2; }}
here() {{ printf %s "$1" | sed "s|/data/local/tmp|{root}/data|g"; }}
case $1 in
  get-state) echo device ;;
  shell) sh -c "$(here "$2")" ;;
  push) mkdir -p "{root}/data" && cp -R "$2" "$(here "$3")" ;;
  pull) cp -R "$(here "$2")" "$3" ;;
esac
"""


def a_kit(directory: Path, *names: str) -> Path:
    """The scripts, with empty files for models."""
    (directory / "models").mkdir(parents=True)
    for name in names:
        (directory / "models" / f"{name}.tflite").touch()
    for path in write.FILES.iterdir():
        shutil.copy(path, directory)
    models = [f"{name}.tflite" for name in names]
    (directory / "kit.json").write_text(
        json.dumps({"schema": write.SCHEMA, "device": "mine", "models": models}), "utf-8"
    )
    return directory


def program(path: Path, text: str) -> Path:
    path.write_text(text, "utf-8")
    path.chmod(0o755)
    return path


def run(*command: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **variables}
    return subprocess.run(
        [str(word) for word in command],
        env=environment,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )


def total_ms(path: Path, target: Target) -> float:
    found = times(workload(plan(read(path), target.processor)), target)
    return float(found.kernels.sum()) + found.overhead_ms


QUICK = ("--pause", "0", "--seconds", "0")


# ------------------------------------------------------------------------------------------------------------- the models


@pytest.fixture(scope="module")
def small() -> dict[str, bytes]:
    """Some generated networks of the lowest resolution, by name: to make all of them takes seconds."""
    return {
        f"{kind}-{'int8-' * quantized}7": blocks._fragment(block, 7, random.Random(kind), quantized=quantized)
        for kind, block in blocks.BLOCKS.items()
        for quantized in ((False, True) if kind in blocks.QUANTISED else (False,))
    }


def test_the_models_are_those_that_leave_predictions_the_least_uncertain() -> None:
    rng = np.random.default_rng(0)
    counts = np.exp(rng.normal(size=(60, 20)) * 2) * (rng.random((60, 20)) < 0.3) + np.eye(60, 20) * 1e-3
    prior = np.exp(rng.normal(size=20))
    kinds = ["rare"] * 4 + ["common"] * 56
    allowed = np.arange(60) % 3 > 0
    spent = counts * prior
    shares = spent / spent.sum(axis=1, keepdims=True)

    def uncertain(chosen: list[int]) -> float:
        covariance = np.linalg.inv(np.eye(20) / PRIOR**2 + shares[chosen].T @ shares[chosen] / NOISE**2)
        variances = np.einsum("nt,tu,nu->n", shares, covariance, shares)
        return float(variances[:4].mean() + variances[4:].mean())

    chosen = most_telling(counts, prior, kinds, allowed, 8)
    assert len({*chosen}) == 8 and allowed[chosen].all()
    assert uncertain(chosen) < min(
        uncertain(rng.choice(np.flatnonzero(allowed), 8, replace=False).tolist()) for _ in range(300)
    )
    # each step is the best one
    assert uncertain(chosen[:1]) == min(uncertain([at]) for at in np.flatnonzero(allowed).tolist())
    assert uncertain(chosen[:2]) == min(uncertain([chosen[0], at]) for at in np.flatnonzero(allowed).tolist())
    assert most_telling(counts, prior, kinds, allowed, 99)[:8] == chosen


def test_a_kit_is_written_whole(
    small: dict[str, bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = {"float32": 3, "int8": 1}
    of_litert = write.pool("litert")._replace(networks=small.items(), wanted=wanted)
    of_onnx = write.pool("onnxruntime")._replace(networks=islice(onnx_blocks.generated(1), 8), wanted={"float32": 2})
    monkeypatch.setattr(write, "pool", {"litert": of_litert, "onnxruntime": of_onnx}.__getitem__)
    place = tmp_path / "a kit"
    assert main(["pack", "kit", str(place), "--device", "my-phone"]) == 0
    assert "4 models" in capsys.readouterr().out
    found = sorted(path.name for path in (place / "models").iterdir())
    assert json.loads((place / "kit.json").read_text("utf-8")) == {
        "schema": "latlint.kit/1",
        "device": "my-phone",
        "models": found,
    }
    assert any("-int8-" in name for name in found) and any("-int8-" not in name for name in found)
    assert {path.name for path in place.iterdir()} == {"models", "kit.json"} | {
        path.name for path in write.FILES.iterdir()
    }
    assert {Path(name).suffix for name in found} == {".tflite"}
    other = tmp_path / "other kit"
    assert main(["pack", "kit", str(other), "--device", "my-phone", "--runtime", "onnxruntime"]) == 0
    assert "2 models" in (said := capsys.readouterr().out) and "onnxruntime_times.py" in said
    assert {path.suffix for path in (other / "models").iterdir()} == {".onnx"}
    # a script that is for the other kit says so
    assert "--runtime onnxruntime" in run(sys.executable, place / "onnxruntime_times.py").stderr
    assert "no .tflite" in run("sh", other / "measure.sh", "--tool", "/bin/true").stderr
    assert main(["pack", "kit", str(place), "--device", "my-phone"]) == 2
    assert "--force writes it again" in capsys.readouterr().err
    (place / "kit.json").unlink()
    assert main(["pack", "kit", str(place), "--device", "my-phone", "--force"]) == 2
    assert "not a kit" in capsys.readouterr().err
    for name in ("$(id)", "a b", "../x", ""):
        assert main(["pack", "kit", str(tmp_path / "other"), "--device", name]) == 2
        assert "letters, digits, dots and dashes" in capsys.readouterr().err


# ------------------------------------------------------------------------------------------------------------ the scripts


def test_scripts_pass_shellcheck(lacking: Callable[[str], NoReturn]) -> None:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    shellcheck = shutil.which("shellcheck", path=path) or lacking("needs shellcheck")
    done = run(shellcheck, *sorted(write.FILES.glob("*.sh")))
    assert (done.returncode, done.stdout) == (0, "")


def test_a_board_is_measured(tmp_path: Path) -> None:
    kit = a_kit(tmp_path / "it's a $(kit)", "aa", "bbbb", "broken")
    log = tmp_path / "calls"
    tool = program(tmp_path / "benchmark_model", TOOL.format(log=log))
    done = run(
        "sh",
        kit / "measure.sh",
        "--tool",
        tool,
        "--processor",
        "npu",
        *QUICK,
        "--passes",
        "2",
        "--",
        "--gpu_backend=x y",
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "4 runs in" in done.stdout and "1 failed" in done.stdout
    calls = log.read_text("utf-8").splitlines()
    assert len(calls) == 5  # a model that failed is not tried again
    assert all("--use_npu=true" in call and "--gpu_backend=x y" in call and "--num_threads=1" in call for call in calls)
    assert [path.name for path in sorted((kit / "results" / "npu").iterdir())] == [
        "aa.1.txt", "aa.2.txt", "bbbb.1.txt", "bbbb.2.txt", "broken.failed", "run.txt",
    ]  # fmt: skip
    [found] = read_kit(kit).runs
    assert (found.processor, found.runtime, found.threads, found.failed) == ("npu", None, 1, ("broken",))
    assert [(profile.model, profile.total_ms) for profile in found.profiles] == [
        (kit / "models" / "aa.tflite", 4.0),
        (kit / "models" / "bbbb.tflite", 8.0),
    ]


def test_it_runs_on_the_fastest_cores_and_knows_how_warm_they_are(tmp_path: Path) -> None:
    """On a made-up ``/sys`` of the cores that this machine lets the test have."""
    allowed = sorted(os.sched_getaffinity(0))
    sys_ = tmp_path / "sys"
    for core in range(max(allowed) + 1):
        (clock := sys_ / f"devices/system/cpu/cpu{core}/cpufreq").mkdir(parents=True)
        (clock / "cpuinfo_max_freq").write_text("2800000" if core == allowed[0] else "1800000")
    zones = {"cpu-0-0": "41999", "battery": "90000", "soc_max": "425", "gpu": "38", "skin": "-1", "tsens": "x"}
    for number, (kind, temperature) in enumerate(zones.items()):
        (zone := sys_ / f"class/thermal/thermal_zone{number}").mkdir(parents=True)
        (zone / "type").write_text(kind)
        (zone / "temp").write_text(temperature)
    kit = a_kit(tmp_path / "kit", "aa")
    tool = program(tmp_path / "benchmark_model", "#!/bin/sh\ntaskset -p $$\necho 'Inference (avg): 1.00 ms'\n")
    done = run("sh", kit / "measure.sh", "--tool", tool, *QUICK, "--passes", "1", LATLINT_SYS=str(sys_))
    assert done.returncode == 0, done.stderr
    said = (kit / "results/cpu-1/run.txt").read_text("utf-8").splitlines()
    assert f"cores={allowed[0]} " in said and "degrees=42" in said
    mask = (kit / "results/cpu-1/aa.1.txt").read_text("utf-8").splitlines()[0].rpartition(" ")[2]
    assert int(mask, 16) == 1 << allowed[0]


def test_a_phone_is_measured_through_adb(tmp_path: Path) -> None:
    kit = a_kit(tmp_path / "my kit", "aa", "b'b")
    (bin_ := tmp_path / "bin").mkdir()
    program(bin_ / "adb", ADB.format(root=tmp_path / "phone"))
    (tmp_path / "phone").mkdir()
    tool = program(tmp_path / "tool for the phone", TOOL.format(log=tmp_path / "calls"))
    given = (
        "--tool",
        tool,
        "--serial",
        "s 1",
        "--threads",
        "1",
        "--only",
        "b'*",
        *QUICK,
        "--passes",
        "1",
        "--",
        "--x=$(touch pwned)",
    )
    done = run("sh", kit / "android.sh", *given, PATH=f"{bin_}:{os.environ['PATH']}")
    assert done.returncode == 0, done.stderr
    assert [path.name for path in sorted((kit / "results" / "cpu-1").iterdir())] == ["b'b.1.txt", "run.txt"]
    assert "--x=$(touch pwned)" in (tmp_path / "calls").read_text("utf-8")
    assert "serial s 1" in (tmp_path / "phone" / "log").read_text("utf-8")
    assert not [*tmp_path.rglob("pwned")]
    assert not (tmp_path / "phone" / "data" / "latlint-kit").exists()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("--processor", "$(id)"), "expected letters, digits"),
        (("--processor", "tpu"), "expected cpu-…, gpu or npu"),
        (("--threads", "x"), "expected a whole number, got 'x'"),
        (("--cores", "0-z"), "expected a whole number, got 'z'"),
        (("--cores",), "a value is missing"),
        (("--speed", "1"), "unknown option '--speed'"),
        (("--tool", "/nowhere/benchmark_model"), "no such program"),
        (("--only", "zz"), "names none"),
    ],
)
def test_wrong_options_are_told(given: tuple[str, ...], message: str, tmp_path: Path) -> None:
    kit = a_kit(tmp_path / "kit", "aa")
    program(kit / "benchmark_model", TOOL.format(log=tmp_path / "calls"))
    done = run("sh", kit / "measure.sh", *QUICK, *given)
    assert done.returncode == 1
    assert message in done.stderr and done.stderr.startswith("measure.sh: ")


def test_help_is_the_head_of_the_script(tmp_path: Path) -> None:
    kit = a_kit(tmp_path / "kit")
    for script in ("measure.sh", "android.sh"):
        done = run("sh", kit / script, "--help")
        assert done.returncode == 0
        assert done.stdout.rstrip().splitlines()[2].strip().startswith(f"sh {script}")
        assert "die" not in done.stdout and "--tool FILE" in done.stdout


def test_this_machine_is_measured_with_litert(
    small: dict[str, bytes], tmp_path: Path, lacking: Callable[[str], NoReturn]
) -> None:
    if find_spec("ai_edge_litert") is None:
        lacking("needs LiteRT: pip install ai-edge-litert")
    kit = a_kit(tmp_path / "kit", "plain-int8-7")
    (kit / "models" / "plain-int8-7.tflite").write_bytes(small["plain-int8-7"])
    tool = program(
        tmp_path / "litert-benchmark",
        f'#!/bin/sh\nexec "{sys.executable}" -m ai_edge_litert.tools.benchmark_litert_model "$@"\n',
    )
    done = run("sh", kit / "measure.sh", "--tool", tool, "--seconds", "1", "--pause", "0", "--passes", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    [found] = read_kit(kit).runs
    assert (found.processor, found.runtime) == ("cpu-1", "litert-2.3/xnnpack")
    assert 0.05 < found.profiles[0].total_ms < 5000


def test_this_machine_is_measured_with_onnx_runtime(tmp_path: Path, lacking: Callable[[str], NoReturn]) -> None:
    if find_spec("onnxruntime") is None:
        lacking("needs ONNX Runtime: pip install onnxruntime")
    kit = a_kit(tmp_path / "kit")
    (kit / "models" / "plain.onnx").write_bytes(next(c for n, c in onnx_blocks.generated(1) if n.startswith("plain")))
    (kit / "kit.json").write_text(
        json.dumps({"schema": write.SCHEMA, "device": "mine", "models": ["plain.onnx"]}), "utf-8"
    )
    done = run(sys.executable, kit / "onnxruntime_times.py", "--passes", "2", "--seconds", "0", "--pause", "0")
    assert done.returncode == 0, done.stderr
    [found] = read_kit(kit).runs
    assert (found.processor, found.runtime, found.threads) == ("cpu-1-onnxruntime", "onnxruntime-1.32/cpu", 1)
    passes = [list(csv.DictReader(path.open())) for path in sorted((kit / "results").glob("*/*.csv"))]
    assert found.profiles[0].total_ms == min(float(row["latency_ms"]) for rows in passes for row in rows)


# ------------------------------------------------------------------------------------------------------------ the results


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        (LITERT.format(model="m", us=7654, ms=8.12), 7.654),
        (
            "\n".join(line for line in LITERT.format(model="m", us=1, ms=8.12).splitlines() if "count=" not in line),
            8.12,
        ),
        (
            "========\nInference (avg):       0.58 ms (20 runs)\nInference (median):    0.57 ms\nInference (p5): 0.5 ms\n",
            0.57,
        ),
        (json.dumps({"model": "/x/m.tflite", "latency": {"avg_ms": 3.5, "median_ms": 3.25}}), 3.25),
        (
            "INFO: count=9 curr=5 avg=5000\nINFO: Inference timings in us: Init: 9, Warmup (avg): 80, Inference (avg): 5000.5\n",
            5.0005,
        ),
    ],
    ids=["LiteRT", "LiteRT without its runs", "litert-benchmark", "its JSON", "TensorFlow Lite"],
)
def test_what_tools_say_is_read_in_their_units(text: str, ms: float, tmp_path: Path) -> None:
    (tmp_path / "m.tflite").touch()
    (tmp_path / "m.txt").write_text(text, "utf-8")
    [found] = read_file(tmp_path / "m.txt")
    assert (found.model, found.total_ms) == (tmp_path / "m.tflite", pytest.approx(ms))


def test_each_processor_gets_a_pack(
    tmp_path: Path, model: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    names = (
        "mobilenet_v2",
        "mobilenet_v3_small",
        "shufflenet_v2_05",
        "mobilenet_v2_025_f16",
        "one_gelu",
        "mobilenet_v2_int8",
    )
    kit = a_kit(tmp_path / "a=kit", *names)
    processors = {"cpu-4": "raspberry-pi-5/cpu-4@xnnpack", "gpu": "galaxy-s26/gpu@litert"}
    for name in names:
        (kit / "models" / f"{name}.tflite").write_bytes(model(f"{name}.tflite").read_bytes())
    for processor, donor in processors.items():
        (folder := kit / "results" / processor).mkdir(parents=True)
        threads = 1 if processor == "gpu" else 4
        (folder / "run.txt").write_text(f"threads={threads}\ntool=benchmark_model\nsystem=Linux 6.1 aarch64\n", "utf-8")
        target = bundled()[donor]
        for name in names:
            total = 3 * total_ms(model(f"{name}.tflite"), target)
            for number, slower in ((1, 1.3), (2, 1.0)):
                said = LITERT.format(model=name, us=total * slower * 1e3, ms=total * slower)
                (folder / f"{name}.{number}.txt").write_text(said, "utf-8")
    (kit / "results" / "gpu" / "lost.failed").touch()
    out = tmp_path / "packs"
    assert main(["pack", "build", str(kit), "--output", str(out), "--format", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [each["target"] for each in document["packs"]] == ["mine/cpu-4", "mine/gpu"]
    assert [each["predicts_with"] for each in document["packs"]] == ["transfer", "transfer"]
    # LiteRT 2.2's GPU takes no op of this one: its time was the CPU's
    assert document["failed"] == {"gpu": ["lost", "shufflenet_v2_05"]}
    for each, donor in zip(document["packs"], processors.values(), strict=True):
        built, known = load_targets([out])[each["target"]].for_dialect("tflite"), bundled()[donor]
        assert built.processor.runtime == known.runtime
        assert total_ms(model("mobilenet_v2.tflite"), built) == pytest.approx(
            3 * total_ms(model("mobilenet_v2.tflite"), known), rel=0.15
        )
    assert main(["pack", "build", str(kit), "--processor", "gpu", "--output", str(tmp_path / "one")]) == 0
    said = capsys.readouterr().out
    assert "warning: no time of 2 models: lost, shufflenet_v2_05" in said
    assert "passes of a model differ by 30.0% in the median, at most by 30.0%" in said
    assert "warning: the device was warm or busy" in said
    for path in (kit / "results" / "gpu").glob("*.1.txt"):
        path.unlink()
    assert main(["pack", "build", str(kit), "--processor", "gpu", "--output", str(tmp_path / "two")]) == 0
    assert "passes" not in capsys.readouterr().out, "one pass has nothing to agree with"
    assert (tmp_path / "one" / "card.json").is_file()


@pytest.mark.parametrize(("machine", "vendor"), [("x86_64", "x86"), ("aarch64", "arm")])
def test_costs_of_other_instructions_are_no_start(machine: str, vendor: str, tmp_path: Path) -> None:
    kit = a_kit(tmp_path / "kit", "aa")
    (folder := kit / "results" / "cpu-1").mkdir(parents=True)
    (folder / "run.txt").write_text(f"threads=1\nsystem=Linux 6.1 {machine}\n", "utf-8")
    (folder / "aa.1.txt").write_text(LITERT.format(model="aa", us=1000, ms=1.0), "utf-8")
    assert read_kit(kit).runs[0].vendor == vendor
    rng = np.random.default_rng(0)
    close = {TRANSFER: 1 + 0.1 * rng.standard_normal(20), PRIORS: 1 + 0.1 * rng.standard_normal(20)}
    assert (chosen(close), chosen(close, PRIORS)) == (TRANSFER, PRIORS)
    assert chosen(close | {TRANSFER: close[TRANSFER] * 2}) == PRIORS
    assert chosen(close | {PRIORS: close[PRIORS] * 2}, PRIORS) == TRANSFER


def test_a_cpu_like_no_other_has_costs_of_its_own(model: Callable[[str], Path]) -> None:
    """Of an Arm core that the packs know nothing of: products cost nothing, all else does."""
    target = bundled()["raspberry-pi-5/cpu-4@xnnpack"]
    columns = Columns.of(("builtin", "xnnpack"))
    odd = np.where(["macs" in name or "dwconv" in name for name in columns.names], 1e-4, 50.0) * columns.terms.prior
    profiles = [
        Profile(path, path.name, float(columns.counts(workload(plan(read(path), target.processor))) @ odd) * 1e-6)
        for path in map(
            model,
            (
                "mobilenet_v2.tflite",
                "mobilenet_v3_small.tflite",
                "one_gelu.tflite",
                "resnet18.onnx",
                "shufflenet_v2_05.tflite",
                "mobilenet_v2.onnx",
            ),
        )
    ]
    built = build(profiles, Wanted("odd", "cpu-4", None, "litert-2.3/xnnpack", 4, "x86"))
    assert built.model == PRIORS
    card = built.pack.card
    assert card["processors"]["cpu-4"]["processor"]["vendor"] == "x86"
    assert card["sources"] == ["6 models measured on the device"]
    assert "xnn.softmax" not in card["covers"]["cpu"]["measured_terms"]


def test_models_of_a_kit_are_no_judge_of_costs(model: Callable[[str], Path]) -> None:
    """Where all models take the same, a constant is right about each that is held out."""
    names = ("mobilenet_v2", "mobilenet_v3_small", "one_gelu", "shufflenet_v2_05", "mobilenet_v2_025_f16")
    profiles = [Profile(model(f"{name}.tflite"), name, 5.0) for name in names]
    wanted = Wanted("flat", "cpu-4", "raspberry-pi-5/cpu-4@xnnpack")
    assert build(profiles, wanted).share < 0.75
    assert build(profiles, replace(wanted, designed=True)).share == 1.0


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda kit: shutil.rmtree(kit / "results"), "no results yet: run android.sh"),
        (lambda kit: (kit / "kit.json").write_text("[" * 100_000), "not the card of a kit"),
        (lambda kit: (kit / "kit.json").write_text('{"schema": "latlint.kit/9"}'), "not the card of a kit"),
        (lambda kit: (kit / "results" / "cpu-1").rename(kit / "results" / "tpu"), "expected a folder for a processor"),
        (lambda kit: (kit / "results" / "cpu-1" / "aa.1.txt").rename(kit / "results" / "cpu-1" / "zz.1.txt"), "of no model of this kit: zz.tflite"),
        (lambda kit: (kit / "results" / "cpu-1" / "aa.1.txt").unlink(), "no times in this folder"),
        (lambda kit: (kit / "results" / "cpu-1" / "run.txt").write_text("threads=many"), "threads: expected a number"),
        (lambda kit: (kit / "results" / "cpu-1" / "run.txt").write_text("threads=" + "1" * 5000), "threads: expected a number"),
        (lambda kit: (kit / "results" / "cpu-1" / "run.txt").unlink(), "cannot be read"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_told(spoil: Callable[[Path], object], message: str, tmp_path: Path) -> None:
    kit = a_kit(tmp_path / "kit", "aa")
    (folder := kit / "results" / "cpu-1").mkdir(parents=True)
    (folder / "run.txt").write_text("threads=1\n", "utf-8")
    (folder / "aa.1.txt").write_text(LITERT.format(model="aa", us=1000, ms=1.0), "utf-8")
    assert [profile.total_ms for profile in read_kit(kit).runs[0].profiles] == [1.0]
    spoil(kit)
    with pytest.raises(LatlintError) as raised:
        read_kit(kit)
    assert message in raised.value.message and "\n" not in raised.value.message
