"""The offline sentence: corpus -> evidence -> weights -> artifact; and the ways to judge them.

gather      corpora -> dataset
make        dataset -> artifact
evaluate    dataset or stream -> what a user would have seen
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from winnow import __version__
from winnow.artifact import Artifact, read_artifact, write_artifact
from winnow.corpus import Corpus, Example, deduplicate
from winnow.errors import ArtifactError, InputError
from winnow.evidence import Evidence
from winnow.features import Reading
from winnow.mail import identity
from winnow.message import Message
from winnow.pipeline import mark_of
from winnow.reading import fingerprint, read_evidence
from winnow.runtime import EXPERTS, Reflex, reflex_of, sigmoid, tensors_of
from winnow.store import CorrectionRow, Store
from winnow.training.dataset import Dataset, DatasetBuilder
from winnow.training.metrics import Scored, summarize
from winnow.training.train import (
    VIEWS,
    Options,
    Trained,
    Unseen,
    check_enough,
    combine,
    join,
    train,
    unseen_scores,
)
from winnow.verdict import Label

Progress = Callable[[str, int, int | None], None]


def _silent(stage: str, done: int, total: int | None) -> None:
    """No progress."""


@dataclass(slots=True)
class Gathered:
    """What reading labelled mail gave.

    Attributes:
        dataset: evidence of the mail that was kept.
        repeats: messages left out because their body was seen before.
        conflicts: of these, the ones whose label was not that of the first.
        seconds: CPU seconds of reading, parsing and featurising.
        corrections_through: highest row of the correction log that was taken in.
        corrections_mark: tells that row from the rows of other stores, "" when there is none.
    """

    dataset: Dataset
    repeats: int = 0
    conflicts: int = 0
    seconds: float = 0.0
    corrections_through: int = 0
    corrections_mark: str = ""


def gather(
    corpora: Sequence[Corpus],
    *,
    store: Store | None = None,
    in_order: bool = False,
    also: Callable[[Example, Message, Reading, Evidence], None] | None = None,
    progress: Progress = _silent,
) -> Gathered:
    """Read labelled mail into a dataset, leaving out repeated bodies.

    Args:
        corpora: what to read; every message needs a label.
        store: also take the corrections that it keeps, as a source named "corrections"; a message
            that was corrected counts as that, and not as part of its corpus, too.
        in_order: keep the order in which each corpus came.
        also: given each message that becomes a row, in the order of the rows.
        progress: told "reading", messages read, and how many there will be if that is known.

    Raises:
        InputError: unreadable or unlabelled mail.
    """
    start = time.process_time()
    builder = DatasetBuilder()
    hints = [corpus.len_hint for corpus in corpora]
    expected = None if None in hints else sum(hint or 0 for hint in hints)
    rows = store.corrections() if store is not None else []
    corrected = _standing(rows)
    unique = deduplicate(_examples(corpora, in_order))
    for example in unique:
        if corrected and identity(example.raw) in corrected:
            continue
        check_label(example)
        message, reading, evidence = read_evidence(example.raw, size_bytes=example.size_bytes)
        builder.add(
            evidence, spam=example.label == Label.SPAM, id=example.id, source=example.source
        )
        if also is not None:
            also(example, message, reading, evidence)
        progress("reading", unique.kept + unique.dropped, expected)
    for row, evidence in corrected.values():
        spam = row.label == Label.SPAM
        builder.add(evidence, spam=spam, id=f"correction {row.seq}", source="corrections")
    through, mark = (rows[-1].seq, mark_of(rows[-1])) if rows else (0, "")
    seconds = time.process_time() - start
    return Gathered(builder.build(), unique.dropped, unique.conflicts, seconds, through, mark)


def check_label(example: Example) -> None:
    """Raise InputError where nobody says what a message is."""
    if example.label is None:
        raise InputError(
            f"{example.source}: {example.id} has no label; a corpus needs an index.tsv, or "
            "name the mail with --spam and --ham."
        )


def as_source(corpus: Corpus, path: Path) -> Corpus:
    """Return a corpus that counts as a source; one message alone is part of its folder's.

    Sources are weighted evenly in training, so that a hundred files named one by one must not
    become a hundred sources.
    """
    if corpus.len_hint != 1 or not path.is_file():
        return corpus
    folder = path.absolute().parent
    if folder.name in ("cur", "new"):  # of a Maildir, which is what has a name
        folder = folder.parent
    return named(corpus, folder.name or corpus.name)


def named(corpus: Corpus, name: str) -> Corpus:
    """Return a corpus as part of a source of that name."""

    def read() -> Iterator[Example]:
        for example in corpus:
            yield replace(example, source=name)

    return replace(corpus, name=name, read=read)


def _examples(corpora: Iterable[Corpus], in_order: bool) -> Iterator[Example]:
    for corpus in corpora:
        yield from corpus.in_order() if in_order else corpus


def _standing(rows: Sequence[CorrectionRow]) -> dict[str, tuple[CorrectionRow, Evidence]]:
    """What readers taught and did not take back, by the identity of the message."""
    taken_back = {row.of_seq for row in rows if row.kind == "retract"}
    standing = {}
    for row in rows:
        usable = row.kind == "learn" and row.fingerprint == fingerprint()
        if usable and row.seq not in taken_back:
            # A damaged row counts for nothing; the filter passes it over, too.
            with contextlib.suppress(ValueError):
                standing[row.identity] = (row, Evidence.from_bytes(row.features))
    return standing


@dataclass(frozen=True, slots=True)
class SecondStage:
    """What a reader adds to an artifact.

    Attributes:
        files: by name.
        cascade: when it is asked, JSON values only.
        record: how it was trained, JSON values only.
        history: what was done to its weights, oldest first, JSON values only.
    """

    files: Mapping[str, bytes]
    cascade: Mapping[str, float]
    record: Mapping[str, Any]
    history: Sequence[Mapping[str, Any]] = ()


def make(
    gathered: Gathered,
    out: Path,
    options: Options,
    *,
    unseen: Unseen | None = None,
    second: SecondStage | None = None,
    progress: Progress = _silent,
) -> tuple[Artifact, Trained, dict[str, Any]]:
    """Train and write an artifact.

    Returns:
        The artifact as read back, what training gave, and the training record in its manifest.

    Raises:
        InputError: too little mail.
        ArtifactError: it cannot be written.
    """
    start = time.process_time()
    trained = train(gathered.dataset, options, progress, unseen=unseen)
    seconds = time.process_time() - start
    dataset = gathered.dataset
    held_out = figures_of(
        dataset, trained, corpus="held-out", protocol=options.calibrate, view=options.view
    )
    record = {
        "view": options.view,
        "calibrate": options.calibrate,
        "seed": options.seed,
        "messages": len(dataset),
        "spam": int(dataset.spam.sum()),
        "repeats_left_out": gathered.repeats,
        "sources": _source_counts(dataset),
        "corrections_through": gathered.corrections_through,
        "corrections_mark": gathered.corrections_mark,
        "cpu_seconds": {"reading": round(gathered.seconds, 2), "training": round(seconds, 2)},
    }
    gains = dict(zip(EXPERTS, trained.reflex.combiner.gains, strict=True))
    calibration: dict[str, Any] = {
        "combiner": {"gains": gains, "intercept": trained.reflex.combiner.intercept},
        "held_out": held_out,
    }
    if second is not None:
        record["reader"] = dict(second.record)
        calibration["cascade"] = dict(second.cascade)
    artifact = write_artifact(
        out,
        fingerprint=fingerprint(),
        tensors=tensors_of(trained.reflex),
        calibration=calibration,
        training=record,
        version=__version__,
        files=second.files if second is not None else None,
        stages=("reflex",) if second is None else ("reflex", "reader"),
        history=() if second is None else second.history,
    )
    return artifact, trained, record


def rewrite(
    artifact: Artifact,
    out: Path,
    calibration: Mapping[str, Any],
    files: Mapping[str, bytes],
    step: Mapping[str, Any],
) -> Artifact:
    """Write an artifact again with another calibration and further files.

    Args:
        artifact: as read.
        out: where to.
        calibration: the whole of it.
        files: all but weights and calibration, by name.
        step: what was done, for the history.

    Raises:
        ArtifactError: it cannot be written.
    """
    history = artifact.manifest["history"][1:]
    weights = artifact.manifest["files"]["reflex.safetensors"]["bytes"]
    return write_artifact(
        out,
        fingerprint=artifact.fingerprint,
        tensors=artifact.tensors,
        calibration=calibration,
        training=artifact.manifest["training"],
        version=__version__,
        files=files,
        stages=artifact.manifest["stages"],
        history=[*history, {**step, "version": __version__, "bytes": weights}],
    )


def _source_counts(dataset: Dataset) -> dict[str, dict[str, int]]:
    counts = {}
    for index, name in enumerate(dataset.names):
        labels = dataset.spam[dataset.sources == index]
        counts[name] = {"ham": int((~labels).sum()), "spam": int(labels.sum())}
    return counts


def figures_of(
    dataset: Dataset, trained: Trained, *, corpus: str, protocol: str, view: str
) -> dict[str, Any]:
    """Figures of the mail that calibration was measured on."""
    rows, found = trained.members.tolist(), trained.log_odds
    return evaluated(dataset, rows, found, corpus=corpus, protocol=protocol, view=view).figures


def _probabilities(log_odds: Iterable[float]) -> Any:
    return np.array([sigmoid(value) for value in log_odds], dtype=np.float64)


def load(path: Path) -> tuple[Artifact, Reflex]:
    """Read an artifact and build its reflex, without rules and corrections."""
    artifact = read_artifact(path)
    return artifact, reflex_of(artifact, fingerprint=fingerprint())


def examine(path: Path) -> tuple[Artifact, bool]:
    """Read and check an artifact, also one of other features.

    Returns:
        The artifact, and whether this Winnow can answer with it.

    Raises:
        ArtifactError: damaged, foreign or not whole.
    """
    artifact = read_artifact(path)
    if artifact.fingerprint != fingerprint():
        return artifact, False
    load(path)
    return artifact, True


def check_place(out: Path) -> None:
    """Raise ArtifactError now, not after training, when no model can be put there."""
    if out.exists() and not (out / "manifest.json").is_file():
        raise ArtifactError(f"{out} exists and is no model; name another --out.")
    parent = next(folder for folder in out.absolute().parents if folder.exists())
    if not os.access(parent, os.W_OK | os.X_OK):
        raise ArtifactError(f"cannot write the model to {out}: {parent} may not be written to.")


def blank() -> Reflex:
    """Return a reflex that has learnt nothing."""
    return Reflex.blank()


@dataclass(frozen=True, slots=True)
class Evaluated:
    """Answers for one corpus under one protocol.

    Attributes:
        figures: the documented figures (docs/reference/metrics.md).
        scored: answers, labels and ids.
        curve: (messages seen, errors so far) at 0.5, for the online protocol; else empty.
        growth: (messages learnt from, errors at 0.5 on the same rest), for a split; else empty.
    """

    figures: dict[str, Any]
    scored: Scored
    curve: list[tuple[int, int]] = field(default_factory=list)
    growth: list[tuple[int, int]] = field(default_factory=list)


def split(
    dataset: Dataset,
    options: Options,
    *,
    corpus: str,
    part: float = 0.7,
    growth: bool = False,
    progress: Progress = _silent,
) -> Evaluated:
    """Train on a random part of a corpus and answer the rest.

    Args:
        dataset: the corpus.
        options: how to train.
        corpus: name for the figures.
        part: how much of it is trained on.
        growth: also train on an eighth, a quarter and a half of that part, for a learning curve;
            what is too little to learn from is passed over.
        progress: see `make`.

    Raises:
        InputError: too little mail.
    """
    order = np.random.default_rng(options.seed).permutation(len(dataset))
    cut = int(part * len(dataset))

    def answer(seen: int) -> Evaluated:
        reflex = train(dataset.subset(order[:seen]), options, progress).reflex
        tested = order[cut:].tolist()
        return _judge(dataset, reflex, tested, corpus=corpus, protocol="split", view=options.view)

    whole = answer(cut)
    points = [(cut, whole.scored.errors)]
    for share in (2, 4, 8) if growth else ():
        with contextlib.suppress(InputError):
            points.insert(0, (cut // share, answer(cut // share).scored.errors))
    return replace(whole, growth=points if growth else [])


def leave_one_out(
    dataset: Dataset,
    options: Options,
    *,
    unheard: Sequence[str] = (),
    progress: Progress = _silent,
) -> list[Evaluated]:
    """Answer each source by a model that has learnt from the others only.

    Args:
        dataset: of several sources.
        options: how to train. Calibrated "left-out", the experts are trained once for each source,
            and the combiner that judges a source is fitted on their answers for the other ones.
        unheard: names of sources that no training may see (validation only).
        progress: see `make`.

    Returns:
        One result a source, in the order of `dataset.names`.
    """
    sources = range(len(dataset.names))
    if options.calibrate == "left-out":
        total = len(sources)
        rounds = {}
        for left in sources:
            rounds[left] = answer_left_out(dataset, left, options, unheard=unheard)
            progress("leaving out", left + 1, total)
        return judge_left_out(dataset, rounds, options, unheard=unheard)
    results = []
    for left in sources:
        seen = _seen_without(dataset, left, unheard)
        reflex = train(dataset.subset(seen), options, progress).reflex
        tested = np.flatnonzero(dataset.sources == left).tolist()
        results.append(
            _judge(
                dataset,
                reflex,
                tested,
                corpus=dataset.names[left],
                protocol="leave-one-out",
                view=options.view,
            )
        )
    return results


def _seen_without(dataset: Dataset, left: int, unheard: Sequence[str]) -> Any:
    barred = [k for k, name in enumerate(dataset.names) if name in unheard or k == left]
    return np.flatnonzero(~np.isin(dataset.sources, barred))


def answer_left_out(
    dataset: Dataset,
    left: int,
    options: Options,
    *,
    unheard: Sequence[str] = (),
    forms: Sequence[Dataset] = (),
) -> Unseen:
    """Scores for one source by experts that had seen neither it nor the unheard ones.

    Args:
        dataset: labelled evidence.
        left: index of the source.
        options: how to train.
        unheard: names of sources that nothing is learnt from, either.
        forms: datasets of the same messages in other forms, to answer, too.

    Raises:
        InputError: the other sources hold too little mail of one class.
    """
    held = np.flatnonzero(dataset.sources == left)
    seen = _seen_without(dataset, left, unheard)
    check_enough(dataset.spam[seen])
    return unseen_scores(dataset, seen, held, options, forms=forms)


def judge_left_out(
    dataset: Dataset,
    rounds: Mapping[int, Unseen],
    options: Options,
    *,
    unheard: Sequence[str] = (),
) -> list[Evaluated]:
    """Judge each source by a combiner fitted on the answers for the other ones.

    Raises:
        InputError: the other sources do not hold both classes.
    """
    results = []
    for left, own in rounds.items():
        others = [
            unseen for k, unseen in rounds.items() if k != left and dataset.names[k] not in unheard
        ]
        if not others:
            raise InputError("leaving out one source at a time needs three corpora or more.")
        combiner = combine(dataset, join(others), options)
        results.append(
            evaluated(
                dataset,
                own.members.tolist(),
                own.log_odds(combiner),
                corpus=dataset.names[left],
                protocol="leave-one-out",
                view=options.view,
            )
        )
    return results


def online(
    dataset: Dataset,
    reflex: Reflex,
    *,
    corpus: str,
    view: str,
    shuffle: int | None = None,
    progress: Progress = _silent,
) -> Evaluated:
    """The TREC protocol: one message at a time, the answer first, then its label is learnt.

    Args:
        dataset: in the order in which the mail came.
        reflex: where to start from; it is changed.
        corpus: name for the figures.
        view: "content", "stream" or "both": which evidence is used.
        shuffle: take the messages in a seeded random order instead.
        progress: told "online", messages answered, and how many there are.
    """
    order = np.arange(len(dataset))
    if shuffle is not None:
        order = np.random.default_rng(shuffle).permutation(len(dataset))
    answers, curve, errors = [], [], 0
    for count, row in enumerate(order.tolist(), 1):
        evidence = _of_view(dataset.evidence(row), view)
        spam = bool(dataset.spam[row])
        answers.append(sigmoid(reflex.log_odds(evidence)))
        errors += (answers[-1] >= 0.5) != spam
        if count % 50 == 0 or count == len(order):
            curve.append((count, errors))
        reflex.apply(evidence, reflex.step_for(evidence, spam=spam, insist=False))
        progress("online", count, len(order))
    found = _evaluated(
        dataset, order.tolist(), np.array(answers), corpus=corpus, protocol="online", view=view
    )
    return replace(found, curve=curve)


def mean_figures(several: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Mean of the figures of one corpus over seeds; None where one of them is not defined."""
    mean = dict(several[0])
    for key in mean:
        values = [figures[key] for figures in several]
        if any(value is None for value in values):
            mean[key] = None
        elif isinstance(values[0], (int, float)):
            mean[key] = sum(values) / len(values)
    return mean


