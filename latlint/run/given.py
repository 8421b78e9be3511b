"""Models that are given as objects: bytes, an ``onnx.ModelProto``, a torch module. For as long as they are worked on they lie in a file."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from latlint.errors import LatlintError

#: What stands for a path: see ``latlint.predict``.
Model = Any


def is_path(model: Model) -> bool:
    """Whether ``model`` is the path of a file."""
    return isinstance(model, str | os.PathLike)


@contextlib.contextmanager
def files(models: Sequence[Model], example_inputs: Any = None) -> Iterator[dict[str, str]]:
    """The path of a file for each of ``models``, in order, and what to call it: its path as given, or ``<ModelProto>`` and the like.
    Raises LatlintError for an object that is no model, and for a torch module that cannot be exported."""
    if all(map(is_path, models)):
        yield {os.fspath(model): os.fspath(model) for model in models}
        return
    import tempfile  # takes longer to import than a path to be looked at

    with tempfile.TemporaryDirectory(prefix="latlint-") as directory:
        found: dict[str, str] = {}
        for number, model in enumerate(models):
            if is_path(model):
                found[os.fspath(model)] = os.fspath(model)
                continue
            called = f"<{type(model).__name__}>" if len(models) == 1 else f"<{type(model).__name__} {number + 1}>"
            path = Path(directory, f"model-{number + 1}")
            path.write_bytes(_content(model, called, example_inputs))
            found[os.fspath(path)] = called
        yield found


def _content(model: Model, called: str, example_inputs: Any) -> bytes:
    if isinstance(model, bytes | bytearray | memoryview):
        return bytes(model)
    torch = sys.modules.get("torch")  # whoever has a module has imported it
    if torch is not None and isinstance(model, torch.nn.Module | torch.export.ExportedProgram):
        return _exported(torch, model, called, example_inputs)
    serialize = getattr(model, "SerializeToString", None)
    if serialize is None or not hasattr(model, "graph"):
        raise LatlintError(
            "expected a path, bytes, an onnx.ModelProto, a torch.nn.Module or a torch.export.ExportedProgram",
            path=called,
        )
    try:
        return bytes(serialize())
    except ValueError as error:  # beyond 2 GB, the limit of protobuf
        raise LatlintError(
            f"cannot be serialized ({error}): save it with external data, and give the path", path=called
        ) from None


def _exported(torch: Any, model: Any, called: str, example_inputs: Any) -> bytes:
    """``model`` as ONNX, by ``torch.onnx.export``."""
    import io

    program = isinstance(model, torch.export.ExportedProgram)
    if example_inputs is None and not program:
        raise LatlintError(
            "a torch module needs example_inputs: a tuple of tensors as its forward takes them", path=called
        )
    given = () if example_inputs is None else example_inputs if isinstance(example_inputs, tuple) else (example_inputs,)
    try:
        if not program:
            model = model.eval()
        exported = torch.onnx.export(model, given, dynamo=True, verbose=False) if program else None
        if exported is not None:
            return bytes(exported.model_proto.SerializeToString())
        stream = io.BytesIO()
        torch.onnx.export(model, given, stream, dynamo=False)
        return stream.getvalue()
    except Exception as error:
        first = str(error).strip().partition("\n")[0][:300]
        raise LatlintError(f"torch.onnx.export failed: {type(error).__name__}: {first}", path=called) from error
