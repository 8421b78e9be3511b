"""Whether a GPU model whose times never fall with work must be worse: sums of terms alone, without trees, families held out.

    python benchmarks/monotone.py [--shared DIR] [--pairs 2000]

Prints the mean error end to end of each GPU, as it is shipped (``accuracy.json``) and as a sum of terms that all rise with every size, at costs of no less than nothing; and of how many
random pairs of kernels, so many of each class, the larger is said to be faster, which is none by construction: exit code 1 where there are some. A study: no pack is made of it.

What makes the difference to the terms that are shipped is how the delegate cuts a convolution into blocks and work groups (TensorFlow 2.10, ``tensorflow/lite/delegates/gpu/common/``:
``tasks/conv_generic.cc``, ``tasks/conv_metal.cc``, ``task/work_group_picking.cc``): its time is its depth, which is input slices times taps, times a staircase in the
groups of threads. On 14x14 with 1x1 filters
an Adreno 640 takes 1.3 us for each input slice where there are 32 to 72 output slices, 4 to 7 groups, and 3.1 us from 78 to 144, 14 groups (medians).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from math import prod
from pathlib import Path
from unittest import mock

import latlint.training  # isort: skip  # noqa: F401 (before NumPy: it says on how many threads)
import itertools

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from latlint.latency.engine import queued
from latlint.runtime.types import Kernel
from latlint.training import gpu
from latlint.training.corpus import unpacked
from latlint.training.design import Design, build, listed
from latlint.training.measurements import load

Array = NDArray[np.float64]

RECORD = Path(__file__).with_name("accuracy.json")
#: Log errors below it weigh quadratically, above it linearly; the ridge tells equal terms apart.
SOFTNESS, RIDGE, ROUNDS = 0.08, 1e-3, 6
#: Largest work group and largest depth of one, by vendor (GetPossibleWorkGroupsConv); kernels that use many registers get half of it.
DEPTHS = {"adreno": 64, "mali": 16}
GROUPS = (128, 256)


@dataclass(frozen=True)
class Sizes:
    """Kernels of one class, (kernels,) each: batch, sides and channels of input and output, taps, stride, groups, inputs of its own and of what is linked to it."""

    batch: Array
    high: Array
    wide: Array
    channels: Array
    out_high: Array
    out_wide: Array
    outputs: Array
    taps: Array
    stride: Array
    groups: Array
    own: Array
    operands: Array
    linked: Array
    hard_swish: Array
    one_pixel_of_padding: Array

    @classmethod
    def of(cls, kernels: Sequence[Kernel]) -> Sizes:
        return cls(*np.array([_sizes(kernel) for kernel in kernels], float).T)

    @property
    def slices(self) -> Array:
        return np.ceil(self.channels / self.groups / 4)

    @property
    def out_slices(self) -> Array:
        return np.ceil(self.outputs / 4)

    @property
    def pixels(self) -> Array:
        return self.batch * self.out_high * self.out_wide

    @property
    def read(self) -> Array:
        return self.batch * self.high * self.wide * np.ceil(self.channels / 4)


def _sizes(kernel: Kernel) -> tuple[float, ...]:
    (b, h, w, c), (_, out_h, out_w, out_c) = (_bhwc(shape) for shape in (kernel.inputs[0], kernel.outputs[0]))
    get = kernel.attributes.get
    return (
        b, h, w, c, out_h, out_w, out_c, prod(get("kernel", (1,))), max(get("stride", (1,))), max(get("groups", 1), 1), kernel.own_inputs,
        len(kernel.inputs) - kernel.own_inputs, len(kernel.linked), "hard_swish" in kernel.linked, tuple(get("padding", ())) == (1, 1, 1, 1),
    )  # fmt: skip


def _bhwc(shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    if len(shape) >= 4:
        return prod(shape[:-3]), shape[-3], shape[-2], shape[-1]
    return (shape[0], 1, 1, shape[-1]) if len(shape) > 1 else (1, 1, 1, prod(shape))


def work_groups(sizes: Sizes, block: tuple[int, int, int], depth: int, size: int) -> Array:
    """How many work groups a convolution in blocks (width, height, slices) is cut into. A slice of a group is a divisor of all: a prime number of them makes many. It counts
    what the best of the next larger numbers makes, so that it rises with every size."""
    across, down = np.ceil(sizes.batch * sizes.out_wide / block[0]), np.ceil(sizes.out_high / block[1])
    deep = np.ceil(sizes.out_slices / block[2])
    rows = zip(across.tolist(), down.tolist(), deep.tolist(), strict=True)
    return np.array([_work_groups(int(x), int(y), int(z), depth, size) for x, y, z in rows])


@cache
def _work_groups(across: int, down: int, deep: int, depth: int, size: int) -> float:
    z = np.arange(deep, min(2 * deep, deep + 64) + 1)
    inner = np.array([_divisor(int(each), depth) for each in z])
    plane = size // inner
    x = np.minimum(across, plane)
    y = np.minimum(plane // x, down)
    return float((np.ceil(across / x) * np.ceil(down / y) * (z // inner)).min())


@cache
def _divisor(of: int, most: int) -> int:
    return next(each for each in range(min(of, most), 0, -1) if of % each == 0)


def ramps(counts: Array, first: int = 8, last: int = 18) -> Iterator[Array]:
    """How much of ``counts`` lies between each power of two and the next: costs of these that are not negative make any broken line that rises."""
    ends = [0.0, *(2.0**each for each in range(first, last)), np.inf]
    for low, high in itertools.pairwise(ends):
        yield np.clip(counts, low, high) - low


def powers(*counts: Array, of: Sequence[float]) -> Iterator[Array]:
    """Products of ``counts``, each to one of the powers."""
    if not counts:
        yield np.ones(1)
        return
    for rest in powers(*counts[1:], of=of):
        for power in of:
            yield counts[0] ** power * rest


def _linked(s: Sizes) -> list[Array]:
    out = s.pixels * s.out_slices
    return [out * s.operands, out * s.hard_swish, out * s.linked]


def fits_constants(s: Sizes, item_bytes: int = 4) -> NDArray[np.bool_]:
    """Whether Adreno keeps a convolution's weights in constant memory (conv_constants.cc, float32): it pads inputs or outputs to whole slices, whichever are fewer."""
    weights = np.minimum(s.outputs * s.slices, s.channels * s.out_slices) * 4 * s.taps * item_bytes
    return np.asarray((weights <= 3584) & (s.out_slices <= 8))


