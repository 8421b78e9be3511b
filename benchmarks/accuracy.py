"""How accurate latlint is for networks of families it never saw.

    python benchmarks/accuracy.py            # every family held out in turn, from the model files, through the planner
    python benchmarks/accuracy.py --quick    # four families
    python benchmarks/accuracy.py --packs    # after it whether the bundled packs are what training gives, without planning the files again
    python benchmarks/accuracy.py --record   # the whole, and write benchmarks/accuracy.json, which the tests hold the cards against

For each family of architectures, the predictors of all targets are trained on the other families and predict every model of the
family. Prints one row a target and precision. ``--check`` fails where a limit is exceeded. Needs the measurements and the model files
(``--shared``, by default ../shared), and ``pip install '.[train]'``.
"""

from __future__ import annotations

import argparse
import gc
import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import latlint.training  # isort: skip  # noqa: F401 (before NumPy: it says on how many threads)
import numpy as np

from latlint.training.calibrate import TOLD_OF_TRANSFORMERS, record, stretches
from latlint.training.design import Design, of
from latlint.training.evaluation import LEVEL
from latlint.training.held_out import HeldOut, hold_out
from latlint.training.measurements import Series

RECORD = Path(__file__).with_name("accuracy.json")
#: What quotes the record.
PAGES = tuple(RECORD.parents[1] / name for name in ("README.md", "docs/accuracy.md"))
QUICK = ("densenet", "mobilenetv2", "resnext", "squeezenet")
#: Largest mean absolute percentage error of a group of targets over all families.
LIMITS = {
    "GPU float32": 4.0,
    "CPU float32": 4.3,
    "CPU int8": 5.1,
    "CPU float32 transformers": 11.0,
    "CPU int8 transformers": 12.0,
}
#: Largest error of a single GPU; of a single CPU configuration there is none, as some are noisier than their limit.
LARGEST_OF_A_GPU = 6.0
#: Smallest share of model-target pairs within 10 % of the measurement.
WITHIN = {"float32": 0.92, "int8": 0.85}
#: Between which shares intervals of level 0.9 cover all held-out measurements, and the least of those of a family of three models or more.
COVERAGE = (0.87, 0.95)
LEAST_OF_A_FAMILY = 0.8
#: A subset of the families is noisier than the whole.
QUICK_SLACK = 1.5


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--quick", action="store_true", help=f"hold out only {', '.join(QUICK)}")
    parser.add_argument("--full", action="store_true", help="hold out every family (the default)")
    parser.add_argument("--record", action="store_true", help=f"write {RECORD.name} beside this file")
    parser.add_argument("--check", action="store_true", help="exit 1 where a limit is exceeded")
    parser.add_argument(
        "--packs",
        action="store_true",
        help="also that the bundled packs follow from the data (latlint.training --check)",
    )
    parser.add_argument("--npu", action="store_true", help="NPUs instead: see npu.py beside this file")
    parser.add_argument("--litert", action="store_true", help="LiteRT as it ships instead: see litert.py beside it")
    options = parser.parse_args()
    gc.set_threshold(200_000, 20, 20)  # as ``latlint.__main__`` sets it
    if options.litert:
        import litert

        return litert.run(options.shared, record=options.record, check=options.check)
    if options.npu:
        import npu

        return npu.run(options.shared, transfer=options.full, record=options.record, check=options.check)
    if options.quick and (options.full or options.record):
        parser.error("--quick does not go with --full or --record")
    design = of(options.shared)
    held_out = hold_out(design, QUICK if options.quick else None, lambda family: print(f"  {family}", file=sys.stderr))
    rows = [row(series, held_out, design) for series in design.measurements.series]
    print_table(rows)
    groups = {name: summary(name, rows) for name in LIMITS if _of_group(name, rows)}
    print_groups(groups)
    within = pairs_within_10_percent(rows)
    print("\nmodel-target pairs within 10 %: " + ", ".join(f"{name} {share:.1%}" for name, share in within.items()))
    slack = QUICK_SLACK if options.quick else 1.0
    broken = above_limits(rows, groups, slack)
    if not options.quick:
        found = intervals(design, held_out)
        print_intervals(found)
        broken += [
            f"{name}: fewer pairs within 10 % than {least:.0%}"
            for name, least in WITHIN.items()
            if within[name] < least
        ]
        broken += outside(found, design)
        if options.record:
            record = {"targets": rows, "groups": groups, "pairs_within_10_percent": within, "intervals": found}
            RECORD.write_text(json.dumps(record, indent=1) + "\n", "utf-8")
            for page in PAGES:
                page.write_text(with_tables(page.read_text("utf-8"), record), "utf-8")
    print("\n".join(broken), file=sys.stderr, end="\n" if broken else "")
    failed = options.check and bool(broken)
    if options.packs:
        from latlint.training.__main__ import main as training

        failed |= bool(training(["--check", "--shared", str(options.shared)]))
    return int(failed)


