"""What fuzzing starts from and what it has found: read or refused, planned and judged, within 2 s and 512 MB (see ``fuzz/``).

Each run is a process of its own: some of the inputs once ended theirs.
"""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
REGRESSIONS = Path(__file__).resolve().parent / "regressions"
FORMS = ("tflite", "onnx")

sys.path.append(str(REPOSITORY / "fuzz"))
import flat  # noqa: E402
import seeds  # noqa: E402

pytestmark = pytest.mark.slow


def run(form: str, *args: str) -> dict[str, int]:
    """The outcomes of ``fuzz/run.py``; stderr's last line names the input that ended it."""
    command = [sys.executable, str(REPOSITORY / "fuzz" / "run.py"), form, *args]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=300, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert done.returncode == 0, done.stderr[-3000:]
    outcomes: dict[str, int] = json.loads(done.stdout)
    return outcomes


@pytest.mark.parametrize("form", FORMS)
def test_everything_that_fuzzing_has_found(form: str) -> None:
    files = list((REGRESSIONS / form).iterdir())
    assert run(form, "--thorough", "--replay", str(REGRESSIONS / form))["inputs"] == len(files) > 3


@pytest.mark.parametrize("form", FORMS)
def test_the_seeds_and_edits_of_them(form: str) -> None:
    outcomes = run(form, "--smoke", "2500")
    assert outcomes["inputs"] > 3000
    # The test is only worth its time if edits come through to every stage.
    assert min(outcomes["read"], outcomes["LAT001"], outcomes["LAT007"]) > 100


def test_most_seeds_are_read(tmp_path: Path) -> None:
    from latlint.errors import LatlintError
    from latlint.graph.onnx import read_onnx
    from latlint.graph.tflite import read_tflite

    for form, read in (("tflite", read_tflite), ("onnx", read_onnx)):
        made = seeds.seeds(form)
        refused = 0
        for data in made:
            try:
                read(data, "m")
            except LatlintError:
                refused += 1
        assert refused < 0.1 * len(made)


def test_a_tree_is_written_as_it_was_read() -> None:
    for data in seeds.seeds("tflite")[::10]:
        assert flat.write(flat.parse(data)) == data


def test_every_offset_to_every_place(tmp_path: Path) -> None:
    """Tables that overlap, share or contain themselves: each offset and length of a file set to point at each other one."""
    from latlint.errors import LatlintError
    from latlint.graph.tflite import read_tflite

    writer = flat._Writer()
    data = writer.file(flat.parse(seeds.seeds("tflite")[0]))
    offsets = [spot for spot, code in writer.spots if code == "I"]
    outcomes: dict[str, int] = {}
    for spot in offsets:
        for place in sorted({place for place, _ in writer.spots}):
            bent = bytearray(data)
            struct.pack_into("<I", bent, spot, (place - spot) % 2**32)
            try:
                read_tflite(bytes(bent), "m")
                outcome = "read"
            except LatlintError as error:
                outcome = error.code
            outcomes[outcome] = outcomes.get(outcome, 0) + 1
    assert sum(outcomes.values()) > 1000
    assert min(outcomes["read"], outcomes["LAT001"], outcomes["LAT007"]) > 10


def test_the_bounds_end_a_run(tmp_path: Path) -> None:
    """A process that spins, or fills the memory, does not pass."""
    spin = "while True: pass"
    fill = "hold = []\nwhile True: hold.append(bytearray(1 << 24))"
    for code, signs in ((spin, "-27"), (fill, "MemoryError")):
        prelude = (
            "import sys; sys.path[:0] = sys.argv[1:]; import run\nrun._limit_memory()\nwith run._limited_time():\n"
        )
        script = prelude + "".join(f" {line}\n" for line in code.splitlines())
        command = [sys.executable, "-c", script, str(REPOSITORY / "fuzz"), str(REPOSITORY)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert signs in (str(done.returncode), *done.stderr.split())


def test_a_crowd_within_the_bounds_is_read() -> None:
    """50,000 nodes, each of which looks at the longest constants that are read."""
    from latlint.graph.tflite import MAX_NODES, read_tflite

    shape = [1] * 16
    operator = {"kind": "Operator", 0: 0, 1: [0, 1]}
    graph = {
        "kind": "SubGraph",
        0: [
            {"kind": "Tensor", 0: shape},
            {"kind": "Tensor", 0: [16, 2], 1: 2, 2: 1},
            *[{"kind": "Tensor", 0: shape}] * MAX_NODES,
        ],
        1: [0],
        2: [2],
        3: [{**operator, 2: [i + 2]} for i in range(MAX_NODES)],
    }
    buffers = [{"kind": "Buffer"}, {"kind": "Buffer", 0: list(struct.pack("<32i", *[0] * 32))}]
    data = flat.write({"kind": "Model", 1: [{"kind": "Code", 0: 34, 3: 34}], 2: [graph], 4: buffers})
    nodes = read_tflite(data, "crowd.tflite").nodes
    assert (len(nodes), nodes[-1].kind) == (MAX_NODES, "pad")
    assert len(nodes[-1].attributes["pads"]) == 16


def whole(*args: str) -> str:
    command = [sys.executable, str(REPOSITORY / "fuzz" / "whole.py"), *args]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    return done.stdout


@pytest.mark.long
@pytest.mark.parametrize("what", ["tflite", "onnx", "texts"])
def test_the_whole_way_on_every_runtime(what: str, tmp_path: Path) -> None:
    counts = tmp_path / "counts.json"
    for runs in ("60", "300")[what != "texts" :]:  # the second goes on where the first has ended
        whole(what, "--runs", runs, "--work", str(tmp_path / "work"), "--counts", str(counts))
    found = json.loads(counts.read_text())
    assert (300 <= found["executions"] < 320, found["findings"]) == (True, 0)
    # The test is only worth its time if some inputs come through to the end.
    ways = ["check", "predict", "diff", "textconv"] if what in FORMS else ["latlint.lock", "latlint.baseline"]
    assert {way: found["outcomes"].get(way, 0) > 0 for way in ways} == dict.fromkeys(ways, True)
    if what == "texts":
        assert found["rounds"] == found["executions"]
        assert f"{2 * found['executions']} executions" in whole("total", str(counts), str(counts))
