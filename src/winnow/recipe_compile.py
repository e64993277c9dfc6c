"""A model's graph -> a cheaper one: opened, changed by one step after another, written with both.

A model is an artifact, of which the reader's graph is meant, or a bare ONNX file.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx_ir as ir

from winnow import __version__
from winnow.answering import READER_FILE
from winnow.artifact import Artifact, read_artifact, write_artifact
from winnow.compiler.answer import with_answer
from winnow.compiler.fold import fold_pass
from winnow.compiler.fuse import fuse_pass
from winnow.compiler.graph import is_onnx, opened, parsed, serialised
from winnow.compiler.inputs import Feeds, feeds_of, positions_of
from winnow.compiler.passes import (
    Pass,
    Proof,
    Report,
    Values,
    apply_passes,
    largest_difference,
)
from winnow.compiler.settle import settle_pass
from winnow.errors import ArtifactError, InputError
from winnow.runtime import cascade_of
from winnow.runtime.session import Session, loaded_nodes

# Shapes on which a pass is proved: (batch, tokens). One token, several messages with padding, and
# long ones, since that is where rounding errors show.
_PROOF_SHAPES = ((1, 1), (1, 7), (3, 16), (2, 64))
_SEED = 20_261_125


@dataclass(frozen=True, slots=True)
class Subject:
    """What a step works on.

    Attributes:
        path: as the user named it.
        graph: as it is now.
        artifact: that it belongs to, None for a bare file.
    """

    path: Path
    graph: ir.Model
    artifact: Artifact | None

    @property
    def name(self) -> str:
        """For reports."""
        return self.artifact.label if self.artifact is not None else self.path.name


@dataclass(frozen=True, slots=True)
class Step:
    """What passes made of a graph.

    Attributes:
        graph: the new one.
        reports: of each pass, in order.
        max_abs_error: largest difference of an output of the new graph from the first one's.
        nodes_loaded: nodes that ONNX Runtime's own optimizer leaves of the new one.
        round_trips: calls of a graph for a message.
        history: as the artifact keeps it.
    """

    graph: ir.Model
    reports: list[Report]
    max_abs_error: float
    nodes_loaded: int
    round_trips: int
    history: list[dict[str, Any]]


def fuse(subject: Subject, *, launches: bool) -> Step:
    """Fold, settle and fuse a graph.

    Args:
        subject: as opened.
        launches: whether fewer nodes count for more than the processor's time.
    """
    passes = [fold_pass(run_graph), settle_pass(), fuse_pass(launches=launches)]
    return applied(subject, passes)


def applied(subject: Subject, passes: Sequence[Pass]) -> Step:
    """Apply passes to a graph, each proved, and measure what came of it."""
    proof = proof_of(subject.graph)
    graph, history, reports = subject.graph, [], []
    first = proof.outputs(graph)
    for step in passes:
        after, [report] = apply_passes(graph, [step], proof)
        reports.append(report)
        if not report.undone:
            history.append(history_of(report, graph, after))
        graph = after
    worst = largest_difference(first, proof.outputs(graph))
    return Step(graph, reports, worst, loaded_nodes(serialised(graph)), 1, history)


def subject_of(path: Path) -> Subject:
    """Open a model.

    Raises:
        ArtifactError: a folder that is no whole model, or whose model has no reader.
        InputError: a file that is no usable graph.
    """
    if not path.is_dir():
        return Subject(path, opened(path), None)
    artifact = read_artifact(path)
    if READER_FILE not in artifact.files:
        faults = [fault for fault in artifact.faults if READER_FILE in fault]
        raise ArtifactError(
            (faults or [f"{path} has no reader: there is no graph to compile; train one first."])[0]
        )
    where = f"{path}/{READER_FILE}"
    return Subject(path, parsed(artifact.files[READER_FILE], where), artifact)


def write_subject(
    subject: Subject,
    graph: ir.Model,
    out: Path,
    history: Sequence[Mapping[str, Any]],
    files: Mapping[str, bytes] | None = None,
) -> None:
    """Write what became of a model: an artifact with its history, or a bare ONNX file.

    Args:
        subject: as it was opened.
        graph: the new one.
        out: where to; an artifact is never written over anything else.
        history: what was done, oldest first.
        files: other files of the artifact that are new.

    Raises:
        ArtifactError: the place is taken by something else, or cannot be written.
        InputError: likewise, for a bare file.
    """
    if subject.artifact is None:
        _write_file(out, serialised(graph))
        return
    old = subject.artifact
    data = serialised(with_answer(graph, cascade_of(old)))
    write_artifact(
        out,
        fingerprint=old.fingerprint,
        tensors=old.tensors,
        calibration=old.calibration,
        training=old.manifest["training"],
        version=__version__,
        files={**old.files, READER_FILE: data, **(files or {})},
        stages=old.manifest["stages"],
        history=[*old.manifest["history"][1:], *history],
    )


def run_graph(model: ir.Model, inputs: Sequence[Feeds], names: Sequence[str]) -> list[Values]:
    """Run a graph as it is written; values in between may be asked for, too (`passes.Run`).

    Raises:
        InputError: the runtime cannot.
    """
    outputs = {output.name for output in model.graph.outputs}
    wanted = [name for name in dict.fromkeys(names) if name not in outputs]
    if wanted:
        model = model.clone()
        inside = {v.name: v for node in model.graph for v in node.outputs if v.name in wanted}
        model.graph.outputs.extend(inside[name] for name in wanted)
    session = Session(serialised(model), optimised=False)
    return [session.run(feeds, list(names)) for feeds in inputs]


def proof_of(graph: ir.Model, extra: Sequence[Feeds] = ()) -> Proof:
    """Inputs of several shapes with padding, the same each time, and others that are given."""
    longest = positions_of(graph)
    shapes = [*((b, t) for b, t in _PROOF_SHAPES if t < longest), (1, longest)]
    seeded = [feeds_of(graph, b, t, _SEED + n) for n, (b, t) in enumerate(shapes)]
    return Proof(run_graph, (*seeded, *extra))


def history_of(report: Report, before: ir.Model, after: ir.Model) -> dict[str, Any]:
    """One step as the artifact's history has it."""
    return {
        "step": report.name,
        "version": __version__,
        "nodes_before": report.nodes_before,
        "nodes": report.nodes_after,
        "bytes_before": len(serialised(before)),
        "bytes": len(serialised(after)),
        "max_abs_error": report.max_abs_error,
    }


def _write_file(out: Path, data: bytes) -> None:
    """Write beside the place, then move there; nothing that is no ONNX file is replaced."""
    if out.exists() and not is_onnx(out):
        raise InputError(f"{out} exists and is no ONNX file; name another --out.")
    fresh = out.with_name(f".{out.name}.{secrets.token_hex(4)}.new")
    try:
        with fresh.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(out)
    except OSError as error:
        raise InputError(f"cannot write {out}: {error.strerror}.") from error
    finally:
        fresh.unlink(missing_ok=True)
