"""Kernels that such a provider leaves to the CPU of a device that nobody named."""

from __future__ import annotations

from latlint.latency.terms import CostModel

MODEL = CostModel("cpu", "cpu", {}, lambda kernel: None, prefixes=())
