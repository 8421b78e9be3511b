"""Which rules a run goes by, and how grave their findings are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from latlint.checks import by_code, refuse_unknown_rules
from latlint.checks._selection import graded, severity
from latlint.checks.types import Finding, Rule
from latlint.errors import LatlintError
from latlint.settings import Settings

RULE = Rule("LAT243", "float-island", "warning")
FINDING = Finding("LAT243", "float-island", "warning", "m.tflite", "…")


def chosen(tmp_path: Path, **settings: Any) -> str:
    return severity(RULE, Settings(root=tmp_path, **settings), str(tmp_path / "models/m.tflite"))


@pytest.mark.parametrize(
    ("select", "ignore", "on"),
    [
        (["LAT"], [], True),
        (["LAT1"], [], False),
        (["LAT1", "LAT24"], [], True),
        (["float-island"], [], True),
        (["float"], [], False),
        (["LAT"], ["LAT2"], False),
        (["LAT2"], ["LAT2"], False),
        (["LAT24"], ["LAT2"], True),
        (["LAT24"], ["LAT243"], False),
        (["float-island"], ["LAT243"], True),
        (["LAT243"], ["float-island"], False),
        (["LAT"], ["LAT1", "LAT3"], True),
    ],
)
def test_the_longer_of_select_and_ignore_decides(
    tmp_path: Path, select: list[str], ignore: list[str], on: bool
) -> None:
    assert chosen(tmp_path, select=tuple(select), ignore=tuple(ignore)) == ("warning" if on else "off")


@pytest.mark.parametrize(
    ("severities", "expected"),
    [
        ({}, "warning"),
        ({"LAT1": "error"}, "warning"),
        ({"LAT": "note"}, "note"),
        ({"LAT24": "error", "LAT2": "off"}, "error"),
        ({"LAT2": "error", "LAT243": "off"}, "off"),
        ({"float-island": "error", "LAT243": "off"}, "error"),
    ],
)
def test_the_longest_of_severities_counts(tmp_path: Path, severities: dict[str, str], expected: str) -> None:
    assert chosen(tmp_path, severities=severities) == expected


def test_a_model_may_be_spared_a_rule(tmp_path: Path) -> None:
    assert chosen(tmp_path, per_model_ignores={"models/*": ("LAT3", "LAT24")}) == "off"
    assert chosen(tmp_path, per_model_ignores={"m.tflite": ("float-island",)}, select=("float-island",)) == "off"
    assert chosen(tmp_path, per_model_ignores={"models/*": ("LAT3",), "other/*": ("LAT2",)}) == "warning"


def test_a_finding_that_its_rule_made_milder_stays_so() -> None:
    assert graded(FINDING, RULE, "error").severity == "error"
    mild = replace(FINDING, severity="note")
    assert graded(mild, RULE, "error").severity == "note"
    assert graded(FINDING, RULE, "note").severity == "note"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"ignore": ("LAT299",)}, "unknown rule 'LAT299' in ignore: did you mean LAT209"),
        ({"select": ("float-iland",)}, "unknown rule 'float-iland' in select: did you mean float-island"),
        ({"severities": {"LAT7": "off"}}, "unknown rule 'LAT7' in severities: "),
        ({"per_model_ignores": {"*": ("no-such-rule-at-all",)}}, "unknown rule 'no-such-rule-at-all' in per-model-ignores: "),
        ({"ignore": ("LAT002",)}, "'LAT002' in ignore: what cannot be read is an error, whatever the settings"),
        ({"severities": {"lfs-pointer": "note"}}, "'lfs-pointer' in severities: what cannot be read is an error"),
    ],
)  # fmt: skip
def test_rules_that_there_are_not_or_that_no_setting_bends_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(LatlintError) as caught:
        refuse_unknown_rules(Settings(source="latlint.toml", **settings))
    assert (caught.value.code, caught.value.path) == ("LAT901", "latlint.toml")
    assert caught.value.message.startswith(message)


def test_known_rules_and_all_of_a_kind_are_taken() -> None:
    refuse_unknown_rules(
        Settings(select=("LAT", "LAT0", "budget-exceeded"), ignore=("LAT0", "LAT010"), severities={"LAT": "off"})
    )


def test_rules_that_look_at_models_bend() -> None:
    unbending = {
        code
        for code in ("LAT001", "LAT002", "LAT010", "LAT101", "LAT901")
        if (rule := by_code(code)) and rule.unbending
    }
    assert unbending == {"LAT001", "LAT002", "LAT901"}
