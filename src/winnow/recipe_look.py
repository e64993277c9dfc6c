"""A model and mail -> what its reader is made of, and what each part of it is worth.

Everything that pruning decides by, before anything is cut.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from winnow import recipe
from winnow.answering import READER_FILE, Model
from winnow.artifact import Artifact
from winnow.compiler.anatomy import Anatomy, anatomy_of
from winnow.compiler.answer import without_answer
from winnow.compiler.fold import fold_pass
from winnow.compiler.inputs import Feeds, as_feeds, feeds_of, positions_of
from winnow.compiler.passes import apply_passes
from winnow.compiler.prune_scores import (
    LayerMoments,
    Ranking,
    by_activation,
    by_moments,
    by_weights,
    moments_of,
)
from winnow.compiler.prune_search import widths_of
from winnow.compiler.prune_sensitivity import Effect, sensitivity
from winnow.compiler.quantize import restored, state_of
from winnow.corpus import Corpus, Example, deduplicate
from winnow.errors import InputError, ReaderError
from winnow.features import AnyTokenizer, Reading, read_content
from winnow.mail import parse
from winnow.message import Message
from winnow.recipe_compile import Subject, history_of, proof_of, run_graph, subject_of
from winnow.verdict import Label

Flags = NDArray[np.bool_]
Rank = Callable[[ir.Model, AnyTokenizer], Ranking]

RECONSTRUCTION, ACTIVATION, WEIGHTS = "reconstruction", "activation", "weights"
FIRST_ORDER = "first-order"
MESSAGES = 1_000
FEWEST, MOST_MEASURED = 20, 200  # messages
_RANDOM = 64  # inputs that stand for mail where there is none


@dataclass(frozen=True, slots=True)
class Sampled:
    """Messages of some mail.

    Attributes:
        about: in words.
        messages: parsed; first those that are fitted on.
        spam: (n,) labels; None where one of them has none.
        fitted: how many are fitted on; the others are measured on.
    """

    about: str
    messages: tuple[tuple[Message, Reading], ...]
    spam: Flags | None
    fitted: int

    @property
    def labels(self) -> Flags | None:
        """Labels of those that are measured on; None where they are not known or of one class."""
        labels = None if self.spam is None else self.spam[self.fitted :]
        return None if labels is None or labels.all() or not labels.any() else labels


@dataclass(frozen=True, slots=True)
class Look:
    """A model looked into, before anything is cut.

    Attributes:
        subject: as it was opened.
        graph: in 32-bit floats and one spelling.
        history: of how it became that.
        anatomy: what it is made of.
        tokenizer: of its messages, None of a bare graph.
        mail: messages; None where there are none.
        fitted: inputs to rank and fit by, none without mail.
        measured: inputs to measure on, random ones without mail.
        labels: (n,) of these, None where they are not known or of one class.
        importance: how parts were ranked.
        ranking: of heads and neurons.
        effects: what each layer can do without.
    """

    subject: Subject
    graph: ir.Model
    history: tuple[dict[str, Any], ...]
    anatomy: Anatomy
    tokenizer: AnyTokenizer | None
    mail: Sampled | None
    fitted: tuple[Feeds, ...]
    measured: tuple[Feeds, ...]
    labels: Flags | None
    importance: str
    ranking: Ranking
    effects: tuple[Effect, ...]

    @property
    def tokens(self) -> int:
        """Of the message in the middle, by length."""
        return int(np.median([next(iter(feeds.values())).shape[-1] for feeds in self.measured]))

    @property
    def about(self) -> str:
        """What was measured on, in words."""
        if self.mail is None:
            return f"{len(self.measured)} random inputs"
        return f"{len(self.measured):,} messages of {self.mail.about}"


def look_json(look: Look) -> dict[str, Any]:
    """What was found before anything was cut, JSON values only."""
    return {
        "model": look.subject.name,
        "importance": look.importance,
        "measured_on": look.about,
        "labelled": look.labels is not None,
        "widths": [asdict(one) for one in widths_of(look.anatomy)],
        "sensitivity": [asdict(effect) for effect in look.effects],
        "not_looked_at": [{"node": one.node, "reason": one.reason} for one in look.anatomy.missed],
    }


def look(
    path: Path,
    corpora: Sequence[Corpus],
    *,
    importance: str = "",
    first_order: Rank | None = None,
    messages: int = MESSAGES,
    seed: int = 0,
    progress: recipe.Progress = lambda stage, done, total: None,
) -> Look:
    """Look into a model.

    Args:
        path: an artifact with a reader, or a bare ONNX file.
        corpora: mail; none is none.
        importance: RECONSTRUCTION, ACTIVATION, FIRST_ORDER or WEIGHTS; "" is the first with mail,
            else the last.
        first_order: ranks by gradients.
        messages: most messages, a random part of the mail.
        seed: of that choice.
        progress: told "reading" and "measuring".

    Raises:
        ArtifactError: no whole model, or one without a reader.
        InputError: no graph that can be cut, or too little mail, or mail for a bare graph.
    """
    importance = importance or (RECONSTRUCTION if corpora else WEIGHTS)
    if not corpora and importance != WEIGHTS:
        raise InputError(f"--importance {importance} is measured on mail; name some with --mail.")
    subject = subject_of(path)
    graph, history = prepared(subject)
    anatomy = anatomy_of(graph)
    tokenizer = None if subject.artifact is None else _tokenizer(subject.artifact)
    mail = None
    if corpora:
        if tokenizer is None:
            raise InputError(
                f"{path} is a bare graph, and nothing says how mail becomes its tokens; leave out "
                "--mail, or make it a model with `winnow import`."
            )
        mail = sampled(corpora, messages, seed, progress)
    inputs = _random(graph, seed) if mail is None else feeds_by(graph, mail, tokenizer)
    aside = 0 if mail is None else mail.fitted
    moments = None
    if mail is not None:
        moments = moments_of(graph, anatomy, run_graph, inputs[:aside])
    if importance == FIRST_ORDER:
        assert first_order is not None
        assert tokenizer is not None
        ranking = first_order(graph, tokenizer)
    else:
        ranking = _ranking(graph, anatomy, importance, moments)
    measured, labels = tuple(inputs[aside:]), None if mail is None else mail.labels
    effects = sensitivity(
        graph, anatomy, ranking, moments, run_graph, measured, labels,
        lambda done, total: progress("measuring", done, total),
    )  # fmt: skip
    return Look(
        subject, graph, tuple(history), anatomy, tokenizer, mail, tuple(inputs[:aside]), measured,
        labels, importance, ranking, tuple(effects),
    )  # fmt: skip


def _ranking(
    graph: ir.Model, anatomy: Anatomy, importance: str, moments: Sequence[LayerMoments] | None
) -> Ranking:
    if moments is None or importance == WEIGHTS:
        return by_weights(graph, anatomy)
    if importance == ACTIVATION:
        return by_activation(graph, anatomy, moments)
    return by_moments(graph, anatomy, moments)


def prepared(subject: Subject) -> tuple[ir.Model, list[dict[str, Any]]]:
    """The reader's graph in floats and one spelling, without the whole model's answer.

    Raises:
        InputError: it cannot be brought into that form.
    """
    graph = without_answer(subject.graph)
    if state_of(graph):
        graph = restored(graph)
    after, [report] = apply_passes(graph, [fold_pass(run_graph)], proof_of(graph))
    if report.undone:
        raise InputError(f"{subject.path} cannot be brought into one form: {report.undone}.")
    return after, [history_of(report, graph, after)]


def sampled(
    corpora: Sequence[Corpus],
    most: int,
    seed: int,
    progress: recipe.Progress = lambda stage, done, total: None,
) -> Sampled:
    """A random part of some mail, parsed.

    Raises:
        InputError: there is too little of it.
    """
    chance = np.random.default_rng(seed)
    chosen: list[Example] = []
    for number, example in enumerate(deduplicate(one for corpus in corpora for one in corpus)):
        place = number if number < most else int(chance.integers(0, number + 1))
        progress("reading", number + 1, None)
        if number < most:
            chosen.append(example)
        elif place < most:
            chosen[place] = example
    if len(chosen) < FEWEST:
        raise InputError(f"this mail has {len(chosen)} messages; {FEWEST} or more are needed.")
    chosen = [chosen[place] for place in chance.permutation(len(chosen)).tolist()]
    messages = []
    for example in chosen:
        message = parse(example.raw, size_bytes=example.size_bytes)
        messages.append((message, read_content(message)))
    labels = [example.label for example in chosen]
    spam = None if None in labels else np.array([one == Label.SPAM for one in labels])
    names = list(dict.fromkeys(corpus.name for corpus in corpora))
    about = ", ".join(names[:3]) + (" …" if names[3:] else "")
    return Sampled(about, tuple(messages), spam, len(chosen) - min(MOST_MEASURED, len(chosen) // 3))


def feeds_by(graph: ir.Model, mail: Sampled, tokenizer: AnyTokenizer | None) -> list[Feeds]:
    """Inputs of a graph for messages, one each, at their exact length."""
    assert tokenizer is not None
    try:
        tokens = [tokenizer.read(message, reading) for message, reading in mail.messages]
    except ReaderError as error:
        raise InputError(f"the tokenizer fails on this mail: {error}.") from error
    return [as_feeds(graph, one.ids, one.fields) for one in tokens]


def _tokenizer(artifact: Artifact) -> AnyTokenizer:
    model = Model.of(artifact)
    if model.tokenizer is None:
        raise InputError(f"{artifact.path}: {model.broken or f'there is no {READER_FILE}'}")
    return model.tokenizer


def _random(graph: ir.Model, seed: int) -> list[Feeds]:
    chance = np.random.default_rng(seed)
    lengths = chance.integers(1, positions_of(graph) + 1, _RANDOM).tolist()
    return [feeds_of(graph, 1, one, seed + n, full=True) for n, one in enumerate(lengths)]
