"""What people measure with, read as it is written: ``benchmark_model``, ONNX Runtime's profiler, a plain table.

* ``benchmark_model --enable_op_profiling=true`` of TensorFlow Lite, ``--use_profiler=true`` of LiteRT 2: its report, or the file that
  ``--profiling_output_csv_file`` names. Columns and their order changed over the years, so they are found by their titles
  (``tensorflow/core/util/stats_calculator.cc``).
* ``benchmark_model`` without profiling: one time, the median of the runs where the line ``count=…`` states it, else their average, from the
  line ``Inference timings in us`` (TensorFlow Lite) or ``Inference (avg)`` in ms (LiteRT 2, ``litert/tools/benchmark_litert_model.h``).
* ``litert-benchmark`` of the Python package: the median in ms of what it prints, or of the file that ``--result_json`` names.
* ``SessionOptions.enable_profiling``: JSON events; a node's events have ``cat`` ``Node`` and a name that ends in ``_kernel_time``, ``dur``
  is in microseconds (``onnxruntime/core/framework/sequential_executor.cc``).
* Qualcomm AI Hub's profile of a job (``ProfileJob.download_profile``): JSON whose ``execution_summary`` has ``estimated_inference_time``,
  in microseconds. Its times of single layers are left: on an NPU they are no times of layers.
* AI Hub Models' ``perf.yaml`` (``perf_yaml.py``), of which ``#`` and the names of a device, a runtime, … after the file pick one job.
* ``onnxruntime_perf_test``: the line ``P50 Latency`` in seconds, or of versions that lack it the average in ms (``onnxruntime/test/perftest``).
* CSV with the columns ``model`` and ``latency_ms``, and ``family`` where models that are alike shall be held out together.

Everything a file can get wrong is a ``LatlintError`` that names it.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, isfinite
from pathlib import Path
from statistics import median
from typing import Any

from latlint.errors import LatlintError
from latlint.files import read_bounded
from latlint.graph.formats import extensions
from latlint.training.user import perf_yaml

MAX_BYTES = 256_000_000
#: Milliseconds beyond which nothing was timed: less than a clock tells, eleven days.
LEAST_MS, MOST_MS = 1e-6, 1e9
MODEL_COLUMN, TIME_COLUMN, FAMILY_COLUMN = "model", "latency_ms", "family"


@dataclass(frozen=True, slots=True)
class OpTime:
    """One profiled op: its ``name``, its ``type`` in the profiler's words, its index in the model where the profile has it."""

    name: str
    type: str
    ms: float
    index: int | None = None


@dataclass(frozen=True, slots=True)
class Profile:
    """One measured model: the file it was read from, its whole time, the times of its ops (empty where only the whole is known); ``version``: of the
    compiler that made what was timed, empty where it is not stated."""

    model: Path
    source: str
    total_ms: float
    ops: tuple[OpTime, ...] = ()
    family: str = ""
    version: str = ""


def read_all(arguments: Sequence[str]) -> list[Profile]:
    """The measurements of every argument: ``FILE``, or ``MODEL=FILE`` for a profile that does not lie beside its model."""
    return [profile for argument in arguments for profile in _read(argument)]


def _behind(text: str, head: str, wanted: str) -> list[str]:
    """What ``wanted`` finds on the lines of ``text`` behind the first ``head`` of each. One expression of both would try again from every ``head``: on a
    long line it takes time by the square of it."""
    pattern = re.compile(wanted)
    starts = ((line, re.search(head, line)) for line in text.split("\n"))
    return [each for line, start in starts if start for each in pattern.findall(line, start.end())]


def _read(argument: str) -> list[Profile]:
    named, equals, rest = argument.partition("=")
    model = Path(named) if equals and not Path(argument).exists() else None
    return read_file(Path(rest) if model else Path(argument), model)


def read_file(path: Path, model: Path | None = None) -> list[Profile]:
    """The measurements in one file. ``model``: what it is a profile of, by default what lies beside it. Raises ``LatlintError``."""
    found = _profiles(path, model)
    for profile in found:
        # a sum of times or another unit of one that is a number may be none
        worst = max((profile.total_ms, *(op.ms for op in profile.ops)))
        if not (profile.total_ms >= LEAST_MS and worst <= MOST_MS):
            raise LatlintError(
                f"{profile.total_ms if worst <= MOST_MS else worst:g} ms: expected a time from {LEAST_MS:g} to {MOST_MS:g} ms",
                path=profile.source,
            )
    return found


