"""The six phones that mobile-ml-benchmark measured with TensorFlow Lite 2.10."""

from __future__ import annotations

from latlint.latency.packs import Target, load_targets

PHONES = ("galaxy-a03s", "galaxy-s10", "iphone-7", "iphone-xs", "mi-8-se", "pixel-4")


def phones() -> dict[str, Target]:
    """The phones' 48 targets by name: what other devices and other runtimes do is tested beside them."""
    return {name: target for name, target in load_targets().items() if target.device in PHONES and "@" not in name}
