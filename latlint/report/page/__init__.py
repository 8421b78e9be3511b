"""What the HTML pages share: a frame, a style, scripts, and kernels as data. One file, no network.

All that comes from a model travels as JSON that nothing executes, and the script puts it into the page as text. A content security
policy allows that script and that style and nothing else. The scripts are pieces of one: each page takes those that it needs, in order.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any

from latlint import __version__
from latlint.report.plain import clean
from latlint.words import counted

#: Lines of the plain text that stands in for the page where scripts are off, and characters of each.
_PLAIN_LINES, _PLAIN_COLUMNS = 300, 300

#: The scripts that every page begins with.
SHARED = ("dom", "numbers", "theme", "colours", "kernels", "zoom", "map")

_HERE = Path(__file__).parent


def document(title: str, summary: str, plain: str, data: dict[str, Any], scripts: Iterable[str]) -> str:
    """The page. ``plain`` is what it says where scripts are off, ``data`` what ``scripts`` (names of files here) show."""
    css = _HERE.joinpath("style.css").read_text("utf-8")
    script = '"use strict";\n' + "".join(_HERE.joinpath(f"{name}.js").read_text("utf-8") for name in scripts)
    values = {
        "title": escape(title),
        "summary": escape(summary),
        "policy": f"default-src 'none'; style-src {_hash(css)}; script-src {_hash(script)}; base-uri 'none'; form-action 'none'",
        "css": css,
        "data": written(data),
        "plain": escape("\n".join(_first(plain.splitlines()))),
        "script": script,
        "version": __version__,
    }
    pieces = _HERE.joinpath("frame.html").read_text("utf-8").split("@@")
    return "".join(values[piece] if i % 2 else piece for i, piece in enumerate(pieces))


def written(data: Any) -> str:
    """JSON as the page holds it: in little space, and without any character that could end a script element."""
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return text.replace("##", "#\\u0023").translate(_INERT)


def rounded(value: float) -> float:
    """Five significant digits: more than anybody sees, in a fifth of the space."""
    return float(f"{value:.5g}")


def _first(lines: Sequence[str]) -> list[str]:
    shown = [clean(line, _PLAIN_COLUMNS) for line in lines[:_PLAIN_LINES]]
    more = len(lines) - len(shown)
    return [*shown, f"… and {counted(more, 'line')} more"] if more else shown


def _hash(source: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}'"


_INERT = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})
