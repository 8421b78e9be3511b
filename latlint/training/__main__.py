"""``python -m latlint.training``: build the bundled packs from the measurements, or ``--check`` that they follow from them."""

from __future__ import annotations

import argparse
import gc
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from latlint.data import data_dir
from latlint.latency.catalogue import write_index
from latlint.latency.packs import Pack, prune_common, read_pack, write_pack
from latlint.training import ai_hub_cpu, calibrate, derived, litert, servers
from latlint.training.design import Design
from latlint.training.design import of as design_of
from latlint.training.held_out import hold_out, predicted_ms
from latlint.training.npu import build as npu
from latlint.training.npu import study as npu_study

#: Libraries and processors round differently: this much may a prediction move.
TOLERANCE = 0.01
#: The same of costs that a search or weights by rounds lead to, which rounding leads elsewhere. Between x86-64 processors with AVX-512 and without (29
#: November 2026) NPUs' predictions moved by 0.2 % in the median of 8,866, 2.0 % in one of a hundred and 3.1 % at most, costs of servers by 1.2 %.
TOLERANCE_OF_SEARCHES = 0.05


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code for ``arguments``, by default those of the command line."""
    parser = argparse.ArgumentParser(prog="python -m latlint.training", description=__doc__)
    parser.add_argument("--shared", type=Path, default=Path("../shared"), help="directory with data/ and corpus/")
    parser.add_argument("--output", type=Path, default=data_dir("predictors"), help="where the packs go")
    parser.add_argument(
        "--check", action="store_true", help="compare with the packs in --output instead of writing them"
    )
    parser.add_argument("--only", choices=sorted(_SOURCES), help="the packs from one source")
    options = parser.parse_args(arguments)
    if not (options.shared / "data").is_dir():
        parser.error(f"{options.shared}: no data/ here; the measurements are not part of the repository")
    gc.set_threshold(200_000, 20, 20)  # as ``latlint.__main__`` sets it
    failed = 0
    for name in [options.only] if options.only else _SOURCES:
        failed |= _SOURCES[name](options.shared, options.output, options.check)
    return failed


def _phones(shared: Path, output: Path, check: bool) -> int:
    """CPUs and GPUs of phones."""
    design = design_of(shared)
    if check:
        return _check(design, output)
    held_out = hold_out(design, progress=lambda family: print(f"held out {family}", file=sys.stderr))
    return _write(calibrate.packs(design, held_out).values(), output)


def _npus(shared: Path, output: Path, check: bool) -> int:
    """NPUs."""
    study = npu_study.build(shared)
    fitted = npu_study.fit_all(study)
    if check:
        return _said(npu.difference(study, npu.packs(study, shared, fitted, None), output), TOLERANCE_OF_SEARCHES)
    held_out = npu_study.hold_out(study, lambda family: print(f"held out {family}", file=sys.stderr))
    for device, pack in npu.packs(study, shared, fitted, held_out).items():
        _write_to(pack, output / device, common=True)
    prune_common(output)
    write_index(output)
    return 0


def _litert(shared: Path, output: Path, check: bool) -> int:
    """What edge-compat measured with LiteRT: the Raspberry Pi 5 on XNNPACK, the Galaxy S26's GPU, and the Pixel 8a's from that."""
    worst = 0.0
    for subject in litert.SUBJECTS:
        found = subject.measured(shared)
        if check:
            worst = max(worst, subject.difference(found, read_pack(output / subject.directory)))
        else:
            _write_to(subject.pack(found, subject.hold_out(found)), output / subject.directory)
    derived_one = litert.pixel_8a(read_pack(output / litert.GALAXY_S26.directory))
    if check:
        return _said(max(worst, _differs(derived_one, read_pack(output / derived_one.device))))
    _write_to(derived_one, output / derived_one.device)
    write_index(output)
    return 0


def _derived(_: Path, output: Path, check: bool) -> int:
    """XNNPACK on the phones, from their packs in ``output``, and on the boards beside one of them."""
    phones = sorted(derived.A53 | derived.A55 | derived.APPLE)
    packs = {f"{name}-xnnpack": derived.pack(read_pack(output / name)) for name in phones}
    beside = packs[f"{derived.BESIDE.partition('/')[0]}-xnnpack"]
    packs |= {name: derived.board(name, beside) for name in derived.BOARDS}
    if check:
        return _said(max(_differs(built, read_pack(output / name)) for name, built in packs.items()))
    for name, built in packs.items():
        _write_to(built, output / name)
    write_index(output)
    return 0


def _onnxruntime(shared: Path, output: Path, check: bool) -> int:
    """Servers on ONNX Runtime, from what was timed for them (``measured/``)."""
    built = servers.pack(shared, judge=not check)
    if check:
        return _said(_differs(built, read_pack(output / built.device)), TOLERANCE_OF_SEARCHES)
    return _write([built], output)


def _ai_hub_cpus(shared: Path, output: Path, check: bool) -> int:
    """CPUs of phones and boards on ONNX Runtime."""
    study = ai_hub_cpu.measured(shared)
    names = [f"{device}-onnxruntime" for device in ai_hub_cpu.DEVICES]
    if check:
        return _said(ai_hub_cpu.difference(study, [read_pack(output / name) for name in names]))
    for name, built in zip(names, ai_hub_cpu.packs(study, ai_hub_cpu.held_out(study)), strict=True):
        write_pack(built, output / name)
        print(output / name)
    write_index(output)
    return 0


def _differs(built: Pack, known: Pack) -> float:
    """The largest relative difference of two packs' costs; one where they are of other terms."""
    if any(array.shape != known.arrays[name].shape for name, array in built.arrays.items()):
        return 1.0
    return max(float(np.abs(array / known.arrays[name] - 1).max()) for name, array in built.arrays.items())


#: In the order in which they are built: what is derived is from packs before it.
_SOURCES = {
    "npus": _npus,
    "phones": _phones,
    "phones-xnnpack": _derived,
    "litert": _litert,
    "onnxruntime": _onnxruntime,
    "ai-hub-cpus": _ai_hub_cpus,
}


def _write(packs: Iterable[Pack], output: Path) -> int:
    for pack in packs:
        _write_to(pack, output / pack.device)
    write_index(output)
    return 0


def _write_to(pack: Pack, directory: Path, *, common: bool = False) -> None:
    write_pack(pack, directory, common=common)
    print(directory)


def _check(design: Design, output: Path) -> int:
    """Whether packs built now predict what the packs in ``output`` predict, for every model and target of the data."""
    built = calibrate.fit_all(design)
    known = {device: read_pack(output / device) for device in built}
    worst = 0.0
    for each in design.measurements.series:
        for model in range(len(design.measurements.models)):
            now, then = (predicted_ms(design, packs, each, model) for packs in (built, known))
            worst = float(np.nanmax([worst, abs(now / then - 1)]))
    return _said(worst)


def _said(worst: float, tolerance: float = TOLERANCE) -> int:
    same = worst <= tolerance
    print(f"packs {'follow' if same else 'do not follow'} from the data: predictions differ by at most {worst:.4%}")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
