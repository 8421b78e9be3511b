"""Build the model files of this directory from open architectures, with zeroed weights.

Only needed to change the files; using them needs nothing but ``python -m gzip -d``. One command per framework, each in a
virtual environment of its own (Python 3.11):

    pip install tensorflow-cpu==2.15.1 "numpy<2" tf2cv==0.0.18
    python tests/models/build.py tflite

    pip install torch==2.13.0 pytorchcv==0.0.67 onnx onnxruntime
    python tests/models/build.py onnx

Networks get random weights from a fixed seed, are converted as anyone would convert them, and are zeroed only in the
finished file, so its structure is that of a trained network's: a converter would merge or fold constants that are equal.
Every file is run once (TensorFlow Lite's interpreter, ONNX Runtime) before it is packed.
"""

from __future__ import annotations

import argparse
import gzip
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
SEED = 224
IMAGE_SIDE = 224

#: A constant with at most this many values may be a shape, an axis, a padding or an activation's parameter: it is kept.
SMALL = 16


def pack(name: str, model: bytes) -> None:
    """Write ``NAME.gz`` beside this script, byte for byte the same on every run (no time, no file name inside)."""
    packed = gzip.compress(model, compresslevel=9, mtime=0)
    (HERE / f"{name}.gz").write_bytes(packed)
    print(f"{name:38} {len(model):>10,} bytes, packed {len(packed):>7,}")


# --- TensorFlow Lite -------------------------------------------------------------------------------------------------


