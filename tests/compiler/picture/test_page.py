"""The HTML page: tables of what changed, stages that fold away, nothing from outside."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

ir = pytest.importorskip("onnx_ir", reason="the extra [compile] is not installed")

from tests.compiler.picture.graphs import Builder, encoder, fused_encoder, given, model_of  # noqa: E402
from winnow.compiler.picture.page import page_of  # noqa: E402
from winnow.compiler.picture.story import story_of  # noqa: E402

VOID = {"meta", "br", "wbr", "circle", "rect", "path"}


class _Balance(HTMLParser):
    """Fails on an element that is closed out of order, and collects rows of tables."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.rows: list[list[str]] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        assert tag in VOID

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.rows and {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data


def _read(page: str) -> _Balance:
    balance = _Balance()
    balance.feed(page)
    balance.close()
    assert not balance.open
    return balance


def test_what_became_of_what() -> None:
    """A row for each change, in the order of its number, and counts by kind on both sides."""
    rows = _read(page_of(story_of("m", encoder(3), fused_encoder(3)))).rows
    assert rows[1:4] == [
        ["1", "embeddings", "3", "Cast", "FuseAttention"],
        ["2", "layers 0 to 2", "3 × 11", "Attention", "Pack, FuseAttention"],
        ["3", "layers 0 to 2", "3 × 2", "BiasGelu", "FuseBiasGelu"],
    ]
    assert ["attention", "3", "3"] in rows
    assert ["product", "25", "10"] in rows


def test_stages_fold_away_without_a_script() -> None:
    """A details element for each row, open at first, with a picture of both sides in it."""
    page = page_of(story_of("m", encoder(3), fused_encoder(3)))
    summaries = re.findall(r"<details open><summary>(.*?)</summary>", page)
    assert summaries == [
        "embeddings: 5 nodes → 3", "layers 0 to 2: 3 × 22 nodes → 3 × 11", "head: 2 nodes → 2",
    ]  # fmt: skip
    assert page.count('class="scroll wide"') == 3
    assert page.count("<figcaption>before: ") == page.count("<figcaption>after: ") == 3


def test_it_asks_for_nothing_and_runs_nothing() -> None:
    """The policy forbids it, and the page would have no use for it."""
    page = page_of(story_of("m", encoder(2), fused_encoder(2)))
    assert "default-src 'none'" in page
    assert not re.search(r"<script|<link|\shref=|url\(|@import|\ssrc=", page)
    assert "prefers-color-scheme: dark" in page
    assert '<meta name="viewport"' in page


def test_one_graph() -> None:
    """Counts by kind, the stages, and nothing about changes."""
    page = page_of(story_of("m", encoder(2)))
    assert "became" not in page
    assert ["attention", "2"] in _read(page).rows
    assert '<div class="narrow">' not in page


def test_strangers() -> None:
    """That nothing can be told is told."""
    build, x = Builder(), given("x", "batch", 4)
    other = model_of(build, [x], [build.op("Neg", x, name="other")])
    page = page_of(story_of("m", encoder(1), other))
    _read(page)
    assert "cannot be told" in page


def test_hostile_names() -> None:
    """Names from a file are text in the page: no element of theirs, no line of a thousand signs."""
    model = encoder(1)
    for node in model.graph:
        node.name = f"</svg><script>{node.name}</script>"
        node.metadata_props["pkg.onnxscript.rewriter.rule_name"] = "<img onerror=x>"
    page = page_of(story_of('"><script>x', encoder(1), model))
    _read(page)
    assert "<script" not in page
    assert "<img" not in page
