"""Fuzzing of the whole way, in process and without coverage: ``python fuzz/whole.py tflite``, ``onnx`` or ``texts``.

``tflite`` and ``onnx``: edits of small models through the command line: check with every rule, predict with ``--explain``, diff of two (the
other one of any format) and with what git has, a lock, a baseline or a configuration written and gone by, textconv; in a random format, on a
random target or provider, now and then as if quantised or with a size that the file leaves open. ``texts``: edits of configurations, locks,
baselines, packs and measurements. An execution is one edited file from the command line to the report. Anything but exit code 0, 1 or 2, an
internal error (LAT009 included), a warning of Python's, a lock that is not up to date as soon as it is written, a baseline that accepts less than what there was, a budget of
``init`` that is broken at once, a result that differs when it comes from the cache, 5 s of processor time for a command line or 512 MB is a finding: the files are kept in ``found/`` of the working directory, and the exit code is 1.

A file system in memory as ``--work`` is faster, and each process needs a directory and a ``--seed`` of its own. With ``--counts FILE`` a run goes on where
the one before it ended, on the same state of the code; ``python fuzz/whole.py total FILE...`` adds up what several processes ran.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import gc
import hashlib
import io
import json
import os
import random
import re
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache, partial
from itertools import product
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

FORMS = ("tflite", "onnx")
#: A repository with a commit of as many models as a command line has; and one of nothing, which git refuses.
REPOSITORY, REFUSED = "repository", "refused"
SECONDS_AN_INPUT = 5.0
MEMORY_MB = 512
#: Executions between two lines of progress.
SAY_EVERY = 20_000
#: Models of most command lines: fewer than start a second process.
MODELS_A_LINE = 12
#: What is done with models, as often as it stands here.
WAYS = (
    *("check",) * 40,
    *("predict",) * 30,
    *("lock",) * 6,
    *("baseline", "init") * 2,
    *("diff",) * 18,
    "base",
    *("textconv",) * 18,
)
#: Whose edits are read, as often; a pack that is built takes as long as twenty of the others.
TEXTS = (*("latlint.toml",) * 16, *("latlint.lock",) * 8, *("latlint.baseline",) * 8, *("pack",) * 8, "measured.csv")
#: One of each kind of processor and each runtime; those that cannot load a file say so.
TARGETS = (
    "pixel-4/gpu",
    "iphone-xs/gpu",
    "galaxy-s26/gpu",
    "pixel-4/cpu-1large",
    "galaxy-s10/cpu-1large@xnnpack",
    "raspberry-pi-5/cpu-4",
    "galaxy-s24/npu@litert",
    "galaxy-s24/npu@onnxruntime",
    "galaxy-s24/npu@qnn",
    "x86-64-avx512/cpu-1@onnxruntime",
)
#: Asked for instead of a target, of models of ONNX.
PROVIDERS = ("coreml", "nnapi", "xnnpack")
#: What models are judged as, as often as it stands here.
AS = {
    form: (*((),) * 15, *(("--precision", each) for each in ("w8a8", "w8a16", "float16")), ("--shape", size))
    for form, size in (("tflite", "t=2x8x8x8"), ("onnx", "i0=2x4x8x8"))
}
#: Which limits hold beside a lock or a commit.
INCREASE = '[[budgets]]\nmax = "1us"\n[[budgets]]\nmax-increase = "0.1%"\n'

#: A pack of each cost model, and the target of it that a run asks for.
PACKS = {
    "pixel-4": "pixel-4/gpu",
    "pixel-4-xnnpack": "pixel-4/cpu-1large@xnnpack",
    "raspberry-pi-5": "raspberry-pi-5/cpu-4",
    "galaxy-s24": "galaxy-s24/npu@litert",
    "x86-64-avx512": "x86-64-avx512/cpu-1",
}

CONFIGURATION = """\
targets = ["pixel-4/gpu", "pixel-4/cpu-1l*"]
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
#: Bytes of a file that an edit looks at.
_PART = 2000
_LINE = re.compile(rb"[^\n]*\n")
#: What may stand for each other: values of all kinds, or words.
_VALUE = re.compile(
    rb'"[^"\n]*"|\["[^\[\]\n]*\]|\d{4}-\d\d-\d\d|[-+]?\b[0-9][0-9.]*(?:e[-+]?[0-9]+)?[a-z%]*|\b(?:true|false)\b'
)
_NAME = re.compile(rb"[A-Za-z_-]+")
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
    """``data`` without some of its lines, or with its lines, words or values in another's place (many of them stay files that are read to
    their end), or with parts deleted, doubled, or replaced by what means something in one of the formats."""
    for _ in range(dice.choice((1, 1, 2, 4))):
        # A part of it: to find the words of a megabyte takes longer than all that follows.
        start = dice.randrange(max(len(data) - _PART, 0) + 1)
        what = dice.choice((_LINE, _LINE, *(_VALUE,) * 5, _NAME, _NAME, None))
        if what and (found := [each.span() for each in what.finditer(data, start, start + _PART)]):
            (at, end), (other, until) = dice.choice(found), dice.choice(found)
            alike = data[other:until]
            if what is _VALUE:
                piece = dice.choice((alike, dice.choice(_VALUES).encode()))
            else:
                piece = dice.choice((b"", b"", alike) if what is _LINE else (alike, alike, b""))
        else:
            at, end = sorted(dice.randrange(len(data) + 1) for _ in range(2))
            end = min(end, at + dice.choice((1, 4, 30, 1000)))
            bit = dice.choice(_BITS).encode() * dice.choice((1, 1, 3, 200))
            piece = dice.choice((b"", data[at:end] * 2, bit, bytes([dice.randrange(256)])))
        data = data[:at] + piece + data[end:]
    return data[:1_000_000]