def build_tflite() -> None:
    """Build every .tflite file of this directory."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # read when TensorFlow is imported
    mobilenet_v2 = keras_network("mobilenetv2_w1")
    models = {
        "mobilenet_v2": convert(mobilenet_v2),
        "mobilenet_v2_int8": convert(mobilenet_v2, as_int8),
        "mobilenet_v2_025_f16": convert(keras_network("mobilenetv2_wd4"), as_float16),
        "mobilenet_v3_small": convert(keras_network("mobilenetv3_small_w1")),
        "shufflenet_v2_05": convert(keras_network("shufflenetv2_wd2")),
        "one_gelu": convert(one_gelu_network()),
    }
    for name, model in models.items():
        zeroed = zero_tflite(model)
        run_tflite(zeroed)
        pack(f"{name}.tflite", zeroed)


def keras_network(name: str) -> Any:
    """Return the tf2cv network of that name, channels last, with random weights."""
    import tensorflow as tf
    from tf2cv.model_provider import get_model

    tf.keras.backend.clear_session()  # numbers layers anew: names in a file must not depend on what was built before it
    network = get_model(name, pretrained=False, data_format="channels_last")
    network(tf.zeros((1, IMAGE_SIDE, IMAGE_SIDE, 3)))  # a subclassed Keras model has weights only once it was called
    randomize(network)
    return network


def one_gelu_network() -> Any:
    """Return three residual blocks of which the middle one has a GELU, the only op here that GPU delegates refuse."""
    import tensorflow as tf

    tf.keras.backend.clear_session()
    layers = tf.keras.layers
    inputs = layers.Input((IMAGE_SIDE, IMAGE_SIDE, 3))
    x = layers.Conv2D(32, 8, strides=8, padding="same", activation="relu")(inputs)
    for activation in ("relu", "gelu", "relu"):
        branch = layers.Conv2D(64, 1, activation=activation)(x)
        branch = layers.DepthwiseConv2D(3, padding="same", activation="relu")(branch)
        x = layers.Add()([x, layers.Conv2D(32, 1)(branch)])
    outputs = layers.Dense(10)(layers.GlobalAveragePooling2D()(x))
    network = tf.keras.Model(inputs, outputs, name="one_gelu")
    randomize(network)
    return network


def randomize(network: Any) -> None:
    """Give a Keras network random kernels and biases; normalisation keeps its default scale.

    All channels of a kernel get the same largest weight, so that an int8 file's scales per channel, which are kept, are
    equal and pack well.
    """
    rng = np.random.default_rng(SEED)
    for weight in network.weights:
        shape = tuple(weight.shape)
        if len(shape) > 1:
            axes = (0, 1) if "depthwise" in weight.name else tuple(range(len(shape) - 1))
            inputs = np.prod([shape[axis] for axis in axes])
            kernel = rng.uniform(-1, 1, shape)
            weight.assign(kernel / np.abs(kernel).max(axes, keepdims=True) * np.sqrt(6 / inputs))
        elif "gamma" not in weight.name and "variance" not in weight.name:
            weight.assign(rng.uniform(-0.1, 0.1, shape))


def convert(network: Any, options: Callable[[Any], None] | None = None) -> bytes:
    """Convert a Keras network at batch 1; ``options`` sets the converter up for a precision other than float32."""
    import tensorflow as tf

    spec = tf.TensorSpec((1, IMAGE_SIDE, IMAGE_SIDE, 3), tf.float32, name="input")
    function = tf.function(lambda image: network(image, training=False)).get_concrete_function(spec)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], network)
    if options:
        options(converter)
    return bytes(converter.convert())


def as_int8(converter: Any) -> None:
    """Post-training full-integer quantisation, int8 from input to output."""
    import tensorflow as tf

    rng = np.random.default_rng(SEED)
    images = [rng.uniform(-1, 1, (1, IMAGE_SIDE, IMAGE_SIDE, 3)).astype(np.float32) for _ in range(2)]
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([image] for image in images)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8


def as_float16(converter: Any) -> None:
    """Post-training float16 quantisation: float16 weights behind DEQUANTIZE ops, float32 arithmetic."""
    import tensorflow as tf

    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]


def zero_tflite(model: bytes) -> bytes:
    """Zero the weights in place: constants of more than ``SMALL`` values that are floating point or quantised.

    Integers without a scale (shapes, paddings, permutations) stay whatever their number.
    """
    from tensorflow.lite.python import schema_py_generated as schema

    buffer = bytearray(model)
    root = schema.Model.GetRootAsModel(buffer, 0)
    for graph in (root.Subgraphs(i) for i in range(root.SubgraphsLength())):
        for tensor in (graph.Tensors(i) for i in range(graph.TensorsLength())):
            quantization = tensor.Quantization()
            scaled = quantization is not None and quantization.ScaleLength() > 0
            floating = tensor.Type() in (schema.TensorType.FLOAT32, schema.TensorType.FLOAT16)
            data = root.Buffers(tensor.Buffer()).DataAsNumpy()  # the int 0 for a tensor that is computed
            if isinstance(data, np.ndarray) and (floating or scaled) and np.prod(tensor.ShapeAsNumpy()) > SMALL:
                data[:] = 0
    return bytes(buffer)


def run_tflite(model: bytes) -> None:
    """Run a model once in TensorFlow Lite's interpreter, with XNNPACK; a file that is not sound raises."""
    import tensorflow as tf

    interpreter = tf.lite.Interpreter(model_content=model)
    interpreter.allocate_tensors()
    for tensor in interpreter.get_input_details():
        interpreter.set_tensor(tensor["index"], np.zeros(tensor["shape"], tensor["dtype"]))
    interpreter.invoke()
    for tensor in interpreter.get_output_details():
        assert np.isfinite(interpreter.get_tensor(tensor["index"])).all()


# --- ONNX ------------------------------------------------------------------------------------------------------------


def build_onnx() -> None:
    """Build every .onnx file of this directory."""
    models = {
        "mobilenet_v2": export(torch_network("mobilenetv2_w1")),
        "mobilenet_v2_025_dynamic_batch": export(torch_network("mobilenetv2_wd4"), dynamic_batch=True),
        "resnet18": export(torch_network("resnet18")),
        "vit_tiny": export(vision_transformer()),
    }
    for name, model in models.items():
        zeroed = zero_onnx(model)
        run_onnx(zeroed)
        pack(f"{name}.onnx", zeroed)


def torch_network(name: str) -> Any:
    """Return the pytorchcv network of that name in inference mode, with random weights and random normalisation."""
    import torch
    from pytorchcv.model_provider import get_model

    torch.manual_seed(SEED)
    network = get_model(name, pretrained=False).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):  # equal biases, once folded, would be exported as one
            torch.nn.init.uniform_(module.bias, -0.1, 0.1)
    return network


