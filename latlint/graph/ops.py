"""The op vocabulary: one name for each kind of op, whatever file format it came from.

A reader maps a format's own op to one of these kinds and normalises its attributes as described here, so that nothing
after the readers asks which format a graph came from. An op that has no kind here arrives as ``unknown`` and keeps its
native name in ``Node.native``. Names follow what TensorFlow Lite's GPU delegate prints for its kernels where it has a
word for the op.

Attributes, by kind (spatial pairs are ``(height, width)``; ``padding`` is always explicit, ``(top, bottom, left, right)``):

=====================================  ==========================================================================
``conv2d``, ``depthwise_conv2d``,      ``kernel``, ``stride``, ``dilation``, ``padding``, ``groups``; depthwise also
``transpose_conv2d``                   ``multiplier``. Inputs: data, weights, optional bias
``conv3d``, ``transpose_conv3d``,      ``kernel``, ``stride``, ``dilation`` of one or three dims, ``padding`` flat
``conv1d``                             (begins, then ends), ``groups``
``max_pool2d``, ``average_pool2d``,    ``kernel``, ``stride``, ``padding`` (a global pool has the input's size as kernel)
``l2_pool2d``
``fully_connected``                    ``keep_num_dims`` (bool). Inputs: data, weights, optional bias
``batch_matmul``                       ``transpose_a``, ``transpose_b`` (bool)
``mean``, ``sum``, ``reduce_*``        ``axes`` (tuple, non-negative), ``keep_dims``
``concat``, ``split``, ``softmax``,    ``axis`` (non-negative); ``softmax`` also ``beta``
``arg_max``, ``arg_min``, ``gather``,
``pack``, ``unpack``, ``cumsum``
``pad``, ``pad_v2``, ``mirror_pad``    ``pads`` (tuple of ``(before, after)``, one per dim) where constant; ``mode`` for
                                       mirror_pad (``reflect`` or ``symmetric``). ``pad`` fills with zero,
                                       ``pad_v2`` with a stated ``value``
``transpose``                          ``permutation`` where constant
``resize_bilinear``,                   ``align_corners``, ``half_pixel`` (bool)
``resize_nearest``
``slice``, ``strided_slice``           ``begin``, ``size`` or ``end``, ``strides`` where constant; ``strided_slice`` also
                                       ``ellipsis_mask``, ``new_axis_mask``, ``shrink_axis_mask``, ``begin_mask``, ``end_mask``
``depth_to_space``, ``space_to_depth`` ``block``
``leaky_relu``, ``elu``                ``alpha``
``cast``                               ``to`` (dtype)
``random``                             ``distribution``: ``normal``, or ``classes`` that are drawn from; absent where uniform
=====================================  ==========================================================================

Every kind that TFLite lets carry a fused activation has ``activation``: ``none``, ``relu``, ``relu6``, ``relu_n1_to_1``,
``tanh`` or ``sign_bit``. An attribute that could not be determined (a value computed at run time) is absent.
"""

from __future__ import annotations

from collections.abc import Sequence

UNKNOWN = "unknown"

#: One runtime input, same shape out: what a runtime may apply to a value on its way to memory.
UNARY = frozenset(
    "abs ceil cos elu erf exp floor gelu hard_sigmoid hard_swish leaky_relu log logical_not neg prelu reciprocal relu relu6 "
    "relu_0_to_1 relu_n1_to_1 round rsqrt sigmoid sign sin softplus softsign sqrt square tanh clip mish".split()
)

#: Two inputs, broadcast.
BINARY = frozenset(
    "add sub mul div floor_div floor_mod maximum minimum pow squared_difference equal not_equal greater "
    "greater_equal less less_equal logical_and logical_or".split()
)

CONVOLUTIONS = frozenset("conv1d conv2d conv3d depthwise_conv2d transpose_conv2d transpose_conv3d".split())

MATRIX = frozenset("fully_connected batch_matmul".split())

POOLS = frozenset("max_pool2d average_pool2d l2_pool2d".split())

REDUCTIONS = frozenset("mean sum reduce_max reduce_min reduce_prod reduce_any reduce_all reduce_l1 reduce_l2".split())

#: Ops that only rename or move data.
MOVEMENT = frozenset(
    "concat split split_v pad pad_v2 mirror_pad reshape squeeze expand_dims transpose slice strided_slice depth_to_space "
    "space_to_depth batch_to_space space_to_batch tile broadcast_to gather gather_nd scatter_nd pack unpack reverse identity cast "
    "dropout flatten embedding_lookup".split()
)

OTHER = frozenset(
    "softmax log_softmax resize_bilinear resize_nearest resize_cubic quantize dequantize fake_quant arg_max arg_min top_k select "
    "where shape size rank fill range one_hot cumsum l2_normalization local_response_norm batch_norm layer_norm instance_norm "
    "group_norm lstm gru rnn svdf non_max_suppression detection_postprocess einsum if while call random densify constant "
    "attention grid_sample roi_align variable read_variable assign_variable".split()
)

KINDS = UNARY | BINARY | CONVOLUTIONS | MATRIX | POOLS | REDUCTIONS | MOVEMENT | OTHER | {UNKNOWN}

#: Kinds that may have no inputs or no outputs.
_OPEN = frozenset({UNKNOWN, "call", "if", "while", "constant", "random", "variable", "assign_variable"})
#: Kinds of which a later output may be the only one that is wanted.
RECURRENT = frozenset({"lstm", "gru", "rnn"})
_TWO_INPUTS = CONVOLUTIONS | MATRIX | BINARY


def lacks_operand(kind: str, inputs: Sequence[int], outputs: Sequence[int]) -> bool:
    """Whether a node of ``kind`` lacks an input or output (-1: left out) that every such node has, and planners rely on."""
    if kind in _OPEN:
        return False
    least = 2 if kind in _TWO_INPUTS else 1
    written = outputs if kind in RECURRENT else outputs[:1]
    return len(inputs) < least or min(inputs[:least]) < 0 or max(written, default=-1) < 0