def grids(s: Sizes, vendor: str) -> dict[str, Array]:
    """Outputs, in slices of four channels, that a convolution's threads compute: by blocks, whole work groups of threads, those of the vendor."""
    x, y, deep = s.batch * s.out_wide, s.out_high, s.out_slices
    blocks = ((1, 1, 1), (2, 1, 1), (2, 1, 2), (2, 2, 2), (1, 1, 2), (1, 1, 4), (1, 1, 8), (8, 4, 1), (8, 8, 1), (16, 8, 2))  # fmt: skip
    found = {str(b): _up(x, b[0]) * _up(y, b[1]) * _up(deep, b[2]) for b in blocks}
    found |= {f"line {n}": _up(s.pixels, 32) * _up(deep, n) for n in (1, 4, 8)}
    found |= {"line 2x2x2": 8 * _up(np.ceil(x / 2) * np.ceil(y / 2), 32) * np.ceil(deep / 2)}
    found |= {"line 1x2x4": 8 * _up(x * np.ceil(y / 2), 32) * np.ceil(deep / 4)}
    if vendor in DEPTHS:
        for block in ((2, 1, 1), (2, 1, 2), (2, 2, 2)):
            for size in GROUPS:
                groups = work_groups(s, block, DEPTHS[vendor], size)
                found[f"groups {block} {size}"] = groups * size * prod(block)
    if vendor == "apple":
        for high, n in ((1, 2), (1, 4), (2, 2), (2, 4)):
            found[f"all {high}x{n}"] = high * n * _up(x * np.ceil(y / high) * np.ceil(deep / n), 32)
    return found


#: Which of a vendor's grids come as ramps.
RAMPED = {
    "adreno": ("(1, 1, 1)", "(2, 2, 2)", "line 4", "groups (2, 2, 2) 128", "groups (2, 2, 2) 256"),
    "mali": (
        "(1, 1, 1)",
        "(2, 2, 2)",
        "line 4",
        "groups (2, 2, 2) 128",
        "groups (2, 2, 2) 256",
        "groups (2, 1, 1) 256",
    ),
    "powervr": ("(1, 1, 1)", "(2, 2, 2)", "line 1", "line 4", "line 8"),
    "apple": ("(1, 1, 1)", "(2, 2, 2)", "line 4", "all 1x4", "all 2x4"),
}


