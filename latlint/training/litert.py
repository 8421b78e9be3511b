"""Devices as LiteRT runs there, from whole times of whole networks: the Raspberry Pi 5 on XNNPACK, the Galaxy S26's GPU on ML Drift.

Some forty networks cannot tell eighty costs apart. So each cost is what its instructions and bytes let expect (``Term.prior_ns``) at the core's
speed, and moves from there as far as the times ask for (``transfer.fit``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latlint.latency.engine import shares, times
from latlint.latency.packs import Pack, Target, vocabulary
from latlint.runtime.kinds import kind
from latlint.runtime.types import Processor
from latlint.training.calibrate import evidence, scores
from latlint.training.columns import Columns
from latlint.training.coverage import covers
from latlint.training.edge_compat import SOURCE, Network, networks
from latlint.training.evaluation import accuracy, interval
from latlint.training.user.transfer import Costs, Queue, Samples, Strength, fit, predicted_ns, whole_times

Array = NDArray[np.float64]

#: The processor that runs what a GPU leaves; nobody measured it.
HOST = "cpu-1large"
#: Kernels are costed by whole times, so that waits between them are in their costs.
QUEUE = {"scale": 1.0, "dispatch_ms": 0.0, "start_ms": 0.0, "copy_gb_per_s": 5.0}
METHOD = "costs of whole networks by maximum a posteriori, from priors by instructions and bytes; measured with LiteRT {version}"


@dataclass(frozen=True)
class Subject:
    """A processor that edge-compat measured as ``accelerator`` of ``device``: ``facts`` are its card's, ``name`` its name without its runtime.

    ``strength``: how far a cost lies from its prior, as a logarithm, and how far a time from what costs let expect; ``priors``: in place of the
    terms'. Both were chosen by someone who saw the errors. ``elsewhere``: ns on one thread of terms that no network of its exercises, as the same core
    was measured to take elsewhere.
    """

    device: str
    name: str
    runtime: str
    accelerator: str
    processor: Processor
    columns: Columns
    strength: Strength
    facts: Mapping[str, str]
    version: str
    directory: str
    priors: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    elsewhere: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def key(self) -> str:
        return f"{self.name}@{self.runtime}"

    @property
    def target(self) -> str:
        return f"{self.device}/{self.key}"

    def measured(self, shared: Path) -> list[Network]:
        """The networks that it ran and that have a file."""
        return networks(shared, self.device, self.accelerator, self.processor)

    def costs(self, found: Sequence[Network]) -> Array:
        """What each term of ``columns`` costs in ns, (terms,), by the times of ``found``."""
        terms = self.columns.terms
        prior = np.array(
            [self.priors.get(name, known) for name, known in zip(self.columns.names, terms.prior, strict=True)]
        )
        divided = self.processor.threads**-terms.parallel
        start = Costs(prior * divided, np.zeros(0), Queue())
        theta = fit(self._samples(found), start, np.zeros((len(prior), 0)), strength=self.strength).theta
        for name, ns in self.elsewhere.items():
            at = self.columns.names.index(name)
            theta[at] = ns * divided[at]
        return theta

    def hold_out(self, found: Sequence[Network]) -> Array:
        """Predicted over measured of each network, (networks,), by the other families alone."""
        ratios = np.ones(len(found))
        for family in sorted({each.family for each in found}):
            out = np.array([each.family == family for each in found])
            theta = self.costs([each for each in found if each.family != family])
            held = self._samples([each for each in found if each.family == family])
            ratios[out] = predicted_ns(held, Costs(theta, np.zeros(0), Queue())) / held.total_ns
        return ratios

    def _samples(self, found: Sequence[Network]) -> Samples:
        """One row a network, all its kernels and what an inference costs besides."""
        counts = np.array([self.columns.counts(each.work) for each in found])
        return whole_times(counts, np.array([each.latency_ms * 1e6 for each in found]))

    def pack(self, found: Sequence[Network], ratios: Array) -> Pack:
        """Its pack; ``ratios`` as ``hold_out`` gives them."""
        used = np.asarray(sum(self.columns.counts(each.work) for each in found))
        terms = [name for name, count in zip(self.columns.names, used, strict=True) if count > 0]
        arrays = {f"{self.key}/theta": self.costs(found)}
        built = Pack(self._card(arrays, covers(terms, [each.work for each in found])), arrays)
        spent, families = self.shares_of(built, found), [each.family for each in found]
        built.card["processors"][self.key].update(
            interval={"float32": interval(scores(ratios, families, spent))},
            evidence={"float32": evidence(families, spent)},
            accuracy={"float32": accuracy(ratios, [each.name for each in found], families)},
        )
        return built

    def _card(self, arrays: dict[str, NDArray[Any]], covered: Mapping[str, Any]) -> dict[str, Any]:
        models = [*self.columns.models]
        card: dict[str, Any] = {
            "device": self.device,
            "title": self.facts["title"],
            "soc": self.facts["soc"],
            "sources": [SOURCE],
            "method": METHOD.format(version=self.version),
            "processors": {
                self.key: {
                    "title": self.facts["processor"],
                    "processor": _stated(self.processor),
                    "theta": f"{self.key}/theta",
                    "interval": {"float32": {"level": 0.9, "low": -0.2, "high": 0.2}},
                }
            },
            "defaults": {self.name: dict.fromkeys(("tflite", "onnx"), self.runtime)},
            "covers": {self.processor.kind: covered},
            "forests": {},
        }
        if not kind(self.processor.kind).host:
            card["processors"][self.key].update(queue=QUEUE, fallback=HOST)
            host = Columns.of(kind("cpu").executors)
            card["processors"][HOST] = _host()
            card["covers"]["cpu"] = covers([], [])
            arrays[f"{HOST}/theta"] = host.terms.prior
            models += host.models
        return card | vocabulary(*models)

    def difference(self, found: Sequence[Network], known: Pack) -> float:
        """The largest relative difference of what the costs of ``found`` predict for them from what ``known`` does."""
        now, target = self.costs(found), Target(self.target, known, self.key)
        then = np.concatenate([target.costs(model) for model in self.columns.models])
        counts = np.array([self.columns.counts(each.work) for each in found])
        return float(np.abs(counts @ now / (counts @ then) - 1).max())

    def shares_of(self, built: Pack, found: Sequence[Network]) -> list[dict[str, float]]:
        """Share of each network's predicted time by implementation."""
        target = Target(self.target, built, self.key)
        return [shares(each.work, times(each.work, target)) for each in found]


