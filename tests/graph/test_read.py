"""``latlint.graph.read``: one way in, and one clear line for everything that is no model."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from latlint.errors import LatlintError
from latlint.graph import read
from latlint.graph.detect import lfs_pointer

POINTER = """version https://git-lfs.github.com/spec/v1
oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393
size {size}
"""


def refusal(path: str | os.PathLike[str]) -> LatlintError:
    with pytest.raises(LatlintError) as caught:
        read(path)
    assert caught.value.path == os.fsdecode(path)
    assert caught.value.message.isprintable()  # one line
    return caught.value


@pytest.mark.parametrize("name", ["mobilenet_v2.tflite", "resnet18.onnx"])
def test_either_format_comes_in_through_the_same_door(model: Callable[[str], Path], name: str) -> None:
    path = model(name)
    graph = read(path)
    assert f".{graph.format}" == path.suffix
    assert graph.name
    assert graph.nodes
    assert read(str(path)) == graph


@pytest.mark.parametrize("name", ["m", "m.lite", "m.bin", "m.TFLITE"])
def test_the_content_decides_where_the_extension_is_silent(
    model: Callable[[str], Path], tmp_path: Path, name: str
) -> None:
    copy = tmp_path / name
    copy.write_bytes(model("one_gelu.tflite").read_bytes())
    assert read(copy).format == "tflite"


def test_a_symbolic_link_is_followed(model: Callable[[str], Path], tmp_path: Path) -> None:
    link = tmp_path / "link.tflite"
    link.symlink_to(model("one_gelu.tflite"))
    assert read(link).name == "link"


def test_links_in_a_circle_are_told(tmp_path: Path) -> None:
    (tmp_path / "a.tflite").symlink_to("b.tflite")
    (tmp_path / "b.tflite").symlink_to("a.tflite")
    error = refusal(tmp_path / "a.tflite")
    assert error.code == "LAT005"
    assert "symbolic links" in error.message


@pytest.mark.parametrize(
    ("name", "wrong", "words"),
    [
        ("one_gelu.tflite", ".onnx", "a TFLite file with the extension .onnx; rename it to m.tflite"),
        ("resnet18.onnx", ".tflite", "an ONNX file with the extension .tflite; rename it to m.onnx"),
    ],
)
def test_an_extension_that_claims_the_other_format_is_named(
    model: Callable[[str], Path], tmp_path: Path, name: str, wrong: str, words: str
) -> None:
    path = tmp_path / f"m{wrong}"
    path.write_bytes(model(name).read_bytes())
    error = refusal(path)
    assert (error.code, error.message) == ("LAT003", words)


@pytest.mark.parametrize(("size", "words"), [(14_213_700, "14.2 MB"), (731, "731 bytes"), (3_400_000_000, "3.4 GB")])
def test_a_git_lfs_pointer_says_what_it_stands_for_and_how_to_get_it(tmp_path: Path, size: int, words: str) -> None:
    path = tmp_path / "m.tflite"
    path.write_text(POINTER.format(size=size))
    error = refusal(path)
    assert error.code == "LAT002"
    assert "Git LFS pointer" in error.message
    assert words in error.message
    assert f'git lfs pull --include="{path}"' in error.message


def test_a_pointer_with_windows_line_ends_or_no_size_is_still_one(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(POINTER.format(size=2000).replace("\n", "\r\n").encode())
    assert "2.0 kB" in refusal(path).message
    path.write_text(POINTER.split("size", maxsplit=1)[0])
    assert refusal(path).code == "LAT002"


def test_a_pointer_has_less_than_1024_bytes() -> None:
    """As Git LFS has it (docs/spec.md): what is longer begins like one and is none."""
    text = POINTER.format(size=2000).encode()
    assert lfs_pointer(text.ljust(1023, b"\n"))
    assert lfs_pointer(text.ljust(1024, b"\n")) is None


def test_an_empty_file_is_empty(tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    path.touch()
    error = refusal(path)
    assert error.code == "LAT004"
    assert "empty" in error.message


def test_a_missing_file_is_missing(tmp_path: Path) -> None:
    error = refusal(tmp_path / "missing.tflite")
    assert error.code == "LAT005"
    assert "no such file" in error.message
    assert refusal(tmp_path / "a\0b").code == "LAT005"
    assert refusal(tmp_path / ("n" * 4000)).code == "LAT005"


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    """A FIFO without a writer would block for ever."""
    os.mkfifo(tmp_path / "fifo.tflite")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        for path in (tmp_path, tmp_path / "fifo.tflite", tmp_path / "s", Path(os.devnull)):
            assert refusal(path).code == "LAT005"
    assert "a directory" in refusal(tmp_path).message


@contextlib.contextmanager
def as_anyone() -> Iterator[None]:
    """Not as root, who may read everything."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)  # nobody
    try:
        yield
    finally:
        os.seteuid(user)