#: Which of them come with other powers of slices and taps than one.
WHOLE = {
    "adreno": ("(1, 1, 1)", "groups (2, 2, 2) 256"),
    "mali": ("(1, 1, 1)", "groups (2, 1, 1) 256"),
    "powervr": ("(1, 1, 1)", "line 8"),
    "apple": ("(1, 1, 1)", "all 1x4", "all 2x4"),
}


def _up(counts: Array, to: int) -> Array:
    return np.asarray(np.ceil(counts / to) * to)


def convolutions(s: Sizes, vendor: str) -> Array:
    deep, out = s.slices * s.taps, s.pixels * s.out_slices
    found = grids(s, vendor)
    pointwise, plain = s.taps == 1, s.stride == 1
    terms = [np.ones_like(deep), deep, s.taps, s.pixels, out, s.read, deep * s.out_slices, *_linked(s)]
    terms += [deep * each for each in found.values()]
    terms += [deep * out * which for one in (pointwise, ~pointwise) for which in (one & plain, one & ~plain)]
    terms += [deep * ramp for name in RAMPED[vendor] for ramp in ramps(found[name])]
    terms += [
        deep**power * each
        for power in (0.5, 0.75, 1)
        for each in powers(s.out_slices, s.pixels, of=(0, 0.25, 0.5, 0.75, 1))
    ]
    for slices, taps in ((0.5, 1), (1, 0.5)):
        terms += [
            s.slices**slices * s.taps**taps * found[name] ** by for name in WHOLE[vendor] for by in (0.5, 0.75, 1)
        ]
    if vendor == "adreno":
        terms += [~fits_constants(s) * each for each in (np.ones_like(deep), deep, out, deep * out)]
    return np.stack(terms, axis=1)


def depthwise(s: Sizes, vendor: str) -> Array:
    out, plain = s.pixels * s.out_slices, s.stride == 1
    three = s.taps == 9
    terms = [np.ones_like(out), out, s.read, out * s.taps, s.out_slices * s.taps, *_linked(s)]
    for kind in (
        plain,
        ~plain,
        s.taps > 9,
        three & (s.one_pixel_of_padding > 0) & plain,
        three & (s.one_pixel_of_padding == 0),
    ):
        terms += [out * kind, out * s.taps * kind, np.ones_like(out) * kind]
    for grid in (grids(s, vendor)[name] for name in ("(2, 1, 1)", "(8, 4, 1)", "(8, 8, 1)", "line 1")):
        terms += [grid, grid * s.taps]
    terms += [ramp * by for ramp in ramps(out) for by in (np.ones_like(out), s.taps)]
    return np.stack([*terms, *powers(s.out_slices, s.pixels, s.taps, of=(0, 0.5, 1))], axis=1)


def winograd(s: Sizes, vendor: str) -> Array:
    tiles = s.batch * np.ceil(s.out_high / 4) * np.ceil(s.out_wide / 4)
    terms = [
        np.ones_like(tiles),
        tiles,
        s.slices,
        tiles * s.slices,
        tiles * s.out_slices,
        s.slices * s.out_slices,
        *_linked(s),
    ]
    terms += [_up(tiles, n) * s.slices * _up(s.out_slices, deep) for n in (32, 64, 128) for deep in (1, 4)]
    return np.stack([*terms, *powers(tiles, s.slices, s.out_slices, of=(0.5, 1))], axis=1)


#: Other classes of kernels keep the terms that they have.
TERMS: Mapping[str, Callable[[Sizes, str], Array]] = {
    "conv": convolutions,
    "depthwise": depthwise,
    "winograd": winograd,
}


