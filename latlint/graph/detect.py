"""Tells what a file is by its first bytes: a model of some format, a Git LFS pointer, or something else."""

from __future__ import annotations

import re

from latlint.graph.source import MASK, Source
from latlint.records import NamedTuple

_LFS_POINTER = rb"version https://(?:git-lfs|hawser)\.github\.com/spec/v\d+\r?\n"
_LFS_OID = rb"(?m)^oid sha256:([0-9a-f]{64})\r?$"
_LFS_SIZE = rb"(?m)^size (\d{1,18})\r?$"

#: Pointers are below 1024 bytes (https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md).
LFS_POINTER_BYTES = 1024

#: Fields of ONNX's ModelProto (onnx.proto): number -> protobuf wire type (0 varint, 2 length-delimited).
_MODEL_PROTO = {1: 0, 2: 2, 3: 2, 4: 2, 5: 0, 6: 2, 7: 2, 8: 2, 14: 2, 20: 2, 25: 2, 26: 2}
_IR_VERSION, _GRAPH, _OPSET_IMPORT = 1, 7, 8

#: What else people have at hand under a model's name: how the file starts -> what it is.
_OTHERS = (
    (b"PK\x03\x04", "a ZIP archive (a PyTorch or Keras checkpoint?)"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file (a Keras checkpoint?)"),
    (b"\x1f\x8b", "a gzip file: unpack it"),
    (b"(\xb5/\xfd", "a Zstandard file: unpack it"),
    (b"<!DOCTYPE", "a web page: the download went wrong"),
    (b"<html", "a web page: the download went wrong"),
)


class Pointer(NamedTuple):
    """A Git LFS pointer. ``size_bytes`` and ``sha256`` are of the file that it stands for; ``None`` and empty when it does not say."""

    size_bytes: int | None
    sha256: str = ""


def lfs_pointer(data: bytes) -> Pointer | None:
    """The Git LFS pointer that ``data`` is, if it is one."""
    if len(data) >= LFS_POINTER_BYTES or not re.match(_LFS_POINTER, data):
        return None
    size, oid = re.search(_LFS_SIZE, data), re.search(_LFS_OID, data)
    return Pointer(int(size[1]) if size else None, oid[1].decode() if oid else "")


def is_tflite(source: Source) -> bool:
    """Whether the file is a flatbuffer with TensorFlow Lite's identifier."""
    return source.read(4, 4) == b"TFL3"


def other_format(start: bytes) -> str | None:
    """What a file of these first bytes, which is no model, seems to be, in words."""
    return next((what for magic, what in _OTHERS if start.startswith(magic)), None)


def is_onnx(source: Source) -> bool:
    """Whether the fields of a ModelProto follow one another up to its graph, an IR version or opset import among them.

    ONNX files have no magic number, and protobuf allows any order of fields, though every known writer starts with the
    IR version. Any other field, or one of the wrong type, rules a model out.
    """
    seen: set[int] = set()
    position = 0
    # The fields around a graph are few, but metadata entries can be many.
    for _ in range(10_000):
        if position >= source.size:
            break
        key, position = _varint(source, position)
        number, wire_type = key >> 3, key & 7
        if _MODEL_PROTO.get(number) != wire_type:
            return False
        seen.add(number)
        if {_GRAPH, _IR_VERSION} <= seen or {_GRAPH, _OPSET_IMPORT} <= seen:
            return True
        length, position = _varint(source, position)
        position += length if wire_type == 2 else 0
    # A model that is cut short before its graph still starts as writers start it.
    return {_IR_VERSION, 2} <= seen or {_IR_VERSION, _OPSET_IMPORT} <= seen


def _varint(source: Source, position: int) -> tuple[int, int]:
    """``(value, position after it)``; an unfinished or overlong one is -1, which fits no field."""
    value = 0
    for count, byte in enumerate(source.block(position)[position & MASK :][:10]):
        value |= (byte & 0x7F) << (7 * count)
        if byte < 0x80:
            return value, position + count + 1
    return -1, position + 10
