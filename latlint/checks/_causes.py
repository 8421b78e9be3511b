"""Findings with one cause: what follows from another finding, or says in detail what that one says, is told under it.

A finding is under another of the same model and target that is at least as grave and names all of its ops: whatever mends the one takes
the other away. Ops that a delegate refuses, for one, are named once where they split the model (LAT201), and each with what to do about it
in the rules on single ops. A rule may also name those that tell the cause of its findings (``Rule.under``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from latlint.checks.types import SEVERITIES, Finding

#: Budgets and the configuration name the ops that cost most, which is no cause.
_NO_CAUSES = ("LAT1", "LAT9")


def gathered(findings: Sequence[Finding], under: dict[str, tuple[str, ...]]) -> list[Finding]:
    """``findings`` of one model on one target, in their order, each with the others that have its cause. ``under``: the codes that tell the
    cause of a rule's findings, by the rule's code."""
    heads = [_head(place, findings, under) for place in range(len(findings))]
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


def _head(place: int, findings: Sequence[Finding], under: dict[str, tuple[str, ...]]) -> int:
    """The place of the finding that tells the cause of the one at ``place``: its own where no other does."""
    finding = findings[place]
    nodes = frozenset(finding.nodes)
    best, most = place, len(nodes)
    for other, cause in enumerate(findings):
        if other == place or SEVERITIES.index(cause.severity) < SEVERITIES.index(finding.severity):
            continue
        if cause.code in under.get(finding.code, ()):
            return other
        if not nodes or cause.code.startswith(_NO_CAUSES) or finding.code.startswith(_NO_CAUSES):
            continue
        names = len(set(cause.nodes))
        if nodes.issubset(cause.nodes) and (names > most or (names == most and other < best)):
            best, most = other, names
    return best
