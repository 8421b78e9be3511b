"""What tests share: the small models of ``tests/models``, the corpus of real model files, the measured data."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
SHARED = REPOSITORY.parent / "shared"
MODELS = Path(__file__).resolve().parent / "models"

_HOLE = 1 << 16


@pytest.fixture(scope="session")
def shared() -> Path:
    """The directory of measured data and model files that stands beside the repository and is never committed."""
    if not SHARED.is_dir():
        reason = "needs the measured data and the corpus in ../shared, which are not part of the repository"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return SHARED


@pytest.fixture(scope="session")
def corpus(request: pytest.FixtureRequest) -> Path:
    """A directory with ``tflite_fp32/``, ``tflite_int8/``, ``onnx/`` and ``onnx_vit/``: real model files with zeroed weights.

    ``LATLINT_CORPUS`` may name one that is unpacked already. Else it is unpacked once into the temporary directory and
    kept there: under a name of the archives' own sizes, so that new archives are unpacked anew.
    """
    if named := os.environ.get("LATLINT_CORPUS"):
        return Path(named)
    archives = sorted((request.getfixturevalue("shared") / "corpus").glob("*.tar.zst"))
    assert archives, "../shared/corpus holds no archives"
    key = "-".join(str(archive.stat().st_size) for archive in archives)
    target = Path(tempfile.gettempdir()) / f"latlint-corpus-{key}"
    if not target.is_dir():
        scratch = Path(tempfile.mkdtemp(prefix="latlint-corpus-", dir=target.parent))
        for archive in archives:
            _unpack_sparse(archive, scratch)
        scratch.rename(target)
    return target


def _unpack_sparse(archive: Path, target: Path) -> None:
    """Unpack a ``.tar.zst``, leaving runs of zeros as holes: 5.5 GB of zeroed weights then take a tenth of that."""
    with subprocess.Popen(["zstd", "-dcq", str(archive)], stdout=subprocess.PIPE) as zstd:
        assert zstd.stdout is not None
        with tarfile.open(fileobj=zstd.stdout, mode="r|") as members:
            for member in members:
                path = target / member.name
                assert path.resolve().is_relative_to(target.resolve())
                source = members.extractfile(member)
                if source is None:
                    continue
                path.parent.mkdir(parents=True, exist_ok=True)
                with source, path.open("wb") as out:
                    while block := source.read(_HOLE):
                        if block.count(0) == len(block):
                            out.seek(len(block), os.SEEK_CUR)
                        else:
                            out.write(block)
                    out.truncate()
    assert zstd.returncode == 0, f"zstd could not unpack {archive}"


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """``model("x.tflite")`` is the path of ``tests/models/x.tflite.gz``, unpacked."""
    directory = tmp_path_factory.mktemp("models")

    def unpack(name: str) -> Path:
        path = directory / name
        if not path.exists():
            with gzip.open(MODELS / f"{name}.gz") as packed, path.open("wb") as out:
                shutil.copyfileobj(packed, out)
        return path

    return unpack
