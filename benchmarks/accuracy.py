"""How accurate latlint is for networks of families it never saw.

    python benchmarks/accuracy.py            # every family held out in turn, from the model files, through the planner
    python benchmarks/accuracy.py --quick    # four families
    python benchmarks/accuracy.py --record   # the whole, and write benchmarks/accuracy.json, which the tests hold the cards against

For each family of architectures, the predictors of all targets are trained on the other families and predict every model of the
family. Prints one row a target and precision. ``--check`` fails where a limit is exceeded. Needs the measurements and the model files
(``--shared``, by default ../shared), and ``pip install 'latlint[train]'``.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from latlint.training.calibrate import accuracy, coverage_by_family
from latlint.training.corpus import unpacked
from latlint.training.design import Design, build
from latlint.training.held_out import HeldOut, hold_out
from latlint.training.measurements import Series, load

RECORD = Path(__file__).with_name("accuracy.json")
QUICK = ("densenet", "mobilenetv2", "resnext", "squeezenet")
#: Largest mean absolute percentage error of a group of targets over all families.
LIMITS = {"GPU float32": 4.5, "CPU float32": 6.0, "CPU int8": 8.0}
#: A subset of the families is noisier than the whole.
QUICK_SLACK = 1.5


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--quick", action="store_true", help=f"hold out only {', '.join(QUICK)}")
    parser.add_argument("--full", action="store_true", help="hold out every family (the default)")
    parser.add_argument("--record", action="store_true", help=f"write {RECORD.name} beside this file")
    parser.add_argument("--check", action="store_true", help="exit 1 where a limit is exceeded")
    options = parser.parse_args()
    if options.quick and (options.full or options.record):
        parser.error("--quick does not go with --full or --record")
    design = build(load(options.shared / "data"), unpacked(options.shared / "corpus"))
    held_out = hold_out(design, QUICK if options.quick else None, lambda family: print(f"  {family}", file=sys.stderr))
    rows = [row(series, held_out, design) for series in design.measurements.series]
    print_table(rows)
    groups = {name: summary(name, rows) for name in LIMITS}
    print_groups(groups)
    if not options.quick:
        print_coverage(design, held_out)
    if options.record:
        RECORD.write_text(json.dumps({"targets": rows, "groups": groups}, indent=1) + "\n", "utf-8")
    slack = QUICK_SLACK if options.quick else 1.0
    broken = [name for name, limit in LIMITS.items() if groups[name]["mean_error_percent"] > limit * slack]
    for name in broken:
        print(f"{name}: above the limit of {LIMITS[name] * slack:g} %", file=sys.stderr)
    return 1 if options.check and broken else 0


def row(series: Series, held_out: HeldOut, design: Design) -> dict[str, Any]:
    """One target and precision, over the models whose family was held out."""
    return {
        "target": series.target,
        "precision": series.precision,
        **accuracy(held_out.ratios(series), series, design),
    }


def summary(name: str, rows: list[dict[str, Any]]) -> dict[str, float]:
    kind, precision = name.split()
    of_kind = [r for r in rows if r["precision"] == precision and r["target"].endswith("/gpu") == (kind == "GPU")]
    keys = ("mean_error_percent", "median_error_percent", "within_10_percent", "noise_percent")
    return {"targets": len(of_kind), **{key: round(float(np.mean([r[key] for r in of_kind])), 3) for key in keys}}


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


def print_coverage(design: Design, held_out: HeldOut) -> None:
    overall, families = coverage_by_family(design, held_out)
    print(f"\nintervals of level 0.9, each family's from the others: {overall:.1%} of measurements inside")
    print("  " + ", ".join(f"{name} {share:.0%}" for name, share in families.items()))


if __name__ == "__main__":
    sys.exit(main())
