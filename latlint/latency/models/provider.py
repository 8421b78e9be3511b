"""Kernels of execution providers that nobody timed: which nodes they take is known, what those take is not."""

from __future__ import annotations

from latlint.latency.terms import CostModel

MODEL = CostModel("provider", "provider", {}, lambda kernel: None, prefixes=())
