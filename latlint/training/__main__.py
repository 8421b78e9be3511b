"""``python -m latlint.training``: build the bundled packs from the measurements, or ``--check`` that they follow from them."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from latlint.data import data_dir
from latlint.latency.packs import read_pack, write_pack
from latlint.training import calibrate
from latlint.training.corpus import unpacked
from latlint.training.design import Design
from latlint.training.design import build as build_design
from latlint.training.held_out import hold_out, predicted_ms
from latlint.training.measurements import load

#: Libraries and processors round differently, and a tree may then split elsewhere: this much may a prediction move.
TOLERANCE = 0.01


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m latlint.training", description=__doc__)
    parser.add_argument("--shared", type=Path, default=Path("../shared"), help="directory with data/ and corpus/")
    parser.add_argument("--output", type=Path, default=data_dir("predictors"), help="where the packs go")
    parser.add_argument(
        "--check", action="store_true", help="compare with the packs in --output instead of writing them"
    )
    options = parser.parse_args()
    if not (options.shared / "data").is_dir():
        parser.error(f"{options.shared}: no data/ here; the measurements are not part of the repository")
    design = build_design(load(options.shared / "data"), unpacked(options.shared / "corpus"))
    if options.check:
        return _check(design, options.output)
    held_out = hold_out(design, progress=lambda family: print(f"held out {family}", file=sys.stderr))
    for pack in calibrate.packs(design, held_out).values():
        write_pack(pack, options.output / pack.device)
        print(options.output / pack.device)
    return 0


def _check(design: Design, output: Path) -> int:
    """Whether packs built now predict what the packs in ``output`` predict, for every model and target of the data."""
    built = calibrate.fit_all(design)
    known = {device: read_pack(output / device) for device in built}
    worst = 0.0
    for each in design.measurements.series:
        for model in range(len(design.measurements.models)):
            now, then = (predicted_ms(design, packs, each, model) for packs in (built, known))
            worst = max(worst, abs(now / then - 1))
    same = worst <= TOLERANCE
    print(f"packs {'follow' if same else 'do not follow'} from the data: predictions differ by at most {worst:.4%}")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
