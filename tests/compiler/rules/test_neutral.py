"""What does nothing goes, what does something for any length stays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.imported import (  # first: skips without the extra
    classifier,
    helper,
    numpy_helper,
)
from winnow.compiler.graph import array_of, copied, parsed
from winnow.compiler.inputs import feeds_of
from winnow.compiler.passes import largest_difference
from winnow.compiler.probe import probed
from winnow.compiler.rules.neutral import neutral
from winnow.compiler.verify import fault_of
from winnow.recipe_compile import run_graph

SHAPES = ((1, 1), (1, 9), (3, 4), (2, 30))


def _placed() -> Any:
    """A classifier without a mask, in which places count."""
    model = classifier(names=("input_ids",), pool="first")
    table = next(one for one in model.graph.initializer if one.name == "position.table")
    places = np.full(tuple(table.dims), 0.5, dtype=np.float32)
    table.CopyFrom(numpy_helper.from_array(places, table.name))
    return model


def _graph(*nodes: Any, **weights: Any) -> Any:
    """A classifier without a mask whose hidden values go through some nodes, h -> out."""
    model = _placed()
    for node in model.graph.node:
        if node.name == "hidden":
            node.output[0] = "h"
    place = next(n for n, node in enumerate(model.graph.node) if node.name == "hidden") + 1
    shape = [
        helper.make_node("Shape", ["input_ids"], ["s"], name="s"),
        helper.make_node("ConstantOfShape", ["s"], ["zeros"], name="zeros"),
        helper.make_node("Unsqueeze", ["zeros", "last.axis"], ["nothing"], name="nothing"),
        helper.make_node("Exp", ["nothing"], ["ones"], name="ones"),
        helper.make_node("Equal", ["nothing", "nothing"], ["always"], name="always"),
        helper.make_node("Not", ["always"], ["never"], name="never"),
    ]
    for offset, node in enumerate([*shape, *nodes]):
        model.graph.node.insert(place + offset, node)
    arrays = {"last.axis": np.array([-1])} | weights
    model.graph.initializer.extend(
        [numpy_helper.from_array(np.asarray(array), name) for name, array in arrays.items()]
    )
    del model.graph.value_info[:]
    return parsed(model.SerializeToString(), "m")


def _fired(graph: Any) -> list[str]:
    """Which nodes went, the graph being as good as before."""
    feeds = [feeds_of(graph, batch, tokens, 3) for batch, tokens in SHAPES]
    before = run_graph(graph, feeds, ["logits"])
    changed = copied(graph)
    fired = neutral(probed(changed, run_graph))
    assert fault_of(changed) == ""
    # Nothing is computed in another way, so nothing may differ.
    assert largest_difference(before, run_graph(changed, feeds, ["logits"])) == 0.0
    assert neutral(probed(changed, run_graph)) == []
    used = {node.name for node in changed.graph if any(v.uses() for v in node.outputs)}
    gone = [one.made for one in fired]
    assert not used & set(gone)
    return gone


def _one(kind: str, *inputs: str) -> Any:
    return helper.make_node(kind, list(inputs), ["hidden"], name="x")


@pytest.mark.parametrize(
    ("kind", "inputs"),
    [
        ("Add", ("h", "nothing")),
        ("Add", ("nothing", "h")),
        ("Sub", ("h", "nothing")),
        ("Mul", ("h", "ones")),
        ("Mul", ("ones", "h")),
        ("Div", ("h", "ones")),
        ("Where", ("always", "h", "nothing")),
        ("Where", ("never", "nothing", "h")),
    ],
)
def test_what_does_nothing_goes(kind: str, inputs: tuple[str, ...]) -> None:
    """On either side where the sides may be swapped."""
    assert _fired(_graph(_one(kind, *inputs))) == ["x"]


@pytest.mark.parametrize(
    ("kind", "inputs"),
    [
        ("Add", ("h", "ones")),
        ("Sub", ("nothing", "h")),
        ("Mul", ("h", "nothing")),
        ("Div", ("ones", "h")),
        ("Max", ("h", "nothing")),
        ("Where", ("always", "nothing", "h")),
        ("Add", ("h", "h")),
    ],
)
def test_what_does_something_stays(kind: str, inputs: tuple[str, ...]) -> None:
    """Another number, the other side, or an operator of which nothing is known."""
    assert _fired(_graph(_one(kind, *inputs))) == []


def test_what_depends_on_the_text_stays() -> None:
    """A word that adds nothing in every probe may add something in mail."""
    nothing = helper.make_node("Mul", ["h", "zero.float"], ["none"], name="none")
    nodes = [nothing, _one("Add", "h", "none")]
    assert _fired(_graph(*nodes, **{"zero.float": np.float32(0)})) == []


def test_what_spreads_its_other_side_stays() -> None:
    """The sum has more rows than what is left would have."""
    nodes = [
        helper.make_node("Slice", ["h", "from", "to", "from"], ["row"], name="row"),
        _one("Add", "row", "nothing"),
    ]
    weights = {"from": np.array([0]), "to": np.array([1])}
    graph = _graph(*nodes, **weights)
    assert _fired(graph) == []


def test_a_window_of_tokens_is_no_nothing() -> None:
    """For a short message all tokens are near; a long one tells that they are not always."""
    nodes = [
        helper.make_node("Gather", ["s", "one.place"], ["t"], name="t"),
        helper.make_node("Range", ["zero.place", "t", "one.place"], ["range"], name="range"),
        helper.make_node("Greater", ["range", "near"], ["far"], name="far"),
        helper.make_node("Cast", ["far"], ["far.float"], name="far.float", to=1),
        helper.make_node("Unsqueeze", ["far.float", "last.axis"], ["window"], name="window"),
        _one("Add", "h", "window"),
    ]  # fmt: skip
    weights = {
        "one.place": np.array(1),
        "zero.place": np.array(0),
        "near": np.array(20),  # more than any probe has, but the long one
    }
    assert _fired(_graph(*nodes, **weights)) == []


def test_an_output_stays() -> None:
    """What the graph gives has its name."""
    model = _placed()
    model.graph.output[0].name = "sum"
    model.graph.node.extend(
        [
            helper.make_node("Shape", ["logits"], ["s"], name="s"),
            helper.make_node("ConstantOfShape", ["s"], ["nothing"], name="nothing"),
            helper.make_node("Add", ["logits", "nothing"], ["sum"], name="sum"),
        ]
    )
    graph = parsed(model.SerializeToString(), "m")
    assert neutral(probed(graph, run_graph)) == []


def test_constants_are_left_to_others() -> None:
    """A bias of zeros is a weight, whose spelling other rules know."""
    graph = _graph(_one("Add", "h", "bias.none"), **{"bias.none": np.zeros(2, np.float32)})
    assert array_of(graph.graph.initializers["bias.none"]) is not None
    assert _fired(graph) == []
