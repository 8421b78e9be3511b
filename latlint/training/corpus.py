"""The model files that were measured, from their archives: weights zeroed, so that they unpack to files full of holes."""

from __future__ import annotations

import fcntl
import os
import tarfile
import tempfile
from pathlib import Path
from typing import BinaryIO

import zstandard

#: What is read at once, and what a file system keeps or leaves out as a whole.
_CHUNK, _BLOCK = 1 << 18, 1 << 12
_ZEROS = bytes(_CHUNK)


def unpacked(archives: Path) -> Path:
    """A directory with the contents of every ``*.tar.zst`` in ``archives``, such as ``tflite_fp32/``.

    ``LATLINT_CORPUS`` may name one that is unpacked already. Else it is unpacked once into the temporary directory and kept there,
    under a name made of the archives' sizes, so that new archives are unpacked anew; a process waits for another that does the same,
    since two copies would take twice the room. Raises FileNotFoundError without archives.
    """
    if named := os.environ.get("LATLINT_CORPUS"):
        return Path(named)
    found = sorted(archives.glob("*.tar.zst"))
    if not found:
        raise FileNotFoundError(f"{archives}: no *.tar.zst here")
    key = "-".join(str(archive.stat().st_size) for archive in found)
    target = Path(tempfile.gettempdir()) / f"latlint-corpus-{key}"
    with target.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.is_dir():
            with tempfile.TemporaryDirectory(prefix="latlint-corpus-", dir=target.parent) as scratch:
                whole = Path(scratch, "whole")
                for archive in found:
                    unpack_archive(archive, whole)
                whole.rename(target)
    return target


def unpack_archive(archive: Path, target: Path) -> None:
    """Unpack a ``*.tar.zst``, leaving runs of zeros as holes: 8 GB of zeroed weights then take 120 MB."""
    with (
        archive.open("rb") as packed,
        zstandard.ZstdDecompressor().stream_reader(packed) as stream,
        tarfile.open(fileobj=stream, mode="r|") as members,
    ):
        for member in members:
            path = target / member.name
            if not path.resolve().is_relative_to(target.resolve()):
                raise ValueError(f"{archive}: {member.name} leaves the directory")
            source = members.extractfile(member)
            if source is None:
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            with source, path.open("wb") as out:
                while chunk := source.read(_CHUNK):
                    _write(chunk, out)
                out.truncate()


def unpack_file(archive: Path, target: Path) -> None:
    """Unpack one ``*.zst`` that is no archive of others, leaving holes as ``unpacked`` does."""
    with (
        archive.open("rb") as packed,
        zstandard.ZstdDecompressor().stream_reader(packed) as stream,
        target.open("wb") as out,
    ):
        while chunk := stream.read(_CHUNK):
            _write(chunk, out)
        out.truncate()


def _write(chunk: bytes, out: BinaryIO) -> None:
    """Write what is not zero; of all zeros, as most are, nothing is looked at twice."""
    if _ZEROS.startswith(chunk):
        out.seek(len(chunk), os.SEEK_CUR)
        return
    for at in range(0, len(chunk), _BLOCK):
        block = chunk[at : at + _BLOCK]
        if _ZEROS.startswith(block):
            out.seek(len(block), os.SEEK_CUR)
        else:
            out.write(block)
