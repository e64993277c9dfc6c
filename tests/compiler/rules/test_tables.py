"""What depends on the number of tokens alone becomes the first rows of one table."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.compiler.exports import (
    Spelling,
    Writer,
    assert_same,
    bert,
    count,
    fired,
    left_alone,
    proved,
    reasons,
    sketch,
)
from winnow.compiler.graph import array_of, copied, drop_unused
from winnow.compiler.inputs import positions_of
from winnow.compiler.passes import Outcome
from winnow.compiler.probe import probed
from winnow.compiler.rules.tables import NAME, tabulated
from winnow.recipe_compile import run_graph

BARE = Spelling(mask="none")
# (x + a) + b becomes x + (a + b): one rounding in another place, of numbers of about 1.
BOUND = 1e-6


def step(model: Any) -> Outcome:
    """The rule as a step."""
    places, refused = tabulated(probed(model, run_graph), run_graph)
    drop_unused(model)
    return Outcome(model, tuple(places), tuple(refused))


def _table(model: Any) -> Any:
    """The table whose first rows are added, and the node that takes them."""
    [rows] = [n for n in model.graph if n.op_type == "Slice" and array_of(n.inputs[0]) is not None]
    length = rows.inputs[2].producer()
    assert length.op_type == "Shape"
    assert length.inputs[0] is model.graph.inputs[0]
    assert (length.attributes["start"].value, length.attributes["end"].value) == (1, 2)
    assert [array_of(rows.inputs[n]).tolist() for n in (1, 3)] == [[0], [0]]
    return array_of(rows.inputs[0])


def test_positions_that_are_gathered_become_rows() -> None:
    """Range, Unsqueeze and Gather go; the table is what it was."""
    model = bert(BARE, layers=1)
    outcome = proved(step, model, 0.0)
    assert fired(outcome, NAME) == len(outcome.fired) == 1
    whole = array_of(model.graph.initializers["position.table"])
    assert np.array_equal(_table(outcome.model), whole)
    assert count(outcome.model, "Range") == 0
    assert count(outcome.model, "Gather") < count(model, "Gather")


def test_rows_that_are_a_slice_by_arithmetic_become_rows() -> None:
    """Of the same table, counted by one node."""
    model = bert(replace(BARE, positions="sliced"), layers=1)
    outcome = proved(step, model, 0.0)
    assert fired(outcome, NAME) == 1
    whole = array_of(model.graph.initializers["position.table"])
    assert np.array_equal(_table(outcome.model), whole)


@pytest.mark.parametrize(
    "rows",
    [
        lambda to, table, zero, end: to.Slice(table, zero, end),
        lambda to, table, zero, end: to.Slice(table, zero, end, zero, to.ints(1)),
        lambda to, table, zero, end: to.Slice(to.Tanh(table), zero, end, zero),
        lambda to, table, zero, end: to.Slice(table, to.Sub(zero, zero), end, zero),
    ],
    ids=["no axes", "steps", "computed", "start"],
)
def test_slices_of_another_form_become_rows(rows: Any) -> None:
    """One form for all, so that rules after it need to know one."""

    def write(to: Writer) -> Any:
        end = to.Shape(to.ids, start=1, end=2)
        found = rows(to, to.weight("position.table", 24, 16), to.ints(0), end)
        return to.Add(to.looked_up(), found)

    outcome = proved(step, sketch(write), 0.0)
    assert fired(outcome, NAME) == 1
    assert _table(outcome.model).shape == (24, 16)


@pytest.mark.parametrize("first", [False, True])
def test_rows_at_either_side_of_a_sum(first: bool) -> None:
    """Words + types and then positions, or positions and then that."""

    def write(to: Writer) -> Any:
        typed = to.Add(to.looked_up(), to.weight("type", 1, 1, 16))
        rows = _gathered(to)
        return to.Tanh(to.Add(rows, typed) if first else to.Add(typed, rows))

    outcome = proved(step, sketch(write), BOUND)
    assert fired(outcome, NAME) == 1
    assert count(outcome.model, "Add") == 1


def test_a_sum_that_is_read_elsewhere_keeps_its_order() -> None:
    """Words + types is computed anyway; nothing is saved by adding types to positions."""

    def write(to: Writer) -> Any:
        typed = to.Add(to.looked_up(), to.weight("type", 1, 1, 16))
        return to.Tanh(to.Add(typed, _gathered(to))), to.Neg(typed)

    outcome = proved(step, sketch(write), 0.0)
    assert count(outcome.model, "Add") == 2


def test_types_of_which_there_is_one_are_added_to_the_table() -> None:
    """(words + types[0]) + positions -> words + (types[0] + positions), which is one table."""
    model = bert(replace(BARE, kinds="zeros"), layers=1)
    outcome = proved(step, model, BOUND)
    weights = {name: array_of(value) for name, value in model.graph.initializers.items()}
    sum_of_both = weights["position.table"] + weights["types.table"][0]
    assert np.array_equal(_table(outcome.model), sum_of_both)
    assert count(outcome.model, "ConstantOfShape") == 0


def test_a_type_that_is_a_constant_already_is_added_too() -> None:
    """As exporters that fold constants leave it."""

    def write(to: Writer) -> Any:
        typed = to.Add(to.looked_up(), to.weight("type", 1, 1, 16))
        places = to.weight("position.table", 24, 16)
        order = to.Range(to.constant("0", np.int64(0)), _count(to), to.constant("1", np.int64(1)))
        return to.Tanh(to.Add(typed, to.Gather(places, order)))

    outcome = proved(step, sketch(write), BOUND)
    assert fired(outcome, NAME) == 1
    assert count(outcome.model, "Add") == 1


def test_two_constants_that_are_added_are_one() -> None:
    """Nothing is left to add when the graph runs."""

    def write(to: Writer) -> Any:
        once = to.Add(to.looked_up(), to.weight("one", 16))
        return to.Tanh(to.Add(once, to.weight("other", 16)))

    model = sketch(write)
    changed = copied(model)
    step(changed)
    assert count(changed, "Add") == 1
    assert_same(model, changed, BOUND)


def _gathered(to: Writer, order: Any = None) -> Any:
    zero, one = to.constant("0", np.int64(0)), to.constant("1", np.int64(1))
    places = to.Range(zero, _count(to), one) if order is None else order
    return to.Gather(to.weight("position.table", 24, 16), places)


def _count(to: Writer) -> Any:
    tokens = to.Slice(to.Shape(to.ids), to.ints(1), to.ints(2), to.ints(0))
    return to.Squeeze(tokens, to.ints(0))


def test_types_that_are_an_input_stay() -> None:
    """Each token has its own; only positions are rows."""
    spelling = replace(BARE, kinds="input", shapes="constants")
    outcome = proved(step, bert(spelling, layers=1), 0.0)
    assert fired(outcome, NAME) == 1
    assert count(outcome.model, "Gather") == 3  # words, types, the first token


def test_positions_that_depend_on_the_ids_stay() -> None:
    """RoBERTa counts the tokens that are no padding: another message has other places."""
    model = bert(replace(BARE, positions="counted"), layers=1, positions=32)
    outcome = left_alone(step, model)
    assert count(outcome.model, "CumSum") == 1


def test_rows_that_are_a_slice_of_a_table_already_stay() -> None:
    """The form that others are brought into."""

    def write(to: Writer) -> Any:
        rows = to.Slice(
            to.weight("position.table", 24, 16),
            to.ints(0),
            to.Shape(to.ids, start=1, end=2),
            to.ints(0),
        )
        return to.Add(to.looked_up(), rows)

    left_alone(step, sketch(write))


def test_the_graph_says_how_many_tokens_it_takes() -> None:
    """The table of positions has another name then, and maybe another size than others."""
    outcome = step(bert(BARE, layers=1, positions=31))
    assert outcome.model.metadata_props["positions"] == "31"
    assert positions_of(outcome.model) == 31


def _sines(to: Writer) -> Any:
    """Positions by a formula, of which there is no last."""
    zero, one = to.constant("0", np.int64(0)), to.constant("1", np.int64(1))
    order = to.Cast(to.Range(zero, _count(to), one), to=1)
    return to.Sin(to.Mul(to.Unsqueeze(order, to.ints(1)), to.weight("frequencies", 1, 16)))


def test_rows_without_an_end_stay() -> None:
    """A table of a length that nobody said would cut off long messages."""
    model = sketch(lambda to: to.Add(to.looked_up(), _sines(to)))
    outcome = left_alone(step, model)
    [refusal] = outcome.refused
    reason = "how many rows to keep is not known: the graph has no table of positions"
    assert (refusal.rule, refusal.reason) == (NAME, reason)
    assert refusal.node == next(n.name for n in model.graph if n.op_type == "Sin")


def test_rows_by_a_formula_become_a_table_where_their_number_is_known() -> None:
    """A graph may say so."""
    model = sketch(lambda to: to.Add(to.looked_up(), _sines(to)))
    model.metadata_props["positions"] = "24"
    outcome = proved(step, model, 0.0)
    assert _table(outcome.model).shape == (24, 16)
    assert count(outcome.model, "Sin") == 0


def _with_table(build: Any) -> Any:
    model = sketch(build)
    model.metadata_props["positions"] = "24"
    return model


def test_rows_that_come_in_another_order_stay() -> None:
    """Counted from the end, a longer message's first row is another one."""

    def write(to: Writer) -> Any:
        last = to.Sub(_count(to), to.constant("1", np.int64(1)))
        down = to.constant("-1", np.int64(-1))
        order = to.Range(last, down, down)
        return to.Add(to.looked_up(), to.Gather(to.weight("position.table", 24, 16), order))

    outcome = left_alone(step, _with_table(write))
    assert reasons(outcome, NAME) == {"it is not the first rows of one table"}


