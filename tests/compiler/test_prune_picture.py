"""The picture of what layers can do without: whole, in bounds, and told in words, too."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

pytest.importorskip("onnx_ir", reason="the extra [compile] is not installed")

import itertools

from winnow.compiler.prune_picture import sensitivity_picture
from winnow.compiler.prune_sensitivity import HEADS, LAYER, NEURONS, Effect

EFFECTS = [
    Effect(layer, part, share, 1, (0.1 * share * (layer + 1)) ** 2, None)
    for layer in (0, 1, 2)
    for part, shares in ((HEADS, (0.25, 0.5, 0.75)), (NEURONS, (0.5,)), (LAYER, (1.0,)))
    for share in shares
]


def test_every_effect_is_drawn_inside_of_the_picture() -> None:
    """A dot for each, none outside; the file is XML with a title and a text."""
    root = ElementTree.fromstring(sensitivity_picture(EFFECTS))
    name = "{http://www.w3.org/2000/svg}"
    dots = root.findall(f".//{name}circle")
    assert len(dots) == len(EFFECTS)
    width, height = map(float, root.attrib["viewBox"].split()[2:])
    assert all(0 < float(dot.attrib["cx"]) < width for dot in dots)
    assert all(0 < float(dot.attrib["cy"]) < height for dot in dots)
    told = root.findtext(f"{name}desc") or ""
    assert "layer 2, heads cut, %: 0.225 at most" in told
    assert "layer 0, layer left out: 0.100" in told


def test_more_is_higher() -> None:
    """What moves answers more stands higher."""
    root = ElementTree.fromstring(sensitivity_picture([e for e in EFFECTS if e.part == LAYER]))
    heights = [float(dot.attrib["cy"]) for dot in root.iter("{http://www.w3.org/2000/svg}circle")]
    assert heights == sorted(heights, reverse=True)
    assert heights[0] - heights[2] > 20


def test_names_do_not_lie_on_each_other() -> None:
    """Lines that end together have names one below the other."""
    same = [Effect(layer, HEADS, 0.5, 1, 0.01, None) for layer in range(4)]
    places = re.findall(r'class="name" x="[^"]+" y="([^"]+)"', sensitivity_picture(same))
    assert len(places) == 4
    gaps = [float(b) - float(a) for a, b in itertools.pairwise(places)]
    assert min(gaps) >= 12


def test_nothing_that_moves() -> None:
    """A layer that does nothing has no logarithm, and is drawn all the same."""
    drawn = sensitivity_picture([Effect(0, HEADS, 0.5, 1, 0.0, None)])
    assert drawn.count("<circle") == 1
    assert "nan" not in drawn
