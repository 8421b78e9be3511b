"""Build ``xnnpack_probes.tar.xz``: small models, and which of their nodes TensorFlow Lite's interpreters delegate to XNNPACK.

Only needed to change the archive. The models come from one version's converter; each version then records what it delegates,
of the models and of the corpus too, each in a virtual environment of its own:

    pip install tensorflow-cpu==2.10.1 "numpy<1.24"                            # Python 3.10
    python tests/runtime/build_xnnpack_probes.py models  WORK
    python tests/runtime/build_xnnpack_probes.py record  WORK CORPUS

    pip install tensorflow-cpu==2.15.1 "numpy<2"                               # Python 3.11
    python tests/runtime/build_xnnpack_probes.py record  WORK CORPUS
    python tests/runtime/build_xnnpack_probes.py pack    WORK
"""

from __future__ import annotations

import functools
import json
import os
import sys
import tarfile
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))
from placement import partitions_of

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

ARCHIVE = Path(__file__).with_name("xnnpack_probes.tar.xz")
IMAGE = [1, 16, 16, 8]
PRECISIONS = ("float", "float16", "dynamic_range", "int8")


def networks():
    """Name -> (function, input shapes)."""
    import numpy as np
    import tensorflow as tf

    random = np.random.default_rng(0)

    def weights(*shape):
        return tf.constant(random.random(shape, dtype="f"))

    nn, compat = tf.nn, tf.compat.v1.image
    found = {}

    def add(name, function, *shapes):
        found[name] = (function, shapes or (IMAGE,))

    for name, function in {
        "abs": tf.abs, "ceil": tf.math.ceil, "floor": tf.floor, "neg": tf.negative, "round": tf.round, "sqrt": tf.sqrt,
        "square": tf.square, "rsqrt": tf.math.rsqrt, "exp": tf.exp, "log": tf.math.log, "sin": tf.sin, "cos": tf.cos,
        "tanh": tf.tanh, "sigmoid": tf.sigmoid, "relu": nn.relu, "relu6": nn.relu6, "elu": nn.elu, "leaky": nn.leaky_relu,
        "softmax": nn.softmax, "gelu": nn.gelu, "log_softmax": nn.log_softmax, "lrn": nn.local_response_normalization,
        "hard_swish": lambda x: x * nn.relu6(x + 3) * 0.16666667, "l2_norm": lambda x: nn.l2_normalize(x, -1),
        "prelu_as_relu": lambda x: nn.relu(x) + (-weights(8)) * nn.relu(-x),
    }.items():  # fmt: skip
        add(name, function)
    for name, function in {
        "add": tf.add, "sub": tf.subtract, "mul": tf.multiply, "div": tf.divide, "maximum": tf.maximum,
        "minimum": tf.minimum, "squared_difference": tf.math.squared_difference, "pow": tf.pow, "floor_div": tf.math.floordiv,
    }.items():  # fmt: skip
        add(name, function, IMAGE, IMAGE)
        add(f"{name}_constant", lambda x, function=function: function(x, weights(8)))
    add("mul_outer", tf.multiply, [1, 16, 1, 8], [1, 1, 16, 8])
    add("mul_scalar", lambda x: x * 2.5)
    add("add_ranks", tf.add, IMAGE, [16, 8])
    add("add_broadcast", tf.add, IMAGE, [1, 1, 1, 8])
    for shape in ([4, 8], [1, 2, 4, 4, 8], [1, 2, 2, 4, 4, 8], [1, 1, 2, 2, 4, 4, 8]):
        add(f"add_rank{len(shape)}", tf.add, shape, shape)
    add("add_n", lambda *x: tf.add_n(x), IMAGE, IMAGE, IMAGE)

    conv = functools.partial(nn.conv2d, strides=1, padding="SAME")
    add("conv3x3", lambda x: conv(x, weights(3, 3, 8, 16)))
    add("conv1x1", lambda x: conv(x, weights(1, 1, 8, 16)))
    add("conv_grouped", lambda x: conv(x, weights(3, 3, 4, 16)))
    add("conv_dilated", lambda x: conv(x, weights(3, 3, 8, 16), dilations=2))
    add("conv_tanh", lambda x: tf.tanh(conv(x, weights(3, 3, 8, 16))))
    add("conv_relu_n1_to_1", lambda x: tf.clip_by_value(conv(x, weights(3, 3, 8, 16)), -1.0, 1.0))
    add("conv_runtime_weights", conv, IMAGE, [3, 3, 8, 16])
    depthwise = functools.partial(nn.depthwise_conv2d, strides=[1, 1, 1, 1], padding="SAME")
    add("depthwise", lambda x: depthwise(x, weights(3, 3, 8, 1)))
    add("depthwise_multiplier", lambda x: depthwise(x, weights(3, 3, 8, 2)))
    add("depthwise_dilated", lambda x: depthwise(x, weights(3, 3, 8, 1), dilations=[2, 2]))
    add("transpose_conv", lambda x: nn.conv2d_transpose(x, weights(3, 3, 4, 8), [1, 32, 32, 4], 2))
    add("fully_connected", lambda x: tf.matmul(x, weights(8, 4)), [3, 8])
    add("fully_connected_bias", lambda x: tf.matmul(x, weights(8, 4)) + weights(4), [3, 8])
    add("fully_connected_large", lambda x: tf.matmul(x, weights(64, 64)), [3, 64])
    add("fully_connected_rank3", lambda x: tf.matmul(x, weights(8, 4)), [1, 5, 8])
    add("fully_connected_runtime_weights", tf.matmul, [3, 8], [8, 4])
    add("batch_matmul", tf.matmul, [2, 3, 8], [2, 8, 4])

    for name, pool in (("max_pool", nn.max_pool2d), ("average_pool", nn.avg_pool2d)):
        add(name, lambda x, pool=pool: pool(x, 3, 2, "SAME"))
        add(f"{name}_2_stride3", lambda x, pool=pool: pool(x, 2, 3, "VALID"))
        add(f"{name}_1_stride2", lambda x, pool=pool: pool(x, 1, 2, "VALID"))
        add(f"{name}_1", lambda x, pool=pool: pool(x, 1, 1, "VALID"))
        add(f"{name}_global", lambda x, pool=pool: pool(x, 16, 1, "VALID"))
    for axes in ([1, 2], [-1], [1], [2], [0, 1, 2, 3]):
        for keep in (False, True):
            name = "mean_" + "".join(str(axis % 4) for axis in axes) + "_keep" * keep
            add(name, lambda x, axes=axes, keep=keep: tf.reduce_mean(x, axes, keep))
    add("mean_rank3", lambda x: tf.reduce_mean(x, 1), [1, 5, 8])
    add("mean_rank3_last", lambda x: tf.reduce_mean(x, -1, True), [1, 5, 8])
    add("mean_rank2", lambda x: tf.reduce_mean(x, -1, True), [5, 8])
    for keep in (False, True):
        add("sum_hw" + "_keep" * keep, lambda x, keep=keep: tf.reduce_sum(x, [1, 2], keep))
        add("sum_w" + "_keep" * keep, lambda x, keep=keep: tf.reduce_sum(x, [2], keep))
    add("sum_c", lambda x: tf.reduce_sum(x, -1))
    add("reduce_max", lambda x: tf.reduce_max(x, [1, 2]))
    add("reduce_min", lambda x: tf.reduce_min(x, -1))
    add("reduce_prod", lambda x: tf.reduce_prod(x, -1))

    spatial = [[0, 0], [1, 1], [1, 1], [0, 0]]
    add("pad", lambda x: tf.pad(x, spatial))
    add("pad_channels", lambda x: tf.pad(x, [[0, 0], [0, 0], [0, 0], [1, 1]]))
    add("pad_rank3", lambda x: tf.pad(x, [[0, 0], [1, 1], [0, 0]]), [1, 5, 8])
    add("pad_rank5", lambda x: tf.pad(x, [[0, 0], [1, 1], [0, 0], [0, 0], [0, 0]]), [1, 5, 2, 2, 8])
    add("pad_v2", lambda x: tf.pad(x, spatial, constant_values=-1.0))
    add("mirror_pad", lambda x: tf.pad(x, spatial, "REFLECT"))
    add("pad_conv", lambda x: nn.conv2d(tf.pad(x, spatial), weights(3, 3, 8, 16), 2, "VALID"))
    add("reshape", lambda x: tf.reshape(x, [1, 256, 8]))
    add("reshape_rank5", lambda x: tf.reshape(x, [1, 16, 16, 2, 4]))
    add("squeeze", lambda x: tf.squeeze(x, [1]), [1, 1, 16, 8])
    add("expand_dims", lambda x: tf.expand_dims(x, 1))
    add("transpose", lambda x: tf.transpose(x, [0, 2, 1, 3]))
    add("transpose_rank3", lambda x: tf.transpose(x, [0, 2, 1]), [1, 4, 5])
    add("transpose_rank5", lambda x: tf.transpose(x, [0, 1, 2, 4, 3]), [1, 4, 4, 2, 4])
    for count in (2, 3, 4, 5, 6):
        add(f"concat_{count}", lambda *x: tf.concat(x, -1), *[IMAGE] * count)
    add("concat_height", lambda *x: tf.concat(x, 1), IMAGE, IMAGE)
    add("concat_constant", lambda x: tf.concat([x, weights(*IMAGE)], -1))
    add("concat_rank3", lambda *x: tf.concat(x, 1), [1, 4, 8], [1, 1, 8])
    for count in (2, 4, 8):
        add(f"split_{count}", lambda x, count=count: tf.split(x, count, -1))
    add("split_3", lambda x: tf.split(x, 3, -1), [1, 16, 16, 9])
    add("split_v", lambda x: tf.split(x, [3, 5], -1))
    add("slice", lambda x: tf.slice(x, [0, 0, 0, 2], [1, 16, 16, 4]))
    add("strided_slice", lambda x: x[:, 1:, :, :])
    add("strided_slice_2", lambda x: x[:, ::2, ::2, :])
    add("strided_slice_shrink", lambda x: x[:, 0])
    add("bilinear", lambda x: compat.resize_bilinear(x, [32, 32]))
    add("bilinear_half_pixel", lambda x: tf.image.resize(x, [32, 32]))
    add("bilinear_align_corners", lambda x: compat.resize_bilinear(x, [32, 32], align_corners=True))
    add("nearest", lambda x: tf.image.resize(x, [32, 32], "nearest"))
    add("depth_to_space", lambda x: nn.depth_to_space(x, 2))
    add("space_to_depth", lambda x: nn.space_to_depth(x, 2))
    add("softmax_rank2", nn.softmax, [1, 10])
    add("pack", lambda *x: tf.stack(x, 1), IMAGE, IMAGE)
    add("unpack", lambda x: tf.unstack(x, axis=1), [1, 2, 4, 8])
    add("gather", lambda x: tf.gather(x, [1, 0], axis=3))
    add("tile", lambda x: tf.tile(x, [1, 2, 1, 1]))
    add("broadcast_to", lambda x: tf.broadcast_to(x, [4, 16, 16, 8]))
    add("cast", lambda x: tf.cast(x, tf.int32))
    add("arg_max", lambda x: tf.argmax(x, -1))
    add("top_k", lambda x: tf.math.top_k(x, 2)[0], [1, 10])
    add("select", lambda a, b: tf.where(a > b, a, b), IMAGE, IMAGE)
    add("greater_cast", lambda a, b: tf.cast(a > b, tf.float32), IMAGE, IMAGE)
    add("cumsum", lambda x: tf.cumsum(x, 1))
    add("reverse", lambda x: tf.reverse(x, [1]))
    add("space_to_batch", lambda x: tf.space_to_batch(x, [2, 2], [[0, 0], [0, 0]]))
    return found


