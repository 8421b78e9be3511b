"""TensorFlow's SAME padding, which ONNX's auto_pad follows."""

from __future__ import annotations


def same_padding(size: int, kernel: int, stride: int, dilation: int) -> int:
    """Pixels to pad in one dimension of ``size``, both ends together, so that ``ceil(size / stride)`` come out (``kernels/padding.h``).
    TensorFlow puts the odd one at the end."""
    return max((-(-size // stride) - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
