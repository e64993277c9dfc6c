"""Embeddings that are looked up, added and normalised are one node."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.compiler.exports import (
    Spelling,
    Writer,
    bert,
    by,
    count,
    fired,
    kinds,
    left_alone,
    proved,
    reasons,
    sketch,
)
from winnow.compiler.graph import array_of
from winnow.compiler.rules.embedding_norm import RULES

BOUND = 2e-6  # another order of sums; the outputs are of the size of the scale, about 1
STEP = by(*RULES)
BARE = Spelling(mask="none", positions="sliced")


def _rows(to: Writer, table: Any = None, start: int = 0, counted: Any = None) -> Any:
    tokens = to.Shape(to.ids if counted is None else counted, start=1, end=2)
    places = to.weight("position.table", 24, 16) if table is None else table
    return to.Slice(places, to.ints(start), tokens, to.ints(0))


def test_words_and_places_become_one_node() -> None:
    """Without token types; ids as the operator takes them."""
    outcome = proved(
        STEP, sketch(lambda to: to.norm(to.Add(to.looked_up(), _rows(to)), "n")), BOUND
    )
    assert fired(outcome, "FuseEmbedLayerNorm") == len(outcome.fired) == 1
    assert kinds(outcome.model) == ["Cast", "EmbedLayerNormalization"]
    node = outcome.model.graph[-1]
    assert node.domain == "com.microsoft"
    assert [None if v is None else array_of(v) is not None for v in node.inputs] == [
        False, None, True, True, None, True, True,
    ]  # fmt: skip
    assert [array_of(v).shape for v in node.inputs[2:4]] == [(40, 16), (24, 16)]
    assert node.attributes["epsilon"].value == pytest.approx(1e-12)


def test_words_types_and_places_become_one_node() -> None:
    """With token types; each table at its place."""

    def write(to: Writer) -> Any:
        types = to.Gather(to.weight("types.table", 3, 16), to.inputs[-1])
        return to.norm(to.Add(to.Add(to.looked_up(), types), _rows(to)), "n")

    outcome = proved(STEP, sketch(write, replace(BARE, kinds="input")), BOUND)
    assert fired(outcome, "FuseTypedEmbedLayerNorm") == len(outcome.fired) == 1
    node = outcome.model.graph[-1]
    assert [array_of(v).shape[0] for v in node.inputs[2:5]] == [40, 24, 3]
    assert count(outcome.model, "Gather") == 0


def test_the_epsilon_that_a_node_leaves_out_is_kept() -> None:
    """The two operators do not have the same one where none is given."""

    def write(to: Writer) -> Any:
        words = to.Gather(to.constant("w", _small(to, 40)), to.ids)
        total = to.Add(words, _rows(to, to.constant("p", _small(to, 24))))
        return to.LayerNormalization(total, to.weight("s", 16, around=1.0), to.weight("b", 16))

    outcome = proved(STEP, sketch(write), BOUND)
    assert outcome.model.graph[-1].attributes["epsilon"].value == pytest.approx(1e-5)


def _small(to: Writer, rows: int) -> Any:
    return to.chance.normal(0, 0.003, (rows, 16)).astype(np.float32)


def _normal(
    to: Writer,
    total: Any,
    vector: tuple[int, ...] = (16,),
    axis: int = -1,
    other: tuple[int, ...] = (16,),
) -> Any:
    scale, shift = to.weight("s", *vector, around=1.0), to.weight("b", *other)
    return to.LayerNormalization(total, scale, shift, axis=axis)


@pytest.mark.parametrize(
    ("write", "reason"),
    [
        (
            lambda to: _normal(
                to, to.Add(to.looked_up(), _rows(to, to.Tanh(to.weight("p", 24, 16))))
            ),
            "a table is no constant matrix of 32-bit floats",
        ),
        (
            lambda to: _normal(to, to.Add(to.looked_up(), _rows(to)), (1, 16)),
            "scale or shift is no constant vector",
        ),
        (
            lambda to: _normal(to, to.Add(to.looked_up(), _rows(to)), other=(1, 16)),
            "scale or shift is no constant vector",
        ),
        (
            lambda to: _normal(
                to, to.Add(to.looked_up(), _rows(to, counted=to.Transpose(to.ids, perm=[0, 1])))
            ),
            "there are not as many rows as tokens",
        ),
    ],
    ids=["table", "scale", "shift", "another count"],
)
def test_what_is_no_embedding_stays(write: Any, reason: str) -> None:
    """Tables that are computed, other weights, as many rows as something else has tokens."""
    outcome = left_alone(STEP, sketch(write))
    assert reasons(outcome, "FuseEmbedLayerNorm") == {reason}


def test_rows_from_another_start_stay() -> None:
    """The operator's first token is at place 0."""

    def write(to: Writer) -> Any:
        tokens = to.Add(to.Shape(to.ids, start=1, end=2), to.ints(2))
        rows = to.Slice(to.weight("p", 32, 16), to.ints(2), tokens, to.ints(0))
        return to.norm(to.Add(to.looked_up(), rows), "n")

    outcome = left_alone(STEP, sketch(write))
    assert reasons(outcome, "FuseEmbedLayerNorm") == {"the rows are not the first ones"}


