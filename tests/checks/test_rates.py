"""How often rules speak on the networks of the corpus; ``benchmarks/rules.py`` has all targets."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from latlint.api import check
from latlint.settings import Settings

pytestmark = pytest.mark.slow

#: It warns where SAME padding, which costs nothing, gives the same result as the PAD that the converter wrote.
ACTIONABLE = {"LAT241"}


@pytest.mark.parametrize(
    ("directory", "targets"),
    [
        ("tflite_fp32", ("galaxy-s10/gpu", "galaxy-a03s/cpu-4large")),
        ("tflite_int8", ("iphone-7/cpu-1large",)),
    ],
)
def test_no_rule_warns_on_more_than_a_third_of_the_networks(
    corpus: Path, directory: str, targets: tuple[str, ...]
) -> None:
    warned: Counter[tuple[str, str | None]] = Counter()
    paths = sorted((corpus / directory).glob("*.tflite"))
    assert len(paths) >= 80
    for path in paths:
        findings = check(path, Settings(targets=targets)).findings
        assert all(finding.severity != "error" for finding in findings), path.name
        warned.update({(finding.code, finding.target) for finding in findings if finding.severity == "warning"})
    assert warned, "rules that never warn prove nothing"
    assert {rule for rule, count in warned.items() if count > len(paths) / 3 and rule[0] not in ACTIONABLE} == set()
