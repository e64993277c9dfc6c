"""A reader that is a table: what it says of each piece is known, and no trainer is needed for it.

    share of a token = table[piece] + kinds[field], log-odds = mean of the shares

The graph is written byte by byte, as onnx.proto has it (https://onnx.ai/onnx/repo-docs/IR.html; the
wire format: https://protobuf.dev/programming-guides/encoding/).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import ArrayLike

from winnow.tokens import FIELDS

_FLOAT, _INT64 = 1, 7
_NOTHING = (0.0,) * len(FIELDS)


def table_graph(
    table: ArrayLike, *, kinds: ArrayLike = _NOTHING, limit: int = 64, shares: bool = True
) -> bytes:
    """The ONNX file of such a reader.

    Args:
        table: (v,) what each piece adds.
        kinds: what each field adds.
        limit: most tokens of a message; only told, the graph itself has no end.
        shares: whether it tells them.
    """
    pieces = np.asarray(table, dtype=np.float32)
    nodes = [
        _node("Gather", ["table", "ids"], "of_pieces"),
        _node("Gather", ["kinds", "fields"], "of_fields"),
        _node("Add", ["of_pieces", "of_fields"], "shares"),
        _node("ReduceMean", ["shares", "axis"], "log_odds", keepdims=0),
    ]
    weights = [
        _tensor("table", pieces),
        _tensor("kinds", np.asarray(kinds, dtype=np.float32)),
        _tensor("axis", np.array([1], dtype=np.int64)),
    ]
    both = ("batch", "tokens")
    graph = b"".join(
        [
            *(_field(1, node) for node in nodes),
            _field(2, b"table"),
            *(_field(5, weight) for weight in weights),
            *(_field(11, _value(name, _INT64, both)) for name in ("ids", "fields")),
            _field(12, _value("log_odds", _FLOAT, both[:1])),
            *([_field(12, _value("shares", _FLOAT, both))] if shares else []),
        ]
    )
    sizes = {"pieces": len(pieces), "fields": len(FIELDS), "positions": limit}
    return b"".join(
        [
            _field(1, 10),  # version of the format
            _field(7, graph),
            _field(8, _field(2, 20)),  # version of the operators
            *(_field(14, _entry(name, str(size))) for name, size in sizes.items()),
        ]
    )


def table_of(scores: Mapping[str, float], pieces: Iterable[str], rest: float = 0.0) -> list[float]:
    """What each of some pieces adds, of those that have a score."""
    return [scores.get(piece, rest) for piece in pieces]


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def _field(number: int, value: int | bytes) -> bytes:
    """One field of a message: a number, or bytes with their length before them."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _node(kind: str, inputs: Iterable[str], output: str, **attributes: int) -> bytes:
    return b"".join(
        [
            *(_field(1, name.encode()) for name in inputs),
            _field(2, output.encode()),
            _field(4, kind.encode()),
            *(
                _field(5, _field(1, name.encode()) + _field(3, value) + _field(20, 2))
                for name, value in attributes.items()
            ),
        ]
    )


def _tensor(name: str, value: np.ndarray) -> bytes:
    kind = _FLOAT if value.dtype == np.float32 else _INT64
    sizes = b"".join(_field(1, size) for size in value.shape)
    return sizes + _field(2, kind) + _field(8, name.encode()) + _field(9, value.tobytes())


def _value(name: str, kind: int, sizes: Iterable[str]) -> bytes:
    shape = b"".join(_field(1, _field(2, size.encode())) for size in sizes)
    return _field(1, name.encode()) + _field(2, _field(1, _field(1, kind) + _field(2, shape)))


def _entry(key: str, value: str) -> bytes:
    return _field(1, key.encode()) + _field(2, value.encode())
