"""What a graph's inputs mean, and inputs to try it with: of its sizes, and the same each time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.compiler.exports import Spelling, Writer, bert, ir, sketch
from winnow.compiler.fold import folded
from winnow.compiler.graph import copied
from winnow.compiler.inputs import (
    UNKNOWN,
    as_feeds,
    feeds_of,
    kinds_of,
    knows_positions,
    positions_of,
    roles_of,
    vocabulary_of,
)
from winnow.errors import InputError
from winnow.recipe_compile import run_graph

BARE = Spelling(mask="none")


def _renamed(**names: str) -> Any:
    model = bert(Spelling(kinds="input"), layers=1)
    for value in model.graph.inputs:
        value.name = names.get(value.name, value.name)
    return model


def _given(name: str, kind: Any = None, shape: Any = ("b", "t")) -> Any:
    """A model with one more input."""
    model = bert(layers=1)
    kind = ir.DataType.INT64 if kind is None else kind
    model.graph.inputs.append(ir.val(name, kind, shape))
    return model


@pytest.mark.parametrize(
    ("ids", "mask", "types"),
    [
        ("input_ids", "attention_mask", "token_type_ids"),
        ("input_ids:0", "input_mask:0", "segment_ids:0"),
        ("ids", "mask", "fields"),
        ("tokens", "padding_mask", "token_type"),
        ("input.1", "MASK.2", "Segments"),
    ],
)
def test_exporters_names(ids: str, mask: str, types: str) -> None:
    """Each input is known by a part of its name, whichever comes first."""
    model = _renamed(input_ids=ids, attention_mask=mask, token_type_ids=types)
    assert roles_of(model) == {ids: "ids", mask: "mask", types: "kinds"}


def test_positions_and_scores() -> None:
    """Places of tokens, and what the first stage says of a message."""
    assert roles_of(_given("position_ids"))["position_ids"] == "positions"
    model = _given("reflex", ir.DataType.FLOAT, ("b",))
    assert roles_of(model)["reflex"] == "score"


@pytest.mark.parametrize(
    ("name", "kind", "shape"),
    [
        ("pixels", ir.DataType.INT64, ("b", "t")),
        ("inputs_embeds", ir.DataType.FLOAT, ("b", "t")),
        ("other_mask", ir.DataType.FLOAT, ("b", "t")),
        ("other_mask", ir.DataType.INT64, ("b", 1, 1, "t")),
        ("other_mask", ir.DataType.INT64, None),
        ("past_key_values.0.key", ir.DataType.FLOAT, ("b", 4, "p", 4)),
        ("reflex", ir.DataType.INT64, ("b",)),
    ],
)
def test_what_no_text_model_reads(name: str, kind: Any, shape: Any) -> None:
    """Pictures, vectors, masks of another form, earlier keys; the sentence names the input."""
    with pytest.raises(InputError, match=f"the input '{name}' is no"):
        roles_of(_given(name, kind, shape))


def test_a_model_without_ids_or_with_two_texts() -> None:
    """One text is read, no less and no more."""
    model = bert(layers=1)
    model.graph.inputs[0].name = "some_mask"
    with pytest.raises(InputError, match="no input of token ids"):
        roles_of(model)
    with pytest.raises(InputError, match="several inputs of token ids"):
        roles_of(_given("other_input_ids"))


def test_sizes_of_tables() -> None:
    """Rows of what the ids and the types are looked up in; one type where there is no input."""
    model = bert(Spelling(kinds="input"), layers=1, words=37)
    assert (vocabulary_of(model), kinds_of(model)) == (37, 2)
    assert kinds_of(bert(layers=1)) == 1


def test_the_smallest_of_two_tables_counts() -> None:
    """An id that is looked up twice must be in both."""

    def write(to: Writer) -> Any:
        other = to.Gather(to.weight("small", 11, 16), to.ids)
        return to.Add(to.looked_up(), other)

    assert vocabulary_of(sketch(write)) == 11


def test_ids_of_another_type_are_looked_up_as_well() -> None:
    """Behind a Cast."""

    def write(to: Writer) -> Any:
        return to.Gather(to.weight("words.table", 23, 16), to.Cast(to.ids, to=6))

    assert vocabulary_of(sketch(write)) == 23


@pytest.mark.parametrize("folds", [False, True])
def test_a_fused_embedding_has_its_tables(folds: bool) -> None:
    """As ONNX Runtime's own optimizer writes it, with types and without."""

    def write(to: Writer) -> Any:
        inputs = [
            to.Cast(to.ids, to=6),
            to.Cast(to.inputs[-1], to=6) if folds else None,
            to.weight("words.table", 21, 16),
            to.weight("position.table", 24, 16),
            to.weight("types.table", 3, 16) if folds else None,
            to.weight("s", 16),
            to.weight("b", 16),
        ]
        return to.EmbedLayerNormalization(*inputs, domain="com.microsoft", epsilon=1e-12)

    model = sketch(write, replace(BARE, kinds="input" if folds else "none"))
    assert vocabulary_of(model) == 21
    assert kinds_of(model) == (3 if folds else 1)
    assert positions_of(model) == 24


