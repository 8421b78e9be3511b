"""The output formats, one module each, with ``check(report, style)`` and, where it makes sense, ``predict(report, style)``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType
from typing import TYPE_CHECKING

from latlint.errors import LatlintError

if TYPE_CHECKING:
    from latlint.outcome import Report
    from latlint.report.plain import Style

_NOT_FORMATS = frozenset({"annotations", "page", "plain", "types"})


@cache
def formats() -> tuple[str, ...]:
    """The names of all formats, sorted: one for each module of this package that is not shared by them."""
    modules = (module.name for module in iter_modules(__path__) if module.name not in _NOT_FORMATS)
    return tuple(sorted(name.replace("_", "-") for name in modules))


def shows(format_name: str, command: str) -> bool:
    """Whether a format can show the output of ``command`` (``check`` or ``predict``)."""
    return hasattr(_module(format_name), command)


def shows_hash(format_name: str) -> bool:
    """Whether a format shows the SHA-256 of models, which takes reading all of a file."""
    return bool(getattr(_module(format_name), "SHOWS_HASH", True))


def shows_kernels(format_name: str) -> bool:
    """Whether a format shows the kernels of predictions that break no limit in the output of `latlint check`."""
    return bool(getattr(_module(format_name), "SHOWS_KERNELS", False))


def shows_changes(format_name: str) -> bool:
    """Whether a format shows what each model was before, which takes predicting those that changed as they were."""
    return bool(getattr(_module(format_name), "SHOWS_CHANGES", False))


def render(report: Report, command: str, format_name: str, style: Style) -> str:
    """``report`` of ``command`` (``check`` or ``predict``) in a format, ending with a line feed."""
    renderer = getattr(_module(format_name), command, None)
    if renderer is None:
        raise LatlintError(f"the format {format_name} cannot show the output of `latlint {command}`")
    text = renderer(report, style)
    assert isinstance(text, str)
    return text


def render_stream(run: Report, parts: Iterable[Report], command: str, format_name: str, style: Style) -> Iterator[str]:
    """The text of ``render`` for the report that ``parts`` make up, piece by piece where the format can: a format that need not see the
    whole has ``check_parts`` or ``predict_parts``."""
    piecewise = getattr(_module(format_name), f"{command}_parts", None)
    if piecewise is None:
        yield render(run.joined(parts), command, format_name, style)
    else:
        yield from piecewise(run, parts, style)


def _module(format_name: str) -> ModuleType:
    return import_module(f"{__name__}.{format_name.replace('-', '_')}")