@pytest.mark.parametrize(
    "write",
    [
        lambda to: _normal(
            to, to.Add(to.Gather(to.weight("w", 16, 40), to.ids, axis=1), _rows(to))
        ),
        lambda to: _normal(to, to.Add(to.looked_up(), _rows(to)), axis=1),
    ],
    ids=["words", "norm"],
)
def test_another_axis_stays(write: Any) -> None:
    """Columns of a table are no rows of it; such a graph need not run to be refused."""
    outcome = STEP(sketch(write))
    assert outcome.fired == ()
    assert reasons(outcome, "FuseEmbedLayerNorm") == {"another axis"}


def test_a_sum_that_is_read_elsewhere_stays() -> None:
    """What else reads it would have nothing to read."""

    def write(to: Writer) -> Any:
        total = to.Add(to.looked_up(), _rows(to))
        return to.norm(total, "n"), total

    left_alone(STEP, sketch(write))


def test_axes_may_be_told() -> None:
    """As they are where nothing is told: rows of the words, the last axis of the sum."""

    def write(to: Writer) -> Any:
        word = to.Gather(to.weight("words.table", 40, 16), to.ids, axis=0)
        return _normal(to, to.Add(word, _rows(to)), axis=2)

    assert len(proved(STEP, sketch(write), BOUND).fired) == 1


@pytest.mark.parametrize(
    "rows",
    [
        lambda to: to.Slice(
            to.weight("p", 24, 16), to.ints(0), to.Shape(to.ids, start=1, end=2), to.ints(1)
        ),
        lambda to: to.Slice(to.weight("p", 24, 16), to.ints(0), to.Shape(to.ids), to.ints(0)),
        lambda to: to.Slice(
            to.weight("p", 24, 16), to.ints(0), to.Shape(to.ids, start=0, end=1), to.ints(0)
        ),
    ],
    ids=["columns", "all sizes", "messages"],
)
def test_rows_of_something_else_stay(rows: Any) -> None:
    """Columns, as many as there are messages; such a graph need not run to be refused."""
    outcome = STEP(sketch(lambda to: _normal(to, to.Add(to.looked_up(), rows(to)))))
    assert outcome.fired == ()
    assert len(outcome.refused) >= 1


def test_rows_that_are_not_folded_yet_stay() -> None:
    """Before folding, how many rows there are is arithmetic that the rule does not read."""
    outcome = left_alone(STEP, bert(replace(BARE, kinds="input"), layers=1))
    assert "there are not as many rows as tokens" in reasons(outcome, "FuseTypedEmbedLayerNorm")
