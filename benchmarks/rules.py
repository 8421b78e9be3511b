"""What the rules find in the networks of the corpus, and how their gains compare with measurements.

    python benchmarks/rules.py            # the tables
    python benchmarks/rules.py --write    # and docs/rule-evidence.md
    python benchmarks/rules.py --check    # exit 1 where a limit is exceeded

Needs the measurements and the model files (``--shared``, by default ../shared; LATLINT_CORPUS may name unpacked files).
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from latlint import checks
from latlint.api import check
from latlint.settings import Settings
from latlint.training.corpus import unpacked

#: No rule may warn on more than this share of the networks on any kind of target.
MOST_WARNED = 1 / 3
#: Rules above it whose reason the author can act on, and why.
ALLOWED: dict[tuple[str, str], str] = {}
KINDS = {
    "GPU, float32": ("tflite_fp32", "*/gpu"),
    "CPU, float32": ("tflite_fp32", "*/cpu-*"),
    "CPU, int8": ("tflite_int8", "*/cpu-*"),
}


@dataclass(frozen=True, slots=True)
class Rate:
    """How many of ``models`` a rule warns on, and how many it notes or warns on: on the median target, and on the worst."""

    code: str
    kind: str
    models: int
    warned: tuple[int, int]
    found: tuple[int, int]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--write", action="store_true", help="write docs/rule-evidence.md")
    parser.add_argument("--check", action="store_true", help="exit 1 where a limit is exceeded")
    options = parser.parse_args()
    named = os.environ.get("LATLINT_CORPUS")
    corpus = Path(named) if named else unpacked(options.shared / "corpus")
    rates = [rate for kind in KINDS for rate in firing_rates(corpus, kind)]
    print(rates_table(rates))
    return 0


def firing_rates(corpus: Path, kind: str) -> Iterator[Rate]:
    directory, targets = KINDS[kind]
    settings = Settings(targets=(targets,))
    models = sorted((corpus / directory).glob("*.tflite"))
    levels: dict[str, dict[str, dict[str, set[str]]]] = {}  # code -> severity -> target -> models
    names: set[str] = set()
    for model in models:
        report = check(model, settings)
        names.update(report.targets)
        for finding in report.findings:
            if finding.target:
                level = levels.setdefault(finding.code, {"note": defaultdict(set), "warning": defaultdict(set)})
                level[finding.severity][finding.target].add(finding.model)
    for code, found in sorted(levels.items()):
        warned = sorted(len(found["warning"][name]) for name in names)
        either = sorted(len(found["warning"][name] | found["note"][name]) for name in names)
        yield Rate(
            code, kind, len(models), (warned[len(names) // 2], warned[-1]), (either[len(names) // 2], either[-1])
        )


def rates_table(rates: Sequence[Rate]) -> str:
    lines = ["| rule | name | targets | warns, median target | warns, worst target | notes or warns, worst target |"]
    lines.append("|---|---|---|---|---|---|")
    for rate in sorted(rates, key=lambda rate: (rate.code, rate.kind)):
        rule = checks.by_code(rate.code)
        shown = [f"{count} of {rate.models}" for count in (*rate.warned, rate.found[1])]
        lines.append(f"| {rate.code} | {rule.rule.name if rule else ''} | {rate.kind} | {' | '.join(shown)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
