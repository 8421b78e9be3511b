"""Standard ops for which the CPU provider has no kernel: ONNX Runtime runs what the standard says they consist of."""

from __future__ import annotations

from latlint.runtime.onnxruntime.draft import Draft, Op


def expand(draft: Draft) -> None:
    """Replaces each such op by its parts."""
    for op in draft.ops("HardSwish", "Mish"):
        if op.domain:
            continue
        source, result, where = op.inputs[0], op.outputs[0], op.position
        draft.remove(op)
        names = ["HardSigmoid"] if op.op == "HardSwish" else ["Softplus", "Tanh"]
        tensor = source
        for number, name in enumerate(names):
            made = draft.new_tensor(source)
            attributes = {"alpha": 1 / 6, "beta": 0.5} if name == "HardSigmoid" else {}
            draft.add(Op(name, [tensor], [made], attributes, op.origins, op.version), where + 0.1 * number)
            tensor = made
        draft.add(Op("Mul", [source, tensor], [result], {}, op.origins, op.version), where + 0.3)
