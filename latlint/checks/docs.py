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

`latlint rules` lists them, `latlint rules LAT201` shows a page. A finding with a gain says what its fix would save on the target: the
graph is edited, planned and priced again. `2.0 ms [1.4–2.6] (12%)` is the gain, its interval (kernels that stay as they are cancel; what
changes errs as predictions of such kernels do) and its share of the model. Below 1 % of the model's latency (`min-gain`), or 0.05 ms, a finding is a note.

Examples are drawn line by line, in the order in which the runtime runs the ops, channels last: `b = conv2d a 64 kernel=3` is a
convolution of `a` to 64 channels, `->` states a shape or type that does not follow, `native=` the op's name in the file, and the first line names the target, and the format where it is
ONNX. Tests run
every example: those that fail must be found, those that pass must not.
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
