"""Which of many generated networks teach most about what a processor's terms cost."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: Before any measurement, how far a cost lies from its prior, and how far a time from what costs let expect, as logarithms.
PRIOR, NOISE = 1.0, 0.05


def most_telling(counts: Array, prior_ns: Array, count: int) -> list[int]:
    """``count`` of the networks whose times, together, say most of the terms' costs; in the order in which they are chosen.

    ``counts``: (networks, terms), ``prior_ns``: (terms,). A time's logarithm moves with the logarithm of a cost by the term's share of the time;
    of a linear model with these shares, each step takes the network that shrinks the volume of what is still uncertain most (Bayesian
    D-optimal design: Chaloner and Verdinelli, *Bayesian Experimental Design: A Review*, 1995).
    """
    spent = counts * prior_ns
    shares = spent / spent.sum(axis=1, keepdims=True) * (PRIOR / NOISE)
    uncertain = np.eye(counts.shape[1])  # the covariance of the costs
    chosen: list[int] = []
    for _ in range(min(count, len(counts))):
        told = np.einsum("nt,tu,nu->n", shares, uncertain, shares)
        told[chosen] = -1.0
        best = int(told.argmax())
        chosen.append(best)
        along = uncertain @ shares[best]
        uncertain -= np.outer(along, along) / (1.0 + float(shares[best] @ along))
    return chosen
