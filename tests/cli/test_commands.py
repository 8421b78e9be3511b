"""The commands: what they print, and what their exit codes say."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import latlint as package
from latlint.cli import main
from latlint.data import data_dir

REPOSITORY = Path(__file__).resolve().parents[2]
Run = Callable[..., Any]
Model = Callable[[str], Path]


@pytest.fixture
def net(repository: Path, model: Model) -> str:
    """A real model in the working directory."""
    shutil.copy(model("mobilenet_v2.tflite"), repository / "net.tflite")
    return "net.tflite"


def test_check_passes_within_the_budget_and_fails_above_it(latlint: Run, net: str) -> None:
    passed = latlint("check", net, "--target", "pixel-4/gpu", "--budget", "10s")
    assert (passed.status, passed.err) == (0, "")
    assert re.search(
        r"^  PASS  pixel-4/gpu +[\d.]+ ms +\[[\d.]+–[\d.]+\] +budget 10000 ms +−\d+%", passed.out, re.MULTILINE
    )
    failed = latlint("check", net, "--target", "pixel-4/gpu", "--budget", "10us")
    assert failed.status == 1
    assert re.search(r"^  FAIL  pixel-4/gpu .* budget 0\.01 ms +×\d+", failed.out, re.MULTILINE)
    assert "LAT101 budget-exceeded" in failed.out
    assert len(re.findall(r"^ {10,}[\d.]+ ms +[\d.]+%  conv2d.*/", failed.out, re.MULTILINE)) == 3
    assert "\n1 model on 1 target: 1 over budget" in failed.out


def test_exit_zero_turns_findings_into_success_and_errors_into_nothing_else(latlint: Run, net: str) -> None:
    common = ("--target", "pixel-4/gpu", "--budget", "1us", "--exit-zero")
    assert latlint("check", net, *common).status == 0
    assert latlint("check", net, "missing.tflite", *common).status == 2


def test_budgets_by_target_choose_the_targets(latlint: Run, net: str) -> None:
    result = latlint(
        "check",
        net,
        "--budget",
        "pixel-4/gpu=10s",
        "--budget",
        "galaxy-s10/gpu=1us",
        "--select",
        "LAT1",
        "--format",
        "json",
    )
    document = json.loads(result.out)
    assert result.status == 1
    assert [prediction["target"] for prediction in document["predictions"]] == ["galaxy-s10/gpu", "pixel-4/gpu"]
    assert [(finding["code"], finding["target"]) for finding in document["findings"]] == [("LAT101", "galaxy-s10/gpu")]


def test_a_budget_without_any_target_is_refused(latlint: Run, net: str) -> None:
    result = latlint("check", net, "--budget", "10ms")
    assert (result.status, result.out) == (2, "")
    assert "a budget needs a target" in result.err


def test_a_budget_for_none_of_the_targets_is_refused(latlint: Run, net: str) -> None:
    result = latlint("check", net, "--target", "pixel-4/gpu", "--budget", "iphone-*=1ms")
    assert (result.status, result.out) == (2, "")
    assert result.err.startswith(
        "latlint: error: --budget 'iphone-*=1ms' is for none of the chosen targets: pixel-4/gpu"
    )


def test_without_a_target_the_defaults_are_shown_and_named(latlint: Run, net: str) -> None:
    result = latlint("check", net)
    assert result.status == 0
    assert result.err.startswith("latlint: note: no target chosen, so this shows pixel-4/gpu and pixel-4/cpu-1large")
    assert len(re.findall(r"^ +– +pixel-4/", result.out, re.MULTILINE)) == 2


def test_the_configuration_names_models_targets_and_budgets(latlint: Run, repository: Path, net: str) -> None:
    (repository / "models").mkdir()
    shutil.move(repository / net, repository / "models/a.tflite")
    shutil.copy(repository / "models/a.tflite", repository / "models/b.tflite")
    (repository / "latlint.toml").write_text(
        'models = ["models/a*"]\ntargets = ["pixel-4/gpu"]\n[[budgets]]\nmodel = "a.tflite"\nmax = "1us"\n',
        encoding="utf-8",
    )
    result = latlint("check")
    assert result.status == 1
    assert "models/a.tflite" in result.out
    assert "models/b.tflite" not in result.out
    assert latlint("check", "models/b.tflite").status == 0
    assert latlint("check", "models/a.tflite", "--budget", "10s").status == 0
    assert "no target chosen" in latlint("check", "models/a.tflite", "--no-config").err
    (repository / "other.toml").write_text('targets = ["galaxy-s10/gpu"]\n', encoding="utf-8")
    assert "galaxy-s10/gpu" in latlint("check", "models/a.tflite", "--config", "other.toml").out


def test_directories_are_searched_where_models_are_the_users_own(latlint: Run, repository: Path, model: Model) -> None:
    for place in (
        "m/a.tflite",
        "m/deep/B.ONNX",
        "m/.git/c.tflite",
        "m/.cache/d.tflite",
        "m/node_modules/e.tflite",
        "m/venv/f.tflite",
    ):
        (repository / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(
            model("one_gelu.tflite" if place.endswith("tflite") else "mobilenet_v2_025_dynamic_batch.onnx"),
            repository / place,
        )
    (repository / "m/venv/pyvenv.cfg").touch()
    shutil.copy(model("one_gelu.tflite"), repository / "outside.tflite")
    (repository / "m/link.tflite").symlink_to(repository / "outside.tflite")
    (repository / "m/up").symlink_to(repository, target_is_directory=True)
    result = latlint("check", "m", "--target", "pixel-4/gpu", "--format", "json")
    assert [prediction["model"] for prediction in json.loads(result.out)["predictions"]] == [
        "m/a.tflite",
        "m/deep/B.ONNX",
    ]
    assert "1 model file is a symbolic link that leads out of m and not followed" in result.err
    named = latlint("check", "m/link.tflite", "./m/link.tflite", "--target", "pixel-4/gpu", "--format", "json")
    assert [prediction["model"] for prediction in json.loads(named.out)["predictions"]] == ["m/link.tflite"]


def test_allow_empty_accepts_a_directory_without_models(latlint: Run) -> None:
    assert latlint("check", ".", "--allow-empty").status == 0
    assert latlint("check").status == 2


def test_predict_shows_kernels_that_add_up(latlint: Run, net: str) -> None:
    result = latlint("predict", net, "--target", "pixel-4/gpu", "--format", "json")
    assert (result.status, result.err) == (0, "")
    (prediction,) = json.loads(result.out)["predictions"]
    total = sum(kernel["latency_ms"] for kernel in prediction["kernels"]) + prediction["overhead_ms"]
    assert total == pytest.approx(prediction["latency_ms"], rel=1e-6)
    assert prediction["low_ms"] < prediction["latency_ms"] < prediction["high_ms"]
    assert prediction["model"] == net
    assert re.fullmatch("[0-9a-f]{64}", prediction["sha256"])
    assert (prediction["format"], prediction["precision"]) == ("tflite", "float32")
    assert prediction["coverage"] == pytest.approx(1.0, abs=1e-3)


def test_predict_text_is_cut_unless_all_is_asked_for(latlint: Run, net: str) -> None:
    def rows(*args: str) -> int:
        return latlint("predict", net, "--target", "pixel-4/gpu", *args).out.count("conv2d")

    assert rows("--top", "3") == 3
    assert 10 < rows() <= 15 < rows("--all-kernels")


def test_all_targets_and_globs(latlint: Run, net: str) -> None:
    def targets(*args: str) -> set[str]:
        result = latlint("predict", net, *args, "--format", "json")
        return {prediction["target"] for prediction in json.loads(result.out)["predictions"]}

    everything = targets("--all-targets")
    assert targets("--target", "*/gpu") == {target for target in everything if target.endswith("/gpu")}
    assert targets("--target", "pixel-4/*") == {
        target for target in everything if target.startswith("pixel-4/") and "@" not in target
    }
    assert len(everything) >= 48


@pytest.mark.parametrize(
    "args",
    [
        ("check", "--config", "x.toml", "--no-config"),
        ("check", "--target", "pixel-4/gpu", "--all-targets"),
        ("predict", "m.tflite", "--top", "3", "--all-kernels"),
    ],
)
def test_flags_that_contradict_each_other_are_refused(latlint: Run, args: tuple[str, ...]) -> None:
    result = latlint(*args)
    assert result.status == 2
    assert "contradict each other" in result.err


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("chek",), "unknown command 'chek': did you mean check?"),
        (("check", "--budgte", "1ms"), "No such option"),
        (("predict",), "Missing argument 'MODEL...' (see latlint predict --help)"),
        (("check", "--format", "xml"), "'xml' is not"),
        (("rules", "LAT1011"), "unknown rule 'LAT1011': did you mean LAT101"),
    ],
)
def test_usage_errors_take_one_line(latlint: Run, args: tuple[str, ...], says: str) -> None:
    result = latlint(*args)
    assert (result.status, result.out) == (2, "")
    (line,) = result.err.splitlines()
    assert line.startswith("latlint: error: ")
    assert says in line


def test_output_files_are_written_whole(latlint: Run, repository: Path, net: str) -> None:
    (repository / "old.json").write_text("before", encoding="utf-8")
    common = ("check", net, "--target", "pixel-4/gpu")
    result = latlint(*common, "--output", "json=old.json", "--output", "text=new.txt")
    assert result.status == 0
    assert json.loads((repository / "old.json").read_text(encoding="utf-8"))["schema"] == "latlint.check/1"
    assert (repository / "new.txt").read_text(encoding="utf-8") == result.out
    assert {path.name for path in repository.iterdir()} == {".git", net, "old.json", "new.txt"}


@pytest.mark.parametrize(
    ("outputs", "says"),
    [
        (["json"], "malformed --output 'json': expected FORMAT=FILE"),
        (["pdf=x"], "unknown format 'pdf' in --output"),
        (["json=no/dir/x.json"], "the directory of --output 'json=no/dir/x.json' does not exist"),
        (["json=x", "text=./x"], "two --output options name the same file"),
    ],
)
def test_an_output_that_cannot_be_is_refused_before_the_work(latlint: Run, outputs: list[str], says: str) -> None:
    result = latlint("check", "missing.tflite", *(f"--output={output}" for output in outputs))
    assert result.status == 2
    assert says in result.err
    assert "missing.tflite" not in result.err


def test_targets_lists_all_and_shows_one(latlint: Run) -> None:
    listing = latlint("targets")
    assert listing.status == 0
    assert len(re.findall(r"^  [\w-]+/(?:gpu|cpu-\w+) ", listing.out, re.MULTILINE)) >= 48
    card = latlint("targets", "pixel-4/gpu")
    assert card.status == 0
    assert "pixel-4/gpu" in card.out
    assert "tflite-2.10/gpu-delegate" in card.out
    assert re.search(r"^  measured +concat, convolution_2d, ", card.out, re.MULTILINE)
    assert re.search(r"^  never seen +any other kernel; batches above 1; ", card.out, re.MULTILINE)
    record = json.loads((REPOSITORY / "benchmarks" / "accuracy.json").read_text(encoding="utf-8"))
    (row,) = (each for each in record["targets"] if each["target"] == "pixel-4/gpu")
    for family, error in row["by_family_percent"].items():
        assert re.search(rf"^  {family} +{error:.1f}%$", card.out, re.MULTILINE)
    assert f"{row['noise_percent']:.1f}%" in card.out
    document = json.loads(latlint("targets", "--format", "json").out)
    assert document["schema"] == "latlint.targets/1"
    assert {"pixel-4/gpu", "iphone-xs/gpu"} <= {target["name"] for target in document["targets"]}
    assert latlint("targets", "pixel4/gpu").status == 2


def test_packs_of_ones_own_bring_targets(latlint: Run, repository: Path, net: str) -> None:
    shutil.copytree(data_dir("predictors") / "pixel-4", repository / "packs/mine")
    path = repository / "packs/mine/card.json"
    card = json.loads(path.read_text(encoding="utf-8"))
    card |= {"device": "my-phone", "title": "mine\x1b[31m"}
    del card["processors"]["gpu"]["accuracy"]
    path.write_text(json.dumps(card), encoding="utf-8")
    own = latlint("predict", net, "--pack", "packs", "--target", "*/gpu", "--format", "json")
    assert own.status == 0, own.err
    latency_ms = {each["target"]: each["latency_ms"] for each in json.loads(own.out)["predictions"]}
    assert latency_ms["my-phone/gpu"] == latency_ms["pixel-4/gpu"]
    for args in ((), ("my-phone/gpu",)):
        shown = latlint("targets", "--pack", "packs/mine", *args)
        assert shown.status == 0
        assert "mine\\x1b[31m (Snapdragon 855)" in shown.out
    (repository / "latlint.toml").write_text('packs = ["packs"]\ntargets = ["my-phone/gpu"]\n', encoding="utf-8")
    assert "my-phone/gpu" in latlint("check", net).out
    path.write_text("{", encoding="utf-8")
    for args in (("--pack", "packs"), ("--pack", "no/such")):
        refused = latlint("check", net, "--no-config", *args)
        assert refused.status == 2
        assert re.fullmatch(r"latlint: error: (packs|no/such)\S*: .* \[LAT901\]\n", refused.err), refused.err


def test_rules_lists_all_and_shows_one(latlint: Run) -> None:
    assert "LAT101  budget-exceeded" in latlint("rules").out
    page = latlint("rules", "lat101").out
    assert page.startswith("# LAT101 budget-exceeded\n\nA model is predicted to be slower than its budget.\n")
    assert "## Why is this bad?" in page
    assert [rule["code"] for rule in json.loads(latlint("rules", "LAT002", "--format=json").out)["rules"]] == ["LAT002"]


def test_without_a_command_there_is_help(latlint: Run) -> None:
    result = latlint()
    assert result.status == 2
    for command in ("check", "predict", "targets", "rules"):
        assert re.search(rf"^  {command} ", result.out, re.MULTILINE)
    assert latlint("check", "--help").status == 0


def test_an_internal_error_takes_one_line_unless_debugging(
    latlint: Run, net: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("out of\ncheese")

    monkeypatch.setattr("latlint.graph.ModelFile.graph", broken)
    result = latlint("check", net, "--target", "pixel-4/gpu")
    assert result.status == 2
    (line,) = result.err.splitlines()
    assert line.startswith(
        "latlint: error: net.tflite: internal error: RuntimeError: out of\\ncheese at test_commands.py:"
    )
    assert "please report this line" in line and line.endswith("[LAT009]")
    assert "LATLINT_DEBUG=1" in line
    monkeypatch.setenv("LATLINT_DEBUG", "1")
    with pytest.raises(RuntimeError):
        main(["check", net, "--target", "pixel-4/gpu"])


def test_an_interrupt_ends_quietly(latlint: Run, net: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("latlint.graph.ModelFile.graph", interrupted)
    assert latlint("check", net, "--target", "pixel-4/gpu").status == 130


def test_colour_is_for_terminals_and_those_who_force_it(
    latlint: Run, net: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "\x1b[" not in latlint("check", net).out
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[" in latlint("check", net).out
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[" not in latlint("check", net).out


#: An environment in which another interpreter finds the package under test, installed or not.
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(package.__file__).parents[1])}


def run_outside(*args: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "latlint", *args]
    return subprocess.run(command, cwd=cwd, capture_output=True, check=False, env={**ENVIRONMENT, **environment})


def test_the_same_bytes_come_out_whatever_the_locale(repository: Path, net: str) -> None:
    runs = [
        run_outside(
            "check", net, "--target", "pixel-4/gpu", "--budget", "1us", cwd=repository, LC_ALL=locale, PYTHONUTF8="0"
        )
        for locale in ("C", "C.UTF-8", "en_US.ISO-8859-1")
    ]
    assert {run.returncode for run in runs} == {1}
    assert len({run.stdout for run in runs}) == 1


def test_a_reader_that_goes_away_causes_no_noise(repository: Path, net: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "latlint", "predict", net, "--target", "pixel-4/gpu", "--all-kernels"],
        cwd=repository,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


@pytest.mark.parametrize("command", ["rules", "budget"])  # a command, and a group without one, which shows its help
def test_a_full_disk_takes_one_line(command: str) -> None:
    full = Path("/dev/full")
    assert full.exists(), "this test writes to /dev/full"
    with full.open("wb") as out:
        run = subprocess.run(
            [sys.executable, "-m", "latlint", command], stdout=out, stderr=subprocess.PIPE, check=False, env=ENVIRONMENT
        )
    assert (run.returncode, run.stderr) == (2, b"latlint: error: No space left on device\n")


@pytest.mark.parametrize("streams", ["2>/dev/full", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_what_cannot_be_said_is_no_pass(repository: Path, streams: str) -> None:
    """An error that nobody hears, with standard streams that are full or closed, still ends with 2."""
    command = f'exec "{sys.executable}" -m latlint check missing.tflite --target pixel-4/gpu {streams}'
    run = subprocess.run(["sh", "-c", command], cwd=repository, capture_output=True, check=False, env=ENVIRONMENT)
    assert (run.returncode, run.stderr) == (2, b"")


def test_names_that_are_not_text_are_still_names(latlint: Run, repository: Path, model: Model) -> None:
    name = os.fsdecode(b"m\xff d\xc3\xa9j\xc3\xa0 -x.tflite")
    shutil.copy(model("one_gelu.tflite"), repository / name)
    result = latlint("check", ".", "--target", "pixel-4/gpu")
    assert result.status == 0
    assert "m\\udcff déjà -x.tflite" in result.out
    document = json.loads(latlint("check", ".", "--target", "pixel-4/gpu", "--format", "json").out)
    assert document["predictions"][0]["model"] == name


def test_a_name_with_a_leading_dash_follows_two_dashes(latlint: Run, repository: Path, model: Model) -> None:
    shutil.copy(model("one_gelu.tflite"), repository / "-t.tflite")
    assert latlint("check", "--target", "pixel-4/gpu", "--", "-t.tflite").status == 0


def test_python_has_the_same_way_in(repository: Path, net: str) -> None:
    (prediction,) = package.predict(net, ["pixel-4/gpu"])
    assert prediction.latency_ms > 0
    (same,) = package.predict(net, "pixel-4/gpu", shapes={})
    assert same == prediction
    with pytest.raises(package.LatlintError, match="no input is called 'x'"):
        package.predict(net, "pixel-4/gpu", shapes={"x": (1, 3)})
    report = package.check(
        [net], package.Settings(targets=("pixel-4/gpu",), budgets=(package.Budget(1e-3),), select=("LAT1",))
    )
    assert [finding.code for finding in report.findings] == ["LAT101"]
    assert report.predictions[0].kernels
    within = package.check([net], package.Settings(targets=("pixel-4/gpu",), select=("LAT1",)))
    assert within.predictions[0].kernels == (), "kernels are kept where a limit is broken"
    assert package.check(net).targets == ("pixel-4/cpu-1large", "pixel-4/gpu")


def modules_after(code: str) -> set[str]:
    """Top-level modules that are loaded after ``code`` ran in a new interpreter."""
    printed = subprocess.check_output(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"], text=True, env=ENVIRONMENT
    )
    return {name.partition(".")[0] for name in printed.split()}


def test_imports_are_paid_for_by_those_who_need_them(net: str, repository: Path) -> None:
    heavy = {"numpy", "onnx", "rich", "lightgbm", "scipy", "tflite"}
    assert not modules_after("import latlint") & (heavy | {"click"})
    assert not modules_after("from latlint.cli import main; assert main(['--version']) == 0") & heavy
    assert not modules_after("from latlint.cli import main; assert main(['rules']) == 0") & heavy
    checked = modules_after(f"from latlint.cli import main; assert main(['check', {str(repository / net)!r}]) == 0")
    assert not checked & {"onnx", "rich", "lightgbm", "scipy"}


def test_a_stated_batch_costs_more_and_needs_no_note(latlint: Run, model: Model) -> None:
    path = str(model("mobilenet_v2_025_dynamic_batch.onnx"))
    args = ("predict", path, "--target", "pixel-4/cpu-1large", "--format", "json")
    one, four = (
        json.loads(latlint(*args, *more).out)["predictions"][0] for more in ((), ("--shape", "input=4x3x224x224"))
    )
    assert four["macs"] == 4 * one["macs"]
    assert 3 < four["latency_ms"] / one["latency_ms"] < 5
    assert any("taken as 1x3x224x224" in note for note in one["notes"])
    assert not any("taken as" in note for note in four["notes"])


def test_shapes_of_the_configuration(latlint: Run, model: Model, repository: Path) -> None:
    shutil.copy(model("mobilenet_v2_025_dynamic_batch.onnx"), repository / "m.onnx")
    text = 'targets = ["pixel-4/gpu"]\n[shapes]\nother = "1x5"\n[shapes."m.onnx"]\ninput = "2x3x224x224"\n'
    (repository / "latlint.toml").write_text(text)
    shown = latlint("check", "--show-settings", "--shape", "input=3x3x224x224").out
    assert '[shapes]\nother = "1x5"  # latlint.toml\n' in shown
    assert '[shapes."*"]\ninput = "3x3x224x224"  # --shape\n' in shown
    two = latlint("predict", "m.onnx", "--format", "json").out
    (repository / "latlint.toml").write_text(shown)
    three = latlint("predict", "m.onnx", "--format", "json").out
    assert json.loads(two)["predictions"][0]["macs"] * 3 == json.loads(three)["predictions"][0]["macs"] * 2


@pytest.mark.parametrize("target", ["pixel-4/gpu", "pixel-4/cpu-1large"])
def test_the_accuracy_shown_is_the_cards(latlint: Run, target: str) -> None:
    """Percentages as they are kept, but for the share of models within 10 %, which is kept as a share."""
    device, _, processor = target.partition("/")
    card = json.loads((data_dir("predictors") / device / "card.json").read_text(encoding="utf-8"))
    shown = latlint("targets", target).out
    for precision, found in card["processors"][processor]["accuracy"].items():
        (row,) = re.findall(rf"^  {precision} +(.*)$", shown, re.MULTILINE)
        percent = [f"{found[key]:.1f}%" for key in ("mean_error_percent", "median_error_percent")]
        within = f"{100 * found['within_10_percent']:.0f}%"
        assert row.split()[:4] == [str(found["models"]), *percent, within]
        assert float(within[:-1]) > 50
