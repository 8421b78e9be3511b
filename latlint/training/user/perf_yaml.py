"""AI Hub Models' ``perf.yaml``: the published times of one network, by precision, component, device and runtime.

Its releases write ``key: value``, nested by indentation, and lists, of which none holds a time that is wanted here. That is all that is
understood: no anchors, tags, quotes over lines, or values in braces, which are what makes YAML expensive and surprising to read. So this needs
no YAML library, and a file takes time and memory for its length, whatever it holds.

Everything a file can get wrong is a ``ValueError`` that names the line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

#: Far more than any release has.
MAX_BYTES = 4_000_000
#: How YAML begins what is not read here: anchors, tags, text of many lines, values in braces, and more.
_OTHER = tuple("&*!|>%@`{[?")
_EMPTY = ("{}", "[]")

_TIME, _STATUS = "inference_time_milliseconds", "job_status"
#: Where a component's files, for any device, say by runtime which tools compiled them; QAIRT's version among these.
_ASSETS, _TOOLS, _QAIRT = "universal_assets", "tool_versions", "qairt"


class Row(NamedTuple):
    """One job: where it stands in the file, and what it says; ``version``: of QAIRT, which compiled the network, empty where it is not stated."""

    device: str
    runtime: str
    precision: str
    component: str
    facts: Mapping[str, Any]
    version: str = ""

    @property
    def name(self) -> str:
        return "/".join(self[:4])


class Measured(NamedTuple):
    """The time of a job, and the version of QAIRT that compiled the network, empty where it is not stated."""

    ms: float
    version: str


def measured(text: str, wanted: str) -> Measured:
    """What the file says of the one job that ``wanted`` picks: names of a device, a runtime, a precision and a component in any order, with / between
    them, as many as tell it from the others. Raises ``ValueError``."""
    found = rows(text)
    chosen = found
    for name in filter(None, (part.strip() for part in wanted.split("/"))):
        chosen = [row for row in chosen if name in row[:4]]
        if not chosen:
            raise ValueError(f"{name!r} picks no job: there are {_shown(found)}")
    if len(chosen) > 1:
        raise ValueError(f"{len(chosen)} jobs: pick one after #, such as #{_shown(chosen)}")
    [row] = chosen
    if _TIME not in row.facts:
        raise ValueError(
            f"{row.name}: no {_TIME} (job_status: {row.facts.get(_STATUS, 'not stated')}): pick another job"
        )
    return Measured(_positive(row), row.version)


def _positive(row: Row) -> float:
    try:
        ms = float(row.facts[_TIME])
    except (TypeError, ValueError):
        ms = 0.0
    if not 0 < ms < 1e9:
        raise ValueError(f"{row.name}: {_TIME}: expected more than 0, got {str(row.facts[_TIME])[:40]!r}")
    return ms


def _shown(found: Sequence[Row], most: int = 4) -> str:
    more = f" and {len(found) - most} more" if len(found) > most else ""
    return ", ".join(row.name for row in found[:most]) + more


def rows(text: str) -> list[Row]:
    """All jobs of a file. Raises ``ValueError``."""
    data = _read(text)
    if "models" in data and "precisions" not in data:
        raise ValueError("the form of older releases, with models: take the file from one that has precisions in it")
    found = [
        Row(device, runtime, precision, component, facts, _version(of_component, runtime, facts))
        for precision, of_precision in _objects(data, "precisions").items()
        for component, of_component in _objects(of_precision, "components").items()
        for device, of_device in _objects(of_component, "performance_metrics").items()
        for runtime, facts in _objects({"": of_device}, "").items()
    ]
    if not found:
        raise ValueError(
            "no job in it: expected precisions, components, performance_metrics, a device and a runtime, one within the other"
        )
    return found


def _version(component: Mapping[str, Any], runtime: str, job: Mapping[str, Any]) -> str:
    """The version of QAIRT that a job states, or the component's files for its runtime."""
    files = _objects(component, _ASSETS).get(runtime, {})
    stated = [each[_TOOLS].get(_QAIRT) for each in (job, files) if isinstance(each.get(_TOOLS), dict)]
    return next((version for version in stated if isinstance(version, str)), "")


def _objects(data: Mapping[str, Any], key: str) -> dict[str, dict[str, Any]]:
    """What ``data`` has under ``key`` by name, without what is not nested further."""
    found = data.get(key)
    return {name: each for name, each in found.items() if isinstance(each, dict)} if isinstance(found, dict) else {}


def _read(text: str) -> dict[str, Any]:
    """Objects of objects and of text, without the lists. Raises ``ValueError``."""
    root: dict[str, Any] = {}
    #: The objects that are open, each with its indentation, and the last key of the last one where nothing follows it on its line.
    levels: list[tuple[int, dict[str, Any]]] = [(0, root)]
    waiting: str | None = None
    in_list: int | None = None
    for number, line in enumerate(text.splitlines(), 1):
        said = line.strip()
        if not said or said.startswith("#") or said == "---":
            continue
        indent = len(line) - len(line.lstrip(" "))
        item = said == "-" or said.startswith("- ")
        if in_list is not None and (indent > in_list or (item and indent == in_list)):
            continue
        in_list = indent if item and waiting is not None else None
        if in_list is not None:
            continue
        key, value = _entry(said, number)
        if waiting is not None and indent > levels[-1][0]:
            nested: dict[str, Any] = {}
            levels[-1][1][waiting] = nested
            levels.append((indent, nested))
        while levels[-1][0] > indent:
            levels.pop()
        opened, found = levels[-1]
        if opened != indent:
            raise ValueError(f"line {number}: indented unlike the lines above it")
        if key in found:
            raise ValueError(f"line {number}: {key[:40]!r} a second time")
        found[key] = value
        waiting = None if value else key
    return root


def _entry(said: str, number: int) -> tuple[str, str]:
    """Key and value of a line, the value empty where nothing follows the key."""
    key, colon, value = said.partition(": ")
    if not colon:
        key, colon = said.removesuffix(":"), said[-1:]
    texts = [_text(part.strip()) for part in (key, "" if value.strip() in _EMPTY else value)]
    if colon[:1] != ":" or not texts[0] or texts[1] is None:
        raise ValueError(f"line {number}: expected a name, a colon and a value, got {said[:40]!r}")
    return texts[0], texts[1]


def _text(said: str) -> str | None:
    """What a plain or quoted text says; ``None`` where it is something else."""
    if said[:1] in ("'", '"'):
        inner = said[1:-1]
        return inner if len(said) > 1 and said[-1] == said[0] and said[0] not in inner and "\\" not in inner else None
    return None if said.startswith(_OTHER) or said.startswith("- ") else said
