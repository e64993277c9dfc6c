"""What is told beside what, and under which number."""

from __future__ import annotations

import pytest

ir = pytest.importorskip("onnx_ir", reason="the extra [compile] is not installed")

from tests.compiler.picture.graphs import Builder, encoder, fused_encoder, given, model_of  # noqa: E402
from winnow.compiler.picture.changes import Fate  # noqa: E402
from winnow.compiler.picture.story import Row, story_of  # noqa: E402


def test_rows_fold_layers_that_are_alike_on_both_sides() -> None:
    """Three layers are one row; every one of them where that is asked for."""
    story = story_of("m", encoder(3), fused_encoder(3))
    assert story.rows == (
        Row(range(1), range(1)), Row(range(1, 4), range(1, 4)), Row(range(4, 5), range(4, 5)),
    )  # fmt: skip
    every = story_of("m", encoder(3), fused_encoder(3), every_layer=True)
    assert every.rows == tuple(Row(range(n, n + 1), range(n, n + 1)) for n in range(5))


def test_a_layer_that_changed_otherwise_is_a_row_of_its_own() -> None:
    """Folding looks at what became of a layer, too, not only at what it is."""
    after = encoder(3)
    next(node for node in after.graph if node.name == "layer1.gelu").op_type = "FastGelu"
    rows = story_of("m", encoder(3), after).rows
    assert [row.before for row in rows] == [range(n, n + 1) for n in range(5)]


def test_numbers_follow_the_drawing() -> None:
    """Changes that are drawn are numbered from the top; those of layers not drawn are not."""
    story = story_of("m", encoder(3), fused_encoder(3))
    drawn = sorted(story.numbers, key=story.numbers.__getitem__)
    assert [story.changes[n].ops for n in drawn] == [("Cast",), ("Attention",), ("BiasGelu",)]
    assert sorted(story.numbers.values()) == [1, 2, 3]
    assert all(story.changes[n].fate is Fate.CHANGED for n in drawn)
    for number in drawn:
        first = story.changes[number].before[0]
        assert story.before.change[first] == number
        assert story.before.stages.of[first] in (0, 1)


def test_sides_with_other_numbers_of_layers() -> None:
    """A layer that was left out has nothing beside it; heads are beside each other."""
    story = story_of("m", encoder(2), encoder(1))
    assert story.rows[-1] == Row(range(3, 4), range(2, 3))
    assert [n for row in story.rows for n in row.before] == [0, 1, 2, 3]
    assert [n for row in story.rows for n in row.after] == [0, 1, 2]


def test_one_graph() -> None:
    """Without another, there is nothing to compare and nothing to number."""
    story = story_of("m", encoder(2))
    assert (story.after, story.changes, story.numbers) == (None, (), {})
    assert [row.after for row in story.rows] == [range(0)] * 3


def test_strangers() -> None:
    """Graphs without a common value stand beside each other, without a word on changes."""
    build, x = Builder(), given("x", "batch", 4)
    story = story_of("m", encoder(1), model_of(build, [x], [build.op("Neg", x, name="other")]))
    assert (story.changes, story.numbers) == ((), {})
    assert set(story.before.change) == {-1}
    assert [n for row in story.rows for n in row.after] == [0]
