"""Which model files a run reads: those named, those in the directories named, or those that the configuration names."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from latlint.graph.formats import claimed_by, is_model_name
from latlint.settings import Settings

#: Directories that hold other people's files; hidden directories and virtual environments are skipped as well.
_SKIPPED = frozenset({"node_modules", "__pycache__", "site-packages"})

_CHUNK_BYTES = 1 << 20


def find_models(paths: Iterable[str], settings: Settings) -> tuple[list[str], list[str]]:
    """Model files in the order given, those of a directory sorted, each once; and notes on what was left out.

    A path that is not a directory is taken as it is: whether it can be read is for the reader to say. Without a path, the
    configuration's ``models`` globs are looked for below its directory, and without these every model there.
    """
    notes: list[str] = []
    if given := list(paths):
        found = [file for path in given for file in _files(path, notes)]
    else:
        below = _walk(os.path.relpath(settings.root), notes)
        found = [file for file in below if not settings.models or settings.names_model(file)]
    once: dict[str, str] = {}
    for file in found:
        once.setdefault(os.path.abspath(file), file)  # noqa: PTH100 - a link is not its target
    return list(once.values()), notes


def changed_models(paths: Iterable[str], settings: Settings) -> list[str]:
    """What to lint when the files ``paths`` have changed: models, and those whose external data is among them.

    Anything else is left out, and so is a model that the configuration's ``models`` globs do not name.
    """
    files = [file for path in paths for file in ([path] if is_model_name(path) else holders(path))]
    return [file for file in files if not settings.models or settings.names_model(file)]


def holders(data: str) -> list[str]:
    """The models that keep weights in the file ``data``: those beside it or one directory up that are named as it is
    (``m.onnx`` of ``m.onnx.data``) or in whose bytes its path stands.

    An external tensor's ``location`` is a path relative to the model (onnx.proto, ``TensorProto.external_data``).
    """
    file = Path(data)
    found = []
    for directory in list(file.parents)[:2]:
        location = file.relative_to(directory).as_posix()
        for model in sorted(entry for entry in _entries(directory) if _has_external_data(entry)):
            if location.startswith(f"{model.stem}.") or _mentions(model, os.fsencode(location)):
                found.append(model.as_posix())
    return found


def _files(path: str, notes: list[str]) -> Iterable[str]:
    if path and Path(path).is_dir():
        return _walk(path, notes)
    if path and not is_model_name(path) and Path(path).is_file():
        return holders(path) or (path,)
    return (path,)


def _has_external_data(model: Path) -> bool:
    claimed = claimed_by(model.suffix)
    return claimed is not None and claimed.external


def _entries(directory: Path) -> list[Path]:
    try:
        return list(directory.iterdir())
    except OSError:
        return []


def _mentions(model: Path, text: bytes) -> bool:
    try:
        if not model.is_file():  # opening a pipe would wait for a writer
            return False
        with model.open("rb") as stream:
            tail = b""
            while chunk := stream.read(_CHUNK_BYTES):
                if text in tail + chunk:
                    return True
                tail = chunk[-len(text) :]
    except OSError:  # for the reader to say when it is linted
        pass
    return False


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
            if is_model_name(name):
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
