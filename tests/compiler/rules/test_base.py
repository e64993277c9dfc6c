"""How rules are applied and how they say why not; what constants a rewriting finds and makes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.compiler.exports import Writer, answers, bert, by, ir, kinds, sketch
from winnow.compiler.graph import array_of, copied
from winnow.compiler.passes import largest_difference
from winnow.compiler.rules.base import (
    Rule,
    applied,
    attribute,
    constant,
    fine,
    graph_of,
    refuse,
    refused,
    scalar,
    stored,
    weight,
    whole_numbers,
)


class NegTwice(Rule):
    """- - x -> x, but not of a product."""

    def pattern(self, op: Any, x: Any) -> Any:
        """Two signs."""
        return op.Neg(op.Neg(x))

    def check(self, context: Any, x: Any, **_: Any) -> Any:
        """Refuse products, for the test."""
        product = x.producer() is not None and x.producer().op_type == "MatMul"
        return refuse("of a product", x) if product else fine()

    def rewrite(self, op: Any, x: Any) -> Any:
        """A node, so that there is something to name."""
        return op.Identity(x)


class AddThenNegs(Rule):
    """A longer pattern, which may nearly match."""

    def pattern(self, op: Any, x: Any, y: Any) -> Any:
        """Four nodes."""
        return op.Abs(op.Neg(op.Tanh(op.Add(x, y))))

    def rewrite(self, op: Any, x: Any, y: Any) -> Any:
        """Not asked for here."""
        return op.Add(x, y)


def _negs(to: Writer) -> Any:
    x = to.looked_up()
    one = to.Neg(to.Neg(to.Tanh(x)))
    other = to.Neg(to.Neg(to.MatMul(x, to.weight("kernel", 16, 16))))
    return to.Add(one, other)


def test_a_rule_fires_as_often_as_it_applies() -> None:
    """It names what it made after its output; nodes that nothing reads go."""
    model = sketch(_negs)
    before = answers(model)
    [place] = applied(model, [NegTwice])
    assert place.rule == "NegTwice"
    made = next(node for node in model.graph if node.op_type == "Identity")
    assert made.name == place.made == f"Identity:{made.outputs[0].name}"
    assert kinds(model).count("Neg") == 2
    assert largest_difference(before, answers(model)) == 0.0


def test_refusals_leave_the_graph_and_say_where() -> None:
    """A match whose check fails is told with its reason and its node, once."""
    model = sketch(_negs)
    written = kinds(model)
    [refusal] = refused(model, [NegTwice])
    last = [node for node in model.graph if node.op_type == "Neg"][-1]
    assert (refusal.rule, refusal.node, refusal.reason) == ("NegTwice", last.name, "of a product")
    assert kinds(model) == written


def test_a_near_miss_is_told_and_a_far_one_is_not() -> None:
    """Three nodes of four are worth a line, two are not."""

    def near(to: Writer) -> Any:
        return to.Abs(to.Neg(to.Tanh(to.Sub(to.looked_up(), to.number(1.0)))))

    def far(to: Writer) -> Any:
        return to.Abs(to.Neg(to.looked_up()))

    [refusal] = refused(sketch(near), [AddThenNegs])
    assert "Add" in refusal.reason
    assert "Sub" in refusal.reason
    assert refused(sketch(far), [AddThenNegs]) == ()


def test_rules_see_what_those_before_them_left() -> None:
    """In order, each over the whole graph."""

    class Abs(Rule):
        """|Identity x| -> x."""

        def pattern(self, op: Any, x: Any) -> Any:
            """What the other rule makes."""
            return op.Abs(op.Identity(x))

        def rewrite(self, op: Any, x: Any) -> Any:
            """Another node."""
            return op.Relu(x)

    def write(to: Writer) -> Any:
        return to.Abs(to.Neg(to.Neg(to.looked_up())))

    assert kinds(by(NegTwice, Abs)(sketch(write)).model) == ["Gather", "Relu"]
    assert kinds(by(Abs, NegTwice)(sketch(write)).model) == ["Gather", "Identity", "Abs"]


def test_numbers_are_read_from_constants_only() -> None:
    """Each of its kind and rank; None for all else."""
    model = bert(layers=1)
    graph = model.graph

    def made(name: str, value: Any) -> Any:
        return constant(model, value, name)

    assert scalar(made("a", np.float32(2.5))) == 2.5
    assert scalar(made("b", np.array([3], np.int64))) == 3.0
    assert scalar(made("c", np.ones((1, 1), np.float32))) is None
    assert scalar(made("d", np.ones(2, np.float32))) is None
    assert scalar(graph[0].outputs[0]) is None
    assert scalar(None) is None
    assert whole_numbers(made("e", np.array([1, -1], np.int64))) == [1, -1]
    assert whole_numbers(made("f", np.int64(4))) == [4]
    assert whole_numbers(made("g", np.float32(4))) is None
    assert whole_numbers(None) is None
    assert weight(made("h", np.ones(3, np.float32))) is not None
    assert weight(made("i", np.ones(3, np.float64))) is None
    assert weight(made("j", np.ones(3, np.float16))) is None
    assert weight(graph.inputs[0]) is None


def test_an_attribute_has_a_default() -> None:
    """What a node leaves out is what the caller says."""
    model = bert(layers=1)
    gather = next(node for node in model.graph if node.op_type == "Softmax")
    assert attribute(gather, "axis", 7) == -1
    assert attribute(gather, "missing", 7) == 7


def test_the_same_constant_is_kept_once_and_another_one_beside_it() -> None:
    """Of one name, value and type there is one; a name that is taken gets a number."""
    model = bert(layers=1)
    one = constant(model, np.float32(1.0), "x")
    assert constant(model, np.float32(1.0), "x") is one
    other = constant(model, np.float32(2.0), "x")
    assert (one.name, other.name) == ("x", "x.1")
    assert constant(model, np.float32(2.0), "x") is other
    third = constant(model, np.float64(1.0), "x")
    assert third.name == "x.2"
    assert third.type == ir.TensorType(ir.DataType.DOUBLE)
    assert list(third.shape) == []
    assert array_of(one) == np.float32(1.0)
    assert constant(model, np.ones((1,), np.float32), "x").name == "x.3"


@pytest.mark.parametrize("which", ["input", "weight", "made"])
def test_the_graph_of_a_value(which: str) -> None:
    """Wherever the value comes from."""
    model = copied(bert(layers=1))
    value = {
        "input": model.graph.inputs[0],
        "weight": next(iter(model.graph.initializers.values())),
        "made": model.graph[0].outputs[0],
    }[which]
    assert graph_of(value) is model.graph
    assert stored(graph_of(value), np.float32(5.0), "five").name == "five"
