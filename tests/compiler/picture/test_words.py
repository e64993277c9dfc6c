"""The words beside the drawing: short, true, and of one form."""

from __future__ import annotations

import pytest

ir = pytest.importorskip("onnx_ir", reason="the extra [compile] is not installed")

from tests.compiler.picture.graphs import encoder, fused_encoder  # noqa: E402
from winnow.compiler.picture import words  # noqa: E402
from winnow.compiler.picture.changes import Change, Fate  # noqa: E402
from winnow.compiler.picture.nodes import Kind  # noqa: E402
from winnow.compiler.picture.story import Story, story_of  # noqa: E402


@pytest.fixture
def story() -> Story:
    """An encoder of three layers, fused."""
    return story_of("m", encoder(3), fused_encoder(3))


@pytest.mark.parametrize(
    ("count", "told"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (262_144, "262 kB"), (999_499, "999 kB"),
     (999_500, "1.0 MB"), (29_506_488, "29.5 MB")],
)  # fmt: skip
def test_sizes(count: int, told: str) -> None:
    """Bytes in the unit that a person would choose."""
    assert words.size_text(count) == told


def test_rows_in_one_line(story: Story) -> None:
    """Name, times and counts of both sides, and what became of what."""
    told = [words.row_text(story, row) for row in story.rows]
    assert told == [
        "embeddings: 5 nodes → 3",
        "layers 0 to 2: 3 × 22 nodes → 3 × 11",
        "head: 2 nodes → 2",
    ]
    assert words.headline(story) == "73 nodes → 38"
    assert words.row_changes(story, story.rows[0]) == ["3 -> Cast"]
    assert words.row_changes(story, story.rows[1]) == ["11 -> Attention", "2 -> BiasGelu"]


def test_one_graph_in_one_line() -> None:
    """Without another graph there is no arrow."""
    story = story_of("m", encoder(1))
    assert words.headline(story) == "29 nodes"
    assert words.row_text(story, story.rows[-1]) == "head: 2 nodes"


def test_a_layer_that_is_missing() -> None:
    """What one side has not is said."""
    told = [words.row_text(s, r) for s in [story_of("m", encoder(2), encoder(1))] for r in s.rows]
    assert "layer 1: 22 nodes → nothing" in told


@pytest.mark.parametrize(
    ("ops", "told"),
    [
        (("Attention",), "Attention"),
        (("Gather", "Cast"), "Gather and Cast"),
        (("Mul", "Mul"), "2 Mul"),
        (("Add", "Mul", "Mul"), "Add and 2 Mul"),
        (("Add", "Shape", "Slice"), "Add, Shape and Slice"),
        (("Add", "Shape", "Slice", "Slice"), "Add and 3 more"),
    ],
)
def test_what_nodes_became(ops: tuple[str, ...], told: str) -> None:
    """Up to three nodes by their names, of more the weightiest and how many others."""
    change = Change(Fate.CHANGED, (0, 1), tuple(range(len(ops))), (), Kind.PRODUCT, ops)
    assert words.became(change) == told
    assert words.frame_text(change, newer=False) == f"2 nodes become {told}"
    assert words.frame_text(change, newer=True) == "was 2 nodes"


def test_changes_of_one_form_are_counted() -> None:
    """What happened twice in a layer is told once, with its number."""
    after = encoder(1)
    for node in after.graph:
        if node.name in ("layer0.norm", "layer0.end", "layer0.gelu"):
            node.op_type = f"Fast{node.op_type}"
    story = story_of("m", encoder(1), after)
    assert words.row_changes(story, story.rows[1]) == [
        "1 -> FastLayerNormalization (2 times)", "1 -> FastGelu",
    ]  # fmt: skip


def test_a_change_across_two_stages_is_told_once() -> None:
    """A layer's last norm that was fused with the head's product is told with the layer."""
    after = encoder(1)
    end = next(node for node in after.graph if node.name == "layer0.end")
    product = next(node for node in after.graph if node.name == "answer.product")
    end.outputs[0].name = "other"
    product.op_type = "NormMatMul"
    story = story_of("m", encoder(1), after)
    told = [words.row_changes(story, row) for row in story.rows]
    assert told == [[], ["2 -> LayerNormalization and NormMatMul"], []]


def test_what_passes_the_edges_of_a_stage(story: Story) -> None:
    """What comes from the thread needs no word; all else says whence and whither."""
    side = story.before
    exits, ports = words.port_texts(side, side.members(0))
    assert exits == ["embed", "mask.apart"]
    assert ports == {"ids": "ids", "mask": "mask", "mask.apart": "to layers 0 to 2"}
    exits, ports = words.port_texts(side, side.members(1))
    assert (exits, ports) == (["layer0.end"], {"mask.apart": "from embeddings"})
    exits, ports = words.port_texts(side, side.members(4))
    assert (exits, ports) == (["answer"], {"answer": "answer"})


def test_all_about_a_node(story: Story) -> None:
    """The tooltip has operator, name, kind, shape, constants and rules."""
    nodes = {node.name: node for node in story.after.sketch.nodes} if story.after else {}
    assert words.about(nodes["layer0.up.product"]) == (
        "MatMul layer0.up.product; product; makes b×t×16; constants 8×16 (512 B)"
    )
    assert words.about(nodes["layer1.mixed"]).endswith("; made by Pack, FuseAttention")
    assert words.second_line(nodes["layer0.mixed"], 11) == "was 11 nodes · b×t×8"
