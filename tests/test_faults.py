"""What goes wrong around a run, caused for real: one clear line, the right exit code, nothing half written, nothing lost."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from latlint.data import data_dir

pytestmark = pytest.mark.slow

Model = Callable[[str], Path]
PIXEL = ("--target", "pixel-4/gpu")


@pytest.fixture
def here(tmp_path: Path, model: Model) -> Path:
    """A repository with one model."""
    (tmp_path / ".git").mkdir()
    shutil.copy(model("one_gelu.tflite"), tmp_path / "m.tflite")
    return tmp_path


def command(*args: str) -> list[str]:
    return [sys.executable, "-m", "latlint", *args]


def environment(**variables: str) -> dict[str, str]:
    repository = Path(__file__).resolve().parent.parent
    kept = {name: value for name, value in os.environ.items() if name != "GITHUB_STEP_SUMMARY"}
    return {**kept, "PYTHONPATH": str(repository), **variables}


def latlint(here: Path, *args: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*args), cwd=here, env=environment(**variables), capture_output=True, text=True, timeout=120, check=False
    )


def refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """Exit code 2 and one line on stderr, and nothing on stdout but what was there to say before."""
    assert done.returncode == 2, done.stderr
    said = [line for line in done.stderr.splitlines() if not line.startswith("latlint: note: ")]
    assert len(said) == 1, done.stderr
    for word in ("latlint: error: ", *words):
        assert word in done.stderr


# --- A full disk -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def full(tmp_path: Path, lacking: Callable[[str], NoReturn]) -> Iterator[Path]:
    """A directory on a disk of its own that has no room left."""
    disk = tmp_path / "full"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False) if shutil.which("mount") else None
    if done is None or done.returncode:
        lacking("needs to mount a tmpfs, which takes root's rights")
    try:
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def fill(disk: Path) -> None:
    with (disk / "filler").open("wb", buffering=0) as out:
        try:
            while True:
                out.write(bytes(4096))
        except OSError:
            pass


def test_a_full_disk_leaves_the_former_report(here: Path, full: Path) -> None:
    report = full / "r.json"
    report.write_text("former")
    fill(full)
    refused(latlint(here, "check", "m.tflite", *PIXEL, f"--output=json={report}"), "r.json", "No space left on device")
    assert report.read_text() == "former"
    refused(latlint(here, "check", "m.tflite", *PIXEL, f"--output=json={full / 'new.json'}"), "No space left")
    assert sorted(path.name for path in full.iterdir()) == ["filler", "r.json"]


def test_a_full_disk_leaves_the_former_lock(full: Path, model: Model) -> None:
    (full / ".git").mkdir()
    (full / "m.tflite").symlink_to(model("one_gelu.tflite"))
    assert latlint(full, "lock", "m.tflite", *PIXEL).returncode == 0
    former = (full / "latlint.lock").read_text()
    fill(full)
    refused(latlint(full, "lock", "m.tflite", "--target", "pixel-4/*"), "latlint.lock", "No space left")
    assert (full / "latlint.lock").read_text() == former
    assert not list(full.glob("*.tmp")) and not list(full.glob(".*.tmp"))


def test_a_full_disk_leaves_the_former_pack(full: Path) -> None:
    """``write_pack`` is what ``pack build`` ends with."""
    from latlint.latency.packs import read_pack, write_pack

    pack = read_pack(data_dir("predictors") / "pixel-4")
    former = full / "pack"
    former.mkdir()
    (former / "card.json").write_text("former")
    (former / "arrays.bin").write_bytes(b"former")
    fill(full)
    with pytest.raises(OSError, match="No space left"):
        write_pack(pack, former)
    assert {path.name: path.read_bytes() for path in former.iterdir()} == {
        "card.json": b"former",
        "arrays.bin": b"former",
    }


def test_a_cache_on_a_full_disk_is_done_without(here: Path, full: Path) -> None:
    fill(full)
    done = latlint(here, "check", "m.tflite", *PIXEL, LATLINT_CACHE_DIR=str(full / "cache"))
    assert (done.returncode, done.stderr) == (0, "")
    assert not [path for path in full.rglob("*") if path.is_file() and path.name != "filler"]


def test_a_full_temporary_directory_leaves_a_model_unjudged(here: Path, full: Path, model: Model) -> None:
    """The old model cannot be unpacked, so that `max-increase` is not held, and that is an error."""
    (here / ".git").rmdir()
    shutil.copy(model("mobilenet_v2_025_f16.tflite"), here / "m.tflite")  # more than the disk has
    (here / "latlint.toml").write_text('targets = ["pixel-4/gpu"]\n[[budgets]]\nmax-increase = "5%"\n')
    for command_line in ("init -q", "add m.tflite", "-c user.name=Ada -c user.email=a@example.com commit -q -m A"):
        subprocess.run(["git", *command_line.split()], cwd=here, check=True)
    shutil.copy(model("mobilenet_v2.tflite"), here / "m.tflite")
    assert "LAT103" in latlint(here, "check").stdout, "it is slower"
    done = latlint(here, "check", TMPDIR=str(full))
    assert done.returncode == 1
    assert "LAT106" in done.stdout and "UNJUDGED" in done.stdout and "temporary" in done.stdout
    assert "LAT103" not in done.stdout and "LAT104" not in done.stdout


# --- The cache ---------------------------------------------------------------------------------------------------------------


def test_a_cache_that_cannot_be_written_is_done_without(here: Path) -> None:
    plain = latlint(here, "check", "m.tflite", *PIXEL)
    for where in ("/proc/nowhere", os.devnull, str(here / "m.tflite")):
        done = latlint(here, "check", "m.tflite", *PIXEL, LATLINT_CACHE_DIR=where)
        assert (done.returncode, done.stdout, done.stderr) == (0, plain.stdout, "")


def test_a_cache_on_a_read_only_disk_is_done_without(here: Path, full: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(full)], check=True)
    done = latlint(here, "check", "m.tflite", *PIXEL, LATLINT_CACHE_DIR=str(full / "cache"))
    assert (done.returncode, done.stderr) == (0, "")


def test_a_corrupted_cache_changes_nothing(here: Path) -> None:
    variables = {"LATLINT_CACHE_DIR": str(here / "cache")}
    args = ("check", "m.tflite", *PIXEL, "--budget", "1us", "--format", "json")
    first = latlint(here, *args, **variables)
    entries = [path for path in (here / "cache").rglob("*") if path.is_file()]
    assert entries, "the cache was not used"
    whole = {path: path.read_bytes() for path in entries}
    damages: list[Callable[[bytes], bytes]] = [
        lambda data: b"",
        lambda data: data[: len(data) // 2],
        lambda data: data.replace(b"1", b"2"),
        lambda data: b"[" * 100_000,
        lambda data: os.urandom(5000),
    ]
    for damage in damages:
        for path, data in whole.items():
            path.write_bytes(damage(data))
        done = latlint(here, *args, **variables)
        assert (done.returncode, done.stdout, done.stderr) == (1, first.stdout, "")
    for path in entries:
        path.unlink()
        path.mkdir()
    done = latlint(here, *args, **variables)
    assert (done.returncode, done.stdout, done.stderr) == (1, first.stdout, "")


# --- The end of a run ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_signal_ends_a_run_quietly(here: Path, model: Model, number: int, status: int, jobs: str) -> None:
    """The run has said something of the first file and works on others."""
    for index in range(80):
        (here / f"v{index:03}.onnx").hardlink_to(model("vit_tiny.onnx"))
    args = ("check", ".", *PIXEL, "--no-cache", "--jobs", jobs, "--format", "jsonl")
    run = subprocess.Popen(
        command(*args),
        cwd=here,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    assert run.stdout is not None and run.stderr is not None
    assert run.stdout.readline()
    run.send_signal(number)
    _, said = run.communicate(timeout=60)
    assert (run.returncode, said.strip()) == (status, b"")
    with pytest.raises(ProcessLookupError):  # nobody of its session is left
        wait_for_the_end(run.pid)
        os.killpg(run.pid, 0)


def test_workers_end_when_the_run_is_killed(here: Path, model: Model) -> None:
    """Nobody can tell them: they see it."""
    for index in range(80):
        (here / f"v{index:03}.onnx").hardlink_to(model("vit_tiny.onnx"))
    args = ("check", ".", *PIXEL, "--no-cache", "--jobs", "2", "--format", "jsonl")
    run = subprocess.Popen(
        command(*args),
        cwd=here,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert run.stdout is not None
    assert run.stdout.readline() and run.stdout.readline()  # of the run, and of the first file: there are workers
    run.kill()
    run.wait(60)
    with pytest.raises(ProcessLookupError):
        wait_for_the_end(run.pid)
        os.killpg(run.pid, 0)
    run.stdout.close()


def wait_for_the_end(group: int) -> None:
    for _ in range(100):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_while_a_file_is_written_leaves_the_former(here: Path, number: int) -> None:
    """The writer is a run's own code, on a text that takes long to write."""
    report = here / "r.json"
    report.write_text("former")
    script = (
        "import sys; from pathlib import Path; from latlint.cli import _console\n"
        "with _console.terminable(): _console.write_atomically('x' * 100_000_000, Path(sys.argv[1]))"
    )
    run = subprocess.Popen(
        [sys.executable, "-c", script, str(report)], env=environment(), stderr=subprocess.DEVNULL, cwd=here
    )
    while run.poll() is None and not list(here.glob(".r.json.*.tmp")):
        time.sleep(0.001)
    run.send_signal(number)
    assert run.wait(60) != 0
    assert report.read_text() == "former"
    left = list(here.glob(".r.json.*.tmp"))
    assert not left or number == signal.SIGKILL
    for path in left:
        path.unlink()