def edited_model(data: bytes, form: str, dice: random.Random) -> bytes:
    """``data`` after no edit, or up to a dozen."""
    import flat
    import proto

    rounds = dice.randint(0, 3)
    with contextlib.suppress(ValueError, proto.DecodeError, struct.error):
        return ((flat if form == "tflite" else proto).mutate(data, dice, rounds) or data) if rounds else data
    return data


#: Exit codes of a run that is told to end: SIGINT, SIGTERM.
_STOPPED = (130, 143)


def said(*arguments: str) -> tuple[int, str, str]:
    """The exit code of the command line, and what it said on stdout and on stderr."""
    from latlint.cli import main

    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main(list(arguments))
    text = err.getvalue()
    if status in _STOPPED:  # the command line has taken the signal for its own
        raise SystemExit(status)
    assert status in (0, 1, 2), f"exit code {status}"
    assert "internal error" not in text and "LAT009" not in text, text[-2000:]
    assert "Traceback" not in text
    return status, out.getvalue(), text


def models(form: str, dice: random.Random, seeds: dict[str, list[bytes]]) -> Iterator[str]:
    """Edited models of ``form`` one way of those there are, on one target: what came of each."""
    # Most command lines are of several models, as a directory is linted: each is an execution.
    count = dice.choice((1, *(MODELS_A_LINE,) * 7))
    way = dice.choice(WAYS)
    # to ask git takes longer than most models
    place = REPOSITORY if way == "base" else dice.choice((REPOSITORY, REFUSED, *(".",) * 98))
    names = []
    for number in range(count):
        names.append(os.path.join(place, f"{number}.{form}"))  # noqa: PTH118 - as users write it
        Path(names[-1]).write_bytes(edited_model(dice.choice(seeds[form]), form, dice))
    on = [("--target", each) for each in TARGETS]
    if form == "onnx" and way not in _TIMED:
        on += [("--provider", each) for each in PROVIDERS]
    where = (*dice.choice(on), *dice.choice(AS[form]))
    if way == "diff":
        for name in names:
            of = dice.choice(FORMS)
            other = os.path.join(place, f"other.{of}")  # noqa: PTH118
            old = dice.choice(seeds[of])
            Path(other).write_bytes(dice.choice((old, edited_model(old, of, dice))))
            shown = ("--format", dice.choice(_CHANGES))
            yield "diff refused" if said("diff", name, other, *where, "--no-config", *shown)[0] else "diff"
    elif way == "base":
        against = ("--base", "HEAD", *where)
        if dice.random() < 0.5:
            err = said("diff", *names, *against, "--no-config", "--format", dice.choice(_CHANGES))[2]
        else:
            err = said(
                "check", *names, *against, "--config", f"{REPOSITORY}/increase.toml", "--format", _format(dice, "check")
            )[2]
        yield from _outcomes(way, names, err)
    elif way == "textconv":
        for name in names:
            status, out, err = said("textconv", name, *where)
            yield "textconv refused" if status or err or "cannot be read" in out else "textconv"
    elif way == "check":
        asked = ("check", *names, *where, "--no-config", "--format", _format(dice, "check"), "--budget", "1us")
        first = said(*asked, "--no-cache")
        if dice.random() < 0.05:
            assert said(*asked) == said(*asked) == first, "what comes from the cache differs"
        yield from _outcomes(way, names, first[2])
    else:
        shown = ("--explain", "--all-kernels", "--format", _format(dice, "predict"))
        _, _, err = said("predict", *names, *where, "--no-config", *shown, "--no-cache")
        refused = _refused(err)
        if way != "predict" and (sound := [name for name in names if name not in refused]):
            _kept(way, sound, where)
            for file in ("latlint.lock", "latlint.baseline", "latlint.toml"):
                Path(file).unlink(missing_ok=True)
        yield from _outcomes(way, names, err)
    shutil.rmtree(os.environ["LATLINT_CACHE_DIR"], ignore_errors=True)


