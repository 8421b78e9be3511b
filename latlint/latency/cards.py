"""What a device pack must hold, checked once, when it is read: a pack may come from anywhere, and nothing later checks again.

A card is one JSON object (milliseconds, nanoseconds per unit of a term, gigabytes per second; names of arrays are free):

==============  =====================================================================================================
``device``      the first half of its targets' names; ``title``, ``soc``, ``sources``, ``method`` are for people
``processors``  by name, the second half: ``PROCESSOR``, or ``PROCESSOR@RUNTIME`` where it has costs for more than one runtime:
                ``processor`` (the fields of ``runtime.types.Processor``), ``theta`` (the array of costs), ``terms`` (which of the
                card's ``terms`` and ``covers`` are its own; by default its kind), ``interval`` by precision (``level``, ``low``,
                ``high``: logarithms of measured over predicted, for a ``difficulty`` of 1), ``evidence`` by precision (how many
                families of networks use each implementation), ``spread`` (what a derived time adds to an interval, a logarithm; by
                default log 2), ``version`` by precision (of the compiler that the times were measured with, where it changes them), ``bounds`` (``start_ms``, ``mac_ns``, ``byte_ns`` of the simplest model of what was measured, and between
                how many times ``low`` and ``high`` of it a time lies, and how far ``share`` it goes from it, by default all the way: 1), ``title`` and ``accuracy`` for people; one that is not the
                host's also ``queue`` (``scale``, ``dispatch_ms``, ``start_ms``, ``copy_gb_per_s``) and ``fallback`` (the
                processor that runs the rest)
``defaults``    by name of a processor without ``@``: the runtime for each dialect of a graph, ``{"npu": {"tflite": "litert", ...}}``
``terms``       by kind, or another name that processors give: the names of the terms that each array of costs prices, in its order
                (or ``common:`` and a hash, in these two: see ``packs``)
``covers``      by the same: what the data exercise, ``measured_terms`` and ``envelope``, by class of kernel the smallest and
                largest ``engine.sizes``
``features``    the names of what the forests look at, in the order of their indices
``forests``     depth of each forest, by name (``gpu/conv``)
``arrays``      where each array lies in ``arrays.bin``: ``offset``, ``dtype``, ``shape``; ``sha256`` of that file
==============  =====================================================================================================

Every function here raises ``DamagedError`` with a one-line message that names the key.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from math import inf
from typing import TYPE_CHECKING, Any

import numpy as np

from latlint.runtime.kinds import KINDS, kind
from latlint.runtime.types import PRECISIONS, Processor

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Arrays = dict[str, NDArray[Any]]


#: How many numbers ``engine.sizes`` gives for a kernel.
SIZES = 6
#: The parts of a forest, each an array ``<forest>/<part>``, and their types.
FOREST_PARTS: Mapping[str, str] = {"feature": "|u1", "number": "<f4", "left": "<u2", "right": "<u2", "roots": "<u2"}
#: Every type that an array may have, and the bytes of an item. No type with objects in it: those would be pointers.
ITEM_BYTES: Mapping[str, int] = {"<f8": 8, "<f4": 4, "<u2": 2, "|u1": 1}
#: A forest's sum is an exponent: beyond this, float64 overflows. No kernel takes longer or shorter than its terms by more than the second.
MAX_EXPONENT = 700.0
MAX_CORRECTION = 50.0
MAX_DEPTH = 255
#: Logarithm of the widest interval: a factor of 22,000.
MAX_WIDTH = 10.0
#: Far beyond any cost or size, and far from overflowing when multiplied.
HUGE = 1e15

_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
_KEY = rf"({_NAME})(?:@({_NAME}))?"
_KIND = r"[a-z][a-z0-9]{0,15}"
_FACTS = frozenset(Processor._fields) - {"name"}
_TOLD = frozenset({"worst_model", "by_family_percent"})
_QUEUE = ("scale", "dispatch_ms", "start_ms", "copy_gb_per_s")


class DamagedError(ValueError):
    """A pack that does not hold what it must."""


def read_arrays(card: Mapping[str, Any], blob: bytes) -> Arrays:
    """The arrays that ``card`` names, as views of ``blob``, all of one dimension."""
    return {name: _array(where, blob, f"arrays: {name!r}") for name, where in _object(card, "arrays").items()}


def _array(where: Any, blob: bytes, at: str) -> NDArray[Any]:
    if not isinstance(where, dict) or where.keys() != {"offset", "dtype", "shape"}:
        raise DamagedError(f"{at}: expected offset, dtype and shape")
    dtype, shape = where["dtype"], where["shape"]
    if not isinstance(dtype, str) or dtype not in ITEM_BYTES:
        raise DamagedError(f"{at}: expected a dtype of {', '.join(ITEM_BYTES)}")
    if not isinstance(shape, list) or len(shape) != 1:
        raise DamagedError(f"{at}: expected one dimension")
    offset, count = _whole(where["offset"], f"{at} offset"), _whole(shape[0], f"{at} shape")
    if offset + count * ITEM_BYTES[dtype] > len(blob):
        raise DamagedError(f"{at}: ends beyond the {len(blob)} bytes of arrays.bin")
    return np.frombuffer(blob, dtype, count, offset) if count else np.empty(0, dtype)


def check_entry(section: str, entry: Any, at: str) -> None:
    """Raise ``DamagedError`` unless ``entry`` can be one of a card's ``terms`` or ``covers``."""
    if section == "covers":
        if not isinstance(entry, dict):
            raise DamagedError(f"{at}: expected an object")
        _covers(entry, at)
    elif len({*_texts(entry, at)}) < len(entry):
        raise DamagedError(f"{at}: expected each name once")


