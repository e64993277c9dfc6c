"""Where only the first token of the last layer is read, the others are not computed there.

    Gather(LayerNormalization(a + b), 0)  ->  LayerNormalization(Gather(a, 0) + Gather(b, 0))

and so on up, through whatever works on each token alone: norms, sums, products with weights,
activations. In a classifier that reads [CLS] three quarters of the last layer's products go.
"""

from __future__ import annotations

import onnx_ir as ir

from winnow.compiler.axes import axes_of
from winnow.compiler.graph import array_of
from winnow.compiler.passes import Fired
from winnow.compiler.rules.base import attribute

NAME = "PoolBeforeLastLayer"
_EACH_ALONE = frozenset({"Gelu", "FastGelu", "Relu", "Tanh", "Erf", "Sigmoid", "Identity"})
# These are there as well in what is spread over all tokens, (b, 1, d).
_ENDS = (0, -1)
_SUMS = frozenset({"Add", "Sub", "Mul", "Div"})
_AXES = 3


def pooled_first(model: ir.Model) -> list[Fired]:
    """Move the choice of a token up as far as it goes, in place."""
    found = []
    axes = axes_of(model)
    work = [node for node in model.graph if _is_choice(node)]
    while work:
        choice = work.pop()
        y = choice.inputs[0]
        before = None if y is None else y.producer()
        if y is None or before is None or axes.get(y) != _AXES or not _only_chosen(y):
            continue
        moved = _inputs_to_choose(before)
        if moved is None or any(axes.get(before.inputs[place]) != _AXES for place in moved):
            continue
        work += _move(model.graph, choice, before, moved)
        found.append(Fired(NAME, before.name or ""))
    return found


def _is_choice(node: ir.Node) -> bool:
    """Whether a node takes the first or last token of each message: (b, t, d) -> (b, d)."""
    index = array_of(node.inputs[1]) if node.op_type == "Gather" else None
    if index is None or index.ndim or attribute(node, "axis", 0) != 1:
        return False
    return int(index) in _ENDS


def _only_chosen(value: ir.Value) -> bool:
    """Whether nothing else reads a value than choices of the same token."""
    uses = value.uses()
    if value.is_graph_output() or not all(_is_choice(use.node) for use in uses):
        return False
    return len({int(array_of(use.node.inputs[1]) or 0) for use in uses}) == 1


def _inputs_to_choose(node: ir.Node) -> list[int] | None:
    """Places of the inputs of which a token can be taken instead; None where that is not so."""
    if any(value.uses() or value.is_graph_output() for value in node.outputs[1:]):
        return None
    if node.op_type in _EACH_ALONE:
        return [0]
    if node.op_type == "LayerNormalization":
        return [0] if attribute(node, "axis", -1) in (-1, 2) else None
    if node.op_type == "MatMul":
        kernel = array_of(node.inputs[1])
        return [0] if kernel is not None and kernel.ndim == 2 else None
    if node.op_type in _SUMS:
        constants = [array_of(value) for value in node.inputs]
        if any(c is not None and c.ndim > 1 for c in constants):
            return None
        return [place for place, c in enumerate(constants) if c is None]
    return None


def _move(graph: ir.Graph, choice: ir.Node, node: ir.Node, places: list[int]) -> list[ir.Node]:
    """Choose from a node's inputs instead of its output, which keeps the name of the choice."""
    index = choice.inputs[1]
    made = []
    for place in places:
        value = node.inputs[place]
        assert value is not None
        above = ir.node("Gather", [value, index], {"axis": 1}, name=f"{node.name}.{place}.first")
        above.outputs[0].name = f"{node.name}.{place}.first:0"
        graph.insert_before(node, above)
        node.replace_input_with(place, above.outputs[0])
        made.append(above)
    if "axis" in node.attributes:  # of three axes the last is 2, of two it is not
        node.attributes["axis"] = ir.AttrInt64("axis", -1)
    y = node.outputs[0]
    y.shape, y.type = None, choice.outputs[0].type or y.type
    for use in list(y.uses()):  # all are the same choice
        chosen = use.node.outputs[0]
        if chosen.is_graph_output():
            y.name, y.shape, chosen.name = chosen.name, chosen.shape, None
            graph.outputs[:] = [y if output is chosen else output for output in graph.outputs]
        ir.convenience.replace_all_uses_with(chosen, y)
        graph.remove(use.node, safe=True)
    return made
