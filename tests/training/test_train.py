"""Dataset to calibrated reflex, on evidence made by a die."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from winnow.errors import InputError
from winnow.evidence import Evidence
from winnow.runtime import EXPERTS, Combiner, Reflex, sigmoid
from winnow.training.combiner import JUNK_LOG_ODDS, SMALLEST_SOURCE
from winnow.training.dataset import Dataset, DatasetBuilder
from winnow.training.train import (
    HAM_LOST,
    VIEWS,
    Options,
    Unseen,
    combine,
    join,
    train,
    unseen_scores,
)


def _hashes(random: np.random.Generator, spam: bool) -> np.ndarray:
    """Six of a hundred hashes: mostly from the half of the own class."""
    half = random.integers(0, 50, 6) + np.where(random.random(6) < (0.8 if spam else 0.2), 50, 0)
    return np.unique(half).astype(np.uint32) << np.uint32(25)


def _dataset(seed: int = 0, sizes: dict[str, tuple[int, int]] | None = None) -> Dataset:
    """Mail of some sources, (ham, spam) each; the classes overlap."""
    random = np.random.default_rng(seed)
    builder = DatasetBuilder()
    for source, (ham, spam) in (sizes or {"a": (40, 30), "b": (30, 20), "c": (20, 20)}).items():
        for number in range(ham + spam):
            label = number >= ham
            found = Evidence(*(_hashes(random, label) for _ in range(4)))
            builder.add(found, spam=label, id=f"{source}{number}", source=source)
    return builder.build()


@pytest.mark.parametrize("calibrate", ["held-out", "left-out"])
@pytest.mark.parametrize("view", list(VIEWS))
def test_every_view_and_calibration_learns(view: str, calibrate: str) -> None:
    """Unseen mail is told apart, only the view's experts are heard, and answers are finite."""
    trained = train(_dataset(), Options(view=view, calibrate=calibrate))
    heard = {n for n, g in zip(EXPERTS, trained.reflex.combiner.gains, strict=True) if g > 0}
    assert heard == set(VIEWS[view]) | {"stream"}  # blank, but heard, for corrections to teach
    fresh = _dataset(seed=9)
    right = [
        (trained.reflex.log_odds(fresh.evidence(row)) > 0) == fresh.spam[row]
        for row in range(len(fresh))
    ]
    assert np.mean(right) > 0.85
    assert np.isfinite(trained.log_odds).all()


def test_calibration_is_on_mail_that_was_not_seen() -> None:
    """Held-out: a fifth of each class; left-out: every message once."""
    dataset = _dataset()
    held = train(dataset, Options(held_out=0.2)).members
    assert len(held) == len(set(held.tolist())) == 18 + 14
    assert dataset.spam[held].sum() == 14
    left = train(dataset, Options(view="stream", calibrate="left-out")).members
    assert sorted(left.tolist()) == list(range(len(dataset)))


@pytest.mark.parametrize("calibrate", ["held-out", "left-out"])
def test_experts_do_not_see_the_mail_they_are_judged_on(calibrate: str) -> None:
    """Labels without any pattern cannot be known: answers for them rank at chance."""
    dataset = _dataset(sizes={"a": (100, 100), "b": (100, 100), "c": (100, 100)})
    labels = np.random.default_rng(3).permutation(dataset.spam)
    dataset = replace(dataset, spam=labels)
    trained = train(dataset, Options(view="stream", calibrate=calibrate, held_out=0.4))
    spam = labels[trained.members]
    above = trained.log_odds[spam][:, None] > trained.log_odds[~spam][None, :]
    assert 0.3 < above.mean() < 0.7


def test_probabilities_are_calibrated() -> None:
    """Of held-out mail given p, about p is spam (0.1 off at most on 500 messages)."""
    dataset = _dataset(sizes={"a": (1500, 1000)})
    trained = train(dataset, Options(view="stream"))
    spam = dataset.spam[trained.members]
    answers = np.array([sigmoid(value) for value in trained.log_odds])
    assert answers.mean() == pytest.approx(spam.mean(), abs=0.02)
    for low, high in ((0.0, 0.2), (0.2, 0.8), (0.8, 1.0)):
        inside = (answers >= low) & (answers <= high)
        assert inside.sum() > 20
        assert answers[inside].mean() == pytest.approx(spam[inside].mean(), abs=0.1)


def _bytes(reflex: Reflex) -> list[bytes]:
    return [weights.tobytes() for weights in reflex.weights]


def test_the_seed_decides() -> None:
    """The same seed gives the same weights to the byte, another seed others."""
    dataset = _dataset()
    first, second, other = (train(dataset, Options(seed=s)).reflex for s in (1, 1, 2))
    assert _bytes(first) == _bytes(second)
    assert first.combiner == second.combiner
    assert _bytes(first) != _bytes(other)


@pytest.mark.parametrize(("ham", "spam"), [(4, 50), (50, 4), (0, 50), (50, 0), (0, 0)])
def test_too_little_mail_is_refused(ham: int, spam: int) -> None:
    """The error counts what there is and says how much is needed."""
    with pytest.raises(InputError, match=rf"too little.*{spam} spam and {ham} ham.*at least 5"):
        train(_dataset(sizes={"a": (ham, spam)}), Options())


