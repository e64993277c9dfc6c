"""One stage as it is drawn: every node once, frames with numbers, text that cannot do harm."""

from __future__ import annotations

import re
from collections import Counter
from xml.etree import ElementTree

import pytest

ir = pytest.importorskip("onnx_ir", reason="the extra [compile] is not installed")

from tests.compiler.picture.graphs import encoder, fused_encoder  # noqa: E402
from winnow.compiler.picture.panel import panel_of, wire  # noqa: E402
from winnow.compiler.picture.story import Story, story_of  # noqa: E402


@pytest.fixture
def story() -> Story:
    """An encoder of two layers, fused."""
    return story_of("m", encoder(2), fused_encoder(2))


def _texts(body: str, style: str) -> list[str]:
    root = ElementTree.fromstring(f"<svg>{body}</svg>")
    return [found.text or "" for found in root.iter("text") if found.get("class") == style]


def test_every_node_is_drawn_once(story: Story) -> None:
    """Operators, shapes and bytes of a layer's nodes, as often as it has them."""
    side = story.before
    body = panel_of(story, side, range(1, 3)).body
    ops = Counter(side.sketch.nodes[n].op for n in side.members(1))
    assert Counter(_texts(body, "op")) == ops
    assert _texts(body, "small").count("b×t×16") == 3
    assert body.count("<title>") == len(side.members(1))


def test_frames_say_what_their_nodes_became(story: Story) -> None:
    """The number and the words of a change stand on its frame, and on what it became."""
    before = panel_of(story, story.before, range(1, 3)).body
    assert _texts(before, "words") == ["11 nodes become Attention", "2 nodes become BiasGelu"]
    assert _texts(before, "number") == ["2", "3"]
    assert re.findall(r'class="frame (\w+)"><rect', before) == ["attention", "activation"]
    after = panel_of(story, story.after or story.before, range(1, 3)).body
    assert _texts(after, "number") == ["2", "3"]
    assert "was 11 nodes · b×t×8" in _texts(after, "small")
    assert 'class="node attention changed"' in after


def test_new_nodes_lie_level_with_the_old(story: Story) -> None:
    """What became of a frame has its middle where the frame has its own."""
    old = panel_of(story, story.before, range(1, 3))
    levels = {n: at.y + at.height / 2 for n, at in old.marks.items()}
    new = panel_of(story, story.after or story.before, range(1, 3), levels)
    (attention,) = [n for n, number in story.numbers.items() if number == 2]
    middle = new.marks[attention].y + new.marks[attention].height / 2
    assert middle == pytest.approx(levels[attention])
    compact = panel_of(story, story.after or story.before, range(1, 3))
    assert compact.height < new.height <= old.height


def test_the_thread_enters_and_leaves(story: Story) -> None:
    """A layer is entered at its top and left at its bottom; the head is not left."""
    layer = panel_of(story, story.before, range(1, 3))
    assert layer.entry is not None
    assert layer.leave is not None
    assert layer.entry[1] < layer.leave[1] <= layer.height
    assert panel_of(story, story.before, range(3, 4)).leave is None
    assert panel_of(story, story.before, range(1)).entry is None


HOSTILE = '</title><script>alert("x")</script>\u202e\x00' + "n" * 999


def test_hostile_names() -> None:
    """Whatever a node, a value or an operator is called, it is text, on one line, and short."""
    model = encoder(1)
    for node in model.graph:
        node.name = node.outputs[0].name = f"{HOSTILE}{node.name}"
    model.graph.inputs[0].name = HOSTILE
    next(iter(model.graph)).op_type = "<b>&"
    story = story_of(HOSTILE, model, encoder(1))
    for stage in range(3):
        body = panel_of(story, story.before, range(stage, stage + 1)).body
        ElementTree.fromstring(f"<svg>{body}</svg>")
        assert "<script" not in body
        assert "\u202e" not in body
        assert len(body) < 60_000


def test_wires_are_smooth() -> None:
    """Straight down is a line, aside is a curve that leaves and arrives straight down."""
    assert wire(((1, 2), (1, 10), (21, 20))) == (
        '<path class="wire" d="M1 2V10C1 15 21 15 21 20"/>'
    )
