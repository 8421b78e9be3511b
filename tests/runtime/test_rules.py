"""Rules files are read as JSON where that is of the same content, and else themselves."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from latlint.data import data_dir
from latlint.errors import LatlintError
from latlint.runtime import rules

ROOT = data_dir("rules")


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The directory of rules with one file, and its JSON."""
    for name in ("tflite-2.10/builtin.toml", f"{rules.PARSED}/tflite-2.10/builtin.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    monkeypatch.setattr(rules, "data_dir", lambda name: tmp_path)
    rules.load_rules.cache_clear()
    yield tmp_path
    rules.load_rules.cache_clear()


def test_what_is_read_as_json_is_what_the_file_says(alone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(text: str) -> None:
        raise AssertionError("TOML was read")

    with monkeypatch.context() as patched:
        patched.setattr(tomllib, "loads", fail)
        quick = rules.load_rules("tflite-2.10/builtin")
    rules.load_rules.cache_clear()
    (alone / rules.PARSED / "tflite-2.10/builtin.json").unlink()
    assert rules.load_rules("tflite-2.10/builtin") == quick


def test_a_file_that_was_changed_is_read_itself(alone: Path) -> None:
    path = alone / "tflite-2.10/builtin.toml"
    text = path.read_text("utf-8")
    title = tomllib.loads(text)["title"]
    path.write_text(text.replace(title, "another"), "utf-8")
    assert rules.load_rules("tflite-2.10/builtin").title == "another"

    rules.load_rules.cache_clear()
    path.write_text("title = ", "utf-8")
    with pytest.raises(LatlintError, match=r"rules/tflite-2\.10/builtin\.toml is not valid TOML"):
        rules.load_rules("tflite-2.10/builtin")
