"""A pass that breaks a graph, or its answers, is undone and says so; the rest goes on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.compiler.exports import Spelling, bert, ir, kinds
from winnow.compiler.graph import serialised
from winnow.compiler.inputs import feeds_of
from winnow.compiler.passes import (
    ROUNDED_TOLERANCE,
    Fired,
    Outcome,
    Pass,
    Proof,
    Refused,
    apply_passes,
    largest_difference,
    rounds,
)
from winnow.errors import InputError
from winnow.recipe_compile import run_graph


def _model() -> Any:
    return bert(Spelling(mask="none"), layers=1)


def _proof(model: Any) -> Proof:
    return Proof(run_graph, tuple(feeds_of(model, b, t, 1) for b, t in ((1, 4), (3, 9))))


def _apply(step: Any, tolerance: float | None = 1e-6, model: Any = None) -> Any:
    model = _model() if model is None else model
    before = serialised(model)
    after, [report] = apply_passes(model, [Pass("step", step, tolerance)], _proof(model))
    assert serialised(model) == before  # whatever a pass does, what it was given stays
    if report.undone:
        assert after is model
        assert report.nodes_after == report.nodes_before == len(list(model.graph))
    return after, report


def _scaled(by: float) -> Any:
    """A pass that multiplies the logits, in a copy's classifier."""

    def apply(model: Any) -> Outcome:
        for name in ("classifier.kernel", "classifier.bias"):
            value = model.graph.initializers[name]
            value.const_value = ir.tensor(value.const_value.numpy() * np.float32(by), name=name)
        return Outcome(model, (Fired("Scale", "classifier"),), (Refused("Other", "n", "why"),))

    return apply


def test_a_pass_that_stands_reports_what_it_did() -> None:
    """Nodes before and after, where rules fired and where not, the largest difference."""

    def apply(model: Any) -> Outcome:
        last = model.graph[-1]
        output = model.graph.outputs[0]
        last.outputs[0].name = "before"
        twice = [ir.Node("", "Neg", [last.outputs[0]]), None]
        twice[1] = ir.Node("", "Neg", [twice[0].outputs[0]], name="neg")
        twice[1].outputs[0].name, twice[1].outputs[0].type = "logits", output.type
        model.graph.extend(twice)
        model.graph.outputs[0] = twice[1].outputs[0]
        return Outcome(model, (Fired("Twice", "neg"),), (Refused("Once", "neg", "odd"),))

    after, report = _apply(apply)
    assert report.undone == ""
    assert report.name == "step"
    assert report.nodes_after == report.nodes_before + 2 == len(list(after.graph))
    assert report.fired == (Fired("Twice", "neg"),)
    assert report.refused == (Refused("Once", "neg", "odd"),)
    assert report.max_abs_error == 0.0


def test_a_pass_that_fails_is_undone() -> None:
    """Whatever it raises; one line of it is told."""

    def apply(model: Any) -> Outcome:
        model.graph.remove(model.graph[-1])
        raise KeyError("first line\nsecond line")

    _, report = _apply(apply)
    assert report.undone.startswith("it failed: KeyError: ")
    assert "\n" not in report.undone
    assert report.max_abs_error is None


def test_an_error_without_words_is_told_as_well() -> None:
    """By its kind."""

    def apply(model: Any) -> Outcome:
        raise AssertionError

    assert _apply(apply)[1].undone == "it failed: AssertionError: "


def test_a_pass_that_leaves_an_invalid_graph_is_undone() -> None:
    """The grammar is asked before the runtime."""

    def apply(model: Any) -> Outcome:
        del model.graph.initializers["words.table"]
        return Outcome(model)

    _, report = _apply(apply)
    assert report.undone.startswith("it left an invalid graph: Gather")
    assert "before it is made" in report.undone


def test_a_pass_that_leaves_a_graph_that_does_not_run_is_undone() -> None:
    """Well-formed, but shapes do not fit."""

    def apply(model: Any) -> Outcome:
        name = "classifier.bias"
        model.graph.initializers[name].const_value = ir.tensor(np.zeros(3, np.float32), name=name)
        return Outcome(model)

    _, report = _apply(apply)
    assert report.undone.startswith("the graph does not run: ONNX Runtime")
    assert "\n" not in report.undone


