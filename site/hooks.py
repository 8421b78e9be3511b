"""What the site takes from the repository: its address, the pages of the rules, and links to files that are not pages."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

TOP = Path(__file__).resolve().parents[1]
ADDRESS = runpy.run_path(str(TOP / "latlint" / "address.py"))


def on_config(config: Any) -> Any:
    """The address, where the project has one; one line of the navigation for each rule."""
    config.site_url = ADDRESS["SITE"] or None
    config.repo_url = ADDRESS["REPOSITORY"] or None
    rules = sorted(path.name for path in (TOP / "docs" / "rules").glob("LAT*.md"))
    for section in config.nav:
        if isinstance(section, dict) and "Rules" in section:
            section["Rules"] = ["rules/README.md", *(f"rules/{name}" for name in rules)]
    return config


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Links out of ``docs/`` go to the repository, or are text as long as it has no address."""
    here = TOP / "docs" / Path(page.file.src_uri).parent

    def outside(match: re.Match[str]) -> str:
        text, target = match[1], (here / match[2]).resolve()
        if target.is_relative_to(TOP / "docs") or not target.exists():
            return match[0]
        path = target.relative_to(TOP).as_posix()
        return f"[{text}]({ADDRESS['REPOSITORY']}/blob/HEAD/{path})" if ADDRESS["REPOSITORY"] else f"{text} (`{path}`)"

    return re.sub(r"(?<!!)\[([^]]*)\]\((\.\.?/[^)#\s]+)(?:#[^)\s]*)?\)", outside, markdown)
