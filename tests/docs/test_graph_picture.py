"""The picture in the docs is what `winnow graph` draws today."""

from __future__ import annotations

from collections import Counter
from xml.etree import ElementTree

import pytest

from tests.docs.pages import ROOT, markdown

PICTURE = ROOT / "docs" / "how-to" / "one-layer.svg"
SVG = "{http://www.w3.org/2000/svg}"
# What the exporter and the rules decide; sizes of activations depend on onnx's version.
DECIDED = ("heading", "column", "stage-name", "op", "number", "words")


def _words(picture: str) -> Counter[tuple[str, str]]:
    root = ElementTree.fromstring(picture)
    found = ((t.get("class") or "", t.text or "") for t in root.iter(f"{SVG}text"))
    return Counter((style, text) for style, text in found if style in DECIDED)


def test_the_picture_is_small_and_shown() -> None:
    """A page loads it in a moment, and one page shows it."""
    assert PICTURE.stat().st_size < 40_000
    assert [page.name for page in markdown() if f"]({PICTURE.name})" in page.prose] == [
        "docs/how-to/see-the-graph.md"
    ]


@pytest.mark.slow
def test_the_picture_is_current() -> None:
    """The exporter's nodes, and what became of them, are those of the picture."""
    pytest.importorskip("jax", reason="the extra [train] is not installed")
    pytest.importorskip("onnxscript", reason="the extra [train] is not installed")
    from scripts.graph_picture import picture

    assert _words(PICTURE.read_text("utf-8")) == _words(picture()), (
        "run `python scripts/graph_picture.py docs/how-to/one-layer.svg`"
    )