def test_ids_that_are_looked_up_nowhere() -> None:
    """A model of numbers, not of words."""
    model = sketch(lambda to: to.Cast(to.ids, to=1))
    with pytest.raises(InputError, match="looks its token ids up in no table"):
        vocabulary_of(model)


# ---- how many tokens


@pytest.mark.parametrize("positions", ["gathered", "sliced"])
def test_as_many_tokens_as_the_table_has_rows(positions: str) -> None:
    """By the table's name; and after folding, when it has another one."""
    model = bert(Spelling(positions=positions, kinds="zeros"), layers=1, positions=19)
    assert positions_of(model) == 19
    assert knows_positions(model)
    assert positions_of(folded(copied(model), run_graph).model) == 19


def test_a_table_that_is_counted_from_padding_on_has_fewer() -> None:
    """RoBERTa's first token has place padding + 1 = 2; 514 rows are 512 tokens."""
    model = bert(replace(BARE, positions="counted"), layers=1, positions=26)
    assert positions_of(model) == 24
    whole = feeds_of(model, 1, 24, 3)
    whole["input_ids"][:] = 5  # none of them padding
    run_graph(model, [whole], ["logits"])
    more = feeds_of(model, 1, 25, 3)
    more["input_ids"][:] = 5
    with pytest.raises(InputError, match="out of data bounds"):
        run_graph(model, [more], ["logits"])


@pytest.mark.parametrize(("exclusive", "longest"), [(0, 21), (1, 22)])
def test_sums_that_leave_a_token_out_start_a_place_earlier(exclusive: int, longest: int) -> None:
    """The first of them is 0."""

    def write(to: Writer) -> Any:
        ones = to.Cast(to.GreaterOrEqual(to.ids, to.ints(0)), to=7)
        order = to.CumSum(ones, to.constant("1", np.int64(1)), exclusive=exclusive)
        rows = to.Gather(to.weight("position.table", 24, 16), to.Add(to.ints(2), order))
        return to.Add(to.looked_up(), rows)

    model = sketch(write)
    assert positions_of(model) == longest
    run_graph(model, [feeds_of(model, 1, longest, 3)], ["out0"])
    with pytest.raises(InputError):
        run_graph(model, [feeds_of(model, 1, longest + 1, 3)], ["out0"])


def test_what_the_graph_says_counts_first() -> None:
    """Our own readers say it."""
    model = bert(layers=1, positions=19)
    model.metadata_props["positions"] = "12"
    assert positions_of(model) == 12
    model.metadata_props["positions"] = "many"
    assert positions_of(model) == 19


def test_a_graph_that_does_not_say() -> None:
    """A number that will do for most."""
    model = sketch(lambda to: to.looked_up())
    assert positions_of(model) == UNKNOWN == 512
    assert not knows_positions(model)
    model.metadata_props["positions"] = "12"
    assert knows_positions(model)


