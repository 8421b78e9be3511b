"""Many files on many workers: the same report, in the same order, whatever happens to a worker."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import active_children
from pathlib import Path

import pytest
from distributed import LocalCluster

import latlint
from latlint import Settings, check
from latlint.api import Run
from latlint.cli import main
from latlint.graph import ModelFile
from latlint.outcome import Report
from latlint.report import render_stream
from latlint.report.plain import Style
from latlint.run.cluster import executor_of

pytestmark = pytest.mark.slow

SETTINGS = Settings(targets=("pixel-4/gpu", "pixel-4/cpu-1large"))
MODELS = ("mobilenet_v2_int8.tflite", "one_gelu.tflite", "shufflenet_v2_05.tflite")


@pytest.fixture
def models(tmp_path: Path, model: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Some of each of several models, and one file that is none, in a working directory of their own."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".git").mkdir()
    names = [f"{number:02}-{name}" for number in range(3) for name in MODELS]
    for name in names:
        shutil.copy(model(name[3:]), name)
    Path("03-nonsense.tflite").write_bytes(b"nonsense")
    return sorted([*names, "03-nonsense.tflite"])


def run(models: list[str], *, judge: bool = True) -> Run:
    return Run.prepare(models, Settings(targets=SETTINGS.targets), judge=judge)


def threads() -> Executor:
    return ThreadPoolExecutor(3)


def workers() -> Executor:
    return ProcessPoolExecutor(2)


@pytest.mark.parametrize("judge", [True, False])
def test_several_processes_report_what_one_does(judge: bool, models: list[str]) -> None:
    alone = run(models, judge=judge).report()
    assert [each.path for each in alone.errors] == ["03-nonsense.tflite"]
    assert repr(run(models, judge=judge).report(jobs=2)) == repr(alone)


@pytest.mark.parametrize("start", [threads, workers])
def test_any_executor_will_do_and_is_left_running(start: Callable[[], Executor], models: list[str]) -> None:
    settings = Settings(targets=SETTINGS.targets)
    with start() as executor:
        assert repr(check(models, settings, executor=executor)) == repr(check(models, settings))
        assert executor.submit(len, "abc").result() == 3


@pytest.fixture
def deadly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever reads a file whose name says so is killed, but for the test itself."""
    graph, here = ModelFile.graph, os.getpid()

    def read(self: ModelFile, *args: object) -> object:
        if "deadly" in self.name and os.getpid() != here:
            os.kill(os.getpid(), signal.SIGKILL)
        return graph(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(ModelFile, "graph", read)


def test_a_file_that_kills_its_process_is_named_and_the_others_are_reported(
    deadly: None, models: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(models[0], "02-deadly.tflite")
    shutil.copy(models[0], "05-deadly.tflite")
    expected = run(models).report()
    found = run(sorted([*models, "02-deadly.tflite", "05-deadly.tflite"])).report(jobs=2)
    assert [error.path for error in found.errors] == ["02-deadly.tflite", "03-nonsense.tflite", "05-deadly.tflite"]
    assert "killed" in found.errors[0].message
    assert found.predictions == expected.predictions

    assert main(["check", ".", "-t", "pixel-4/gpu", "--jobs", "2"]) == 2
    assert "02-deadly.tflite: the process that worked on it was killed" in capfd.readouterr().err


def test_of_a_batch_the_file_that_kills_its_process_is_found(
    deadly: None, model: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With so many files, several go to a worker together."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".git").mkdir()
    names = [f"{number:03}.tflite" for number in range(128 + 64)]
    names[70] = "070-deadly.tflite"
    for name in names:
        Path(name).write_bytes(b"nonsense")
    shutil.copy(model(MODELS[1]), names[70])
    errors = run(names).report(jobs=2).errors
    assert [error.path for error in errors] == names
    assert [error.path for error in errors if error.code == "LAT009"] == ["070-deadly.tflite"]


@pytest.mark.parametrize("jobs", ["1", "2"])
@pytest.mark.parametrize("error", [RuntimeError, MemoryError, RecursionError, KeyError, OSError, AssertionError])
def test_what_fails_inside_one_file_is_that_files_error(
    error: type[Exception],
    jobs: str,
    models: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    graph = ModelFile.graph

    def read(self: ModelFile, *args: object) -> object:
        if self.name == "02-shufflenet_v2_05.tflite":
            raise error("out of cheese")
        return graph(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(ModelFile, "graph", read)
    outputs = [f"--output={name}=out.{name}" for name in ("sarif", "junit", "markdown")]
    assert main(["check", *models, "-t", "pixel-4/gpu", "--jobs", jobs, "--format", "json", *outputs]) == 2
    out, err = capfd.readouterr()
    report = json.loads(out)
    assert len(report["predictions"]) == len(models) - 2
    found = [each for each in report["findings"] if each["code"] == "LAT009"]
    assert [each["model"] for each in found] == ["02-shufflenet_v2_05.tflite"]
    assert f"internal error: {error.__name__}: " in found[0]["message"] and "please report" in found[0]["message"]
    assert "02-shufflenet_v2_05.tflite: internal error" in err
    for name in ("sarif", "junit", "markdown"):
        assert "internal error" in Path(f"out.{name}").read_text()


class UnsendableError(RuntimeError):
    """Cannot be made anew where it is received."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__("x")


@pytest.mark.parametrize("where", ["latlint.outcome.Outcome.__reduce__", "latlint.review.Review.apply"])
def test_so_is_what_fails_on_its_way(where: str, models: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """An outcome that cannot be handed over, and one that cannot be reviewed."""

    def fail(self: object, *args: object) -> object:
        raise UnsendableError(1, 2)

    monkeypatch.setattr(where, fail, raising=False)
    errors = run(models).report(jobs=2).errors
    assert [error.path for error in errors] == models
    assert "LAT009" in {error.code for error in errors}


def test_an_output_that_cannot_be_written_takes_no_other_with_it(
    models: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    Path("directory").mkdir()
    command = ["check", models[0], "-t", "pixel-4/gpu", "--output=json=directory", "--output=json=out.json"]
    assert main(command) == 2
    out, err = capfd.readouterr()
    assert "pixel-4/gpu" in out and json.loads(Path("out.json").read_text())["predictions"]
    assert "directory: cannot be written" in err


_STARTED = """
import multiprocessing, sys
if __name__ == "__main__":
    multiprocessing.set_start_method(sys.argv[1])
    from latlint.cli import main
    sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_workers_import_nothing_from_the_checkout(method: str, models: list[str], tmp_path: Path) -> None:
    """Spawned processes start as ``python -c``, which puts the working directory first: on macOS, on Windows, and since Python 3.14
    on Linux."""
    script = tmp_path.parent / f"{tmp_path.name}-started.py"
    script.write_text(_STARTED)
    for name in ("multiprocessing", "pickle", "signal", "threading", "runpy", "encodings", "latlint", "numpy", "onnx"):
        Path(f"{name}.py").write_text("open('ran', 'a').write(__name__)\n")
    root = str(Path(latlint.__path__[0]).parent)
    done = subprocess.run(
        [sys.executable, str(script), method, "check", *models, "-t", "pixel-4/gpu", "--jobs", "2"],
        env={**os.environ, "PYTHONPATH": root},
        capture_output=True,
        text=True,
        check=False,
    )
    assert not Path("ran").exists(), Path("ran").read_text()
    assert done.returncode == 2 and done.stderr.count("latlint: error") == 1, done.stderr


def test_a_damaged_pack_ends_the_run(models: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(latlint.__path__[0] + "/../predictors/pixel-4", "pack")
    (tmp_path / "pack" / "arrays.bin").write_bytes(b"short")
    assert main(["check", *models, "-t", "pixel-4/gpu", "--pack", "pack", "--jobs", "2"]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert "arrays.bin does not have the hash" in line


def test_workers_end_when_the_run_is_given_up(models: list[str]) -> None:
    before = active_children()
    parts = run(models).parts(jobs=2)
    next(parts)
    assert len(active_children()) == len(before) + 2
    parts.close()  # type: ignore[attr-defined]
    assert active_children() == before


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    root = str(Path(latlint.__path__[0]).parent)
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (root, before)))
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        yield cluster
    os.environ.pop("PYTHONPATH")
    if before is not None:
        os.environ["PYTHONPATH"] = before


def test_a_cluster_reports_what_one_machine_does(
    cluster: LocalCluster, models: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    command = ["check", *models, "-t", "pixel-4/*", "-b", "pixel-4/gpu=4ms", "--format", "jsonl"]
    assert main(command) == 2
    expected = capfd.readouterr().out
    assert main([*command, "--scheduler", cluster.scheduler_address]) == 2
    assert capfd.readouterr().out == expected


def test_a_worker_of_a_cluster_that_is_killed_midway_changes_nothing(cluster: LocalCluster, models: list[str]) -> None:
    expected = list(run(models).parts())
    with executor_of(cluster.scheduler_address) as executor:
        parts = run(models).parts(executor)
        found = [next(parts)]
        os.kill(next(iter(cluster.workers.values())).pid, signal.SIGKILL)
        found += parts
    assert repr(found) == repr(expected)


def test_workers_of_another_version_are_refused(
    cluster: LocalCluster, models: list[str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Their predictions would be another's: the cluster is this version's, and here is one that is newer."""
    monkeypatch.setattr("latlint.run.cluster.__version__", "99.0")
    assert main(["check", *models, "-t", "pixel-4/gpu", "--scheduler", cluster.scheduler_address]) == 2
    assert f"have {latlint.__version__}, not latlint 99.0: install it there" in capfd.readouterr().err


def test_a_scheduler_that_does_not_answer_is_an_error(
    models: list[str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("latlint.run.cluster._TIMEOUT_S", 1)
    assert main(["check", *models, "-t", "pixel-4/gpu", "--scheduler", "tcp://127.0.0.1:1"]) == 2
    assert "no Dask scheduler at tcp://127.0.0.1:1" in capfd.readouterr().err


def test_jobs_and_a_scheduler_contradict_each_other(models: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["check", *models, "--jobs", "2", "--scheduler", "tcp://127.0.0.1:1"]) == 2
    assert "contradict" in capfd.readouterr().err


@pytest.mark.parametrize("command", ["check", "predict"])
@pytest.mark.parametrize("name", ["jsonl", "csv"])
def test_a_format_that_streams_writes_each_file_as_it_is_known(command: str, name: str, models: list[str]) -> None:
    wanted = run(models, judge=command == "check")
    seen = 0

    def parts() -> Iterator[Report]:
        nonlocal seen
        for part in wanted.parts():
            seen += 1
            yield part

    texts = []
    for number, text in enumerate(render_stream(wanted.empty, parts(), command, name, Style())):
        assert seen == number
        texts.append(text)
    assert "".join(texts) == "".join(render_stream(wanted.empty, wanted.report().parts(), command, name, Style()))


def test_a_report_is_its_parts() -> None:
    empty = Report(predictions=(), files=0)
    assert list(empty.parts()) == []


def test_the_parts_of_a_report_are_those_it_was_made_of(models: list[str]) -> None:
    wanted = run(models)
    assert list(wanted.report().parts()) == list(wanted.parts())
