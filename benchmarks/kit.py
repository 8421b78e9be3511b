"""How long a pack of this machine takes with the kit, by the clock, and how well it predicts published networks that were not timed for it.

    python benchmarks/kit.py                    # the walk of docs/adding-a-device.md, then the 39 networks of edge-compat
    python benchmarks/kit.py --corpus int8      # or another corpus of benchmarks/here.py, more than once for several
    python benchmarks/kit.py --kit DIR          # a kit that was measured already

Runs the commands of the page as a person types them: ``latlint pack kit``, ``measure.sh`` on one thread with the Python package's tool, ``latlint pack build``. They
print what they print; how long each took follows. Then the networks are predicted and timed (``benchmarks/here.py``). ``--check`` fails above 30 minutes, or where an
error is above the corpus's limit. The machine must do nothing else. Needs the model files (``--shared``, by default ../shared) and ``pip install '.[train]' ai-edge-litert``.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from importlib.metadata import distribution
from pathlib import Path

from here import CORPORA, compare

#: Minutes from nothing to a pack.
LIMIT_MINUTES = 30.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument(
        "--corpus", choices=CORPORA, action="append", help="which networks; may be repeated (default: edge-compat)"
    )
    parser.add_argument("--kit", type=Path, help="a kit that was measured on this machine (default: a new one)")
    parser.add_argument("--seconds", type=float, default=2.4, help="seconds to measure each network, in three passes")
    parser.add_argument("--check", action="store_true", help="fail where a limit is broken")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        kit, pack = options.kit or Path(scratch, "my-kit"), Path(scratch, "my-pack")
        walk = [[*_LATLINT, "pack", "build", str(kit), "--output", str(pack)]]
        if options.kit is None:
            write = [*_LATLINT, "pack", "kit", str(kit), "--device", "this-host"]
            walk = [write, ["sh", str(kit / "measure.sh"), "--threads", "1"], *walk]
        took = [_minutes(command) for command in walk]
        print(
            f"from nothing to a pack: {sum(took):.1f} minutes by the clock ({' + '.join(f'{each:.1f}' for each in took)})"
        )
        fine = [sum(took) <= LIMIT_MINUTES]
        for name in options.corpus or ["edge-compat"]:
            fine.append(compare(name, options.shared, Path(scratch, name), pack, seconds=options.seconds))
    return int(options.check and not all(fine))


_LATLINT = (sys.executable, "-m", "latlint")


def _minutes(command: list[str]) -> float:
    """How long the command took; it must succeed."""
    print("$", " ".join(command), flush=True)
    path = os.pathsep.join((str(_tool().parent), os.environ["PATH"]))
    start = time.perf_counter()
    subprocess.run(command, check=True, env={**os.environ, "PATH": path})
    return (time.perf_counter() - start) / 60


def _tool() -> Path:
    """The program that ``pip install ai-edge-litert`` has put into an environment, which a person has switched on."""
    files = distribution("ai-edge-litert").files or ()
    return next(Path(str(each.locate())).resolve() for each in files if each.name == "litert-benchmark")


if __name__ == "__main__":
    sys.exit(main())
