"""The last step of an answer inside the graph: what a message's reader and reflex say becomes one.

    reflex (b,), opening (b,)  beside the reader's inputs  ->  answer (b,), probability (b,)

The sum is that of `runtime.Cascade`, in 32 bits; the probability is calibrated. With it a graph
takes a message's numbers and gives its answer: what runs it is asked once and crossed once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
from onnx_ir.tape import Tape

from winnow.runtime import OPENING_BELOW, STANDS_OUT, Cascade

REFLEX, OPENING, ANSWER, PROBABILITY = "reflex", "opening", "answer", "probability"
LOG_ODDS = "log_odds"
# Under this name the graph says for which cascade it answers; another one in calibration.json wins.
CASCADE = "cascade"


def with_answer(model: ir.Model, cascade: Cascade) -> ir.Model:
    """Return a graph that also gives the answer of a cascade.

    Args:
        model: of a reader; left as it is. One that has an answer gets another.
        cascade: as calibration.json has it.
    """
    copy = without_answer(model)
    graph = copy.graph
    reader = next(value for value in graph.outputs if value.name == LOG_ODDS)
    reflex = ir.val(REFLEX, ir.DataType.FLOAT, ["batch"])
    opening = ir.val(OPENING, ir.DataType.FLOAT, ["batch"])
    tape = Tape()
    answer = _sum(tape, cascade, reflex, opening, reader)
    answer.name = ANSWER
    probability = tape.op("Sigmoid", [answer], name=PROBABILITY)
    probability.name = PROBABILITY
    for value in (answer, probability):
        value.type, value.shape = ir.TensorType(ir.DataType.FLOAT), ir.Shape(["batch"])
    graph.inputs.extend([reflex, opening])
    for constant in tape.initializers:
        graph.register_initializer(constant)
    graph.extend(tape.nodes)
    graph.outputs.extend([answer, probability])
    copy.metadata_props[CASCADE] = cascade.spelt()
    return copy


def without_answer(model: ir.Model) -> ir.Model:
    """Return a graph without the answer that `with_answer` gave it."""
    copy = model.clone()
    if CASCADE not in copy.metadata_props:
        return copy
    graph = copy.graph
    del copy.metadata_props[CASCADE]
    graph.outputs[:] = [v for v in graph.outputs if v.name not in (ANSWER, PROBABILITY)]
    from onnx_ir.passes.common import RemoveUnusedNodesPass

    RemoveUnusedNodesPass()(copy)
    graph.inputs[:] = [v for v in graph.inputs if v.name not in (REFLEX, OPENING)]
    return copy


def _sum(
    tape: Tape, cascade: Cascade, reflex: ir.Value, opening: ir.Value, reader: ir.Value
) -> ir.Value:
    def number(value: float) -> ir.Value:
        name = f"answer.{len(tape.initializers)}"
        return tape.initializer(ir.tensor(np.float32(value)), name=name)

    def op(kind: str, *inputs: Any) -> ir.Value:
        name = f"answer.{kind.lower()}{len(tape.nodes)}"
        return tape.op(kind, inputs, name=name, output=ir.Value(name=f"{name}:0"))

    def weighed(intercept: float, *terms: tuple[float, ir.Value]) -> ir.Value:
        total = number(intercept)
        for gain, value in terms:
            total = op("Add", op("Mul", value, number(gain)), total)
        return total

    both = weighed(cascade.intercept, (cascade.reflex, reflex), (cascade.reader, reader))
    begins = cascade.opening
    if begins is None:
        return both
    alone = weighed(
        begins.intercept, (begins.whole, reflex), (begins.opening, opening), (begins.reader, reader)
    )
    below = number(OPENING_BELOW)
    bounded = op("Mul", op("Tanh", op("Div", alone, below)), below)
    alone = op("Min", alone, op("Max", bounded, number(0.0)))
    stands_out = op("Greater", op("Sub", opening, reflex), number(STANDS_OUT))
    return op("Where", stands_out, op("Max", both, alone), both)
