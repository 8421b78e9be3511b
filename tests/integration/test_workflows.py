"""What runs on other people's machines: the action, and the workflows that ``init`` and the documentation print, as zizmor sees them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
import yaml

from latlint.cli import init

TOP = Path(__file__).resolve().parent.parent.parent


def printed() -> Iterator[tuple[str, str]]:
    """Workflows by where they are printed; what are only steps of one becomes one."""
    yield "init", init._workflow("https://github.com/someone/latlint").text
    yield "init elsewhere", init._workflow("https://example.com/latlint").text
    for page in sorted((*TOP.glob("*.md"), *TOP.glob("docs/**/*.md"))):
        for number, text in enumerate(re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)):
            if "uses:" not in text:
                continue
            head = "name: latlint\non: pull_request\npermissions: {}\njobs:\n  latency:\n    runs-on: ubuntu-latest\n"
            if text.startswith("- "):
                text = f"{head}    steps:\n" + "".join(f"      {line}\n" for line in text.splitlines())
            elif "jobs:" not in text:
                text = head + "".join(f"    {line}\n" for line in text.splitlines())
            yield f"{page.name} {number}", text


@pytest.fixture(scope="module")
def zizmor(lacking: Callable[[str], NoReturn]) -> Callable[[Path], str]:
    beside = Path(sys.executable).with_name("zizmor")
    program = (
        str(beside) if beside.exists() else shutil.which("zizmor") or lacking("needs zizmor: pip install '.[dev]'")
    )

    def run(file: Path) -> str:
        done = subprocess.run(
            [program, "--offline", "--no-progress", "--color=never", str(file)],
            capture_output=True,
            text=True,
            check=False,
        )
        return "" if done.returncode == 0 else done.stdout + done.stderr

    return run


@pytest.mark.parametrize("name", ["action.yml", ".github/workflows/release.yml"])
def test_what_the_repository_runs_passes(name: str, zizmor: Callable[[Path], str]) -> None:
    assert zizmor(TOP / name) == ""


def test_a_release_is_published_without_a_token() -> None:
    text = (TOP / ".github/workflows/release.yml").read_text(encoding="utf-8")
    jobs = yaml.safe_load(text)["jobs"]
    assert jobs["publish"]["permissions"] == {"id-token": "write"} and "secrets." not in text
    for action in (step["uses"] for job in jobs.values() for step in job["steps"] if "uses" in step):
        assert re.search(r"@[0-9a-f]{40}$", action), f"{action} is not pinned"


@pytest.mark.parametrize(("where", "text"), list(printed()), ids=lambda value: value if len(value) < 40 else "")
def test_what_is_printed_passes(where: str, text: str, zizmor: Callable[[Path], str], tmp_path: Path) -> None:
    file = tmp_path / ".github" / "workflows" / "latlint.yml"
    file.parent.mkdir(parents=True)
    file.write_text(text, encoding="utf-8")
    assert zizmor(file) == ""
    workflow: dict[str, Any] = yaml.safe_load(text)
    used = [step["uses"] for job in workflow["jobs"].values() for step in job["steps"] if "uses" in step]
    for action in used:
        assert re.search(r"@[0-9a-f]{40}$", action) or "/latlint@v" in action, f"{action} is not pinned"


def test_a_hazard_is_seen(zizmor: Callable[[Path], str], tmp_path: Path) -> None:
    text = dict(printed())["init"].replace("persist-credentials: false", "fetch-depth: 0")
    file = tmp_path / ".github" / "workflows" / "latlint.yml"
    file.parent.mkdir(parents=True)
    file.write_text(text + "      - run: echo ${{ github.event.pull_request.title }}\n", encoding="utf-8")
    assert "template-injection" in zizmor(file)
