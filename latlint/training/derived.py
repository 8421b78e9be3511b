"""XNNPACK on phones where only built-in kernels were measured: its terms at each core's speed, times one factor for each kind of core; and on boards
beside them.

What a phone's pack knows of XNNPACK's terms is the core's speed alone: no measurement exercised them. On the cores of three columns of published
figures (``PUBLISHED``) such times are off by about the same factor for all four networks, so that one factor a kind of core is taken from
them. 8-bit products cost what ruy's do on the same core, which is measured: both use the same instructions. A board takes one factor more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

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
FACTORS: Mapping[str, float] = {"large": 0.702, "a53": 0.99, "a55": 0.75}
#: Devices whose cores are all Cortex-A53, and those whose small cores are Cortex-A55.
A53, A55 = frozenset({"galaxy-a03s"}), frozenset({"pixel-4", "galaxy-s10", "mi-8-se"})
APPLE = frozenset({"iphone-7", "iphone-xs"})
#: The published figures of XNNPACK's README are of these networks in float32, and of the first two in int8.
NETWORKS = ("mobilenet_w1", "mobilenetv2_w1", "mobilenetv3_large_w1", "mobilenetv3_small_w1")


class Published(NamedTuple):
    """Milliseconds that XNNPACK's README states, of ``NETWORKS`` in ``float32`` and of the first two in ``int8``. ``target``, on XNNPACK, has the same core or
    one like it, and by the clocks the published one takes ``slower`` times as long. The first ``sets`` of ``float32`` set what the target costs; all others are
    a check."""

    name: str
    target: str
    float32: tuple[float, ...]
    int8: tuple[float, ...] = ()
    slower: float = 1.0
    sets: int = 0


#: The README of March 2020 (phones) and February 2022 (boards). The four figures of the Pixel 3a and of the Raspberry Pi 3+ set ``FACTORS``; the Pixel's
#: Kryo cores are beside the core that takes as long for a cycle's work, the Pixel 2's (Cortex-A73) beside the nearest that was measured.
PUBLISHED = (
    Published("Pixel 3a, 1 thread", "mi-8-se/cpu-1large", (88, 55, 44, 14), (), 2.2 / 2.0, 4),
    Published("Pixel 3a, 2 threads", "mi-8-se/cpu-2large", (46, 28, 24, 8), (), 2.2 / 2.0, 4),
    Published("Pixel, 1 thread", "mi-8-se/cpu-1large", (82, 49, 39, 12), (), 2.2 / 2.15),
    Published("Pixel, 2 threads", "mi-8-se/cpu-2large", (43, 26, 22, 7), (), 2.2 / 2.15),
    Published("Pixel 2, 1 thread", "mi-8-se/cpu-1large", (86, 53, 42, 14), (), 2.2 / 2.35),
    Published("Raspberry Pi 2", "raspberry-pi-2/cpu-4", (302, 191, 161, 50), (128, 82), sets=2),
    Published("Raspberry Pi 3+", "raspberry-pi-3-b-plus/cpu-4", (114, 79, 67, 22), (46, 30), sets=4),
    Published("Raspberry Pi 4, 64 bit", "raspberry-pi-4/cpu-4", (77, 46, 40, 15), (24, 17), sets=2),
    Published("Raspberry Pi 4, 32 bit", "raspberry-pi-4/cpu-4", (72, 41, 38, 13), (29, 20)),
)


#: Logarithms that 0.9 of times are taken to lie within: 1.27 times either way in float32, 1.5 in int8, of which only boards have figures.
INTERVALS = {"float32": 0.24, "int8": 0.4}
#: Of boards with other cores or another system than those beside them: 1.42 and 1.65 times. Published figures lie within 1.32.
BOARD_INTERVALS = {"float32": 0.35, "int8": 0.5}


class Board(NamedTuple):
    """A board whose four cores take ``slower`` times what ``BESIDE`` does; ``how`` that is known; its intervals by precision."""

    title: str
    soc: str
    cores: str
    slower: float
    how: str
    widths: Mapping[str, float] = BOARD_INTERVALS


#: Four Cortex-A53: the in-order core that boards are beside, their threads with it. One thread of a board has no target: how much four gain depends on its memory.
BESIDE = "galaxy-a03s/cpu-4small"
_TWO = "the geometric mean of what XNNPACK's README says of MobileNet v1 and v2 in float32, over this target's; v3 and int8 set nothing"
BOARDS: Mapping[str, Board] = {
    "raspberry-pi-2": Board(
        "Raspberry Pi 2 Model B, 32-bit system", "BCM2836", "4 Cortex-A7 cores at 0.90 GHz", 3.32, _TWO
    ),
    "raspberry-pi-3-b-plus": Board(
        "Raspberry Pi 3 Model B+", "BCM2837B0", "4 Cortex-A53 cores at 1.40 GHz", 1.8 / 1.4,
        "the same cores, by their clock; MobileNet v1, v2 and v3 in float32 on this board set XNNPACK's factor for them, int8 set nothing", INTERVALS,
    ),
    "raspberry-pi-4": Board(
        "Raspberry Pi 4 Model B, 64-bit system", "BCM2711", "4 Cortex-A72 cores at 1.50 GHz", 0.82, _TWO
    ),
}  # fmt: skip
SOURCE = (
    "derived: XNNPACK's README, MobileNet v1, v2, v3 on a Pixel 3a (1 and 2 threads) and a Raspberry Pi 3+ (4 threads), 2020 and 2022; "
    "PyTorch Mobile's times on the same phones (mobile-ml-benchmark)"
)
METHOD = "XNNPACK's terms at the core's speed as built-in kernels show it, times a factor for each kind of core; nothing was measured with XNNPACK"


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


def board(name: str, beside: Pack) -> Pack:
    """The pack of the board ``name`` of ``BOARDS``, from that of ``BESIDE`` on XNNPACK."""
    found = BOARDS[name]
    theirs = f"{BESIDE.partition('/')[2]}@xnnpack"
    key = "cpu-4@xnnpack"
    card = {
        **beside.card,
        "device": name,
        "title": found.title,
        "soc": found.soc,
        "method": f"derived: {BESIDE}@xnnpack, itself derived, times {found.slower:.2f}: {found.how}. Nothing else was measured on this board",
        "processors": {
            key: {
                **beside.card["processors"][theirs],
                "title": f"{found.cores}, derived",
                "theta": f"{key}/theta",
                "interval": _intervals(found.widths),
            }
        },
        "defaults": {"cpu-4": dict.fromkeys(("tflite", "onnx"), "xnnpack")},
    }
    return Pack(card, {f"{key}/theta": beside.arrays[f"{theirs}/theta"] * found.slower})


def _intervals(widths: Mapping[str, float]) -> dict[str, dict[str, float]]:
    return {name: {"level": 0.9, "low": -width, "high": width} for name, width in widths.items()}


def _card(target: Target, key: str) -> dict[str, Any]:
    facts = target.processor._replace(runtime=RUNTIME)._asdict()
    return {
        "title": f"{target.card['title']}, derived",
        "processor": {name: value for name, value in facts.items() if name != "name"},
        "theta": f"{key}/theta",
        "interval": _intervals(INTERVALS),
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
    idle = [name for name in terms if name in theta]
    logs = np.log([theta[name] / terms[name].prior_ns for name in idle])
    slope, speed = np.polyfit([terms[name].parallel for name in idle], logs, 1)
    parallel = np.array([term.parallel for term in terms.values()])
    found = np.array([term.prior_ns for term in terms.values()]) * np.exp(speed + slope * parallel) * factor(target)
    # both libraries have kernels for in-order cores: a product is no slower on XNNPACK's than on ruy's, which was measured
    macs = XNNPACK.index["xnn.conv.macs"]
    found[macs] = min(found[macs], theta["f32.conv.macs"])
    found[XNNPACK.index["xnn.q8.macs"]] = theta["i8.conv.macs"]
    return np.asarray(found)
