"""Whether each prediction is within its budgets, once the findings about them are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from types import MappingProxyType

from latlint.checks import severity
from latlint.checks.budgets import BudgetUse, allowed_increase, doubts, tightest
from latlint.checks.types import Comparison, Finding, Rule
from latlint.latency.types import Prediction
from latlint.outcome import Change, Verdict
from latlint.settings import Settings
from latlint.units import rounded

#: The rule that says why a latency is not judged: it breaks no budget.
UNJUDGED = "LAT106"
#: The rule that says why a target's runtime does not load a file.
CANNOT_RUN = "LAT012"
#: A model, its path as given, and a target.
Pair = tuple[str, str]


def verdicts(
    predictions: Sequence[Prediction],
    findings: Sequence[Finding],
    settings: Settings,
    relative: Mapping[Pair, Comparison] = MappingProxyType({}),
    changes: Mapping[Pair, Change] = MappingProxyType({}),
) -> tuple[Verdict, ...]:
    """One for each prediction. It fails by a finding about budgets (LAT1xx) that is an error, whatever budget that is about; the
    limit that it shows is the one for the whole model that the prediction comes nearest to, be it one of those that ``relative`` budgets
    come to. ``changes`` are what is known of what each was before, whatever the budgets."""
    about_budgets = [each for each in findings if each.code.startswith("LAT1") and each.code != UNJUDGED]
    accepted = {(finding.model, finding.target) for finding in about_budgets if finding.suppressed}
    about_budgets = [finding for finding in about_budgets if not finding.suppressed]
    failed = {(finding.model, finding.target) for finding in about_budgets if finding.severity == "error"}
    warned = {(finding.model, finding.target) for finding in about_budgets if finding.severity == "warning"}
    lost = {(each.model, each.target) for each in findings if each.code == CANNOT_RUN and not each.suppressed}
    found = []
    for prediction in predictions:
        pair = prediction.model, prediction.target
        budgets = settings.budgets_for(prediction.model, prediction.target)
        comparison = relative.get(pair)
        compared = comparison is not None and comparison.base_ms is not None
        others = any(budget.op or any(budget.resources.values()) for budget in budgets) or compared
        blind = pair in lost or (comparison is not None and not compared and not comparison.is_new)
        limit_ms, gate, chance = _nearest(prediction, settings, comparison)
        found.append(
            Verdict(
                limit_ms,
                pair not in failed,
                gate,
                pair in warned,
                others,
                accepted=pair in accepted,
                unjudged=bool(budgets and (doubts(prediction, settings) or (blind and settings.unjudged != "ignore"))),
                chance=chance,
                change=changes.get(pair),
            )
        )
    return tuple(found)


def _nearest(
    prediction: Prediction, settings: Settings, comparison: Comparison | None
) -> tuple[float | None, str, float | None]:
    """The limit for the whole model that the prediction comes nearest to, the end of the interval that is held against it, and how
    likely the device is to be over it."""
    use = _tightest_use(prediction, settings)
    base_ms = comparison.base_ms if comparison else None
    if comparison and base_ms is not None and (allowed := allowed_increase(prediction, settings, base_ms)):
        relative_ms = rounded(allowed[0])
        if relative_ms and (use is None or prediction.latency_ms / relative_ms > use.ratio):
            return relative_ms, "point", comparison.chance_above(allowed[0])
    if use is None:
        return None, settings.gate, None
    return use.limit_ms, use.budget.gate or settings.gate, prediction.chance_above(use.limit_ms)


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