def test_the_least_mail_that_is_taken_works() -> None:
    """Five of each train without a warning."""
    trained = train(_dataset(sizes={"a": (5, 5)}), Options())
    assert math.isfinite(trained.reflex.combiner.intercept)


def test_an_unknown_view_is_refused() -> None:
    """The error names the views that there are."""
    with pytest.raises(InputError, match="content, stream, both"):
        train(_dataset(), Options(view="x"))


@pytest.mark.parametrize(
    "sizes",
    [
        {"a": (40, 40), "b": (40, 40)},
        {"a": (40, 0), "b": (0, 40), "c": (0, 40)},  # without a there is no ham to learn
    ],
)
def test_sources_that_cannot_be_left_out_are_refused(sizes: dict[str, tuple[int, int]]) -> None:
    """Experts of one class alone say nothing that a calibration could rest on."""
    with pytest.raises(InputError, match="leaving out one source"):
        train(_dataset(sizes=sizes), Options(calibrate="left-out"))


def test_the_only_source_of_a_class_is_not_left_out() -> None:
    """Left-out calibration passes over the round that would leave one class."""
    sizes = {"a": (40, 0), "b": (30, 40), "c": (0, 40), "d": (3, 0)}
    dataset = _dataset(sizes=sizes)
    trained = train(dataset, Options(view="stream", calibrate="left-out"))
    assert {dataset.names[k] for k in dataset.sources[trained.members]} == {"a", "b", "c", "d"}
    only = _dataset(sizes={"a": (40, 5), "b": (2, 40), "c": (2, 40)})
    members = train(only, Options(view="stream", calibrate="left-out")).members
    assert {only.names[k] for k in only.sources[members]} == {"b", "c"}


def test_left_out_calibration_is_humble() -> None:
    """Of no large left-out source is more than HAM_LOST of the ham at 0.90 or above."""
    dataset = _dataset(sizes={"a": (400, 100), "b": (250, 100), "c": (50, 50)})
    random = np.random.default_rng(0)
    scores = np.where(dataset.spam, 6.0, -6.0)[:, None] + random.normal(size=(len(dataset), 4))
    first = np.flatnonzero((dataset.sources == 0) & ~dataset.spam)
    scores[first[:40]] = 7.0  # a tenth of the ham of one source looks like the worst spam
    unseen = Unseen(np.arange(len(dataset)), scores)
    combiner = combine(dataset, unseen, Options(calibrate="left-out"))
    log_odds = scores @ np.array(combiner.gains) + combiner.intercept
    for source in (0, 1):
        ham = (dataset.sources == source) & ~dataset.spam
        assert ham.sum() >= SMALLEST_SOURCE
        assert (log_odds[ham] >= JUNK_LOG_ODDS).mean() <= HAM_LOST
    bold = combine(dataset, unseen, Options(calibrate="held-out"))
    assert (scores[first] @ np.array(bold.gains) + bold.intercept >= JUNK_LOG_ODDS).any()


def test_answers_at_hand_are_used() -> None:
    """Rounds that were computed elsewhere give the model that they would have given here."""
    dataset = _dataset()
    whole = train(dataset, Options(view="stream", calibrate="left-out"))
    scores = np.zeros((len(dataset), 4))
    parts = [Unseen(np.array([row]), scores[row : row + 1]) for row in range(len(dataset))]
    given = train(dataset, Options(view="stream", calibrate="left-out"), unseen=join(parts))
    assert _bytes(given.reflex) == _bytes(whole.reflex)
    assert given.members.tolist() == list(range(len(dataset)))


def test_other_forms_are_answered_by_the_same_experts() -> None:
    """Each form of a message has a score of its own, also after rounds are put together."""
    dataset, options = _dataset(), Options()
    other = dataset.subset(np.arange(len(dataset)))
    words, *rest = other.experts
    other = replace(other, experts=(words.without(np.ones(len(other), dtype=bool)), *rest))
    seen, held = np.arange(0, len(dataset), 2), np.arange(1, len(dataset), 2)
    found = unseen_scores(dataset, seen, held, options, forms=[other, dataset])
    assert found.others[1].tolist() == found.scores.tolist()
    assert not found.others[0][:, 0].any()
    twice = join([found, found])
    combiner = Combiner((1.0, 0.5, 0.25, 0.125), -1.0)
    for form in (None, 0, 1):
        alone = found.log_odds(combiner, form)
        assert twice.log_odds(combiner, form).tolist() == [*alone, *alone]


def test_progress_reaches_its_total_in_order() -> None:
    """The meter never goes back, passes from calibrating to training, and ends at its total."""
    told: list[tuple[str, int, int]] = []
    train(_dataset(), Options(), lambda stage, done, total: told.append((stage, done, total)))
    done = [entry[1] for entry in told]
    assert done == sorted(done)
    assert told[-1][1] == told[-1][2]
    assert list(dict.fromkeys(entry[0] for entry in told)) == ["calibrating", "training"]