def costs(terms: Array, ns: Array, model: NDArray[np.intp], network_ns: Array) -> Array:
    """Costs of no less than nothing by least squares of relative errors, once of what was measured and once of what is predicted, which does not favour times that are too short, and their
    mean; a kernel weighs as its share of its network's kernels, and their sum weighs as well."""
    network, at = np.unique(model, return_inverse=True)
    total = np.bincount(at, ns)
    weight = np.sqrt(ns / network_ns[model])
    weight /= np.sqrt(np.mean(weight**2))
    scale = (terms / ns[:, None]).mean(axis=0)
    used = scale > 0
    scaled = terms[:, used] / scale[used]
    summed = np.zeros((len(network), used.sum()))
    np.add.at(summed, at, scaled)
    whole = total / network_ns[network]
    whole *= np.sqrt(len(ns) / (whole**2).sum())
    ridge = RIDGE * np.sqrt(len(ns)) * np.eye(used.sum())
    found = np.zeros(terms.shape[1])
    for by_predicted in (False, True):
        over, over_whole, trust, trust_whole = ns, total, np.ones(len(ns)), np.ones(len(network))
        for _round in range(ROUNDS):
            rows, wholes = weight * trust / over, whole * trust_whole / over_whole
            left = np.vstack([scaled * rows[:, None], summed * wholes[:, None], ridge])
            right = np.concatenate([rows * ns, wholes * total, np.zeros(len(ridge))])
            theta, _ = nnls(left, right, maxiter=10_000)
            said, said_whole = scaled @ theta, summed @ theta
            trust, trust_whole = (
                _trust(a / b, soft) for a, b, soft in ((said, ns, SOFTNESS), (said_whole, total, SOFTNESS / 2))
            )
            if by_predicted:
                over, over_whole = np.clip(said, 0.3 * ns, 3 * ns), said_whole
        found[used] += theta / scale[used] / 2
    return found


def _trust(ratio: Array, soft: float) -> Array:
    return np.asarray((1 + (np.log(np.maximum(ratio, 1e-9)) / soft) ** 2) ** -0.25)


@dataclass(frozen=True)
class Kernels:
    """All kernels of all networks on one GPU, (kernels,): index of the network, class, time in ns (NaN where not listed), terms and launches."""

    vendor: str
    kernels: list[Kernel]
    model: NDArray[np.intp]
    classes: NDArray[np.str_]
    ns: Array
    terms: Array
    launches: Array

    def of_class(self, name: str) -> NDArray[np.intp]:
        """Positions of those of a class that were measured."""
        return np.flatnonzero(np.isfinite(self.ns) & (self.classes == name))

    def terms_of(self, name: str, at: NDArray[np.intp]) -> Array:
        """Terms of those ``at`` these positions, all of the class ``name``."""
        if name not in TERMS:
            return self.terms[at]
        return TERMS[name](Sizes.of([self.kernels[each] for each in at]), self.vendor)

    def costs(self, terms: Array, at: NDArray[np.intp]) -> Array:
        """Costs of ``terms``, those of the kernels ``at`` these positions."""
        return costs(
            terms, self.ns[at], self.model[at], np.bincount(self.model, np.nan_to_num(self.ns)).astype(np.float64)
        )


def kernels_of(design: Design, device: str) -> Kernels:
    kernels: list[Kernel] = []
    rows: list[tuple[int, str, float, Array, float]] = []
    for number, model in enumerate(design.measurements.models):
        work = design.gpu[device].get(model)
        if work is None:
            continue
        (part,) = work.offloaded
        ns = dict(
            zip(listed(work.plan), (each.time_ns for each in design.measurements.kernels[device][model]), strict=True)
        )
        for at, position in enumerate(part.positions):
            kernels.append(work.plan.kernels[position])
            rows.append((number, part.classes[at], ns.get(position, np.nan), part.terms[at], float(part.launches[at])))
    model_of, classes, times, terms, launches = zip(*rows, strict=True)
    vendor = design.measurements.processor(device, "gpu").vendor
    return Kernels(vendor, kernels, np.array(model_of), np.array(classes), np.array(times), np.array(terms), np.array(launches))  # fmt: skip