def check(card: Mapping[str, Any], arrays: Arrays, checked: Collection[tuple[str, str]] = ()) -> None:
    """Raise ``DamagedError`` unless ``card`` and ``arrays`` hold all that a prediction reads. ``checked``: the sections and names of entries that
    ``check_entry`` has passed."""
    if not re.fullmatch(_NAME, _text(card, "device")):
        raise DamagedError("device: expected letters, digits, dots and dashes")
    for key in card.keys() & {"title", "soc", "method"}:
        _text(card, key)
    _texts(card.get("sources", []), "sources")
    processors = _object(card, "processors")
    if not processors:
        raise DamagedError("processors: expected at least one")
    hosts = {name: _is_host(name, processors) for name in processors}
    for entry in dict.fromkeys(map(terms_of, processors.values())):
        for section in ("terms", "covers"):
            if (section, entry) not in checked:
                check_entry(section, _object(card, section).get(entry), f"{section}.{_shown(entry)}")
    for name, host in hosts.items():
        at = f"processors.{name}"
        _costs(processors[name], arrays, len(card["terms"][terms_of(processors[name])]), at)
        if not host:
            _offload(processors[name], hosts, at)
    _defaults(card, processors)
    forests = _object(card, "forests")
    features = _texts(card.get("features"), "features") if forests or "features" in card else []
    for name, depth in forests.items():
        _whole(depth, f"forests: {name!r}", MAX_DEPTH)
        _forest(name, arrays, len(features))


def terms_of(processor: Mapping[str, Any]) -> str:
    """Which of a card's ``terms`` and ``covers`` a processor's costs are for."""
    return str(processor.get("terms", processor["processor"]["kind"]))


def _defaults(card: Mapping[str, Any], processors: Mapping[str, Any]) -> None:
    """Every default is a processor of the card, and none stands beside a processor of the same name."""
    for name in card.get("defaults", {}) and _object(card, "defaults"):
        runtimes = _object(card["defaults"], name, "defaults.")
        if not re.fullmatch(_NAME, name) or name in processors or not runtimes:
            raise DamagedError(f"defaults: {name!r}: expected the name of a processor that has its runtimes after @")
        for dialect in runtimes:
            if f"{name}@{_text(runtimes, dialect, f'defaults.{name}.')}" not in processors:
                raise DamagedError(f"defaults.{name}: {_shown(dialect)}: expected a runtime that {name}@… names")


