"""The answer inside the graph: the cascade's own sum, whatever the numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

ir = pytest.importorskip("onnx_ir", reason="the extra [compile] is not installed")

from onnx_ir.tape import Tape  # noqa: E402

from winnow.compiler.answer import (  # noqa: E402
    ANSWER,
    CASCADE,
    PROBABILITY,
    with_answer,
    without_answer,
)
from winnow.compiler.graph import serialised  # noqa: E402
from winnow.compiler.verify import fault_of  # noqa: E402
from winnow.runtime import Cascade, Opening, sigmoid  # noqa: E402
from winnow.runtime.session import Session  # noqa: E402

PLAIN = Cascade(0.7, 0.3, -0.25, -1.0, 2.0)
WITH_OPENING = Cascade(0.7, 0.3, -0.25, -1.0, 2.0, Opening(60, -0.2, 0.5, 0.6, 1.2))
NUMBERS = st.floats(-30, 30, width=32)


def _reader() -> Any:
    """A graph that answers with the number it is given."""
    given_ = ir.val("given", ir.DataType.FLOAT, ["batch"])
    tape = Tape()
    out = tape.op("Identity", [given_], name="reader")
    out.name, out.type, out.shape = "log_odds", given_.type, ir.Shape(["batch"])
    graph = ir.Graph([given_], [out], nodes=tape.nodes, opset_imports={"": 20}, name="reader")
    return ir.Model(graph, ir_version=10)


def _ask(session: Session, reader: float, reflex: float, opening: float) -> dict[str, float]:
    names = ("given", "reflex", "opening")
    numbers = zip(names, (reader, reflex, opening), strict=True)
    feeds = {name: np.array([number], dtype=np.float32) for name, number in numbers}
    wanted = ["log_odds", ANSWER, PROBABILITY]
    found = session.run(feeds, wanted)
    return {name: float(value[0]) for name, value in zip(wanted, found, strict=True)}


@pytest.mark.parametrize("cascade", [PLAIN, WITH_OPENING])
def test_the_graph_says_what_the_cascade_says(cascade: Cascade) -> None:
    """For any three numbers: whole, opening and reader, stood out or not."""
    session = Session(serialised(with_answer(_reader(), cascade)))

    @settings(deadline=None)
    @given(NUMBERS, NUMBERS, NUMBERS)
    def check(reader: float, reflex: float, opening: float) -> None:
        found = _ask(session, reader, reflex, opening)
        wanted = cascade.log_odds(reflex, reader, opening)
        assert found["log_odds"] == reader
        assert found[ANSWER] == pytest.approx(wanted, rel=1e-6, abs=1e-5)
        assert found[PROBABILITY] == pytest.approx(sigmoid(wanted), abs=1e-5)

    check()


def test_another_answer_takes_the_place_of_the_first() -> None:
    """A cascade that is fitted again is written again, and the first is gone."""
    once = with_answer(_reader(), PLAIN)
    twice = with_answer(once, WITH_OPENING)
    assert fault_of(twice) == ""
    assert twice.metadata_props[CASCADE] == WITH_OPENING.spelt() != PLAIN.spelt()
    assert serialised(twice) == serialised(with_answer(_reader(), WITH_OPENING))


def test_without_its_answer_a_graph_is_as_before() -> None:
    """And the graph that was given is never changed."""
    before = _reader()
    written = serialised(before)
    answered = with_answer(before, PLAIN)
    assert serialised(before) == written
    assert serialised(without_answer(answered)) == written == serialised(without_answer(before))
