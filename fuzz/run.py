"""Coverage-guided, structure-aware fuzzing of one reader, under a watchdog: ``python fuzz/run.py tflite`` or ``onnx``.

Needs Atheris (libFuzzer for Python: ``pip install atheris``). The watchdog starts a worker and starts it again when an input ends it;
a worker may take 2 s of processor time for an input and 512 MB in all. Findings, each with the input that causes it, go to
``found/`` of the working directory; exit code 1 when there are any. ``--replay`` and ``--smoke`` need no Atheris and have no watchdog:
the first input that fails ends them.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import hashlib
import json
import mmap
import os
import random
import resource
import signal
import struct
import subprocess
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

SECONDS_AN_INPUT = 2.0
MEMORY_MB = 512
MAX_INPUT = 8192
#: Atheris keeps half a kilobyte of every execution (readers alone stay as large as they were): a worker ends before that is its limit.
RUNS_A_WORKER = 250_000
#: The worker's state, which outlives it: executions, then the length of the input under way and the input.
_HEADER = struct.Struct("<QI")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("form", choices=("tflite", "onnx"))
    parser.add_argument("--runs", type=int, default=2_000_000, help="executions (default: %(default)s)")
    parser.add_argument("--work", type=Path, help="working directory (default: .fuzz/FORM)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--replay", type=Path, metavar="DIR", help="run the files of DIR once each")
    parser.add_argument(
        "--thorough", action="store_true", help="with --replay: for every kind of processor, all the way"
    )
    parser.add_argument("--smoke", type=int, metavar="N", help="run the seeds, and N edits of them")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    work = options.work or HERE.parent / ".fuzz" / options.form
    if options.replay:
        files = (path for path in sorted(options.replay.iterdir()) if path.is_file())
        return _replay(options.form, ((path.name, path.read_bytes()) for path in files), thorough=options.thorough)
    if options.smoke is not None:
        return _replay(options.form, _edited(options.form, options.smoke, options.seed), thorough=False)
    if options.worker:
        return _work(options.form, work, options.runs, options.seed)
    return _watch(options.form, work, options.runs, options.seed)


def _watch(form: str, work: Path, runs: int, seed: int) -> int:
    """Keep a worker going until ``runs`` executions are done, and keep what ends it."""
    import seeds

    for name in ("corpus", "seeds", "found"):
        (work / name).mkdir(parents=True, exist_ok=True)
    for data in seeds.seeds(form):
        (work / "seeds" / _name(data)).write_bytes(data)
    slot = work / "slot"
    start, done = time.monotonic(), 0
    while done < runs:
        slot.write_bytes(bytes(_HEADER.size + MAX_INPUT))
        command = [
            sys.executable,
            __file__,
            form,
            "--worker",
            "--work",
            str(work),
            "--runs",
            str(min(runs - done, RUNS_A_WORKER)),
            "--seed",
            str(seed),
        ]
        with (work / "log").open("ab") as log:
            status = subprocess.run(command, stdout=log, stderr=log, check=False).returncode
        count, length = _HEADER.unpack_from(content := slot.read_bytes())
        if count == 0:
            print(f"the worker does not start: see {work / 'log'}", file=sys.stderr)
            return 2
        done += count
        seed += 1
        if status != 0:
            why = {-signal.SIGPROF: "hang", 71: "memory", 70: "hang"}.get(status, f"exit{status}")
            _keep(work, why, content[_HEADER.size : _HEADER.size + length], f"the worker ended with {status}")
        print(f"{done:,} executions in {time.monotonic() - start:.0f} s, {_count(work)} findings", flush=True)
    return 1 if _count(work) else 0


def _work(form: str, work: Path, runs: int, seed: int) -> int:
    """Fuzz in this process; what ends it, the watchdog sees in the slot."""
    import atheris

    with atheris.instrument_imports(include=["latlint.graph", "latlint.runtime"]):
        import target
    import proto

    _limit_memory()
    with (work / "slot").open("r+b") as file:
        slot = mmap.mmap(file.fileno(), 0)
    executions = 0
    outcomes: Counter[str] = Counter()
    seen: Counter[str] = Counter()

    def one(data: bytes) -> None:
        nonlocal executions
        executions += 1
        slot[_HEADER.size : _HEADER.size + len(data)] = data
        _HEADER.pack_into(slot, 0, executions, len(data))
        try:
            with _limited_time():
                outcomes[target.execute(form, data)] += 1
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            key = f"{type(error).__name__}-{Path(place.filename).stem}-{place.lineno}"
            seen[key] += 1
            if seen[key] == 1:
                _keep(work, key, data, traceback.format_exc())
        if executions % 20_000 == 0:
            (work / "outcomes.json").write_text(json.dumps({"executions": executions, **outcomes}))

    def mutator(data: bytes, limit: int, number: int) -> bytes:
        dice = random.Random(number)
        out = _mutated(form, data, dice) if dice.random() < 0.85 else b""
        return out if 0 < len(out) <= limit else atheris.Mutate(data, limit)

    def crossover(first: bytes, second: bytes, limit: int, number: int) -> bytes:
        try:
            out = proto.cross(first, second, random.Random(number)) if form == "onnx" else first
        except proto.DecodeError:
            out = first
        return out[:limit]

    arguments = [
        sys.argv[0],
        str(work / "corpus"),
        str(work / "seeds"),
        f"-runs={runs}",
        f"-seed={seed}",
        f"-max_len={MAX_INPUT}",
    ]
    arguments += [f"-rss_limit_mb={MEMORY_MB}", "-timeout=60", "-len_control=0", "-reload=0", "-print_final_stats=1"]
    arguments += [f"-artifact_prefix={work}/", "-report_slow_units=60"]
    atheris.Setup(arguments, one, custom_mutator=mutator, custom_crossover=crossover)
    atheris.Fuzz()
    return 0


def _mutated(form: str, data: bytes, dice: random.Random) -> bytes:
    """``data`` after an edit that knows the format; empty when it cannot be taken apart."""
    import flat
    import proto

    try:
        return (flat if form == "tflite" else proto).mutate(data, dice)
    except (struct.error, ValueError, proto.DecodeError):
        return b""


def _edited(form: str, count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    import seeds

    start, dice = seeds.seeds(form), random.Random(seed)
    yield from ((f"seed {number}", data) for number, data in enumerate(start))
    for number in range(count):
        data = _mutated(form, dice.choice(start), dice)
        yield f"edit {number}", _mutated(form, data, dice) if number % 2 else data


def _replay(form: str, inputs: Iterable[tuple[str, bytes]], *, thorough: bool) -> int:
    """Each of ``inputs`` once, within the same bounds as when fuzzing."""
    import target

    _limit_memory()
    outcomes: Counter[str] = Counter()
    for name, data in inputs:
        print(name, file=sys.stderr)
        with _limited_time():
            outcomes[target.execute(form, data, thorough=thorough)] += 1
    print(json.dumps({"inputs": outcomes.total(), **dict(sorted(outcomes.items()))}))
    return 0


def _limit_memory() -> None:
    import target

    target.targets()  # before any limit: the packs are loaded once
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_MB << 20, MEMORY_MB << 20))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


@contextlib.contextmanager
def _limited_time() -> Iterator[None]:
    """The process ends when what is inside takes too long, C code included."""
    signal.setitimer(signal.ITIMER_PROF, SECONDS_AN_INPUT)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _keep(work: Path, why: str, data: bytes, report: str) -> None:
    path = work / "found" / f"{why}-{_name(data)[:8]}"
    path.write_bytes(data)
    path.with_suffix(".txt").write_text(report)
    print(f"found {path.name}", flush=True)


def _count(work: Path) -> int:
    return sum(1 for path in (work / "found").iterdir() if path.suffix != ".txt")


def _name(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    gc.set_threshold(200_000, 20, 20)  # as ``latlint.__main__`` sets it
    sys.exit(main())
