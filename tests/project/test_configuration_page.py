"""``docs/configuration.md`` lists every key as the schema has it, and what it shows works."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from latlint.cli.config import _checked
from latlint.project.configuration import load, schema

PAGE = Path(__file__).resolve().parents[2] / "docs" / "configuration.md"
TABLES = {
    "": schema()["properties"],
    "budgets": schema()["definitions"]["budget"]["properties"],
    "waivers": schema()["definitions"]["waiver"]["properties"],
}


def title(part: Mapping[str, Any]) -> str:
    """What a value must be, in words: that of the part itself or of the definition that it refers to."""
    if "title" in part or "allOf" not in part:
        return str(part.get("title", ""))
    return title(schema()["definitions"][part["allOf"][0]["$ref"].rpartition("/")[2]])


def literal(value: Any) -> str:
    """A value in TOML, on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {literal(inner)}" for key, inner in value.items()) + "}"
    return json.dumps(value, ensure_ascii=False)


def row(key: str, part: Mapping[str, Any]) -> str:
    """The line of the page about a key."""
    default = f"`{literal(part['default'])}`" if "default" in part else ""
    examples = "<br>".join(f"`{key} = {literal(example)}`" for example in part.get("examples", ()))
    return f"| `{key}` | {title(part)} | {default} | {examples} | {part['description']} |"


@pytest.mark.parametrize("table", TABLES)
def test_every_key_is_listed_as_the_schema_has_it(table: str) -> None:
    page = PAGE.read_text(encoding="utf-8")
    missing = [line for key, part in TABLES[table].items() if (line := row(key, part)) not in page.splitlines()]
    assert missing == [], "paste these lines into the page:\n" + "\n".join(missing)


def test_no_other_key_is_listed() -> None:
    listed = re.findall(r"^\| `([a-z-]+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(listed) == sorted(key for table in TABLES.values() for key in table)


@pytest.mark.parametrize(
    "text", re.findall(r"^```toml\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
)
def test_what_the_page_shows_is_valid(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    base = re.search(r'^extend = "(.*)"$', text, re.MULTILINE)
    if base:
        (tmp_path / base[1]).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / base[1]).write_text("", encoding="utf-8")
    name = "pyproject.toml" if "[tool.latlint]" in text else "latlint.toml"
    (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "detector.tflite").touch()
    assert load(tmp_path).origins
    assert _checked(Path(name)).startswith(f"{name}: good")


@pytest.mark.parametrize("table", TABLES)
def test_examples_are_valid(table: str, tmp_path: Path) -> None:
    needed = {"budgets": {"max": '"99ms"'}, "waivers": {"code": '"LAT2"', "reason": '"why"'}}.get(table, {})
    for key, part in TABLES[table].items():
        for example in part.get("examples", ()):
            own = {**needed, **({"max-increase": '"5%"'} if key == "min-increase" else {}), key: literal(example)}
            if key == "extend":
                (tmp_path / example).write_text("min-gain = 0.5\n", encoding="utf-8")
            lines = [f"{name} = {value}" for name, value in own.items()]
            (tmp_path / "latlint.toml").write_text("\n".join([*([f"[[{table}]]"] if table else []), *lines]))
            assert load(config=tmp_path / "latlint.toml").origins
