"""Every page's examples are run: the one that fails must, the one that passes must not."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from linted import subject
from sketch import sketch, target_of

from latlint import checks
from latlint.checks import Check
from latlint.checks.docs import pages, write
from latlint.checks.types import Finding
from latlint.runtime.rules import load_rules, runtimes

MECHANISM = [check for check in checks.checks() if check.rule.code[:4] in ("LAT2", "LAT3")]
_EXAMPLE = r"## Example that {0}\n```text\n(.*?)```"


def example(check: Check, verdict: str) -> str:
    (text,) = re.findall(_EXAMPLE.format(verdict), check.page, re.DOTALL)
    return str(text)


def found(check: Check, verdict: str) -> list[str]:
    text = example(check, verdict)
    return [
        finding.severity
        for finding in checks.run(subject(sketch(text), target_of(text)))
        if finding.code == check.rule.code
    ]


@pytest.mark.parametrize("check", MECHANISM, ids=lambda check: check.rule.code)
def test_findings_do_not_depend_on_the_target_that_is_looked_at_first(check: Check) -> None:
    """What rules find in a graph is kept for the next target."""
    targets = ("pixel-4/gpu", "pixel-4/cpu-1large", "iphone-7/gpu", "galaxy-a03s/cpu-4large")

    def in_order(names: tuple[str, ...]) -> dict[str, list[Finding]]:
        graph = sketch(example(check, "fails"))
        return {target: checks.run(subject(graph, target)) for target in names}

    assert in_order(targets) == in_order(targets[::-1])


@pytest.mark.parametrize("check", MECHANISM, ids=lambda check: check.rule.code)
@pytest.mark.parametrize("target", ["pixel-4/gpu", "qcs6490/npu@litert"])
def test_rules_find_the_same_where_only_the_name_of_the_target_is_another(check: Check, target: str) -> None:
    one = subject(sketch(example(check, "fails")), target)
    other = one._replace(prediction=replace(one.prediction, target="phone/processor"))
    known = checks.run(one)
    again = checks.run_again(other, one, known)
    assert again == checks.run(other) and {each.target for each in again} <= {"phone/processor"}


@pytest.mark.parametrize("check", MECHANISM, ids=lambda check: check.rule.code)
def test_the_failing_example_fails(check: Check) -> None:
    assert found(check, "fails") == [check.rule.severity]


@pytest.mark.parametrize("check", MECHANISM, ids=lambda check: check.rule.code)
def test_the_passing_example_passes(check: Check) -> None:
    assert found(check, "passes") == []


@pytest.mark.parametrize("check", MECHANISM, ids=lambda check: check.rule.code)
def test_a_page_has_all_its_parts(check: Check) -> None:
    headings = re.findall("^## (.*)$", check.page, re.MULTILINE)
    assert headings == [
        "What it does",
        "Why is this slow?",
        "Example that fails",
        "Example that passes",
        "How to fix",
        "References",
    ]
    assert check.rule.confidence in ("measured", "source", "reported")
    assert set(check.rule.about) <= {
        "host",
        "offload",
        *(str(load_rules(name).data.get("executor")) for name in runtimes()),
    }


def test_the_pages_in_docs_are_those_of_the_rules() -> None:
    """After a change: python -m latlint.checks.docs"""
    directory = Path(__file__).resolve().parents[2] / "docs" / "rules"
    assert {path.name: path.read_text("utf-8") for path in directory.glob("*.md")} == pages()


def test_writing_the_pages_removes_stale_ones(tmp_path: Path) -> None:
    (tmp_path / "LAT000.md").write_text("gone")
    write(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == set(pages())