def build_models(work: Path) -> None:
    import numpy as np
    import tensorflow as tf

    for name, (function, shapes) in networks().items():
        concrete = tf.function(function).get_concrete_function(*[tf.TensorSpec(shape, tf.float32) for shape in shapes])
        for precision in PRECISIONS:
            converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete])
            if precision != "float":
                converter.optimizations = [tf.lite.Optimize.DEFAULT]
            if precision == "float16":
                converter.target_spec.supported_types = [tf.float16]
            if precision == "int8":
                random = np.random.default_rng(1)
                samples = [[random.random(shape, dtype="f") for shape in shapes] for _ in range(3)]
                converter.representative_dataset = lambda samples=samples: samples
                converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
                converter.inference_input_type = converter.inference_output_type = tf.int8
            path = work / precision / f"{name}.tflite"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(converter.convert())


def record(work: Path, corpus: Path) -> None:
    import tensorflow as tf

    version = ".".join(tf.__version__.split(".")[:2])
    found = {}
    for directory in [work / name for name in PRECISIONS] + [corpus / "tflite_fp32", corpus / "tflite_int8"]:
        for path in sorted(directory.glob("*.tflite")):
            try:
                interpreter = tf.lite.Interpreter(model_path=str(path))
                found[f"{directory.name}/{path.stem}"] = partitions_of(interpreter)
            except (RuntimeError, ValueError) as error:  # a model that this version cannot run says nothing
                print(path, str(error)[:100])
    (work / f"delegated-{version}.json").write_text(json.dumps(found, indent=0, sort_keys=True))


def pack(work: Path) -> None:
    def plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uid = member.gid = member.mtime = 0
        member.uname = member.gname = ""
        return member

    with tarfile.open(ARCHIVE, "w:xz") as archive:
        for name in (*PRECISIONS, "delegated-2.10.json", "delegated-2.15.json"):
            archive.add(work / name, name, filter=plain)


if __name__ == "__main__":
    command, *paths = sys.argv[1:]
    {"models": build_models, "record": record, "pack": pack}[command](*map(Path, paths))
