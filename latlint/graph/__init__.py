"""Readers and the type they return. ``read(path)`` turns a model file into a ``Graph``."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import PurePath

from latlint.errors import LatlintError
from latlint.graph.detect import lfs_pointer, other_format
from latlint.graph.formats import FORMATS, Format, a_model, claimed_by, format_of, listed
from latlint.graph.inputs import InputShape
from latlint.graph.source import Source
from latlint.graph.types import ByteRange, Graph, Node, Quantization, Tensor
from latlint.records import NamedTuple
from latlint.words import printable

__all__ = ["ByteRange", "Graph", "ModelFile", "Node", "Quantization", "Tensor", "opened", "read"]


class ModelFile(NamedTuple):
    """A model file that is open: ``name`` is its path as given."""

    name: str
    format: Format
    source: Source
    descriptor: int

    def graph(self, shapes: Sequence[InputShape] = (), as_if: str = "") -> Graph:
        """What the file says; see ``read``. ``as_if``: the precision in which a float model is to be planned."""
        try:
            found: Graph = self.format.read(self.source, self.name, shapes)
            if not as_if:
                return found
            if found.precision.startswith("float"):
                return replace(found, as_if=as_if)
            note = f"judged as it is, not in {as_if}: it computes in {found.precision}, and only a float model can be converted"
            return replace(found, notes=(*found.notes, note))
        finally:
            self.source.forget()

    def sha256(self) -> str:
        """SHA-256 of the file: reads all of it, unlike ``graph``, though not into memory."""
        try:
            with open(self.descriptor, "rb", buffering=0, closefd=False) as stream:
                stream.seek(0)
                return hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError as error:
            raise LatlintError(f"cannot be read: {error.strerror}", code="LAT005", path=self.name) from None


def read(path: str | os.PathLike[str], shapes: Sequence[InputShape] = ()) -> Graph:
    """Read the model file at ``path``, whichever format it has; weights are not read. ``shapes`` state what the
    file leaves open of its inputs.

    Raises ``LatlintError`` with ``path`` as given: LAT001 when it is no model or damaged, LAT002 for a Git LFS pointer,
    LAT003 when the extension claims another format, LAT004 when it is empty, LAT005 when it cannot be opened, LAT006
    beyond a safety bound, LAT007 when no runtime could run the graph, LAT008 when it cannot have the ``shapes``.
    """
    name = os.fsdecode(path)
    with opened(name, name) as file:
        return file.graph(shapes)


def _format(source: Source, name: str) -> Format:
    """The format by content; the extension may only agree."""
    if pointer := lfs_pointer(source.read(0, 1024)):
        stands_for = "" if pointer.size_bytes is None else f" that stands for a file of {_size(pointer.size_bytes)}"
        message = (
            f'a Git LFS pointer{stands_for}, not the model itself; run: git lfs pull --include="{printable(name)}"'
        )
        raise LatlintError(message, code="LAT002", path=name)
    found = format_of(source)
    if found is None:
        neither = (
            f"{'neither' if len(FORMATS) == 2 else 'none of'} {listed([_an(each) for each in FORMATS], 'nor')} file"
        )
        seems = other_format(source.read(0, 1024)) or neither
        raise LatlintError(f"{seems}; expected a {a_model()} model", code="LAT001", path=name)
    extension = PurePath(name).suffix
    claimed = claimed_by(extension)
    if claimed not in (None, found):
        better = printable(f"{PurePath(name).stem}{found.extensions[0]}")
        message = f"{_an(found)} file with the extension {extension}; rename it to {better}"
        raise LatlintError(message, code="LAT003", path=name)
    return found


def _an(found: Format) -> str:
    """``an ONNX``."""
    return f"{'an' if found.title[0] in 'AEIOU' else 'a'} {found.title}"


@contextlib.contextmanager
def opened(path: str, name: str) -> Iterator[ModelFile]:
    """The regular file at ``path``, which errors call ``name``. Raises ``LatlintError`` as ``read`` does, and LAT005 in the end when
    the file has changed meanwhile: what was read of it is worth nothing."""
    try:
        # Opening a FIFO would wait for a writer; O_NONBLOCK does not, and means nothing for regular files.
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
        descriptor = os.open(path, flags)
    except (OSError, ValueError) as error:
        raise LatlintError(_cannot_open(error), code="LAT005", path=name) from None
    try:
        before = _status(descriptor, name)
        try:
            source = Source.of_file(descriptor, name)
            yield ModelFile(name, _format(source, name), source, descriptor)
        except LatlintError:
            _check_unchanged(before, descriptor, name)
            raise
        _check_unchanged(before, descriptor, name)
    finally:
        os.close(descriptor)


def _status(descriptor: int, name: str) -> os.stat_result:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        what = "a directory" if stat.S_ISDIR(status.st_mode) else "a pipe, socket or device"
        raise LatlintError(f"{what}; expected a {a_model()} file", code="LAT005", path=name)
    if status.st_size == 0:
        raise LatlintError("the file is empty; fetch or export it again", code="LAT004", path=name)
    return status


def _check_unchanged(before: os.stat_result, descriptor: int, name: str) -> None:
    after = os.fstat(descriptor)
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        message = "the file changed while it was read; run again when whatever writes it is done"
        raise LatlintError(message, code="LAT005", path=name)


def _cannot_open(error: OSError | ValueError) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file; check the path"
    if isinstance(error, PermissionError):
        return "no permission to read it; check the file's mode"
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return f"cannot be opened ({reason}); check the path"


def _size(size_bytes: int) -> str:
    """``14.2 MB``: in the decimal units of Git hosts."""
    size = float(size_bytes)
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            break
        size /= 1000
    return f"{size_bytes} bytes" if unit == "bytes" else f"{size:.1f} {unit}"
