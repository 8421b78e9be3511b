"""docs/python.md: each example gives what the page shows."""

from __future__ import annotations

import doctest
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parent.parent / "docs" / "python.md"


def test_the_examples_give_what_the_page_shows(
    model: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "models").mkdir()
    shutil.copy(model("mobilenet_v2.tflite"), tmp_path / "models" / "net.tflite")
    monkeypatch.chdir(tmp_path)
    text = PAGE.read_text(encoding="utf-8")
    examples = "\n".join(re.findall(r"^```pycon\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))
    page = doctest.DocTestParser().get_doctest(examples, {}, PAGE.name, str(PAGE), 0)
    assert len(page.examples) > 10
    said: list[str] = []
    doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(page, out=said.append)
    assert said == [], "".join(said)
