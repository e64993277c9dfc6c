"""Which nodes are rounded, and how finely: what the answers say, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.compiler.exports import Spelling, bert
from tests.compiler.integers import SIZE, drawn, graph, kinds, normal
from winnow.compiler.graph import serialised
from winnow.compiler.inputs import feeds_of
from winnow.compiler.quantize_search import Found, Options, Probes, log_odds, search
from winnow.compiler.verify import fault_of
from winnow.recipe_compile import run_graph

MODEL = bert(Spelling(mask="none"), width=64, inner=128, words=100, layers=1)
FEEDS = tuple(feeds_of(MODEL, 1, 3 + n, n) for n in range(20))
PROBES = Probes(run_graph, FEEDS[:6], FEEDS[6:])


def _search(**options: Any) -> Found:
    return search(MODEL, PROBES, Options(**options))


def _answers(model: Any, feeds: Sequence[Any]) -> NDArray[np.float64]:
    return np.concatenate([log_odds(v) for (v,) in run_graph(model, feeds, ["logits"])])


def test_within_the_tolerance_all_is_rounded() -> None:
    """And what is told of the answers is so."""
    found = _search(tolerance=1e9)
    assert fault_of(found.model) == ""
    assert not any(row.kept for row in found.rows)
    assert {(row.form, row.bits) for row in found.rows} == {("8 bits", 8)}
    moved = np.abs(_answers(found.model, FEEDS[6:]) - _answers(MODEL, FEEDS[6:]))
    assert found.mean_change == pytest.approx(moved.mean())
    assert found.max_change == pytest.approx(moved.max())
    assert found.mean_change > 0
    saved = sum(row.bytes_saved for row in found.rows)
    assert len(serialised(MODEL)) - len(serialised(found.model)) == pytest.approx(saved, rel=0.1)
    for row in found.rows:
        assert 0 < row.change == row.change_now
        assert 0 < row.weights_error < 0.5 / 64 * 1.02


def test_nothing_may_change() -> None:
    """Then every node stays in floats, and so does the graph."""
    found = _search(tolerance=0.0)
    assert all(row.kept and (row.form, row.bits) == ("floats", 32) for row in found.rows)
    assert found.mean_change == found.max_change == 0
    assert kinds(found.model) == kinds(MODEL)
    assert all(row.change > row.change_now == 0 == row.weights_error for row in found.rows)
    assert sum(row.bytes_saved for row in found.rows) == 0


def test_the_tolerance_is_kept_and_used() -> None:
    """Half of what all together do: some nodes are in floats, the worst."""
    everything = _search(tolerance=1e9)
    found = _search(tolerance=everything.mean_change / 2)
    assert 0 < found.mean_change <= everything.mean_change / 2
    kept = [row.node for row in found.rows if row.kept]
    assert 0 < len(kept) < len(found.rows)
    rest = {row.node: row.change / row.bytes_saved for row in everything.rows}
    least = min(rest[node] for node in kept)
    assert least >= max(rest[row.node] for row in found.rows if row.form == "8 bits")


def _two(tape: Any, constant: Any, x: Any) -> list[Any]:
    """Two products of like size; the first sees one input that is much larger than the others."""
    loud = np.ones(SIZE, dtype=np.float32)
    loud[5] = 300.0
    first = tape.op(
        "MatMul", [tape.op("Mul", [x, constant("loud", loud)]), constant("w", W)], name="loud"
    )
    second = tape.op("MatMul", [x, constant("v", drawn(2) / 9)], name="quiet")
    both = tape.op("Add", [first, second])
    return [tape.op("ReduceMean", [both, constant("axis", np.array([1]))], {"keepdims": 0})]


W = drawn(1)
W[5] /= 300


def test_inputs_in_floats_come_before_floats() -> None:
    """A node whose error is one large input's is mended for a few bytes."""
    model = graph(_two)
    feeds = tuple({"x": normal(n, 30)} for n in range(8))
    probes = Probes(run_graph, feeds[:4], feeds[4:])
    rough = search(model, probes, Options(tolerance=1e9))
    fine = search(model, probes, Options(tolerance=rough.mean_change / 4))
    loud, quiet = fine.rows
    assert loud.node == "loud"
    assert loud.form in ("8 bits, 1 input in floats", "8 bits, 2 inputs in floats")
    assert quiet.form == "8 bits"
    assert loud.change_now < 0.2 * loud.change
    assert loud.bytes_saved > 0.9 * rough.rows[0].bytes_saved
    assert fine.mean_change <= rough.mean_change / 4


