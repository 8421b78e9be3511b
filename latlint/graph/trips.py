"""How often a loop runs, where the graph itself fixes it: a counter that starts at a constant, is added to or multiplied in each round, and is
held against another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from latlint.records import NamedTuple

#: Kinds that hand on one value.
_PASSING = frozenset({"identity", "cast", "reshape", "squeeze", "expand_dims", "flatten"})
_AND = "logical_and"
#: A comparison that holds as long as the loop runs -> the same with its sides exchanged.
_TURNED = {
    "less": "greater",
    "less_equal": "greater_equal",
    "greater": "less",
    "greater_equal": "less_equal",
    "not_equal": "not_equal",
}
#: A loop's counter has 64 bits; of more rounds, which take a counter of floats, nobody knows anything.
MAX_TRIPS = 2**63 - 1
#: Conditions are a comparison or a few joined by AND.
_MAX_STEPS = 64


class Loop(NamedTuple):
    """A loop, as far as its count depends on it. Tensors are indices or names.

    ``producer`` gives the node that writes a tensor within the loop, which may have any operands; ``value`` the number that a tensor holds in every
    round, or ``None``, as of one that is not finite; ``start`` what it holds before the first round; ``following`` maps a tensor that changes from round to round to the one
    that it becomes.
    """

    producer: Callable[[Any], Any]
    value: Callable[[Any], float | None]
    start: Callable[[Any], float | None]
    following: Mapping[Any, Any]

    def trips(self, condition: Any) -> int | None:
        """How often ``condition``, asked before each round, holds; ``None`` where that is not fixed."""
        counts: list[int] = []
        asked = [condition]
        for _ in range(_MAX_STEPS):
            if not asked:
                return min(counts) if counts else None
            tensor = asked.pop()
            node = self._origin(tensor)
            if node is not None and node.kind == _AND:
                asked += node.inputs[:2]
                continue
            if node is None:
                if self.value(self._passed(tensor)):
                    continue  # it always holds
                return None
            count = self._comparison(node)
            if count is None:
                return None
            counts.append(count)
        return None

    def _passed(self, tensor: Any) -> Any:
        """The tensor whose value ``tensor`` holds."""
        for _ in range(_MAX_STEPS):
            node = self.producer(tensor)
            if node is None or node.kind not in _PASSING or not node.inputs:
                break
            tensor = node.inputs[0]
        return tensor

    def _origin(self, tensor: Any) -> Any:
        return self.producer(self._passed(tensor))

    def _comparison(self, node: Any) -> int | None:
        kind = node.kind
        if kind not in _TURNED or len(node.inputs) < 2:
            return None
        left, right = map(self._passed, node.inputs[:2])
        limit = self.value(right)
        if limit is None:
            kind, left, limit = _TURNED[kind], right, self.value(left)
        if limit is None:
            return None
        # a condition that a body computes for the next round looks at the counter after its step
        factor, scaled = self._changed(left, "mul") if left not in self.following else (None, left)
        if (begin := self.start(scaled)) is not None and (growth := self._growth(scaled)) is not None:
            return _multiplied(kind, begin * (1.0 if factor is None else factor), growth, limit)
        ahead = 0.0
        if left not in self.following:
            ahead, left = self._stepped(left)
        start, step = self.start(left), self._step(left)
        if start is None or step is None:
            return None
        return _rounds(kind, start + ahead, step, limit)

    def _stepped(self, tensor: Any) -> tuple[float, Any]:
        """``(step, counter)`` of a tensor that is a counter plus a step."""
        node = self._origin(tensor)
        if node is None or node.kind not in ("add", "sub") or len(node.inputs) < 2:
            return 0.0, tensor
        a, b = map(self._passed, node.inputs[:2])
        if node.kind == "add" and a not in self.following:
            a, b = b, a
        step = self.value(b)
        if step is None or a not in self.following:
            return 0.0, tensor
        return (step if node.kind == "add" else -step), a

    def _changed(self, tensor: Any, kind: str) -> tuple[float | None, Any]:
        """``(number, counter)`` of a tensor that ``kind`` makes of a counter and a number; the number is ``None`` of any other tensor."""
        node = self._origin(tensor)
        if node is not None and node.kind == kind and len(node.inputs) > 1:
            a, b = map(self._passed, node.inputs[:2])
            for counter, number in ((a, self.value(b)), (b, self.value(a))):
                if counter in self.following and number is not None:
                    return number, counter
        return None, tensor

    def _growth(self, counter: Any) -> float | None:
        """By what ``counter`` is multiplied in a round."""
        if counter not in self.following:
            return None
        factor, base = self._changed(self.following[counter], "mul")
        return factor if base == counter else None

    def _step(self, counter: Any) -> float | None:
        """By how much ``counter`` grows in a round."""
        if counter not in self.following:
            return None
        step, base = self._stepped(self.following[counter])
        return step if base == counter and step else None


def _rounds(kind: str, start: float, step: float, limit: float) -> int | None:
    """How many of ``start``, ``start + step``, … stand on the right side of ``limit``, from the first on."""
    if kind == "not_equal":
        kind = "less" if step > 0 else "greater"
    if (step > 0) != kind.startswith("less"):
        return None  # it never ends, or never begins
    distance, stride = (limit - start, step) if step > 0 else (start - limit, -step)
    count = distance // stride + 1 if kind.endswith("equal") else -(-distance // stride)
    return max(int(count), 0) if abs(count) <= MAX_TRIPS else None  # nor where floats run over


#: More rounds than any number doubles in.
_MAX_ROUNDS = 4096


def _multiplied(kind: str, value: float, factor: float, limit: float) -> int | None:
    """How many of ``value``, ``value * factor``, … stand on the right side of ``limit``, from the first on; ``None`` where that never ends, or where
    rounding may decide it."""
    exact = all(float(each).is_integer() for each in (value, factor, limit))
    for count in range(_MAX_ROUNDS):
        if not exact and count and abs(value - limit) <= 1e-5 * abs(limit):
            return None
        if not _holds(kind, value, limit):
            return count
        value *= factor
        if abs(value) >= 2**31:  # beyond what a counter of 32 bits holds
            return None
    return None


def _holds(kind: str, value: float, limit: float) -> bool:
    return {
        "less": value < limit,
        "less_equal": value <= limit,
        "greater": value > limit,
        "greater_equal": value >= limit,
        "not_equal": value != limit,
    }[kind]
