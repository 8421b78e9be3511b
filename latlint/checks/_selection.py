"""Which rules a run goes by, and how grave their findings are: ``select``, ``ignore``, ``per-model-ignores``, ``[severities]``."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from latlint.checks.types import SEVERITIES, Finding, Rule
from latlint.errors import LatlintError
from latlint.records import replace
from latlint.settings import Settings
from latlint.words import nearest


def severity(rule: Rule, settings: Settings, model: str) -> str:
    """The severity of ``rule`` on ``model`` (a path as given), ``off`` when the settings leave it out."""
    severities = tuple(settings.severities.items())
    return _severity(rule, tuple(settings.select), tuple(settings.ignore), settings.ignored_for(model), severities)


@lru_cache(maxsize=1024)
def _severity(
    rule: Rule,
    select: tuple[str, ...],
    ignore: tuple[str, ...],
    ignored: tuple[str, ...],
    severities: tuple[tuple[str, str], ...],
) -> str:
    """Asked for each rule, model and target; most models of a run have the same answers."""
    if _reaches(rule, ignore) >= _reaches(rule, select) or _reaches(rule, ignored):
        return "off"
    closest, stated = max(severities, key=lambda pair: reach(rule, pair[0]), default=("", ""))
    return stated if reach(rule, closest) else rule.severity


def selected(rule: Rule, settings: Settings) -> bool:
    """Whether the settings go by ``rule``, some models aside."""
    return _reaches(rule, settings.ignore) < _reaches(rule, settings.select)


def refuse_unknown(settings: Settings, rules: Iterable[Rule], unbending: Iterable[Rule]) -> None:
    """LatlintError for a rule that the settings name and that there is not, or that no setting bends: see ``Check.unbending``."""
    known, fixed = tuple(rules), tuple(unbending)
    places = {
        "select": settings.select,
        "ignore": settings.ignore,
        "per-model-ignores": [rule for rules in settings.per_model_ignores.values() for rule in rules],
        "severities": list(settings.severities),
        "waivers": [waiver.code for waiver in settings.waivers],
    }
    for key, selectors in places.items():
        for selector in selectors:
            if not any(reach(rule, selector) for rule in known):
                guesses = nearest(selector, [name for rule in known for name in (rule.code, rule.name)], count=3)
                hint = f"did you mean {', '.join(guesses)}?" if guesses else "`latlint rules` lists all"
                raise LatlintError(f"unknown rule '{selector}' in {key}: {hint}", code="LAT901", path=settings.source)
            if key != "select" and any(selector in (rule.code, rule.name) for rule in fixed):
                message = f"'{selector}' in {key}: what cannot be read is an error, whatever the settings"
                raise LatlintError(message, code="LAT901", path=settings.source)


def graded(finding: Finding, rule: Rule, chosen: str) -> Finding:
    """``finding`` with the severity that was ``chosen`` for its rule; one that the rule itself made milder stays that mild."""
    if finding.severity != rule.severity:
        chosen = min(chosen, finding.severity, key=SEVERITIES.index)
    return finding if chosen == finding.severity else replace(finding, severity=chosen)


def _reaches(rule: Rule, selectors: Iterable[str]) -> int:
    return max((reach(rule, selector) for selector in selectors), default=0)


def reach(rule: Rule, selector: str) -> int:
    """How exactly ``selector`` names ``rule``: 0 not at all, more for more of its code, most for its name."""
    if selector == rule.name:
        return len(rule.code) + 1
    return len(selector) if rule.code.startswith(selector) else 0
