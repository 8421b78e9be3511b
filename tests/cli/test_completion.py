"""What Tab offers: in a real bash, and by the protocol of the other shells."""

from __future__ import annotations

import os
import pty
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def shell(repository: Path) -> dict[str, str]:
    """The environment of a shell that finds this checkout as `latlint`, in an empty repository."""
    command = repository / "bin" / "latlint"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m latlint "$@"\n')
    command.chmod(0o755)
    path = os.pathsep.join([str(command.parent), os.environ["PATH"]])
    return {**os.environ, "PATH": path, "PYTHONPATH": str(REPOSITORY), "TERM": "dumb", "PS1": "$ "}


def offered(shell: dict[str, str], *words: str) -> list[str]:
    """What bash would list when Tab is pressed at the end of the last word."""
    script = f"""
    eval "$(_LATLINT_COMPLETE=bash_source latlint)"
    compopt() {{ echo "compopt $*"; }}
    COMP_WORDS=(latlint {shlex.join(words)}); COMP_CWORD={len(words)}
    _latlint_completion latlint
    printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(
        ["bash", "-c", script], env=shell, capture_output=True, encoding="utf-8", check=True, timeout=60
    )
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["pre"], ["predict"]),
        (["check", "--target", "pixel-4/g"], ["pixel-4/gpu"]),
        (["predict", "-t", "iphone-7/"], ["iphone-7/cpu-1large", "iphone-7/gpu"]),
        (["targets", "iphone-xs/g"], ["iphone-xs/gpu"]),
        (["check", "--ignore", "LAT10"], ["LAT101", "LAT102"]),
        (["check", "--select", "lat102"], ["LAT102"]),
        (["rules", "budget-ex"], ["budget-exceeded"]),
        (["check", "--format", "jun"], ["junit"]),
        (["check", "--output", "jun"], ["junit=latlint.junit"]),
        (["check", "--fail-on", ""], ["error", "warning", "note"]),
        (["check", "--fail-"], ["--fail-on"]),
        (["config", ""], ["check", "schema"]),
        (["check", "--target", "nothing-like-it"], []),
        (["check", "models/"], ["compopt", "-o", "default"]),
    ],
)  # fmt: skip
def test_bash_offers(shell: dict[str, str], words: list[str], expected: list[str]) -> None:
    found = offered(shell, *words)
    assert set(found) >= set(expected) if words[-1] in ("LAT10", "iphone-7/") else found == expected


def test_targets_of_the_configurations_packs_are_offered_and_a_broken_file_ends_nothing(
    shell: dict[str, str], repository: Path
) -> None:
    pack = repository / "packs" / "mine"
    pack.mkdir(parents=True)
    (pack / "card.json").write_text('{"schema": "latlint.pack/1", "device": "my-phone", "processors": {"gpu": {}}}')
    (repository / "latlint.toml").write_text('packs = ["packs"]\n')
    assert offered(shell, "check", "--target", "my") == ["my-phone/gpu"]
    (repository / "latlint.toml").write_text("gait = 1\n")
    assert offered(shell, "check", "--target", "pixel-4/g") == ["pixel-4/gpu"]
    assert offered(shell, "check", "--pack", "packs", "--target", "my") == ["my-phone/gpu"]


def test_tab_in_a_bash_on_a_terminal(shell: dict[str, str]) -> None:
    controller, terminal = pty.openpty()
    start = ["bash", "--norc", "--noprofile", "-i"]
    with subprocess.Popen(
        start, stdin=terminal, stdout=terminal, stderr=terminal, env=shell, start_new_session=True
    ) as bash:
        os.close(terminal)
        os.write(controller, b'eval "$(_LATLINT_COMPLETE=bash_source latlint)"\n')
        os.write(controller, b"latlint rules budget-ex\t--format json >out.json; exit\n")
        while True:
            try:
                if not os.read(controller, 4096):
                    break
            except OSError:  # Linux, when the other end is closed
                break
        assert bash.wait(timeout=60) == 0
    os.close(controller)
    assert '"code": "LAT101"' in Path("out.json").read_text()


@pytest.mark.parametrize(
    ("name", "words", "current", "expected"),
    [
        ("zsh", "latlint check --ignore LAT101", "3", "plain\nLAT101\nbudget-exceeded\n"),
        ("fish", "latlint check --ignore ", "LAT101", "plain,LAT101\tbudget-exceeded\n"),
        ("zsh", "latlint predict -t pixel-4/g", "3", "plain\npixel-4/gpu\n_\n"),
    ],
)
def test_other_shells_are_told_the_same(
    shell: dict[str, str], name: str, words: str, current: str, expected: str
) -> None:
    asked = {"COMP_WORDS": words, "COMP_CWORD": current, "_LATLINT_COMPLETE": f"{name}_complete"}
    assert subprocess.check_output(["latlint"], env={**shell, **asked}, encoding="utf-8") == expected


def test_completion_loads_neither_numpy_nor_what_reads_models(repository: Path) -> None:
    code = (
        "import sys\nfrom latlint.cli import main\ntry:\n    main([])\nexcept SystemExit:\n    pass\n"
        "print(sorted({'numpy', 'onnx', 'latlint.graph.onnx'} & {*sys.modules}))"
    )
    asked = {"COMP_WORDS": "latlint check -t pixel-4/g", "COMP_CWORD": "3", "_LATLINT_COMPLETE": "bash_complete"}
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), **asked}
    printed = subprocess.check_output([sys.executable, "-c", code], env=environment, encoding="utf-8")
    assert printed == "plain,pixel-4/gpu\n[]\n"
