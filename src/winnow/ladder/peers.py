"""The same model in other programs, or in ONNX Runtime without us: what a user could have instead.

Each is given the baseline's graph in floats and one thread. One that is not installed, refuses the
graph, or answers something else is a row with its reason, never a silent gap.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import onnx_ir as ir

from winnow.compiler.graph import serialised
from winnow.compiler.passes import largest_difference
from winnow.errors import InputError, WinnowError
from winnow.ladder.measure import Call, Candidate, Feeds, Values, reason_of
from winnow.ladder.peer_torch import torch_call
from winnow.runtime.optimizer import LEVELS, at_level, fused
from winnow.runtime.providers import Openvino

ALL, NONE = "all", "none"
# Another program sums in another order; what differs by more computes something else. The second
# is for graphs of 8-bit integers, which each program rounds in its own places.
TOLERANCE, ROUNDED_TOLERANCE = 1e-3, 0.5


@dataclass(frozen=True, slots=True)
class Graphs:
    """What peers are given.

    Attributes:
        baseline: in floats.
        folded: the same in the one form that weights can be read from.
        quantized: the same in 8-bit integers, not fused; None where it could not be made.
    """

    baseline: ir.Model
    folded: ir.Model
    quantized: ir.Model | None = None


@dataclass(frozen=True, slots=True)
class Peer:
    """A peer that is ready, or why it is not.

    Attributes:
        name: as `--peers` takes it.
        what: in a few words.
        candidate: None where it cannot be timed.
        refused: why; "" where it can.
        apart: largest difference of its answers from the baseline's.
    """

    name: str
    what: str
    candidate: Candidate | None = None
    refused: str = ""
    apart: float | None = None


def _level(level: str) -> Callable[[Graphs], Call]:
    return lambda graphs: at_level(serialised(graphs.baseline), level)


def _transformers(graphs: Graphs) -> Call:
    return at_level(fused(serialised(graphs.baseline)), "all")


def _openvino_int8(graphs: Graphs) -> Call:
    if graphs.quantized is None:
        raise InputError("there is no graph of 8-bit integers to give it.")
    return _openvino(graphs.quantized)


def _openvino(graph: ir.Model) -> Call:
    way = Openvino("CPU")
    if reason := way.missing():
        raise InputError(f"{reason}: pip install openvino.")
    try:
        run = way.open(serialised(graph)).run
    except Exception as error:  # the library's errors have no common ancestor
        raise InputError(f"OpenVINO cannot compile the graph: {_told(error)}.") from error
    return lambda feeds: run(None, feeds)


def _told(error: Exception) -> str:
    """The line of OpenVINO's error that says something: not a place in its source."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if "src/" not in line and "Exception" not in line]
    return (telling or lines or [type(error).__name__])[0][:160].rstrip(".")


_MAKERS: Mapping[str, tuple[str, float, Callable[[Graphs], Call]]] = {
    **{
        f"onnxruntime-{level}": (f"ONNX Runtime, its optimiser: {level}", TOLERANCE, _level(level))
        for level in LEVELS
    },
    "onnxruntime-transformers": (
        "ONNX Runtime, after onnxruntime.transformers", TOLERANCE, _transformers,
    ),
    "openvino": ("OpenVINO, floats", TOLERANCE, lambda graphs: _openvino(graphs.baseline)),
    "openvino-int8": ("OpenVINO, 8-bit integers", ROUNDED_TOLERANCE, _openvino_int8),
    "torch": ("PyTorch, eager", TOLERANCE, lambda graphs: torch_call(graphs.folded)),
    "torch-sdpa": (
        "PyTorch, eager, with its own kernel for attention",
        TOLERANCE,
        lambda graphs: torch_call(graphs.folded, fused_attention=True),
    ),
}  # fmt: skip
NAMES = tuple(_MAKERS)


def names_of(text: str) -> tuple[str, ...]:
    """Read `--peers`: all, none, or names with commas between them.

    Raises:
        InputError: one is no peer.
    """
    if text in (ALL, NONE):
        return NAMES if text == ALL else ()
    names = tuple(dict.fromkeys(part.strip() for part in text.split(",")))
    unknown = [name for name in names if name not in _MAKERS]
    if unknown:
        raise InputError(
            f"--peers {unknown[0]!r}: the peers are {', '.join(NAMES)}; or say all, or none."
        )
    return names


def peers_of(
    names: Sequence[str], graphs: Graphs, probes: Sequence[Feeds], answers: Sequence[Values]
) -> list[Peer]:
    """Make peers ready, and prove that each computes what the baseline does.

    Args:
        names: of NAMES.
        graphs: that they are given.
        probes: inputs.
        answers: the baseline's outputs for them.
    """
    return [_peer(name, graphs, probes, answers) for name in names]


def _peer(name: str, graphs: Graphs, probes: Sequence[Feeds], answers: Sequence[Values]) -> Peer:
    what, tolerance, make = _MAKERS[name]
    try:
        call = make(graphs)
        found = [call(feeds) for feeds in probes]
    except WinnowError as error:
        return Peer(name, what, refused=reason_of(error))
    except Exception as error:  # of any library
        return Peer(name, what, refused=f"it failed: {reason_of(error)}")
    apart = largest_difference([values[:1] for values in found], [a[:1] for a in answers])
    if not apart <= tolerance:
        return Peer(
            name,
            what,
            refused=f"it computes something else: {apart:.2g} from the baseline's answer",
        )
    return Peer(name, what, Candidate(name, call), apart=apart)
