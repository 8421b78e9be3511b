"""Small files that a repository may name: read whole, never more than is good for them."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Mapping
from pathlib import Path

_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


def read_bounded(path: Path, limit: int) -> bytes:
    """The bytes of a regular file, ``limit`` at most. Raises OSError, and ValueError for what is larger or no regular file: a link
    in somebody else's repository may lead to ``/dev/zero``, or to a pipe, which is not waited for."""
    descriptor = os.open(path, _FLAGS)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError(f"{path.name} is not a file")
        with open(descriptor, "rb", closefd=False) as stream:
            found = stream.read(limit + 1)
    finally:
        os.close(descriptor)
    if len(found) > limit:
        raise ValueError(f"{path.name} has more than {limit} bytes")
    return found


def write_whole(files: Mapping[Path, bytes]) -> None:
    """Write all of ``files`` or, when one cannot be written (OSError) or a signal ends it, none. A link is replaced and not followed: in
    somebody else's repository it may lead anywhere."""
    scratches = {path: path.with_name(f".{path.name}.{os.getpid()}.tmp") for path in files}
    try:
        for path, scratch in scratches.items():
            scratch.unlink(missing_ok=True)
            with scratch.open("xb") as out:  # nor is a link followed that lies in wait here
                out.write(files[path])
        for path, scratch in scratches.items():
            scratch.replace(path)
    finally:
        for scratch in scratches.values():
            with contextlib.suppress(OSError):
                scratch.unlink()
