"""Dataset -> a calibrated reflex: `train(dataset, options) -> Trained`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from winnow.errors import InputError
from winnow.runtime import BITS, EXPERTS, Combiner, Reflex, places
from winnow.training.balance import importance
from winnow.training.combiner import fit_combiner, humility
from winnow.training.dataset import Dataset, Rows
from winnow.training.expert import Schedule, evidence_rates, train_expert

I64 = NDArray[np.int64]
F64 = NDArray[np.float64]
Progress = Callable[[str, int, int], None]

VIEWS: dict[str, tuple[str, ...]] = {
    "content": ("words", "grams", "traits"),
    "stream": ("stream",),
    "both": EXPERTS,
}
# Traits are few and strong: small steps and real decay keep one odd source from owning them.
HOME = {
    "words": Schedule(passes=8, rate=20.0, largest_step=30.0, rare_first=True),
    "grams": Schedule(passes=8, rate=10.0),
    "traits": Schedule(passes=6, rate=2.0, decay=1e-5, largest_step=10.0),
    "stream": Schedule(passes=8, rate=40.0, largest_step=60.0),
}
# For mail of other sources than were trained on, less is learnt: gentler, with more decay, and only
# what two sources have (docs/decisions/0007).
ELSEWHERE = HOME | {
    "words": Schedule(passes=6, rate=10.0, decay=1e-5, rare_first=True, shared_only=True),
    "grams": Schedule(passes=8, rate=10.0, decay=1e-5, shared_only=True),
}
SCHEDULES = {"held-out": HOME, "left-out": ELSEWHERE}

FEWEST = 5  # messages of each class, below which nothing is learnt

# A model of the content view alone begins with a blank stream expert, which corrections teach where
# the model is used. It is heard at this gain: one left-out corpus, answered and learnt message by
# message, got 1-ROCA 0.055% with it, 0.129% with 0 and 0.071% with 1.2 (docs/decisions/0007).
BLANK_STREAM_GAIN = 0.4

# Humility: of a source that training has not seen at most this part of the ham may be junked, if
# it holds enough ham to tell.
HAM_LOST = 0.01


@dataclass(frozen=True, slots=True)
class Options:
    """How to train.

    Attributes:
        view: "content", "stream" or "both".
        calibrate: "held-out" (a random part of the same mail) or "left-out" (each source is
            answered by experts that never saw it; humble away from home, needs 3 sources or more).
        held_out: part of the mail that is held out.
        seed: of every random choice.
    """

    view: str = "both"
    calibrate: str = "held-out"
    held_out: float = 0.2
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Unseen:
    """Scores for mail by experts that had not seen it.

    Attributes:
        members: (m,) rows of the dataset.
        scores: (m, 4) in the order of EXPERTS.
        others: (m, 4) each; scores of the same messages in other forms.
    """

    members: I64
    scores: F64
    others: tuple[F64, ...] = ()

    def log_odds(self, combiner: Combiner, other: int | None = None) -> F64:
        """Combine the scores, or those of another form, (m, 4) -> (m,)."""
        scores = self.scores if other is None else self.others[other]
        combined: F64 = scores @ np.array(combiner.gains) + combiner.intercept
        return combined


@dataclass(frozen=True, slots=True)
class Trained:
    """What training gives.

    Attributes:
        reflex: ready to answer.
        members: (m,) rows that calibration was measured on.
        log_odds: (m,) answers for them from experts that had not seen them.
    """

    reflex: Reflex
    members: I64
    log_odds: F64


def train(
    dataset: Dataset,
    options: Options,
    progress: Progress = lambda stage, done, total: None,
    *,
    unseen: Unseen | None = None,
) -> Trained:
    """Train the experts of a view, fit the combiner on mail they never saw, train them on all.

    Args:
        dataset: labelled evidence.
        options: how.
        progress: told the stage's name, messages done and messages in all.
        unseen: answers to calibrate on when they are at hand already.

    Raises:
        InputError: too little mail, one class only, or too few sources to leave one out.
    """
    _check(dataset, options)
    experts = VIEWS[options.view]
    passes = sum(SCHEDULES[options.calibrate][name].passes for name in experts)
    everything = np.arange(len(dataset), dtype=np.int64)
    folds = _folds(dataset, options) if unseen is None else []
    meter = _Meter(progress, passes * (sum(len(seen) for seen, _ in folds) + len(dataset)))
    if unseen is None:
        unseen = join(
            [unseen_scores(dataset, seen, held, options, meter.add) for seen, held in folds]
        )
    combiner = combine(dataset, unseen, options)
    meter.stage = "training"
    weights, biases = _experts(dataset, everything, experts, options, meter.add)
    reflex = _assemble(weights, biases, combiner)
    log_odds = unseen.log_odds(combiner)
    return Trained(reflex, unseen.members, log_odds)


def unseen_scores(
    dataset: Dataset,
    seen: I64,
    held: I64,
    options: Options,
    progress: Callable[[int], None] = lambda count: None,
    *,
    forms: Sequence[Dataset] = (),
) -> Unseen:
    """Train the experts on some rows and let them answer others.

    Args:
        dataset: labelled evidence.
        seen: rows to train on.
        held: rows to answer.
        options: how.
        progress: told how many more messages are done.
        forms: datasets of the same messages in other forms, to answer, too.
    """
    weights, biases = _experts(dataset, seen, VIEWS[options.view], options, progress)
    scores, *others = (score_rows(d, held, weights, biases) for d in (dataset, *forms))
    return Unseen(held, scores, tuple(others))


def join(parts: Sequence[Unseen]) -> Unseen:
    """Put the answers of several rounds together."""
    return Unseen(
        np.concatenate([part.members for part in parts]),
        np.concatenate([part.scores for part in parts]),
        tuple(map(np.concatenate, zip(*(part.others for part in parts), strict=True))),
    )


def combine(dataset: Dataset, unseen: Unseen, options: Options) -> Combiner:
    """Fit the combiner on answers for mail that the experts had not seen.

    Calibrated on left-out sources it is made humble, too: all of it is scaled down until of no
    left-out source more than HAM_LOST of the ham would get 0.90.
    """
    spam, sources = dataset.spam[unseen.members], dataset.sources[unseen.members]
    if spam.all() or not spam.any():
        raise InputError("the mail to calibrate on is of one class; both are needed.")
    weights = _calibration_weights(dataset, unseen.members, options)
    combiner = fit_combiner(unseen.scores, spam, weights, VIEWS[options.view])
    if options.calibrate == "left-out":
        combiner = _humble(combiner, unseen, spam, sources)
    if "stream" in VIEWS[options.view]:
        return combiner
    words, grams, traits, _ = combiner.gains
    return Combiner((words, grams, traits, BLANK_STREAM_GAIN), combiner.intercept)


def _humble(combiner: Combiner, unseen: Unseen, spam: NDArray[np.bool_], sources: I64) -> Combiner:
    factor = humility(unseen.log_odds(combiner), spam, sources, HAM_LOST)
    words, grams, traits, stream = (factor * gain for gain in combiner.gains)
    return Combiner((words, grams, traits, stream), factor * combiner.intercept)


def score_rows(
    dataset: Dataset,
    members: I64,
    weights: dict[str, NDArray[np.float32]],
    biases: dict[str, float],
) -> F64:
    """Score messages with each expert, (m,) -> (m, 4); absent experts score 0."""
    scores = np.zeros((len(members), len(EXPERTS)))
    for column, name in enumerate(EXPERTS):
        if name in weights:
            scores[:, column] = _score(
                dataset.experts[column], members, weights[name], biases[name]
            )
    return scores


def _score(rows: Rows, members: I64, weights: NDArray[np.float32], bias: float) -> F64:
    found = np.zeros(len(members))
    for index, row in enumerate(members.tolist()):
        present = places(rows[row], weights)
        if len(present):
            found[index] = bias + float(weights[present].sum()) / len(present) ** 0.5
    return found


def _check(dataset: Dataset, options: Options) -> None:
    if options.view not in VIEWS:
        raise InputError(f"no view {options.view!r}; there are {', '.join(VIEWS)}.")
    check_enough(dataset.spam)
    if options.calibrate == "left-out" and len(dataset.names) < 3:
        raise InputError("leaving out one source at a time needs three corpora or more.")


def check_enough(labels: NDArray[np.bool_]) -> None:
    """Raise InputError where there is too little mail of a class to learn from."""
    spam = int(labels.sum())
    ham = len(labels) - spam
    if min(spam, ham) < FEWEST:
        raise InputError(
            f"there is too little mail to learn from: {spam} spam and {ham} ham after leaving out "
            f"repeats; at least {FEWEST} of each are needed, and a few hundred make a good filter."
        )


def _folds(dataset: Dataset, options: Options) -> list[tuple[I64, I64]]:
    """(seen, unseen) rows of each round of calibration."""
    if options.calibrate == "left-out":
        return _folds_by_source(dataset)
    return [random_part(dataset, options)]


def random_part(dataset: Dataset, options: Options) -> tuple[I64, I64]:
    """(seen, unseen) rows: of each class a part is held out, chosen by the seed."""
    random = np.random.default_rng(options.seed)
    unseen = []
    for label in (False, True):
        members = random.permutation(np.flatnonzero(dataset.spam == label))
        unseen.append(members[: max(2, round(options.held_out * len(members)))])
    held = np.sort(np.concatenate(unseen))
    return np.setdiff1d(np.arange(len(dataset)), held), held


def _folds_by_source(dataset: Dataset) -> list[tuple[I64, I64]]:
    """Leave out each source without which both classes can still be learnt."""
    folds = []
    for source in range(len(dataset.names)):
        seen = np.flatnonzero(dataset.sources != source)
        if min(dataset.spam[seen].sum(), (~dataset.spam[seen]).sum()) >= FEWEST:
            folds.append((seen, np.flatnonzero(dataset.sources == source)))
    left = dataset.spam[np.concatenate([held for _, held in folds])] if folds else dataset.spam[:0]
    if left.all() or not left.any():
        raise InputError(
            "leaving out one source at a time needs spam and ham in two corpora or more each."
        )
    return folds


def _calibration_weights(dataset: Dataset, members: I64, options: Options) -> F64:
    """Held-out mail counts as it comes; left-out sources count evenly, whatever their size."""
    if options.calibrate == "held-out":
        return np.ones(len(members))
    return importance(dataset.spam[members], dataset.sources[members], power=0.25)


def _experts(
    dataset: Dataset,
    members: I64,
    names: tuple[str, ...],
    options: Options,
    progress: Callable[[int], None],
) -> tuple[dict[str, NDArray[np.float32]], dict[str, float]]:
    several = len(np.unique(dataset.sources[members])) > 1
    counts = importance(dataset.spam[members], dataset.sources[members], even_classes=several)
    weights: dict[str, NDArray[np.float32]] = {}
    biases: dict[str, float] = {}
    for column, name in enumerate(EXPERTS):
        if name in names:
            schedule = SCHEDULES[options.calibrate][name]
            weights[name], biases[name] = train_expert(
                dataset.experts[column],
                dataset.spam,
                members,
                counts,
                bits=BITS[column],
                rates=evidence_rates(
                    dataset.experts[column],
                    members,
                    dataset.sources,
                    rare_first=schedule.rare_first,
                    shared_only=schedule.shared_only,
                ),
                schedule=schedule,
                seed=options.seed,
                progress=progress,
            )
    return weights, biases


def _assemble(
    weights: dict[str, NDArray[np.float32]], biases: dict[str, float], combiner: Combiner
) -> Reflex:
    """Experts that were not trained are blank."""
    blank = Reflex.blank()
    vectors = [
        weights.get(name, untrained) for name, untrained in zip(EXPERTS, blank.weights, strict=True)
    ]
    return Reflex(vectors, tuple(biases.get(name, 0.0) for name in EXPERTS), combiner)


class _Meter:
    """Adds up progress over the stages of one training."""

    def __init__(self, progress: Progress, total: int) -> None:
        self.stage = "calibrating"
        self._progress = progress
        self._total = total
        self._done = 0

    def add(self, count: int) -> None:
        self._done += count
        self._progress(self.stage, self._done, self._total)