@pytest.mark.parametrize("by", [1.01, 100.0, 0.0, -1.0])
def test_a_pass_that_moves_an_output_too_far_is_undone(by: float) -> None:
    """A little, a hundred times too much, to zero, to the other side."""
    _, report = _apply(_scaled(by))
    assert report.undone.startswith("it moved an output by ")
    assert report.undone.endswith(", more than 1e-06")
    assert report.max_abs_error is not None
    assert report.max_abs_error > 1e-3
    assert report.fired == ()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_pass_that_makes_an_output_no_number_is_undone(value: float) -> None:
    """No number is within any tolerance."""

    def apply(model: Any) -> Outcome:
        name = "classifier.bias"
        bias = np.array([value, 0.0], np.float32)
        model.graph.initializers[name].const_value = ir.tensor(bias, name=name)
        return Outcome(model)

    _, report = _apply(apply, tolerance=1e30)
    assert report.undone == "it moved an output by inf, more than 1e+30"
    assert report.max_abs_error == float("inf")


def test_the_tolerance_is_the_line() -> None:
    """Just within stands, just beyond does not."""
    moved = _apply(_scaled(1.01), tolerance=None)[1].max_abs_error
    assert _apply(_scaled(1.01), tolerance=moved)[1].undone == ""
    assert _apply(_scaled(1.01), tolerance=moved * 0.999)[1].undone != ""


def test_the_line_is_drawn_in_proportion_to_large_answers() -> None:
    """Numbers of a thousand are rounded a thousand times as far; small ones are not let off."""
    model = _model()
    _scaled(1000.0)(model)
    [answers] = run_graph(model, _proof(model).feeds[:1], ["logits"])
    moved = _apply(_scaled(1.01), tolerance=None, model=model)[1].max_abs_error
    largest = 100.0 * moved  # 1% of it
    assert largest > 100.0
    assert np.abs(answers[0]).max() <= largest * 1.01
    assert _apply(_scaled(1.01), tolerance=0.0101, model=model)[1].undone == ""
    assert _apply(_scaled(1.01), tolerance=0.0099, model=model)[1].undone != ""
    small = _model()
    _scaled(0.001)(small)
    report = _apply(_scaled(1.5), tolerance=1e-6, model=small)[1]
    assert report.undone.endswith("more than 1e-06")


def test_a_pass_that_is_meant_to_change_answers_is_measured_only() -> None:
    """As pruning is."""
    after, report = _apply(_scaled(100.0), tolerance=None)
    assert report.undone == ""
    assert report.max_abs_error is not None
    assert report.max_abs_error > 1.0
    assert after.graph.initializers["classifier.bias"].const_value is not None


def _rename_output(model: Any) -> None:
    model.graph.outputs[0].name = "answer"


def _rename_input(model: Any) -> None:
    model.graph.inputs[0].name = "ids"


def _drop_output(model: Any) -> None:
    model.graph.outputs.pop()


def _more_outputs(model: Any) -> None:
    hidden = model.graph[3].outputs[0]
    hidden.type = ir.TensorType(ir.DataType.FLOAT)
    model.graph.outputs.append(hidden)


def _other_type(model: Any) -> None:
    model.graph.inputs[0].type = ir.TensorType(ir.DataType.INT32)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (_rename_output, "outputs"),
        (_drop_output, "outputs"),
        (_more_outputs, "outputs"),
        (_rename_input, "inputs"),
        (_other_type, "inputs"),
    ],
)
def test_a_pass_that_changes_what_is_asked_or_answered_is_undone(change: Any, what: str) -> None:
    """Whoever runs the graph names its inputs and outputs."""

    def apply(model: Any) -> Outcome:
        change(model)
        return Outcome(model)

    _, report = _apply(apply, tolerance=None)
    assert report.undone == f"it left an invalid graph: its {what} are not those of before"


