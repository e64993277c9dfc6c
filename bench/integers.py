"""Forms of integers side by side: bytes, speed against 32-bit floats, change of the answers."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.figures import Figure, Settings

if TYPE_CHECKING:
    import onnx_ir as ir

    from winnow.compiler.quantize_forms import Form
    from winnow.compiler.quantize_sites import Site

    Forms = Mapping[str, Form]

ROUNDS = 41
LENGTHS = (32, 128, 256)
MAIL = ("spamassassin", "linaro_mm_sig_2025")
LOOKED_AT, JUDGED = 40, 200
BLOCKS = (32, 64, 128)
Feeds = dict[str, Any]


def integers(settings: Settings) -> Iterator[Figure]:
    """The shipped reader, and where PyTorch is installed the classifier of `stack`."""
    if any(find_spec(name) is None for name in ("onnx_ir", "onnxscript")):
        return
    from winnow.pipeline import SHIPPED_MODEL
    from winnow.recipe_compile import subject_of

    subject = subject_of(SHIPPED_MODEL)
    yield from _figures("reader", subject, settings)
    if all(find_spec(name) is not None for name in ("torch", "transformers")):
        from bench.exports import export

        with tempfile.TemporaryDirectory() as folder:
            exported = subject_of(export("TorchScript, eager", Path(folder)))
        yield from _figures("BERT", exported, settings)


def _figures(name: str, subject: Any, settings: Settings) -> Iterator[Figure]:
    from winnow.compiler.graph import serialised
    from winnow.compiler.inputs import feeds_of, positions_of
    from winnow.compiler.quantize import restored
    from winnow.compiler.quantize_search import log_odds
    from winnow.runtime.session import Session

    floats = restored(subject.graph)
    feeds = _messages(subject, floats, settings)
    looked, judged = feeds[:LOOKED_AT], feeds[LOOKED_AT:]
    graphs = {"32-bit floats": floats, **_graphs(floats, looked)}
    data = {form: serialised(graph) for form, graph in graphs.items()}
    calls = {form: Session(graph).run for form, graph in data.items()}
    answer = floats.graph.outputs[0].name or ""

    def answers(form: str) -> Any:
        return np.concatenate([log_odds(calls[form](one, [answer])[0]) for one in judged])

    exact = answers("32-bit floats")
    lengths = [length for length in LENGTHS if length <= positions_of(floats)]
    rounds = ROUNDS // (10 if settings.quick else 1)
    timed = {t: _times(calls, feeds_of(floats, 1, t, t, full=True), rounds) for t in lengths}
    for form in graphs:
        row = f"{name}, {form}"
        moved = np.abs(answers(form) - exact)
        yield Figure("integers", row, "MB", len(data[form]) / 1e6)
        for length in lengths:
            times = timed[length]["32-bit floats"] / timed[length][form]
            yield Figure("integers", row, f"x floats, {length} tokens", times)
        yield Figure("integers", row, "mean change, log-odds", float(moved.mean()))
        yield Figure("integers", row, "largest", float(moved.max()))


def _messages(subject: Any, graph: ir.Model, settings: Settings) -> list[Feeds]:
    """Mail as the reader gets it, where it is at hand and fits; else random inputs."""
    from winnow.answering import Model
    from winnow.compiler.inputs import as_feeds, feeds_of, positions_of
    from winnow.corpus import open_corpus
    from winnow.reading import read_evidence

    count = LOOKED_AT + JUDGED
    archives = [settings.corpus(name) for name in MAIL]
    if subject.artifact is None or not all(path.exists() for path in archives):
        lengths = np.linspace(4, positions_of(graph), count).round().astype(int)
        chosen = np.random.default_rng(0).permutation(count)
        return [feeds_of(graph, 1, int(lengths[n]), int(n)) for n in chosen]
    tokenizer = Model.of(subject.artifact).tokenizer
    assert tokenizer is not None
    found = []
    for path in archives:
        for example in islice(open_corpus(path), 0, 10 * count, 20):
            message, reading, _ = read_evidence(example.raw, stream=False)
            tokens = tokenizer.read(message, reading)
            found.append(as_feeds(graph, tokens.ids, tokens.fields))
    return [found[n] for n in np.random.default_rng(0).permutation(len(found))[:count]]


def _graphs(floats: ir.Model, looked: Sequence[Feeds]) -> dict[str, ir.Model]:
    from winnow.compiler.fold import folded
    from winnow.compiler.fuse import fused
    from winnow.compiler.quantize import plain_forms
    from winnow.compiler.quantize_activations import calibrated, see, with_outliers
    from winnow.compiler.quantize_forms import Nibbles
    from winnow.compiler.quantize_sites import PRODUCT, sites_of
    from winnow.compiler.quantize_weights import fitted_blocks
    from winnow.compiler.quantize_write import write_forms
    from winnow.recipe_compile import run_graph

    base = folded(floats.clone(), run_graph).model
    sites, _ = sites_of(base)
    seen = see(base, sites, run_graph, looked)
    plain = plain_forms(sites, 8)

    def written(forms: Forms, change: Callable[[ir.Model], ir.Model] = lambda graph: graph) -> Any:
        copy = base.clone()
        write_forms(copy, sites_of(copy)[0], forms)
        return change(copy)

    def joined(graph: ir.Model) -> ir.Model:
        return fused(graph, launches=False).model

    def fit(site: Site, size: int) -> Form:
        if site.kind != PRODUCT:
            return plain_forms([site], 4, size)[site.name]
        return Nibbles(fitted_blocks(site.weights.T, size, seen[site.x.name or ""].rows))

    found = {
        "fused": joined(base.clone()),
        "8 bits unsigned": written(plain, _unsigned),
        "8 bits": written(plain),
        "8 bits, fused": written(plain, joined),
        "8 bits, calibrated, fused": written(calibrated(sites, plain, seen), joined),
        "8 bits, all with inputs in floats": written(plain | with_outliers(sites, seen), joined),
    }
    for size in BLOCKS:
        found[f"4 bits, blocks of {size}"] = written(plain_forms(sites, 4, size))
        fitted = {site.name: fit(site, size) for site in sites}
        found[f"4 bits, blocks of {size}, fitted"] = written(fitted)
    return found


def _unsigned(graph: ir.Model) -> ir.Model:
    """The same products with bytes around 128, as they were written before."""
    from winnow.compiler.graph import array_of, drop_unused
    from winnow.compiler.quantize_build import Builder

    build = Builder(graph)
    for node in list(graph.graph):
        steps = array_of(node.inputs[1]) if node.op_type == "MatMulInteger" else None
        if steps is not None:
            raised = (steps.astype(np.int16) + 128).astype(np.uint8)
            zero = np.full(steps.shape[1], 128, dtype=np.uint8)
            weights = build.constant(f"{node.name}.raised", raised)
            inputs = [node.inputs[0], weights, node.inputs[2], build.constant("zero", zero)]
            build.replace(node, build.add(node, "MatMulInteger", inputs, f"{node.name}.raised"))
    drop_unused(graph)
    return graph


def _times(calls: Mapping[str, Any], feeds: Feeds, rounds: int) -> dict[str, float]:
    """Median CPU seconds of each, taken in turns of a random order."""
    chance = np.random.default_rng(0)
    names = list(calls)
    found: dict[str, list[float]] = {name: [] for name in names}
    for name in names:
        calls[name](feeds)
    for _ in range(rounds):
        for place in chance.permutation(len(names)).tolist():
            start = time.thread_time()
            calls[names[place]](feeds)
            found[names[place]].append(time.thread_time() - start)
    return {name: statistics.median(some) for name, some in found.items()}
