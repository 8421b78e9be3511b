"""What has one cause is told once, the rest of it under that."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from linted import subject

from latlint import checks
from latlint.checks._causes import gathered
from latlint.checks.types import Finding
from latlint.outcome import Report, Verdict
from latlint.report import html, markdown, sarif, text
from latlint.report.annotations import told_once
from latlint.report.plain import Style

#: The GPU delegate refuses GELU (LAT203), whole numbers (LAT206) and five dimensions (LAT205), which splits the model (LAT201).
SPLIT = """# pixel-4/gpu
x = input 1x56x56x64
a = conv2d x 64 kernel=3 activation=relu
b = gelu a
c = conv2d b 64 kernel=3 activation=relu
d = cast c to=int32 -> 1x56x56x64 int32
e = cast d to=float32 -> 1x56x56x64 float32
f = conv2d e 64 kernel=3 activation=relu
g = reshape f -> 1x56x56x2x32
h = transpose g permutation=0,1,2,4,3
i = reshape h -> 1x56x56x64
j = conv2d i 64 kernel=3 activation=relu
"""

UNDER = {"LAT203": ("LAT201",)}


def findings(drawn: str = SPLIT, target: str = "pixel-4/gpu") -> list[Finding]:
    return checks.run(subject(drawn, target))


def report(found: list[Finding]) -> Report:
    prediction = subject(SPLIT, "pixel-4/gpu").prediction
    verdicts = (Verdict(None, passed=True),)
    return Report((prediction,), tuple(found), targets=("pixel-4/gpu",), files=1, verdicts=verdicts)


def test_refusals_are_under_the_split_that_they_cause() -> None:
    found = findings()
    (head,) = (each for each in found if each.code == "LAT201")
    under = [each for each in found if each.under]
    assert {each.code for each in under} == {"LAT203", "LAT205", "LAT206"}
    assert {each.under for each in under} == {head.fingerprint}
    assert set(head.causes) == {each.fingerprint for each in under}
    for each in under:
        assert each.causes[0] == head.fingerprint
        assert set(each.causes) == {head.fingerprint, *head.causes} - {each.fingerprint}
    assert {each.runtime for each in found} == {"tflite-2.10/gpu-delegate"}


@pytest.mark.parametrize("reverse", [False, True])
def test_findings_on_the_same_ops_do_not_hide_each_other(reverse: bool) -> None:
    """The fix of each takes the other away: the one that tells the cause is told, and all others are under it."""
    split = Finding("LAT201", "a", "warning", "m", "", nodes=("b",), fingerprint="1", gain_ms=2.0)
    refused = Finding("LAT203", "b", "warning", "m", "", nodes=("b",), fingerprint="2", gain_ms=2.0)
    third = Finding("LAT242", "c", "warning", "m", "", nodes=("b",), fingerprint="3", gain_ms=2.0)
    given = [third, refused, split]
    found = gathered(given[::-1] if reverse else given, UNDER)
    (head,) = [each for each in found if not each.under]
    assert {each.under for each in found if each is not head} == {head.fingerprint}
    assert head.code in ("LAT201", "LAT242")


def test_every_cause_is_told() -> None:
    found = findings(
        "# pixel-4/gpu\nx = input 1x56x56x64\na = conv2d x 64 kernel=3\nb = gelu a\nc = conv2d b 64 kernel=3"
    )
    told = {each.fingerprint for each in found if not each.under}
    assert {each.code: each.under in told for each in found if each.under} == {"LAT203": True}


@pytest.mark.parametrize("nodes", [("b", "c"), ("c",)])
def test_what_is_about_other_ops_stands_for_itself(nodes: tuple[str, ...]) -> None:
    whole = Finding("LAT201", "a", "warning", "m", "", nodes=("a", "b"), fingerprint="1")
    part = Finding("LAT203", "b", "warning", "m", "", nodes=nodes, fingerprint="2")
    assert [(each.under, each.causes) for each in gathered([whole, part], UNDER)] == [("", ())] * 2


@pytest.mark.parametrize(("graver", "under"), [("note", False), ("warning", True), ("error", True)])
def test_no_finding_is_under_a_milder_one(graver: str, under: bool) -> None:
    whole = Finding("LAT201", "a", graver, "m", "", nodes=("a", "b"), fingerprint="1")
    part = Finding("LAT203", "b", "warning", "m", "", nodes=("b",), fingerprint="2")
    assert [bool(each.under) for each in gathered([whole, part], UNDER)] == [False, under]
    assert [bool(each.under) for each in gathered([part, whole], UNDER)] == [under, False]


def test_costly_ops_of_a_budget_are_no_cause() -> None:
    over = Finding("LAT101", "a", "error", "m", "", nodes=("a", "b"), fingerprint="1")
    part = Finding("LAT203", "b", "warning", "m", "", nodes=("b",), fingerprint="2")
    unjudged = replace(over, code="LAT106", nodes=())
    unknown = replace(part, code="LAT010", nodes=("c",))
    assert not any(each.under for each in gathered([over, part], UNDER))
    assert [each.under for each in gathered([unjudged, unknown], {"LAT010": ("LAT106",)})] == ["", "1"]


@pytest.mark.parametrize(
    ("larger", "smaller", "under"), [(2.0, 1.0, True), (1.0, 2.0, False), (None, 1.0, False), (2.0, None, False)]
)
def test_a_fix_that_takes_another_finding_away_is_above_it(
    larger: float | None, smaller: float | None, under: bool
) -> None:
    """An op may be in the way of two things that have nothing to do with each other: then both are told."""
    whole = Finding("LAT305", "a", "warning", "m", "", nodes=("a", "b"), fingerprint="1", gain_ms=larger)
    part = Finding("LAT302", "b", "warning", "m", "", nodes=("b",), fingerprint="2", gain_ms=smaller)
    assert [bool(each.under) for each in gathered([whole, part], {})] == [False, under]


def test_an_accepted_cause_hides_nothing_that_is_not() -> None:
    found = findings()
    head = told_once(found)[0]
    assert head[1] and head[0].code == "LAT201"
    accepted = [replace(each, suppressed=each is head[0]) for each in found]
    assert [each.code for each, _ in told_once(accepted)] == [each.code for each in found]
    assert [each.code for each, _ in told_once(found[1:])] == [each.code for each in found[1:]]


def test_every_format_for_people_tells_the_cause_once() -> None:
    found = findings()
    told = [each for each, _ in told_once(found)]
    assert len(told) < len(found)
    shown = text.check(report(found), Style()).splitlines()
    depth = {line.split()[0]: len(line) - len(line.lstrip()) for line in shown if line.lstrip().startswith("LAT")}
    assert depth["LAT203"] == depth["LAT206"] == depth["LAT201"] + 2

    rows = [line for line in markdown.check(report(found), Style()).splitlines() if "LAT201" in line]
    assert len(rows) == 1 and "<br>• LAT203 unsupported" in rows[0]

    runs = json.loads(sarif.check(report(found), Style()))["runs"]
    (results,) = (run["results"] for run in runs if run["results"])
    assert [each["ruleId"] for each in results] == [each.code for each in told]
    (split,) = (each for each in results if each["ruleId"] == "LAT201")
    related = split["relatedLocations"]
    assert [each["id"] for each in related] == [1, 2, 3]
    assert {each["message"]["text"].partition(" ")[0] for each in related} == {"LAT203", "LAT205", "LAT206"}
    assert all(each["logicalLocations"] for each in related)
    assert "With the same cause: LAT2" in split["message"]["text"]

    page = html.check(report(found), Style())
    assert page.count('"code":"LAT201"') == 1 and '"code":"LAT203"' not in page
    assert '"text":"LAT203 unsupported-activation' in page


def test_the_overhead_of_a_gpu_is_under_the_cpu_that_is_faster() -> None:
    small = "# galaxy-s10/gpu\nx = input 1x28x28x8\na = depthwise_conv2d x kernel=3 activation=relu\nb = conv2d a 8 kernel=1\n"
    found = {each.code: each for each in findings(small, "galaxy-s10/gpu")}
    assert found["LAT227"].under == found["LAT211"].fingerprint