def test_head_ends_a_pipe(here: Path, lacking: Callable[[str], NoReturn]) -> None:
    if not shutil.which("bash"):
        lacking("needs bash")
    line = f"{sys.executable} -m latlint predict m.tflite --all-targets --format csv | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", line], cwd=here, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode in (0, 141)  # all may fit the pipe before head has gone
    assert len(done.stdout.splitlines()) == 1
    assert done.stderr == ""


# --- What cannot be written or read ----------------------------------------------------------------------------------------


def test_an_output_that_cannot_be_written(here: Path) -> None:
    (here / "d").mkdir()
    args = ("check", "m.tflite", *PIXEL)
    refused(latlint(here, *args, "--output=json=nowhere/r.json"), "nowhere/r.json", "does not exist")
    refused(latlint(here, *args, "--output=json=d"), "d: cannot be written")
    refused(latlint(here, *args, "--output=json=/proc/r.json"), "/proc/r.json: cannot be written")
    refused(latlint(here, *args, f"--output=json={'n' * 300}"), "cannot be written: File name too long")
    refused(latlint(here, *args, "--format=github", GITHUB_STEP_SUMMARY=str(here / "d")), "d: cannot be written")
    assert sorted(path.name for path in here.iterdir()) == [".git", "d", "m.tflite"]