def with_tables(page: str, record: dict[str, Any]) -> str:
    """``page`` with the figures of ``record`` between each pair of marks: ``<!-- accuracy: groups -->`` and ``<!-- end -->``."""
    for name, table in TABLES.items():
        page = re.sub(
            rf"(<!-- accuracy: {name} -->\n).*?(<!-- end -->)", rf"\1{table(record)}\2", page, flags=re.DOTALL
        )
    return page


def _line(record: dict[str, Any]) -> str:
    """The figures in one sentence, for the first screen of README."""
    groups = ", ".join(f"{group['mean_error_percent']:.1f} % ({name})" for name, group in record["groups"].items())
    return (
        f"On families of networks that training did not see, the mean error is {groups}:\n"
        "see [accuracy](docs/accuracy.md). `latlint targets NAME` shows the error of one target. NPUs are harder to predict.\n"
    )


def _groups_table(record: dict[str, Any]) -> str:
    head = ("targets", "number", "mean error", "median", "within ±10 %", "run-to-run noise")
    return _markdown(
        head,
        (
            (
                name.replace(" ", ", "),
                group["targets"],
                *(f"{group[key]:.1f} %" for key in ("mean_error_percent", "median_error_percent")),
                f"{100 * group['within_10_percent']:.0f} %",
                f"{group['noise_percent']:.1f} %",
            )
            for name, group in record["groups"].items()
        ),
    )


def _targets_table(record: dict[str, Any]) -> str:
    head = ("target", "precision", "mean error", "within ±10 %", "run-to-run noise", "worst network")
    return _markdown(
        head,
        (
            (
                row["target"],
                row["precision"],
                f"{row['mean_error_percent']:.1f} %",
                f"{100 * row['within_10_percent']:.0f} %",
                f"{row['noise_percent']:.1f} %",
                f"{row['worst_model']} {row['worst_error_percent']:.0f} %",
            )
            for row in record["targets"]
        ),
    )


def _families_table(record: dict[str, Any]) -> str:
    """Mean errors by family over the targets of each group, and the share of measurements inside their interval."""
    inside = record["intervals"]["by_family"]
    groups = {
        name: _of_group(name, record["targets"]) for name in record["groups"] if not name.endswith("transformers")
    }
    return _markdown(
        ("family held out", *groups, "inside the interval"),
        (
            (
                family,
                *(_mean_of_family(family, rows) for rows in groups.values()),
                f"{100 * inside[family]:.0f} %",
            )
            for family in inside
        ),
    )


def _mean_of_family(family: str, rows: list[dict[str, Any]]) -> str:
    errors = [r["by_family_percent"][family] for r in rows if family in r["by_family_percent"]]
    return f"{np.mean(errors):.1f} %" if errors else "–"


def _intervals_table(record: dict[str, Any]) -> str:
    widths = record["intervals"]["within_widths"]
    return _markdown(
        ("widths of the interval", *widths),
        (
            (name, *(f"{share[key]:.1%}".replace("%", " %") for share in widths.values()))
            for name, key in (("measurements", "measured"), ("logistic distribution", "logistic"))
        ),
    )


def _markdown(head: Iterable[object], rows: Iterable[Iterable[object]]) -> str:
    lines = [tuple(map(str, row)) for row in (tuple(head), *rows)]
    lines.insert(1, ("---",) * len(lines[0]))
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


TABLES = {
    "line": _line,
    "groups": _groups_table,
    "families": _families_table,
    "targets": _targets_table,
    "intervals": _intervals_table,
}


def above_limits(rows: list[dict[str, Any]], groups: dict[str, dict[str, float]], slack: float) -> list[str]:
    """What is less accurate than it should be, by ``slack`` times or more."""
    found = {name: (group["mean_error_percent"], LIMITS[name]) for name, group in groups.items()}
    found |= {r["target"]: (r["mean_error_percent"], LARGEST_OF_A_GPU) for r in rows if r["target"].endswith("/gpu")}
    return [
        f"{name}: {error:g} % is above the limit of {limit * slack:g} %"
        for name, (error, limit) in found.items()
        if error > limit * slack
    ]


def row(series: Series, held_out: HeldOut, design: Design) -> dict[str, Any]:
    """One target and precision, over the models whose family was held out."""
    return {
        "target": series.target,
        "precision": series.precision,
        **record(design, held_out, series),
    }