def _of_view(evidence: Evidence, view: str) -> Evidence:
    """Leave only the evidence of a view."""
    nothing = np.zeros(0, dtype=np.uint32)
    absent = {name: nothing for name in EXPERTS if name not in VIEWS[view]}
    return replace(evidence, **absent)


def _judge(
    dataset: Dataset,
    reflex: Reflex,
    members: Iterable[int],
    *,
    corpus: str,
    protocol: str,
    view: str,
) -> Evaluated:
    rows = list(members)
    answers = (reflex.log_odds(dataset.evidence(row)) for row in rows)
    return evaluated(dataset, rows, answers, corpus=corpus, protocol=protocol, view=view)


def evaluated(
    dataset: Dataset,
    rows: list[int],
    log_odds: Iterable[float],
    *,
    corpus: str,
    protocol: str,
    view: str,
) -> Evaluated:
    """Figures of the log-odds, (n,), that were given to n rows."""
    answers = _probabilities(log_odds)
    return _evaluated(dataset, rows, answers, corpus=corpus, protocol=protocol, view=view)


def _evaluated(
    dataset: Dataset, rows: list[int], answers: Any, *, corpus: str, protocol: str, view: str
) -> Evaluated:
    """Figures of the probabilities, (n,), that were given to n rows."""
    scored = Scored(answers, dataset.spam[rows], tuple(dataset.ids[row] for row in rows))
    return Evaluated(summarize(scored, corpus=corpus, protocol=protocol, view=view, seed=0), scored)
