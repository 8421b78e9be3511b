"""The graph that ONNX Runtime executes on its CPU provider: the passes of each level, in order, until nothing changes."""

from __future__ import annotations

from collections.abc import Callable

from latlint.graph.types import Graph
from latlint.records import NamedTuple
from latlint.runtime.onnxruntime import folding, functions, layout, patterns, quantized, transposes
from latlint.runtime.onnxruntime.draft import Draft, draft_of

#: A level is run again as long as it changes something, so often at most (graph_transformer_mgr.h).
_STEPS = 10


class CpuFacts(NamedTuple):
    """What the optimiser asks of a processor. ``nchwc_block``: channels in a block, 0 where there is no blocked layout;
    ``signed_weights``: whether int8 weights are as fast as uint8 ones."""

    nchwc_block: int
    signed_weights: bool


def optimised(graph: Graph, facts: CpuFacts, schemas: str) -> Draft:
    """The draft after all levels: the nodes of the graph that ONNX Runtime saves at ORT_ENABLE_ALL."""
    draft = basic(graph, schemas)
    finish(draft, facts)
    draft.settle()
    return draft


def basic(graph: Graph, schemas: str) -> Draft:
    """The draft after the first level, which no provider has a part in: what each of them is asked about."""
    draft = draft_of(graph, schemas)
    quantized.own_dequantize(draft)
    _repeat(draft, _level1)
    return draft


def finish(draft: Draft, facts: CpuFacts) -> None:
    """The other levels, for what the CPU provider runs of ``draft``."""
    functions.expand(draft)
    functions.widen(draft)
    _repeat(draft, lambda d: _level2(d, facts))
    _level3(draft, facts)
    draft.sweep()


def _repeat(draft: Draft, level: Callable[[Draft], None]) -> None:
    for _ in range(_STEPS):
        draft.changed = False
        level(draft)
        draft.sweep()
        if not draft.changed:
            return


def _level1(draft: Draft) -> None:
    folding.apply_rules(draft)
    quantized.remove_double_pairs(draft)
    folding.share_common(draft)
    folding.fold_constants(draft)
    draft.sweep()
    folding.matmul_add(draft, spare_attention=True)
    folding.fuse_shapes(draft)
    folding.fuse_reshapes(draft)
    patterns.fuse_space_to_depth(draft)
    patterns.fuse_gelu(draft, 1)
    patterns.fuse_layer_norm(draft, 1)
    quantized.propagate(draft)
    quantized.keep_constants_as_integers(draft)
    transposes.optimise_transposes(draft, 1)


def _level2(draft: Draft, facts: CpuFacts) -> None:
    transposes.optimise_transposes(draft, 2)
    quantized.to_integer_ops(draft, facts.signed_weights)
    patterns.fuse_gemm_activation(draft)
    quantized.fuse_dynamic(draft)
    patterns.fuse_conv_activation(draft)
    patterns.fuse_gelu(draft, 2)
    patterns.fuse_layer_norm(draft, 2)
    patterns.fuse_simplified_layer_norm(draft)
    patterns.gather_to_split(draft)
    patterns.fuse_matmul_transpose(draft)
    patterns.fuse_bias_gelu(draft)
    folding.matmul_add(draft)
    patterns.fuse_skip_layer_norm(draft)
    patterns.fuse_quick_gelu(draft)
    patterns.fuse_matmul_scale(draft)


def _level3(draft: Draft, facts: CpuFacts) -> None:
    if facts.nchwc_block:
        layout.to_nchwc(draft, facts.nchwc_block)
    quantized.to_channels_last(draft)
    patterns.fuse_conv_add(draft)
