"""``Finding``: what a rule has to say about one model, and the inputs a rule may look at."""

from __future__ import annotations

from dataclasses import dataclass

SEVERITIES = ("note", "warning", "error")


@dataclass(frozen=True, slots=True)
class Finding:
    """``nodes`` are node names. ``gain_ms`` is what the fix would save on ``target``. ``fingerprint`` identifies the finding
    across runs and does not depend on milliseconds. ``suppressed`` tells that a waiver or baseline covers it."""

    code: str
    name: str
    severity: str
    model: str
    message: str
    target: str | None = None
    nodes: tuple[str, ...] = ()
    latency_ms: float | None = None
    budget_ms: float | None = None
    gain_ms: float | None = None
    help_uri: str = ""
    fingerprint: str = ""
    suppressed: bool = False