def _profiles(path: Path, model: Path | None) -> list[Profile]:
    if picked := re.fullmatch(r"(.*\.ya?ml)(?:#(.*))?", str(path), re.DOTALL):
        return [_perf_yaml(Path(picked[1]), picked[2] or "", model)]
    text = _text(path)
    if text.lstrip("\ufeff \r\n\t")[:1] in ("[", "{") and not _is_report(text):
        found = _json(text, path)
        if isinstance(found, dict):
            return [(_litert_json if "latency" in found else _ai_hub)(found, path, model)]
        return [_onnxruntime(found, path, model)]
    if _is_report(text):
        return [_benchmark_model(text, path, model)]
    if _PERF_TEST in text:
        return [_perf_test(text, path, model)]
    if model is not None:
        raise _error(
            path,
            "not a profile: expected the output of benchmark_model, of onnxruntime_perf_test or of ONNX Runtime's profiler",
        )
    return _table(text, path)


def _text(path: Path, limit: int = MAX_BYTES) -> str:
    try:
        content = read_bounded(path, limit)
    except OSError as error:
        raise _error(path, f"cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise _error(path, f"{error}: name the measurements one by one") from None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _error(path, "not text: expected a profile or a CSV file") from None


def _error(path: Path, message: str) -> LatlintError:
    return LatlintError(message, path=str(path))


# ---------------------------------------------------------------------------------------------------------- plain table


def _table(text: str, path: Path) -> list[Profile]:
    try:
        return _rows(csv.DictReader(text.splitlines()), path)
    except csv.Error as error:  # a field of more than 131,072 characters
        raise _error(path, f"not a CSV file that can be read: {error}") from None


def _rows(reader: csv.DictReader[str], path: Path) -> list[Profile]:
    columns = [(name or "").strip() for name in reader.fieldnames or ()]
    unknown = [name for name in columns if name not in {MODEL_COLUMN, TIME_COLUMN, FAMILY_COLUMN}]
    if unknown or not {MODEL_COLUMN, TIME_COLUMN} <= {*columns}:
        wrong = f"unknown column {unknown[0]!r}" if unknown else "columns missing"
        raise _error(path, f"{wrong}: expected {MODEL_COLUMN},{TIME_COLUMN} and at most {FAMILY_COLUMN}")
    reader.fieldnames = columns
    found = [_row(row, reader.line_num, path) for row in reader]
    if not found:
        raise _error(path, "no rows below the header")
    return found


def _row(row: Mapping[str | None, Any], line: int, path: Path) -> Profile:
    if None in row:
        raise _error(path, f"line {line}: more fields than the header has")
    name = (row[MODEL_COLUMN] or "").strip()
    if not name or "\0" in name:
        raise _error(path, f"line {line}: no model")
    time = _time(row[TIME_COLUMN], path, f"line {line}: {TIME_COLUMN}")
    return Profile(path.parent / name, f"{path}:{line}", time, family=(row.get(FAMILY_COLUMN) or "").strip())


def _time(value: Any, path: Path, where: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        shown = "nothing" if value is None or not str(value).strip() else repr(str(value))
        raise _error(path, f"{where}: expected milliseconds, got {shown}") from None
    if not isfinite(number) or number <= 0:
        raise _error(path, f"{where}: expected more than 0, got {number:g}")
    return number


# ------------------------------------------------------------------------------------------------------- benchmark_model

_REGULAR = "Operator-wise Profiling Info for Regular Benchmark Runs"
#: Where a report states the time of an inference, the best first: what comes before the number, and how many ms its unit is. A warm-up's line
#: stands before that of the runs, so the last one counts.
_STATED = (
    (r"Inference \(median\):\s*(?=[\d.]+ ms)", 1.0),
    (r"Inference \(avg\):\s*(?=[\d.]+ ms)", 1.0),
    (r"Inference \(avg\):\s*", 1e-3),
    (r"no stats:\s*", 1e-3),
)


def _is_report(text: str) -> bool:
    stated = r"Inference timings in us|Average inference timings|Inference \(avg\):\s*[\d.]+ ms"
    return bool(re.search(stated, text) or _behind(text, r"node type\]?[\t ,]", r"avg[_ ]ms"))


def _benchmark_model(text: str, path: Path, model: Path | None) -> Profile:
    ops = _ops(text, path)
    total = _stated_ms(text, path)
    if total is None:
        total = sum(op.ms for op in ops)
    if total <= 0:
        raise _error(path, "no time in it: expected a line 'Inference timings in us' or a table 'Run Order'")
    graph = re.search(r"Graph: \[((?:(?!Graph: \[).)+?)\]|(?:Loading model from:|Model: {2,}+)\s*+(\S.*)", text)
    return Profile(
        model or _model_beside(path, graph[1] or graph[2].rstrip() if graph else None), str(path), total, ops
    )


def _stated_ms(text: str, path: Path) -> float | None:
    """The time of an inference, median or mean, as the report states it."""
    summaries = "\n".join(line for line in text.split("\n") if "Timings" not in line)
    if medians := _behind(summaries, r"\bcount=\d+ ", r"\bmedian=([^\s,]+)"):
        return _time(medians[-1], path, "Inference") * 1e-3
    for before, unit_ms in _STATED:
        if found := re.findall(rf"{before}([^\s,]+)", text, re.MULTILINE):
            return _time(found[-1], path, "Inference") * unit_ms
    regular = text[text.find(_REGULAR) :] if _REGULAR in text else text
    for word in ("avg", "curr"):  # one run has no average
        if found := _behind(regular, r"Timings \(microseconds\):", rf"\b{word}=([^\s,]+)"):
            return _time(found[0], path, "Timings") * 1e-3
    return None


def _ops(text: str, path: Path) -> tuple[OpTime, ...]:
    """The rows of the first table of the regular runs: those in the order of execution."""
    regular = text[text.find(_REGULAR) :] if _REGULAR in text else text
    columns: list[str] = []
    found: list[OpTime] = []
    for line in regular.splitlines():
        fields = _fields(line, len(columns))
        titles = [field.strip("[]").replace("_", " ").lower() for field in fields]
        if not columns:
            columns = titles if {"node type", "avg ms", "name"} <= {*titles} else []
        elif len(fields) == len(columns):
            found.append(_op(dict(zip(columns, fields, strict=True)), path))
        else:
            break
    return tuple(found)


def _fields(line: str, count: int) -> list[str]:
    """A line's fields: the CSV's, whose names hold no comma, or the report's, which begin after a tab (a log's prefix before it)."""
    if "\t" in line and ("[node type]" in line or not _comma_comes_first(line)):
        return [field.strip() for field in line.split("\t")[1:]]
    # XNNPACK's types hold commas: "Convolution (NHWC, F32) GEMM"
    parts = [part.strip() for part in line.split(",")]
    extra = len(parts) - count if count else 0
    return [", ".join(parts[: extra + 1]), *parts[extra + 1 :]] if extra > 0 and line.count("(") else parts


def _comma_comes_first(line: str) -> bool:
    """Whether a comma stands before any tab, but for tabs between parentheses."""
    first = re.search(r"[\t,]", line)
    if first and first[0] == "\t" and "(" in line[: first.start()].rpartition(")")[2]:
        end = line.find(")", first.start())
        first = re.compile(r"[\t,]").search(line, end) if end >= 0 else None
    return first is not None and first[0] == ","


def _op(row: Mapping[str, str], path: Path) -> OpTime:
    try:
        ms = float(row["avg ms"])
    except ValueError:
        raise _error(path, f"{row['name']}: expected milliseconds, got {row['avg ms']!r}") from None
    if not isfinite(ms) or ms < 0:
        raise _error(path, f"{row['name']}: expected a time of 0 or more, got {ms:g}")
    index = re.search(r"\]?:(\d{1,9})$", row["name"])
    return OpTime(row["name"], row["node type"], ms, int(index[1]) if index else None)


def _model_beside(path: Path, graph: str | None = None) -> Path:
    """The model that a profile is of: the file of the name that the report states, or of the profile's own, beside the profile."""
    names = [Path(graph.replace("\\", "/")).name] if graph else []
    stem = re.sub(r"_\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d(_\d+)?$", "", path.stem)
    names += [f"{start}{extension}" for start in dict.fromkeys((stem, path.stem)) for extension in extensions()]
    for name in names:
        if (path.parent / name).is_file():
            return path.parent / name
    raise _error(path, f"whose profile is this? expected {names[0]} beside it, or MODEL={path.name}")


def _litert_json(result: Mapping[str, Any], path: Path, model: Path | None) -> Profile:
    """What ``litert-benchmark --result_json`` writes: milliseconds."""
    latency = result["latency"]
    stated = latency.get("median_ms", latency.get("avg_ms")) if isinstance(latency, dict) else None
    total = _time(stated, path, "latency: median_ms")
    named = result.get("model")
    return Profile(model or _model_beside(path, named if isinstance(named, str) else None), str(path), total)


# ---------------------------------------------------------------------------------------------------------- ONNX Runtime

_SUFFIX = "_kernel_time"
_PERF_TEST = "Average inference time cost"


def _perf_test(text: str, path: Path, model: Path | None) -> Profile:
    """The median of the inferences, where it is stated: the average has their first ones in it."""
    median_s = re.findall(r"^P50 Latency:\s*([^\s]+) s", text, re.MULTILINE)
    average_ms = re.findall(rf"{_PERF_TEST}(?: total)?:\s*([^\s]+) ms", text)
    if median_s:
        total = _time(median_s[-1], path, "P50 Latency") * 1e3
    elif average_ms:
        total = _time(average_ms[-1], path, _PERF_TEST)
    else:
        raise _error(path, f"no time in it: expected a line 'P50 Latency: … s' or '{_PERF_TEST}: … ms'")
    return Profile(model or _model_beside(path), str(path), total)


def _json(text: str, path: Path) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise _error(path, "not whole JSON: did the session call end_profiling()?") from None


def _onnxruntime(events: Any, path: Path, model: Path | None) -> Profile:
    if not isinstance(events, list) or any(not isinstance(event, dict) for event in events):
        raise _error(path, "not a profile of ONNX Runtime: expected a list of events")
    times: dict[tuple[str, str], list[float]] = {}
    runs: list[float] = []
    for event in events:
        name, args = str(event.get("name", "")), event.get("args")
        if event.get("cat") == "Node" and name.endswith(_SUFFIX):
            key = name.removesuffix(_SUFFIX), str(args.get("op_name", "")) if isinstance(args, dict) else ""
            times.setdefault(key, []).append(_duration(event, path))
        elif name == "model_run":
            runs.append(_duration(event, path))
    if not times:
        raise _error(
            path, "no event with cat 'Node' and a name that ends in _kernel_time: not a profile of ONNX Runtime"
        )
    # The first run allocates memory and warms up caches.
    calls = {key: median(found[1:] or found) for key, found in times.items()}
    total = median(runs[1:] or runs) if runs else sum(calls.values())
    if not total > 0:
        raise _error(path, "no run of the model took any time")
    ops = tuple(OpTime(name, kind, ms) for (name, kind), ms in calls.items())
    return Profile(model or _model_beside(path), str(path), total, ops)


def _duration(event: Mapping[str, Any], path: Path) -> float:
    """Milliseconds."""
    found = event.get("dur")
    try:
        number = float(found) if isinstance(found, int | float) and not isinstance(found, bool) else -1.0
    except OverflowError:  # an integer of hundreds of digits
        number = inf
    if not 0 <= number < inf:
        raise _error(path, f"{event.get('name')}: expected dur in microseconds, got {str(found)[:40]!r}")
    return number * 1e-3


# ------------------------------------------------------------------------------------------------------------- AI Hub


def _ai_hub(profile: Mapping[str, Any], path: Path, model: Path | None) -> Profile:
    summary = profile.get("execution_summary")
    if not isinstance(summary, dict) or "estimated_inference_time" not in summary:
        raise _error(
            path, "not a profile: expected ONNX Runtime's list of events, or AI Hub's execution_summary with its time"
        )
    total = _duration({"name": "estimated_inference_time", "dur": summary["estimated_inference_time"]}, path)
    if not total > 0:
        raise _error(path, "estimated_inference_time: expected more than 0")
    return Profile(model or _model_beside(path), str(path), total)


def _perf_yaml(path: Path, job: str, model: Path | None) -> Profile:
    try:
        found = perf_yaml.measured(_text(path, perf_yaml.MAX_BYTES), job)
    except ValueError as error:
        raise _error(path, str(error)) from None
    source = f"{path}#{job}" if job else str(path)
    return Profile(model or _model_beside(path), source, found.ms, version=found.version)
