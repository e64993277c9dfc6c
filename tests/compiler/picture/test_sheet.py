"""The SVG file: whole, alone, both sides beside each other, the same each time."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

ir = pytest.importorskip("onnx_ir", reason="the extra [compile] is not installed")

from tests.compiler.picture.graphs import Builder, encoder, fused_encoder, given, model_of  # noqa: E402
from winnow.compiler.picture.sheet import columns_of, svg_of  # noqa: E402
from winnow.compiler.picture.story import Story, story_of  # noqa: E402

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def story() -> Story:
    """An encoder of three layers, fused."""
    return story_of("m & m", encoder(3), fused_encoder(3))


def _texts(picture: str, style: str) -> list[str]:
    root = ElementTree.fromstring(picture)
    return [t.text or "" for t in root.iter(f"{SVG}text") if t.get("class") == style]


def test_the_whole_picture(story: Story) -> None:
    """Headline, both sides with their counts, each stage with its own, the legend."""
    picture = svg_of(story)
    assert _texts(picture, "heading") == ["m & m: 73 nodes → 38"]
    assert _texts(picture, "column") == ["before", "after"]
    assert sorted(_texts(picture, "stage-name")) == sorted(
        2 * ["embeddings", "layers 0 to 2", "head"]
    )
    told = _texts(picture, "words")
    for words in ("73 nodes, 9 kB of constants", "3 × 22 nodes", "3 × 11 nodes", "attention"):
        assert words in told
    assert "8-bit integers" not in told  # no node is of this kind


def test_a_band_leads_from_each_change_to_what_it_became(story: Story) -> None:
    """As many bands as numbers, each in the colour of what the nodes became."""
    picture = svg_of(story)
    assert re.findall(r'class="band (\w+)"', picture) == ["shape", "attention", "activation"]


def test_bands_go_from_the_old_side_to_the_new(story: Story) -> None:
    """Each begins at its frame's edge and ends where the new side begins or further."""
    old, new = columns_of(story)
    for path in re.findall(r'class="band \w+" d="M(\d+) [^V]*?(\d+) \d+V', svg_of(story)):
        assert old.x < int(path[0]) < old.x + old.width
        assert new.x < int(path[1])


def test_stages_do_not_overlap(story: Story) -> None:
    """Boxes of the stages lie below each other and beside each other, with room between."""
    picture = svg_of(story)
    tops = [float(y) for y in re.findall(r'<g transform="translate\(0 (\d+)\)"><path', picture)]
    assert tops == sorted(tops)
    boxes = re.findall(r'class="stage"><rect x="(\d+)" y="0" width="(\d+)"', picture)
    (a, wide), (b, _) = [(int(x), int(w)) for x, w in boxes[:2]]
    assert a + wide < b


def test_the_thread_runs_from_stage_to_stage(story: Story) -> None:
    """One line on each side into the layers, and one into the head."""
    root = ElementTree.fromstring(svg_of(story))
    assert len([p for p in root.findall(f"{SVG}path") if p.get("class") == "wire"]) == 4


def test_it_stands_alone_and_is_the_same_each_time(story: Story) -> None:
    """Nothing is fetched, no script runs, light and dark are in it; the same bytes again."""
    picture = svg_of(story)
    assert picture.startswith('<svg xmlns="http://www.w3.org/2000/svg" ')
    assert not re.search(r"<script|href|url\(|@import|src=|<foreignObject", picture)
    assert "prefers-color-scheme: dark" in picture
    assert ElementTree.fromstring(picture).findtext(f"{SVG}title") == "m & m: 73 nodes → 38"
    assert svg_of(story_of("m & m", encoder(3), fused_encoder(3))) == picture


def test_one_graph_alone() -> None:
    """One column without a head, no bands, no numbers."""
    picture = svg_of(story_of("m", encoder(2)))
    assert _texts(picture, "column") == _texts(picture, "number") == []
    assert "band " not in picture.partition("</style>")[2]
    assert "nan" not in picture


def test_strangers_beside_each_other() -> None:
    """Graphs with nothing in common, of different numbers of stages, are drawn all the same."""
    build, x = Builder(), given("x", "batch", 4)
    other = model_of(build, [x], [build.op("Neg", x, name="other")])
    assert _texts(svg_of(story_of("m", encoder(1), other)), "op").count("Neg") == 1
    assert _texts(svg_of(story_of("m", other, encoder(1))), "op").count("Neg") == 1


def test_a_graph_of_four_hundred_nodes_stays_small() -> None:
    """Twenty layers are drawn once; all of them are drawn where that is asked for."""
    folded, every = (
        svg_of(story_of("m", encoder(20), fused_encoder(20), every_layer=every))
        for every in (False, True)
    )
    assert _texts(folded, "heading") == ["m: 447 nodes → 225"]
    assert len(_texts(folded, "op")) == 5 + 22 + 2 + 3 + 11 + 2
    assert len(_texts(every, "op")) == 447 + 225
