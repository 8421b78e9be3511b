"""Export the models of this directory with real tools, with random weights that are zeroed in the finished file.

Only needed to change the files. One command per tool, each in a virtual environment of its own (Python 3.11), in this order:

    pip install torch==2.13.0 onnx==1.23.2 onnxscript==0.7.2 onnxruntime==1.31.1 onnxconverter-common==1.16.0
    python tests/exporters/make.py torch

    pip install tensorflow-cpu==2.15.1 "numpy<2" flatbuffers
    python tests/exporters/make.py keras

    pip install tensorflow-cpu==2.15.1 "numpy<2" tf2onnx==1.17.0
    python tests/exporters/make.py tf2onnx

    pip install onnx2tf==1.29.24
    python tests/exporters/make.py onnx2tf

Networks are small versions of what people ship. A file that is not sound is not written: each runs once in its own runtime.
"""

from __future__ import annotations

import argparse
import gzip
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "models"))

import build  # noqa: E402  # tests/models/build.py zeroes and runs models

SEED = 224
SIDE = 128


def pack(name: str, model: bytes) -> None:
    """Write ``NAME.gz`` beside this script, the same bytes on every run."""
    packed = gzip.compress(model, compresslevel=9, mtime=0)
    (HERE / f"{name}.gz").write_bytes(packed)
    print(f"{name:36} {len(model):>10,} bytes, packed {len(packed):>7,}", flush=True)


def each(makers: dict[str, Callable[[], bytes]], only: str) -> None:
    for name, maker in makers.items():
        if only in name:
            pack(name, maker())


# --- PyTorch ---------------------------------------------------------------------------------------------------------


def torch_models() -> dict[str, Callable[[], bytes]]:
    """ONNX files by PyTorch's two exporters, and by the tools that work on its files: float16 and int8."""
    image = ("image",)
    return {
        "torch_legacy_resnet.onnx": lambda: legacy(resnet(), (zeros(),), image),
        "torch_dynamo_resnet.onnx": lambda: dynamo(resnet(), (zeros(),), image),
        "torch_legacy_vit.onnx": lambda: legacy(vit(), (zeros(),), image),
        "torch_dynamo_vit.onnx": lambda: dynamo(vit(), (zeros(),), image),
        "torch_legacy_detector_nms.onnx": lambda: legacy(detector(), (zeros(),), image, outputs=("picked", "boxes")),
        "torch_legacy_segmentation.onnx": lambda: legacy(segmentation(), (zeros(),), image),
        "torch_dynamo_segmentation.onnx": lambda: dynamo(segmentation(), (zeros(),), image),
        "torch_legacy_lstm.onnx": lambda: legacy(speech(), (sequence(),), ("features",)),
        "torch_legacy_dynamic_size.onnx": lambda: legacy(
            segmentation(), (zeros(),), image, dynamic={"image": {0: "batch", 2: "height", 3: "width"}}
        ),
        "torch_dynamo_dynamic_batch.onnx": lambda: dynamo(resnet(), (zeros(2),), image, dynamic=({0: "batch"},)),
        "torch_legacy_resnet_f16.onnx": lambda: in_float16(legacy(resnet(), (zeros(),), image, zeroed=False)),
        "torch_legacy_resnet_qdq.onnx": lambda: quantized(legacy(resnet(), (zeros(),), image, zeroed=False)),
        "torch_legacy_mobilenet_qdq.onnx": lambda: quantized(legacy(mobilenet(), (zeros(),), image, zeroed=False)),
    }


def zeros(batch: int = 1) -> Any:
    import torch

    return torch.zeros(batch, 3, SIDE, SIDE)


def sequence() -> Any:
    import torch

    return torch.zeros(1, 50, 40)


