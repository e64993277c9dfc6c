"""The offline sentence for both stages of a model as they are: no training, and so no JAX.

calibrate   model and labelled mail -> when the reflex hands over, for a budget
apply       model and labelled mail -> figures of the whole cascade
evasions    model and spam -> how much is still caught when it is written around a filter
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from winnow import recipe
from winnow.accounting import Budget, CpuSeconds, this_processor
from winnow.answering import Answer, Model
from winnow.artifact import Artifact, read_artifact
from winnow.corpus import Corpus, Example, deduplicate
from winnow.corpus.evasion import EVASIONS, evade
from winnow.errors import ArtifactError, InputError
from winnow.features import AnyTokenizer
from winnow.mail import parse
from winnow.reading import read_evidence
from winnow.runtime import Cascade, Reader, sigmoid
from winnow.training.cascade import (
    HeldOut,
    Point,
    combine_stages,
    fit_opening,
    frontier,
    with_band,
    within,
)
from winnow.training.metrics import Scored, summarize
from winnow.training.pictures import frontier_picture
from winnow.training.train import check_enough
from winnow.verdict import Label

DEFAULT_BUDGET = "1ms"


@dataclass(frozen=True, slots=True)
class Handover:
    """When the reflex hands over, as fitted on held-out mail.

    Attributes:
        cascade: gains and the band for the budget.
        points: the frontier.
        chosen: the point of the budget.
        budget: as it was written.
    """

    cascade: Cascade
    points: list[Point]
    chosen: Point
    budget: Budget


def hand_over(
    held: HeldOut,
    budget: Budget,
    *,
    before: Cascade | None = None,
    shrink: Callable[[Cascade], Cascade] = lambda cascade: cascade,
) -> Handover:
    """Fit when the reflex hands over, so that the mean cost is within a budget.

    Args:
        held: both stages' answers for mail that they have not seen.
        budget: mean cost of an answer.
        before: gains to stay close to.
        shrink: what to do with the gains before the band is chosen.
    """
    combined = shrink(combine_stages(held, before=before))
    opening = fit_opening(held) or (None if before is None else before.opening)
    combined = replace(combined, opening=opening)
    points = frontier(held, combined)
    chosen = within(points, budget.as_cpu_seconds(this_processor()).value)
    return Handover(with_band(combined, chosen), points, chosen, budget)


def shown_points(handover: Handover, most: int = 16) -> list[Point]:
    """Points of the frontier for a table: evenly picked, the chosen one among them."""
    points = handover.points
    picked = set(np.linspace(0, len(points) - 1, min(most, len(points))).astype(int).tolist())
    picked.add(points.index(handover.chosen))
    return [points[index] for index in sorted(picked)]


def frontier_files(handover: Handover) -> dict[str, bytes]:
    """The frontier as a picture and as a table."""
    power = this_processor()
    rows = [
        asdict(point)
        | {"joules": power.energy(CpuSeconds(point.seconds)).value, "joules_quality": power.quality}
        for point in shown_points(handover)
    ]
    table = {"budget": handover.budget.text, "chosen": asdict(handover.chosen), "points": rows}
    return {
        "frontier.svg": frontier_picture(handover.points, handover.chosen).encode(),
        "frontier.json": (json.dumps(table, indent=1) + "\n").encode(),
    }


def calibrate(
    path: Path,
    corpora: Sequence[Corpus],
    budget: Budget,
    *,
    out: Path | None = None,
    progress: recipe.Progress = lambda stage, done, total: None,
) -> tuple[Artifact, Handover]:
    """Fit anew when a model's reflex hands over, on mail that the model has not seen.

    Args:
        path: a model with a reader.
        corpora: labelled mail.
        budget: mean cost of an answer on this machine.
        out: where to put the model; None is in place.
        progress: told "answering".

    Raises:
        InputError: too little mail, or unlabelled.
        ArtifactError: the model has no reader that works, or cannot be written.
    """
    artifact = read_artifact(path)
    model = Model.of(artifact)
    if model.reader is None or model.tokenizer is None or model.cascade is None:
        raise ArtifactError(
            f"{path} has no reader to hand over to; `winnow train --stage reader …` makes one."
            if not model.broken
            else f"{path}: {model.broken}"
        )
    held = _measured(model, model.reader, model.tokenizer, corpora, progress)
    # An imported reader has been weighed by nobody: without much mail, the reflex is believed.
    before = model.cascade if model.cascade.is_calibrated else None
    handover = hand_over(held, budget, before=before)
    calibration = artifact.calibration | {"cascade": handover.cascade.to_json()}
    step = {"step": "calibrate", "budget": budget.text, "messages": len(held.spam)}
    written = recipe.rewrite(
        artifact, out or path, calibration, artifact.files | frontier_files(handover), step
    )
    return written, handover


def _measured(
    model: Model,
    reader: Reader,
    tokenizer: AnyTokenizer,
    corpora: Sequence[Corpus],
    progress: recipe.Progress,
) -> HeldOut:
    """Answers of both stages for each message, and the CPU time of each stage."""
    reflex = model.reflex
    rows: list[tuple[float, float, bool, float, float, float]] = []
    for example in _labelled(corpora):
        start = time.process_time()
        message, reading, evidence = read_evidence(
            example.raw, size_bytes=example.size_bytes, stream=reflex.hears_stream
        )
        scores = reflex.scores(evidence)
        first = reflex.combiner.log_odds(scores)
        opening = model.opening(reading, evidence, scores)
        between = time.process_time()
        second, _ = reader.read(tokenizer.read(message, reading))
        end = time.process_time()
        spam = example.label == Label.SPAM
        begins = first if opening is None else opening[1]
        rows.append((first, second, spam, between - start, end - between, begins))
        progress("answering", len(rows), None)
    table = np.array(rows, dtype=np.float64).reshape(-1, 6)
    labels = table[:, 2] > 0.5
    check_enough(labels)
    return HeldOut(
        reflex=table[:, 0],
        reader=table[:, 1],
        spam=labels,
        weights=np.ones(len(table)),
        reflex_seconds=float(np.mean(table[:, 3])),
        reader_seconds=table[:, 4],
        opening=table[:, 5],
    )


@dataclass(frozen=True, slots=True)
class Applied:
    """What a whole model said of one corpus.

    Attributes:
        figures: the documented figures (docs/reference/metrics.md).
        scored: answers, labels and ids.
        read_percent: of the messages, answered by the reader.
        milliseconds: mean time of an answer, without reading the file.
    """

    figures: dict[str, Any]
    scored: Scored
    read_percent: float
    milliseconds: float


def apply(
    model: Model,
    corpora: Sequence[Corpus],
    *,
    corpus: str,
    view: str,
    progress: recipe.Progress = lambda stage, done, total: None,
) -> Applied:
    """Answer every message with all stages of a model.

    Raises:
        InputError: unreadable or unlabelled mail.
    """
    answers, labels, ids, read = [], [], [], 0
    seconds = 0.0
    for example in _labelled(corpora):
        start = time.perf_counter()
        answer = _answer(model, example.raw, example.size_bytes)
        seconds += time.perf_counter() - start
        answers.append(sigmoid(answer.log_odds))
        labels.append(example.label == Label.SPAM)
        ids.append(example.id)
        read += answer.stage == "reader"
        progress("answering", len(ids), None)
    scored = Scored(np.array(answers), np.array(labels, dtype=bool), tuple(ids))
    figures = summarize(scored, corpus=corpus, protocol="apply", view=view, seed=0)
    count = max(1, len(ids))
    return Applied(figures, scored, 100 * read / count, 1e3 * seconds / count)


@dataclass(frozen=True, slots=True)
class Evaded:
    """How much spam is still caught when it is written in one way.

    Attributes:
        evasion: its name; "clean" is the mail as it came.
        spam: messages.
        caught_at_half: of these, given 0.50 or more.
        caught_at_junk: of these, given 0.90 or more.
        kept_percent: caught_at_half in percent of that of the clean mail.
    """

    evasion: str
    spam: int
    caught_at_half: int
    caught_at_junk: int
    kept_percent: float


def evasions(
    model: Model,
    corpora: Sequence[Corpus],
    *,
    seed: int = 0,
    most: int = 1_000,
    progress: recipe.Progress = lambda stage, done, total: None,
) -> list[Evaded]:
    """Write spam anew as evaders do and count what is caught.

    Args:
        model: all its stages.
        corpora: labelled mail; innocent words for padding come from its ham.
        seed: of every random choice.
        most: spam messages to try, chosen by the seed.
        progress: told "evading".

    Raises:
        InputError: there is no spam.
    """
    spam: list[bytes] = []
    good: list[str] = []
    for example in _labelled(corpora):
        if example.label == Label.SPAM:
            spam.append(example.raw)
        elif len(good) < most:
            good.append(parse(example.raw).text)
    if not spam:
        raise InputError("there is no spam in this mail; evasions are tried on spam.")
    random = np.random.default_rng(seed)
    chosen = [spam[index] for index in random.permutation(len(spam))[:most].tolist()]
    found: list[Evaded] = []
    total = len(chosen) * (len(EVASIONS) + 1)
    for name in ("clean", *EVASIONS):
        half = junk = 0
        for done, raw in enumerate(chosen, start=len(found) * len(chosen) + 1):
            written = raw if name == "clean" else evade(raw, name, random, good)
            probability = sigmoid(_answer(model, written, None).log_odds)
            half += probability >= 0.5
            junk += probability >= 0.9
            progress("evading", done, total)
        clean = found[0].caught_at_half if found else half
        kept = 100 * half / clean if clean else 100.0
        found.append(Evaded(name, len(chosen), half, junk, kept))
    return found


def _answer(model: Model, raw: bytes, size_bytes: int | None) -> Answer:
    message, reading, evidence = read_evidence(
        raw, size_bytes=size_bytes, stream=model.reflex.hears_stream
    )
    return model.answer(message, reading, evidence)


def _labelled(corpora: Sequence[Corpus]) -> Iterator[Example]:
    """Messages of several corpora, without repeated bodies.

    Raises:
        InputError: one has no label.
    """
    for example in deduplicate(itertools.chain.from_iterable(corpora)):
        recipe.check_label(example)
        yield example
