"""Which model files a run reads: those named, those in the directories named, or those that the configuration names."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from latlint.errors import LatlintError
from latlint.files import real_path, regular
from latlint.graph.formats import claimed_by, is_model_name
from latlint.project.repository import top_of
from latlint.settings import Settings

if TYPE_CHECKING:
    from latlint.graph.source import Source
    from latlint.project.configuration import Governing

#: Directories that hold other people's files; hidden directories and virtual environments are skipped as well.
_SKIPPED = frozenset({"node_modules", "__pycache__", "site-packages"})

_CHUNK_BYTES = 1 << 20


def find_models(
    paths: Iterable[str], settings: Settings, governing: Governing | None = None
) -> tuple[list[str], list[str]]:
    """Model files in the order given, those of a directory sorted, each once; and notes on what was left out.

    A path that is not a directory is taken as it is: whether it can be read is for the reader to say. Without a path, the
    ``models`` globs of the configuration that governs each are looked for below the directory of ``settings``, and without these every model there. Of what lies in
    directories, files that git ignores and those that ``exclude`` matches are left out.
    """
    notes: list[str] = []
    of = governing or (lambda _: settings)
    if given := list(paths):
        found = [file for path in given for file in _files(path, settings, of, notes)]
    else:
        below = _searched(os.path.relpath(settings.root), settings, of, notes)
        found = [file for file in below if of(file).names_model(file)]
    once: dict[str, str] = {}
    for file in found:
        once.setdefault(os.path.abspath(file), file)  # noqa: PTH100 - a link is not its target
    return list(once.values()), notes


def changed_models(paths: Iterable[str], settings: Settings, governing: Governing | None = None) -> list[str]:
    """What to lint when the files ``paths`` have changed: models, and those whose external data is among them.

    Anything else is left out, and so is a model that the configuration's ``models`` globs do not name, or that ``exclude`` does.
    """
    named, of = list(paths), governing or (lambda _: settings)
    held = _holders([path for path in named if not is_model_name(path)])
    found = [file for path in named for file in held.get(path, [path])]
    return [file for file in dict.fromkeys(found) if of(file).names_model(file) and not settings.excludes(file)]


def holders(data: str) -> list[str]:
    """The models that keep weights in the file ``data``."""
    return _holders([data])[data]


def _holders(data: Collection[str]) -> dict[str, list[str]]:
    """For each of the files ``data`` the models that keep weights in it: those beside it or one directory up that are named as it
    is (``m.onnx`` of ``m.onnx.data``) or that say its path. Each model is read once.

    An external tensor's ``location`` is a path relative to the model (onnx.proto, ``TensorProto.external_data``).
    """
    below: dict[Path, list[str]] = {}
    for name in data:
        for directory in list(Path(name).parents)[:2]:
            below.setdefault(directory, []).append(name)
    found: dict[str, list[str]] = {name: [] for name in data}
    for directory, names in below.items():
        for model in sorted(entry for entry in _entries(directory) if _has_external_data(entry)):
            locations = {name: Path(name).relative_to(directory).as_posix() for name in names}
            said = _mentioned(model, {os.fsencode(location) for location in locations.values()})
            for name, location in locations.items():
                if location.startswith(f"{model.stem}.") or os.fsencode(location) in said:
                    found[name].append(model.as_posix())
    return found


def _files(path: str, settings: Settings, of: Governing, notes: list[str]) -> Iterable[str]:
    if path and Path(path).is_dir():
        return _searched(path, settings, of, notes)
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


def _mentioned(model: Path, texts: set[bytes]) -> set[bytes]:
    """Those of ``texts`` that stand in a model: outside of its weights, or anywhere where it cannot be told what is weights."""
    from latlint.graph.source import Source
    from latlint.graph.wire import lean_model

    try:
        with regular(model) as descriptor:
            source = Source.of_file(descriptor, model.name)
            try:
                said = lean_model(source, model.name).model
                return {text for text in texts if text in said}
            except LatlintError:
                return _found_in(source, texts)
    except (OSError, ValueError, LatlintError):  # for the reader to say when it is linted
        return set()


def _found_in(source: Source, texts: set[bytes]) -> set[bytes]:
    found: set[bytes] = set()
    longest = max(map(len, texts))
    for start in range(0, source.size, _CHUNK_BYTES):
        chunk = source.read(start, _CHUNK_BYTES + longest)
        found |= {text for text in texts - found if text in chunk}
    return found


def _searched(directory: str, settings: Settings, of: Governing, notes: list[str]) -> list[str]:
    """The model files below ``directory``, without those that git ignores (unless it ignores the directory) and ``exclude``."""
    found = [file for file in _walk(directory, notes) if not (settings.excludes(file) or of(file).excludes(file))]
    ignored = _ignored(directory, found)
    if ignored:
        what = "model file that git ignores is" if len(ignored) == 1 else "model files that git ignores are"
        notes.append(f"{len(ignored)} {what} left out of {directory}, such as {min(ignored)}: name them to read them")
    return [file for file in found if file not in ignored]


def _ignored(directory: str, files: Sequence[str]) -> set[str]:
    """Those of ``files``, found below ``directory``, that git ignores, be it for the repository that holds them lying in one that does
    not want it. Nothing where git cannot be asked."""
    searched = Path(real_path(directory))
    home = top_of(searched)
    real = {file: Path(real_path(os.path.dirname(file)), os.path.basename(file)) for file in files}  # noqa: PTH119, PTH120
    tops = {file: top_of(path.parent) for file, path in real.items()}
    if not any(tops.values()):
        return set()
    from latlint.project.git import ignored  # git takes longer to ask than most files to lint

    if home and ignored(home, [searched]):
        return set()
    nested = {top for top in tops.values() if top and top != home}
    unwanted = ignored(home, nested) if home else set()
    asked = {top: [real[file] for file in files if tops[file] == top] for top in tops.values() if top}
    unwanted |= {path for top, paths in asked.items() for path in ignored(top, paths)}
    return {file for file, path in real.items() if path in unwanted or tops[file] in unwanted}


def _walk(directory: str, notes: list[str]) -> Iterator[str]:
    """Model files below ``directory``, sorted, without following symbolic links that lead out of it. A link that leads nowhere is one:
    whoever reads it says so, and a budget does not hold for want of the model."""
    top = real_path(directory)
    left_out = 0

    # os.walk of Python 3.11 calls itself, which ends a thousand directories down
    left = [directory]
    while left:
        current = left.pop()
        try:
            with os.scandir(current) as entries:
                kinds = {entry.name: (_is_directory(entry), entry.is_symlink()) for entry in entries}
        except OSError as error:
            notes.append(f"{error.filename} cannot be searched: {error.strerror}")
            continue
        inside = sorted((name for name, kind in kinds.items() if kind == (True, False)), reverse=True)
        left += [os.path.join(current, name) for name in inside if _enters(current, name)]  # noqa: PTH118
        for name in sorted(name for name, (is_directory, _) in kinds.items() if not is_directory):
            file = os.path.normpath(os.path.join(current, name))  # noqa: PTH118 - keeps the path as the user gave it
            if is_model_name(name):
                path = Path(file)
                if path.is_symlink() and not Path(real_path(path)).is_relative_to(top):
                    left_out += 1
                elif os.path.isfile(path) or (path.is_symlink() and not os.path.exists(path)):  # noqa: PTH110, PTH113 - raise for no name
                    yield file.replace(os.sep, "/")
    if left_out:
        files = "file is a symbolic link that leads" if left_out == 1 else "files are symbolic links that lead"
        notes.append(f"{left_out} model {files} out of {directory} and not followed: name them to read them")


def _is_directory(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # such as a link to itself
        return False


def _enters(parent: str, name: str) -> bool:
    return not (name.startswith(".") or name in _SKIPPED or os.path.exists(f"{parent}/{name}/pyvenv.cfg"))  # noqa: PTH110
