"""What a pass is, and the driver that applies passes: verified after each, proved, or undone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from winnow.compiler.graph import copied, executable
from winnow.compiler.inputs import Feeds
from winnow.compiler.verify import fault_of

Values = list[NDArray[Any]]
# Runs a graph: the graph, several inputs and names of values (outputs or any in between) -> these
# values for each input. Who compiles says with which runtime; the compiler itself knows none.
Run = Callable[[ir.Model, Sequence[Feeds], Sequence[str]], list[Values]]


# Where activations are rounded to 8 bits, a sum in another order may fall on the other side of a
# step, and a logit moves by what a step is worth: up to 0.007 was seen.
ROUNDED_TOLERANCE = 0.05
_ROUNDING = frozenset(
    {"DynamicQuantizeLinear", "QuantizeLinear", "DynamicQuantizeMatMul", "QAttention"}
)


@dataclass(frozen=True, slots=True)
class Fired:
    """One place where a rule changed the graph.

    Attributes:
        rule: its name.
        made: name of a node that it made.
    """

    rule: str
    made: str


@dataclass(frozen=True, slots=True)
class Refused:
    """One place where a rule matched, or nearly, and did not fire.

    Attributes:
        rule: its name.
        node: where.
        reason: why not.
    """

    rule: str
    node: str
    reason: str


@dataclass(frozen=True, slots=True)
class Report:
    """What one pass did.

    Attributes:
        name: of the pass.
        nodes_before: executable nodes of the graph that it was given.
        nodes_after: of the graph that it left.
        fired: where rules changed the graph.
        refused: where they did not, and why.
        max_abs_error: largest difference of an output on the inputs of the proof; None where
            nothing was run.
        undone: why the pass was rolled back, "" when it stands.
    """

    name: str
    nodes_before: int
    nodes_after: int
    fired: tuple[Fired, ...] = ()
    refused: tuple[Refused, ...] = ()
    max_abs_error: float | None = None
    undone: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a pass makes of a graph.

    Attributes:
        model: the new graph; the old one is as it was.
        fired: where rules changed it.
        refused: where they did not, and why.
    """

    model: ir.Model
    fired: tuple[Fired, ...] = ()
    refused: tuple[Refused, ...] = ()


@dataclass(frozen=True, slots=True)
class Pass:
    """A named step Graph -> Graph.

    Attributes:
        name: shown in reports.
        apply: does it to a graph that it may change and returns that or another one.
        tolerance: largest difference of an output from the graph before that is let stand, or
            ROUNDED_TOLERANCE where the graph rounds, in proportion to the largest output where
            that is above 1; None for a pass that is meant to change answers, whose difference is
            only measured.
    """

    name: str
    apply: Callable[[ir.Model], Outcome]
    tolerance: float | None


@dataclass(frozen=True, slots=True)
class Proof:
    """Inputs on which a graph before a pass and after it are compared.

    Attributes:
        run: runs a graph.
        feeds: inputs, several messages of several lengths.
    """

    run: Run
    feeds: tuple[Feeds, ...] = field(default_factory=tuple)

    def outputs(self, model: ir.Model) -> list[Values]:
        """All outputs for all inputs."""
        return self.run(model, self.feeds, [output.name or "" for output in model.graph.outputs])


def apply_passes(
    model: ir.Model, passes: Sequence[Pass], proof: Proof
) -> tuple[ir.Model, list[Report]]:
    """Apply passes in order; one that breaks the graph or its answers is undone and says so.

    Args:
        model: left as it is.
        passes: in order.
        proof: how they are proved.
    """
    reports = []
    answers = proof.outputs(model)
    for step in passes:
        report, outcome, then = _applied(model, step, proof, answers)
        reports.append(report)
        if outcome is not None:
            model, answers = outcome, then
    return model, reports


def _applied(
    model: ir.Model, step: Pass, proof: Proof, answers: list[Values]
) -> tuple[Report, ir.Model | None, list[Values]]:
    before = executable(model)
    report = Report(step.name, before, before)

    def undone(why: str, **more: Any) -> tuple[Report, None, list[Values]]:
        return replace(report, undone=why, **more), None, answers

    try:
        outcome = step.apply(copied(model))
    except Exception as error:  # a graph that a pass was not written for must not stop the rest
        return undone(f"it failed: {type(error).__name__}: {_first_line(error)}")
    fault = fault_of(outcome.model) or _moved(model, outcome.model)
    if fault:
        return undone(f"it left an invalid graph: {fault}")
    try:
        then = proof.outputs(outcome.model)
    except Exception as error:  # whatever the runtime raises
        return undone(f"the graph does not run: {_first_line(error)}")
    worst = largest_difference(answers, then)
    tolerance = step.tolerance
    if tolerance is not None and rounds(model):
        tolerance = max(tolerance, ROUNDED_TOLERANCE)
    if tolerance is not None:
        tolerance *= max(1.0, _largest(answers))
    if tolerance is not None and not worst <= tolerance:
        moved = f"it moved an output by {worst:.2g}, more than {tolerance:.2g}"
        return undone(moved, max_abs_error=worst)
    done = replace(
        report,
        nodes_after=executable(outcome.model),
        fired=outcome.fired,
        refused=outcome.refused,
        max_abs_error=worst,
    )
    return done, outcome.model, then


def _largest(answers: Sequence[Values]) -> float:
    """Largest number of some outputs: 32 bits round in proportion to it."""
    sizes = [np.abs(a[np.isfinite(a)]).max(initial=0.0) for values in answers for a in values]
    return float(max(sizes, default=0.0))


def _moved(before: ir.Model, after: ir.Model) -> str:
    """What a graph takes or gives under another name, or of another type, than before."""
    sides = (
        ("inputs", before.graph.inputs, after.graph.inputs),
        ("outputs", before.graph.outputs, after.graph.outputs),
    )
    for what, ours, theirs in sides:
        if [(v.name, v.dtype) for v in ours] != [(v.name, v.dtype) for v in theirs]:
            return f"its {what} are not those of before"
    return ""


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0][:200]


def rounds(model: ir.Model) -> bool:
    """Whether a graph rounds activations to integers."""
    return any(node.op_type in _ROUNDING for node in model.graph)


def largest_difference(one: Sequence[Values], other: Sequence[Values]) -> float:
    """Largest difference of two lists of outputs; infinite where shapes differ or one is NaN."""
    worst = 0.0
    for ours, theirs in zip(one, other, strict=True):
        for a, b in zip(ours, theirs, strict=True):
            if a.shape != b.shape:
                return float("inf")
            if a.size:
                with np.errstate(invalid="ignore"):  # of two infinities
                    apart = float(np.abs(a.astype(np.float64) - b.astype(np.float64)).max())
                worst = max(worst, float("inf") if np.isnan(apart) else apart)
    return worst
