"""One expert: logistic regression over buckets."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from winnow.training.dataset import Rows
from winnow.training.expert import Schedule, train_expert

BUCKETS = 64


def _toy(n: int = 60) -> tuple[Rows, NDArray[np.bool_]]:
    """Spam holds bucket 1, ham bucket 2, both hold noise; every tenth message holds nothing."""
    random = np.random.default_rng(0)
    spam = np.arange(n) % 3 == 0
    lists = [
        np.zeros(0, dtype=np.uint32)
        if row % 10 == 9
        else np.unique([1 if spam[row] else 2, *random.integers(3, BUCKETS, 4)]).astype(np.uint32)
        for row in range(n)
    ]
    ends = np.concatenate([[0], np.cumsum([len(one) for one in lists])])
    return Rows(np.concatenate(lists), ends), spam


def _train(
    seed: int = 0, schedule: Schedule | None = None, **changes: NDArray[np.generic]
) -> tuple[NDArray[np.float32], float]:
    rows, spam = _toy()
    members = changes.get("members", np.arange(len(spam)))
    importance = changes.get("importance", np.ones(len(members)))
    return train_expert(
        rows,
        spam,
        members.astype(np.int64),
        importance.astype(np.float64),
        buckets=BUCKETS,
        schedule=schedule or Schedule(),
        seed=seed,
    )


@pytest.mark.parametrize("passes", [1, 2, 5])
def test_the_weights_are_those_of_plain_python(passes: int) -> None:
    """Oracle: the same steps in the same order, one number at a time, averaged over the last."""
    rows, spam = _toy()
    schedule = Schedule(passes=passes, rate=2.0, decay=0.01, largest_step=1.5)
    random = np.random.default_rng(7)
    weights, bias = np.zeros(BUCKETS), 0.0
    kept = np.flatnonzero(np.diff(rows.ends) > 0)
    snapshots = []
    for number in range(passes):
        rate = 2.0 / (number + 1) ** 0.5
        for row in random.permutation(kept).tolist():
            length = len(rows[row]) ** 0.5
            error = spam[row] - 1 / (1 + np.exp(-bias - weights[rows[row]].sum() / length))
            step = min(rate, 1.5) * error
            weights *= 1 - rate * 0.01
            weights[rows[row]] += step / length
            bias += 0.02 * step
        snapshots.append((weights.copy(), bias))
    last = snapshots[-max(1, passes // 2) :]
    found, found_bias = _train(7, schedule)
    assert found.tolist() == pytest.approx(np.mean([w for w, _ in last], axis=0), abs=1e-4)
    assert found_bias == pytest.approx(float(np.mean([b for _, b in last])), abs=1e-4)


def test_separable_mail_is_separated() -> None:
    """Every message is answered rightly, and the telling buckets carry the weight."""
    rows, spam = _toy()
    weights, bias = _train()
    for row in range(len(spam)):
        present = rows[row]
        if len(present):
            score = bias + weights[present].sum() / len(present) ** 0.5
            assert (score > 0) == spam[row]
    assert weights.argmax() == 1
    assert weights.argmin() == 2


def test_the_seed_is_all_the_chance_there_is() -> None:
    """The same seed gives the same bytes, another seed others."""
    (first, bias), (second, same), (other, _) = _train(1), _train(1), _train(2)
    assert first.tobytes() == second.tobytes()
    assert bias == same
    assert first.tobytes() != other.tobytes()


def test_only_members_are_learnt_from() -> None:
    """Held-out mail leaves no trace: a bucket that only it holds has no weight."""
    _, spam = _toy()
    weights, _ = _train(members=np.flatnonzero(~spam))
    assert weights[1] == 0.0


def test_what_counts_for_nothing_teaches_nothing() -> None:
    """Importance scales the step: spam of weight 0 leaves its bucket untouched."""
    _, spam = _toy()
    weights, _ = _train(importance=np.where(spam, 0.0, 1.0))
    assert weights[1] == 0.0
    assert weights[2] < 0


def test_decay_shrinks_and_is_rescaled_in_time() -> None:
    """Heavy decay gives smaller weights, still finite where the scale runs towards 0."""
    light, _ = _train()
    heavy, _ = _train(schedule=Schedule(decay=0.05))
    assert np.isfinite(heavy).all()
    assert 0 < np.abs(heavy).sum() < np.abs(light).sum()


def test_progress_counts_every_message() -> None:
    """The meter is told of each message of each pass that has evidence."""
    rows, spam = _toy()
    told: list[int] = []
    members = np.arange(len(spam), dtype=np.int64)
    train_expert(
        rows,
        spam,
        members,
        np.ones(len(spam)),
        buckets=BUCKETS,
        schedule=Schedule(passes=3),
        seed=0,
        progress=told.append,
    )
    assert sum(told) == 3 * int((np.diff(rows.ends) > 0).sum())


@pytest.mark.parametrize("passes", [1, 2, 5])
def test_any_number_of_passes_gives_weights(passes: int) -> None:
    """The average is over the passes that there were."""
    weights, _ = _train(schedule=Schedule(passes=passes))
    assert weights[1] > 0 > weights[2]
