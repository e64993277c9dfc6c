"""The reader's weights -> the graph that ships: exported, proved on mail, rounded to 8 bits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from winnow import __version__
from winnow.compiler.quantize import quantize
from winnow.features.pieces import REQUIRED
from winnow.model.export import export
from winnow.model.network import Shape
from winnow.runtime import Reader
from winnow.tokens import TEXT, Tokens
from winnow.training.reader import answer
from winnow.training.reader_data import TokenRows

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Compiled:
    """A reader as it ships.

    Attributes:
        graph: bytes of the ONNX file, in 8-bit integers.
        whole: bytes of the graph in 32-bit floats.
        record: what was measured, JSON values only.
    """

    graph: bytes
    whole: bytes
    record: dict[str, Any]


# The exported graph and the network round differently; the largest difference of log-odds seen on
# mail was 1e-5.
EXPORT_TOLERANCE = 1e-3


def compiled(weights: dict[str, F32], shape: Shape, probes: TokenRows) -> Compiled:
    """Write a reader's graph, prove it on mail, and round it to 8 bits.

    Args:
        weights: of a reader, as trained.
        shape: of its network.
        probes: real mail.

    Raises:
        ValueError: the graph does not compute what the network does.
    """
    graph = export(weights, shape)
    whole = _serialised(graph)
    network = answer(weights, probes, shape)
    difference = float(np.abs(network - answers_of(whole, probes)).max())
    if not difference <= EXPORT_TOLERANCE:
        raise ValueError(f"the exported graph differs from the network by {difference:.2g}")
    small, quantized = quantize(graph)
    rounded = _serialised(small)
    shipped = answers_of(rounded, probes)
    record = {
        "messages": len(probes),
        "export_max_abs_error": difference,
        "int8_max_abs_error": float(np.abs(network - shipped).max()),
        "int8_mean_abs_error": float(np.abs(network - shipped).mean()),
        "int8_other_side_of_half_percent": 100 * float(((network > 0) != (shipped > 0)).mean()),
        "bytes_fp32": len(whole),
        "bytes_int8": len(rounded),
        "products_and_look_ups_rounded": len(quantized.nodes),
        "nodes_fp32": len(graph.graph),
        "nodes_int8": len(small.graph),
    }
    return Compiled(rounded, whole, record)


def _serialised(graph: ir.Model) -> bytes:
    data: bytes = ir.to_proto(graph).SerializeToString(deterministic=True)
    return data


def answers_of(graph: bytes, rows: TokenRows) -> F64:
    """Log-odds that a graph gives for rows, (n,), one message at a time as in serving."""
    reader = Reader(graph)
    return np.array([reader.read(tokens)[0] for tokens in rows.tokens])


def probe_of(length: int) -> Tokens:
    """An input of so many tokens, to time a reader with."""
    ids = np.arange(length, dtype=np.int64) % len(REQUIRED)
    return Tokens(ids, np.full(length, TEXT, dtype=np.int64))


def reader_history(small: Compiled) -> list[dict[str, Any]]:
    """What was done to a reader's weights, as the artifact's history has it."""
    record = small.record
    return [
        {
            "step": "train reader",
            "version": __version__,
            "bytes": record["bytes_fp32"],
            "nodes": record["nodes_fp32"],
            "max_abs_error": record["export_max_abs_error"],
        },
        {
            "step": "quantize reader",
            "version": __version__,
            "bytes": record["bytes_int8"],
            "nodes": record["nodes_int8"],
            "max_abs_error": record["int8_max_abs_error"],
        },
    ]
