"""Networks to time: blocks as published networks have them, with random widths. The same on every machine and in every run."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from functools import partial

from latlint.training.generate import Network

#: Adds one block to a network: ``block(network, x, channels, stride, random)`` returns its output.
Block = Callable[[Network, int, int, int, random.Random], int]

#: Resolutions that networks pass through, and the widths that are common there.
STAGES: Mapping[int, tuple[int, ...]] = {
    112: (8, 16, 24, 32, 48, 64),
    56: (16, 24, 32, 48, 64, 128),
    28: (24, 32, 40, 64, 80, 128, 256),
    14: (48, 64, 80, 112, 128, 200, 256, 384),
    7: (96, 160, 256, 320, 512, 640),
}
#: Whole small networks of each kind, beside one fragment for each stage.
WHOLE = 4


def generated(wanted: Callable[[str], bool] = lambda name: True) -> Iterator[tuple[str, bytes]]:
    """Names and TFLite files, all of them some hundred megabytes: ``<kind>-<resolution>`` for a fragment and ``<kind>-net<number>`` for a small
    network; ``<kind>-int8-<…>`` for those that are quantised. Only those whose name is ``wanted`` are made."""
    return ((name, make()) for name, make in _makers() if wanted(name))


def _makers() -> Iterator[tuple[str, Callable[[], bytes]]]:
    for kind, block in BLOCKS.items():
        for size in STAGES:
            yield f"{kind}-{size}", partial(_fragment, block, size, random.Random(f"{kind} {size}"))
        for number in range(WHOLE):
            yield f"{kind}-net{number}", partial(_network, block, random.Random(f"{kind} net {number}"))
    for kind in QUANTISED:
        block = BLOCKS[kind]
        for size in STAGES:
            chance = random.Random(f"{kind} int8 {size}")
            yield f"{kind}-int8-{size}", partial(_fragment, block, size, chance, quantized=True)
        yield f"{kind}-int8-net0", partial(_network, block, random.Random(f"{kind} int8 net"), quantized=True)
    for kind in LARGE:
        for size in (224, 320):
            yield f"{kind}-{size}", partial(_large, BLOCKS[kind], size, random.Random(f"{kind} {size}"))
    for number in range(WHOLE):
        yield f"transformer-net{number}", partial(_transformer, random.Random(f"transformer net {number}"))
        yield f"audio-net{number}", partial(_audio, random.Random(f"audio net {number}"))


def _large(block: Block, size: int, chance: random.Random) -> bytes:
    """Two blocks on a map that fills no cache, as segmenters and pictures' filters have them."""
    width = chance.choice((16, 24, 32, 48))
    network = Network((1, size, size, width))
    x = block(network, network.inputs[0], width, 1, chance)
    return network.finish(block(network, x, chance.choice((16, 32, 64)), 1, chance))


def _transformer(chance: random.Random) -> bytes:
    """Patches of a picture or words, then layers of attention and of two dense layers, as litert-torch writes them."""
    tokens, width, layers = chance.choice(((64, 512, 3), (197, 384, 3), (96, 768, 2), (256, 256, 4), (485, 192, 3)))
    heads = width // 64
    network = Network((1, tokens, width))
    x = network.inputs[0]
    for _ in range(layers):
        y = network.layer_norm(x)
        q, k, v = (network.reshape(network.fully_connected(y, width), 1, tokens, heads, 64) for _ in range(3))
        q, v = (network.transpose(each, 0, 2, 1, 3) for each in (q, v))
        weights = network.softmax(network.batch_matmul(q, network.transpose(k, 0, 2, 3, 1)))
        mixed = network.transpose(network.batch_matmul(weights, v), 0, 2, 1, 3)
        x = network.add(x, network.fully_connected(network.reshape(mixed, 1, tokens, width), width))
        inner = network.gelu(network.fully_connected(network.layer_norm(x), 4 * width))
        x = network.add(x, network.fully_connected(inner, width))
    return network.finish(network.layer_norm(x))


