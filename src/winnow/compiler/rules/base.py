"""What a rule is, and how rules are applied: onnxscript's matching engine below, ours above.

A rule has `pattern` (written in the graph's own language), `check` (returns `fine()` or
`refuse(reason)`) and `rewrite`. It holds no state between the two.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray
from onnxscript.rewriter import RewriteRule, RewriteRuleSet
from onnxscript.rewriter._basics import MatchingTracer, MatchResult, MatchStatus
from onnxscript.rewriter.pattern import RewriteRuleClassBase

from winnow.compiler.graph import array_of, drop_unused
from winnow.compiler.passes import Fired, Refused

# A match that covers this part of a pattern, and so many nodes, and then fails is worth telling.
_NEARLY, _FEWEST = 0.35, 3
# What a rewriting makes beside the node that it is about.
_HELPERS = frozenset({"Cast", "MatMul"})


class Rule(RewriteRuleClassBase):  # type: ignore[misc]
    """A rule named after its class."""

    @classmethod
    def rules(cls) -> list[RewriteRule]:
        """The rule, in every order of the operands that may be swapped."""
        return list(cls.rule().commute())


def fine() -> MatchResult:
    """The rule applies."""
    return MatchResult()


def refuse(reason: str, *where: ir.Node | ir.Value) -> MatchResult:
    """The rule does not apply, and why."""
    return MatchResult().fail(reason, list(where))


def applied(model: ir.Model, rules: Sequence[type[Rule]]) -> tuple[Fired, ...]:
    """Apply rules, each as often as it fires, in place.

    Args:
        model: changed.
        rules: in order; a rule sees what those before it left.
    """
    found: list[Fired] = []
    for rule in rules:
        before = set(model.graph)
        RewriteRuleSet(rule.rules()).apply_to_model(model)
        made = [node for node in model.graph if node not in before]
        for node in made:
            node.name = f"{node.op_type}:{node.outputs[0].name}"
            if node.op_type not in _HELPERS:
                found.append(Fired(rule.__name__, node.name))
    drop_unused(model)
    return tuple(found)


def refused(model: ir.Model, rules: Sequence[type[Rule]]) -> tuple[Refused, ...]:
    """Where rules match a graph, or nearly, and do not apply; the graph stays as it is."""
    found: dict[tuple[str, str], Refused] = {}
    for rule in rules:
        tracer = _Tracer(rule.__name__)
        RewriteRuleSet(rule.rules()).apply_to_model(model.clone(), tracer=tracer)
        for refusal in tracer.found:
            found.setdefault((refusal.rule, refusal.node), refusal)
    return tuple(found.values())


class _Tracer(MatchingTracer):  # type: ignore[misc]
    """Keeps matches whose check failed, and those that nearly matched."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.found: list[Refused] = []

    def log(
        self, rule: Any, container: Any, node: ir.Node, match_result: MatchResult, status: Any
    ) -> None:
        """Called by the engine for each try."""
        checked = status in (MatchStatus.CONDITION_FAILED, MatchStatus.REPLACEMENT_FAILED)
        enough = max(_FEWEST, _NEARLY * rule._target_pattern.num_nodes())
        nearly = status == MatchStatus.NO_MATCH and len(match_result.nodes) >= enough
        if checked or nearly:
            reason = match_result.reason or "another form"
            self.found.append(Refused(self.name, node.name or node.op_type, reason[:200]))


def weight(value: ir.Value | None) -> NDArray[np.float32] | None:
    """A constant of 32-bit floats, or None."""
    array = array_of(value)
    return array if array is not None and array.dtype == np.float32 else None


def scalar(value: ir.Value | None) -> float | None:
    """A constant of one number, which gives nothing another shape, or None."""
    array = array_of(value)
    if array is None or array.size != 1 or array.ndim > 1:
        return None
    return float(array.reshape(()))


def whole_numbers(value: ir.Value | None) -> list[int] | None:
    """A constant list of integers, or None."""
    array = array_of(value)
    return None if array is None or array.dtype.kind != "i" else array.reshape(-1).tolist()


def attribute(node: ir.Node, name: str, default: Any = None) -> Any:
    """An attribute's value."""
    found = node.attributes.get(name)
    return default if found is None else found.value


def constant(model: ir.Model, value: Any, name: str) -> ir.Value:
    """A constant of a graph; one that is there under that name and is the same is used again."""
    return stored(model.graph, value, name)


def stored(graph: ir.Graph, value: Any, name: str) -> ir.Value:
    """`constant` for rewritings, which see no model.

    The engine's own way (`op.initializer`) puts a constant in the place of another one of its name.
    """
    array = np.asarray(value)
    taken = graph.initializers
    place, n = name, 0
    while place in taken:
        there = array_of(taken[place])
        if there is not None and there.dtype == array.dtype and np.array_equal(there, array):
            return taken[place]
        n += 1
        place = f"{name}.{n}"
    made = ir.Value(name=place, const_value=ir.tensor(array, name=place))
    made.shape, made.type = ir.Shape(array.shape), ir.TensorType(made.const_value.dtype)
    graph.register_initializer(made)
    return made


def graph_of(value: ir.Value) -> ir.Graph:
    """The graph that a value is in."""
    producer = value.producer()
    graph = value.graph if producer is None else producer.graph
    assert graph is not None
    return graph
