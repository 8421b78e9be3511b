"""ONNX Runtime itself, of the version that plans and lists of kernels are held against."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import NoReturn

import pytest

VERSION = "1.32.0"


@pytest.fixture(scope="session")
def onnxruntime(lacking: Callable[[str], NoReturn]) -> Callable[[], ModuleType]:
    """``onnxruntime()``: the package. Ends the test where it is missing or another version: what needs no answer comes before."""

    def found() -> ModuleType:
        try:
            import onnxruntime as runtime
        except ImportError:
            lacking(f"needs ONNX Runtime {VERSION}")
        if runtime.__version__ != VERSION:
            lacking(f"latlint is held against ONNX Runtime {VERSION}, and {runtime.__version__} is installed")
        package: ModuleType = runtime
        return package

    return found