def summary(name: str, rows: list[dict[str, Any]]) -> dict[str, float]:
    """Means over the targets of a group: of convolutional networks, or of transformers where its name says so."""
    of_kind = _of_group(name, rows)
    prefix = "transformers_" if name.endswith("transformers") else ""
    found = {key: round(float(np.mean([r[prefix + key] for r in of_kind])), 3) for key in TOLD_OF_TRANSFORMERS}
    noise = round(float(np.mean([r["noise_percent"] for r in of_kind])), 3)
    return {"targets": len(of_kind), **found, "noise_percent": noise}


def _of_group(name: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    kind, precision, *transformers = name.split()
    of_kind = [r for r in rows if r["precision"] == precision and r["target"].endswith("/gpu") == (kind == "GPU")]
    return [r for r in of_kind if not transformers or "transformers_models" in r]


def print_table(rows: list[dict[str, Any]]) -> None:
    print(f"{'target':28} {'precision':9} {'mean %':>7} {'median %':>8} {'in 10 %':>8} {'noise %':>8}  worst")
    for r in rows:
        print(
            f"{r['target']:28} {r['precision']:9} {r['mean_error_percent']:7.2f} {r['median_error_percent']:8.2f} "
            f"{r['within_10_percent']:8.1%} {r['noise_percent']:8.2f}  {r['worst_model']} {r['worst_error_percent']:.0f} %"
        )


def print_groups(groups: dict[str, dict[str, float]]) -> None:
    print(f"\n{'mean over':28} {'targets':9} {'mean %':>7} {'median %':>8} {'in 10 %':>8} {'noise %':>8}")
    for name, group in groups.items():
        print(
            f"{name:28} {group['targets']:<9} {group['mean_error_percent']:7.2f} {group['median_error_percent']:8.2f} "
            f"{group['within_10_percent']:8.1%} {group['noise_percent']:8.2f}"
        )


def pairs_within_10_percent(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Share of all model-target pairs of a precision, GPU and CPU together."""
    found = {}
    for precision in WITHIN:
        of_kind = [r for r in rows if r["precision"] == precision]
        inside = sum(r["within_10_percent"] * r["models"] for r in of_kind)
        found[precision] = round(inside / sum(r["models"] for r in of_kind), 3)
    return found


def intervals(design: Design, held_out: HeldOut) -> dict[str, Any]:
    """How many held-out measurements lie in their interval, and how far from the prediction they lie, in widths of it, against
    the logistic distribution that ``Prediction.chance_above`` takes."""
    stretch = stretches(design, held_out)
    families = np.array(design.measurements.families)

    def within(width: float, models: Any = slice(None)) -> float:
        known = stretch[:, models][np.isfinite(stretch[:, models])]
        return round(float((known <= width).mean()), 3)

    odds = (1 + LEVEL) / (1 - LEVEL)
    return {
        "level": LEVEL,
        "overall": within(1),
        "by_family": {str(family): within(1, families == family) for family in sorted(set(families))},
        "within_widths": {
            str(width): {
                "measured": within(width),
                "logistic": round(2 / (1 + odds**-width) - 1, 3),
            }
            for width in (0.25, 0.5, 0.75, 1.0, 1.5, 2.0)
        },
    }


def print_intervals(found: dict[str, Any]) -> None:
    print(
        f"\nintervals of level {found['level']}, each family's from the others: {found['overall']:.1%} of measurements inside"
    )
    print("  " + ", ".join(f"{name} {share:.0%}" for name, share in found["by_family"].items()))
    print(
        "distance from the prediction, in widths of the interval: share of measurements, and of the logistic distribution"
    )
    print(
        "  "
        + ", ".join(
            f"{width}: {share['measured']:.3f} ({share['logistic']:.3f})"
            for width, share in found["within_widths"].items()
        )
    )


def outside(found: dict[str, Any], design: Design) -> list[str]:
    """Coverage that is not what the level promises, overall and in each family large enough to tell."""
    low, high = COVERAGE
    broken = (
        []
        if low <= found["overall"] <= high
        else [f"intervals: {found['overall']:.1%} is outside {low:.0%} to {high:.0%}"]
    )
    families = list(design.measurements.families)
    return broken + [
        f"intervals of {name}: {share:.1%} is below {LEAST_OF_A_FAMILY:.0%}"
        for name, share in found["by_family"].items()
        if families.count(name) >= 3 and share < LEAST_OF_A_FAMILY
    ]


if __name__ == "__main__":
    sys.exit(main())
