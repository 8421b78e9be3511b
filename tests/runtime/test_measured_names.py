"""The planned kernels are the kernels that six phones named in their profiles."""

from __future__ import annotations

import csv
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from latlint.graph import read
from latlint.runtime import Kernel, Processor, plan

Names = Counter[tuple[str, tuple[str, ...]]]

RUNTIME = "tflite-2.10/gpu-delegate"

PROCESSORS = {
    "pixel4": Processor("gpu", RUNTIME, "gpu", "adreno", "adreno-6xx"),
    "mi8se": Processor("gpu", RUNTIME, "gpu", "adreno", "adreno-6xx"),
    "s10": Processor("gpu", RUNTIME, "gpu", "mali", "bifrost-gen3"),
    "a03s": Processor("gpu", RUNTIME, "gpu", "powervr"),
    "iphone7": Processor("gpu", RUNTIME, "gpu", "apple", "a10", precision="float16"),
    "iphonexs": Processor("gpu", RUNTIME, "gpu", "apple", "a12", precision="float16"),
}

#: Our op kinds by the profile's; grouped convolutions have a name of their own there.
OPERATIONS = {
    "average_pool2d": "AVERAGE_POOL_2D",
    "concat": "CONCATENATION",
    "conv2d": "CONV_2D",
    "depthwise_conv2d": "DEPTHWISE_CONV_2D",
    "fully_connected": "FULLY_CONNECTED",
    "max_pool2d": "MAX_POOL_2D",
    "mean": "MEAN",
}


def measured(csv_path: Path, phone: str) -> dict[str, Names]:
    """Model -> how often each operation has each kernel name, node numbers dropped."""
    found: dict[str, Names] = defaultdict(Counter)
    with csv_path.open(newline="") as lines:
        for row in csv.DictReader(lines):
            words = row[f"{phone}|gpu|kernel"].split("_linked_:_")
            found[row["model"]][row["operation"], tuple(re.sub(r"(_\d+)+$", "", word) for word in words)] += 1
    return found


def planned(kernels: Iterator[Kernel]) -> Names:
    """The same of planned kernels, written as a profile writes them."""
    names: Names = Counter()
    for kernel in kernels:
        if kernel.free or kernel.op not in OPERATIONS:
            continue
        operation = OPERATIONS[kernel.op]
        if kernel.op == "conv2d" and kernel.attributes["groups"] > 1:
            operation = "CONV_2D_GROUP"
        # The profile shows a Winograd convolution's middle kernel: what its last kernel absorbed does not show.
        linked = () if kernel.implementation == "convolution_winograd_4x4_6x6" else kernel.linked
        names[operation, (kernel.implementation, *linked)] += 1
        if kernel.implementation == "depthwise_conv_plus_1x1_conv":
            names["CONV_2D", (kernel.implementation, *linked)] += 1
    return names


@pytest.mark.parametrize("phone", PROCESSORS)
def test_planned_kernels_are_those_measured(phone: str, shared: Path, corpus: Path) -> None:
    want = measured(shared / "data" / "mobile-ml-benchmark" / "tflite_cnn_ops_gpu.csv", phone)
    assert len(want) >= 80
    rows = hits = 0
    differing = {}
    for model, names in want.items():
        graph = _read(corpus / "tflite_fp32" / f"{model}.tflite")
        got = planned(iter(plan(graph, PROCESSORS[phone]).kernels))
        rows += names.total()
        hits += (names & got).total()
        if names != got:
            differing[model] = {"measured": names - got, "planned": got - names}
    # The authors' SE-ResNets order their ops otherwise, so that a residual add may link to another convolution.
    unexpected = {
        model: names for model, names in differing.items() if not model.startswith(("seresnet", "sepreresnet"))
    }
    assert not unexpected
    assert hits / rows >= 0.99


_read = cache(read)