def vision_transformer(depth: int = 12, width: int = 192, heads: int = 3, patch: int = 16) -> Any:
    """Return ViT-Ti/16 (Dosovitskiy et al. 2021; Touvron et al. 2021), written out in plain PyTorch."""
    import torch
    from torch import Tensor, nn

    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.qkv = nn.Linear(width, 3 * width)
            self.project = nn.Linear(width, width)

        def forward(self, x: Tensor) -> Tensor:  # (batch, tokens, width)
            batch, tokens, _ = x.shape
            q, k, v = self.qkv(x).reshape(batch, tokens, 3, heads, width // heads).permute(2, 0, 3, 1, 4).unbind(0)
            weights = ((q * (width // heads) ** -0.5) @ k.transpose(-2, -1)).softmax(-1)
            return self.project((weights @ v).transpose(1, 2).reshape(batch, tokens, width))

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm1, self.attention = nn.LayerNorm(width), Attention()
            self.norm2 = nn.LayerNorm(width)
            self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

        def forward(self, x: Tensor) -> Tensor:
            x = x + self.attention(self.norm1(x))
            return x + self.mlp(self.norm2(x))

    class VisionTransformer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.patches = nn.Conv2d(3, width, patch, patch)
            self.class_token = nn.Parameter(torch.randn(1, 1, width))
            self.positions = nn.Parameter(torch.randn(1, (IMAGE_SIDE // patch) ** 2 + 1, width))
            self.blocks = nn.Sequential(*(Block() for _ in range(depth)))
            self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 1000)

        def forward(self, image: Tensor) -> Tensor:
            tokens = self.patches(image).flatten(2).transpose(1, 2)
            tokens = torch.cat((self.class_token.expand(tokens.shape[0], -1, -1), tokens), 1) + self.positions
            return self.head(self.norm(self.blocks(tokens))[:, 0])

    torch.manual_seed(SEED)
    network = VisionTransformer().eval()
    for parameter in network.parameters():  # LayerNorms all start out equal, and equal constants are exported as one
        torch.nn.init.uniform_(parameter, -0.1, 0.1)
    return network


def export(network: Any, *, dynamic_batch: bool = False) -> Any:
    """Export a PyTorch network with the legacy (tracing) exporter, at batch 1 or with a batch that is not known."""
    import onnx
    import torch

    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "model.onnx"
        torch.onnx.export(
            network,
            (torch.zeros(1, 3, IMAGE_SIDE, IMAGE_SIDE),),
            str(path),
            dynamo=False,
            opset_version=17,
            input_names=["input"],
            output_names=["output"],
            dynamic_axes={"input": {0: "batch"}, "output": {0: "batch"}} if dynamic_batch else None,
        )
        return onnx.load(path)


def zero_onnx(model: Any) -> bytes:
    """Zero the weights: floating-point initializers and Constant nodes of more than ``SMALL`` values."""
    import onnx

    for tensor in constants(model):
        if tensor.data_type == onnx.TensorProto.FLOAT and np.prod(tensor.dims) > SMALL:
            assert tensor.raw_data, f"{tensor.name} keeps its values elsewhere than in raw_data"
            tensor.raw_data = bytes(len(tensor.raw_data))
    return model.SerializeToString(deterministic=True)


def constants(model: Any) -> Iterator[Any]:
    """Yield a model's initializers and the tensors of its Constant nodes."""
    yield from model.graph.initializer
    for node in model.graph.node:
        if node.op_type == "Constant":
            yield from (attribute.t for attribute in node.attribute if attribute.name == "value")


def run_onnx(model: bytes) -> None:
    """Check a model and run it once in ONNX Runtime, at batch 2 where the batch is free; a file that is not sound raises."""
    import onnx
    import onnxruntime

    onnx.checker.check_model(onnx.load_model_from_string(model), full_check=True)
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    shape = [dim if isinstance(dim, int) else 2 for dim in session.get_inputs()[0].shape]
    (output,) = session.run(None, {"input": np.zeros(shape, np.float32)})
    assert output.shape == (shape[0], 1000)
    assert np.isfinite(output).all()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Build the model files of tests/models/.")
    parser.add_argument("format", choices=("tflite", "onnx"))
    {"tflite": build_tflite, "onnx": build_onnx}[parser.parse_args().format]()
