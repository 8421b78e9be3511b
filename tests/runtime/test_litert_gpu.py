"""What the GPU accelerator of LiteRT takes, refuses and computes wrongly, row by row of edge-compat's ``placement.csv``."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest

from latlint.runtime import plan
from latlint.runtime.reasons import sentence
from latlint.runtime.types import Plan, Processor
from tests.checks.sketch import sketch

GPU = Processor("gpu", "litert-2.2/gpu", "gpu", "qualcomm", "adreno", "float16")


class Row(NamedTuple):
    """A row of ``placement.csv``: how its condition begins, its verdict, the op in a graph, and words of what is said."""

    op: str
    condition: str
    verdict: str
    drawn: str
    said: str = ""
    times: int = 1


ENCODER = "dtype float32; in Nemotron"
#: Rows of the transformer whose whole graph was taken: each op as that graph has it.
TAKEN = {
    "ABS": "y = abs x",
    "ADD": "y = add x x2",
    "CONCATENATION": "y = concat x x2 axis=3",
    "DIV": "y = div x x2",
    "MAXIMUM": "y = maximum x x2",
    "MUL": "y = mul x x2",
    "REDUCE_MAX": "y = reduce_max x axes=3 -> 1x8x541x1",
    "RESHAPE": "y = reshape x -> 1x1x4328x64",
    "RSQRT": "y = rsqrt x",
    "SLICE": "y = slice x -> 1x8x541x32",
    "SOFTMAX": "y = softmax x",
    "SUB": "y = sub x x2",
    "SUM": "y = sum x axes=3 -> 1x8x541x1",
    "TRANSPOSE": "y = transpose x permutation=0,2,1,3",
}
HEADS = "x = input 1x8x541x64\nx2 = input 1x8x541x64\n"
ROWS = [
    *(Row(op, ENCODER, "taken", HEADS + drawn) for op, drawn in TAKEN.items()),
    Row("BATCH_MATMUL", "dtype float32; rank 4; both operands", "taken", "x = input 1x8x541x64\nk = input 1x8x64x541\ny = batch_matmul x k -> 1x8x541x541"),
    Row("CONV_2D", "dtype float32; rank 4; Conv1d k=3", "taken", "x = input 1x1x541x192\ny = conv2d x 1536 kernel=1x3"),
    Row("CONV_2D", "dtype float16; ~930 MB", "taken", "x = input 1x72x72x64\nh = const 64x1x1x64 float16\nw = dequantize h -> 64x1x1x64 float32\ny = conv2d x w 64"),
    Row("FULLY_CONNECTED", "dtype float16; DETR-style", "taken", "x = input 200x256\ny = fully_connected x 256"),
    Row("FULLY_CONNECTED", "float16 weights via DEQUANTIZE", "taken", "x = input 541x192\ny = fully_connected x 256"),
    Row("GELU", "dtype float32; builtin approximate=false (erf)", "taken", HEADS + "y = gelu x"),
    Row("GELU", "dtype float32; builtin approximate=false", "taken", HEADS + "y = gelu x"),
    Row("MEAN", "dtype float32; plain LayerNorm export", "taken", "x = input 1x1x541x192\ny = mean x axes=3"),
    Row("RELU", "dtype float32; in-graph row mask", "taken", HEADS + "y = relu x"),
    Row("RESIZE_BILINEAR", "dtype float32; align_corners=true", "taken", "x = input 1x32x32x64\ns = const 2 int32 value=64,64\ny = resize_bilinear x s align_corners=true -> 1x64x64x64"),
    # refused
    Row("BATCH_MATMUL", "dtype float32; operand A constant", "rejected", "a = const 1x1x64x32\nx = input 1x1x32x16\ny = batch_matmul a x -> 1x1x64x16", "first operand is a constant"),
    Row("CAST", "int64", "rejected", "x = input 1x8x8x4 int64\ny = cast x to=float32 -> 1x8x8x4 float32", "int64"),
    Row("CONV_2D", "all inputs constant", "rejected", "x = const 1x8x8x4\nz = input 1x8x8x4\na = conv2d x 4\ny = add a z", "0 inputs are computed"),
    Row("DEQUANTIZE", "int8 weight-only DEQUANTIZE", "rejected", "x = input 1x1x1x576\nh = const 576x576 int8\nw = dequantize h -> 576x576 float32\ny = mul x w -> 1x1x576x576", "int8 weights unpacked"),
    Row("DIV", "all inputs constant", "rejected", "a = const 1x1x1x1\nb = const 1x1x1x1\nz = input 1x8x8x4\nd = div a b\ny = add z d", "no input is computed"),
    Row("EMBEDDING_LOOKUP", "float16 table", "rejected", "x = input 8 int32\nt = const 1024x8 float16\ny = embedding_lookup x t -> 8x8 float32", "a table of float16"),
    Row("MEAN", "all inputs constant", "rejected", "a = const 1x8x8x4\nz = input 1x8x8x4\nm = mean a axes=1,2\ny = add z m", "no input is computed"),
    Row("RESHAPE", "rank >= 5", "rejected", "x = input 1x50x768\ny = reshape x -> 1x50x3x12x64", "5 dimensions"),
    Row("RESIZE_BILINEAR", "dynamic output size", "rejected", "x = input 1x8x8x4\ns = input 2 int32\ny = resize_bilinear x s -> 1x16x16x4", "depends on what is computed"),
    Row("SELECT", "all inputs constant", "rejected", "c = const 1x8x8x4 bool\na = const 1x8x8x4\nb = const 1x8x8x4\nz = input 1x8x8x4\ns = select c a b -> 1x8x8x4 float32\ny = add z s", "no input is computed"),
    Row("TRANSPOSE_CONV", "any (DAC decode", "rejected", "x = input 1x8x8x4\nw = const 4x2x2x4\ny = transpose_conv2d x w kernel=2 stride=2 padding=0,0,0,0 -> 1x16x16x4", "Pixel 8a"),
    Row("FULLY_CONNECTED", "DRQ int8", "crash", "x = input 1x16x64\nz = input 1x16x64\nw = const 64x64 int8\nf = fully_connected_drawn x w keep_num_dims=true -> 1x16x64\ny = add f z", "int8 weights", times=2),
    Row("BATCH/whole graph", "perf_factors: rank-5", "rejected", "x = input 1x197x2304\ny = reshape x -> 1x197x3x12x64", "5 dimensions"),
    Row("TRANSPOSE+RESHAPE (PixelShuffle lowering)", "perf_factors", "rejected", "x = input 1x160x160x48\na = reshape x -> 1x160x160x3x4x4\nb = transpose a permutation=0,1,4,2,5,3\ny = reshape b -> 1x640x640x3", "6 dimensions"),
    Row("DEQUANTIZE", "perf_factors: int4", "rejected", "x = input 1x1x1x576\nh = const 576x576 int4\nw = dequantize h -> 576x576 float32\ny = mul x w -> 1x1x576x576", "int4 weights unpacked"),
    # taken, and wrong
    Row("ADD", "float32; large baked-constant", "wrong-output", "x = input 1x677x384\np = const 1x677x384\ny = add x p", "larger than a row"),
    Row("BATCH_MATMUL", "float32; rank 3", "wrong-output", "x = input 8x100x32\nk = input 8x32x100\ny = batch_matmul x k -> 8x100x100", "BATCH_MATMUL of three dimensions"),
    Row("FULLY_CONNECTED", "float32 or fp16 file; chain", "wrong-output", "x = input 100x256\nt = const 100x256\nf = fully_connected x 256\ny = add f t", "larger than a row"),
    Row("MUL", "float32; broadcast constant", "wrong-output", "x = input 1x677x384\ng = const 384\nm = mul x g\ny = add x m", "fold it into the layer before"),
    Row("MUL", "float32; broadcast over dim 1", "wrong-output", "x = input 1x12x8x64\ng = input 1x1x8x64\ny = mul x g", "broadcast over dimension 1"),
    Row("SQUARED_DIFFERENCE", "dtype float32; LayerNorm chain", "wrong-output", "x = input 1x1x541x192\nm = mean x axes=3\ny = squared_difference x m", "overflows float16"),
    Row("SUM", "float32; one multi-axis", "wrong-output", "x = input 1x256x256x4\ny = sum x axes=1,2 -> 1x1x1x4", "NaN"),
]  # fmt: skip
#: Rows of the file that say nothing of the GPU accelerator.
OTHERS = {("FULLY_CONNECTED", "dtype float16; XNNPACK CPU, 607 MB CLIP-L text encoder (SAM 3.1)")}


def planned(row: Row) -> Plan:
    return plan(sketch(row.drawn.replace("fully_connected_drawn", "fully_connected")), GPU)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.verdict} {row.op} {row.condition}")
def test_a_row_is_planned_as_it_says(row: Row) -> None:
    found = planned(row)
    whole = {part.executor for part in found.partitions} == {"mldrift"}
    assert whole == (row.verdict in ("taken", "wrong-output"))
    said = [sentence(why) for why in found.fallbacks.values()] if not whole else list(found.notes)
    assert any(row.said in text for text in said), said
    if row.verdict == "taken":
        assert not any("came out wrong" in text for text in found.notes)


def test_one_op_that_is_left_leaves_the_whole_graph() -> None:
    found = plan(
        sketch("x = input 1x8x8x4\na = conv2d x 8\nb = reshape a -> 1x8x8x2x4\nc = reshape b -> 1x8x8x8\ny = relu c"),
        GPU,
    )
    assert {why.code for why in found.fallbacks.values()} == {"RANK", "WHOLE_GRAPH"}
    assert {part.executor for part in found.partitions} <= {"xnnpack", "builtin"}
    assert not any("float16" in note for note in found.notes)


def test_float16_is_said_once() -> None:
    found = plan(sketch("x = input 1x8x8x4\na = conv2d x 8\ny = relu a"), GPU)
    assert len([note for note in found.notes if "float16" in note]) == 1
    assert {kernel.input_dtype for kernel in found.kernels} == {"float16"}


def test_an_elementwise_op_is_linked_whatever_else_it_reads() -> None:
    """Where its other operand is there before the kernel runs; its bytes are read."""
    ahead = plan(sketch("x = input 1x8x8x8\na = conv2d x 8\ny = add a x"), GPU)
    assert [(kernel.op, kernel.linked) for kernel in ahead.kernels] == [("conv2d", ("add",))]
    assert ahead.kernels[0].inputs == ((1, 8, 8, 8), (1, 8, 8, 8))
    later = plan(sketch("x = input 1x8x8x8\na = conv2d x 8\nb = conv2d x 8\ny = add a b"), GPU)
    assert [kernel.op for kernel in later.kernels] == ["conv2d", "conv2d", "add"]


def test_every_row_of_the_file_is_here(shared: Path) -> None:
    with (shared / "data" / "edge-compat" / "placement.csv").open(newline="", encoding="utf-8") as rows:
        theirs = [row for row in csv.DictReader(rows) if row["matrix"].startswith("gpu_mldrift")]
    explained = Counter[Row]()
    for row in theirs:
        if (row["op"], row["condition"]) in OTHERS:
            continue
        fits = [
            each
            for each in ROWS
            if each.op == row["op"] and row["condition"].startswith(each.condition) and each.verdict == row["verdict"]
        ]
        assert fits, (row["op"], row["condition"], row["verdict"])
        explained[max(fits, key=lambda each: len(each.condition))] += 1
    assert {each: each.times for each in ROWS} == dict(explained)
