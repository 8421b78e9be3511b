"""Fuzzing of the whole way, in process and without coverage: ``python fuzz/whole.py tflite``, ``onnx`` or ``texts``, ``--minutes N`` or ``--runs N``.

``tflite`` and ``onnx``: edits of small models through the command line: check with every rule and a random format, predict with
``--explain``, diff of two (the other one of any format), a lock written and compared, textconv. ``texts``: edits of configurations, locks,
baselines, packs and measurements. A file system in memory as ``--work`` is faster, and each process needs a directory and a ``--seed`` of its
own. Anything but exit code 0, 1 or 2, an internal error (LAT009 included), a lock that is not up to date as soon as it is
written, 5 s of processor time or 512 MB is a finding: it is kept in ``found/`` of the working directory, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import io
import os
import random
import re
import resource
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

FORMS = ("tflite", "onnx")
SECONDS_AN_INPUT = 5.0
MEMORY_MB = 512
#: Executions between two lines of progress.
SAY_EVERY = 50_000
#: One of each kind of processor and each runtime; those that cannot load a file say so.
TARGETS = (
    "pixel-4/gpu",
    "iphone-xs/gpu",
    "pixel-4/cpu-1large",
    "galaxy-s10/cpu-1large@xnnpack",
    "raspberry-pi-5/cpu-4",
    "galaxy-s24/npu@litert",
    "galaxy-s24/npu@onnxruntime",
    "galaxy-s24/npu@qnn",
    "x86-64-avx512/cpu-1@onnxruntime",
)

#: A pack of each cost model, and the target of it that a run asks for.
PACKS = {
    "pixel-4": "pixel-4/gpu",
    "pixel-4-xnnpack": "pixel-4/cpu-1large@xnnpack",
    "raspberry-pi-5": "raspberry-pi-5/cpu-4",
    "galaxy-s24": "galaxy-s24/npu@litert",
    "x86-64-avx512": "x86-64-avx512/cpu-1",
}

CONFIGURATION = """\
targets = ["pixel-4/gpu", "pixel-4/cpu-*"]
models = ["**/*.onnx", "*.tflite"]
exclude = ["build/**"]
gate = "point"
require-budget = true
unjudged = "warning"
fail-on = "warning"
select = ["LAT"]
ignore = ["LAT2"]
[severities]
LAT301 = "error"
[per-model-ignores]
"m*" = ["LAT3"]
[shapes]
x = "1x8x8x8"
[[budgets]]
max = "3ms"
warn = "2ms"
target = "pixel-4/*"
model = "*.onnx"
message = "a reason"
[[budgets]]
max-increase = "5%"
min-increase = "0.1ms"
[[budgets]]
max = "2ms"
op = "conv2d"
[[waivers]]
code = "LAT101"
reason = "later"
expires = 2027-01-01
max = "4ms"
"""
MEASURED = "model,latency_ms\n" + "".join(f"m{number}.onnx,1.{number}\n" for number in range(6))
_BITS = (
    "a.",
    "*",
    "**/",
    '"',
    "\\",
    "\n",
    "[",
    "]",
    "{",
    "}",
    "=",
    "1e999",
    "2027-01-01",
    "nan",
    "\0",
    "9" * 40,
    "#",
    " ",
    "é",
    "'''",
)
#: A string, a number or a word.
_WORD = re.compile(rb'"[^"\n]*"|[-+]?[0-9.]+(?:e[-+]?[0-9]+)?[a-z%]*|[A-Za-z_-]+|\[[^\[\]\n]*\]')
_VALUES = (
    *(
        "0",
        "-1",
        "1e308",
        "-0.0",
        "1e-320",
        "nan",
        "inf",
        "9223372036854775808",
        "true",
        "[]",
        "{}",
        "null",
        "2027-01-01",
    ),
    *(
        '""',
        '"*"',
        '"**"',
        '"\\u0000"',
        '"0ms"',
        '"-5%"',
        '"1e999us"',
        '"../.."',
        '"/"',
        '"gpu"',
        '"float32"',
        "[[]]",
        '["a"]',
    ),
)


class HangError(Exception):
    """More processor time than an input may take."""


def edited_text(data: bytes, dice: random.Random) -> bytes:
    """``data`` with some of its words and values in another's place (most of them stay files that are read to their end), or with
    parts deleted, doubled, or replaced by what means something in one of the formats."""
    for _ in range(dice.choice((1, 1, 2, 6))):
        words = list(_WORD.finditer(data)) if dice.random() < 0.7 else []
        if words:
            at, end = dice.choice(words).span()
            piece = dice.choice((dice.choice(words).group(), dice.choice(_VALUES).encode(), b""))
        else:
            at, end = sorted(dice.randrange(len(data) + 1) for _ in range(2))
            end = min(end, at + dice.choice((1, 4, 30, 1000)))
            bit = dice.choice(_BITS).encode() * dice.choice((1, 1, 3, 200))
            piece = dice.choice((b"", data[at:end] * 2, bit, bytes([dice.randrange(256)])))
        data = data[:at] + piece + data[end:]
    return data[:1_000_000]


def said(*arguments: str) -> tuple[int, str]:
    """The exit code of the command line, and what it said on stderr."""
    from latlint.cli import main

    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main(list(arguments))
    text = err.getvalue()
    assert status in (0, 1, 2), f"exit code {status}"
    assert "internal error" not in text and "LAT009" not in text, text[-2000:]
    assert "Traceback" not in text
    return status, text


def model(form: str, dice: random.Random, seeds: dict[str, list[bytes]]) -> tuple[str, dict[str, bytes]]:
    """One model of ``form``, or two of which the other is of any, one way of those there are."""
    import flat
    import proto

    files = {}
    for name in ("a", "b")[: dice.choice((1, 1, 2))]:
        form = form if name == "a" else dice.choice(FORMS)
        data = dice.choice(seeds[form])
        for _ in range(dice.randint(0, 3)):
            with contextlib.suppress(ValueError, proto.DecodeError, __import__("struct").error):
                data = (flat if form == "tflite" else proto).mutate(data, dice) or data
        files[f"{name}.{form}"] = data
    for name, data in files.items():
        Path(name).write_bytes(data)
    names, target = list(files), dice.choice(TARGETS)
    if len(names) == 2:
        return f"diff {said('diff', *names, '-t', target, '--no-config')[0]}", files
    from latlint.report import formats

    way = dice.choice(("check", "check", "check", "predict", "lock", "textconv"))
    if way == "check":
        status, _ = said("check", *names, "-t", target, "--no-config", "--format", dice.choice(formats()), "-b", "1us")
    elif way == "predict":
        status, _ = said("predict", *names, "-t", target, "--no-config", "--explain", "--all-kernels")
    elif way == "lock":
        status, _ = said("lock", *names, "-t", target)
        if status == 0:
            again, text = said("lock", "--check", *names, "-t", target)
            assert again == 0, text
        Path("latlint.lock").unlink(missing_ok=True)
    else:
        status, _ = said("textconv", *names)
    return f"{way} {status}", files


def texts(dice: random.Random, seeds: dict[str, list[bytes]]) -> tuple[str, dict[str, bytes]]:
    """One file of those that a repository holds beside models, or of a pack, and a run that reads it."""
    name = dice.choice(("latlint.toml", "latlint.toml", "latlint.lock", "latlint.baseline", "pack", "measured.csv"))
    if name == "pack":
        pack, target = dice.choice(list(PACKS.items()))
        name = f"{pack}/{dice.choice(('card.json', 'card.json', 'arrays.bin'))}"
    place, source = Path(name), seeds[name][0]
    data = edited_text(source, dice)
    place.write_bytes(data)
    try:
        if place.parent.name in PACKS:
            status, _ = said("check", "m.onnx", "--no-config", "--pack", place.parent.name, "-t", target)
        elif name == "measured.csv":
            command = ("pack", "build", name, "--device", "d", "--processor", "gpu", "--output", "built")
            status, _ = said(*command)
        elif name == "latlint.toml":
            status, _ = said("check", "m.onnx")
            said("config", "check")
        else:
            status, _ = said("check", "m.onnx", "-t", "pixel-4/gpu")
            said("lock", "--check", "m.onnx", "-t", "pixel-4/gpu")
    finally:
        place.write_bytes(source) if place.parent.name in PACKS else place.unlink()
        shutil.rmtree("built", ignore_errors=True)
    return f"{name} {status}", {name: data}


def prepared(work: Path) -> dict[str, list[bytes]]:
    """The working directory, a repository of its own, and what edits start from."""
    import seeds

    from latlint.data import data_dir

    shutil.rmtree(work / "here", ignore_errors=True)
    (work / "here" / ".git").mkdir(parents=True)
    (work / "found").mkdir(exist_ok=True)
    os.chdir(work / "here")
    found = {form: list(seeds.seeds(form)) for form in FORMS}
    for name in ("m.onnx", *(f"m{number}.onnx" for number in range(6))):
        Path(name).write_bytes(found["onnx"][0])
    for pack, target in PACKS.items():
        shutil.copytree(data_dir("predictors") / pack, pack)
        for file in ("card.json", "arrays.bin"):
            found[f"{pack}/{file}"] = [Path(pack, file).read_bytes()]
        assert said("check", "m.onnx", "--no-config", "--pack", pack, "-t", target)[0] == 0, pack
    found |= {"latlint.toml": [CONFIGURATION.encode()], "measured.csv": [MEASURED.encode()]}
    # An input that is refused as a whole shows nothing of what reads it.
    Path("latlint.toml").write_text(CONFIGURATION)
    status, text = said("config", "check")
    assert status == 0, text
    Path("latlint.toml").unlink()
    said("lock", "m.onnx", "-t", "pixel-4/gpu")
    said("baseline", "m.onnx", "-t", "pixel-4/gpu")
    for name in ("latlint.lock", "latlint.baseline"):
        found[name] = [Path(name).read_bytes() if Path(name).exists() else b"# latlint baseline 1\n"]
        Path(name).unlink(missing_ok=True)
    return found


def summary(number: int, findings: int) -> str:
    """What was done so far, with the processor time and the peak of this process."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return (
        f"{number:,} executions in {time.process_time():,.0f} s of processor time, peak {peak} MB, {findings} findings"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=(*FORMS, "texts"))
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--runs", type=int, default=10**9)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--work", type=Path, default=HERE.parent / ".fuzz" / "whole")
    options = parser.parse_args()
    work = options.work.absolute()
    work.mkdir(parents=True, exist_ok=True)
    os.environ["LATLINT_CACHE_DIR"] = os.devnull
    start_from = prepared(work)
    one: Callable[[random.Random, dict[str, list[bytes]]], tuple[str, dict[str, bytes]]]
    one = texts if options.what == "texts" else partial(model, options.what)
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_MB << 20, MEMORY_MB << 20))

    def hang(number: int, frame: object) -> None:
        raise HangError(f"more than {SECONDS_AN_INPUT} s")

    signal.signal(signal.SIGPROF, hang)
    outcomes: Counter[str] = Counter()
    start, number, findings = time.monotonic(), 0, 0
    while number < options.runs and time.monotonic() - start < options.minutes * 60:
        number += 1
        dice = random.Random(f"{options.seed} {number}")
        try:
            signal.setitimer(signal.ITIMER_PROF, SECONDS_AN_INPUT)
            outcome, _ = one(dice, start_from)
            outcomes[outcome] += 1
        except Exception as error:
            findings += 1
            kept = work / "found" / f"{options.what}-{options.seed}-{number}"
            shutil.copytree(".", kept, dirs_exist_ok=True, ignore=shutil.ignore_patterns(*PACKS, ".git"))
            (kept / "report.txt").write_text(f"{type(error).__name__}: {error}")
            print(f"found {kept.name}: {type(error).__name__}: {str(error)[-300:]}", flush=True)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        if number % SAY_EVERY == 0:
            print(summary(number, findings), flush=True)
    print(f"{summary(number, findings)}: {dict(sorted(outcomes.items()))}")
    return 1 if findings else 0


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    gc.set_threshold(200_000, 20, 20)  # as ``latlint.__main__`` sets it
    sys.exit(main())