def test_the_passes_after_one_that_was_undone_see_the_graph_before_it() -> None:
    """Each report stands for its own pass."""
    seen = []

    def look(model: Any) -> Outcome:
        seen.append(kinds(model))
        return Outcome(model)

    def fail(model: Any) -> Outcome:
        model.graph.remove(model.graph[-1])
        return Outcome(model)

    model = _model()
    passes = [Pass("one", look, 1e-6), Pass("two", fail, 1e-6), Pass("three", look, 1e-6)]
    after, reports = apply_passes(model, passes, _proof(model))
    assert [report.name for report in reports] == ["one", "two", "three"]
    assert [bool(report.undone) for report in reports] == [False, True, False]
    assert seen == [kinds(model)] * 2
    assert kinds(after) == kinds(model)


def test_each_pass_is_measured_against_the_one_before_it() -> None:
    """Two passes that move a little each may stand, where together they would not."""
    model = _model()
    first = _apply(_scaled(1.01), tolerance=None)[1].max_abs_error
    passes = [Pass(name, _scaled(1.01), first * 1.02) for name in ("one", "two")]
    _, reports = apply_passes(model, passes, _proof(model))
    assert [report.undone for report in reports] == ["", ""]
    assert reports[1].max_abs_error == pytest.approx(first * 1.01, rel=1e-3)


def test_a_graph_that_does_not_run_is_nothing_to_compare_with() -> None:
    """There is nothing to undo: the error is the caller's."""
    model = _model()
    name = "classifier.bias"
    model.graph.initializers[name].const_value = ir.tensor(np.zeros(3, np.float32), name=name)
    with pytest.raises(InputError):
        apply_passes(model, [], _proof(model))


def test_a_graph_that_rounds_is_given_the_worth_of_a_step() -> None:
    """A sum on the other side of a step is no mistake; more than that is."""
    model = _model()
    assert not rounds(model)
    norm = next(node for node in model.graph if node.op_type == "LayerNormalization")
    rounding = ir.Node("", "DynamicQuantizeLinear", [norm.outputs[0]], num_outputs=3)
    model.graph.insert_after(norm, rounding)
    assert rounds(model)
    moved = _apply(_scaled(1.001), tolerance=None, model=_model())[1].max_abs_error
    within = 1.0 + 0.001 * 0.9 * ROUNDED_TOLERANCE / moved
    beyond = 1.0 + 0.001 * 1.2 * ROUNDED_TOLERANCE / moved
    assert _apply(_scaled(within), tolerance=1e-6, model=model)[1].undone == ""
    assert "more than 0.05" in _apply(_scaled(beyond), tolerance=1e-6, model=model)[1].undone
    assert _apply(_scaled(beyond), tolerance=1.0, model=model)[1].undone == ""


@pytest.mark.parametrize(
    ("one", "other", "apart"),
    [
        ([1.0, 2.0], [1.0, 2.5], 0.5),
        ([1.0, 2.0], [1.5, 1.0], 1.0),
        ([1.0], [1.0, 1.0], float("inf")),
        ([1.0], [np.nan], float("inf")),
        ([np.nan], [np.nan], float("inf")),
        ([np.inf], [np.inf], float("inf")),
        ([np.inf], [1.0], float("inf")),
        ([], [], 0.0),
    ],
)
def test_the_largest_difference(one: Any, other: Any, apart: float) -> None:
    """Of all numbers; shapes that differ and what is no number are as far as can be."""
    ours, theirs = (np.array(values, np.float32) for values in (one, other))
    assert largest_difference([[ours]], [[theirs]]) == apart
    zero = np.zeros(2, np.float32)
    assert largest_difference([[zero, ours], [zero]], [[zero, theirs], [zero]]) == apart


def test_differences_are_made_in_64_bits() -> None:
    """Integers and halves are compared as they are."""
    big = np.array([2**40], np.int64)
    assert largest_difference([[big]], [[big + 1]]) == 1.0
    half = np.array([1.0], np.float16)
    assert largest_difference([[half]], [[half + np.float16(0.001)]]) == pytest.approx(2**-10)
    flag = np.array([True])
    assert largest_difference([[flag]], [[~flag]]) == 1.0
