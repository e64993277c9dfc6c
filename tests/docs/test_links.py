"""Readers of the docs can get everywhere, and nowhere that does not exist."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.pages import ROOT, Page, markdown, read

DOCS = ROOT / "docs"


def _broken(page: Page, link: str) -> str:
    """Return why an internal link leads nowhere, or ""."""
    target, _, fragment = link.partition("#")
    path = (page.path.parent / target).resolve() if target else page.path
    if not path.is_relative_to(ROOT) or not path.exists():
        return f"{page.name}: {link}: no such file"
    if fragment and path.suffix == ".md" and fragment not in read(path).anchors():
        return f"{page.name}: {link}: no such heading"
    return ""


def test_internal_links_resolve() -> None:
    """Every link to a file or heading of the repository leads there."""
    links = [(page, link) for page in markdown() for link in page.links()]
    inner = [(page, link) for page, link in links if "://" not in link and "mailto:" not in link]
    broken = [word for page, link in inner if (word := _broken(page, link))]
    assert inner
    assert not broken, "\n".join(broken)


@pytest.mark.parametrize("link", ["missing.md", "#missing", "../../outside.md", "README.md#no"])
def test_a_broken_link_is_seen(link: str) -> None:
    """The check itself finds a wrong file, a wrong heading and a way out of the repository."""
    assert _broken(Page(ROOT / "README.md", "# Here", ()), link)


def test_the_index_lists_every_page() -> None:
    """Every page under docs is linked from docs/README.md, so that a reader can find it."""
    index = read(DOCS / "README.md")
    linked = {(DOCS / link.partition("#")[0]).resolve() for link in index.links()}
    pages = {page.path for page in markdown() if page.path.is_relative_to(DOCS)} - {index.path}
    missing = sorted(path.relative_to(DOCS).as_posix() for path in pages - linked)
    assert pages
    assert not missing, f"docs/README.md has no link to {', '.join(missing)}"


def test_pages_lie_by_kind() -> None:
    """A page is in the folder of its kind, so that a reader knows what it is for."""
    kinds = {"tutorial", "how-to", "reference", "explanation", "decisions"}
    pages = [page.path.relative_to(DOCS) for page in markdown() if DOCS in page.path.parents]
    astray = [path for path in pages if path.parts[0] not in kinds and path != Path("README.md")]
    assert not astray
