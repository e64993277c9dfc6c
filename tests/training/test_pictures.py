"""Pictures that lie in a model: valid, whole, and true to the figures."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winnow.training.cascade import Point
from winnow.training.pictures import frontier_picture, learning_picture

SVG = "{http://www.w3.org/2000/svg}"


def _point(seconds: float, errors: float) -> Point:
    return Point(-1.0, 1.0, 10.0, seconds, errors, 0.0, 0.1)


POINTS = [_point(2e-4, 5.0), _point(1e-3, 3.0), _point(4e-3, 2.5)]


def _drawn(picture: str, kind: str, style: str) -> list[ElementTree.Element]:
    root = ElementTree.fromstring(picture)
    assert root.tag == f"{SVG}svg"
    return [found for found in root.iter(f"{SVG}{kind}") if found.get("class") == style]


def _summary(picture: str) -> str:
    return ElementTree.fromstring(picture).findtext(f"{SVG}desc") or ""


def _inside(picture: str) -> bool:
    """Whether every number of a mark is one and lies within the picture."""
    assert "nan" not in picture
    assert "inf" not in picture.replace("information", "")
    marks = re.findall(r' (?:c?[xy][12]?)="([^"]*)"', picture)
    marks += re.findall(r"-?\d+\.\d+", " ".join(re.findall(r' d="([^"]*)"', picture)))
    return all(-1 <= float(value) <= 561 for value in marks)


def test_the_frontier_shows_every_point_and_the_chosen_one() -> None:
    """Dearer is further right, better further down, and what was chosen is marked."""
    picture = frontier_picture(POINTS, POINTS[1])
    points = _drawn(picture, "circle", "point")
    x, y = ([float(dot.get(key, "")) for dot in points] for key in ("cx", "cy"))
    assert len(points) == 3
    assert x == sorted(x)
    assert y == sorted(y)
    (chosen,) = _drawn(picture, "circle", "chosen")
    assert (chosen.get("cx"), chosen.get("cy")) == (points[1].get("cx"), points[1].get("cy"))
    assert _summary(picture) == (
        "5.00% errors at 0.20 ms with the reflex alone, 2.50% at 4.00 ms; chosen: 3.00% at 1.00 ms."
    )


@given(
    st.lists(
        st.tuples(st.floats(1e-7, 1e3), st.floats(0, 100)), min_size=1, max_size=8, unique=True
    )
)
def test_any_frontier_can_be_drawn(figures: list[tuple[float, float]]) -> None:
    """One point, no errors, or costs far apart: calibration does not fail at its picture."""
    points = [_point(*pair) for pair in sorted(figures)]
    assert _inside(frontier_picture(points, points[-1]))


def test_the_curves_of_learning_are_told_apart() -> None:
    """Mail that was learnt and mail that was not, each to its end; the scale begins at 0."""
    picture = learning_picture([(10, 0.8, 0.9), (20, 0.4, math.nan), (30, 0.2, 0.5)])
    assert len(_drawn(picture, "path", "curve")) == len(_drawn(picture, "path", "other")) == 1
    (seen,) = _drawn(picture, "path", "curve")
    assert (seen.get("d") or "").count("L") == 2
    (unseen,) = _drawn(picture, "path", "other")
    assert (unseen.get("d") or "").count("L") == 1
    assert _summary(picture) == "learnt mail: 0.200 at the end. held-out mail: 0.500 at the end."


def test_without_held_out_mail_there_is_one_curve() -> None:
    """What was not measured is not drawn as 0."""
    picture = learning_picture([(10, 0.8, math.nan), (20, 0.4, math.nan)])
    assert not _drawn(picture, "path", "other")
    assert "held-out" not in picture


LOSSES = st.floats(0, 50) | st.sampled_from([math.nan, math.inf, 0.0])


@given(st.lists(st.tuples(st.integers(0, 10**6), LOSSES, LOSSES), max_size=8))
def test_any_curve_can_be_drawn(curve: list[tuple[int, float, float]]) -> None:
    """Hours of training do not end at a picture: no look, one look, no loss at all."""
    assert _inside(learning_picture(sorted(curve, key=lambda look: look[0])))


@pytest.mark.parametrize("picture", [frontier_picture(POINTS, POINTS[0]), learning_picture([])])
def test_a_picture_stands_alone(picture: str) -> None:
    """Any viewer shows it: nothing is fetched, no script runs, light and dark are in it."""
    assert picture.startswith('<svg xmlns="http://www.w3.org/2000/svg" ')
    assert not re.search(r"<script|href|url\(|@import|src=", picture)
    assert "prefers-color-scheme: dark" in picture
    assert ElementTree.fromstring(picture).findtext(f"{SVG}title")
