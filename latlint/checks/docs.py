"""The rules' pages as files: ``python -m latlint.checks.docs`` writes ``docs/rules/``, one page a rule and an index.

The pages are the docstrings of the rules' modules; nothing is written by hand there.
"""

from __future__ import annotations

import sys
from pathlib import Path

from latlint.checks import Check, checks

_GROUPS = {
    "LAT0": "The input",
    "LAT1": "Budgets",
    "LAT2": "Slow on this backend",
    "LAT3": "The graph wastes time anywhere",
    "LAT9": "The configuration",
}

_CONFIDENCE = {
    "measured": "measured on devices",
    "source": "read in the runtime's source code",
    "reported": "reported by users",
}

_INTRODUCTION = """# Rules

`latlint rules` lists them, `latlint rules LAT201` shows a page. Some findings state a gain: what the fix would save on the target.
To find it, latlint edits the graph, plans it and predicts it again. In `2.0 ms [1.4–2.6] (12%)`, the brackets are the interval of the gain and 12 % is its
share of the model's latency. Unchanged kernels cancel out; the interval covers the error of the kernels that change. Below 1 % of the model's
latency (`min-gain`), or below 0.05 ms, a finding is a note.

Examples have one line for each op, in the order in which the runtime runs them, channels last. The first line names the target, and the format where it
is ONNX. `b = conv2d a 64 kernel=3` is a convolution of `a` to 64 channels, `->` states a shape or a type that does not follow from the op, and `native=` is
the op's name in the file. Tests run every example: latlint must report those that fail, and must not report those that pass.

A word is new to you? See the [glossary](../glossary.md).
"""


#: What ``Rule.about`` means, in words.
_ABOUT = {
    "host": "CPUs",
    "offload": "processors other than the CPU",
    "gpu": "GPUs",
    "builtin": "built-in CPU kernels",
}


def pages() -> dict[str, str]:
    """File name -> text of every page, and of the index, ``README.md``."""
    made = {f"{check.rule.code}.md": _page(check) for check in checks()}
    return {"README.md": _index(), **made}


def _page(check: Check) -> str:
    rule = check.rule
    summary, _, rest = check.page.partition("\n")
    facts = [f"severity: {rule.severity}"]
    facts.append(f"about: {', '.join(_ABOUT.get(each, each) for each in rule.about)}" if rule.about else "")
    facts.append(_CONFIDENCE.get(rule.confidence, ""))
    return f"# {rule.code} {rule.name}\n\n{summary}\n\n*{'; '.join(filter(None, facts))}*\n{rest}\n"


def _index() -> str:
    text = _INTRODUCTION
    for prefix, title in _GROUPS.items():
        chosen = [check for check in checks() if check.rule.code.startswith(prefix)]
        rows = [
            f"| [{c.rule.code}]({c.rule.code}.md) | {c.rule.name} | {c.rule.severity} | {c.summary} |" for c in chosen
        ]
        text += f"\n## {title}\n\n| code | name | severity | |\n|---|---|---|---|\n" + "\n".join(rows) + "\n"
    return text


def write(directory: Path) -> None:
    """Writes all pages, and removes those of rules that are no more."""
    directory.mkdir(parents=True, exist_ok=True)
    made = pages()
    for stale in directory.glob("*.md"):
        if stale.name not in made:
            stale.unlink()
    for name, text in made.items():
        (directory / name).write_text(text, "utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/rules"))
