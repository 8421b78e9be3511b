"""The bytes of a model file, read by position as a reader asks for them.

Not a memory map: when another process cuts a mapped file short, or its disk fails, reading it ends this process with a signal that
nothing can turn into a message. Blocks are kept, since readers come back to a place many times, and few of them, since a hostile
file may point everywhere.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from latlint.errors import LatlintError

_SHIFT = 13
#: Blocks are read from multiples of this size, which is ``MASK + 1``.
BLOCK_BYTES = 1 << _SHIFT
MASK = BLOCK_BYTES - 1
#: A block holds so many bytes of the next one, so that no number is cut in two.
_OVERLAP = 16
_MAX_BLOCKS = 2048


class Source:
    """``size`` bytes; fewer are returned where the file ends, or has been cut short since it was opened."""

    __slots__ = ("_blocks", "_load", "size")

    def __init__(self, load: Callable[[int, int], bytes], size: int) -> None:
        self._load = load
        self._blocks: dict[int, bytes] = {}
        self.size = size

    @classmethod
    def of(cls, data: bytes | memoryview | Source) -> Source:
        """``data`` as a source."""
        if isinstance(data, Source):
            return data
        return cls(lambda start, count: bytes(data[start : start + count]), len(data))

    @classmethod
    def of_file(cls, descriptor: int, name: str) -> Source:
        """The file ``name``, open as ``descriptor``. What cannot be read of it raises LatlintError (LAT005)."""

        def load(start: int, count: int) -> bytes:
            try:
                os.lseek(descriptor, start, os.SEEK_SET)
                return os.read(descriptor, count)
            except OSError as error:
                raise LatlintError(f"cannot be read: {error.strerror}", code="LAT005", path=name) from None

        return cls(load, os.fstat(descriptor).st_size)

    def block(self, position: int) -> bytes:
        """Bytes in which the one at ``position`` stands at ``position & MASK``, with at least 15 after it unless the file ends."""
        block = self._blocks.get(position >> _SHIFT)
        if block is None:
            if position >= self.size:
                return b""
            if len(self._blocks) >= _MAX_BLOCKS:
                self._blocks.clear()
            block = self._load(position & ~MASK, BLOCK_BYTES + _OVERLAP)
            self._blocks[position >> _SHIFT] = block
        return block

    def forget(self) -> None:
        """Lets go of the blocks: 16 MB of a large graph."""
        self._blocks.clear()

    def read(self, start: int, count: int) -> bytes:
        """The ``count`` bytes from ``start``."""
        at = start & MASK
        if at + count <= BLOCK_BYTES + _OVERLAP:
            return self.block(start)[at : at + count]
        return self._load(start, count)
