"""A dictionary that counts how often it is asked: what takes a few steps a node, whatever the machine does meanwhile."""

from __future__ import annotations


class Counted(dict[int, int]):
    asked = 0

    def __getitem__(self, key: int) -> int:
        self.asked += 1
        return super().__getitem__(key)
