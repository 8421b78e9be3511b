"""Makes the model files of exporters that benchmarks/survey.py and sizes.py read: networks of timm, torch.nn, Keras and scikit-learn with random weights.

    python benchmarks/exported.py torch DIRECTORY    # torch==2.13.0 torchvision timm==1.0.31 onnx==1.23.2 onnxscript==0.7.2 onnxruntime==1.32.0 onnxconverter-common==1.16.0
    python benchmarks/exported.py sklearn DIRECTORY  # skl2onnx==1.20.0 scikit-learn==1.9.1
    python benchmarks/exported.py keras DIRECTORY    # tensorflow-cpu==2.15.1 "numpy<2" flatbuffers

Each needs only what is named beside it. What an exporter cannot write is named and left out; what is there is not made again.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

TIMM = """
    mobilevit_xxs mobilevitv2_050 efficientformer_l1 efficientformerv2_s0 ghostnet_100 mobileone_s0 tinynet_e lcnet_050 fbnetc_100 edgenext_xx_small
    repvit_m0_9 repghostnet_050 fastvit_t8 poolformerv2_s12 levit_128s mnasnet_small mixnet_s dla46_c hrnet_w18_small cs3darknet_s resmlp_12_224
    mixer_s32_224 xcit_nano_12_p16_224 pit_ti_224 deit_tiny_patch16_224 swin_tiny_patch4_window7_224 coatnet_nano_rw_224 crossvit_tiny_240
    tiny_vit_5m_224 mobilenetv4_conv_small mobilenetv4_hybrid_medium starnet_s1 inception_next_atto convnextv2_atto gcvit_xxtiny fasternet_t0
    efficientvit_b0 efficientvit_m0 hgnetv2_b0 mambaout_femto volo_d1_224 cait_xxs24_224 gmlp_s16_224
