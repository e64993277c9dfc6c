"""A model -> the same in integers: as far as its answers stay what they are on messages.

Messages are mail, cut into tokens by the model's own tokenizer, or random inputs where there is
none. A model that ships in integers is brought back into floats first; one that is written as asked
for already stays as it is.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import onnx_ir as ir

from winnow import recipe
from winnow.answering import Model
from winnow.compiler.graph import serialised
from winnow.compiler.inputs import Feeds, as_feeds, feeds_of, positions_of
from winnow.compiler.passes import Fired, Outcome, Pass, Refused, Report, apply_passes
from winnow.compiler.quantize import restored, state_of
from winnow.compiler.quantize_search import Found, Options, Probes, Row, search
from winnow.compiler.quantize_sites import RULE, sites_of
from winnow.corpus import Corpus, deduplicate
from winnow.errors import ArtifactError, InputError, ReaderError
from winnow.features import AnyTokenizer
from winnow.reading import read_evidence
from winnow.recipe_compile import (
    Subject,
    history_of,
    proof_of,
    run_graph,
    subject_of,
    write_subject,
)

__all__ = ["Quantization", "Wish", "quantize_subject", "subject_of", "write_subject"]

# Messages whose activations are looked at, and others on which the result is judged.
LOOKED_AT, JUDGED = 48, 200
# Mean change of the answers that is let stand, in log-odds, by bits of a weight: a probability of
# 0.50 moves by 0.012 and 0.025.
TOLERANCES = {8: 0.05, 4: 0.1}
# Where an output for one of the inputs of the proof moves farther, something is broken.
_BROKEN = 10.0
_SEED = 20_261_125


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for.

    Attributes:
        bits: of a weight, 8 or 4.
        calibrated: one range of activations for all messages; else each message's own.
        tolerance: largest mean change of the answers in log-odds; None is TOLERANCES.
        keep: patterns of names of nodes that stay in floats, as of files in a shell.
    """

    bits: int = 8
    calibrated: bool = False
    tolerance: float | None = None
    keep: tuple[str, ...] = ()

    @property
    def allowed(self) -> float:
        """The tolerance."""
        return TOLERANCES[self.bits] if self.tolerance is None else self.tolerance

    @property
    def state(self) -> str:
        """How a graph is written that needs nothing more."""
        calibrated = ", calibrated" if self.calibrated and self.bits == 8 else ""
        return f"{self.bits} bits{calibrated}"


@dataclass(frozen=True, slots=True)
class Quantization:
    """What became of a model.

    Attributes:
        graph: the new one.
        about: the messages that were looked at, in words.
        rows: of all nodes that could be rounded.
        refused: what could not, and why.
        report: of the pass.
        mean_change: of the answers on the messages, in log-odds.
        max_change: the largest.
        bytes_before: of the graph as it was.
        bytes_floats: of the graph in floats.
        bytes_after: of the new graph.
        unchanged: why nothing was changed, "" where something was.
        history: as the artifact keeps it.
    """

    graph: ir.Model
    about: str
    rows: tuple[Row, ...]
    refused: tuple[Refused, ...]
    report: Report | None
    mean_change: float
    max_change: float
    bytes_before: int
    bytes_floats: int
    bytes_after: int
    unchanged: str
    history: tuple[dict[str, Any], ...]


def quantize_subject(
    subject: Subject,
    wish: Wish,
    corpora: Sequence[Corpus] = (),
    progress: recipe.Progress = lambda stage, done, total: None,
) -> Quantization:
    """Write a model's weights as integers.

    Args:
        subject: as opened.
        wish: what is asked for.
        corpora: mail, labelled or not; none is random inputs.
        progress: told "reading", "looking" and "rounding".

    Raises:
        ArtifactError: the model's tokenizer does not work.
        InputError: there is nothing to round, no node has a name that is to be kept, mail is
            unusable, or was given for a bare graph, which nobody can cut into tokens.
    """
    size = len(serialised(subject.graph))
    if state_of(subject.graph) == wish.state and not wish.keep:
        told = f"its products are in integers already ({wish.state})"
        return _unchanged(subject.graph, told, size, size)
    graph = restored(subject.graph)
    _check(graph, subject, wish)
    probes, about = _probes(subject, graph, corpora, progress)
    options = Options(
        bits=wish.bits,
        tolerance=wish.allowed,
        calibrated=wish.calibrated,
        fitted=bool(corpora),
        keep=lambda name: any(fnmatchcase(name, pattern) for pattern in wish.keep),
    )
    found, report, after = _applied(graph, probes, options, progress)
    floats = len(serialised(graph))
    if found is None or report.undone or all(row.kept for row in found.rows):
        told = report.undone or f"no node can be rounded within {wish.allowed:g}"
        return _unchanged(subject.graph, told, size, floats, about, found, report)
    record = history_of(report, graph, after) | _record(wish, about, found)
    return Quantization(
        after, about, found.rows, found.refused, report, found.mean_change, found.max_change,
        size, floats, record["bytes"], "", (record,),
    )  # fmt: skip


