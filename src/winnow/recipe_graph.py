"""The reader's weights -> the graph that ships: exported, proved on mail, in 8 bits.

Standard operators only, so that every device takes it; `winnow fuse` gains 2 to 4% more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from winnow import __version__
from winnow.compiler.answer import with_answer
from winnow.compiler.fold import fold_pass
from winnow.compiler.graph import parsed, serialised
from winnow.compiler.inputs import as_feeds
from winnow.compiler.passes import Pass, apply_passes
from winnow.compiler.quantize_search import Found, Options, Probes, search
from winnow.compiler.settle import settle_pass
from winnow.features.pieces import REQUIRED
from winnow.model.export import export
from winnow.model.network import Shape
from winnow.recipe_compile import proof_of, run_graph
from winnow.runtime import Cascade, Reader
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


# Messages whose activations are looked at, and others on which rounding is judged; the largest mean
# change of their log-odds.
LOOKED_AT, JUDGED, TOLERANCE = 48, 200, 0.05
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
    whole = serialised(graph)
    network = answer(weights, probes, shape)
    difference = float(np.abs(network - answers_of(whole, probes)).max())
    if not difference <= EXPORT_TOLERANCE:
        raise ValueError(f"the exported graph differs from the network by {difference:.2g}")
    folded = _passed(graph, [fold_pass(run_graph), settle_pass()])
    found = _rounded(folded, probes)
    rounded = serialised(found.model)
    shipped = answers_of(rounded, probes)
    record = {
        "messages": len(probes),
        "export_max_abs_error": difference,
        "int8_max_abs_error": float(np.abs(network - shipped).max()),
        "int8_mean_abs_error": float(np.abs(network - shipped).mean()),
        "int8_other_side_of_half_percent": 100 * float(((network > 0) != (shipped > 0)).mean()),
        "bytes_fp32": len(whole),
        "bytes_int8": len(rounded),
        "products_and_look_ups_rounded": sum(not row.kept for row in found.rows),
        "nodes_fp32": len(graph.graph),
        "nodes_int8": len(found.model.graph),
    }
    return Compiled(rounded, whole, record)


def answering(graph: bytes, cascade: Cascade) -> bytes:
    """A reader's graph that gives the answer of both stages, in one call."""
    return serialised(with_answer(parsed(graph, "reader.onnx"), cascade))


def _passed(graph: ir.Model, passes: list[Pass]) -> ir.Model:
    """Apply passes that must stand: our own graph is no stranger."""
    after, reports = apply_passes(graph, passes, proof_of(graph))
    undone = [f"{report.name}: {report.undone}" for report in reports if report.undone]
    if undone:
        raise ValueError(f"the reader cannot be compiled: {'; '.join(undone)}")
    return after


def _rounded(graph: ir.Model, probes: TokenRows) -> Found:
    """Round weights as far as answers for real mail stay what they are."""
    feeds = [as_feeds(graph, t.ids, t.fields) for t in probes.tokens[: LOOKED_AT + JUDGED]]
    aside = max(1, len(feeds) * LOOKED_AT // (LOOKED_AT + JUDGED))
    looked_at = tuple(feeds[:aside])
    judged = tuple(feeds[aside:]) or looked_at
    return search(graph, Probes(run_graph, looked_at, judged), Options(tolerance=TOLERANCE))


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