def held_out(design: Design, device: str, models: Mapping[str, Mapping[str, gpu.GpuModel]]) -> Array:
    """Predicted over measured end to end of each network on one GPU, its family held out. ``models``: by family, the shipped model without it."""
    known = kernels_of(design, device)
    (measured,) = (s.mean_ns for s in design.measurements.series if (s.device, s.processor) == (device, "gpu"))
    families = np.array(design.measurements.families)
    rows = {name: known.of_class(name) for name in sorted(set(known.classes[np.isfinite(known.ns)].tolist()))}
    terms = {name: known.terms_of(name, at) for name, at in rows.items()}
    predicted = np.zeros(len(known.ns))
    ratios = np.full(len(families), np.nan)
    for family, by_device in models.items():
        mine, of_family, shipped = families[known.model] == family, families == family, by_device[device]
        predicted[mine] = known.terms[mine] @ shipped.theta
        for name, at in rows.items():
            out = mine[at]
            if out.any():
                predicted[at[out]] = terms[name][out] @ known.costs(terms[name][~out], at[~out])
        spans = queued(
            predicted[mine] * 1e-6, known.launches[mine], shipped.queue["scale"], shipped.queue["dispatch_ms"]
        )
        total_ms = shipped.queue["start_ms"] + np.bincount(known.model[mine], spans, len(families))
        ratios[of_family] = total_ms[of_family] / (measured[of_family] * 1e-6)
    return ratios


def faster_when_larger(design: Design, device: str, pairs: int) -> int:
    """Of random pairs of kernels of each class of ``TERMS``, one up to four times larger in some sizes and smaller in none, those of which the larger is said to be faster."""
    known = kernels_of(design, device)
    random = np.random.default_rng(11)
    found = 0
    for name in TERMS:
        at = known.of_class(name)
        if not len(at):  # some GPUs have no Winograd
            continue
        theta = known.costs(known.terms_of(name, at), at)
        like = Sizes.of([known.kernels[each] for each in random.choice(at, pairs)])
        few = 2 ** random.uniform(0, (8, 11, 11, 2, 2), (pairs, 5))
        more = few * 2 ** (random.uniform(0, 2, (pairs, 5)) * random.integers(0, 2, (pairs, 5)))
        once, again = (
            TERMS[name](_resized(like, np.floor(each), name == "depthwise"), known.vendor) @ theta
            for each in (few, more)
        )
        found += int((again < once * (1 - 1e-9)).sum())
    return found


def _resized(like: Sizes, to: Array, depthwise: bool) -> Sizes:
    """Kernels of the sizes ``to`` (kernels, 5), side, channels, outputs, batch and how many times higher than wide, with the filters and links of others, padded to lose no pixel."""
    side, channels, outputs, batch, rows = to.T
    return replace(
        like, batch=batch, high=side * rows, wide=side, channels=channels, outputs=channels if depthwise else outputs,
        out_high=np.ceil(side * rows / like.stride), out_wide=np.ceil(side / like.stride),
        groups=channels if depthwise else np.ones_like(side),
    )  # fmt: skip


def without(design: Design) -> dict[str, dict[str, gpu.GpuModel]]:
    """The shipped model of each GPU without its trees, by family that it did not see: its queue, and what kernels cost that are not listed."""
    families = np.array(design.measurements.families)
    used = {families[design.measurements.models.index(model)] for works in design.gpu.values() for model in works}
    with mock.patch.object(gpu, "MIN_ROWS", sys.maxsize):
        return {str(family): gpu.fit(design, families != family) for family in sorted(used)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--pairs", type=int, default=2000)
    options = parser.parse_args()
    design = build(load(options.shared / "data"), unpacked(options.shared / "corpus"))
    models = without(design)
    shipped = {
        row["target"]: row["mean_error_percent"] / 100 for row in json.loads(RECORD.read_text("utf-8"))["targets"]
    }
    print("| GPU | as shipped | sums of terms that rise | faster when larger |\n| --- | --- | --- | --- |")
    errors, faster = [], 0
    for device in design.gpu:
        errors.append((shipped[f"{device}/gpu"], float(np.nanmean(np.abs(held_out(design, device, models) - 1)))))
        found = faster_when_larger(design, device, options.pairs)
        faster += found
        print(_row(device, errors[-1], found), flush=True)
    print(_row("mean", np.mean(errors, axis=0), faster))
    return int(faster > 0)


def _row(name: str, errors: Iterable[float], faster: int) -> str:
    return f"| {name} | {' | '.join(f'{100 * error:.2f} %' for error in errors)} | {faster} |"


if __name__ == "__main__":
    sys.exit(main())
