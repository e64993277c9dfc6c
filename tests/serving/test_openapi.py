"""The description of the HTTP door, and the page made from it."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

from winnow import __version__
from winnow.serving import openapi
from winnow.serving.answers import CODES


def test_references_exist():
    """Protects clients made from the document: every $ref leads somewhere, nothing is unused."""
    document = openapi.document()
    wanted = set(re.findall(r'"#/components/(\w+/\w+)"', openapi.document_text()))
    held = {
        f"{kind}/{name}" for kind, objects in document["components"].items() for name in objects
    }
    assert wanted == held


def test_version_is_ours():
    """Protects from a document of another version."""
    assert json.loads(openapi.document_text())["info"]["version"] == __version__


def test_error_codes_are_documented():
    """Protects programs that act on codes: each status has the code it is documented with."""
    documented = {
        answer["content"]["application/json"]["example"]["error"]["code"]
        for answer in openapi.document()["components"]["responses"].values()
    }
    assert documented == {code for code, _ in CODES.values()} - {"method_not_allowed"}


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.anchors: list[str] = []
        self.ids: set[str] = set()
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect what the page points to."""
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("src", "data", "action", "srcset") or (tag == "link" and name == "href"):
                self.loads.append(str(value))
            if name == "href":
                self.anchors.append(str(value))
            if name == "id":
                self.ids.add(str(value))


def test_page_loads_nothing():
    """Protects offline use and privacy: no script, no image, no font, no style from elsewhere."""
    links = _Links()
    links.feed(openapi.page())
    assert not links.loads
    assert "script" not in links.tags
    assert "url(" not in openapi.page()
    assert "@import" not in openapi.page()
    local = {anchor[1:] for anchor in links.anchors if anchor.startswith("#")}
    assert local <= links.ids
    assert {anchor for anchor in links.anchors if not anchor.startswith("#")} == {"/openapi.json"}


def test_page_says_it_all():
    """Protects readers: each operation and each field of each object is on the page."""
    page = openapi.page()
    for method, path, operation in openapi.operations():
        assert f"<b>{method}</b> <code>{path}</code>" in page
        assert operation["summary"] in page
    for schema in openapi.document()["components"]["schemas"].values():
        for field in schema.get("properties", ()):
            assert f"<code>{field}</code>" in page


def test_page_is_escaped():
    """Protects the page: an example with angle brackets shows them."""
    assert "From: Ada &lt;ada@example.org&gt;" in openapi.page()