def test_a_link_that_lies_in_wait_is_replaced_not_followed(
    here: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A repository may hold links to anywhere, under the name of a report or a lock."""
    home = tmp_path_factory.mktemp("home")
    (home / "precious").write_text("precious")
    for name, target, args in (
        ("r.json", "precious", ("check", "--output=json=r.json")),
        ("latlint.lock", "new", ("lock",)),
    ):
        (here / name).symlink_to(home / target)
        assert latlint(here, args[0], "m.tflite", *PIXEL, *args[1:]).returncode == 0
        assert not (here / name).is_symlink() and "m.tflite" in (here / name).read_text()
    assert {path.name: path.read_text() for path in home.iterdir()} == {"precious": "precious"}


def test_an_output_may_be_a_pipe_or_stdout(here: Path) -> None:
    done = latlint(here, "check", "m.tflite", *PIXEL, "--output=json=/dev/stdout")
    assert done.returncode == 0
    assert '"latlint.check/1"' in done.stdout
    with (here / "out").open("w") as out:
        args = command("check", "m.tflite", *PIXEL, "--output=json=/dev/stdout")
        assert subprocess.run(args, cwd=here, env=environment(), stdout=out, check=False).returncode == 0
    assert '"latlint.check/1"' in (here / "out").read_text()
    assert Path("/dev/stdout").is_symlink()


def test_a_pack_whose_arrays_were_changed_is_refused(here: Path) -> None:
    shutil.copytree(data_dir("predictors") / "pixel-4", here / "pack")
    arrays = bytearray((here / "pack/arrays.bin").read_bytes())
    arrays[100] ^= 1
    (here / "pack/arrays.bin").write_bytes(arrays)
    done = latlint(here, "check", "m.tflite", *PIXEL, "--pack", "pack", "--output=json=r.json")
    refused(done, "pack/card.json: ", "does not have the hash that the card states", "[LAT901]")
    assert done.stdout == ""
    assert not (here / "r.json").exists()
