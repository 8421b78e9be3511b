"""The rules files as JSON, which is read in a twentieth of the time: ``python -m latlint.runtime.parsed`` writes ``rules/parsed/``.

Each has the SHA-256 of its rules file, and counts for nothing where that is another (``runtime.rules``).
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

from latlint.data import data_dir
from latlint.runtime.rules import PARSED, read_toml, runtimes


def parsed_files(root: Path) -> dict[Path, str]:
    """What must stand in ``rules/parsed/``, ``root`` being ``rules/``: the text of each file."""
    found = {}
    for name in runtimes():
        written = (root / f"{name}.toml").read_bytes()
        content = {"sha256": hashlib.sha256(written).hexdigest(), "data": read_toml(name, written)}
        text = json.dumps(content, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        found[root / PARSED / f"{name}.json"] = f"{text}\n"
    return found


def main() -> int:
    root = data_dir("rules")
    files = parsed_files(root)
    for path in (root / PARSED).rglob("*.json"):
        if path not in files:
            path.unlink()
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