def _mirrored(to: Writer) -> Any:
    """Places from the nearer end: 0 1 2 1 0."""
    zero, one = to.constant("0", np.int64(0)), to.constant("1", np.int64(1))
    up = to.Range(zero, _count(to), one)
    down = to.Sub(to.Sub(_count(to), one), up)
    return to.Min(up, down)


@pytest.mark.parametrize("typed", [False, True])
def test_rows_of_which_only_the_first_are_alike_stay(typed: bool) -> None:
    """All of them are looked at, also where a constant is added."""

    def write(to: Writer) -> Any:
        x = to.Add(to.looked_up(), to.weight("type", 1, 1, 16)) if typed else to.looked_up()
        return to.Add(x, _gathered(to, _mirrored(to)))

    model = _with_table(write)
    outcome = step(copied(model))
    assert outcome.fired == ()
    assert reasons(outcome, NAME) == {"it is not the first rows of one table"}
    assert_same(model, outcome.model, BOUND)


def test_numbers_for_pairs_of_tokens_and_integers_are_no_rows() -> None:
    """A bias of distances, (1, 1, t, t), and places that are added to ids."""

    def write(to: Writer) -> Any:
        zero, one = to.constant("0", np.int64(0)), to.constant("1", np.int64(1))
        order = to.Range(zero, _count(to), one)
        apart = to.Sub(to.Unsqueeze(order, to.ints(0)), to.Unsqueeze(order, to.ints(1)))
        x = to.looked_up()
        scores = to.Unsqueeze(to.MatMul(x, to.Transpose(x, perm=[0, 2, 1])), to.ints(1))
        biased = to.Add(scores, to.Cast(to.Unsqueeze(apart, to.ints(0, 1)), to=1))
        places = to.Add(to.ids, to.Unsqueeze(order, to.ints(0)))  # integers of two axes
        return biased, to.Cast(places, to=1)

    assert left_alone(step, _with_table(write)).refused == ()


