"""Which model files a run reads: those named, those in the directories named, or those that the configuration names."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from latlint.settings import Settings

EXTENSIONS = (".tflite", ".onnx")

#: Directories that hold other people's files; hidden directories and virtual environments are skipped as well.
_SKIPPED = frozenset({"node_modules", "__pycache__", "site-packages"})


def find_models(paths: Iterable[str], settings: Settings) -> tuple[list[str], list[str]]:
    """Model files in the order given, those of a directory sorted, each once; and notes on what was left out.

    A path that is not a directory is taken as it is: whether it can be read is for the reader to say. Without a path, the
    configuration's ``models`` globs are looked for below its directory, and without these every model there.
    """
    notes: list[str] = []
    if given := list(paths):
        found = [file for path in given for file in (_walk(path, notes) if path and Path(path).is_dir() else (path,))]
    else:
        below = _walk(os.path.relpath(settings.root), notes)
        found = [file for file in below if not settings.models or settings.names_model(file)]
    once: dict[str, str] = {}
    for file in found:
        once.setdefault(os.path.abspath(file), file)  # noqa: PTH100 - a link is not its target
    return list(once.values()), notes


def _walk(directory: str, notes: list[str]) -> Iterator[str]:
    """Model files below ``directory``, sorted, without following symbolic links that lead out of it."""
    top = Path(directory).resolve()
    left_out = 0

    def unreadable(error: OSError) -> None:
        notes.append(f"{error.filename} cannot be searched: {error.strerror}")

    for current, directories, names in os.walk(directory, onerror=unreadable):
        directories[:] = sorted(name for name in directories if _enters(current, name))
        for name in sorted(names):
            file = os.path.normpath(os.path.join(current, name))  # noqa: PTH118 - keeps the path as the user gave it
            if name.lower().endswith(EXTENSIONS):
                path = Path(file)
                if path.is_symlink() and not path.resolve().is_relative_to(top):
                    left_out += 1
                elif path.is_file():
                    yield file.replace(os.sep, "/")
    if left_out:
        files = "file is a symbolic link that leads" if left_out == 1 else "files are symbolic links that lead"
        notes.append(f"{left_out} model {files} out of {directory} and not followed: name them to read them")


def _enters(parent: str, name: str) -> bool:
    return not (name.startswith(".") or name in _SKIPPED or (Path(parent) / name / "pyvenv.cfg").exists())
