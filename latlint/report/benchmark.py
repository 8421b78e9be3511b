"""JSON of github-action-benchmark's ``customSmallerIsBetter``, which draws the latency of every model over time.

https://github.com/benchmark-action/github-action-benchmark
"""

from __future__ import annotations

from latlint.outcome import Report
from latlint.report.json import dump
from latlint.report.plain import Style, clean

#: The action puts names between backticks in cells of a Markdown table.
_MARKUP = str.maketrans({"`": "\\x60", "|": "\\x7c"})


def check(report: Report, style: Style) -> str:
    """A benchmark for each model and target, with half its interval as the range."""
    return dump(
        [
            {
                "name": f"{clean(report.path(each.model)).translate(_MARKUP)} on {each.target}",
                "unit": "ms",
                "value": float(f"{each.latency_ms:.6g}"),
                **({} if each.high_ms is None else {"range": f"± {(each.high_ms - each.low_ms) / 2:.3g}"}),
                "extra": f"{each.runtime}, {each.precision}, coverage {each.coverage:.0%}",
            }
            for each in report.predictions
            if not each.placement
        ]
    )


predict = check
