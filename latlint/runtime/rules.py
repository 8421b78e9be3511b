"""Rules files: what a runtime fuses, selects and delegates, one TOML file a runtime under ``rules/``."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from latlint.data import data_dir
from latlint.errors import LatlintError
from latlint.records import NamedTuple

#: No longer than a file system takes: the name may be that of a pack.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}(/[A-Za-z0-9][A-Za-z0-9._-]{0,63}){0,3}")


class Rules(NamedTuple):
    """One rules file. ``kind`` says which planner reads ``data`` (``runtime.planners``), ``takes`` which dialect its graphs are in
    (``Graph.dialect``): others are planned as if converted to it; ``reads`` names the dialect of the only
    files that it loads, where planning is in another; ``converter`` which conversion, where there is more than one (``runtime.CONVERSIONS``); ``title`` is what sentences call it, with its version. ``versions`` are the ops
    that its release has kernels for, by the newest version of each, and ``loads`` the newest versions of what it reads and the lists of its kernels,
    by types and by versions, where several files have the same (``runtime.loading``)."""

    name: str
    kind: str
    takes: str
    title: str
    data: Mapping[str, Any]
    reads: str = ""
    converter: str = ""
    versions: Mapping[str, Any] = MappingProxyType({})
    loads: Mapping[str, Any] = MappingProxyType({})


@lru_cache(maxsize=32)
def load_rules(name: str) -> Rules:
    """The rules of the runtime ``name``, such as ``tflite-2.10/gpu-delegate``.

    Raises ``LatlintError`` (LAT901) when there is no such file or when it is not TOML with a ``title``, a ``kind`` and what it ``takes``.
    """
    root = data_dir("rules")
    path = root / f"{name}.toml"
    if not _NAME.fullmatch(name) or not path.is_file():
        known = ", ".join(runtimes()) or "none"
        raise LatlintError(f"no rules for the runtime {name!r}: known runtimes are {known}", code="LAT901")
    try:
        data = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise LatlintError(f"rules/{name}.toml is not valid TOML: {error}", code="LAT901") from error
    return Rules(
        name,
        kind=_word(name, data, "kind", "cpu"),
        takes=_word(name, data, "takes", "tflite"),
        title=_word(name, data, "title", "XNNPACK of LiteRT 2.3"),
        versions=data.pop("versions", {}),
        loads=data.pop("loads", {}),
        data=data,
        reads=_word(name, data, "reads", "onnx") if "reads" in data else "",
        converter=_word(name, data, "converter", "newest") if "converter" in data else "",
    )


def _word(name: str, data: dict[str, Any], key: str, example: str) -> str:
    value = data.pop(key, None)
    if not isinstance(value, str):
        message = f'rules/{name}.toml does not say its {key}: expected {key} = "{example}" or similar'
        raise LatlintError(message, code="LAT901")
    return value


def runtimes() -> list[str]:
    """Names of all runtimes that have rules, sorted."""
    root = data_dir("rules")
    return sorted(path.relative_to(root).with_suffix("").as_posix() for path in root.rglob("*.toml"))
