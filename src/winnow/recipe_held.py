"""Labelled mail and a model -> held-out messages as its reader gets them, to compare graphs on.

The first stage answers once; what a cheaper reader makes of a message is then known without reading
it again. How many messages there are is bounded, whatever the mail's size: a random part of it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from winnow import recipe
from winnow.answering import Model
from winnow.artifact import Artifact
from winnow.compiler.inputs import Feeds, as_feeds, feeds_of, positions_of
from winnow.corpus import Corpus, Example, deduplicate
from winnow.errors import ArtifactError, InputError, ReaderError
from winnow.ladder.quality import Held
from winnow.reading import read_evidence
from winnow.runtime import Cascade
from winnow.tokens import Tokens
from winnow.verdict import Label

F64 = NDArray[np.float64]

SEEDED = 64  # inputs that stand for mail where there is none


@dataclass(frozen=True, slots=True)
class _Row:
    """One message after the first stage.

    Attributes:
        tokens: what the reader is given.
        spam: its label.
        first: the reflex's log-odds.
        opening: those of how it begins; the same where it is no longer than that.
        sure: whether they stand without the reader.
    """

    tokens: Tokens
    spam: bool
    first: float
    opening: float
    sure: bool


def held_out(
    artifact: Artifact,
    graph: ir.Model,
    corpora: Sequence[Corpus],
    *,
    most: int,
    fitting: int,
    seed: int,
    progress: recipe.Progress = lambda stage, done, total: None,
) -> tuple[Held, tuple[Feeds, ...]]:
    """Read labelled mail with a model's first stage.

    Args:
        artifact: with a reader that works.
        graph: of the reader.
        corpora: labelled mail that the model has not seen.
        most: messages; of more a random part is taken.
        fitting: most messages that are put aside, for steps that look at mail; never more than a
            quarter, and none of those that answers are compared on.
        seed: of that choice and of the order.
        progress: told "reading".

    Returns:
        What answers are compared on, and the inputs that were put aside.

    Raises:
        ArtifactError: the reader does not work.
        InputError: unreadable or unlabelled mail, or none that the reader can be given.
    """
    model = Model.of(artifact)
    if model.reader is None or model.tokenizer is None or model.cascade is None:
        raise ArtifactError(f"{artifact.path}: {model.broken or 'the model has no reader'}")
    chosen = _chosen(model, corpora, most + fitting, seed, progress)
    if not chosen:
        raise InputError("this mail holds no message that the reader could be given.")
    aside = min(fitting, len(chosen) // 4)
    inputs = [as_feeds(graph, row.tokens.ids, row.tokens.fields) for row in chosen]
    rows = chosen[aside:][:most]
    held = Held(
        feeds=tuple(inputs[aside : aside + len(rows)]),
        about=f"{len(rows):,} messages of {_named(corpora)}",
        labels=np.array([row.spam for row in rows], dtype=np.bool_),
        served=_Served.of(model.cascade, rows),
        handed_over_percent=100 * float(np.mean([not row.sure for row in rows])),
    )
    return held, tuple(inputs[:aside])


def seeded(graph: ir.Model, seed: int, count: int = SEEDED) -> Held:
    """Random inputs of random lengths, where there is no mail.

    Raises:
        InputError: the graph reads no text.
    """
    chance = np.random.default_rng(seed)
    lengths = chance.integers(1, positions_of(graph) + 1, count).tolist()
    feeds = tuple(feeds_of(graph, 1, n, seed + place) for place, n in enumerate(lengths))
    return Held(feeds=feeds, about=f"{count} random inputs")


@dataclass(frozen=True, slots=True)
class _Served:
    """The whole model's log-odds, given the reader's: `answering.Model.answer` for many messages.

    Attributes:
        cascade: of the model.
        first, opening: (n,) the reflex's log-odds.
        sure: (n,) where they stand.
    """

    cascade: Cascade
    first: F64
    opening: F64
    sure: NDArray[np.bool_]

    @classmethod
    def of(cls, cascade: Cascade, rows: Sequence[_Row]) -> _Served:
        first, opening = (np.array([getattr(r, name) for r in rows]) for name in cls.__slots__[1:3])
        return cls(cascade, first, opening, np.array([row.sure for row in rows], dtype=np.bool_))

    def __call__(self, reader: F64) -> F64:
        return np.where(
            self.sure, self.first, self.cascade.log_odds(self.first, reader, self.opening)
        )


def _named(corpora: Sequence[Corpus]) -> str:
    names = list(dict.fromkeys(corpus.name for corpus in corpora))
    return ", ".join(names[:3]) + (" …" if names[3:] else "")


def _chosen(
    model: Model, corpora: Sequence[Corpus], most: int, seed: int, progress: recipe.Progress
) -> list[_Row]:
    """At most so many messages of all, each with the same chance (Vitter 1985, algorithm R)."""
    chance = np.random.default_rng(seed)
    kept: list[_Row] = []
    for number, example in enumerate(_labelled(corpora)):
        place = number if number < most else int(chance.integers(0, number + 1))
        progress("reading", number + 1, None)
        if place >= most:
            continue
        row = _row(model, example)
        if row is None:
            continue
        if len(kept) < most:
            kept.append(row)
        else:
            kept[place] = row
    return [kept[place] for place in chance.permutation(len(kept)).tolist()]


def _row(model: Model, example: Example) -> _Row | None:
    """What is known of a message; None where the reader cannot be given it."""
    assert model.cascade is not None
    assert model.tokenizer is not None
    reflex = model.reflex
    message, reading, evidence = read_evidence(
        example.raw, size_bytes=example.size_bytes, stream=reflex.hears_stream
    )
    try:
        tokens = model.tokenizer.read(message, reading)
    except ReaderError:
        return None
    scores = reflex.scores(evidence)
    first = reflex.combiner.log_odds(scores)
    begins = model.opening(reading, evidence, scores) if first < model.cascade.high else None
    opening = None if begins is None else begins[1]
    return _Row(
        tokens,
        example.label == Label.SPAM,
        first,
        first if opening is None else opening,
        model.cascade.is_sure(first, opening),
    )


def _labelled(corpora: Sequence[Corpus]) -> Iterator[Example]:
    for example in deduplicate(itertools.chain.from_iterable(corpora)):
        recipe.check_label(example)
        yield example