#: Ways that keep times, which no provider has.
_TIMED = ("lock", "baseline", "init")
_CHANGES = ("html", "json", "markdown", "text")


def _kept(way: str, names: Sequence[str], where: Sequence[str]) -> None:
    """Write what ``way`` keeps of models that can be read, and go by it."""
    status, _, why = said(way, *names, *where)
    assert status == 0, why
    if way == "lock":
        assert said("lock", "--check", *names, *where)[0] == 0, "the lock is not up to date"
        Path(names[0]).write_bytes(Path(names[-1]).read_bytes())
        said("check", *names[:3], *where, "--config", "increase.toml")
    elif way == "baseline":
        assert said("check", *names, *where)[0] == 0, "the baseline does not accept what there is"
    else:
        assert "over budget" not in said("check")[1], "the budgets of init are broken at once"
        said("budget", "tighten")


def _refused(err: str) -> set[str]:
    return set(re.findall(r"^latlint: error: ([^:]+): ", err, re.MULTILINE))


def _outcomes(way: str, names: Sequence[str], err: str) -> Iterator[str]:
    refused = _refused(err)
    for name in names:
        yield f"{way} refused" if name in refused else way


def _format(dice: random.Random, command: str) -> str:
    return dice.choice(_formats(command))


@cache
def _formats(command: str) -> tuple[str, ...]:
    """The formats of a report; SARIF, which has the pages of all rules, half as often as others."""
    from latlint.report import formats, shows

    shown = (each for each in formats() if shows(each, command))
    return tuple(each for each in shown for _ in range(1 if each.startswith("sarif") else 2))


def texts(dice: random.Random, seeds: dict[str, list[bytes]]) -> Iterator[str]:
    """One file of those that a repository holds beside models, or of a pack, and runs that read it. The model is always the same, and comes from the cache."""
    name = dice.choice(TEXTS)
    if name == "pack":
        pack, target = dice.choice(list(PACKS.items()))
        name = f"{pack}/{dice.choice(('card.json', 'card.json', 'arrays.bin'))}"
    place, source = Path(name), seeds[name][0]
    place.write_bytes(edited_text(source, dice))
    try:
        if place.parent.name in PACKS:
            asked = [("check", "m.onnx", "--no-config", "--pack", place.parent.name, "--target", target)]
        elif name == "measured.csv":
            asked = [("pack", "build", name, "--device", "d", "--processor", "gpu", "--output", "built")]
        elif name == "latlint.toml":
            asked = [("check", "m.onnx"), ("config", "check")]
        else:
            asked = [("check", "m.onnx", *_ON), ("lock", "--check", "m.onnx", *_ON)]
        if dice.random() < 0.5:  # what one refuses, most often the others refuse as well
            asked = [dice.choice(asked)]
        yield f"{name} refused" if {2} == {said(*each)[0] for each in asked} else name
    finally:
        place.write_bytes(source) if place.parent.name in PACKS else place.unlink()
        shutil.rmtree("built", ignore_errors=True)


