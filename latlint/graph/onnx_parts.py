"""What is used of the ``onnx`` package, without all else that importing it brings: that takes a third of the time.

Its ``__init__`` imports every part of the package (the checker, JSON, command lines, types that NumPy lacks). Here the package is entered in
``sys.modules`` as import does it, and its ``__init__`` runs when a name is first asked for that only it defines: whoever imports ``onnx`` after latlint
finds all of it. Two of its parts are needed for every file, and need nothing of the rest: the messages, and the schemas with their inference
of one node.

The functions are those of ``onnx.helper`` and ``onnx.numpy_helper`` of these names, for types that NumPy has; others are left to them.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec, module_from_spec
from threading import RLock
from types import MappingProxyType, ModuleType
from typing import Any

import numpy as np


class _Package(ModuleType):
    """A package whose ``__init__`` has not been run yet."""

    def __getattr__(self, name: str) -> Any:
        with _lock:  # that of another thread may be running
            if _begin(self):
                assert self.__spec__ is not None and self.__spec__.loader is not None
                try:
                    self.__spec__.loader.exec_module(self)
                except (
                    AttributeError
                ) as error:  # `hasattr`, as in `from onnx import`, would keep it for a name that is not there
                    raise ImportError(f"cannot import {self.__name__}: {error}", name=self.__name__) from error
        try:
            return self.__dict__[name]
        except KeyError:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}") from None


_lock = RLock()
_begun: set[str] = set()


def _begin(package: ModuleType) -> bool:
    """Whether this is the first to ask for a name of ``package``."""
    new = package.__name__ not in _begun
    _begun.add(package.__name__)
    return new


def _enter(name: str) -> None:
    """Enter the package ``name`` in ``sys.modules``, if it is not there. Raises ModuleNotFoundError where it is not installed."""
    if name in sys.modules:
        return
    spec = find_spec(name)
    if spec is None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    package = module_from_spec(spec)
    package.__class__ = _Package
    sys.modules[name] = package


_enter("onnx")

import onnx.onnx_pb  # noqa: E402

# What the other parts ask the package for while they are imported (onnx before 1.20 does): its ``__init__``, which has the same, would meet them half done.
vars(onnx).update(
    {name: had for name, had in vars(onnx.onnx_pb).items() if name.endswith("Proto") or name == "IR_VERSION"}
)

# as modules: with `from onnx import` Python asks the package for the name first
import onnx.defs  # noqa: E402
import onnx.shape_inference  # noqa: E402
from onnx.onnx_pb import (  # noqa: E402
    IR_VERSION,
    AttributeProto,
    FunctionProto,
    GraphProto,
    ModelProto,
    NodeProto,
    OperatorSetIdProto,
    TensorProto,
    TypeProto,
    ValueInfoProto,
)

__all__ = [
    "IR_VERSION",
    "AttributeProto",
    "FunctionProto",
    "GraphProto",
    "ModelProto",
    "NodeProto",
    "OperatorSetIdProto",
    "TensorProto",
    "TypeProto",
    "ValueInfoProto",
    "defs",
    "from_array",
    "make_node",
    "np_dtype_to_tensor_dtype",
    "opsets_of",
    "shape_inference",
    "tensor_dtype_to_np_dtype",
    "tensor_type",
    "to_array",
]

defs = onnx.defs
shape_inference = onnx.shape_inference

Array = np.ndarray[Any, Any]

#: Types of elements that NumPy has.
_NUMPY: Mapping[int, np.dtype[Any]] = MappingProxyType(
    {
        TensorProto.FLOAT: np.dtype("<f4"), TensorProto.DOUBLE: np.dtype("<f8"), TensorProto.FLOAT16: np.dtype("<f2"),
        TensorProto.INT8: np.dtype("i1"), TensorProto.INT16: np.dtype("<i2"), TensorProto.INT32: np.dtype("<i4"),
        TensorProto.INT64: np.dtype("<i8"), TensorProto.UINT8: np.dtype("u1"), TensorProto.UINT16: np.dtype("<u2"),
        TensorProto.UINT32: np.dtype("<u4"), TensorProto.UINT64: np.dtype("<u8"), TensorProto.BOOL: np.dtype("?"),
    }
)  # fmt: skip
_TYPES: Mapping[np.dtype[Any], int] = MappingProxyType({dtype: kind for kind, dtype in _NUMPY.items()})
#: The field that holds the elements of a tensor one by one, where it is not ``int32_data``.
_FIELDS: Mapping[int, str] = MappingProxyType(
    {
        TensorProto.FLOAT: "float_data", TensorProto.DOUBLE: "double_data", TensorProto.INT64: "int64_data",
        TensorProto.UINT32: "uint64_data", TensorProto.UINT64: "uint64_data",
    }
)  # fmt: skip


def tensor_type(elem_type: int, shape: Sequence[int] | None) -> TypeProto:
    """The type of a tensor: ``shape`` with -1 for what is not known, ``None`` where the rank is not."""
    made = TypeProto()
    made.tensor_type.elem_type = elem_type
    if shape is not None:
        made.tensor_type.shape.SetInParent()  # a scalar has a shape
        for dim in shape:
            entry = made.tensor_type.shape.dim.add()
            if dim >= 0:
                entry.dim_value = dim
    return made


def tensor_dtype_to_np_dtype(kind: int) -> np.dtype[Any]:
    return _NUMPY[kind] if kind in _NUMPY else onnx.helper.tensor_dtype_to_np_dtype(kind)


def np_dtype_to_tensor_dtype(dtype: np.dtype[Any]) -> int:
    return _TYPES[dtype] if dtype in _TYPES else onnx.helper.np_dtype_to_tensor_dtype(dtype)


def to_array(tensor: TensorProto) -> Array:
    """The elements. Raises ValueError where there are not as many as the dimensions say."""
    dtype = _NUMPY.get(tensor.data_type)
    if dtype is None or tensor.HasField("segment") or tensor.data_location == TensorProto.EXTERNAL:
        found: Array = onnx.numpy_helper.to_array(tensor)
        return found
    if tensor.HasField("raw_data"):
        return np.frombuffer(tensor.raw_data, dtype).reshape(tensor.dims)
    field = _FIELDS.get(tensor.data_type, "int32_data")
    data = getattr(tensor, field)
    if tensor.data_type == TensorProto.FLOAT16:  # its bits
        return np.array(data, np.int32).astype(np.uint16).view(dtype).reshape(tensor.dims)
    stored = {"int32_data": np.int32, "uint64_data": np.uint64, "int64_data": np.int64}.get(field, dtype)
    return np.array(data, stored).astype(dtype).reshape(tensor.dims)


def from_array(array: Array) -> TensorProto:
    """A tensor with the elements of ``array``, of a type that NumPy has."""
    kind = np_dtype_to_tensor_dtype(array.dtype)
    if kind not in _NUMPY:
        made: TensorProto = onnx.numpy_helper.from_array(array)
        return made
    return TensorProto(data_type=kind, dims=array.shape, raw_data=array.astype(_NUMPY[kind], copy=False).tobytes())


def make_node(op: str, inputs: Sequence[str], outputs: Sequence[str]) -> NodeProto:
    return NodeProto(op_type=op, input=inputs, output=outputs)


def opsets_of(versions: Mapping[str, int]) -> list[OperatorSetIdProto]:
    return [OperatorSetIdProto(domain=domain, version=version) for domain, version in versions.items()]
