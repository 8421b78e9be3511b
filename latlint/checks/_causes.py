"""Findings with one cause: what follows from another finding, or says in detail what that one says, is told under it.

A finding is under another of the same model and target that is at least as grave and names all of its ops, where the other's fix saves as much
or more, or where its rule says that the other's tells the cause (``Rule.under``): ops that a delegate refuses are named where they split the model
(LAT201), and in the rules on single ops with what to do about each.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from latlint.checks.types import SEVERITIES, Finding
from latlint.records import replace


def gathered(findings: Sequence[Finding], under: dict[str, tuple[str, ...]]) -> list[Finding]:
    """``findings`` of one model on one target, in their order, each with the others that have its cause. ``under``: the codes that tell the
    cause of a rule's findings, by the rule's code."""
    if len(findings) < 2:
        return list(findings)
    causes_of = [_cause(place, findings, under) for place in range(len(findings))]
    heads = [_head(place, causes_of) for place in range(len(findings))]
    groups: dict[int, list[int]] = {}
    for place, head in enumerate(heads):
        groups.setdefault(head, []).append(place)
    gathered = []
    for place, finding in enumerate(findings):
        head, group = heads[place], groups[heads[place]]
        causes = tuple(findings[other].fingerprint for other in (head, *group) if other != place)
        cause = findings[head].fingerprint if head != place else ""
        gathered.append(replace(finding, causes=tuple(dict.fromkeys(causes)), under=cause))
    return gathered


def _head(place: int, causes_of: Sequence[int]) -> int:
    """The place of the finding that all is told under: the cause of the cause, and of findings that name each other the first."""
    way: list[int] = []
    while place not in way and causes_of[place] != place:
        way.append(place)
        place = causes_of[place]
    return min(way[way.index(place) :]) if place in way else place


def _cause(place: int, findings: Sequence[Finding], under: dict[str, tuple[str, ...]]) -> int:
    """The place of the finding that tells the cause of the one at ``place``: its own where no other does."""
    finding = findings[place]
    nodes = frozenset(finding.nodes)
    best, most = place, len(nodes)
    for other, cause in enumerate(findings):
        if other == place or SEVERITIES.index(cause.severity) < SEVERITIES.index(finding.severity):
            continue
        if cause.code in under.get(finding.code, ()):
            if nodes.issubset(cause.nodes) or not cause.nodes:
                return other
            continue
        if finding.code in under.get(cause.code, ()):
            continue
        names = len(set(cause.nodes))
        larger = names > most or (names == most and other < best)
        if nodes and nodes.issubset(cause.nodes) and larger and (cause.gain_ms or 0.0) >= (finding.gain_ms or inf):
            best, most = other, names
    return best
