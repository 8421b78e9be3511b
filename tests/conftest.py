"""What tests share: the small models of ``tests/models``, the corpus of real model files, the measured data."""

from __future__ import annotations

import fcntl
import gc
import gzip
import os
import re
import shutil
import signal
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

# Workers run beside each other: a library's threads would only wait for each other. NumPy asks when it is imported, which is later.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

# As ``latlint.__main__`` sets it: a run of the program makes many objects, hardly any in cycles, and so do thousands of tests.
gc.set_threshold(200_000, 20, 20)

REPOSITORY = Path(__file__).resolve().parent.parent
SHARED = REPOSITORY.parent / "shared"
MODELS = Path(__file__).resolve().parent / "models"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes long comes first: at the end, all other cores would wait for it."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


@pytest.fixture(scope="session", autouse=True)
def no_cache() -> None:
    """What a test sees is worked out, not remembered. The null device is no directory, so nothing can be kept there."""
    os.environ["LATLINT_CACHE_DIR"] = os.devnull


@pytest.fixture(scope="session", autouse=True)
def no_pull_request() -> None:
    """The repositories of tests are not the one that a service builds."""
    from latlint.review.base import PULL_REQUEST_VARIABLES

    for name in PULL_REQUEST_VARIABLES:
        os.environ.pop(name, None)


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> None:
    """What a shell starts in the background ignores an interrupt, and so would all that the tests start and interrupt."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def archived(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    """``archived(path)``: a directory with the contents of a ``.tar.xz``."""

    def unpack(path: Path) -> Path:
        directory = tmp_path_factory.mktemp("archived")
        with tarfile.open(path) as archive:
            archive.extractall(directory, filter="data")
        return directory

    return unpack


@pytest.fixture(scope="session")
def lacking() -> Callable[[str], NoReturn]:
    """``lacking(reason)`` ends a test that lacks something: as failed in CI, which must have it all, elsewhere as left out."""

    def end(reason: str) -> NoReturn:
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)

    return end


@pytest.fixture(scope="session")
def browser(lacking: Callable[[str], NoReturn]) -> Iterator[Any]:
    """Debian's Chromium, one for all pages."""
    executable = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if executable is None:
        lacking("needs Chromium (apt-get install chromium)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=executable)
        yield chromium
        chromium.close()


@pytest.fixture
def opened(browser: Any) -> Iterator[Callable[..., Any]]:
    """``opened(uri)`` is the page; a message on the console, an exception, a dialog or a request fails the test."""
    heard: list[str] = []
    contexts = []

    def open_page(uri: str, size: tuple[int, int] = (1280, 900), scheme: str = "light", **options: Any) -> Any:
        context = browser.new_context(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: heard.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: heard.append(f"exception: {error}"))
        page.on("dialog", lambda dialog: heard.append(f"dialog: {dialog.message}"))
        page.on("request", lambda request: heard.append(f"request: {request.url}") if request.url != uri else None)
        page.goto(uri)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert heard == []


@pytest.fixture(scope="session")
def shared(lacking: Callable[[str], NoReturn]) -> Path:
    """The directory of measured data and model files that stands beside the repository and is never committed."""
    if not SHARED.is_dir():
        lacking("needs the measured data and the corpus in ../shared, which are not part of the repository")
    return SHARED


@pytest.fixture(scope="session")
def corpus(request: pytest.FixtureRequest) -> Path:
    """A directory with ``tflite_fp32/``, ``tflite_int8/``, ``onnx/`` and ``onnx_vit/``: real model files with zeroed weights.

    ``LATLINT_CORPUS`` may name one that is unpacked already; see ``latlint.training.corpus``.
    """
    from latlint.training.corpus import unpacked

    named = os.environ.get("LATLINT_CORPUS")
    return Path(named) if named else unpacked(request.getfixturevalue("shared") / "corpus")


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


@pytest.fixture(scope="session")
def npm(lacking: Callable[[str], NoReturn]) -> Callable[..., Path]:
    """``npm("name@1.0.0", …)`` is a directory with a ``node_modules`` that holds these packages, installed once; no script of
    theirs is run."""

    def install(*packages: str) -> Path:
        home = REPOSITORY / ".pytest_cache" / ("npm-" + re.sub(r"[^\w.-]+", "-", packages[0]))
        home.mkdir(parents=True, exist_ok=True)
        with (home / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # another worker may be at it
            if not all((home / "node_modules" / package.rpartition("@")[0]).is_dir() for package in packages):
                command = ["npm", "install", "--prefix", str(home), "--no-save", "--ignore-scripts", *packages]
                found = shutil.which("npm")
                done = found and subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
                if not done or done.returncode:
                    why = last_line(done.stderr) if done else "there is no npm"
                    lacking(f"needs npm and its registry for {packages[0]}: {why}")
        return home

    return install


def last_line(text: str) -> str:
    """What a program said last, which is what went wrong; before it stands what it tried."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "no message")
