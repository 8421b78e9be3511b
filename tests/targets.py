"""The targets of the bundled packs, read once a process; among them the six phones that mobile-ml-benchmark measured with TensorFlow Lite 2.10."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from latlint.latency.packs import Target, load_targets

PHONES = ("galaxy-a03s", "galaxy-s10", "iphone-7", "iphone-xs", "mi-8-se", "pixel-4")


@cache
def bundled() -> Mapping[str, Target]:
    """All targets by name."""
    return load_targets()


def phones() -> dict[str, Target]:
    """The phones' 48 targets by name: what other devices and other runtimes do is tested beside them."""
    return {name: target for name, target in bundled().items() if target.device in PHONES and "@" not in name}