_ON = ("--target", "pixel-4/gpu")


def prepared(work: Path) -> dict[str, list[bytes]]:
    """The working directory, which is in no repository but has two, and what edits start from."""
    import seeds

    from latlint.data import data_dir

    os.environ["LATLINT_CACHE_DIR"] = os.fspath(work / "cache")
    shutil.rmtree(work / "here", ignore_errors=True)
    (work / "here" / REFUSED / ".git").mkdir(parents=True)
    (work / "found").mkdir(exist_ok=True)
    os.chdir(work / "here")
    found = {form: list(seeds.seeds(form)) for form in FORMS}
    for name in ("m.onnx", *(f"m{number}.onnx" for number in range(6))):
        Path(name).write_bytes(found["onnx"][0])
    Path(REPOSITORY).mkdir()
    for number, form in product(range(MODELS_A_LINE), FORMS):
        Path(REPOSITORY, f"{number}.{form}").write_bytes(found[form][61 * number])
    for step in (("init", "-q"), ("add", "."), ("-c", "user.name=f", "-c", "user.email=f@f", "commit", "-qm", "0")):
        subprocess.run(["git", "-C", REPOSITORY, *step], check=True)
    for place in (".", REPOSITORY):  # a lock is beside a configuration, a commit around it
        Path(place, "increase.toml").write_text(INCREASE)
    for pack, target in PACKS.items():
        shutil.copytree(data_dir("predictors") / pack, pack)
        for file in ("card.json", "arrays.bin"):
            found[f"{pack}/{file}"] = [Path(pack, file).read_bytes()]
        assert said("check", "m.onnx", "--no-config", "--pack", pack, "-t", target)[0] == 0, pack
    found |= {"latlint.toml": [CONFIGURATION.encode()], "measured.csv": [MEASURED.encode()]}
    # An input that is refused as a whole shows nothing of what reads it.
    Path("latlint.toml").write_text(CONFIGURATION)
    status, _, text = said("config", "check")
    assert status == 0, text
    Path("latlint.toml").unlink()
    said("lock", "m.onnx", *_ON)
    said("baseline", "m.onnx", *_ON)
    for name in ("latlint.lock", "latlint.baseline"):
        found[name] = [Path(name).read_bytes() if Path(name).exists() else b"# latlint baseline 1\n"]
        Path(name).unlink(missing_ok=True)
    return found


class Counts:
    """What was run on one state of the code, as a file keeps it between runs."""

    def __init__(self, file: Path | None, what: str, seed: int) -> None:
        self.file = file
        self.head: dict[str, Any] = {"code": code_state(), "what": what, "seed": seed}
        self.rounds, self.seconds, self.peak_mb, self.findings = 0, 0.0, 0, 0
        self.outcomes: Counter[str] = Counter()
        if file and file.exists():
            before = json.loads(file.read_text())
            if {key: before[key] for key in self.head} != self.head:
                raise SystemExit(f"{file} is of {before['what']}, seed {before['seed']}, code {before['code']}")
            self.rounds, self.seconds, self.peak_mb = before["rounds"], before["seconds"], before["peak_mb"]
            self.findings, self.outcomes = before["findings"], Counter(before["outcomes"])
        self._before, self._start = self.seconds, processor_seconds()

    @property
    def executions(self) -> int:
        return self.outcomes.total() + self.findings

    def save(self) -> None:
        self.seconds = self._before + processor_seconds() - self._start
        self.peak_mb = max(self.peak_mb, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10)
        if self.file:
            names = ("rounds", "executions", "seconds", "peak_mb", "findings")
            found = self.head | {name: getattr(self, name) for name in names} | {"outcomes": dict(self.outcomes)}
            self.file.write_text(json.dumps(found, indent=1) + "\n")

    def __str__(self) -> str:
        refused = sum(count for outcome, count in self.outcomes.items() if outcome.endswith(" refused"))
        return (
            f"{self.head['what']}: {self.executions:,} executions, {refused / max(self.executions, 1):.0%} refused, in {self.seconds:,.0f} s of "
            f"processor time ({1000 * self.seconds / max(self.executions, 1):.2f} ms each), peak {self.peak_mb} MB, {self.findings} findings"
        )