@pytest.mark.parametrize(
    "table",
    [
        lambda to: to.constant("position_ids", np.arange(9)[None, :]),
        lambda to: to.constant("position_numbers", np.arange(18).reshape(2, 9)),
        lambda to: to.constant("one.position", np.ones((1, 16), np.float32)),
        lambda to: to.constant("position.bias", np.ones(16, np.float32)),
    ],
    ids=["ids", "integers", "one row", "vector"],
)
def test_what_has_position_in_its_name_and_is_no_table(table: Any) -> None:
    """A list of places, one row, a vector."""

    def write(to: Writer) -> Any:
        return to.Mul(to.looked_up(), to.ReduceSum(to.Cast(table(to), to=1), keepdims=0))

    model = sketch(write)
    assert positions_of(model) == UNKNOWN
    assert not knows_positions(model)


# ---- inputs to try a graph with


def test_inputs_are_of_the_graph_s_sizes_and_types() -> None:
    """Ids and types within their tables, masks of ones and then zeros."""
    model = bert(Spelling(kinds="input"), layers=1, words=7)
    model.graph.inputs[1].dtype = ir.DataType.INT32
    feeds = feeds_of(model, 50, 20, 1)
    assert list(feeds) == ["input_ids", "attention_mask", "token_type_ids"]
    ids, mask, types = feeds.values()
    assert (ids.dtype, mask.dtype, types.dtype) == (np.int64, np.int32, np.int64)
    assert ids.shape == mask.shape == types.shape == (50, 20)
    assert set(ids.ravel()) == set(range(7))
    assert set(types.ravel()) == {0, 1}
    lengths = mask.sum(1)
    assert lengths[0] == 20
    assert 1 <= lengths[1:].min() < lengths[1:].max() < 20
    assert (np.sort(mask, axis=1)[:, ::-1] == mask).all()


def test_full_messages_have_no_padding() -> None:
    """And one token is one token."""
    model = bert(layers=1)
    assert feeds_of(model, 5, 9, 1, full=True)["attention_mask"].all()
    assert feeds_of(model, 5, 1, 1)["attention_mask"].all()


def test_places_count_from_nothing() -> None:
    """For each message; scores are one for each."""
    model = _given("position_ids")
    assert feeds_of(model, 2, 3, 1)["position_ids"].tolist() == [[0, 1, 2]] * 2
    model = _given("reflex", ir.DataType.FLOAT, ("b",))
    scores = feeds_of(model, 40, 3, 1)["reflex"]
    assert (scores.shape, scores.dtype) == ((40,), np.float32)
    assert 2.0 < scores.std() < 10.0


def test_the_same_seed_gives_the_same_inputs() -> None:
    """Another one others."""
    model = bert(Spelling(kinds="input"), layers=1)
    one, same, other = (feeds_of(model, 3, 8, seed) for seed in (1, 1, 2))
    assert all(np.array_equal(one[name], same[name]) for name in one)
    assert not all(np.array_equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(
    ("shape", "wanted"), [((1, "t"), (1, 8)), (("b", 12), (3, 12)), ((2, 6), (2, 6))]
)
def test_a_size_that_the_graph_fixes_wins(shape: Any, wanted: Any) -> None:
    """As when it was exported for one message, or for messages of one length."""
    model = bert(layers=1)
    for value in model.graph.inputs:
        value.shape = ir.Shape(shape)
    feeds = feeds_of(model, 3, 8, 1)
    assert {array.shape for array in feeds.values()} == {wanted}
    if shape[1] != "t":
        assert positions_of(model) == shape[1]
        assert knows_positions(model)


def test_a_message_as_inputs() -> None:
    """At its exact length: a mask of ones, types only where they are asked for."""
    ids, types = np.array([4, 5, 6]), np.array([0, 1, 1])
    feeds = as_feeds(bert(Spelling(kinds="input"), layers=1), ids, types)
    assert {name: array.tolist() for name, array in feeds.items()} == {
        "input_ids": [[4, 5, 6]],
        "attention_mask": [[1, 1, 1]],
        "token_type_ids": [[0, 1, 1]],
    }
    assert list(as_feeds(bert(BARE, layers=1), ids, types)) == ["input_ids"]
    model = _given("reflex", ir.DataType.FLOAT, ("b",))
    assert as_feeds(model, ids, types)["reflex"].tolist() == [0.0]
    assert as_feeds(_given("position_ids"), ids, types)["position_ids"].tolist() == [[0, 1, 2]]
