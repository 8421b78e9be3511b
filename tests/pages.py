"""What tests of HTML pages share; ``browser`` and ``opened`` are fixtures of ``tests/conftest.py``."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

DESKTOP, PHONE = (1280, 900), (390, 844)


def written(text: str, directory: Path, name: str = "report.html") -> str:
    """The address of a file with ``text``."""
    path = directory / name
    path.write_text(text, encoding="utf-8")
    return path.as_uri()


def data_of(text: str) -> dict[str, Any]:
    """The data of a page, models by their names."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert found
    document = json.loads(found[1])
    assert isinstance(document, dict)
    for each in (*document.get("predictions", ()), *document.get("findings", ()), *document.get("changes", ())):
        each["model"] = document["words"][each["model"]]
    return document


def violations(page: Any) -> list[str]:
    """What axe-core finds wrong, in a page that was opened with ``bypass_csp``: for axe alone, the policy has a test of its own."""
    from axe_playwright_python.base import AXE_FILE_PATH

    page.evaluate(Path(AXE_FILE_PATH).read_text(encoding="utf-8"))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations', 'incomplete']})")
    assert any(rule["id"] == "color-contrast" for rule in found["passes"])
    return [f"{rule['id']}: {rule['nodes'][0]['html']}" for rule in found["violations"]]


def unreachable(page: Any) -> list[str]:
    """What takes the focus and that the Tab key alone does not come to."""
    wanted = page.evaluate(
        """() => [...document.querySelectorAll("a[href], button, select, input, summary, [tabindex='0']")]
            .map((each, place) => { each.dataset.tab = place; return each.outerHTML.slice(0, 200); })"""
    )
    reached = set()
    for _ in range(len(wanted) + 5):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.dataset.tab"))
    return [element for place, element in enumerate(wanted) if str(place) not in reached]
