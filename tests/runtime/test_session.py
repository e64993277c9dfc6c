"""A graph of any kind runs as it is written, or as the runtime rewrites it; errors are one line."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.compiler.exports import Spelling, Writer, bert, count, ir, sketch
from winnow.compiler.graph import serialised
from winnow.compiler.inputs import feeds_of
from winnow.errors import InputError
from winnow.runtime.session import SLOWER_ON_CPU, Session, first_line, loaded_nodes

MODEL = bert(Spelling(kinds="input"), layers=1)


def _feeds(batch: int = 2, tokens: int = 7) -> Any:
    return feeds_of(MODEL, batch, tokens, 1)


def test_outputs_by_name_and_all() -> None:
    """In the order that is asked for; all of them in the graph's order without names."""

    def write(to: Writer) -> Any:
        x = to.looked_up()
        return to.Neg(x), to.Mul(x, to.number(2.0))

    model = sketch(write)
    session = Session(serialised(model))
    assert session.outputs == ["out0", "out1"]
    feeds = feeds_of(model, 2, 3, 1)
    one, other = session.run(feeds)
    assert np.array_equal(other, -2.0 * one)
    [again] = session.run(feeds, ["out1"])
    assert np.array_equal(again, other)


def test_as_it_is_written_and_as_the_runtime_rewrites_it() -> None:
    """The same answers but for rounding."""
    data = serialised(MODEL)
    written, rewritten = (
        Session(data, optimised=which).run(_feeds())[0] for which in (False, True)
    )
    assert written.shape == (2, 2)
    assert np.abs(written - rewritten).max() <= 2e-6
    assert written.std() > 0.05


def test_any_shape_runs_in_one_session() -> None:
    """Messages and tokens differ from one to the next."""
    session = Session(serialised(MODEL))
    for batch, tokens in ((1, 1), (3, 9), (1, 24)):
        assert session.run(_feeds(batch, tokens))[0].shape == (batch, 2)


def test_what_is_no_graph() -> None:
    """One line, of which the user can read the beginning."""
    with pytest.raises(InputError, match="ONNX Runtime cannot load the graph") as caught:
        Session(b"no graph")
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="ONNX Runtime cannot load the graph"):
        loaded_nodes(b"no graph")


def test_inputs_that_do_not_fit() -> None:
    """A missing one, another type, too many tokens."""
    session = Session(serialised(MODEL))
    feeds = _feeds()
    missing = {name: feeds[name] for name in ("input_ids",)}
    halves = {name: array.astype(np.float32) for name, array in feeds.items()}
    for wrong in (missing, halves, feeds_of(MODEL, 1, 25, 1)):
        with pytest.raises(InputError) as caught:
            session.run(wrong)
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 300
    with pytest.raises(InputError):
        session.run(feeds, ["nothing"])


def test_nodes_as_the_runtime_loads_them() -> None:
    """Constants do not count; what it fuses does; the slower fusions are off."""
    loaded = loaded_nodes(serialised(MODEL))
    assert 10 < loaded < len(list(MODEL.graph))

    def write(to: Writer) -> Any:
        return to.Neg(to.Add(to.Neg(to.number(1.0)), to.looked_up()))

    assert loaded_nodes(serialised(sketch(write))) == 3  # the constant's sign is turned before


def test_fusions_that_are_slower_here_are_not_made(tmp_path: Any) -> None:
    """A sum and its norm stay two nodes (docs/decisions/0009)."""
    assert SLOWER_ON_CPU == ("SkipLayerNormFusion", "EmbedLayerNormFusion")

    def write(to: Writer) -> Any:
        x = to.Tanh(to.looked_up())
        return to.norm(to.Add(to.MatMul(x, to.weight("kernel", 16, 16)), x), "n")

    model = sketch(write)
    assert loaded_nodes(serialised(model)) == len(list(model.graph)) == 5


def test_constants_that_the_runtime_writes_do_not_count() -> None:
    """A node Constant is none that is executed."""
    model = sketch(lambda to: to.Add(to.looked_up(), to.number(1.0)))
    made = ir.Node("", "Constant", [], [ir.AttrTensor("value", ir.tensor(np.float32(2.0)))])
    made.outputs[0].name = "two"
    model.graph.insert_before(model.graph[0], made)
    add = model.graph[-1]
    add.replace_input_with(1, made.outputs[0])
    assert count(model, "Constant") == 1
    assert loaded_nodes(serialised(model)) == 2


@pytest.mark.parametrize(
    ("text", "line"),
    [("one\ntwo", "one"), ("x" * 500, "x" * 200), ("", "ValueError"), ("\n", "")],
)
def test_the_first_line_of_an_error(text: str, line: str) -> None:
    """Of an error without words its kind."""
    assert first_line(ValueError(text)) == line
