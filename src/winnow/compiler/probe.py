"""What each value of a graph depends on, and what it is on a few seeded inputs.

Exporters spell the same thing in many ways: a Reshape's target as thirty nodes of shape arithmetic,
a mask by gathering, comparing and expanding. Instead of one pattern for each spelling, a value is
asked two questions. On what does it depend: nothing, the inputs' shapes, the mask, the tokens? That
is decided by the graph's structure and is certain. And what is it, for inputs of several shapes? A
value that depends on nothing but shapes and is [b, t, 4, 64] for every probe is that. The second
is evidence, no proof; so the probes are chosen to tell apart what a graph can hold, and whatever a
pass makes of it is compared with the graph before on other inputs (passes.apply_passes).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from winnow.compiler.inputs import IDS, MASK, Feeds, feeds_of, positions_of, roles_of
from winnow.compiler.passes import Run, Values

SHAPE = "shape"
_CHANCE = "chance"
_RANDOM = frozenset(
    {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Multinomial",
     "Bernoulli", "Dropout"}
)  # fmt: skip
# Operators whose output's shape depends on the values of these inputs (None: of all).
_SHAPED_BY: dict[str, tuple[int, ...] | None] = {
    "Reshape": (1,), "Expand": (1,), "ConstantOfShape": (0,), "Tile": (1,), "Pad": (1, 3),
    "Slice": (1, 2, 3, 4), "Range": None, "Split": (1,), "Unsqueeze": (1,), "Squeeze": (1,),
    "Resize": None, "OneHot": (1,), "TopK": (1,), "CenterCropPad": (1,), "SplitToSequence": (1,),
    "NonZero": None, "Unique": None, "Compress": None, "NonMaxSuppression": None,
    "SequenceAt": None, "AffineGrid": (1,), "Col2Im": None, "MaxUnpool": (2,), "StringSplit": None,
    **dict.fromkeys(
        ("ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean",
         "ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare"), (1,),
    ),
    **dict.fromkeys(
        ("BlackmanWindow", "DFT", "HammingWindow", "HannWindow", "MelWeightMatrix", "STFT"), None
    ),
}  # fmt: skip
# (batch, tokens); no number of tokens is a multiple of a usual number of heads, and the pairs
# differ in both, so that no two dimensions are always equal.
_SHAPES = ((2, 5), (3, 7), (1, 11), (5, 3), (2, 1))
# What depends on no token is looked at for a long message, too, where that is cheap: attention to
# a window of tokens looks like attention to all as long as the message fits into the window.
_FAR = 512
_SEED = 1_000


@dataclass(frozen=True, slots=True)
class Probe:
    """A graph looked into.

    Attributes:
        model: the graph.
        depends: on what each value depends: a set of roles of inputs, "shape" and "chance".
        seen: values by name, one array for each of the probes' inputs; one more, the last, where
            no token is needed for it.
        masks: the mask of each of these inputs, None where the graph has none.
        ids: name of the input of token ids.
        mask: name of the input of the mask, "" where there is none.
    """

    model: ir.Model
    depends: dict[ir.Value, frozenset[str]]
    seen: dict[str, Values]
    masks: Values | None
    ids: str
    mask: str

    def of(self, value: ir.Value | None) -> Values | None:
        """What a value was, None where it was not seen."""
        return None if value is None else self.seen.get(value.name or "")

    def only(self, value: ir.Value | None, *roles: str) -> bool:
        """Whether a value depends on these things at most."""
        if value is None:
            return False
        if value.const_value is not None and not value.is_graph_input():
            return True
        return self.depends.get(value, {_CHANCE}) <= set(roles)


def probed(model: ir.Model, run: Run) -> Probe:
    """Look into a graph.

    Raises:
        InputError: it is no text model, or does not run.
    """
    inputs, far = _probes(model)
    roles, depends = roles_of(model), dependencies(model)
    made = [v for node in model.graph for v in node.outputs if v.name]
    made = [v for v in made if v.uses() or v.is_graph_output()]
    names = [v.name for v in made]
    found = run(model, inputs, names)
    seen = {name: [values[n] for values in found] for n, name in enumerate(names)}
    for name, role in roles.items():
        seen[name] = [feeds[name] for feeds in inputs] + [far[name]] * (role == MASK)
    cheap = [v.name for v in made if depends[v] and depends[v] <= {MASK, SHAPE}]
    if cheap:
        [values] = run(model, [far], cheap)
        for name, value in zip(cheap, values, strict=True):
            seen[name].append(value)
    for v in made:
        if not depends[v]:  # always the same: kept once
            seen[v.name] = [seen[v.name][0]] * (len(inputs) + 1)
    mask = next((name for name, role in roles.items() if role == MASK), "")
    ids = next(name for name, role in roles.items() if role == IDS)
    return Probe(model, depends, seen, seen.get(mask), ids, mask)


def _probes(model: ir.Model) -> tuple[list[Feeds], Feeds]:
    """Inputs of several short shapes, and those of one long message."""
    longest = positions_of(model)
    chance = np.random.default_rng(_SEED)
    shapes = [*((b, t) for b, t in _SHAPES if t <= longest), (1, min(longest, _FAR))]
    found = []
    for n, (batch, tokens) in enumerate(shapes):
        feeds = feeds_of(model, batch, tokens, _SEED + n)
        for name, role in roles_of(model).items():
            if role == MASK:  # any pattern of holes: a mask counts tokens by place, not by number
                holes = chance.integers(0, 2, feeds[name].shape)
                feeds[name] = holes.astype(feeds[name].dtype)
        found.append(feeds)
    return found[:-1], found[-1]


def dependencies(model: ir.Model) -> dict[ir.Value, frozenset[str]]:
    """On what each value depends, by the graph's structure alone."""
    roles = roles_of(model)
    nothing: frozenset[str] = frozenset()
    values: dict[ir.Value, frozenset[str]] = {}
    shapes: dict[ir.Value, frozenset[str]] = {}
    for value in model.graph.inputs:
        role = roles.get(value.name or "")
        values[value] = frozenset({role or _CHANCE, SHAPE})
        shapes[value] = frozenset({SHAPE})
    for node in model.graph:
        read = [value for value in node.inputs if value is not None]
        content = nothing.union(*(values.get(v, nothing) for v in read))
        shape = nothing.union(*(shapes.get(v, nothing) for v in read))
        if node.op_type in _SHAPED_BY:
            places = _SHAPED_BY[node.op_type]
            args = read if places is None else [v for v in _at(node, places) if v is not None]
            shape = shape.union(*(values.get(v, nothing) for v in args))
        if node.op_type in ("Shape", "Size"):
            content, shape = shape, nothing
        if node.op_type in _RANDOM:
            content = content | {_CHANCE}
        for output in node.outputs:
            values[output], shapes[output] = content, shape
    return values


def _at(node: ir.Node, places: tuple[int, ...]) -> list[ir.Value | None]:
    return [node.inputs[place] for place in places if place < len(node.inputs)]