def processor_seconds() -> float:
    """Of this process and of git, where it was asked."""
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in both)


def code_state() -> str:
    """The commit, with the hash of what differs from it."""
    git = ["git", "-C", str(HERE.parent)]
    commit = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True)
    change = subprocess.run(
        [*git, "diff", "HEAD", "--", "latlint", "rules", "predictors", "fuzz"], capture_output=True, check=True
    )
    return commit.stdout.strip() + (f"+{hashlib.sha256(change.stdout).hexdigest()[:8]}" if change.stdout else "")


def total(files: Sequence[Path]) -> int:
    """Print what ``files`` have together, for each state of the code and each kind of input."""
    sums: dict[tuple[str, str], Counts] = {}
    for file in files:
        found = json.loads(file.read_text())
        one = sums.setdefault((found["code"], found["what"]), Counts(None, found["what"], 0))
        one.outcomes.update(found["outcomes"])
        one.findings += found["findings"]
        one.seconds += found["seconds"]
        one.peak_mb = max(one.peak_mb, found["peak_mb"])
    for (code, _), one in sorted(sums.items()):
        print(f"{code} {one}")
        for outcome, count in sorted(one.outcomes.items()):
            print(f"    {count:>9,} {outcome}")
    return 1 if any(one.findings for one in sums.values()) else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=(*FORMS, "texts", "total"))
    parser.add_argument("files", nargs="*", type=Path, help="for total: what --counts wrote")
    parser.add_argument("--minutes", type=float, default=10**6)
    parser.add_argument(
        "--runs", type=int, default=10_000, help="executions, with those that --counts has (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--work", type=Path, help="working directory, in no git repository (default: a temporary one)")
    parser.add_argument(
        "--counts",
        type=Path,
        metavar="FILE",
        help="go on from, and keep in FILE, what was run on this state of the code",
    )
    options = parser.parse_args()
    if options.what == "total":
        return total(options.files)
    work = (options.work or Path(tempfile.mkdtemp(prefix="latlint-fuzz-"))).absolute()
    work.mkdir(parents=True, exist_ok=True)
    counts = Counts(options.counts and options.counts.absolute(), options.what, options.seed)
    start_from = prepared(work)
    one = texts if options.what == "texts" else partial(models, options.what)
    faulthandler.enable()  # a crash in C code ends the run: the input lies in here/, and this says where it was
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_MB << 20, MEMORY_MB << 20))

    def hang(number: int, frame: object) -> None:
        raise HangError(f"more than {SECONDS_AN_INPUT} s")

    signal.signal(signal.SIGPROF, hang)
    warnings.simplefilter("error")  # a user would read it among the findings
    gc.collect()
    gc.freeze()
    start, say = time.monotonic(), SAY_EVERY
    while counts.executions < options.runs and time.monotonic() - start < options.minutes * 60:
        counts.rounds += 1
        dice = random.Random(f"{options.seed} {counts.rounds}")
        try:
            signal.setitimer(signal.ITIMER_PROF, SECONDS_AN_INPUT)
            counts.outcomes.update(one(dice, start_from))
        except Exception as error:
            signal.setitimer(signal.ITIMER_PROF, 0)
            counts.findings += 1
            kept = work / "found" / f"{options.what}-{options.seed}-{counts.rounds}"
            shutil.copytree(".", kept, dirs_exist_ok=True, ignore=shutil.ignore_patterns(*PACKS, ".git"))
            (kept / "report.txt").write_text(f"{type(error).__name__}: {error}")
            print(f"found {kept}: {type(error).__name__}: {str(error)[-300:]}", flush=True)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        if counts.executions >= say:
            say += SAY_EVERY
            counts.save()
            print(counts, flush=True)
    counts.save()
    print(f"{counts}: {dict(sorted(counts.outcomes.items()))}")
    return 1 if counts.findings else 0


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    gc.set_threshold(200_000, 20, 20)  # as ``latlint.__main__`` sets it
    sys.exit(main())
