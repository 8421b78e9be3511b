"""Where model files lie for those who look at the repository, not at a command line: reports that others show in place."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from functools import cache, partial
from pathlib import Path

from latlint.files import real_path
from latlint.settings import Settings


def locate(files: Collection[str], settings: Settings) -> dict[str, str]:
    """For each file as given, its path from the top of the git repository that holds the configuration's directory, or else that holds
    the file, with forward slashes and without links.

    Outside any repository it is the path from the configuration's directory, or from the working directory for a file that was
    named from there. What lies elsewhere goes by its path below the nearest directory that holds all such files. So a path never
    says where on a machine the files are, nor depends on where latlint was started.
    """
    # There may be very many files, and few directories: those are asked for once each.
    real, top = cache(real_path), cache(partial(_top, settings))

    def place(file: str) -> tuple[str, Path | None, str]:
        parent, name = os.path.split(file)
        if name in ("", os.curdir, os.pardir) or os.path.islink(file):  # noqa: PTH114 - a Path takes longer than the question
            parent, name = os.path.split(real_path(file))
        parent = real(parent)
        return parent, top(parent, os.path.isabs(file)), name  # noqa: PTH117

    strays = {parent for parent, above, _ in map(place, files) if above is None}
    shared = Path(os.path.commonpath(strays)) if strays else Path()
    below = cache(lambda parent, above: Path(parent).relative_to(above or shared))
    places = {file: place(file) for file in files}
    found = {file: (below(parent, above) / name).as_posix() for file, (parent, above, name) in places.items()}
    return found | _apart(found, {file: Path(parent, name) for file, (parent, _, name) in places.items()})


def _apart(found: Mapping[str, str], real: Mapping[str, Path]) -> dict[str, str]:
    """Other paths for different files that have the same one in ``found``, in two repositories: from the directory that holds both."""
    alike: dict[str, set[Path]] = {}
    for file, path in found.items():
        alike.setdefault(path, set()).add(real[file])
    shared = {path: Path(os.path.commonpath(files)) for path, files in alike.items() if len(files) > 1}
    return {file: real[file].relative_to(shared[path]).as_posix() for file, path in found.items() if path in shared}


def top_of(directory: Path) -> Path | None:
    """The top of the git repository that holds ``directory``, an absolute path without links."""
    # Path.exists would raise where os.path.exists does not.
    at_or_above = (directory, *directory.parents)
    return next((each for each in at_or_above if os.path.exists(each / ".git")), None)  # noqa: PTH110


def _top(settings: Settings, directory: str, absolute: bool) -> Path | None:
    """What the paths of files in ``directory`` start at, which were given as ``absolute`` paths or not; ``None`` if they are strays."""
    path, root = Path(directory), Path(real_path(settings.root))
    # A submodule, or a clone within a repository, is a part of what people look at.
    home = top_of(root)
    if home and path.is_relative_to(home):
        return home
    if top := top_of(path):
        return top
    named_from_root = settings.source is not None or not absolute
    return root if named_from_root and path.is_relative_to(root) else None
