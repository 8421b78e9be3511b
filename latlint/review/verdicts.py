"""Whether each prediction is within its budgets, once the findings about them are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from types import MappingProxyType

from latlint.checks import severity
from latlint.checks.budgets import BudgetUse, doubts, tightest
from latlint.checks.types import Finding, Rule
from latlint.latency.types import Prediction
from latlint.outcome import Verdict
from latlint.settings import Settings

#: The rule that says why a latency is not judged: it breaks no budget.
UNJUDGED = "LAT106"
#: A model, its path as given, and a target.
Pair = tuple[str, str]


def verdicts(
    predictions: Sequence[Prediction],
    findings: Sequence[Finding],
    settings: Settings,
    relative: Mapping[Pair, float] = MappingProxyType({}),
) -> tuple[Verdict, ...]:
    """One for each prediction. It fails by a finding about budgets (LAT1xx) that is an error, whatever budget that is about; the
    limit that it shows is the one for the whole model that the prediction comes nearest to, be it of the ``relative`` ones."""
    about_budgets = [each for each in findings if each.code.startswith("LAT1") and each.code != UNJUDGED]
    accepted = {(finding.model, finding.target) for finding in about_budgets if finding.suppressed}
    about_budgets = [finding for finding in about_budgets if not finding.suppressed]
    failed = {(finding.model, finding.target) for finding in about_budgets if finding.severity == "error"}
    warned = {(finding.model, finding.target) for finding in about_budgets if finding.severity == "warning"}
    found = []
    for prediction in predictions:
        pair = prediction.model, prediction.target
        budgets = settings.budgets_for(prediction.model, prediction.target)
        others = any(budget.op for budget in budgets) or pair in relative
        limit_ms, gate = _nearest(prediction, settings, relative.get(pair))
        found.append(
            Verdict(
                limit_ms,
                pair not in failed,
                gate,
                pair in warned,
                others,
                accepted=pair in accepted,
                unjudged=bool(budgets and doubts(prediction, settings)),
            )
        )
    return tuple(found)


def _nearest(prediction: Prediction, settings: Settings, relative_ms: float | None) -> tuple[float | None, str]:
    """The limit for the whole model that the prediction comes nearest to, and the end of the interval that is held against it."""
    use = _tightest_use(prediction, settings)
    if relative_ms and (use is None or prediction.latency_ms / relative_ms > use.ratio):
        return relative_ms, "point"
    return (use.limit_ms, use.budget.gate or settings.gate) if use else (None, settings.gate)


def _tightest_use(prediction: Prediction, settings: Settings) -> BudgetUse | None:
    """The limit for the whole model that ``prediction`` comes nearest to or breaks most: of those that fail, or else of those that
    warn; none where the rule that holds them is off."""
    for module, limit in (("budget_exceeded", "max"), ("warning_limit_exceeded", "warn")):
        if use := tightest(prediction, settings, limit).get(None):
            # These two alone: a report from the cache has no need of the others.
            rule: Rule = import_module(f"latlint.checks.{module}").RULE
            if severity(rule, settings, prediction.model) != "off":
                return use
    return None
