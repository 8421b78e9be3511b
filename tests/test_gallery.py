"""What README.md and docs/ show after a ``$ latlint`` prompt is what latlint prints.

``LATLINT_WRITE=1 python -m pytest tests/test_gallery.py`` writes the pages anew.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parent.parent
PAGES = [TOP / "README.md", TOP / "docs" / "outputs.md", TOP / "docs" / "screens.md"]

#: A console block: a command that begins with ``$ latlint``, or states the width of the terminal first, and what it prints. A history of commits is not to be had here.
BLOCK = re.compile(
    r"^```console\n\$ ((?:LATLINT_WIDTH=\d+ )?latlint (?!diff --base).*)\n((?:.*\n)*?)```$", re.MULTILINE
)


def shown() -> list[tuple[Path, str]]:
    return [(page, match[1]) for page in PAGES for match in BLOCK.finditer(page.read_text(encoding="utf-8"))]


@pytest.fixture(scope="module")
def printed(model: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """What a shell prints for a command at the top of a clone whose models are unpacked."""
    clone = tmp_path_factory.mktemp("clone")
    (clone / ".git").mkdir()
    models = clone / "tests" / "models"
    models.mkdir(parents=True)
    environment = {
        **os.environ,
        "PYTHONPATH": str(TOP),
        "LATLINT_PYTHON": sys.executable,
        "LC_ALL": "C.UTF-8",
        "LATLINT_WIDTH": "80",
    }
    for name in ("GITHUB_STEP_SUMMARY", "FORCE_COLOR"):
        environment.pop(name, None)

    def run(command: str) -> str:
        for name in re.findall(r"tests/models/(\S+)", command):
            if not (models / name).exists():
                (models / name).hardlink_to(model(name))
        script = f'latlint() {{ "$LATLINT_PYTHON" -m latlint "$@"; }}\n{command}\n'
        done = subprocess.run(["bash", "-c", script], cwd=clone, env=environment, capture_output=True, encoding="utf-8")
        assert [line for line in done.stderr.splitlines() if not line.startswith("latlint: note: ")] == []
        return done.stdout

    return run


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_shows_what_latlint_prints(page: Path, printed: Callable[[str], str]) -> None:
    text = page.read_text(encoding="utf-8")
    anew = BLOCK.sub(lambda match: f"```console\n$ {match[1]}\n{printed(match[1])}```", text)
    if os.environ.get("LATLINT_WRITE"):
        page.write_text(anew, encoding="utf-8")
    assert anew == text, (
        f"{page.name} has drifted; LATLINT_WRITE=1 python -m pytest {Path(__file__).name} writes it anew"
    )


def test_the_gallery_shows_every_format() -> None:
    from latlint.report import formats

    commands = "\n".join(command for page, command in shown() if page.name == "outputs.md")
    assert [name for name in formats() if f"--format {name}" not in commands and name != "text"] == []
