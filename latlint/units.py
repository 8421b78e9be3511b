"""Times and counts as people write and read them."""

from __future__ import annotations

import re

_UNIT_MS = {"us": 1e-3, "µs": 1e-3, "μs": 1e-3, "ms": 1.0, "s": 1e3}
_DURATION = rf"\s*([0-9]+(?:\.[0-9]+)?|\.[0-9]+)\s*({'|'.join(_UNIT_MS)})\s*"


def parse_duration_ms(text: str) -> float:
    """Milliseconds from ``850us``, ``10ms`` or ``0.5s``; ValueError for anything else, zero included."""
    match = re.fullmatch(_DURATION, text)
    milliseconds = float(match[1]) * _UNIT_MS[match[2]] if match else 0.0
    if not 0.0 < milliseconds < float("inf"):
        raise ValueError(text)
    return milliseconds


#: Units of sizes in bytes and of counts; decimal and binary, as they are written elsewhere.
_BYTES = {"B": 1, "kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_COUNTS = {"": 1, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9}


def _amount(text: str, units: dict[str, float]) -> int:
    match = re.fullmatch(rf" *([0-9]+(?:\.[0-9]+)?|\.[0-9]+) *({'|'.join(units)}) *", text)
    amount = float(match[1]) * units[match[2]] if match else 0.0
    if not 1 <= amount < 1e18:
        raise ValueError(text)
    return int(amount)


def parse_bytes(text: str) -> int:
    """Bytes from ``512 KiB``, ``4.5MB`` or ``900000 B``; ValueError for anything else, less than one included."""
    return _amount(text, _BYTES)


def parse_count(text: str) -> int:
    """``4200000`` from ``4.2M``; also ``k`` and ``G``; ValueError for anything else, less than one included."""
    return _amount(text, _COUNTS)


def format_bytes(count: int) -> str:
    """``512 B``, ``38.4 kB``, ``5.20 MB``: decimal units."""
    return f"{format_count(count)}B" if count >= 1000 else f"{count} B"


def format_ms(milliseconds: float) -> str:
    """Three significant digits with the unit, never an exponent: ``123 ms``, ``12.3 ms``, ``0.123 ms``."""
    size = abs(milliseconds)
    digits = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3
    return f"{milliseconds:.{digits}f} ms"


def format_chance(probability: float) -> str:
    """``62%``; what is near certain stays short of it: ``>99%``, ``<1%``."""
    return ">99%" if probability > 0.99 else "<1%" if probability < 0.01 else f"{probability:.0%}"


def format_change_ms(milliseconds: float) -> str:
    """``+0.412 ms``, ``−1.20 ms``; what rounds to nothing is ``±0 ms``."""
    size = format_ms(abs(milliseconds))
    if not size.strip("0. ms"):
        return "±0 ms"
    return f"{'+' if milliseconds > 0 else '−'}{size}"


def format_change(ratio: float) -> str:
    """``+0.4%``, ``−12%``, ``×25``; what rounds to nothing is ``±0%``."""
    if ratio >= 10:
        return f"×{ratio:.0f}"
    percent = abs(ratio - 1) * 100
    digits = f"{percent:.{1 if percent < 9.95 else 0}f}"
    return "±0%" if digits == "0.0" else f"{'+' if ratio > 1 else '−'}{digits}%"


def format_limit_ms(milliseconds: float) -> str:
    """A limit as it was written, in milliseconds: ``10 ms``, ``0.85 ms``."""
    return f"{round(milliseconds, 6):.12g} ms"


def four_digits(milliseconds: float) -> str:
    """As `latlint.lock` has times: four significant digits, never an exponent, no unit."""
    places = next((places for places, limit in enumerate((1000, 100, 10, 1)) if milliseconds >= limit), 4)
    return f"{milliseconds:.{places}f}"


def rounded(milliseconds: float) -> float:
    """What ``four_digits`` says of ``milliseconds``: two times that are written alike are alike."""
    return float(four_digits(milliseconds))


def format_count(count: int) -> str:
    """``42``, ``10.8 k``, ``301 M``, ``1.55 G``."""
    for limit, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if count >= limit:
            scaled = count / limit
            return f"{scaled:.{0 if scaled >= 100 else 1 if scaled >= 10 else 2}f}{unit}"
    return str(count)
