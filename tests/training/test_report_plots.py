from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.training.test_metrics import scored
from winnow.training.metrics import Scored
from winnow.training.report_plots import (
    _wilson,
    errors_plot,
    growth_plot,
    reliability_plot,
    roc_plot,
    running_plot,
)

GOOD = scored([0.01] * 990 + [0.6] * 9 + [0.95], [0.2] + [0.7] * 9 + [0.99] * 490)
WIDTH, HEIGHT = 440.0, 330.0


def parsed(image: str) -> ElementTree.Element:
    return ElementTree.fromstring(image)


def texts(root: ElementTree.Element) -> list[str]:
    return [e.text or "" for e in root.iter("text")]


def test_growth_is_drawn_in_percent_of_the_tested() -> None:
    """A dot for each amount of training mail, fewer errors lower; the words say both ends."""
    root = ElementTree.fromstring(growth_plot([(50, 40), (100, 20), (400, 10)], 1000, "k"))
    drawn = points(root)
    assert len(drawn) == 3
    assert [x for x, _ in drawn] == sorted(x for x, _ in drawn)
    assert drawn[0][1] < drawn[1][1] < drawn[2][1]  # down the page
    assert (drawn[1][1] - drawn[0][1]) == pytest.approx(2 * (drawn[2][1] - drawn[1][1]), abs=0.3)
    told = "".join(root.itertext())
    assert "4.00% after 50 messages, 1.00% after 400." in told


def points(root: ElementTree.Element, style: str = "curve") -> list[tuple[float, float]]:
    [path] = [e for e in root.iter("path") if e.attrib["class"] == style]
    steps = path.attrib["d"].removeprefix("M").split(" L")
    return [(float(x), float(y)) for x, y in (step.split() for step in steps)]


def dots(root: ElementTree.Element) -> list[tuple[float, float]]:
    return [(float(e.attrib["cx"]), float(e.attrib["cy"])) for e in root.iter("circle")]


def test_roc_axis_lets_a_tenth_of_a_percent_be_read() -> None:
    """0.1% of ham lies well inside the plot, and the axis of spam begins below the curve there."""
    root = parsed(roc_plot(GOOD, "k"))
    assert {"0", "0.01", "0.1", "1", "10", "100"} <= set(texts(root))
    [guide] = [e for e in root.iter("line") if e.attrib["class"] == "guide"]
    assert WIDTH / 4 < float(guide.attrib["x1"]) < WIDTH / 2
    assert {"95", "96", "97", "98", "99"} <= set(texts(root))


def test_roc_curve_rises_and_holds_the_operating_points() -> None:
    """From nothing lost to all caught, through the two thresholds of the shipped rule."""
    root = parsed(roc_plot(GOOD, "k"))
    curve = points(root)
    assert [x for x, _ in curve] == sorted(x for x, _ in curve)
    assert [y for _, y in curve] == sorted((y for _, y in curve), reverse=True)
    flag, junk = dots(root)
    for x, y in (flag, junk):
        assert min(abs(x - a) + abs(y - b) for a, b in curve) < 1
    assert junk[0] < flag[0]
    assert junk[1] > flag[1]
    assert {"at 0.50", "at 0.90"} <= set(texts(root))
    assert "At 0.90: 98.00% of spam caught, 0.10% of ham lost." in ElementTree.tostring(
        root, encoding="unicode"
    )


def test_roc_names_do_not_lie_on_each_other() -> None:
    """When both thresholds give one point, one name makes way."""
    root = parsed(roc_plot(scored([0.0] * 9, [1.0] * 9), "k"))
    places = {
        e.text: float(e.attrib["y"]) for e in root.iter("text") if e.attrib["class"] == "name"
    }
    assert abs(places["at 0.50"] - places["at 0.90"]) >= 15


def test_roc_names_do_not_lie_on_the_curve() -> None:
    """A point at the right edge has its name in the corner below, where the curve has left."""
    rng = np.random.default_rng(0)
    ham, spam = rng.random(2000) ** 0.5, 1 - 0.6 * rng.random(1000) ** 6
    poor = scored(ham.tolist(), spam.tolist())
    root = parsed(roc_plot(poor, "k"))
    names = [e for e in root.iter("text") if e.attrib["class"] == "name"]
    curve = points(root)
    assert len(names) == 2
    for name in names:
        assert name.attrib["text-anchor"] == "end"
        left = float(name.attrib["x"]) - 46  # "at 0.50" at this size
        top = float(name.attrib["y"]) - 10
        assert not any(x > left and y > top for x, y in curve)


