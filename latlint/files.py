"""Small files that a repository may name: read whole, never more than is good for them."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


def real_path(path: str | os.PathLike[str]) -> str:
    """``path`` without links, as ``os.path.realpath``, but for one that the system does not follow, for too many links or too long a name: there is no
    such file, and the path is left as it is. Python would follow hundreds of links, one call within the other."""
    try:
        os.stat(path)  # noqa: PTH116
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENAMETOOLONG):
            return os.path.abspath(path)  # noqa: PTH100
    return os.path.realpath(path)


@contextlib.contextmanager
def regular(path: Path) -> Iterator[int]:
    """The regular file ``path``, open for reading. Raises OSError, and ValueError for what is no regular file: a link in somebody else's
    repository may lead to ``/dev/zero``, or to a pipe, which is not waited for."""
    descriptor = os.open(path, _FLAGS)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError(f"{path.name} is not a file")
        yield descriptor
    finally:
        os.close(descriptor)


def read_bounded(path: Path, limit: int) -> bytes:
    """The bytes of a regular file, ``limit`` at most. Raises OSError, and ValueError for what is larger or no regular file."""
    parts, left = [], limit + 1
    with regular(path) as descriptor:
        # asked for the limit at once, Python would set aside as much memory, which takes ten times as long as a small file
        size = os.fstat(descriptor).st_size + 1
        while left and (part := os.read(descriptor, min(size, left))):
            parts.append(part)
            left -= len(part)
    if not left:
        raise ValueError(f"{path.name} has more than {limit} bytes")
    return b"".join(parts)


_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


def write_whole(files: Mapping[Path, bytes], mode: int = 0o666) -> None:
    """Write all of ``files`` or, when one cannot be written (OSError) or a signal ends it, none. A link is replaced and not followed: in
    somebody else's repository it may lead anywhere. What is there and is neither a file nor a link is left alone (OSError). ``mode`` is
    that of new files, less the umask."""
    scratches = {path: path.with_name(f".{path.name}.{os.getpid()}.tmp") for path in files}
    try:
        for path, scratch in scratches.items():
            _refuse_special(path)
            scratch.unlink(missing_ok=True)
            # O_EXCL: nor is a link followed that lies in wait here.
            with os.fdopen(os.open(scratch, _NEW, mode), "wb") as out:
                out.write(files[path])
        for path, scratch in scratches.items():
            scratch.replace(path)
    finally:
        for scratch in scratches.values():
            with contextlib.suppress(OSError):
                scratch.unlink()


def _refuse_special(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        kind = path.lstat().st_mode
        if not (stat.S_ISREG(kind) or stat.S_ISLNK(kind)):
            raise OSError(errno.EINVAL, "it is no regular file", str(path))


def write_through(path: Path, content: bytes) -> bool:
    """Write to an open descriptor (``/dev/stdout``, ``/dev/fd/3``), a character device or a pipe that ``path`` itself names, and not
    through a link. Returns whether it is such a thing. A pipe that nobody reads is not waited for (OSError)."""
    descriptor = _descriptor(path)
    if descriptor is not None:
        with os.fdopen(descriptor, "wb", closefd=False) as out:
            out.write(content)
        return True
    try:
        kind = path.lstat().st_mode
    except OSError:
        return False
    if not (stat.S_ISCHR(kind) or stat.S_ISFIFO(kind)):
        return False
    flags = os.O_WRONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)
    with os.fdopen(os.open(path, flags), "wb") as out:
        if stat.S_ISFIFO(kind):
            os.set_blocking(out.fileno(), True)
        out.write(content)
    return True


def _descriptor(path: Path) -> int | None:
    found = re.fullmatch(r"/dev/(stdout|stderr)|/(?:dev|proc/self)/fd/([0-9]{1,9})", path.as_posix())
    if found is None:
        return None
    return {"stdout": 1, "stderr": 2}[found[1]] if found[1] else int(found[2])
