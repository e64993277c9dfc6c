"""The pictures: numbers in the place that they mean, and in words beside it."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from tests.ladder.rows import found, refused, rung
from winnow.ladder.pictures import bars_plot, latency_plot, peers_plot, short, worth_plot

ROWS = found()["rungs"]


def _heights(picture: str, style: str) -> list[float]:
    tree = ElementTree.fromstring(picture)
    return [float(b.get("height", 0)) for b in tree.iter("rect") if b.get("class") == style]


def _told(picture: str) -> str:
    return re.findall(r"<desc[^>]*>(.*?)</desc>", picture)[0]


def test_bars_are_as_high_as_their_numbers() -> None:
    """From 0, so that half the bytes are half the height; a refused row has no bar."""
    picture = bars_plot(
        [rung("a", 20.0), rung("b", 10.0), refused("c", "no")], "bytes", "k", "Size", "MB"
    )
    first, second = _heights(picture, "bar")
    assert first == pytest.approx(2 * second, rel=0.01)
    assert _told(picture) == "MB: a 20.0, b 10.0."
    assert ">c<" not in picture


def test_no_figures_no_picture() -> None:
    """An empty frame would look like zeros."""
    nothing = [refused("a", "no")]
    assert bars_plot(nothing, "bytes", "k", "Size", "MB") == ""
    assert latency_plot(nothing, "k") == ""
    assert worth_plot([rung("a", 1.0, mail=False)], "k") == ""
    assert peers_plot(nothing, [], "k") == ""
    assert peers_plot([], [], "k") == ""


def test_latency_has_a_bar_for_each_length() -> None:
    """Lengths that the model does not take are left out, in the legend too."""
    picture = latency_plot(ROWS, "k")
    short_, long = _heights(picture, "b32"), _heights(picture, "b128")
    assert len(short_) == len(long) == 4  # three rows, and the legend's square
    assert long[0] == pytest.approx(4 * short_[0], rel=0.02)
    assert "256" not in picture
    assert "baseline 12.0 ms at 128 tokens" in _told(picture)


def test_accuracy_stands_over_cost() -> None:
    """Cheaper is further left, better is higher, and every point has its interval."""
    tree = ElementTree.fromstring(worth_plot(ROWS, "k"))
    dots = [(float(d.get("cx", 0)), float(d.get("cy", 0))) for d in tree.iter("circle")]
    baseline, _, quantized = dots
    assert quantized[0] < baseline[0]
    assert quantized[1] > baseline[1]
    whiskers = [w for w in tree.iter("line") if w.get("class") == "whisker"]
    assert len(whiskers) == 3


def test_names_do_not_cover_each_other() -> None:
    """Points at one place keep names that can be read."""
    picture = worth_plot([rung(name, 5.0) for name in ("one", "two", "three")], "k")
    tree = ElementTree.fromstring(picture)
    heights = [float(t.get("y", 0)) for t in tree.iter("text") if t.get("class") == "name"]
    gaps = [abs(a - b) for a in heights for b in heights if a is not b]
    assert min(gaps) >= 13


def test_peers_stand_in_order_of_speed() -> None:
    """Rungs and peers together, the fastest first, told apart by colour."""
    picture = peers_plot(ROWS, found()["peers"], "k")
    assert _told(picture).startswith("quantized 5.00 ms; openvino 11.0 ms; folded 11.9 ms")
    assert len(_heights(picture, "b128")) == 3
    assert len(_heights(picture, "bar")) == 1
    assert "torch" not in picture


def test_a_single_row_and_equal_figures() -> None:
    """Neither divides by a range that is none."""
    one = [rung("a", 5.0)]
    for picture in (worth_plot(one, "k"), latency_plot(one, "k"), peers_plot(one, [], "k")):
        ElementTree.fromstring(picture)


@pytest.mark.parametrize("most", [0.004, 0.9, 1.0, 1.9, 2.1, 3.3, 7.6, 28.4, 99.0, 1_234.0])
def test_scales_have_room_and_round_ticks(most: float) -> None:
    """From 0 to a little over the highest bar; three to ten ticks, each a short number."""
    picture = bars_plot([rung("a", most)], "joules_per_1000", "k", "Energy", "J")
    tree = ElementTree.fromstring(picture)
    ends = [t.text for t in tree.iter("text") if t.get("text-anchor") == "end"]
    ticks = [words for words in ends if words]
    assert 3 <= len(ticks) <= 10
    assert all(len(tick) <= 6 for tick in ticks)
    assert float(ticks[0]) == 0
    assert 0.6 * 2 * most < float(ticks[-1]) <= 1.1 * 2 * most
    assert _heights(picture, "bar")[0] > 180


@pytest.mark.parametrize(
    ("value", "text"), [(1234.0, "1,234"), (12.34, "12.3"), (1.234, "1.23"), (0.001, "0.00")]
)
def test_numbers_are_short(value: float, text: str) -> None:
    """Five signs fit over a bar."""
    assert short(value) == text