def test_reliability_of_an_honest_filter_lies_on_the_line() -> None:
    """Points at (mean given, share that was spam), with the count of each bin above its bar."""
    rng = np.random.default_rng(0)
    probability = rng.random(20_000)
    data = Scored(probability, rng.random(20_000) < probability, ("",) * 20_000)
    root = parsed(reliability_plot(data, "k"))
    [ideal] = [e for e in root.iter("line") if e.attrib["class"] == "ideal"]
    x1, y1, x2, y2 = (float(ideal.attrib[k]) for k in ("x1", "y1", "x2", "y2"))
    assert len(dots(root)) == 15
    for x, y in dots(root):
        assert y == pytest.approx(y1 + (y2 - y1) * (x - x1) / (x2 - x1), abs=8)
    assert "1.3k" in texts(root)


def test_reliability_shows_a_boastful_filter() -> None:
    """Given 1 and half of it ham: the point lies half-way up at the right edge."""
    root = parsed(reliability_plot(scored([1.0] * 50, [1.0] * 50), "k"))
    [(x, y)] = dots(root)
    assert x == pytest.approx(418, abs=1)
    assert y == pytest.approx((34 + 208) / 2, abs=1)
    assert "50.0% of them spam" in ElementTree.tostring(root, encoding="unicode")


def test_errors_curve_goes_where_the_errors_are() -> None:
    """Cumulative errors as steps, from nothing to all, and half of them told in words."""
    root = parsed(errors_plot([(10, 1), (20, 2), (1000, 3), (2000, 4)], "k"))
    curve = points(root)
    assert curve[0] == (46.0, 282.0)
    assert curve[-1][0] == pytest.approx(418)
    assert [y for _, y in curve] == sorted((y for _, y in curve), reverse=True)
    assert "4 errors in 2,000 messages, half of them within the first 20." in "".join(
        root.itertext()
    )


def test_errors_curve_without_errors() -> None:
    """A filter that never erred has a flat line, not a division by zero."""
    assert {y for _, y in points(parsed(errors_plot([(100, 0)], "k")))} == {282.0}


def test_running_ranking_falls_as_the_filter_learns() -> None:
    """Wrong at first and right later: the line goes down and ends at the figure of the whole."""
    label = np.array([True, False] * 200)
    probability = np.where(label, 0.75, 0.25)
    probability[:20] = 1 - probability[:20]
    root = parsed(running_plot(Scored(probability, label, ("",) * 400), "k"))
    curve = points(root)
    assert curve[0][1] < curve[-1][1]
    assert "5.000% after 400 messages" in "".join(root.itertext())
    assert "Not defined" in running_plot(scored([0.1], []), "k")


@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=30),
    st.lists(st.floats(0, 1), min_size=1, max_size=30),
)
def test_plots_stay_inside_their_frame(ham: list[float], spam: list[float]) -> None:
    """Whatever the answers: valid XML, every mark within the picture, no NaN."""
    data = scored(ham, spam)
    for image in (roc_plot(data, "a"), reliability_plot(data, "b"), running_plot(data, "c")):
        assert "nan" not in image
        root = parsed(image)
        for x, y in [*dots(root), *(p for e in root.iter("path") for p in _steps(e))]:
            assert 0 <= x <= WIDTH
            assert 0 <= y <= HEIGHT


def _steps(path: ElementTree.Element) -> list[tuple[float, float]]:
    steps = path.attrib["d"].removeprefix("M").split(" L")
    return [(float(x), float(y)) for x, y in (step.split() for step in steps)]


def test_wilson_interval_is_that_of_the_paper() -> None:
    """Known values: 0 of 10 up to 27.8%, 5 of 10 within 23.7 and 76.3%."""
    assert _wilson(0, 10) == pytest.approx((0, 0.278), abs=1e-3)
    assert _wilson(5, 10) == pytest.approx((0.237, 0.763), abs=1e-3)
    assert _wilson(10, 10)[1] == 1
