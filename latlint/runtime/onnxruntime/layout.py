"""ONNX Runtime's level 3: the blocked layout NCHWc of x86-64 (nchwc_transformer.cc), and where values change into it and out of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from latlint.runtime.onnxruntime.draft import Draft, Op

DOMAIN = "com.microsoft.nchwc"
#: ReorderInput and ReorderOutput move channels in groups of this many.
_ALIGNMENT = 4


_Sizes = tuple[tuple[int, int], ...]


@dataclass(eq=False, slots=True)
class _Blocked:
    """A value that is there in blocks too: which, who writes it, and how many readers the value had and still has.

    ``sizes``: of the batch, rows and columns, the value whose size each is, and how often that was halved: two are known to be alike where these are.
    """

    op: Op
    tensor: int
    uses: int
    left: int
    channels: int
    sizes: _Sizes


def _is_of_images(op: Op) -> bool:
    """Whether the window of a convolution or pool has two dimensions, in all that is stated of it."""
    sizes = {"kernel_shape": 2, "strides": 2, "dilations": 2, "pads": 4}
    return all(op.get(name) is None or len(op.get(name)) == size for name, size in sizes.items())


def to_nchwc(draft: Draft, block: int) -> None:
    """NchwcTransformer, for blocks of ``block`` channels."""
    _Blocks(draft, block).run()


class _Blocks:
    def __init__(self, draft: Draft, block: int) -> None:
        self.draft = draft
        self.block = block
        self.blocked: dict[int, _Blocked] = {}
        self.reordered: dict[int, int] = {}

    def run(self) -> None:
        draft = self.draft
        draft.sort()
        graphs: dict[int, list[Op]] = {}
        for op in draft.ops():
            graphs.setdefault(draft.body(op), []).append(op)
        for ops in graphs.values():
            self._transform(ops)
        draft.sort()

    def _transform(self, ops: Sequence[Op]) -> None:
        """The nodes of one graph: what others read leaves the layout."""
        self.blocked, self.reordered = {}, {}
        for op in ops:
            if not op.alive:
                continue
            if op.op in ("Conv", "FusedConv") and op.domain in ("", "com.microsoft"):
                self._conv(op)
            elif op.op in ("MaxPool", "AveragePool") and not op.domain:
                self._pool(op)
            elif op.domain in ("", "com.microsoft") and any(tensor in self.blocked for tensor in op.inputs):
                self._follow(op)
        for tensor, value in self.blocked.items():
            if value.left > 0:
                self._reorder_output(value, tensor, value.op.position)

    def _follow(self, op: Op) -> None:
        """Nodes that stay in the blocked layout where all that they read is in it."""
        if op.op in ("Add", "Sum", "Mul"):
            self._binary(op)
            return
        if op.inputs[0] not in self.blocked:
            return
        match op.op:
            case "Concat":
                self._concat(op)
            case "Relu" | "Sigmoid" | "Tanh" | "HardSigmoid" | "Gelu" | "QuickGelu":
                self._activation(op)
            case "BatchNormalization":
                self._batch_norm(op)
            case "Transpose":
                self._transpose(op)
            case "Upsample" | "Resize":
                self._resize(op)
            case "GlobalMaxPool" | "GlobalAveragePool":
                self._pool(op)

    # --- Values ----------------------------------------------------------------------------------------------------------------

    def _take(self, op: Op, slot: int) -> None:
        """Lets ``op`` read the blocked value instead of the plain one."""
        value = self.blocked[op.inputs[slot]]
        value.left -= 1
        self.draft.set_input(op, slot, value.tensor)

    def _reorder_input(self, op: Op) -> None:
        """``op`` reads its input in blocks, and so do all that come after; a Transpose from NHWC is done on the way."""
        draft, source = self.draft, op.inputs[0]
        if source not in self.reordered:
            made = draft.new_tensor(source)
            self.reordered[source] = made
            before = draft.writer(source, "Transpose")
            last = before is not None and before.get("perm") == (0, 3, 1, 2) and draft.sole_user(source) is op
            added = Op("ReorderInput", [source], [made], {"channels_last": int(last)}, (), 1, DOMAIN)
            if before is not None and last:
                added.inputs, added.origins = [before.inputs[0]], before.origins
            draft.add(added, op.position - 0.25)
        before = draft.writer(source, "Transpose")
        draft.set_input(op, 0, self.reordered[source])
        if before is not None and not draft.users.get(source) and source not in draft.outputs:
            draft.remove(before)

    def _reorder_output(self, value: _Blocked, tensor: int, position: float, **attributes: Any) -> None:
        attributes["channels"] = value.channels
        self.draft.add(Op("ReorderOutput", [value.tensor], [tensor], attributes, (), 1, DOMAIN), position + 0.25)

    def _give(self, op: Op, channels: int, sizes: _Sizes | None = None) -> None:
        """What ``op`` writes is in blocks from now on; without ``sizes`` it has sizes of its own."""
        plain = op.outputs[0]
        uses = len(self.draft.users.get(plain, ())) + (plain in self.draft.outputs)
        made = self.draft.new_tensor(plain)
        self.draft.set_output(op, 0, made)
        self.blocked[plain] = _Blocked(op, made, uses, uses, channels, sizes or ((plain, 0),) * 3)

    def _fuse(self, op: Op, into: _Blocked) -> None:
        """``op`` is done by the convolution that writes ``into``."""
        plain = op.outputs[0]
        uses = len(self.draft.users.get(plain, ())) + (plain in self.draft.outputs)
        self.draft.absorb(into.op, [op])
        self.blocked[plain] = _Blocked(into.op, into.tensor, uses, uses, into.channels, into.sizes)

    # --- Nodes -----------------------------------------------------------------------------------------------------------------

    def _conv(self, op: Op) -> None:
        draft, block = self.draft, self.block
        weights = draft.shape(op.inputs[1])
        if (
            not draft.constant(op.inputs[1])
            or weights is None
            or len(weights) != 4
            or draft.dtype(op.inputs[1]) != "float32"
        ):
            return
        if len(op.inputs) > 3 or (op.input(2) >= 0 and not draft.constant(op.input(2))) or not _is_of_images(op):
            return
        filters, channels, groups = weights[0], weights[1], op.get("group", 1)
        reorder = True
        if groups > 1:
            if filters % _ALIGNMENT:
                return
            depthwise = channels == 1 and filters == groups
            if not depthwise and (channels % block or filters % groups or (filters // groups) % block):
                return
        elif channels < block:
            reorder = False
        elif channels % _ALIGNMENT:
            return
        op.domain, op.op = DOMAIN, "Conv"
        sizes = self._read(op, weights[2:]) if reorder else None
        self._give(op, filters, sizes)

    def _read(self, op: Op, kernel: Sequence[int]) -> _Sizes | None:
        """Lets a convolution or pool read its input in blocks; what is known of the sizes that it makes, where it was in blocks before."""
        value = self.blocked.get(op.inputs[0])
        if value is None:
            self._reorder_input(op)
            return None
        self._take(op, 0)
        own, pads = (op.outputs[0], 0), op.get("pads", (0, 0, 0, 0))
        sizes = [value.sizes[0], own, own]
        same = op.get("auto_pad", "NOTSET") in ("SAME_UPPER", "SAME_LOWER")
        for axis, taps in enumerate(op.get("kernel_shape", kernel)):
            stride, dilation = (op.get(name, (1, 1))[axis] for name in ("strides", "dilations"))
            if (same or pads[axis] + pads[axis + 2] == taps - 1) and stride in (1, 2) and dilation == 1:
                source, halved = value.sizes[axis + 1]
                sizes[axis + 1] = source, halved + stride - 1
        return tuple(sizes)

    def _pool(self, op: Op) -> None:
        shape = self.draft.shape(op.inputs[0])
        if len(op.outputs) > 1 or self.draft.dtype(op.inputs[0]) != "float32" or shape is None or len(shape) != 4:
            return
        if not _is_of_images(op):
            return
        if shape[1] < 0 or shape[1] % self.block or (op.op == "AveragePool" and op.get("ceil_mode", 0)):
            return
        op.domain = DOMAIN
        self._give(op, shape[1], self._read(op, ()))

    def _binary(self, op: Op) -> None:
        if op.op == "Mul" and self._scale(op):
            return
        if any(tensor not in self.blocked for tensor in op.inputs):
            return
        plain, values = list(op.inputs), [self.blocked[tensor] for tensor in op.inputs]
        if any(value.channels != values[0].channels for value in values):
            return
        if not all(self._alike(plain[0], tensor) for tensor in plain[1:]):
            if op.op != "Mul":
                self._add_by_blocks(op, values)
            return
        swish = self._hard_swish(op, plain, values)
        for slot in range(len(op.inputs)):
            self._take(op, slot)
        if swish is not None:
            swish.op.attributes["activation"] = "HardSwish"
            self.draft.absorb(swish.op, [value.op for value in values if value.op is not swish.op])
            self._fuse(op, swish)
            return
        if op.op in ("Add", "Sum") and len(values) == 2:
            for number, value in enumerate(values):
                conv = value.op
                if (
                    conv.op == "Conv"
                    and len(conv.inputs) < 4
                    and value.uses == 1
                    and "activation" not in conv.attributes
                ):
                    conv.inputs += [-1] * (3 - len(conv.inputs))
                    other = values[1 - number].tensor
                    self._fuse(op, value)
                    self.draft.set_input(conv, 3, other)
                    conv.position = op.position
                    return
        self._give(op, values[0].channels, values[0].sizes)

    def _image(self, tensor: int) -> tuple[int, ...]:
        """The sizes of a blocked value, which has four whatever a file states of it."""
        shape = self.draft.shape(tensor)
        return shape if shape is not None and len(shape) == 4 else (-1,) * 4

    def _alike(self, one: int, other: int) -> bool:
        """Whether two blocked values are known to have the same sizes."""
        shapes = [self._image(tensor) for tensor in (one, other)]
        known = [a == b >= 0 for a, b in zip(*((shape[0], *shape[2:]) for shape in shapes), strict=True)]
        sizes = zip(self.blocked[one].sizes, self.blocked[other].sizes, strict=True)
        return all(fixed or a == b for fixed, (a, b) in zip(known, sizes, strict=True))

    def _add_by_blocks(self, op: Op, values: Sequence[_Blocked]) -> None:
        """A sum of values whose sizes may differ: reshaped, so that blocks are a dimension of their own, and back."""
        draft, channels = self.draft, values[0].channels
        many = -(-channels // self.block)
        for slot, value in enumerate(values):
            shape = self._image(value.tensor)
            self._take(op, slot)
            wide = draft.new_tensor(value.tensor, (shape[0], many, *shape[2:], self.block))
            steer = draft.new_constant((5,), "int64", (0, many, 0, 0, self.block))
            draft.add(Op("Reshape", [value.tensor, steer], [wide], {}, (), draft.opset), op.position - 0.125)
            draft.set_input(op, slot, wide)
        plain, shape = op.outputs[0], self._image(op.outputs[0])
        made = draft.new_tensor(plain, (shape[0], many, *shape[2:], self.block))
        draft.set_output(op, 0, made)
        steer = draft.new_constant((4,), "int64", (0, many * self.block, 0, 0))
        back = Op("Reshape", [made, steer], [plain], {}, (), draft.opset)
        draft.add(back, op.position + 0.125)
        self._give(back, channels)

    def _scale(self, op: Op) -> bool:
        """A factor for each channel: a depthwise convolution of one tap."""
        slot = 0 if op.inputs[0] in self.blocked else 1
        value, factor = self.blocked.get(op.inputs[slot]), op.inputs[1 - slot]
        shape = self.draft.shape(factor)
        if value is None or not self.draft.constant(factor) or shape is None:
            return False
        if shape not in ((value.channels, 1, 1), (1, value.channels, 1, 1)):
            return False
        source = op.inputs[slot]
        self.draft.set_input(op, 0, source)
        self.draft.set_input(op, 1, factor)
        self._take(op, 0)
        op.op, op.domain, op.attributes = "Conv", DOMAIN, {"group": value.channels, "kernel_shape": (1, 1)}
        self._give(op, value.channels, value.sizes)
        return True

    def _hard_swish(self, op: Op, plain: list[int], values: list[_Blocked]) -> _Blocked | None:
        """The convolution, where ``op`` multiplies its output by the HardSigmoid of it and nothing else reads the two."""
        if op.op != "Mul" or len(values) != 2 or op.outputs[0] in self.draft.outputs:
            return None
        for conv, gate in (values, values[::-1]):
            if gate.op.op != "HardSigmoid" or gate.uses != 1 or gate.op.inputs[0] != conv.tensor:
                continue
            if abs(gate.op.get("alpha", 0.2) - 1 / 6) > 1e-6 or gate.op.get("beta", 0.5) != 0.5:
                continue
            if conv.op.op == "Conv" and conv.uses == 2 and "activation" not in conv.op.attributes:
                return conv
        return None

    def _concat(self, op: Op) -> None:
        shape = self.draft.shape(op.inputs[0])
        if any(tensor not in self.blocked for tensor in op.inputs) or not shape or op.get("axis", 1) % len(shape) != 1:
            return
        values = [self.blocked[tensor] for tensor in op.inputs]
        if any(value.channels % self.block for value in values):
            return
        for slot in range(len(op.inputs)):
            self._take(op, slot)
        self._give(op, sum(value.channels for value in values), values[0].sizes)

    def _activation(self, op: Op) -> None:
        value = self.blocked[op.inputs[0]]
        self._take(op, 0)
        fuses = op.op in ("Relu", "Sigmoid", "Tanh", "HardSigmoid")
        if fuses and value.op.op == "Conv" and value.uses == 1 and "activation" not in value.op.attributes:
            value.op.attributes["activation"] = op.op
            self._fuse(op, value)
        else:
            self._give(op, value.channels, value.sizes)

    def _batch_norm(self, op: Op) -> None:
        value = self.blocked[op.inputs[0]]
        if len(op.outputs) > 1 or not all(self.draft.constant(t) for t in op.inputs[1:]):
            return
        self._take(op, 0)
        self.draft.drop_inputs(op, 3)
        op.op, op.domain = "Conv", DOMAIN
        op.attributes = {"group": value.channels, "kernel_shape": (1, 1)}
        self._give(op, value.channels, value.sizes)

    def _transpose(self, op: Op) -> None:
        value = self.blocked[op.inputs[0]]
        if op.get("perm") != (0, 2, 3, 1):
            return
        self._take(op, 0)
        op.op, op.domain, op.attributes = "ReorderOutput", DOMAIN, {"channels": value.channels, "channels_last": 1}

    def _scales(self, op: Op) -> tuple[float, ...] | None:
        """The scales of a Resize to stated sizes."""
        sizes, shape = self.draft.value(op.input(3)), self.draft.fixed_shape(op.inputs[0])
        if not sizes or shape is None or len(sizes) != len(shape) or 0 in shape:
            return None
        return tuple(size / dim for size, dim in zip(sizes, shape, strict=True))

    def _resize(self, op: Op) -> None:
        draft = self.draft
        mode, where = op.get("mode", "nearest"), op.get("coordinate_transformation_mode", "half_pixel")
        scales_at = 1
        if op.op == "Resize" and op.version >= 11:
            if mode == "nearest" and (where != "asymmetric" or op.get("nearest_mode") != "floor"):
                return
            if mode == "linear" and where not in ("asymmetric", "align_corners", "half_pixel"):
                return
            scales_at = 2
        if mode not in ("nearest", "linear"):
            return
        scales = draft.value(op.input(scales_at)) or self._scales(op)
        if not scales or len(scales) != 4 or scales[:2] != (1, 1) or any(s < 1 or s % 1 != 0 for s in scales):
            return
        value = self.blocked[op.inputs[0]]
        self._take(op, 0)
        draft.drop_inputs(op, 1)
        op.op, op.domain, op.attributes = "Upsample", DOMAIN, {"scales": tuple(int(s) for s in scales)}
        self._give(op, value.channels)