def _check(graph: ir.Model, subject: Subject, wish: Wish) -> None:
    names = [site.name for site in sites_of(graph)[0]]
    if not names:
        raise InputError(
            f"{subject.path} has no product or table with constant weights that are worth "
            "rounding; quantize a model before it is fused."
        )
    for pattern in wish.keep:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise InputError(
                f"no node that could be rounded is called {pattern!r}; there are {names[0]!r}, "
                f"{names[-1]!r} and others (`winnow quantize M` lists them)."
            )


def _applied(
    graph: ir.Model, probes: Probes, options: Options, progress: recipe.Progress
) -> tuple[Found | None, Report, ir.Model]:
    kept: list[Found] = []

    def apply(model: ir.Model) -> Outcome:
        found = search(model, probes, options, progress)
        kept.append(found)
        fired = tuple(Fired(row.form, row.node) for row in found.rows if not row.kept)
        return Outcome(found.model, fired, found.refused)

    after, [report] = apply_passes(graph, [Pass(RULE, apply, _BROKEN)], proof_of(graph))
    return (kept[-1] if kept else None), report, after


def _record(wish: Wish, about: str, found: Found) -> dict[str, Any]:
    """What the history keeps besides what every step keeps."""
    return {
        "bits": wish.bits,
        "activations": "calibrated" if wish.calibrated else "dynamic",
        "tolerance": wish.allowed,
        "messages": about,
        "mean_change": found.mean_change,
        "max_change": found.max_change,
        "quantized": [asdict(row) for row in found.rows],
        "left": [{"node": one.node, "reason": one.reason} for one in found.refused],
    }


def _unchanged(
    graph: ir.Model,
    told: str,
    size: int,
    floats: int,
    about: str = "",
    found: Found | None = None,
    report: Report | None = None,
) -> Quantization:
    rows, refused = (found.rows, found.refused) if found is not None else ((), ())
    return Quantization(graph, about, rows, refused, report, 0.0, 0.0, size, floats, size, told, ())


def _probes(
    subject: Subject, graph: ir.Model, corpora: Sequence[Corpus], progress: recipe.Progress
) -> tuple[Probes, str]:
    """Messages as inputs: mail where there is some, else random ones of all lengths."""
    if not corpora:
        lengths = np.linspace(1, positions_of(graph), LOOKED_AT + JUDGED).round().astype(int)
        feeds = [feeds_of(graph, 1, int(n), _SEED + place) for place, n in enumerate(lengths)]
        about = f"{len(feeds)} random inputs"
    else:
        feeds = _read(subject, graph, corpora, progress)
        names = list(dict.fromkeys(corpus.name for corpus in corpora))
        about = f"{len(feeds)} messages of {', '.join(names[:3])}{' …' if names[3:] else ''}"
    order = np.random.default_rng(_SEED).permutation(len(feeds)).tolist()
    # A fifth is looked at; of few messages the rest may be few, too, but never none.
    aside = max(1, len(feeds) * LOOKED_AT // (LOOKED_AT + JUDGED))
    looked, judged = (
        tuple(feeds[place] for place in some) for some in (order[:aside], order[aside:] or order)
    )
    return Probes(run_graph, looked, judged), about


def _read(
    subject: Subject, graph: ir.Model, corpora: Sequence[Corpus], progress: recipe.Progress
) -> list[Feeds]:
    """Some messages, each with the same chance (Vitter 1985, algorithm R), as inputs."""
    tokenizer = _tokenizer(subject)
    chance = np.random.default_rng(_SEED)
    most = LOOKED_AT + JUDGED
    kept: list[tuple[bytes, int | None]] = []
    for number, example in enumerate(deduplicate(itertools.chain.from_iterable(corpora))):
        place = number if number < most else int(chance.integers(0, number + 1))
        progress("reading", number + 1, None)
        if place < most:
            kept[place : place + 1] = [(example.raw, example.size_bytes)]
    found = []
    for raw, size in kept:
        message, reading, _ = read_evidence(raw, size_bytes=size, stream=False)
        try:
            tokens = tokenizer.read(message, reading)
        except ReaderError:
            continue
        found.append(as_feeds(graph, tokens.ids, tokens.fields))
    if not found:
        raise InputError("this mail holds no message that the reader could be given.")
    return found


def _tokenizer(subject: Subject) -> AnyTokenizer:
    if subject.artifact is None:
        raise InputError(
            f"{subject.path} is a bare graph, and nothing says how mail becomes its tokens; leave "
            "out --mail, or make it a model with `winnow import`."
        )
    model = Model.of(subject.artifact)
    if model.tokenizer is None:
        why = model.broken or "the model has no tokenizer"
        raise ArtifactError(f"{subject.path}: {why}")
    return model.tokenizer
