from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winnow import drawing as svg


@given(st.text(st.characters(codec=None), max_size=300))
def test_any_text_becomes_harmless(text: str) -> None:
    """No markup, no control character, no reversed text, no endless line, always UTF-8."""
    shown = svg.escape(text)
    assert not set(shown) & set("<>\"'")
    assert shown.isprintable()
    parsed = ElementTree.fromstring(f"<x>{shown}</x>".encode()).text or ""
    assert parsed == text or len(text) > 160 or not text.isprintable()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<script>", "&lt;script&gt;"),
        ('" onload="', "&quot; onload=&quot;"),
        ("a\u202egnp.exe", r"a\u202egnp.exe"),
        ("\udcff\n", r"\udcff\n"),
        ("Grüße", "Grüße"),
    ],
)
def test_how_odd_text_is_shown(text: str, shown: str) -> None:
    """The reader sees what was there."""
    assert svg.escape(text) == shown


def test_long_text_is_cut_visibly() -> None:
    """One hostile id does not fill the page."""
    assert svg.escape("x" * 1000) == "x" * 159 + "…"


def test_scales() -> None:
    """Ends fall on ends, what lies outside is clamped, equal factors are equal distances."""
    place = svg.linear(0, 10, 100, 0)
    assert (place(0), place(5), place(10), place(99), place(-9)) == (100, 50, 0, 0, 100)
    log = svg.logarithmic(0.01, 100, 0, 40)
    assert [log(v) for v in (0.01, 0.1, 1, 100)] == pytest.approx([0, 10, 20, 40])
    assert log(0) == 0


def test_decades_are_named_without_noise() -> None:
    """No tick says 0.1000000001 or 1e-02."""
    assert [name for _, name in svg.decades(0.01, 100)] == ["0.01", "0.1", "1", "10", "100"]


@given(st.integers(0, 10_000_000))
def test_ticks_are_few_round_whole_and_reach(high: int) -> None:
    """Two to six ticks from zero; the last reaches the data and no other does."""
    ticks = svg.round_ticks(high)
    assert 2 <= len(ticks) <= 6
    assert ticks[0] == 0
    assert ticks[-1] >= high > ticks[-2] or high == 0
    assert all(tick.is_integer() for tick in ticks)
    assert re.fullmatch(r"[125]0*", f"{ticks[1]:.0f}")


@pytest.mark.parametrize(
    ("number", "shown"),
    [(0, "0"), (812, "812"), (999, "999"), (1000, "1.0k"), (2345, "2.3k"), (9949, "9.9k"),
     (9950, "10k"), (15_390, "15k"), (999_600, "1.0M"), (1_250_000, "1.2M")],
)  # fmt: skip
def test_counts_fit_above_a_bar(number: int, shown: str) -> None:
    """Four characters at most."""
    assert svg.count(number) == shown
    assert len(shown) <= 4


def test_path_drops_what_cannot_be_seen_and_keeps_both_ends() -> None:
    """Thirty thousand points become a few hundred; the line still ends where the data ends."""
    points = [(n / 100, 0.0) for n in range(30_001)]
    drawn = svg.path(points, "curve")
    assert drawn.startswith('<path class="curve" d="M0.0 0.0 L0.5 0.0 ')
    assert drawn.endswith('L300.0 0.0"/>')
    assert drawn.count("L") <= 601
    assert svg.path([], "curve") == ""


def test_image_tells_itself_to_a_screen_reader() -> None:
    """Title and summary are part of the image and referred to by it."""
    root = ElementTree.fromstring(svg.svg(10, 20, "", key="k", title="A & B", summary="<none>"))
    assert root.attrib["role"] == "img"
    assert root.attrib["aria-labelledby"].split() == [root[0].attrib["id"], root[1].attrib["id"]]
    assert (root[0].text, root[1].text) == ("A & B", "<none>")