def _is_host(name: str, processors: Mapping[str, Any]) -> bool:
    """Whether a processor, whose description can be planned for and shown, is where the program runs."""
    at = f"processors: {name!r}"
    if not re.fullmatch(_KEY, name):
        raise DamagedError(f"{at}: expected letters, digits, dots and dashes, and no more than one @")
    card = _object(processors, name, "processors.")
    facts = _object(card, "processor", f"processors.{name}.")
    if not {"runtime", "kind", "vendor"} <= facts.keys() <= _FACTS:
        raise DamagedError(f"{at}: processor: expected {', '.join(sorted(_FACTS))}")
    for key in facts.keys() - {"threads"}:
        _text(facts, key, f"{at} ")
    if facts.get("precision", "float32") not in PRECISIONS:
        raise DamagedError(f"{at} precision: expected {', '.join(PRECISIONS)}")
    if not _whole(facts.get("threads", 1), f"{at} threads", 1024):
        raise DamagedError(f"{at} threads: expected at least 1")
    if not re.fullmatch(_KIND, facts["kind"]):
        raise DamagedError(f"{at} kind: expected a word such as {', '.join(KINDS)}")
    if "terms" in card:
        _text(card, "terms", f"{at} ")
    return kind(facts["kind"]).host


def _costs(card: Mapping[str, Any], arrays: Arrays, terms: int, at: str) -> None:
    """A processor's costs, intervals and accuracy."""
    if "title" in card:
        _text(card, "title", f"{at}.")
    if not isinstance(card.get("placement", False), bool):
        raise DamagedError(f"{at}.placement: expected true or false")
    theta = arrays.get(_text(card, "theta", f"{at}."))
    if theta is None or theta.dtype != np.float64 or len(theta) != terms:
        raise DamagedError(f"{at}.theta: expected the name of an array of {terms} costs, one for each term, as <f8")
    if not bool(np.all((theta >= 0) & (theta <= HUGE))):
        raise DamagedError(f"{at}.theta: expected costs that are finite and not negative")
    intervals = _object(card, "interval", f"{at}.")
    if not intervals:
        raise DamagedError(f"{at}.interval: expected at least one precision")
    for precision in intervals:
        interval = _facts(intervals, precision, f"{at}.interval.")
        for key, low, high in (("level", 0, 1), ("low", -MAX_WIDTH, 0), ("high", 0, MAX_WIDTH)):
            _number(interval.get(key), f"{at}.interval {key}", low, high)
    if "spread" in card:
        _number(card["spread"], f"{at}.spread", 0, MAX_WIDTH)
    if "bounds" in card:
        limits = _object(card, "bounds", f"{at}.")
        for key in ("start_ms", "mac_ns", "byte_ns", "low", "high"):
            _number(limits.get(key), f"{at}.bounds.{key}", 0)
        _number(limits.get("share", 1), f"{at}.bounds.share", 0, 1)
    if "version" in card:
        for precision in _object(card, "version", f"{at}."):
            _text(card["version"], precision, f"{at}.version.")
    if "evidence" in card:
        for precision in _object(card, "evidence", f"{at}."):
            _numbers(_object(card["evidence"], precision, f"{at}.evidence."), f"{at}.evidence ", 0)
    if "accuracy" in card:
        for precision in _object(card, "accuracy", f"{at}."):
            _facts(card["accuracy"], precision, f"{at}.accuracy.")


def _facts(card: Mapping[str, Any], key: str, at: str) -> dict[str, Any]:
    """An object of numbers, but for the name of the worst model and the table of families: what is shown as it is."""
    found = _object(card, key, at)
    if "worst_model" in found:
        _text(found, "worst_model", at)
    if "by_family_percent" in found:
        _numbers(_object(found, "by_family_percent", at), f"{at}by_family_percent ")
    _numbers({name: found[name] for name in found.keys() - _TOLD}, f"{at}{_shown(key)} ")
    return found