""".split()
QUANTIZED = ("ghostnet_100", "deit_tiny_patch16_224", "mobilevit_xxs", "lcnet_050", "edgenext_xx_small")
KERAS = ("MobileNet", "MobileNetV2", "MobileNetV3Small")


def kept(path: Path, make: Callable[[], bytes]) -> bytes | None:
    """Writes what is made, or says why it was not."""
    if path.exists():
        return path.read_bytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            data = make()
    except Exception as error:
        print(f"{path.name}: not made: {type(error).__name__}: {str(error)[:120]}", flush=True)
        return None
    path.write_bytes(data)
    print(f"{path.name}: {len(data):,} bytes", flush=True)
    return data


def in_torch(top: Path) -> None:
    for index, (name, network, inputs) in enumerate(torch_networks()):
        file = partial("{}-{}.onnx".format, name)
        plain = kept(top / "torch" / file(17), partial(traced, network, inputs, 17))
        if index % 3 == 0:
            kept(top / "torch" / file(11), partial(traced, network, inputs, 11))
        if index % 2:
            kept(top / "torch" / file("batch"), partial(traced, network, inputs, 17, {0: "batch"}))
        else:
            kept(top / "torch" / file("dynamo"), partial(programmed, network, inputs))
        if plain and name in QUANTIZED:
            for way, make in quantized(plain, [tuple(each.shape) for each in inputs]):
                kept(top / "quantized" / file(way), make)


def torch_networks() -> Iterator[tuple[str, Any, tuple[Any, ...]]]:
    """Name, network, inputs."""
    import timm
    import torch
    from torch import nn

    for name in TIMM:
        network = timm.create_model(name, pretrained=False, num_classes=100).eval()
        yield name, network, (torch.rand(1, *network.default_cfg["input_size"]),)
    x = torch.rand(1, 40, 32)
    for kind in (nn.LSTM, nn.GRU, nn.RNN):
        yield f"{kind.__name__.lower()}_two_ways", kind(32, 48, 2, batch_first=True, bidirectional=True).eval(), (x,)
    layer = nn.TransformerDecoderLayer(32, 4, 64, batch_first=True)
    yield "transformer_decoder", nn.TransformerDecoder(layer, 2).eval(), (x, x)
    wave = (nn.Conv1d(40, 64, 5, 2), nn.GELU(), nn.ConvTranspose1d(64, 32, 4, 2), nn.GroupNorm(4, 32))
    yield "conv1d_stack", nn.Sequential(*wave).eval(), (x,)
    image = (nn.Conv2d(3, 16, 3, 2, 1), nn.InstanceNorm2d(16), nn.PReLU(), nn.Upsample(scale_factor=2, mode="bilinear"))
    yield "upsampled", nn.Sequential(*image, nn.Conv2d(16, 12, 3, 1, 1), nn.PixelShuffle(2)).eval(), (torch.rand(1, 3, 96, 96),)  # fmt: skip


def traced(network: Any, inputs: tuple[Any, ...], opset: int, dynamic: dict[int, str] | None = None) -> bytes:
    """By the exporter that traces (torch.onnx.export with dynamo=False)."""
    import torch

    names = [f"input_{i}" for i in range(len(inputs))]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        torch.onnx.export(
            network, inputs, str(path), dynamo=False, opset_version=opset, input_names=names,
            dynamic_axes=dynamic and dict.fromkeys(names, dynamic),
        )  # fmt: skip
        return path.read_bytes()


def programmed(network: Any, inputs: tuple[Any, ...]) -> bytes:
    """By the exporter that is the default since PyTorch 2.9, on torch.export."""
    import torch

    return bytes(torch.onnx.export(network, inputs, dynamo=True, verbose=False).model_proto.SerializeToString())


def quantized(model: bytes, shapes: list[tuple[int, ...]]) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """By ONNX Runtime in four ways, and as float16 by onnxconverter-common."""
    import onnx
    from onnxconverter_common import float16
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    rng = np.random.default_rng(224)
    sample = {f"input_{i}": rng.uniform(-1, 1, shape).astype(np.float32) for i, shape in enumerate(shapes)}

    class Sample(quantization.CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.left = [sample]

        def get_next(self) -> Any:
            return self.left.pop() if self.left else None

    def by(quantize: Callable[[str, str], None]) -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            plain, ready, done = (str(Path(folder) / f"{name}.onnx") for name in ("plain", "ready", "done"))
            Path(plain).write_bytes(model)
            quant_pre_process(plain, ready, skip_symbolic_shape=True)
            quantize(ready, done)
            return Path(done).read_bytes()

    def static(form: Any, activations: Any, source: str, target: str) -> None:
        quantization.quantize_static(
            source, target, Sample(), quant_format=form, per_channel=True, activation_type=activations,
            weight_type=quantization.QuantType.QInt8,
        )  # fmt: skip

    forms, types = quantization.QuantFormat, quantization.QuantType
    yield "dynamic", partial(by, quantization.quantize_dynamic)
    yield "qdq8", partial(by, partial(static, forms.QDQ, types.QInt8))
    yield "qdq16", partial(by, partial(static, forms.QDQ, types.QUInt16))
    yield "qoperator", partial(by, partial(static, forms.QOperator, types.QUInt8))
    yield "float16", lambda: float16.convert_float_to_float16(onnx.load_model_from_string(model), keep_io_types=True).SerializeToString()  # fmt: skip


def in_sklearn(top: Path) -> None:
    from skl2onnx import to_onnx
    from sklearn import (
        cluster,
        decomposition,
        ensemble,
        linear_model,
        naive_bayes,
        neighbors,
        neural_network,
        pipeline,
        preprocessing,
        svm,
        tree,
    )

    rng = np.random.default_rng(224)
    x = rng.uniform(-1, 1, (80, 6)).astype(np.float32)
    classes, numbers = (x[:, 0] > 0).astype(np.int64) + (x[:, 1] > 0.5), x[:, 0] * 2
    scaled = pipeline.make_pipeline(preprocessing.StandardScaler(), linear_model.LogisticRegression())
    for made in (
        scaled, linear_model.RidgeClassifier(), linear_model.SGDClassifier(), svm.SVC(), svm.LinearSVC(), tree.DecisionTreeClassifier(),
        ensemble.RandomForestClassifier(5), ensemble.GradientBoostingClassifier(n_estimators=5), naive_bayes.GaussianNB(),
        neighbors.KNeighborsClassifier(), neural_network.MLPClassifier(max_iter=20), cluster.KMeans(3), decomposition.PCA(3),
        preprocessing.MinMaxScaler(), preprocessing.PolynomialFeatures(2), preprocessing.KBinsDiscretizer(3, encode="ordinal"),
    ):  # fmt: skip
        path = top / "sklearn" / f"{type(made).__name__.lower()}.onnx"
        kept(path, lambda made=made: to_onnx(made.fit(x, classes), x[:1]).SerializeToString())
    for made in (linear_model.LinearRegression(), svm.SVR(), ensemble.RandomForestRegressor(5)):
        path = top / "sklearn" / f"{type(made).__name__.lower()}.onnx"
        kept(path, lambda made=made: to_onnx(made.fit(x, numbers), x[:1]).SerializeToString())


def in_keras(top: Path) -> None:
    import tensorflow as tf

    side = 96
    rng = np.random.default_rng(224)
    samples = [[rng.uniform(0, 1, (1, side, side, 3)).astype(np.float32)] for _ in range(2)]

    def converted(network: Any, way: str) -> bytes:
        converter = tf.lite.TFLiteConverter.from_keras_model(network)
        if way != "float32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if way == "float16":
            converter.target_spec.supported_types = [tf.float16]
        if way == "int8":
            converter.representative_dataset = lambda: iter(samples)
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        return bytes(converter.convert())

    for name in KERAS:
        network = getattr(tf.keras.applications, name)(input_shape=(side, side, 3), weights=None, classes=100)
        for way in ("float32", "float16", "dynamic", "int8"):
            kept(top / "keras" / f"{name}-{way}.tflite", partial(converted, network, way))


if __name__ == "__main__":
    {"torch": in_torch, "sklearn": in_sklearn, "keras": in_keras}[sys.argv[1]](Path(sys.argv[2]))