def _audio(chance: random.Random) -> bytes:
    """Convolutions over time: a map of one row."""
    width = chance.choice((32, 64, 128))
    network = Network((1, 1, chance.choice((1_000, 4_000, 8_000)), width))
    x = network.inputs[0]
    for _ in range(3):
        y = network.conv2d(x, width // 2, chance.choice((3, 7)), 1)
        x = network.add(x, network.conv2d(y, width))
        width = min(2 * width, 512)
        x = network.conv2d(x, width, chance.choice((3, 4, 8)), chance.choice((2, 4)), "relu")
    return network.finish(x)


def _fragment(block: Block, size: int, chance: random.Random, quantized: bool = False) -> bytes:
    """Three blocks: one at its resolution, one that halves it, one at half."""
    widths = STAGES[size]
    network = Network((1, size, size, chance.choice(widths)), quantized=quantized)
    x = block(network, network.inputs[0], chance.choice(widths), 1, chance)
    wider = chance.choice(STAGES.get(size // 2, widths))
    x = block(network, x, wider, 2, chance)
    return network.finish(block(network, x, wider, 1, chance))


def _network(block: Block, chance: random.Random, quantized: bool = False) -> bytes:
    """A stem, two to four blocks at each resolution, and a classifier: as deep as networks are, so that caches are as full."""
    size = chance.choice((96, 128, 160, 192, 224))
    network = Network((1, size, size, 3), quantized=quantized)
    width = chance.choice((16, 24, 32, 48, 64))
    x = network.conv2d(network.inputs[0], width, chance.choice((3, 3, 7)), 2, "relu")
    if chance.random() < 0.5:
        x = network.max_pool2d(x, 3, 2)
    for widths in list(STAGES.values())[1:]:
        width = max(width, chance.choice(widths))
        x = block(network, x, width, 2, chance)
        for _ in range(chance.choice((1, 2, 3))):
            x = block(network, x, width, 1, chance)
    classes = chance.choice((100, 1000, 1000, 2000))
    return network.finish(network.fully_connected(network.mean(x, keep_dims=False), classes))


def _plain(net: Network, x: int, channels: int, stride: int, chance: random.Random) -> int:
    if stride > 1 and chance.random() < 0.3:
        x = net.conv2d(x, channels, 3, stride, "relu")
    elif stride > 1:
        pool = chance.choice((net.max_pool2d, net.average_pool2d))
        x = pool(x, chance.choice((1, 2, 3)), stride)
    return net.conv2d(x, channels, 3, 1, "relu")


def _shortcut(net: Network, x: int, channels: int, stride: int) -> int:
    return x if stride == 1 and net.shape(x)[-1] == channels else net.conv2d(x, channels, 1, stride)


def _excite(net: Network, x: int, chance: random.Random) -> int:
    """Squeeze and excitation."""
    channels = net.shape(x)[-1]
    squeezed = net.conv2d(net.mean(x), max(channels // chance.choice((4, 16)), 8), activation="relu")
    return net.mul(x, net.sigmoid(net.conv2d(squeezed, channels)))


def _residual(net: Network, x: int, channels: int, stride: int, chance: random.Random, excite: bool = False) -> int:
    y = net.conv2d(x, channels, 3, stride, "relu")
    y = net.conv2d(y, channels, 3)
    y = _excite(net, y, chance) if excite else y
    return net.add(y, _shortcut(net, x, channels, stride), "relu")


def _preactivated(net: Network, x: int, channels: int, stride: int, chance: random.Random) -> int:
    given = net.scale(x, "relu")
    y = net.conv2d(given, channels, 3, stride)
    y = net.conv2d(net.scale(y, "relu"), channels, 3)
    return net.add(y, x if net.shape(x) == net.shape(y) else net.conv2d(given, channels, 1, stride))


def _bottleneck(net: Network, x: int, channels: int, stride: int, chance: random.Random, grouped: bool = False) -> int:
    inner = max(channels // 8, 1) * 8
    each = chance.choice((4, 8, 16, 24, 32))
    groups = max(inner // each, 1) if grouped else 1
    inner = groups * each if grouped else inner // chance.choice((1, 2, 4))
    y = net.conv2d(net.conv2d(x, inner, 1, 1, "relu"), inner, 3, stride, "relu", groups)
    return net.add(net.conv2d(y, channels), _shortcut(net, x, channels, stride), "relu")


def _separable(net: Network, x: int, channels: int, stride: int, chance: random.Random) -> int:
    activation = chance.choice(("relu", "relu6"))
    return net.conv2d(net.depthwise_conv2d(x, 3, stride, activation), channels, 1, 1, activation)


def _depthwise(net: Network, x: int, channels: int, stride: int, chance: random.Random) -> int:
    """Little but depthwise convolutions: where they share a block with matrix products, those hide what they cost."""
    kernel = chance.choice((3, 3, 5))
    y = net.depthwise_conv2d(net.depthwise_conv2d(x, kernel, stride, "relu"), kernel)
    return y if net.shape(y)[-1] == channels else net.conv2d(y, channels)


def _inverted(net: Network, x: int, channels: int, stride: int, chance: random.Random, excite: bool = False) -> int:
    channels = max(channels // 3 // 8, 2) * 8
    y = net.conv2d(x, net.shape(x)[-1] * chance.choice((1, 3, 4, 6)), 1, 1, "none" if excite else "relu6")
    y = net.hard_swish(y) if excite else y
    y = net.depthwise_conv2d(y, chance.choice((3, 3, 5, 5, 7)), stride, "none" if excite else "relu6")
    y = net.hard_swish(_excite(net, y, chance)) if excite else y
    y = net.conv2d(y, channels)
    return net.add(y, x) if net.shape(x) == net.shape(y) else y


def _fire(net: Network, x: int, channels: int, stride: int, chance: random.Random) -> int:
    x = net.max_pool2d(x, 3, stride) if stride > 1 else x
    squeezed = net.conv2d(x, max(channels // 8, 8), 1, 1, "relu")
    return net.concat(
        net.conv2d(squeezed, channels // 2, 1, 1, "relu"), net.conv2d(squeezed, channels // 2, 3, 1, "relu")
    )


def _dense(net: Network, x: int, channels: int, stride: int, chance: random.Random) -> int:
    """Layers that each add a few channels to all that was before, then a transition."""
    growth = chance.choice((16, 24, 32))
    for _ in range(chance.choice((2, 3, 4))):
        y = net.conv2d(net.scale(x, "relu"), 4 * growth, 1, 1, "relu")
        x = net.concat(x, net.conv2d(y, growth, 3))
    x = net.conv2d(net.scale(x, "relu"), channels)
    return net.average_pool2d(x, 2, 2) if stride > 1 else x


def _inception(net: Network, x: int, channels: int, stride: int, chance: random.Random) -> int:
    x = net.max_pool2d(x, 3, stride) if stride > 1 else x
    part = max(channels // 4 // 8, 1) * 8
    double = net.conv2d(net.conv2d(net.conv2d(x, part, 1, 1, "relu"), part, 3, 1, "relu"), part, 3, 1, "relu")
    pooled = net.conv2d(net.average_pool2d(x, 3, 1), part, 1, 1, "relu")
    branches = [net.conv2d(x, part, 1, 1, "relu"), net.conv2d(net.conv2d(x, part), part, 3, 1, "relu"), double, pooled]
    # a sixth branch is one more than XNNPACK concatenates
    return net.concat(*branches, *branches[: chance.choice((0, 0, 1, 2))])


def _parametric(net: Network, x: int, channels: int, stride: int, chance: random.Random) -> int:
    """An inverted bottleneck whose activations are PRELUs."""
    y = net.prelu(net.conv2d(x, net.shape(x)[-1] * 2))
    return net.conv2d(net.prelu(net.depthwise_conv2d(y, 3, stride)), channels)


BLOCKS: Mapping[str, Block] = {
    "plain": _plain,
    "residual": _residual,
    "residual_excited": partial(_residual, excite=True),
    "preactivated": _preactivated,
    "bottleneck": _bottleneck,
    "bottleneck_grouped": partial(_bottleneck, grouped=True),
    "separable": _separable,
    "depthwise": _depthwise,
    "inverted": _inverted,
    "inverted_excited": partial(_inverted, excite=True),
    "fire": _fire,
    "dense": _dense,
    "inception": _inception,
    "parametric": _parametric,
}
#: Kinds that are quantised too: what their ops are in int8 is what converters write.
QUANTISED = (
    "plain",
    "residual",
    "residual_excited",
    "bottleneck",
    "separable",
    "depthwise",
    "inverted",
    "inverted_excited",
    "fire",
    "inception",
)
#: Kinds that networks have at the resolution of a picture.
LARGE = ("plain", "residual", "depthwise", "inverted")
