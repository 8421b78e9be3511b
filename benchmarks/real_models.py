"""How often each rule speaks on real models, and whether each gain that is stated can be believed.

    python benchmarks/real_models.py DIRECTORY...            # the table
    python benchmarks/real_models.py DIRECTORY... --write    # and benchmarks/real_models.json, from which rules.py makes its page

Reads every .tflite and .onnx file below the directories. A gain is wrong if its interval includes zero or it is more than the model takes:
one such makes the exit code 1, and so does a rule that warns on more than a third of the models without its owner being able to act on it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from latlint import checks
from latlint.api import check
from latlint.settings import Settings

RECORD = Path(__file__).with_name("real_models.json")
TARGETS = ("galaxy-s10/gpu", "pixel-4/cpu-1large", "pixel-4/cpu-1large@xnnpack", "galaxy-s24/npu@litert")
MOST_WARNED = 1 / 3
#: Rules that may warn more often, and what the owner can do.
ACTIONABLE: Mapping[str, str] = {}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directories", nargs="+", type=Path)
    parser.add_argument("--write", action="store_true", help=f"write benchmarks/{RECORD.name}")
    options = parser.parse_args()
    found = survey(
        sorted(path for top in options.directories for path in top.rglob("*") if path.suffix in (".tflite", ".onnx"))
    )
    print(table(found))
    print("\n".join(found["wrong_gains"]), file=sys.stderr)
    if options.write:
        RECORD.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    return 1 if found["wrong_gains"] or too_often(found) else 0


def survey(paths: Iterable[Path]) -> dict[str, Any]:
    """Counts over the files that can be read: models a target, and a rule's warnings and findings a target."""
    models: Counter[str] = Counter()
    formats: Counter[str] = Counter()
    sources: Counter[str] = Counter()
    rates: dict[str, dict[str, list[int]]] = {}
    gains, wrong = 0, []
    for path in paths:
        report = check(path, Settings(targets=TARGETS))
        if report.errors or not report.predictions:
            continue
        formats[path.suffix[1:]] += 1
        sources[path.parent.name] += 1
        latency_ms = {prediction.target: prediction.latency_ms for prediction in report.predictions}
        models.update(latency_ms.keys())
        said: dict[tuple[str, str], bool] = {}
        for finding in report.findings:
            if finding.target is None:
                continue
            key = finding.code, finding.target
            said[key] = said.get(key, False) or finding.severity != "note"
            if finding.gain_ms is not None:
                gains += 1
                low_ms, high_ms = finding.gain_low_ms or 0.0, finding.gain_high_ms or 0.0
                if not 0 < low_ms <= finding.gain_ms <= high_ms or finding.gain_ms > latency_ms[finding.target]:
                    wrong.append(f"{path.name} {finding.target} {finding.code}: {finding.message}")
        for (code, target), warned in said.items():
            counts = rates.setdefault(code, {}).setdefault(target, [0, 0])
            counts[0] += warned
            counts[1] += 1
    return {
        "models": dict(models),
        "formats": dict(formats),
        "sources": dict(sorted(sources.items())),
        "stated_gains": gains,
        "wrong_gains": wrong,
        "rates": {code: dict(sorted(rates[code].items())) for code in sorted(rates)},
    }


def too_often(found: Mapping[str, Any]) -> list[str]:
    """The rules that warn on too many models of a target."""
    return [
        code
        for code, targets in found["rates"].items()
        if code not in ACTIONABLE
        and any(warned > MOST_WARNED * found["models"][target] for target, (warned, _) in targets.items())
    ]


def section(found: Mapping[str, Any]) -> str:
    """What the survey comes to, for docs/rule-evidence.md."""
    models = sum(found["formats"].values())
    sources = "\n".join(f"- {name}: {n}" for name, n in found["sources"].items())
    worst = max((n for targets in found["rates"].values() for n, _ in targets.values()), default=0)
    return (
        f"{models} files ({', '.join(f'{n} .{name}' for name, n in found['formats'].items())}) from published packages and exporters. "
        f"In each cell: on how many it warns, and on how many it speaks at all. No rule warns on more than {worst / models:.0%} of them.\n"
        f"{found['stated_gains']} gains are stated; {len(found['wrong_gains'])} of them have an interval that includes zero, or are more than the model takes.\n\n{table(found)}\n\n"
        f"Files by package or collection:\n\n{sources}"
    )


def table(found: Mapping[str, Any]) -> str:
    """A row a rule: on how many models it warns, and speaks at all, on each target."""
    targets = [target for target in TARGETS if target in found["models"]]
    lines = [
        f"| rule | name | {' | '.join(targets)} |",
        "|---|---|" + "---|" * len(targets),
    ]
    for code, counts in found["rates"].items():
        rule = checks.by_code(code)
        cells = [f"{counts[target][0]}, {counts[target][1]}" if target in counts else "" for target in targets]
        lines.append(f"| {code} | {rule.rule.name if rule else ''} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
