"""A mask, however it is computed -> three nodes that all layers share.

What is added to attention's scores is 0 where a token is and a large negative number c where there
is padding, whatever the way to it:

    scores + (… 20 nodes …)  ->  scores + Where(Cast(mask, bool)[:, None, None, :], 0, c)

Minus infinity becomes the least number of 32 bits: the softmax is the same, but for a message of
padding alone, which has no answer either way.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import numpy as np
import onnx_ir as ir

from winnow.compiler.inputs import MASK
from winnow.compiler.passes import Fired, Refused
from winnow.compiler.probe import SHAPE, Probe
from winnow.compiler.rules.attention import mask_of
from winnow.compiler.rules.base import constant

NAME = "SharedMask"
# As a score it leaves no attention: exp(-1000) is 0 in 32 bits.
_FAR_BELOW = -1_000.0


def shared_mask(probe: Probe) -> tuple[list[Fired], list[Refused]]:
    """Replace what is added to scores for the mask, in place."""
    fired: list[Fired] = []
    refused: list[Refused] = []
    if probe.masks is None:
        return fired, refused
    made: dict[float, ir.Value] = {}
    for node in list(probe.model.graph):
        if node.op_type != "Add":
            continue
        for place in (0, 1):
            value, scores = node.inputs[place], node.inputs[1 - place]
            if not probe.only(value, MASK, SHAPE) or probe.only(value, SHAPE):
                continue
            added = probe.of(value)
            if added is None or added[0].ndim != 4 or not _is_added(probe, node, scores):
                continue
            name = node.name or ""
            if _is_shared(value):
                continue
            far = masked_by(probe, value)
            if far is None:
                refused.append(
                    Refused(NAME, name, "what is added does not say which keys are padding")
                )
                continue
            if far not in made:
                made[far] = _added(probe, far)
            node.replace_input_with(place, made[far])
            fired.append(Fired(NAME, name))
    return fired, refused


def _is_shared(value: ir.Value | None) -> bool:
    """Whether a mask is of the form already that others are brought into."""
    found = None if value is None else mask_of(value)
    return found is not None and bool(np.isfinite(found[1]))


def masked_by(probe: Probe, value: ir.Value | None) -> float | None:
    """The number that a value has where a key is padding and 0 where it is not, or None."""
    far: set[float] = set()
    for array, mask in zip(probe.of(value) or [], probe.masks or [], strict=True):
        if array.dtype != np.float32 or (array.shape[0], array.shape[3]) != mask.shape:
            return None
        keep = np.broadcast_to((mask != 0)[:, None, None, :], array.shape)
        if (array[keep] != 0).any():
            return None
        far |= set(np.unique(array[~keep]).tolist())
    if len(far) != 1 or not max(far) <= _FAR_BELOW:  # which is so of what is no number
        return None
    return max(far.pop(), float(np.finfo(np.float32).min))


def _is_added(probe: Probe, node: ir.Node, scores: ir.Value | None) -> bool:
    """Whether the sum has the shape of the scores: the mask is only spread over them."""
    before, after = probe.of(scores), probe.of(node.outputs[0])
    if before is None or after is None:
        return False
    return all(a.shape == b.shape for a, b in zip(before, after, strict=False))


def _added(probe: Probe, far: float) -> ir.Value:
    model = probe.model
    graph = model.graph
    mask = next(value for value in graph.inputs if value.name == probe.mask)
    axes = constant(model, np.array([1, 2], dtype=np.int64), "ints.1.2")
    zero = constant(model, np.float32(0.0), "mask.zero")
    low = constant(model, np.float32(far), "mask.far")
    keep = ir.node("Cast", [mask], {"to": ir.DataType.BOOL.value}, name="mask.keep")
    keys = ir.node("Unsqueeze", [keep.outputs[0], axes], name="mask.keys")
    added = ir.node("Where", [keys.outputs[0], zero, low], name="mask.added")
    taken = {value.name for node in graph for value in node.outputs}
    for node in (keep, keys, added):
        node.name = next(n for n in _names(node.name) if f"{n}:0" not in taken)
        node.outputs[0].name = f"{node.name}:0"
    graph.insert_before(graph[0], [keep, keys, added])
    return added.outputs[0]


def _names(name: str) -> Iterator[str]:
    yield name
    yield from (f"{name}.{n}" for n in count(1))
