"""Where model files lie for those who look at the repository, not at a command line: reports that others show in place."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from latlint.settings import Settings


def locate(files: Iterable[str], settings: Settings) -> dict[str, str]:
    """For each file as given, its path from the top of its git repository, with forward slashes and without links.

    Outside any repository it is the path from the configuration's directory, or from the working directory for a file that was
    named from there. What lies elsewhere goes by its path below the nearest directory that holds all such files. So a path never
    says where on a machine the files are, nor depends on where latlint was started.
    """
    real = {file: Path(os.path.realpath(file)) for file in files}
    tops = {file: _top(file, path, settings) for file, path in real.items()}
    strays = [str(path.parent) for file, path in real.items() if tops[file] is None]
    shared = Path(os.path.commonpath(strays)) if strays else Path()
    return {file: path.relative_to(tops[file] or shared).as_posix() for file, path in real.items()}


def top_of(path: Path) -> Path | None:
    """The top of the git repository that holds the file ``path``, which has no links."""
    # Path.exists would raise where os.path.exists does not.
    return next((directory for directory in path.parents if os.path.exists(directory / ".git")), None)  # noqa: PTH110


def _top(file: str, path: Path, settings: Settings) -> Path | None:
    if top := top_of(path):
        return top
    root = Path(os.path.realpath(settings.root))
    named_from_root = settings.source is not None or not Path(file).is_absolute()
    return root if named_from_root and path.is_relative_to(root) else None