def test_a_range_for_all_messages() -> None:
    """Activations are rounded by it: none is looked at for its range any more."""
    found = _search(tolerance=1e9, calibrated=True)
    assert "QuantizeLinear" in kinds(found.model)
    assert "DynamicQuantizeLinear" not in kinds(found.model)
    assert 0 < found.mean_change < 3 * _search(tolerance=1e9).mean_change


@pytest.mark.parametrize("fitted", [False, True])
def test_4_bits(fitted: bool) -> None:
    """In blocks that are about the best; what errs too much gets 8 bits before floats."""
    rough = _search(bits=4, tolerance=1e9, fitted=fitted)
    assert {"MatMulNBits", "GatherBlockQuantized"} <= set(kinds(rough.model))
    assert len(serialised(rough.model)) < 0.9 * len(serialised(_search(tolerance=1e9).model))
    fine = _search(bits=4, tolerance=rough.mean_change / 2, fitted=fitted)
    assert fine.mean_change <= rough.mean_change / 2
    forms = {row.form for row in fine.rows}
    assert "8 bits" in forms
    assert any(form.startswith("4 bits in blocks of") for form in forms)


def test_named_nodes_are_kept() -> None:
    """They are told as left, with the reason."""
    names = [row.node for row in _search(tolerance=1e9).rows]
    found = _search(tolerance=1e9, keep=lambda name: name == names[2])
    assert [row.node for row in found.rows] == names[:2] + names[3:]
    (told,) = [one for one in found.refused if one.node == names[2]]
    assert told.reason == "it was named"


def test_what_answers_no_number_is_refused() -> None:
    """A form that breaks a graph is as bad as can be, not as good: NaN is no small change."""

    def broken(model: Any, feeds: Sequence[Any], names: Sequence[str]) -> Any:
        values = run_graph(model, feeds, names)
        if "MatMulInteger" in kinds(model):
            return [[np.full_like(v, np.nan) for v in some] for some in values]
        return values

    found = search(MODEL, Probes(broken, FEEDS[:3], FEEDS[3:6]), Options(tolerance=1e9))
    assert all(row.kept for row in found.rows if row.kind == "product")
    assert found.mean_change < 1


def test_progress_is_told() -> None:
    """Who waits sees how far it is."""
    told = []
    search(MODEL, PROBES, Options(tolerance=1e9), lambda *step: told.append(step))
    assert told[:2] == [("looking", 0, 1), ("looking", 1, 1)]
    assert [step[:2] for step in told[2:]] == [("rounding", n + 1) for n in range(told[-1][2])]


def test_the_model_that_was_given_is_left_as_it_is() -> None:
    """It is what answers are compared with."""
    before = serialised(MODEL)
    _search(bits=4, tolerance=0.01)
    assert serialised(MODEL) == before


def test_answers_as_log_odds() -> None:
    """Two logits are their difference; one number is itself."""
    assert log_odds(np.array([[1.0, 3.0], [2.0, 0.5]])).tolist() == [2.0, -1.5]
    assert log_odds(np.array([0.5, -2.0], dtype=np.float32)).tolist() == [0.5, -2.0]
    assert log_odds(np.array([[0.5], [-2.0]])).tolist() == [0.5, -2.0]