def test_rows_that_shapes_need_as_well_stay() -> None:
    """Who else reads them would have to be looked at, too."""

    def write(to: Writer) -> Any:
        rows = _gathered(to)
        return to.Mul(to.Add(to.looked_up(), rows), to.ReduceMax(rows, keepdims=0))

    outcome = left_alone(step, _with_table(write))
    assert "it is not only added to each message" in reasons(outcome, NAME)


@pytest.mark.parametrize(
    "use",
    [
        lambda to, x, rows: to.MatMul(x, to.Transpose(rows, perm=[1, 0])),
        lambda to, x, rows: to.Concat(x, to.Unsqueeze(rows, to.ints(0)), axis=0),
        lambda to, x, rows: to.Mul(x, rows),
        lambda to, x, rows: to.Add(to.mean(x, 1), rows),
    ],
    ids=["multiplied", "beside", "scaled", "spread"],
)
def test_rows_that_are_not_added_to_each_message_stay(use: Any) -> None:
    """A table has two axes, what it replaces may have three."""

    def write(to: Writer) -> Any:
        zero, one = to.constant("0", np.int64(0)), to.constant("1", np.int64(1))
        order = to.Range(zero, _count(to), one)
        rows = to.Gather(to.weight("position.table", 24, 16), order)
        return use(to, to.looked_up(), rows)

    outcome = left_alone(step, _with_table(write))
    assert len(outcome.refused) == 1
    assert {place.reason for place in outcome.refused} == {"it is not only added to each message"}


def test_sums_of_what_depends_on_tokens_keep_their_order() -> None:
    """Only what shapes decide is drawn together."""
    model = bert(replace(BARE, kinds="input"), layers=1)
    before = [n.op_type for n in model.graph if n.op_type == "Add"]
    after = [n.op_type for n in step(copied(model)).model.graph if n.op_type == "Add"]
    assert before == after
