"""What the compiler makes of one network, beside PyTorch and ONNX Runtime on the same core."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.figures import Figure, Settings

if TYPE_CHECKING:
    import onnx_ir as ir

ROUNDS = 41
LENGTHS = {256: (2.2, 2.0), 64: (2.8, 2.0)}  # tokens: times PyTorch eager, times ONNX Runtime
NODES, BYTES, ERROR = 45.0, 4.5, 2e-6
Call = Callable[[dict[str, Any]], Any]


def stack(settings: Settings) -> Iterator[Figure]:
    """Nodes of four exports, then speed and size of one, rung by rung."""
    if any(find_spec(name) is None for name in ("torch", "transformers", "onnxscript")):
        return
    from bench.exports import EXPORTS, export
    from winnow.recipe_compile import subject_of

    with tempfile.TemporaryDirectory() as folder:
        subjects = {name: subject_of(export(name, Path(folder))) for name in EXPORTS}
    for name, subject in subjects.items():
        yield from _nodes(name, subject)
    yield from _speed(subjects["TorchScript, eager"].graph, settings)


def _nodes(name: str, subject: Any) -> Iterator[Figure]:
    from winnow.compiler.passes import largest_difference
    from winnow.recipe_compile import fuse, proof_of

    cpu, accelerator = (fuse(subject, launches=launches) for launches in (False, True))
    proof = proof_of(subject.graph)
    before = proof.outputs(subject.graph)
    worst = max(largest_difference(before, proof.outputs(s.graph)) for s in (cpu, accelerator))
    columns: dict[str, tuple[float, float | None]] = {
        "nodes exported": (cpu.reports[0].nodes_before, None),
        "folded": (cpu.reports[0].nodes_after, None),
        "for accelerators": (accelerator.reports[-1].nodes_after, NODES),
        "for the processor": (cpu.reports[-1].nodes_after, None),
        "of these loaded": (cpu.nodes_loaded, NODES),
        "max abs error": (worst, ERROR),
    }
    for what, (value, target) in columns.items():
        yield Figure("stack", name, what, float(value), target)


def _speed(graph: ir.Model, settings: Settings) -> Iterator[Figure]:
    import torch

    from bench.exports import network
    from winnow.compiler.graph import serialised
    from winnow.runtime.session import Session

    torch.set_num_threads(1)
    eager = network("eager")

    def in_pytorch(feeds: dict[str, Any]) -> Any:
        with torch.inference_mode():
            return eager(*(torch.from_numpy(value) for value in feeds.values()))

    rungs = _rungs(graph)
    calls: dict[str, Call] = {"PyTorch eager": in_pytorch}
    calls["ONNX Runtime, unfused"] = _as_it_is(serialised(graph))
    calls |= {name: Session(serialised(made)).run for name, made in rungs.items()}
    whole = len(serialised(graph))
    for name, made in rungs.items():
        last = BYTES if name == list(rungs)[-1] else None
        smaller = whole / len(serialised(made))
        yield Figure("stack", name, "times smaller", smaller, last, at_least=True)
    for tokens, targets in LENGTHS.items():
        seconds = _race(calls, tokens, ROUNDS // (10 if settings.quick else 1))
        for name in rungs:
            wanted = targets if name == list(rungs)[-1] else (None, None)
            rivals = ("PyTorch eager", "ONNX Runtime, unfused")
            for rival, target in zip(rivals, wanted, strict=True):
                what = f"times {rival}, {tokens} tokens"
                times = seconds[rival] / seconds[name]
                yield Figure("stack", name, what, times, target, at_least=True)


def _rungs(graph: ir.Model) -> dict[str, ir.Model]:
    """Fused; pruned by half and fused; that in 8 bits."""
    from winnow.compiler.anatomy import anatomy_of
    from winnow.compiler.fold import fold_pass
    from winnow.compiler.fuse import fused
    from winnow.compiler.passes import apply_passes
    from winnow.compiler.prune import Keep, Plan, cut
    from winnow.compiler.prune_scores import by_weights
    from winnow.compiler.quantize import quantize
    from winnow.compiler.settle import settled
    from winnow.recipe_compile import proof_of, run_graph

    folded, _ = apply_passes(graph, [fold_pass(run_graph)], proof_of(graph))
    ranking = by_weights(folded, anatomy_of(folded))
    halves = [
        Keep(tuple(heads[: len(heads) // 2]), tuple(neurons[: len(neurons) // 2]))
        for heads, neurons in zip(ranking.heads, ranking.neurons, strict=True)
    ]
    half = settled(cut(folded, Plan(tuple(halves)))).model
    whole = settled(folded.clone()).model
    integers, _ = quantize(whole)
    both, _ = quantize(half)
    return {
        name: fused(made.clone(), launches=False).model
        for name, made in {
            "fused": whole,
            "fused + int8": integers,
            "fused + pruned 50%": half,
            "fused + pruned 50% + int8": both,
        }.items()
    }


def _as_it_is(graph: bytes) -> Call:
    """ONNX Runtime without its own optimizer."""
    from winnow.runtime.session import Session

    return Session(graph, optimised=False).run


def _race(calls: dict[str, Call], tokens: int, rounds: int) -> dict[str, float]:
    """Median CPU seconds of each on one message, taken in turns."""
    from bench.exports import WORDS

    chance = np.random.default_rng(tokens)
    feeds = {
        "input_ids": chance.integers(0, WORDS, (1, tokens)),
        "attention_mask": np.ones((1, tokens), dtype=np.int64),
    }
    found: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.thread_time()
            call(feeds)
            found[name].append(time.thread_time() - start)
    return {name: statistics.median(seconds) for name, seconds in found.items()}
