"""docs/getting-started.md, command by command, as a reader would type it in: what the page shows is what they print.

``LATLINT_WRITE=1 python -m pytest tests/test_getting_started.py`` writes the page anew.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parent.parent
PAGE = TOP / "docs" / "getting-started.md"
BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MARK = "-- done --"
#: So that a commit of the page has one name.
DATES = dict.fromkeys(("GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"), "2027-01-01T12:00:00+00:00")

pytestmark = pytest.mark.slow


def printed(commands: list[str], directory: Path) -> list[str]:
    """What each of the commands prints, in one shell."""
    kept = f"LATLINT_STATUS=$?; echo '{MARK}'; (exit $LATLINT_STATUS)"
    script = ['latlint() { "$LATLINT_PYTHON" -m latlint "$@"; }', *(f"{command}\n{kept}" for command in commands)]
    set_here = {"PYTHONPATH": str(TOP), "LATLINT_PYTHON": sys.executable, "LATLINT": str(TOP), "LC_ALL": "C.UTF-8"}
    kept_out = {"GITHUB_STEP_SUMMARY", "FORCE_COLOR"}
    environment = {name: value for name, value in os.environ.items() if name not in kept_out}
    done = subprocess.run(
        ["bash", "-c", "\n".join(script)],
        cwd=directory,
        env={**environment, **set_here, "LATLINT_WIDTH": "80", "GIT_CONFIG_GLOBAL": os.devnull, **DATES},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
    )
    return done.stdout.split(f"{MARK}\n")[:-1]


def test_the_page_is_what_happens(tmp_path: Path) -> None:
    text = PAGE.read_text(encoding="utf-8")
    commands = [line[2:] for block in BLOCK.findall(text) for line in block.splitlines() if line.startswith("$ ")]
    outputs = printed(commands, tmp_path)
    assert len(outputs) == len(commands) > 20
    said = dict(zip(commands, outputs, strict=True))
    assert "FAIL" in said["latlint check --quiet --select LAT1"]
    after = iter(outputs)

    def anew(match: re.Match[str]) -> str:
        typed = [line for line in match[1].splitlines() if line.startswith("$ ")]
        return "```console\n" + "".join(f"{line}\n{next(after)}" for line in typed) + "```"

    shown = BLOCK.sub(anew, text)
    if os.environ.get("LATLINT_WRITE"):
        PAGE.write_text(shown, encoding="utf-8")
    assert shown == text, f"LATLINT_WRITE=1 python -m pytest {Path(__file__).name} writes the page anew"
