"""One expert: logistic regression over buckets."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from winnow.training.dataset import Rows
from winnow.training.expert import Schedule, evidence_rates, train_expert

BITS = 6
BUCKETS = 1 << BITS


def _hashes(places: object) -> NDArray[np.uint32]:
    """Hashes that are found at some places of BUCKETS weights."""
    return np.unique(places).astype(np.uint32) << np.uint32(32 - BITS)


def _toy(n: int = 60) -> tuple[Rows, NDArray[np.bool_]]:
    """Spam is found at place 1, ham at 2, both at others; every tenth message holds nothing."""
    random = np.random.default_rng(0)
    spam = np.arange(n) % 3 == 0
    lists = [
        np.zeros(0, dtype=np.uint32)
        if row % 10 == 9
        else _hashes([1 if spam[row] else 2, *random.integers(3, BUCKETS, 4)])
        for row in range(n)
    ]
    ends = np.concatenate([[0], np.cumsum([len(one) for one in lists])])
    return Rows(np.concatenate(lists), ends), spam


def _train(
    seed: int = 0,
    schedule: Schedule | None = None,
    rates: NDArray[np.float32] | None = None,
    **changes: NDArray[np.generic],
) -> tuple[NDArray[np.float32], float]:
    rows, spam = _toy()
    members = changes.get("members", np.arange(len(spam)))
    importance = changes.get("importance", np.ones(len(members)))
    return train_expert(
        rows,
        spam,
        members.astype(np.int64),
        importance.astype(np.float64),
        bits=BITS,
        rates=np.ones(len(rows.hashes), dtype=np.float32) if rates is None else rates,
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
            present = rows[row] >> np.uint32(32 - BITS)
            length = len(present) ** 0.5
            error = spam[row] - 1 / (1 + np.exp(-bias - weights[present].sum() / length))
            step = min(rate, 1.5) * error
            weights *= 1 - rate * 0.01
            weights[present] += step / length
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
        present = rows[row] >> np.uint32(32 - BITS)
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
        bits=BITS,
        rates=np.ones(len(rows.hashes), dtype=np.float32),
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


def test_what_has_rate_0_is_not_learnt() -> None:
    """Rates belong to single hashes: where they are 0 the weight stays, the others learn."""
    rows, _ = _toy()
    rates = (rows.hashes != _hashes([1])[0]).astype(np.float32)
    weights, _ = _train(rates=rates)
    assert weights[1] == 0.0
    assert weights[2] < 0


LISTS = [[1, 2], [1, 3], [1, 4], [1, 2], [5]]
SOURCES = np.array([0, 0, 1, 1, 2])


def _rates(members: list[int], *, rare_first: bool, shared_only: bool) -> dict[int, float]:
    """Rate of each hash of LISTS."""
    ends = np.concatenate([[0], np.cumsum([len(one) for one in LISTS])])
    rows = Rows(np.array([hash_ for one in LISTS for hash_ in one], dtype=np.uint32), ends)
    found = evidence_rates(
        rows, np.array(members), SOURCES, rare_first=rare_first, shared_only=shared_only
    )
    assert len(found) == len(rows.hashes)
    return dict(zip(rows.hashes.tolist(), found.tolist(), strict=True))


def test_rare_evidence_learns_faster() -> None:
    """By the square of log(n / df); the mean over the evidence is 1."""
    found = _rates([0, 1, 2, 3], rare_first=True, shared_only=False)
    assert found[3] == found[4] > found[2] > found[1] > -1e-9
    assert found[3] / found[2] == pytest.approx((np.log(5 / 2) / np.log(5 / 3)) ** 2)
    assert 4 * found[1] + 2 * found[2] + found[3] + found[4] == pytest.approx(8)


def test_what_one_source_has_is_not_learnt() -> None:
    """Two sources must have it among the members; who else has it does not count."""
    found = _rates([0, 1, 2, 3], rare_first=False, shared_only=True)
    assert found[3] == found[4] == 0.0
    assert found[1] == found[2] == pytest.approx(8 / 6)
    assert _rates([0, 1, 4], rare_first=False, shared_only=True)[1] == 0.0


def test_without_wishes_all_evidence_is_equal() -> None:
    """Then there is nothing to count."""
    assert set(_rates([0, 1], rare_first=False, shared_only=False).values()) == {1.0}