def legacy(
    network: Any,
    inputs: tuple[Any, ...],
    names: tuple[str, ...],
    *,
    outputs: tuple[str, ...] = ("output",),
    dynamic: Any = None,
    zeroed: bool = True,
) -> bytes:
    """By the exporter that traces (torch.onnx.export with dynamo=False), opset 17."""
    import onnx
    import torch

    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "model.onnx"
        torch.onnx.export(
            network, inputs, str(path), dynamo=False, opset_version=17, input_names=names, output_names=outputs,
            dynamic_axes=dynamic,
        )  # fmt: skip
        model = onnx.load(path)
    return finished(model) if zeroed else model.SerializeToString()


def dynamo(network: Any, inputs: tuple[Any, ...], names: tuple[str, ...], *, dynamic: Any = None) -> bytes:
    """By the exporter that is the default since PyTorch 2.9, on torch.export."""
    import torch

    program = torch.onnx.export(
        network, inputs, dynamo=True, input_names=names, output_names=("output",), dynamic_shapes=dynamic, verbose=False
    )
    return finished(program.model_proto)


def finished(model: Any) -> bytes:
    """Large weights zeroed, whichever way the file keeps them; run once."""
    import onnx
    import onnxruntime
    from onnx import numpy_helper

    for tensor in build.constants(model):
        array = numpy_helper.to_array(tensor)
        if array.dtype == np.int64 or array.size <= build.SMALL or tensor.name.endswith("_scale"):
            continue
        tensor.CopyFrom(numpy_helper.from_array(np.zeros_like(array), tensor.name))
    for node in model.graph.node:  # stack traces: paths of the machine, and most of a file's size
        del node.metadata_props[:]
        node.doc_string = ""
    for value in (*model.graph.value_info, *model.graph.input, *model.graph.output):
        del value.metadata_props[:]
    data: bytes = model.SerializeToString(deterministic=True)
    onnx.checker.check_model(onnx.load_model_from_string(data), full_check=True)
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    sizes = {"batch": 2, "height": 96, "width": 160}
    feeds = {
        value.name: np.zeros([sizes.get(dim, dim) for dim in value.shape], np.float32) for value in session.get_inputs()
    }
    session.run(None, feeds)
    return data


def randomized(network: Any) -> Any:
    """In inference mode, with weights of which no two are equal: an exporter would merge them."""
    import torch

    torch.manual_seed(SEED)
    for parameter in network.parameters():
        torch.nn.init.uniform_(parameter, -0.1, 0.1)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean, -0.1, 0.1)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
    return network.eval()


def convolution(inputs: int, outputs: int, kernel: int = 3, stride: int = 1, **more: Any) -> list[Any]:
    from torch import nn

    padding = more.get("dilation", 1) * (kernel // 2)
    return [nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False, **more), nn.BatchNorm2d(outputs)]


