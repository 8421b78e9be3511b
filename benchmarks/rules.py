"""What the rules find in the networks of the corpus, and how their gains compare with measurements.

    python benchmarks/rules.py            # the tables
    python benchmarks/rules.py --write    # and docs/rule-evidence.md
    python benchmarks/rules.py --check    # exit 1 where a limit is exceeded

Needs the measurements and the model files (``--shared``, by default ../shared; LATLINT_CORPUS may name unpacked files).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

import numpy as np
import real_models
from scipy.stats import spearmanr

import latlint
from latlint import checks
from latlint.api import check
from latlint.latency.packs import load_targets
from latlint.latency.types import Prediction
from latlint.settings import Settings
from latlint.training.corpus import unpacked
from latlint.training.measurements import Measurements, load, measured_everywhere
from latlint.whatif.gain import UNSHARED, Gain, Spending, gain

#: No rule may warn on more than this share of the networks on any target, unless its author can act on the reason.
MOST_WARNED = 1 / 3
#: Rules above it, and what the author can do.
ACTIONABLE = {
    "LAT241": "it warns where SAME padding, which costs nothing, gives the same result as the PAD that the converter wrote",
}
#: Name -> directory of the corpus, targets, precision.
KINDS = {
    "GPU, float32": ("tflite_fp32", "*/gpu", "float32"),
    "CPU, float32": ("tflite_fp32", "*/cpu-*", "float32"),
    "CPU, int8": ("tflite_int8", "*/cpu-*", "int8"),
}
_RESNETS = (10, 14, 16, 18)
_PRERESNETS = (10, 12, 14, 16, 18)
_WIDTHS = ("w1", "w3d4", "wd2", "wd4")
#: What networks of a pair differ in -> pairs; the second has what the first has not.
PAIRS: dict[str, list[tuple[str, str]]] = {
    "gates (resnet, seresnet)": [(f"resnet{n}", f"seresnet{n}") for n in _RESNETS],
    "gates (preresnet, sepreresnet)": [(f"preresnet{n}", f"sepreresnet{n}") for n in _PRERESNETS],
    "activation first (resnet, preresnet)": [
        *((f"resnet{n}", f"preresnet{n}") for n in _PRERESNETS), *((f"resnet18_{w}", f"preresnet18_{w}") for w in _WIDTHS)
    ],
    "mobilenet, mobilenetb": [(f"mobilenet_{w}", f"mobilenetb_{w}") for w in _WIDTHS],
    "mobilenetv2, mobilenetv2b": [(f"mobilenetv2_{w}", f"mobilenetv2b_{w}") for w in _WIDTHS],
    "groups (resnext 16x4d, 32x4d; bottleneck resnets without)": [
        ("resnext14_16x4d", "resnext14_32x4d"), ("resnetbc14b", "resnext14_16x4d"), ("resnetbc14b", "resnext14_32x4d"),
        ("resnetbc26b", "resnext26_32x4d"),
    ],
    "residual sums (squeezenet, squeezeresnet; diracnet, resnet)": [
        ("squeezenet_v1_0", "squeezeresnet_v1_0"), ("diracnet18v2", "resnet18")
    ],
    "regnetx, one size and the next": [(f"regnetx{a}", f"regnetx{b}") for a, b in (("002", "004"), ("004", "006"), ("006", "008"), ("008", "016"))],
}  # fmt: skip
#: Rule -> the pairs of which it makes one network into the other.
EXACT = {"LAT225": ("gates (resnet, seresnet)", "gates (preresnet, sepreresnet)")}


@dataclass(frozen=True, slots=True)
class Rate:
    """How many of ``models`` a rule warns on, and how many it notes or warns on: on the median target, and on the worst."""

    code: str
    kind: str
    models: int
    warned: tuple[int, int]
    found: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Case:
    """One difference between two networks on one target: as measured, in ms, and as predicted; ``whole_ms`` is what the second network
    took. ``clear``: the measurements differ by more than twice their spread."""

    measured_ms: float
    predicted: Gain
    whole_ms: float
    clear: bool


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--write", action="store_true", help="write docs/rule-evidence.md")
    parser.add_argument("--check", action="store_true", help="exit 1 where a limit is exceeded")
    options = parser.parse_args()
    named = os.environ.get("LATLINT_CORPUS")
    corpus = Path(named) if named else unpacked(options.shared / "corpus")
    measured = Measured(measured_everywhere(load(options.shared / "data")))
    rates = [rate for kind in KINDS for rate in firing_rates(corpus, kind, measured)]
    page = PAGE.format(
        rates=rates_table(rates),
        real=real_models.section(json.loads(real_models.RECORD.read_text("utf-8"))),
        unshared=UNSHARED,
        most=f"{MOST_WARNED:.0%}",
        actionable="\n".join(f"- {code}: {why}." for code, why in ACTIONABLE.items()),
        pairs=pairs_table(corpus, measured),
        gains=gains_table(corpus, measured),
    )
    print(page)
    if options.write:
        (Path(__file__).resolve().parent.parent / "docs" / "rule-evidence.md").write_text(page, "utf-8")
    broken = [rate for rate in rates if rate.warned[1] > MOST_WARNED * rate.models and rate.code not in ACTIONABLE]
    for rate in broken:
        print(f"{rate.code} warns on {rate.warned[1]} of {rate.models} ({rate.kind})", file=sys.stderr)
    return 1 if options.check and broken else 0


def firing_rates(corpus: Path, kind: str, measured: Measured) -> Iterator[Rate]:
    directory, _, _ = KINDS[kind]
    settings = Settings(targets=measured.targets(kind))
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


class Measured:
    """End-to-end times by network, target and precision: mean and standard deviation, ms."""

    def __init__(self, data: Measurements) -> None:
        self.ms: Mapping[tuple[str, str, str], tuple[float, float]] = {
            (model, series.target, series.precision): (mean * 1e-6, std * 1e-6)
            for series in data.series
            for model, mean, std in zip(data.models, series.mean_ns, series.std_ns, strict=True)
        }
        self.models = frozenset(data.models)

    def targets(self, kind: str) -> tuple[str, ...]:
        """Those of a kind that were measured."""
        _, pattern, wanted = KINDS[kind]
        found = {target for _, target, precision in self.ms if precision == wanted and fnmatch(target, pattern)}
        return tuple(sorted(found))

    def case(self, first: str, second: str, target: str, precision: str, predicted: Gain) -> Case:
        (one, one_std), (other, other_std) = (self.ms[name, target, precision] for name in (first, second))
        clear = abs(other - one) > 2 * float(np.hypot(one_std, other_std))
        return Case(other - one, predicted, other, clear)


@cache
def predictions(path: Path, targets: tuple[str, ...]) -> tuple[Prediction, ...]:
    return tuple(latlint.predict(path, targets))


def _spending(prediction: Prediction) -> Spending:
    kernels = ((k.implementation, k.latency_ms, k.source == "predicted") for k in prediction.kernels)
    return Spending(kernels, prediction.overhead_ms, prediction.latency_ms)


def pair_cases(corpus: Path, measured: Measured, kind: str, pairs: Sequence[tuple[str, str]]) -> Iterator[Case]:
    """Each pair on each target: the time of the second network less that of the first."""
    directory, _, precision = KINDS[kind]
    known = load_targets()
    for first, second in pairs:
        if not measured.models.issuperset((first, second)):
            continue
        both = (predictions(corpus / directory / f"{name}.tflite", measured.targets(kind)) for name in (first, second))
        for one, other in zip(*both, strict=True):
            predicted = gain(_spending(other), _spending(one), known[one.target].for_dialect("tflite"), precision)
            yield measured.case(first, second, one.target, precision, predicted)


def gain_cases(corpus: Path, measured: Measured, kind: str, code: str) -> Iterator[Case]:
    """What a rule says that taking out of the second network what the first has not would save."""
    directory, _, precision = KINDS[kind]
    settings = Settings(targets=measured.targets(kind), min_gain=0.0)
    for first, second in (pair for name in EXACT[code] for pair in PAIRS[name]):
        if not measured.models.issuperset((first, second)):
            continue
        for found in check(corpus / directory / f"{second}.tflite", settings).findings:
            if found.code == code and found.target and found.gain_ms is not None:
                low, high = found.gain_low_ms or 0.0, found.gain_high_ms or 0.0
                yield measured.case(first, second, found.target, precision, Gain(found.gain_ms, low, high))


PAGE = """# What the rules find, and how their gains compare with measurements

