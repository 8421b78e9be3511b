"""Readers and the type they return. ``read(path)`` turns a model file into a ``Graph``."""

from latlint.graph.types import ByteRange, Graph, Node, Quantization, Tensor

__all__ = ["ByteRange", "Graph", "Node", "Quantization", "Tensor"]
