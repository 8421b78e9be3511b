"""Why a change is slower: each kind of cause from the change that has it, and all causes together are the whole change."""

from __future__ import annotations

import pytest
from sketch import sketch

from latlint.run.work import predict_graph
from latlint.whatif.causes import causes, reasons
from latlint.whatif.change import TargetChange, target_changes
from latlint.words import cut_middle
from tests.targets import phones

TARGETS = phones()

NET = """
x = input 1x56x56x64
a = conv2d x 64 kernel=3
b = relu a
c = conv2d b 128 kernel=1
d = relu c
e = conv2d d 64 kernel=3
"""


def change(old: str, new: str, target: str = "pixel-4/gpu") -> TargetChange:
    before, after = (list(predict_graph(sketch(each), [TARGETS[target]], "m.tflite", "")) for each in (old, new))
    (found,) = target_changes([each[:2] for each in before], [each[:2] for each in after])
    return found


@pytest.mark.parametrize(
    ("old", "new", "target", "what", "fix"),
    [
        pytest.param("conv2d x 64 ", "conv2d x 128 ", "pixel-4/gpu", "conv2d ×2 have other sizes", "fewer channels", id="wider"),
        pytest.param("relu c", "gelu c", "pixel-4/gpu", "gelu, conv2d run outside of GPU now (GELU is not", "use an op that it takes", id="left"),
        pytest.param("e = conv2d d", "f = tanh c\ne = conv2d d", "pixel-4/gpu", "relu is no longer fused", "put it right behind", id="unfused"),
        pytest.param(
            "e = conv2d d 64 kernel=3",
            "e = conv2d d 64 kernel=3\nf = conv2d e 64 kernel=3",
            "pixel-4/gpu",
            "conv2d was added",
            "leave out what is not needed",
            id="added",
        ),
    ],
)  # fmt: skip
def test_each_kind_of_cause(old: str, new: str, target: str, what: str, fix: str) -> None:
    found = change(NET, NET.replace(old, new), target)
    said = [(cause.what, cause.fix) for cause in causes(found)]
    assert any(each[0].startswith(what) and each[1].startswith(fix) for each in said), said
    assert sum(cause.change_ms for cause in causes(found)) == pytest.approx(found.change_ms, abs=1e-9)
    first, most = reasons(found)
    assert first.startswith(f"because {causes(found)[0].what}: +")
    assert most.startswith("most at '")


def test_what_gets_no_slower_has_no_reason() -> None:
    assert reasons(change(NET, NET)) == ()
    assert reasons(change(NET.replace("128", "256"), NET)) == ()


def test_names_that_share_their_scopes_are_told_apart() -> None:
    scopes = NET
    for name in "ace":
        scopes = scopes.replace(f"{name} = conv2d", f"net/block/{name}/conv = conv2d")
        scopes = scopes.replace(f" relu {name}", f" relu net/block/{name}/conv")
    found = change(scopes, scopes.replace(" 64 kernel=3", " 128 kernel=3"))
    assert "'a' +" in reasons(found)[1] and "'c' +" in reasons(found)[1]


@pytest.mark.parametrize(("limit", "cut"), [(10, "0123456789"), (9, "0123…6789"), (8, "012…6789")])
def test_a_long_name_keeps_both_ends(limit: int, cut: str) -> None:
    assert cut_middle("0123456789", limit) == cut