Written by `python benchmarks/rules.py --write`, from the 80 networks of mobile-ml-benchmark as float32 and int8 TFLite files, on the six
GPUs and 42 CPU core configurations that were measured.

## How often each rule speaks

On how many of the corpus's 82 networks, two of which were not measured, a rule warns, on the target in the middle and on the one where it warns most. A rule that is not listed is
silent on all of them. None warns on more than {most} of the networks on any target, but for:

{actionable}

{rates}

## How often each rule speaks on real models

From `benchmarks/real_models.json`, which `python benchmarks/real_models.py DIRECTORY... --write` writes. {real}

## Networks that differ in one choice

The latency of the second network of a pair less that of the first, on each target, as measured and as predicted. *Clear* differences are larger than
twice the spread of the measurements. *Spearman* is the rank correlation of the differences as shares of the second network's latency, over
pairs and targets. *Mean error* is of the difference, in the same unit. *In the interval* is how often the measured difference lies in
the interval of the predicted one, which is meant to hold 90 %.

The packs that predict here were trained on these networks too, on their latencies and not on differences: this table tests whether differences of a
few per cent survive, not how new networks fare (`benchmarks/accuracy.py` holds families out). The share that the intervals allow for what does not
cancel, {unshared:.0%} of each latency, was chosen on it. On CPUs mobilenet and mobilenetb are the same kernels, so the predicted difference is none, which
counts as another sign; what is measured between them is what two measurements of one network differ by.

