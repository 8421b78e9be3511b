"""XNNPACK on phones where only built-in kernels were measured: its terms at each core's speed, times one factor for each kind of core.

What a phone's pack knows of XNNPACK's terms is the core's speed alone: no measurement exercised them. On the cores of three published anchors
(``ANCHORS``) such times are off by about the same factor for all four networks, so that one factor a kind of core is taken from
them. 8-bit products cost what ruy's do on the same core, which is measured: both use the same instructions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latlint.latency.models import model_of
from latlint.latency.packs import Pack, Target, vocabulary

Array = NDArray[np.float64]

RUNTIME = "litert-2.3/xnnpack"
BUILTIN, XNNPACK = model_of("builtin"), model_of("xnnpack")

#: What XNNPACK takes, relative to its priors at the core's speed as built-in kernels show it: large cores by the Pixel 3a's figures on one and
#: two threads, the Cortex-A53 by the Raspberry Pi 3+'s (whose products cost what ruy's do). The Cortex-A55 has no anchor of its own: PyTorch Mobile's times on the Pixel 4
#: and the Galaxy S10, whose convolutions are XNNPACK's, are no less than 0.65 to 0.88 of these terms.
FACTORS: Mapping[str, float] = {"large": 0.65, "a53": 0.9, "a55": 0.75}
#: Devices whose cores are all Cortex-A53, and those whose small cores are Cortex-A55.
A53, A55 = frozenset({"galaxy-a03s"}), frozenset({"pixel-4", "galaxy-s10", "mi-8-se"})
APPLE = frozenset({"iphone-7", "iphone-xs"})
#: The published figures of XNNPACK's README (March and February 2020): the target whose cores they are of, its clock over theirs, and ms for
#: MobileNet v1, v2, v3 large and v3 small.
NETWORKS = ("mobilenet_w1", "mobilenetv2_w1", "mobilenetv3_large_w1", "mobilenetv3_small_w1")
ANCHORS: Mapping[str, tuple[str, float, tuple[float, ...]]] = {
    "Pixel 3a, 1 thread": ("mi-8-se/cpu-1large", 2.2 / 2.0, (88, 55, 44, 14)),
    "Pixel 3a, 2 threads": ("mi-8-se/cpu-2large", 2.2 / 2.0, (46, 28, 24, 8)),
    "Raspberry Pi 3+, 4 threads": ("galaxy-a03s/cpu-4small", 1.8 / 1.4, (115, 79, 67, 23)),
}
#: Figures of the same page that set nothing: a Pixel's Kryo cores at 2.15 GHz, beside the core of ``ANCHORS`` that takes as long for a
#: cycle's work. The Raspberry Pi 4 has no such core here (Cortex-A72, a 32-bit system): it takes three to four times what a Raspberry Pi 5's clock lets expect.
CHECKS: Mapping[str, tuple[str, float, tuple[float, ...]]] = {
    "Pixel, 1 thread": ("mi-8-se/cpu-1large", 2.2 / 2.15, (82, 49, 39, 12)),
    "Pixel, 2 threads": ("mi-8-se/cpu-2large", 2.2 / 2.15, (43, 26, 22, 7)),
}
SOURCE = (
    "derived: XNNPACK's README, MobileNet v1, v2, v3 on a Pixel 3a (1 and 2 threads) and a Raspberry Pi 3+ (4 threads), 2020; "
    "PyTorch Mobile's times on the same phones (mobile-ml-benchmark)"
)
METHOD = "XNNPACK's terms at the core's speed as built-in kernels show it, times a factor for each kind of core; nothing was measured with XNNPACK"
#: Logarithms that 0.9 of times are taken to lie within: 1.27 times either way in float32, 1.5 in int8, which has no anchor.
INTERVALS = {"float32": 0.24, "int8": 0.4}
#: Priors that the speed is not read off: the phones' packs have these costs from earlier ones.
_CHANGED = frozenset({"xnn.memory", "xnn.panel.l1", "xnn.conv.weights"})


def pack(phone: Pack) -> Pack:
    """The pack of ``phone``'s CPUs on XNNPACK: a target ``NAME@xnnpack`` for each of its core configurations."""
    processors: dict[str, Any] = {}
    arrays: dict[str, NDArray[Any]] = {}
    for target in phone.targets():
        if isinstance(target, Target) and target.host and "@" not in target.key:
            key = f"{target.key}@xnnpack"
            processors[key] = _card(target, key)
            arrays[f"{key}/theta"] = np.concatenate([target.costs(BUILTIN), costs(target)])
    card = {
        "device": phone.device,
        **{name: phone.card[name] for name in ("title", "soc") if name in phone.card},
        "sources": [SOURCE, *phone.card["sources"]],
        "method": METHOD,
        "processors": processors,
        "covers": {"cpu": {"measured_terms": [], "envelope": {}}},
        **vocabulary(BUILTIN, XNNPACK),
        "forests": {},
    }
    return Pack(card, arrays)


def _card(target: Target, key: str) -> dict[str, Any]:
    facts = asdict(replace(target.processor, runtime=RUNTIME))
    return {
        "title": f"{target.card['title']}, derived",
        "processor": {name: value for name, value in facts.items() if name != "name"},
        "theta": f"{key}/theta",
        "interval": {name: {"level": 0.9, "low": -width, "high": width} for name, width in INTERVALS.items()},
        "spread": 0.0,
    }


def factor(target: Target) -> float:
    """What XNNPACK's terms are multiplied with on the largest cores of ``target``."""
    small = "small" in target.key and "large" not in target.key and "med" not in target.key
    if target.device in A53:
        return FACTORS["a53"]
    return FACTORS["a55"] if small and target.device in A55 else FACTORS["large"]


def costs(target: Target) -> Array:
    """What XNNPACK's terms cost on a processor that was measured with built-in kernels, ns, (terms,)."""
    terms = XNNPACK.terms
    known = target.pack.card["terms"]["cpu"]
    theta = dict(zip(known, target.pack.arrays[target.card["theta"]].tolist(), strict=True))
    idle = [name for name in terms if name in theta and name not in _CHANGED]
    logs = np.log([theta[name] / terms[name].prior_ns for name in idle])
    slope, speed = np.polyfit([terms[name].parallel for name in idle], logs, 1)
    parallel = np.array([term.parallel for term in terms.values()])
    found = np.array([term.prior_ns for term in terms.values()]) * np.exp(speed + slope * parallel) * factor(target)
    # both libraries have kernels for in-order cores: a product is no slower on XNNPACK's than on ruy's, which was measured
    macs = XNNPACK.index["xnn.conv.macs"]
    found[macs] = min(found[macs], theta["f32.conv.macs"])
    found[XNNPACK.index["xnn.q8.macs"]] = theta["i8.conv.macs"]
    return np.asarray(found)