def _offload(card: Mapping[str, Any], hosts: Mapping[str, bool], at: str) -> None:
    """What a processor has besides costs that is not the host's: its queue, and the processor that runs what it does not."""
    queue = _object(card, "queue", f"{at}.")
    for key in _QUEUE:
        _number(queue.get(key), f"{at}.queue.{key}", 0)
    for key in ("scale", "copy_gb_per_s"):
        if not queue[key] > 0:
            raise DamagedError(f"{at}.queue.{key}: expected more than 0")
    if not hosts.get(_text(card, "fallback", f"{at}.")):
        raise DamagedError(f"{at}.fallback: expected the name of a CPU of this pack")


def _covers(card: Mapping[str, Any], at: str) -> None:
    _texts(card.get("measured_terms"), f"{at}.measured_terms")
    envelope = _object(card, "envelope", f"{at}.")
    for name, ends in envelope.items():
        whole = isinstance(ends, list) and len(ends) == 2
        if not whole or any(not isinstance(end, list) or len(end) != SIZES for end in ends):
            raise DamagedError(f"{at}.envelope: {name!r}: expected two lists of {SIZES} sizes")
        if not _are_numbers([*ends[0], *ends[1]]):
            raise DamagedError(f"{at}.envelope: {name!r}: expected numbers from {-HUGE:g} to {HUGE:g}")


def _forest(name: str, arrays: Arrays, features: int) -> None:
    """Every index of a forest points into it, so that a walk ends in a number whatever the numbers are."""
    at = f"forests: {name!r}"
    try:
        parts = {part: arrays[f"{name}/{part}"] for part in FOREST_PARTS}
    except KeyError as missing:
        raise DamagedError(f"{at}: no array {missing}") from None
    nodes = len(parts["number"])
    for part, dtype in FOREST_PARTS.items():
        if parts[part].dtype != np.dtype(dtype) or (part != "roots" and len(parts[part]) != nodes):
            raise DamagedError(f"{at}: {part}: expected {dtype}, as many as nodes")
    for part, limit in (("left", nodes), ("right", nodes), ("roots", nodes), ("feature", features)):
        if parts[part].size and int(parts[part].max()) >= limit:
            raise DamagedError(f"{at}: {part}: expected numbers below {limit}")
    number, leaf = parts["number"], parts["left"] == np.arange(nodes)
    if not bool(np.isfinite(number).all()):
        raise DamagedError(f"{at}: number: expected finite numbers")
    if leaf.any() and float(np.abs(number[leaf]).max()) * len(parts["roots"]) > MAX_EXPONENT:
        raise DamagedError(f"{at}: number: the trees' sum may exceed {MAX_EXPONENT:g}")


def _object(card: Mapping[str, Any], key: str, at: str = "") -> dict[str, Any]:
    value = card.get(key)
    if not isinstance(value, dict):
        raise DamagedError(f"{at}{_shown(key)}: expected an object")
    return value


def _text(card: Mapping[str, Any], key: str, at: str = "") -> str:
    value = card.get(key)
    if not isinstance(value, str):
        raise DamagedError(f"{at}{_shown(key)}: expected a string")
    return value


def _texts(value: Any, at: str) -> list[str]:
    if not isinstance(value, list) or not {*map(type, value)} <= {str}:
        raise DamagedError(f"{at}: expected a list of strings")
    return value


def _whole(value: Any, at: str, high: float = inf) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= high:
        raise DamagedError(f"{at}: expected a whole number from 0" + (f" to {high}" if high < inf else ""))
    return value


def _number(value: Any, at: str, low: float = -HUGE, high: float = HUGE) -> float:
    if not _are_numbers((value,), low, high):
        raise DamagedError(f"{at}: expected a number from {low:g} to {high:g}")
    return float(value)


def _numbers(found: Mapping[str, Any], at: str, low: float = -HUGE) -> None:
    """``_number`` of all values, whose messages cost more than they do."""
    if not _are_numbers(found.values(), low):
        for name, value in found.items():
            _number(value, f"{at}{_shown(name)}", low)


def _are_numbers(values: Collection[Any], low: float = -HUGE, high: float = HUGE) -> bool:
    """Whether all are of the two types of numbers that JSON has, and within these ends. NaN compares false with everything."""
    return {*map(type, values)} <= {int, float} and all(low <= value <= high for value in values)


def _shown(key: str) -> str:
    return key if re.fullmatch(_NAME, key) else repr(key)
