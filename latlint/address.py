"""Where the project is on the web: the one place that says so. Empty until it is somewhere; then no output has a link, and no file an address.

From these follow the links of findings (text, SARIF, HTML, JSON), what ``latlint init`` takes hooks and workflows from, the package's
metadata (``hatch_build.py``) and the documentation site's own address (``docs/site/hooks.py``).
"""

#: The Git repository: ``https://HOST/OWNER/latlint``.
REPOSITORY = ""
#: The documentation site, built from ``docs/``: ``https://HOST/latlint/``, with the slash.
SITE = ""


def page_of(name: str) -> str:
    """Where the page ``docs/NAME.md`` is: on the site, in the repository, or else its path."""
    if SITE:
        return f"{SITE}{name}/"
    path = f"docs/{name}.md"
    return f"{REPOSITORY}/blob/HEAD/{path}" if REPOSITORY else path


def urls() -> dict[str, str]:
    """The package's ``project.urls``."""
    found = {"Repository": REPOSITORY, "Documentation": SITE}
    if REPOSITORY:
        found |= {"Changelog": f"{REPOSITORY}/blob/HEAD/CHANGELOG.md", "Issues": f"{REPOSITORY}/issues"}
    return {name: url for name, url in found.items() if url}