def resnet() -> Any:
    """A residual network: stem with a padded max pool, three stages, global pool."""
    import torch
    from torch import nn

    class Block(nn.Module):
        def __init__(self, inputs: int, outputs: int, stride: int) -> None:
            super().__init__()
            self.body = nn.Sequential(
                *convolution(inputs, outputs, stride=stride), nn.ReLU(), *convolution(outputs, outputs)
            )
            plain = inputs == outputs and stride == 1
            self.shortcut = nn.Identity() if plain else nn.Sequential(*convolution(inputs, outputs, 1, stride))

        def forward(self, x: Any) -> Any:
            return torch.relu(self.body(x) + self.shortcut(x))

    stem = [*convolution(3, 32, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    stages = [Block(32, 32, 1), Block(32, 64, 2), Block(64, 64, 1), Block(64, 128, 2)]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(128, 100)]
    return randomized(nn.Sequential(*stem, *stages, *head))


def mobilenet() -> Any:
    """Inverted residuals with ReLU6, hard-swish and a squeeze-and-excitation."""
    from torch import nn

    class Excited(nn.Module):
        def __init__(self, channels: int) -> None:
            super().__init__()
            self.gate = nn.Sequential(
                nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, channels // 4, 1), nn.ReLU(),
                nn.Conv2d(channels // 4, channels, 1), nn.Hardsigmoid(),
            )  # fmt: skip

        def forward(self, x: Any) -> Any:
            return x * self.gate(x)

    class Block(nn.Module):
        def __init__(self, inputs: int, outputs: int, stride: int, activation: Any, excited: bool) -> None:
            super().__init__()
            inner = 4 * inputs
            layers = [*convolution(inputs, inner, 1), activation, *convolution(inner, inner, 3, stride, groups=inner)]
            layers += [activation, Excited(inner)] if excited else [activation]
            self.body = nn.Sequential(*layers, *convolution(inner, outputs, 1))
            self.adds = inputs == outputs and stride == 1

        def forward(self, x: Any) -> Any:
            return x + self.body(x) if self.adds else self.body(x)

    layers = [
        *convolution(3, 16, 3, 2), nn.Hardswish(), Block(16, 24, 2, nn.ReLU6(), False), Block(24, 24, 1, nn.ReLU6(), False),
        Block(24, 40, 2, nn.Hardswish(), True), Block(40, 40, 1, nn.Hardswish(), True), *convolution(40, 160, 1), nn.Hardswish(),
    ]  # fmt: skip
    return randomized(nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(160, 100)))


def vit() -> Any:
    """A vision transformer as torch.nn has it: TransformerEncoder, scaled dot product attention, GELU."""
    import torch
    from torch import nn

    class VisionTransformer(nn.Module):
        def __init__(self, width: int = 96, patch: int = 16) -> None:
            super().__init__()
            self.patches = nn.Conv2d(3, width, patch, patch)
            self.token = nn.Parameter(torch.randn(1, 1, width))
            self.positions = nn.Parameter(torch.randn(1, (SIDE // patch) ** 2 + 1, width))
            layer = nn.TransformerEncoderLayer(
                width, 3, 4 * width, 0.0, activation="gelu", batch_first=True, norm_first=True
            )
            self.encoder = nn.TransformerEncoder(layer, 3, nn.LayerNorm(width), enable_nested_tensor=False)
            self.head = nn.Linear(width, 100)

        def forward(self, image: Any) -> Any:
            x = self.patches(image).flatten(2).transpose(1, 2)
            x = torch.cat((self.token.expand(x.shape[0], -1, -1), x), 1) + self.positions
            return self.head(self.encoder(x)[:, 0])

    return randomized(VisionTransformer())


def detector() -> Any:
    """A one-stage detector with a feature pyramid; non-maximum suppression as YOLO exports write it, as one ONNX op."""
    import torch
    from torch import nn
    from torch.nn import functional

    class Suppression(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, boxes: Any, scores: Any, count: Any, overlap: Any, least: Any) -> Any:
            return torch.zeros(20, 3, dtype=torch.int64)

        @staticmethod
        def symbolic(g: Any, *inputs: Any) -> Any:
            return g.op("NonMaxSuppression", *inputs)

    class Detector(nn.Module):
        def __init__(self, classes: int = 10) -> None:
            super().__init__()
            self.stem = nn.Sequential(*convolution(3, 16, 3, 2), nn.SiLU(), *convolution(16, 32, 3, 2), nn.SiLU())
            self.middle = nn.Sequential(*convolution(32, 64, 3, 2), nn.SiLU())
            self.deep = nn.Sequential(*convolution(64, 128, 3, 2), nn.SiLU())
            self.pools = nn.MaxPool2d(5, 1, 2)
            self.joined = nn.Sequential(*convolution(256, 64, 1), nn.SiLU())
            self.heads = nn.ModuleList(nn.Conv2d(width, 5 + classes, 1) for width in (128, 64))

        def forward(self, image: Any) -> Any:
            middle = self.middle(self.stem(image))
            deep = self.deep(middle)
            wide = self.joined(torch.cat((deep, self.pools(deep)), 1))
            fine = torch.cat((middle, functional.interpolate(wide, scale_factor=2.0, mode="nearest")), 1)
            found = [head(x).flatten(2) for head, x in zip(self.heads, (fine, wide), strict=True)]
            rows = torch.cat(found, 2).transpose(1, 2)
            boxes = torch.cat((rows[..., :2].sigmoid() * SIDE, rows[..., 2:4].exp()), -1)
            scores = (rows[..., 4:5].sigmoid() * rows[..., 5:].sigmoid()).transpose(1, 2)
            limits = torch.tensor([20]), torch.tensor([0.5]), torch.tensor([0.25])
            picked = Suppression.apply(boxes, scores, *limits)
            return picked, boxes[0].index_select(0, picked[:, 2])

    return randomized(Detector())


def segmentation() -> Any:
    """An encoder and decoder: dilated convolutions, a pooled branch, bilinear resizing, a transposed convolution."""
    import torch
    from torch import nn
    from torch.nn import functional

    class Segmentation(nn.Module):
        def __init__(self, classes: int = 21) -> None:
            super().__init__()
            self.stem = nn.Sequential(*convolution(3, 24, 3, 2), nn.ReLU(), *convolution(24, 32, 3, 2), nn.ReLU())
            self.deep = nn.Sequential(*convolution(32, 64, 3, 2), nn.ReLU())
            self.branches = nn.ModuleList(
                nn.Sequential(*convolution(64, 32, 3, dilation=rate), nn.ReLU()) for rate in (1, 2, 4)
            )
            self.pooled = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(64, 32, 1), nn.ReLU())
            self.merge = nn.Sequential(*convolution(128, 32, 1), nn.ReLU())
            self.up = nn.ConvTranspose2d(32, 32, 2, 2)
            self.head = nn.Conv2d(64, classes, 1)

        def forward(self, image: Any) -> Any:
            skip = self.stem(image)
            x = self.deep(skip)
            pooled = functional.interpolate(self.pooled(x), size=x.shape[2:], mode="bilinear", align_corners=False)
            x = self.merge(torch.cat([*(branch(x) for branch in self.branches), pooled], 1))
            x = self.head(torch.cat((self.up(x), skip), 1))
            return functional.interpolate(x, size=image.shape[2:], mode="bilinear", align_corners=False)

    return randomized(Segmentation())


def speech() -> Any:
    """Convolution over time, a bidirectional LSTM of two layers, a GRU, a linear layer."""
    from torch import nn

    class Speech(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.convolution = nn.Conv1d(40, 64, 3, 2, 1)
            self.lstm = nn.LSTM(64, 48, 2, batch_first=True, bidirectional=True)
            self.gru = nn.GRU(96, 48, batch_first=True)
            self.head = nn.Linear(48, 30)

        def forward(self, features: Any) -> Any:
            x = self.convolution(features.transpose(1, 2)).relu().transpose(1, 2)
            return self.head(self.gru(self.lstm(x)[0])[0]).log_softmax(-1)

    return randomized(Speech())


def in_float16(model: bytes) -> bytes:
    """By onnxconverter-common, with float32 inputs and outputs kept."""
    import onnx
    from onnxconverter_common import float16

    return finished(float16.convert_float_to_float16(onnx.load_model_from_string(model), keep_io_types=True))


def quantized(model: bytes) -> bytes:
    """By ONNX Runtime's static quantisation: preprocessed, QDQ, int8, per channel."""
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Images(CalibrationDataReader):
        def __init__(self) -> None:
            rng = np.random.default_rng(SEED)
            self.left = [{"image": rng.uniform(-1, 1, (1, 3, SIDE, SIDE)).astype(np.float32)} for _ in range(2)]

        def get_next(self) -> Any:
            return self.left.pop() if self.left else None

    with tempfile.TemporaryDirectory() as directory:
        plain, ready, done = (str(Path(directory) / f"{name}.onnx") for name in ("plain", "ready", "done"))
        Path(plain).write_bytes(model)
        quant_pre_process(plain, ready)
        quantize_static(
            ready, done, Images(), quant_format=QuantFormat.QDQ, per_channel=True,
            activation_type=QuantType.QInt8, weight_type=QuantType.QInt8,
        )  # fmt: skip
        return finished(onnx.load(done))


# --- TensorFlow ------------------------------------------------------------------------------------------------------


def keras_models() -> dict[str, Callable[[], bytes]]:
    """.tflite files by TensorFlow's converter, in its four precisions."""
    import tensorflow as tf

    applications = tf.keras.applications
    shape = (SIDE, SIDE, 3)

    def mobilenet() -> Any:
        return applications.MobileNetV3Small(shape, alpha=0.75, weights=None, classes=100, dropout_rate=0)

    def mobilenet_v2() -> Any:
        return applications.MobileNetV2(shape, 0.35, weights=None, classes=100)

    return {
        "keras_mobilenet_v3.tflite": lambda: tflite(mobilenet),
        "keras_mobilenet_v3_f16.tflite": lambda: tflite(mobilenet, build.as_float16),
        "keras_mobilenet_v3_dynamic_range.tflite": lambda: tflite(mobilenet, as_dynamic_range),
        "keras_mobilenet_v3_int8.tflite": lambda: tflite(mobilenet, as_int8),
        "keras_mobilenet_v2_int8_float_io.tflite": lambda: tflite(mobilenet_v2, as_int8_float_io),
        "keras_vit.tflite": lambda: tflite(keras_vit),
        "keras_vit_dynamic_range.tflite": lambda: tflite(keras_vit, as_dynamic_range),
        "keras_segmentation.tflite": lambda: tflite(keras_segmentation),
        "keras_segmentation_int8.tflite": lambda: tflite(keras_segmentation, as_int8),
        "keras_dynamic_size.tflite": lambda: tflite(lambda: keras_segmentation(None), batch=None),
        "keras_dynamic_batch.tflite": lambda: tflite(keras_pooled, batch=None),
        "keras_lstm.tflite": lambda: tflite(keras_lstm),
        "keras_lstm_while.tflite": lambda: tflite(keras_lstm_while),
        "keras_detector_postprocess.tflite": lambda: tflite_function(detector_function("postprocess")),
        "keras_detector_combined_nms.tflite": lambda: tflite_function(detector_function("combined"), flex=True),
        "keras_detector_nms_v5.tflite": lambda: tflite_function(detector_function("builtin")),
    }


def tflite(make: Callable[[], Any], options: Callable[[Any], None] | None = None, *, batch: int | None = 1) -> bytes:
    """A Keras network by the converter: at batch 1, or from the model as it is, with its sizes open."""
    import tensorflow as tf

    tf.keras.backend.clear_session()
    tf.keras.utils.set_random_seed(SEED)
    network = make()
    build.randomize(network)
    if batch is None:
        converter = tf.lite.TFLiteConverter.from_keras_model(network)
    else:
        spec = tf.TensorSpec((batch, *network.input_shape[1:]), tf.float32, name="input")
        function = tf.function(lambda x: network(x, training=False)).get_concrete_function(spec)
        converter = tf.lite.TFLiteConverter.from_concrete_functions([function], network)
    if options:
        options(converter)
    return finished_tflite(bytes(converter.convert()))


def tflite_function(function: Any, *, flex: bool = False) -> bytes:
    """A tf.function by the converter, with TensorFlow's own kernels and custom ops where it may."""
    import tensorflow as tf

    module = tf.Module()
    module.function, module.network = function, function.network
    with tempfile.TemporaryDirectory() as directory:
        tf.saved_model.save(module, directory, signatures=function)
        converter = tf.lite.TFLiteConverter.from_saved_model(directory)
        converter.allow_custom_ops = True
        if flex:
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.SELECT_TF_OPS]
        return finished_tflite(bytes(converter.convert()))


def finished_tflite(model: bytes) -> bytes:
    """Large weights zeroed; run once, open sizes at some others than 1."""
    import tensorflow as tf

    zeroed = build.zero_tflite(model)
    interpreter = tf.lite.Interpreter(model_content=zeroed)
    for tensor in interpreter.get_input_details():
        shape = zip(tensor["shape_signature"], (2, 96, 160, 3), strict=False)
        if -1 in tensor["shape_signature"]:
            interpreter.resize_tensor_input(tensor["index"], [size if dim < 0 else dim for dim, size in shape])
    interpreter.allocate_tensors()
    for tensor in interpreter.get_input_details():
        interpreter.set_tensor(tensor["index"], np.zeros(tensor["shape"], tensor["dtype"]))
    interpreter.invoke()
    return zeroed


def as_dynamic_range(converter: Any) -> None:
    import tensorflow as tf

    converter.optimizations = [tf.lite.Optimize.DEFAULT]


def images() -> Any:
    rng = np.random.default_rng(SEED)
    return ([rng.uniform(0, 255, (1, SIDE, SIDE, 3)).astype(np.float32)] for _ in range(2))


def as_int8(converter: Any) -> None:
    """Full int8, from input to output."""
    import tensorflow as tf

    as_int8_float_io(converter)
    converter.inference_input_type = converter.inference_output_type = tf.int8


def as_int8_float_io(converter: Any) -> None:
    """Full int8 between a QUANTIZE and a DEQUANTIZE."""
    import tensorflow as tf

    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = images
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]


def keras_vit() -> Any:
    """A vision transformer of Keras layers: MultiHeadAttention is written with einsums."""
    import tensorflow as tf

    layers = tf.keras.layers
    inputs = layers.Input((SIDE, SIDE, 3))
    x = layers.Conv2D(96, 16, 16)(inputs)
    x = layers.Reshape(((SIDE // 16) ** 2, 96))(x)
    x = x + layers.Embedding((SIDE // 16) ** 2, 96)(tf.range((SIDE // 16) ** 2))
    for _ in range(3):
        y = layers.LayerNormalization()(x)
        x = layers.Add()([x, layers.MultiHeadAttention(3, 32)(y, y)])
        y = layers.LayerNormalization()(x)
        x = layers.Add()([x, layers.Dense(96)(layers.Dense(384, activation="gelu")(y))])
    return tf.keras.Model(inputs, layers.Dense(100)(layers.GlobalAveragePooling1D()(layers.LayerNormalization()(x))))


def keras_segmentation(side: int | None = SIDE) -> Any:
    """An encoder and decoder: dilated convolutions, bilinear resizing, a transposed convolution."""
    import tensorflow as tf

    layers = tf.keras.layers
    inputs = layers.Input((side, side, 3))

    def block(x: Any, filters: int, stride: int = 1, dilation: int = 1) -> Any:
        x = layers.Conv2D(filters, 3, stride, "same", dilation_rate=dilation, use_bias=False)(x)
        return layers.ReLU()(layers.BatchNormalization()(x))

    skip = block(block(inputs, 24, 2), 32, 2)
    x = block(skip, 64, 2)
    x = layers.Concatenate()([block(x, 32), block(x, 32, dilation=2), block(x, 32, dilation=4)])
    x = layers.Conv2DTranspose(32, 2, 2, "same", activation="relu")(x)
    x = layers.Conv2D(21, 1)(layers.Concatenate()([x, skip]))
    x = layers.UpSampling2D(4, interpolation="bilinear")(x)
    return tf.keras.Model(inputs, layers.Softmax()(x))


def keras_pooled() -> Any:
    """Convolutions, a Flatten and dense layers: with an open batch, Flatten is shape arithmetic."""
    import tensorflow as tf

    layers = tf.keras.layers
    inputs = layers.Input((64, 64, 3))
    x = layers.MaxPooling2D()(layers.Conv2D(32, 3, 2, "same", activation="relu")(inputs))
    x = layers.Reshape((16, 16, 2, 16))(x)
    x = layers.Reshape((16, 16, 32))(layers.Permute((1, 2, 4, 3))(x))
    x = layers.Flatten()(layers.MaxPooling2D(4)(x))
    return tf.keras.Model(inputs, layers.Dense(10, activation="softmax")(layers.Dense(64, activation="relu")(x)))


def keras_lstm() -> Any:
    """Two LSTMs that the converter fuses into UNIDIRECTIONAL_SEQUENCE_LSTM: the batch is fixed."""
    import tensorflow as tf

    layers = tf.keras.layers
    inputs = layers.Input((50, 40), batch_size=1)
    x = layers.LSTM(64, return_sequences=True)(layers.Conv1D(64, 3, padding="same", activation="relu")(inputs))
    return tf.keras.Model(inputs, layers.Dense(30, activation="softmax")(layers.LSTM(48)(x)))


def keras_lstm_while() -> Any:
    """A GRU and an LSTM that the converter leaves as loops: it fuses neither a GRU nor a cell inside of an RNN layer."""
    import tensorflow as tf

    layers = tf.keras.layers
    inputs = layers.Input((50, 40), batch_size=1)
    x = layers.GRU(64, return_sequences=True)(inputs)
    return tf.keras.Model(inputs, layers.Dense(30)(layers.RNN(layers.LSTMCell(48))(x)))


def detector_function(tail: str) -> Any:
    """A one-stage detector whose tail is TFLite's custom op, combined non-maximum suppression, or one class's suppression."""
    import tensorflow as tf

    layers = tf.keras.layers
    classes, count = 10, 20
    tf.keras.backend.clear_session()
    tf.keras.utils.set_random_seed(SEED)
    inputs = layers.Input((SIDE, SIDE, 3))
    x = inputs
    for filters in (16, 32, 64, 128):
        x = layers.SeparableConv2D(filters, 3, 2, "same", use_bias=False)(x)
        x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
    boxes = layers.Reshape((-1, 4))(layers.Conv2D(12, 3, padding="same")(x))
    scores = layers.Reshape((-1, classes + 1))(
        layers.Conv2D(3 * (classes + 1), 3, padding="same", activation="sigmoid")(x)
    )
    network = tf.keras.Model(inputs, [boxes, scores])
    anchors = tf.constant(np.random.default_rng(SEED).uniform(0.1, 1, (192, 4)).astype(np.float32))
    options = {
        "max_detections": count, "max_classes_per_detection": 1, "use_regular_nms": False, "nms_score_threshold": 0.25,
        "nms_iou_threshold": 0.5, "y_scale": 10.0, "x_scale": 10.0, "h_scale": 5.0, "w_scale": 5.0, "num_classes": classes,
    }  # fmt: skip
    text = 'name: "TFLite_Detection_PostProcess" ' + " ".join(
        f'attr {{ key: "{key}" value {{ {_kind(value)}: {str(value).lower()} }} }}' for key, value in options.items()
    )

    @tf.function(experimental_implements=text, autograph=False)
    def postprocess(boxes: Any, scores: Any, anchors: Any) -> Any:
        size = tf.zeros((1, count))
        return tf.zeros((1, count, 4)), size, size, tf.zeros((1,))

    @tf.function(input_signature=[tf.TensorSpec((1, SIDE, SIDE, 3), tf.float32)], autograph=False)
    def detect(image: Any) -> Any:
        boxes, scores = network(image, training=False)
        if tail == "postprocess":
            return dict(zip("bcsn", postprocess(boxes, scores, anchors), strict=True))
        if tail == "combined":
            found = tf.image.combined_non_max_suppression(boxes[:, :, None], scores[..., 1:], count, count, 0.5, 0.25)
            return dict(zip("bscn", found, strict=True))
        best = tf.reduce_max(scores[0, :, 1:], -1)
        picked, kept = tf.image.non_max_suppression_with_scores(boxes[0], best, count, 0.5, 0.25)
        return {"boxes": tf.gather(boxes[0], picked), "scores": kept}

    detect.network = network
    return detect


def _kind(value: Any) -> str:
    return {bool: "b", int: "i", float: "f"}[type(value)]


# --- Converters between the two --------------------------------------------------------------------------------------


def tf2onnx_models() -> dict[str, Callable[[], bytes]]:
    """.onnx files by tf2onnx, opset 17."""
    import tensorflow as tf

    def mobilenet() -> Any:
        return tf.keras.applications.MobileNetV2((SIDE, SIDE, 3), 0.35, weights=None, classes=100)

    return {
        "tf2onnx_mobilenet_v2.onnx": lambda: by_tf2onnx(mobilenet),
        "tf2onnx_segmentation.onnx": lambda: by_tf2onnx(keras_segmentation),
        "tf2onnx_lstm.onnx": lambda: by_tf2onnx(keras_lstm),
    }


def by_tf2onnx(make: Callable[[], Any]) -> bytes:
    import tensorflow as tf
    import tf2onnx

    tf.keras.backend.clear_session()
    tf.keras.utils.set_random_seed(SEED)
    network = make()
    spec = (tf.TensorSpec((1, *network.input_shape[1:]), tf.float32, name="input"),)
    model, _ = tf2onnx.convert.from_keras(network, spec, opset=17)
    return finished(model)


def onnx2tf_models() -> dict[str, Callable[[], bytes]]:
    """.tflite files by onnx2tf, from the .onnx files here."""
    return {
        "onnx2tf_resnet.tflite": lambda: by_onnx2tf("torch_legacy_resnet"),
        "onnx2tf_vit.tflite": lambda: by_onnx2tf("torch_legacy_vit"),
        "onnx2tf_segmentation.tflite": lambda: by_onnx2tf("torch_legacy_segmentation"),
        "onnx2tf_detector_nms.tflite": lambda: by_onnx2tf("torch_legacy_detector_nms"),
        "onnx2tf_lstm.tflite": lambda: by_onnx2tf("torch_legacy_lstm"),
        "onnx2tf_resnet_int8.tflite": lambda: by_onnx2tf("torch_legacy_resnet", "-oiqt", of="full_integer_quant"),
    }


def by_onnx2tf(name: str, *options: str, of: str = "float32") -> bytes:
    """The file that is named after the precision ``of``. The images that onnx2tf would fetch stand beside it, made here."""
    rng = np.random.default_rng(SEED)
    with tempfile.TemporaryDirectory() as directory:
        source = Path(directory) / f"{name}.onnx"
        source.write_bytes(with_weights(gzip.decompress((HERE / f"{name}.onnx.gz").read_bytes())))
        images = rng.uniform(0, 1, (20, 128, 128, 3)).astype(np.float32)
        np.save(Path(directory) / "calibration_image_sample_data_20x128x128x3_float32.npy", images)
        command = [str(Path(sys.executable).with_name("onnx2tf")), "-i", str(source), "-o", directory, *options]
        environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        done = subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(done.stdout[-3000:] + done.stderr[-3000:])
        return finished_tflite((Path(directory) / f"{name}_{of}.tflite").read_bytes())


def with_weights(model: bytes) -> bytes:
    """Random numbers in the place of zeroed weights: the converter would merge constants that are equal."""
    import onnx
    from onnx import numpy_helper

    rng = np.random.default_rng(SEED)
    loaded = onnx.load_model_from_string(model)
    for tensor in build.constants(loaded):
        array = numpy_helper.to_array(tensor)
        if array.dtype == np.float32 and array.size > build.SMALL:
            random = rng.uniform(-0.1, 0.1, array.shape).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(random, tensor.name))
    data: bytes = loaded.SerializeToString()
    return data


if __name__ == "__main__":
    tools = {"torch": torch_models, "keras": keras_models, "tf2onnx": tf2onnx_models, "onnx2tf": onnx2tf_models}
    parser = argparse.ArgumentParser(description="Export the models of tests/exporters/.")
    parser.add_argument("tool", choices=tools)
    parser.add_argument("--only", default="", help="those with this in their name")
    arguments = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    each(tools[arguments.tool](), arguments.only)