def test_a_file_without_permission_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(b"x")
    assert refusal(path).code == "LAT001"  # and all that this needs is imported
    path.chmod(0)
    tmp_path.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    with as_anyone():
        error = refusal("m.tflite")
    assert error.code == "LAT005"
    assert "permission" in error.message


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (bytes(range(256)) * 16, "neither a TFLite nor an ONNX file"),
        (b"\x08", "neither"),
        (b":", "neither"),
        (b"2024-11-03 epoch 7 loss 0.31\n" * 100, "neither"),
        (b"PK\x03\x04rest of an archive", "ZIP archive"),
        (b"\x89HDF\r\n\x1a\nrest", "HDF5"),
        (b"<!DOCTYPE html><title>404</title>", "web page"),
        (b"\x1f\x8b\x08rest", "gzip"),
    ],
)
def test_what_is_no_model_is_told_so(tmp_path: Path, content: bytes, words: str) -> None:
    for name in ("m.tflite", "m.onnx"):
        path = tmp_path / name
        path.write_bytes(content)
        error = refusal(path)
        assert error.code == "LAT001"
        assert words in error.message
        assert "expected a .tflite or .onnx" in error.message


@pytest.mark.parametrize("name", ["mobilenet_v2.tflite", "resnet18.onnx"])
@pytest.mark.parametrize("share", [0.001, 0.5, 0.9, 0.999])
def test_a_model_that_is_cut_short_is_damaged_not_foreign(
    model: Callable[[str], Path], tmp_path: Path, name: str, share: float
) -> None:
    data = model(name).read_bytes()
    path = tmp_path / name
    path.write_bytes(data[: int(len(data) * share)])
    error = refusal(path)
    assert error.code == "LAT001"
    assert "neither" not in error.message


def test_an_onnx_file_that_is_cut_before_its_graph_is_known_too(model: Callable[[str], Path], tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(model("resnet18.onnx").read_bytes()[:12])
    error = refusal(path)
    assert error.code == "LAT001"
    assert "neither" not in error.message


def test_a_name_that_does_not_print_stays_on_one_line(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/a\n\x1b\xff.tflite"
    Path(os.fsdecode(path)).write_text(POINTER.format(size=5))
    assert "\\n\\x1b" in refusal(os.fsdecode(path)).message


def test_nothing_stays_open(model: Callable[[str], Path], tmp_path: Path, lacking: Callable[[str], NoReturn]) -> None:
    bad = tmp_path / "bad.tflite"
    bad.write_bytes(model("one_gelu.tflite").read_bytes()[:-40])
    descriptors = Path("/proc/self/fd")
    if not descriptors.is_dir():
        lacking("needs /proc to count open files")
    read(model("resnet18.onnx"))
    before = len(list(descriptors.iterdir()))
    for _ in range(3):
        read(model("one_gelu.tflite"))
        read(model("resnet18.onnx"))
        refusal(bad)
    assert len(list(descriptors.iterdir())) == before
    assert str(model("one_gelu.tflite")) not in Path("/proc/self/maps").read_text()
    assert str(bad) not in Path("/proc/self/maps").read_text()


def test_reading_tflite_imports_no_other_format(model: Callable[[str], Path]) -> None:
    """Their import would take longer than the file takes to read."""
    code = f"import sys; from latlint.graph import read; read({str(model('one_gelu.tflite'))!r}); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert "latlint.graph.tflite" in loaded
    assert not {"onnx", "google.protobuf", "tflite", "rich"} & set(loaded)
