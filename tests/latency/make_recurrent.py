"""Makes ``recurrent.tar.xz``: recurrent networks by Keras as TensorFlow's converter writes them, each beside its twin with ``unroll=True``, weights zeroed.

    pip install tensorflow==2.21.0 tf_keras==2.21.0; python tests/latency/make_recurrent.py

``gru_50_64_128_last``: 50 steps of 64 values, 128 units, the last state is what counts (``all``: every one), and ten classes.
"""

from __future__ import annotations

import io
import os
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

os.environ["TF_USE_LEGACY_KERAS"] = "1"
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "models"))
import build  # tests/models/build.py zeroes models

FILE = Path(__file__).with_name("recurrent.tar.xz")
NETWORKS = (
    "lstm_50_64_128_last", "lstm_20_128_256_last", "gru_50_64_128_last", "gru_20_128_256_last", "gru_100_40_64_all",
    "bilstm_50_64_64_last", "lstm_50_64_128_last_int8",
)  # fmt: skip


def network(name: str, *, unroll: bool) -> Any:
    import tf_keras as keras

    kind, steps, width, units, ends, *_ = name.split("_")
    layer = keras.layers.LSTM if kind.endswith("lstm") else keras.layers.GRU
    cell = layer(int(units), unroll=unroll, return_sequences=ends == "all")
    read = keras.Input((int(steps), int(width)), batch_size=1)
    made = (keras.layers.Bidirectional(cell) if kind.startswith("bi") else cell)(read)
    return keras.Model(read, keras.layers.Dense(10)(made))


def converted(model: Any, *, quantised: bool) -> bytes:
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if quantised:
        random = np.random.default_rng(0)

        def samples() -> Iterator[list[Any]]:
            for _ in range(3):
                yield [random.normal(size=model.inputs[0].shape).astype("float32")]

        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = samples
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    return bytes(build.zero_tflite(converter.convert()))


if __name__ == "__main__":
    with tarfile.open(FILE, "w:xz") as archive:
        for name in NETWORKS:
            for unroll in (False, True):
                data = converted(network(name, unroll=unroll), quantised=name.endswith("int8"))
                entry = tarfile.TarInfo(f"{name}{'_unrolled' if unroll else ''}.tflite")
                entry.size = len(data)
                archive.addfile(entry, io.BytesIO(data))