def _stated(processor: Processor) -> dict[str, Any]:
    return {key: value for key, value in processor._asdict().items() if key != "name"}


def _host() -> dict[str, Any]:
    return {
        "title": "one large core, about 2.5 GHz assumed",
        "listed": False,
        "processor": _stated(Processor(HOST, "litert-2.3/xnnpack", "cpu", "arm", "armv8")),
        "theta": f"{HOST}/theta",
        "interval": {"float32": {"level": 0.9, "low": -0.5, "high": 0.5}},
    }


RASPBERRY_PI = Subject(
    device="raspberry-pi-5",
    name="cpu-4",
    runtime="xnnpack",
    accelerator="cpu_xnnpack",
    processor=Processor("cpu-4", "litert-2.3/xnnpack", "cpu", "arm", "armv8", "float32", 4),
    # what XNNPACK leaves runs on the built-in kernels
    columns=Columns.of(("builtin", "xnnpack")),
    strength=Strength(noise=0.05, own=0.2),
    facts={"title": "Raspberry Pi 5", "soc": "BCM2712", "processor": "4 Cortex-A76 cores at 2.40 GHz"},
    version="2.2.0.dev20260804, planned as LiteRT 2.3 does",
    directory="raspberry-pi-5",
    # what XNNPACK leaves of resizing takes the nearest pixel: its channels are copied as they lie
    priors={"f32.resize": 0.3},
    # 8-bit products take dot-product instructions, 32 multiply-accumulates a cycle at most. The Pixel 4's Cortex-A76 reach 30 of them, with 2.10's built-in
    # kernels: 0.0119 ns at 2.84 GHz, 0.0142 at 2.32. XNNPACK's use the same ones (qs8-gemm, qd8-f32-gemm: neondot), and this core has 2.40 GHz.
    elsewhere={"xnn.q8.macs": 1 / 30 / 2.40},
)
GALAXY_S26 = Subject(
    device="galaxy-s26",
    name="gpu",
    runtime="litert",
    accelerator="gpu_mldrift",
    processor=Processor("gpu", "litert-2.2/gpu", "gpu", "qualcomm", "adreno", "float16"),
    columns=Columns.of(("mldrift",)),
    strength=Strength(noise=0.1, own=0.1),
    facts={
        "title": "Samsung Galaxy S26",
        "soc": "Snapdragon 8 Elite Gen 5",
        "processor": "Adreno, computing in float16; compiled and run by CompiledModel, cool",
    },
    version="2.2.0",
    directory="galaxy-s26-gpu",
)
SUBJECTS = (RASPBERRY_PI, GALAXY_S26)

#: What a Pixel 8a (Mali-G715) takes relative to a Galaxy S26: five graphs that both ran, whose structure nobody has but for one.
PIXEL_8A: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "SAM 2.1 image encoder": (710.441, 207.993),
        "SAM 2.1 image encoder, v2": (576.689, 177.958),
        "SAM 2.1 mask decoder": (30.055, 10.077),
        "SAM 2.1 mask decoder, v2": (30.875, 10.548),
        "DINOv2-S": (198.8, 55.2),
    }
)


def pixel_8a(s26: Pack) -> Pack:
    """The Pixel 8a's GPU: the Galaxy S26's costs times one factor, the mean of five graphs that both ran; intervals are wider by how much
    these differ, and nothing counts as predicted."""
    ratios = np.log([there / here for there, here in PIXEL_8A.values()])
    factor, beyond = float(np.exp(ratios.mean())), float(np.abs(ratios - ratios.mean()).max())
    key = GALAXY_S26.key
    known = dict(s26.card["processors"])
    widths = {
        name: {**of, "low": round(of["low"] - beyond, 4), "high": round(of["high"] + beyond, 4)}
        for name, of in known[key]["interval"].items()
    }
    mine = {name: value for name, value in known[key].items() if name != "accuracy"}
    card = {
        **s26.card,
        "device": "pixel-8a",
        "title": "Google Pixel 8a",
        "soc": "Google Tensor G3",
        "method": f"derived: the Galaxy S26's costs times {factor:.2f}, as five graphs that both ran let expect (ratios "
        f"{np.exp(ratios.min()):.2f} to {np.exp(ratios.max()):.2f})",
        "processors": {
            **known,
            key: {
                **mine,
                "title": "Mali-G715, derived",
                "processor": {**mine["processor"], "vendor": "arm", "generation": "mali"},
                "interval": widths,
                "spread": 0.0,
            },
        },
        "covers": {**s26.card["covers"], "gpu": covers([], [])},
    }
    arrays = {name: array * factor if name == f"{key}/theta" else array for name, array in s26.arrays.items()}
    return Pack(card, arrays)
