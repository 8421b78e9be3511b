"""The formats of model files: how each is told, called, named and read. Nothing else spells one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING

from latlint.graph.detect import is_onnx, is_tflite
from latlint.graph.source import Source
from latlint.records import NamedTuple

if TYPE_CHECKING:
    from latlint.graph.inputs import InputShape
    from latlint.graph.types import Graph


class Format(NamedTuple):
    """``name`` is its word in machine-readable output, ``title`` for people; ``extensions`` its files' names end with, the usual one
    first, in lower case with the dot. ``matches`` tells its files by content. ``reader`` is ``module:function``, imported when a file is
    read: ``function(source, name, shapes) -> Graph``. ``dialect`` is what the ops of its graphs mean (``Graph.dialect``); two formats
    may share one. ``external`` tells that weights may lie in files beside the model."""

    name: str
    title: str
    extensions: tuple[str, ...]
    matches: Callable[[Source], bool]
    reader: str
    dialect: str
    external: bool = False

    def read(self, source: Source, name: str, shapes: Sequence[InputShape]) -> Graph:
        module, _, function = self.reader.partition(":")
        found: Graph = getattr(import_module(module), function)(source, name, shapes)
        return found


#: Those with a magic number first.
FORMATS: tuple[Format, ...] = (
    Format("tflite", "TFLite", (".tflite",), is_tflite, "latlint.graph.tflite:read_tflite", "tflite"),
    Format("onnx", "ONNX", (".onnx",), is_onnx, "latlint.graph.onnx:read_onnx", "onnx", external=True),
)


def format_of(source: Source) -> Format | None:
    """The format of a file by its content, which is enough for one that is cut short."""
    return next((each for each in FORMATS if each.matches(source)), None)


def claimed_by(suffix: str) -> Format | None:
    """The format that files with the extension ``suffix`` should have."""
    return next((each for each in FORMATS if suffix.lower() in each.extensions), None)


def is_model_name(path: str) -> bool:
    """Whether ``path`` is named as a model is."""
    return path.lower().endswith(extensions())


def extensions() -> tuple[str, ...]:
    """``(".tflite", ".onnx")``."""
    return tuple(extension for each in FORMATS for extension in each.extensions)


def title(name: str) -> str:
    """What people call the format ``name``; the name itself where it is none of these."""
    return next((each.title for each in FORMATS if each.name == name), name)


def dialect(name: str) -> str:
    """What the ops of graphs of the format ``name`` mean."""
    return next(each.dialect for each in FORMATS if each.name == name)


def listed(words: Sequence[str], conjunction: str) -> str:
    """``a, b or c``."""
    *others, last = words
    return f"{', '.join(others)} {conjunction} {last}" if others else last


def a_model(conjunction: str = "or") -> str:
    """``.tflite or .onnx``: what the extensions of a model may be."""
    return listed(extensions(), conjunction)
