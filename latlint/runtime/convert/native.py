"""The names and versions under which TensorFlow 2.10's converter writes TFLite ops.

Versions: tensorflow/lite/tools/versioning/op_version.cc, as of 2.10.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

#: Kinds whose builtin is not the kind in capitals.
_NAMES = {
    "conv2d": "CONV_2D", "conv3d": "CONV_3D", "depthwise_conv2d": "DEPTHWISE_CONV_2D", "transpose_conv2d": "TRANSPOSE_CONV",
    "transpose_conv3d": "CONV_3D_TRANSPOSE", "max_pool2d": "MAX_POOL_2D", "average_pool2d": "AVERAGE_POOL_2D",
    "l2_pool2d": "L2_POOL_2D", "concat": "CONCATENATION", "sigmoid": "LOGISTIC", "pad_v2": "PADV2", "top_k": "TOPK_V2",
    "select": "SELECT_V2", "resize_nearest": "RESIZE_NEAREST_NEIGHBOR", "lstm": "UNIDIRECTIONAL_SEQUENCE_LSTM",
    "rnn": "UNIDIRECTIONAL_SEQUENCE_RNN", "reverse": "REVERSE_SEQUENCE", "non_max_suppression": "NON_MAX_SUPPRESSION_V4",
    "local_response_norm": "LOCAL_RESPONSE_NORMALIZATION", "random": "RANDOM_UNIFORM",
}  # fmt: skip

#: The version that takes int8, where it is not 2.
_INT8 = {
    "conv2d": 3, "depthwise_conv2d": 3, "fully_connected": 4, "hard_swish": 1, "gelu": 1, "quantize": 2, "dequantize": 2,
    "cast": 1, "resize_nearest": 2,
}  # fmt: skip

#: Ops that had a first version only, whatever the type.
_ONE_VERSION = frozenset(
    "abs ceil cos elu exp floor log neg reshape round rsqrt sin sqrt square hard_swish gelu prelu".split()
)


def native_name(kind: str) -> str:
    return _NAMES.get(kind, kind.upper())


def version(kind: str, attributes: Mapping[str, Any], dtypes: Sequence[str], rank: int = 0) -> int:
    """The op's version; ``dtypes`` are its inputs' in the order of ``graph.ops``, ``rank`` is that of the first."""
    if kind == "transpose" and rank > 4:
        return 4
    if kind in _ONE_VERSION:
        return 1
    if dtypes and dtypes[0] in ("int8", "uint8"):
        return _INT8.get(kind, 2)
    if kind == "transpose_conv2d":
        return 3 if len(dtypes) > 2 and dtypes[2] else 1
    if kind == "fully_connected" and attributes.get("keep_num_dims"):
        return 5
    if kind == "depthwise_conv2d" and attributes.get("dilation", (1, 1)) != (1, 1):
        return 2
    if kind in ("resize_bilinear", "resize_nearest") and attributes.get("half_pixel"):
        return 3
    return 2 if kind == "broadcast_to" else 1
