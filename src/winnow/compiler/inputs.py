"""What a graph's inputs mean, and seeded inputs to try it with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from winnow.errors import InputError

IDS, MASK, KINDS, POSITIONS, SCORE = "ids", "mask", "kinds", "positions", "score"
# How exporters and our own call them, by what a name holds; looked for in this order.
_NAMES = {
    MASK: ("mask",),
    KINDS: ("token_type", "segment", "fields"),
    POSITIONS: ("position",),
    IDS: ("input_ids", "ids", "tokens", "input"),
}
# What the first stage says of each message, for a graph that gives the whole answer (answer.py).
_SCORES = frozenset({"reflex", "opening"})
# Parts of the names of tables of positions: BERT's and its kin's, timm's, GPT's.
_TABLE_NAMES = ("position", "pos_emb", "wpe")
# Positions of a graph that does not say how many it has.
UNKNOWN = 512
_WHOLE = (ir.DataType.INT64, ir.DataType.INT32)

Feeds = dict[str, NDArray[Any]]


def roles_of(model: ir.Model) -> dict[str, str]:
    """What each input of a text model is: its name -> IDS, MASK, KINDS, POSITIONS or SCORE.

    Raises:
        InputError: an input is none of these, or there are no ids: it reads no text.
    """
    found: dict[str, str] = {}
    for value in model.graph.inputs:
        if value.name in model.graph.initializers:
            continue
        name = (value.name or "").lower()
        if name in _SCORES and value.dtype == ir.DataType.FLOAT:
            found[value.name or ""] = SCORE
            continue
        role = next((r for r, parts in _NAMES.items() if any(p in name for p in parts)), None)
        shape = value.shape
        if role is None or value.dtype not in _WHOLE or shape is None or len(shape) != 2:
            raise InputError(
                f"the input {value.name!r} is no (batch, tokens) of integers that a text model "
                "reads (ids, mask, token types, positions)."
            )
        found[value.name or ""] = role
    if IDS not in found.values():
        raise InputError("the graph has no input of token ids: it is no text model.")
    if list(found.values()).count(IDS) > 1:
        raise InputError("the graph has several inputs of token ids; only one text can be read.")
    return found


def vocabulary_of(model: ir.Model) -> int:
    """Rows of the table that token ids are looked up in.

    Raises:
        InputError: ids are not looked up in a table.
    """
    return min(_table_sizes(model, IDS), default=0) or _no_table()


def kinds_of(model: ir.Model) -> int:
    """Rows of the table of token types, 1 where there is none."""
    return min(_table_sizes(model, KINDS), default=1)


def positions_of(model: ir.Model) -> int:
    """Most tokens that the graph takes: as it says, or its table of positions, 512 where unknown.

    A graph whose inputs are all of one length takes that.
    """
    fixed = _fixed(model, 1)
    if fixed is not None:
        return fixed
    stated = model.metadata_props.get(POSITIONS, "")
    return int(stated) if stated.isdigit() else min(_table_lengths(model), default=UNKNOWN)


def knows_positions(model: ir.Model) -> bool:
    """Whether the graph says how many tokens it takes."""
    stated = model.metadata_props.get(POSITIONS, "").isdigit()
    return stated or _fixed(model, 1) is not None or bool(_table_lengths(model))


def feeds_of(model: ir.Model, batch: int, tokens: int, seed: int, *, full: bool = False) -> Feeds:
    """Inputs of a shape, the same for the same seed.

    Args:
        model: a text model; a size that it fixes wins.
        batch: messages.
        tokens: of each, with its padding.
        seed: of chance.
        full: no message has padding; else each but the first has some, where there is a mask.

    Raises:
        InputError: it is no text model.
    """
    chance = np.random.default_rng(seed)
    batch, tokens = _fixed(model, 0) or batch, _fixed(model, 1) or tokens
    words, kinds = vocabulary_of(model), kinds_of(model)
    lengths = np.full(batch, tokens)
    if not full and tokens > 1:
        lengths[1:] = chance.integers(1, tokens, batch - 1)
    places = np.arange(tokens)[None, :].repeat(batch, 0)
    values = {
        IDS: chance.integers(0, words, (batch, tokens)),
        KINDS: chance.integers(0, kinds, (batch, tokens)),
        MASK: (places < lengths[:, None]),
        POSITIONS: places,
        SCORE: chance.normal(0.0, 5.0, batch),
    }
    types = {value.name: value.dtype.numpy() for value in model.graph.inputs}
    return {name: values[role].astype(types[name]) for name, role in roles_of(model).items()}


def as_feeds(model: ir.Model, ids: NDArray[np.int64], kinds: NDArray[np.int64]) -> Feeds:
    """One message at its exact length as a graph's inputs.

    Args:
        model: a text model.
        ids: (t,).
        kinds: (t,), left out where the graph has no such input.
    """
    values: Mapping[str, NDArray[Any]] = {
        IDS: ids,
        KINDS: kinds,
        MASK: np.ones(len(ids)),
        POSITIONS: np.arange(len(ids)),
        SCORE: np.zeros(()),
    }
    types = {value.name: value.dtype.numpy() for value in model.graph.inputs}
    return {n: values[role][None].astype(types[n]) for n, role in roles_of(model).items()}


def _fixed(model: ir.Model, axis: int) -> int | None:
    """The one size of an axis that inputs may have, None where any will do."""
    for value in model.graph.inputs:
        size = value.shape[axis] if value.shape is not None and len(value.shape) > axis else None
        if isinstance(size, int) and size > 0:
            return size
    return None


def _table_lengths(model: ir.Model) -> list[int]:
    """How many tokens each table of positions is enough for."""
    found = []
    for name, value in model.graph.initializers.items():
        table = value.const_value
        named = any(part in name.lower() for part in _TABLE_NAMES)
        if not named or table is None or table.dtype in _WHOLE:
            continue
        if len(table.shape) != 2 or table.shape[0] <= 1:
            continue
        gathers = [u.node for u in value.uses() if u.node.op_type == "Gather" and u.idx == 0]
        unused = max((_first_row(node.inputs[1]) for node in gathers), default=0)
        found.append(int(table.shape[0]) - unused)
    return found


def _first_row(index: ir.Value | None) -> int:
    """Row of a table that the first token's index is: RoBERTa counts from its padding's on."""
    node = None if index is None else index.producer()
    if node is None:
        return 0
    if node.op_type == "CumSum":  # of ones: the first sum is 1
        exclusive = node.attributes.get("exclusive")
        return 1 if exclusive is None or not exclusive.value else 0
    numbers = [v.const_value for v in node.inputs if v is not None and v.const_value is not None]
    start = 0
    if node.op_type == "Add" and numbers and numbers[0].size == 1:
        start = int(numbers[0].numpy().reshape(()))
    if node.op_type not in _COUNTED:
        return start
    return start + max(_first_row(value) for value in node.inputs)


_COUNTED = frozenset({"Add", "Cast", "Mul", "Unsqueeze", "Expand", "Reshape", "Identity"})


def _table_sizes(model: ir.Model, role: str) -> list[int]:
    roles = roles_of(model)
    sizes = []
    for value in model.graph.inputs:
        if roles.get(value.name or "") != role:
            continue
        for node in _readers(value):
            table = node.inputs[_TABLES[node.op_type]] if node.op_type in _TABLES else None
            if node.op_type == "EmbedLayerNormalization" and role == KINDS:
                table = node.inputs[4]
            if table is not None and table.const_value is not None:
                sizes.append(int(table.const_value.shape[0]))
    return sizes


_TABLES = {"Gather": 0, "EmbedLayerNormalization": 2, "QEmbedLayerNormalization": 2}


_SAME_NUMBERS = frozenset({"Cast", "Identity", "Reshape"})


def _readers(value: ir.Value) -> list[ir.Node]:
    """Nodes that read a value, as it is or only written in another way."""
    found = []
    for use in value.uses():
        if use.node.op_type in _SAME_NUMBERS and use.idx == 0:
            found += _readers(use.node.outputs[0])
        else:
            found.append(use.node)
    return found


def _no_table() -> int:
    raise InputError("the graph looks its token ids up in no table: it is no text model.")
