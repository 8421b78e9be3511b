"""Reading by position: what comes back, from memory and from a file, and what when the file is cut short meanwhile."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from latlint.errors import LatlintError
from latlint.graph import opened, read
from latlint.graph.source import BLOCK_BYTES, MASK, Source

CONTENT = random.Random(1).randbytes(3 * BLOCK_BYTES + 5)


@pytest.fixture(params=["memory", "file"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Source:
    if request.param == "memory":
        return Source.of(CONTENT)
    path = tmp_path / "content"
    path.write_bytes(CONTENT)
    descriptor = os.open(path, os.O_RDONLY)
    request.addfinalizer(lambda: os.close(descriptor))
    return Source.of_file(descriptor, str(path))


def test_reads_what_is_there_and_no_more(source: Source) -> None:
    assert source.size == len(CONTENT)
    for start in (
        0,
        1,
        BLOCK_BYTES - 9,
        BLOCK_BYTES - 1,
        BLOCK_BYTES,
        2 * BLOCK_BYTES + 7,
        len(CONTENT) - 3,
        len(CONTENT),
        1 << 70,
    ):
        for count in (0, 1, 8, 100, BLOCK_BYTES, len(CONTENT)):
            if start <= len(CONTENT) or count <= 8:
                assert source.read(start, count) == CONTENT[start : start + count]
        assert source.block(start)[start & MASK :][:15] == CONTENT[start : start + 15]


def test_few_blocks_are_kept_of_a_file_that_points_everywhere(tmp_path: Path) -> None:
    loaded = []
    source = Source(lambda start, count: loaded.append(start) or bytes(count), 1 << 40)  # type: ignore[func-returns-value]
    for start in range(0, 10_000 * BLOCK_BYTES, BLOCK_BYTES):
        source.block(start)
    assert len(loaded) == 10_000
    assert len(source._blocks) * BLOCK_BYTES <= 1 << 24


@pytest.mark.parametrize("name", ["mobilenet_v2.tflite", "resnet18.onnx"])
@pytest.mark.parametrize("size", [None, 0, 5000], ids=["written to", "emptied", "cut"])
def test_a_file_that_changes_while_it_is_read_is_told(
    model: Callable[[str], Path], tmp_path: Path, name: str, size: int | None
) -> None:
    """A memory map of a file that is cut short would end the process with SIGBUS."""
    path = tmp_path / name
    path.write_bytes(model(name).read_bytes())
    os.utime(path, (1, 1))
    with pytest.raises(LatlintError, match="changed while it was read") as caught, opened(str(path), "m") as file:
        if size is None:
            with path.open("r+b") as out:
                out.write(b"\0")
        else:
            os.truncate(path, size)
        file.graph()
    assert (caught.value.code, caught.value.path) == ("LAT005", "m")


def test_a_file_that_another_process_writes_over_and_over_harms_nothing(
    model: Callable[[str], Path], tmp_path: Path
) -> None:
    content = model("one_gelu.tflite").read_bytes()
    path = tmp_path / "m.tflite"
    path.write_bytes(content)
    writer = "import sys\nwhile True: open(sys.argv[1], 'wb').write(open(sys.argv[2], 'rb').read())"
    process = subprocess.Popen([sys.executable, "-c", writer, str(path), str(model("one_gelu.tflite"))])
    outcomes = set()
    done = threading.Event()
    timer = threading.Timer(60, done.set)
    timer.start()
    try:
        while not done.is_set() and not {"read", "LAT005"} <= outcomes:
            try:
                assert len(read(path).nodes) == 16
                outcomes.add("read")
            except LatlintError as error:
                outcomes.add(error.code)
    finally:
        timer.cancel()
        process.kill()
        process.wait()
    assert {"read", "LAT005"} <= outcomes <= {"read", "LAT004", "LAT005"}
