"""The Raspberry Pi 5 as LiteRT runs there, on XNNPACK: costs from whole times of whole networks.

Some forty networks cannot tell eighty costs apart. So each cost is what its instructions and bytes let expect (``Term.prior_ns``) at the core's
speed, and moves from there as far as the times ask for (``transfer.fit``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latlint.latency.engine import shares, times
from latlint.latency.packs import Pack, Target, vocabulary
from latlint.runtime.types import Processor
from latlint.training.calibrate import evidence, scores
from latlint.training.columns import Columns
from latlint.training.coverage import covers
from latlint.training.edge_compat import SOURCE, Network, networks
from latlint.training.evaluation import accuracy, interval
from latlint.training.user.transfer import Costs, Queue, Samples, Strength, fit, predicted_ns

Array = NDArray[np.float64]

DEVICE, NAME = "raspberry-pi-5", "cpu-4"
KEY = f"{NAME}@xnnpack"
PROCESSOR = Processor(NAME, "litert-2.3/xnnpack", "cpu", "arm", "armv8", "float32", 4)
#: What XNNPACK leaves runs on the built-in kernels.
COLUMNS = Columns.of(("builtin", "xnnpack"))
#: How far a cost lies from its prior, as a logarithm, and how far a time from what costs let expect.
STRENGTH = Strength(noise=0.03, own=0.2)
#: What XNNPACK leaves of resizing takes the nearest pixel: its channels are copied as they lie.
PRIORS = {"f32.resize": 0.3}


def measured(shared: Path) -> list[Network]:
    """The networks that the Raspberry Pi 5 ran and that have a file."""
    return networks(shared, DEVICE, "cpu_xnnpack", PROCESSOR)


def costs(found: Sequence[Network]) -> Array:
    """What each term of ``COLUMNS`` costs in ns, (terms,), by the times of ``found``."""
    terms = COLUMNS.terms
    prior = np.array([PRIORS.get(name, known) for name, known in zip(COLUMNS.names, terms.prior, strict=True)])
    start = Costs(prior * PROCESSOR.threads**-terms.parallel, np.zeros(0), Queue())
    return fit(_samples(found), start, np.zeros((len(prior), 0)), strength=STRENGTH).theta


def hold_out(found: Sequence[Network]) -> Array:
    """Predicted over measured of each network, (networks,), by the other families alone."""
    ratios = np.ones(len(found))
    for family in sorted({each.family for each in found}):
        out = np.array([each.family == family for each in found])
        theta = costs([each for each in found if each.family != family])
        held = _samples([each for each in found if each.family == family])
        ratios[out] = predicted_ns(held, Costs(theta, np.zeros(0), Queue())) / held.total_ns
    return ratios


def _samples(found: Sequence[Network]) -> Samples:
    """One row a network, all its kernels and what an inference costs besides."""
    count = len(found)
    return Samples(
        model=np.arange(count),
        terms=np.array([COLUMNS.counts(each.work) for each in found]),
        correction=np.zeros((count, 0)),
        launches=np.zeros(count),
        kernel_ns=np.full(count, np.nan),
        extra_ns=np.zeros(count),
        starts=np.zeros(count),
        total_ns=np.array([each.latency_ms * 1e6 for each in found]),
    )


def pack(found: Sequence[Network], ratios: Array) -> Pack:
    """The pack of the Raspberry Pi 5; ``ratios`` as ``hold_out`` gives them."""
    used = sum(COLUMNS.counts(each.work) for each in found)
    facts = {key: value for key, value in asdict(PROCESSOR).items() if key != "name"}
    card: dict[str, Any] = {
        "device": DEVICE,
        "title": "Raspberry Pi 5",
        "soc": "BCM2712",
        "sources": [SOURCE],
        "method": "costs of whole networks by maximum a posteriori, from priors by instructions and bytes; measured with LiteRT 2.2.0.dev20260804, "
        "planned as LiteRT 2.3 does",
        "processors": {
            KEY: {
                "title": "4 Cortex-A76 cores at 2.40 GHz",
                "processor": facts,
                "theta": f"{KEY}/theta",
                "interval": {"float32": {"level": 0.9, "low": -0.2, "high": 0.2}},
            }
        },
        "defaults": {NAME: {"tflite": "xnnpack", "onnx": "xnnpack"}},
        "covers": {
            "cpu": covers(
                [name for name, count in zip(COLUMNS.names, np.asarray(used), strict=True) if count > 0],
                [each.work for each in found],
            )
        },
        **vocabulary(*COLUMNS.models),
        "forests": {},
    }
    built = Pack(card, {f"{KEY}/theta": costs(found)})
    spent, families = shares_of(built, found), [each.family for each in found]
    card["processors"][KEY] |= {
        "interval": {"float32": interval(scores(ratios, families, spent))},
        "evidence": {"float32": evidence(families, spent)},
        "accuracy": {"float32": accuracy(ratios, [each.name for each in found], families)},
    }
    return built


def difference(found: Sequence[Network], known: Pack) -> float:
    """The largest relative difference of what the costs of ``found`` predict for them from what ``known`` does."""
    now, target = costs(found), Target(f"{DEVICE}/{KEY}", known, KEY)
    then = np.concatenate([target.costs(model) for model in COLUMNS.models])
    counts = np.array([COLUMNS.counts(each.work) for each in found])
    return float(np.abs(counts @ now / (counts @ then) - 1).max())


def shares_of(built: Pack, found: Sequence[Network]) -> list[dict[str, float]]:
    """Share of each network's predicted time by implementation."""
    target = Target(f"{DEVICE}/{KEY}", built, KEY)
    return [shares(each.work, times(each.work, target)) for each in found]
