"""The reader's training: what it learns, what it keeps, and when it ends."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("optax", reason="the extra [train] is not installed")

import jax

from tests.model.tiny import random_weights
from tests.training.toys import SCHEDULE, SHAPE, as_bytes, copied, toy_rows, training_of
from winnow.errors import InputError
from winnow.training.reader import State, Training, answer, weighted_loss
from winnow.training.reader_data import TokenRows


@dataclass
class Ran:
    """A training and what it said on its way.

    Attributes:
        training: at its end.
        after: weights after each step, the first ones first.
        told: progress of each step.
        looks: state at each look: step, curve, weights that would be kept.
    """

    training: Training
    after: list[dict[str, Any]] = field(default_factory=list)
    told: list[tuple[int, int, float, float]] = field(default_factory=list)
    looks: list[tuple[int, int, dict[str, bytes]]] = field(default_factory=list)

    def go(self) -> Ran:
        """Run to the end."""
        training = self.training
        self.after.append(copied(training.state.weights))

        def tell(*now: Any) -> None:
            self.told.append(now)
            self.after.append(copied(training.state.weights))

        def save(state: State) -> None:
            assert state is training.state
            self.looks.append((state.step, len(state.curve), as_bytes(training.weights)))

        assert training.run(progress=tell, save=save) is training.state
        return self


@pytest.fixture(scope="module")
def ran() -> Ran:
    """A training without held-out mail."""
    return Ran(training_of(toy_rows(64))).go()


@pytest.mark.slow
def test_it_learns(ran: Ran) -> None:
    """The loss falls, and unseen mail is told apart by what is kept."""
    losses = [loss for _, loss, _ in ran.training.state.curve]
    assert losses[-1] < 0.4 * losses[0]
    unseen = toy_rows(64, seed=1)
    first = answer(random_weights(SHAPE), unseen, SHAPE)
    kept = answer(ran.training.weights, unseen, SHAPE)
    assert ((kept > 0) == (unseen.target > 0.5)).mean() > 0.85
    assert weighted_loss(kept, unseen) < 0.5 * weighted_loss(first, unseen)


@pytest.mark.slow
def test_it_looks_and_tells_as_scheduled(ran: Ran) -> None:
    """A person sees each step, and a checkpoint is offered at each look and at the end."""
    total = len(ran.training.steps)
    assert [(step, of) for step, of, _, _ in ran.told] == [(n + 1, total) for n in range(total)]
    assert total % SCHEDULE.look  # so that the last look is not one of the others
    looks = [*range(SCHEDULE.look, total, SCHEDULE.look), total]
    assert [look[:2] for look in ran.looks] == [(step, n + 1) for n, step in enumerate(looks)]
    assert [step for step, _, _ in ran.training.state.curve] == looks
    assert all(math.isnan(unseen) for _, _, unseen in ran.training.state.curve)
    assert ran.told[SCHEDULE.look - 1][2] == ran.training.state.curve[0][1]
    rates = [rate for _, _, _, rate in ran.told]
    warm = int(SCHEDULE.warm * total)
    assert rates[:warm] == pytest.approx([SCHEDULE.rate * (n + 1) / warm for n in range(warm)])
    assert rates[warm:] == pytest.approx([SCHEDULE.rate] * (total - warm))


@pytest.mark.slow
def test_what_is_kept_is_the_mean_of_the_later_weights(ran: Ran) -> None:
    """Steps before `mean_from` have no part in it, those after it all have the same."""
    begin = int(SCHEDULE.mean_from * len(ran.training.steps))
    assert 0 < begin < len(ran.training.steps) - 2
    for name, kept in ran.training.weights.items():
        mean = np.mean([after[name] for after in ran.after[begin + 1 :]], axis=0, dtype=np.float64)
        assert np.abs(kept - mean).max() < 2e-6, name  # 32-bit floats of about 1, added up
    final = ran.after[-1]
    assert any(np.abs(ran.training.weights[n] - final[n]).max() > 1e-4 for n in final)


@pytest.mark.slow
def test_what_starts_from_nothing_moves_faster(ran: Ran) -> None:
    """Head and fields catch up with pretrained weights, which are not to be forgotten."""
    # The first step has a rate of 0; in the second one Adam moves a weight by its rate at most.
    assert as_bytes(ran.after[0]) == as_bytes(ran.after[1])
    moved = {
        name: float(np.abs(ran.after[2][name] - ran.after[1][name]).max()) for name in ran.after[0]
    }
    rate = ran.told[0][3]
    for name, by in moved.items():
        fresh = SCHEDULE.fresh if name.startswith(("embed.fields", "head")) else 1.0
        if not name.endswith("key.bias"):  # which has no gradient but that of rounding
            assert 0.3 * fresh * rate < by < 1.2 * fresh * rate, name


@pytest.mark.slow
def test_training_ends_where_held_out_mail_is_answered_worse() -> None:
    """Held-out mail of another truth: what is kept is what was best on it, not what came last."""
    schedule = replace(SCHEDULE, patience=2, mean_from=0.0)
    held_out = toy_rows(40, seed=2, flipped=True)
    ran = Ran(training_of(toy_rows(64), schedule, held_out)).go()
    state = ran.training.state
    unseen = [loss for _, _, loss in state.curve]
    best = int(np.argmin(unseen))
    assert len(unseen) == best + 1 + schedule.patience
    assert state.step == state.curve[-1][0] < len(ran.training.steps)
    assert ran.training.exhausted
    assert state.best is not None
    assert state.best[:2] == (state.curve[best][0], unseen[best])
    kept = ran.training.weights
    assert as_bytes(kept) == ran.looks[best][2]
    assert weighted_loss(answer(kept, held_out, SHAPE), held_out) == unseen[best]
    assert as_bytes(kept) != as_bytes(state.mean or {})
    ran.training.run()
    assert state.step == state.curve[-1][0]  # it does not begin again


@pytest.mark.parametrize(
    ("best", "looks", "ended"),
    [(None, [], False), (5, [5], False), (5, [5, 10], False), (5, [5, 10, 15], True)],
)
def test_patience_counts_looks_after_the_best(
    best: int | None, looks: list[int], ended: bool
) -> None:
    """One worse look is chance; so many in a row are not."""
    training = training_of(toy_rows(32), replace(SCHEDULE, patience=2), toy_rows(8, seed=1))
    training.state.curve = [(step, 0.5, 0.5) for step in looks]
    training.state.best = None if best is None else (best, 0.5, training.state.weights)
    assert training.exhausted is ended


def test_answers_are_in_the_order_of_the_rows() -> None:
    """Each message gets its own answer, though those of like length are read together."""
    weights, rows = random_weights(SHAPE), toy_rows(10)
    together = answer(weights, rows, SHAPE, batch=5)
    turned = list(reversed(range(10)))
    other = TokenRows([rows.tokens[n] for n in turned], rows.target[turned], rows.weight)
    again = answer(weights, other, SHAPE, batch=5)
    assert np.abs(together - again[::-1]).max() < 1e-5  # another batch, another order of sums
    assert np.ptp(together) > 0.01


def test_the_loss_is_the_logistic_one_by_weight() -> None:
    """It is ln 2 without an opinion, and a row of weight 3 counts three times."""
    rows = toy_rows(2)
    assert weighted_loss(np.zeros(2), rows) == pytest.approx(math.log(2), abs=1e-12)
    rows = TokenRows(rows.tokens, np.array([0.0, 0.25], dtype=np.float32), np.array([1.0, 3.0]))
    first, second = math.log1p(math.exp(2.0)), math.log1p(math.exp(-1.0)) + 0.75 * 1.0
    wanted = (first + 3 * second) / 4
    assert weighted_loss(np.array([2.0, 1.0]), rows) == pytest.approx(wanted, abs=1e-12)
    assert weighted_loss(np.array([1e4, -1e4]), rows) < 1e4  # no overflow


@pytest.mark.parametrize(
    "error",
    [MemoryError(), jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9")],
)
def test_too_little_memory_says_what_takes_less(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """After an hour of training a person reads what to change, not a traceback."""

    def fail(*_: Any) -> Any:
        raise error

    training = training_of(toy_rows(32))
    monkeypatch.setattr(training, "_step", fail)
    with pytest.raises(InputError, match=r"not enough memory.*fewer tokens.*checkpoint"):
        training.run()
    assert training.state.step == 0


def test_other_failures_of_jax_are_not_called_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug of ours is not told as the user's small machine."""

    def fail(*_: Any) -> Any:
        raise jax.errors.JaxRuntimeError("INTERNAL: something else")

    training = training_of(toy_rows(32))
    monkeypatch.setattr(training, "_step", fail)
    with pytest.raises(jax.errors.JaxRuntimeError, match="something else"):
        training.run()


def test_each_step_has_its_own_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is dropped differs from step to step, and is the same when a step is done again."""

    def keys_of(training: Training, begin: int) -> list[str]:
        keys: list[str] = []

        def step(weights: Any, memory: Any, batch: Any, key: Any) -> Any:
            keys.append(str(jax.random.key_data(key).tolist()))
            return weights, memory, 0.5

        monkeypatch.setattr(training, "_step", step)
        training.state.step = begin
        training.run()
        return keys

    rows = toy_rows(64)
    whole = keys_of(training_of(rows), 0)
    assert len(set(whole)) == len(whole) == 32
    assert keys_of(training_of(rows), 7) == whole[7:]
    assert keys_of(training_of(rows, replace(SCHEDULE, seed=1)), 0)[0] not in whole


def test_no_draw_is_no_step() -> None:
    """So few draws that none is made leave the first weights, and no NaN."""
    training = training_of(toy_rows(64), replace(SCHEDULE, draws=1, seed=1))
    training.steps = []
    training.run(save=lambda state: pytest.fail("there is nothing to save"))
    assert as_bytes(training.weights) == as_bytes(random_weights(SHAPE))
    assert training.state.curve == []