{pairs}

## Rules whose counterfactual is such a pair

Taking the gates out of a squeeze-and-excitation network (LAT225) leaves the network without them, which was measured as well. No
other rule's edit leads from one measured network to another. On CPUs its intervals are 1.75 times as wide as others: so wide, they hold nine tenths of each of the two
families; as they were, 73 and 78 % of both. A gain whose interval includes zero is not stated.

{gains}
"""

_COLUMNS = "cases | same sign | same sign where clear | Spearman | mean error | in the interval"


def _row(name: str, kind: str, cases: Sequence[Case]) -> str:
    if not cases:
        return f"| {name} | {kind} | 0 | | | | | |"
    measured, predicted, whole = (
        np.array(column) for column in zip(*((c.measured_ms, c.predicted.ms, c.whole_ms) for c in cases), strict=True)
    )
    same = np.sign(measured) == np.sign(predicted)
    clear = np.array([case.clear for case in cases])
    inside = [case.predicted.low_ms <= case.measured_ms <= case.predicted.high_ms for case in cases]
    error = np.mean(np.abs(measured - predicted) / whole)
    rank = f"{spearmanr(measured / whole, predicted / whole).statistic:.2f}" if predicted.any() else ""
    clear_share = f"{same[clear].mean():.0%} of {clear.sum()}" if clear.any() else "none"
    return f"| {name} | {kind} | {len(cases)} | {same.mean():.0%} | {clear_share} | {rank} | {error:.1%} | {np.mean(inside):.0%} |"


def pairs_table(corpus: Path, measured: Measured) -> str:
    lines = [f"| networks | targets | {_COLUMNS} |", "|---|---|---|---|---|---|---|---|"]
    for name, pairs in PAIRS.items():
        for kind in KINDS:
            cases = list(pair_cases(corpus, measured, kind, pairs))
            lines.append(_row(name, kind, cases))
    return "\n".join(lines)


def gains_table(corpus: Path, measured: Measured) -> str:
    lines = [f"| rule | targets | {_COLUMNS} |", "|---|---|---|---|---|---|---|---|"]
    for code in EXACT:
        for kind in KINDS:
            cases = list(gain_cases(corpus, measured, kind, code))
            lines.append(_row(code, kind, cases))
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
