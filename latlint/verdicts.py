"""Whether each prediction is within its budgets, once the findings about them are known."""

from __future__ import annotations

from collections.abc import Sequence

from latlint import checks
from latlint.checks.types import Finding
from latlint.latency.types import Prediction
from latlint.report.types import Verdict
from latlint.settings import Settings


def verdicts(predictions: Sequence[Prediction], findings: Sequence[Finding], settings: Settings) -> tuple[Verdict, ...]:
    """One for each prediction. It fails by a finding about budgets (LAT1xx) that is an error, whatever budget that is about; the
    limit that it shows is the one for the whole model that the prediction comes nearest to."""
    about_budgets = [finding for finding in findings if finding.code.startswith("LAT1") and not finding.suppressed]
    failed = {(finding.model, finding.target) for finding in about_budgets if finding.severity == "error"}
    warned = {(finding.model, finding.target) for finding in about_budgets if finding.severity != "error"}
    found = []
    for prediction in predictions:
        pair = prediction.model, prediction.target
        budgets = settings.budgets_for(prediction.model, prediction.target)
        others = any(budget.op or budget.max_increase is not None for budget in budgets)
        held = checks.whole_model_limit(prediction, settings)
        limit_ms, gate = (held.limit_ms, held.budget.gate) if held else (None, None)
        found.append(Verdict(limit_ms, pair not in failed, gate or settings.gate, pair in warned, others))
    return tuple(found)
