"""Labelled tokens -> the reader's weights: AdamW in JAX, with checkpoints and early stopping.

The rate stays as it is, and what is kept is the mean of the weights over the later steps: such a
mean lies in a flatter place than any of them, and errs less on mail of other sources than it was
trained on (Cha et al. 2021, arXiv 2102.08604; measured in docs/decisions/0008).

A training is a fixed list of steps: the same seed draws the same messages in the same order and
drops the same activations, so that one that was stopped and resumed ends with the same weights as
one that was not.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from numpy.typing import NDArray

from winnow.errors import InputError
from winnow.model.network import Shape, Weights, log_odds
from winnow.training.reader_data import TokenRows, batch_of, by_length, draw_order

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Schedule:
    """How the reader is trained.

    Attributes:
        draws: messages drawn in all.
        batch: messages a step.
        rate: learning rate of the pretrained weights.
        fresh: factor on the rate for weights that start from nothing (fields, head).
        warm: part of the steps in which the rate rises.
        mean_from: part of the steps after which weights are averaged.
        decay: weight decay of matrices.
        drop: part of the activations dropped.
        smooth: labels are moved this far towards 0.5: nothing is certain.
        look: steps between looks at held-out mail.
        patience: looks without a better one after which training ends.
        seed: of every random choice.
    """

    draws: int = 20_000
    batch: int = 32
    rate: float = 5e-5
    fresh: float = 10.0
    warm: float = 0.1
    mean_from: float = 0.4
    decay: float = 0.01
    drop: float = 0.1
    smooth: float = 0.01
    look: int = 100
    patience: int = 4
    seed: int = 0


@dataclass(slots=True)
class State:
    """Where a training is.

    Attributes:
        weights: now.
        memory: of the optimiser.
        step: steps done.
        mean: of the weights of late, None before there is one.
        best: weights that did best on held-out mail, and how: (step, loss, weights).
        curve: (step, loss of training since the last look, loss on held-out mail or NaN).
        seconds: CPU time of all processors until the last look, also before a stop.
    """

    weights: Weights
    memory: Any
    step: int = 0
    mean: Weights | None = None
    best: tuple[int, float, Weights] | None = None
    curve: list[tuple[int, float, float]] = field(default_factory=list)
    seconds: float = 0.0


Progress = Callable[[int, int, float, float], None]


class Training:
    """One training of the reader; `run` goes on from wherever its state is.

    Attributes:
        shape: of the network.
        schedule: how.
        first: weights that it began with.
        steps: rows that each step reads.
        state: where it is.
    """

    def __init__(
        self,
        shape: Shape,
        weights: Mapping[str, F32],
        rows: TokenRows,
        schedule: Schedule,
        held_out: TokenRows | None = None,
    ) -> None:
        self.shape = shape
        self.schedule = schedule
        self.rows = rows
        self.held_out = held_out
        self.steps = draw_order(rows, schedule.draws, schedule.batch, schedule.seed)
        self._optimiser = _optimiser(schedule, len(self.steps))
        self.first = {name: jnp.asarray(value) for name, value in weights.items()}
        self.state = State(self.first, self._optimiser.init(self.first))
        self._step = jax.jit(partial(_step, self._optimiser, shape.heads, schedule))

    def run(
        self,
        *,
        until: int | None = None,
        progress: Progress | None = None,
        save: Callable[[State], None] | None = None,
    ) -> State:
        """Train to the end, to a step, or until held-out mail is answered worse and worse.

        Args:
            until: stop after this step.
            progress: told steps done, steps in all, mean loss of late, and the learning rate.
            save: given the state at each look.
        """
        state, schedule = self.state, self.schedule
        losses: list[float] = []
        key = jax.random.key(schedule.seed)
        last = len(self.steps) if until is None else min(until, len(self.steps))
        since = time.process_time()
        while state.step < last and not self.exhausted:
            batch = batch_of(self.rows, self.steps[state.step], self.shape.positions)
            losses.append(self._advance(batch, jax.random.fold_in(key, state.step)))
            state.step += 1
            averaged = state.step - int(schedule.mean_from * len(self.steps))
            if averaged > 0:
                state.mean = _averaged(state.mean or state.weights, state.weights, averaged)
            if progress is not None:
                rate = float(_rate(schedule, len(self.steps))(state.step))
                progress(state.step, len(self.steps), float(np.mean(losses[-20:])), rate)
            if state.step % schedule.look == 0 or state.step == len(self.steps):
                self._look(float(np.mean(losses)))
                losses = []
                now = time.process_time()
                state.seconds, since = state.seconds + now - since, now
                if save is not None:
                    save(state)
        return state

    def _advance(self, batch: Any, key: jax.Array) -> float:
        """Do one step; return its loss."""
        state = self.state
        try:
            state.weights, state.memory, loss = self._step(state.weights, state.memory, batch, key)
            return float(loss)
        except (MemoryError, jax.errors.JaxRuntimeError) as error:
            if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error):
                raise InputError(
                    "there is not enough memory to train this reader; fewer tokens, layers or "
                    "pieces take less, and a checkpoint is gone on from."
                ) from error
            raise

    @property
    def exhausted(self) -> bool:
        """Whether held-out mail has not been answered better for too long."""
        best, curve = self.state.best, self.state.curve
        if best is None or not curve:
            return False
        since = sum(step > best[0] for step, _, _ in curve)
        return since >= self.schedule.patience

    @property
    def weights(self) -> dict[str, F32]:
        """The weights to keep: the best on held-out mail where there is some, else the mean."""
        state = self.state
        found = state.best[2] if state.best is not None else state.mean or state.weights
        return {name: np.asarray(value) for name, value in found.items()}

    def _look(self, loss: float) -> None:
        state = self.state
        unseen = math.nan
        if self.held_out is not None:
            weights = state.mean or state.weights
            answers = answer(weights, self.held_out, self.shape)
            unseen = weighted_loss(answers, self.held_out)
            if state.best is None or unseen < state.best[1]:
                state.best = (state.step, unseen, dict(weights))
        state.curve.append((state.step, loss, unseen))


def answer(weights: Mapping[str, Any], rows: TokenRows, shape: Shape, batch: int = 64) -> F64:
    """Log-odds that weights alone give for rows, (n,)."""
    found = np.zeros(len(rows))
    on_device = {name: jnp.asarray(value) for name, value in weights.items()}
    for members in by_length(rows, batch):
        inputs = batch_of(rows, members, shape.positions)
        del inputs["target"]
        found[members] = np.asarray(_answer(on_device, inputs, shape.heads))
    return found


def weighted_loss(answers: F64, rows: TokenRows) -> float:
    """Mean logistic loss of log-odds, each row by its weight, in nats."""
    losses = np.logaddexp(0.0, answers) - rows.target * answers
    return float((losses * rows.weight).sum() / rows.weight.sum())


_answer = jax.jit(log_odds, static_argnums=2)


def _mean_with(mean: Weights, weights: Weights, count: int) -> Weights:
    """Mean of `count` weights, from the mean of all but the last and the last."""
    found: Weights = jax.tree.map(lambda m, w: m + (w - m) / count, mean, weights)
    return found


_averaged = jax.jit(_mean_with)


def _step(
    optimiser: optax.GradientTransformation,
    heads: int,
    schedule: Schedule,
    weights: Weights,
    memory: Any,
    batch: Any,
    key: jax.Array,
) -> tuple[Weights, Any, jax.Array]:
    def loss_of(weights: Weights) -> jax.Array:
        answers = log_odds(weights, batch, heads, schedule.drop, key)
        target = batch["target"] * (1.0 - schedule.smooth) + 0.5 * schedule.smooth
        return jnp.mean(jax.nn.softplus(answers) - target * answers)

    loss, gradient = jax.value_and_grad(loss_of)(weights)
    move, memory = optimiser.update(gradient, memory, weights)
    return optax.apply_updates(weights, move), memory, loss


def _rate(schedule: Schedule, steps: int) -> optax.Schedule:
    warm = max(1, int(schedule.warm * steps))
    return optax.join_schedules(
        [
            optax.linear_schedule(0.0, schedule.rate, warm),
            optax.constant_schedule(schedule.rate),
        ],
        [warm],
    )


def _optimiser(schedule: Schedule, steps: int) -> optax.GradientTransformation:
    """AdamW with its gradient clipped; what starts from nothing moves faster."""

    def is_matrix(weights: Weights) -> dict[str, bool]:
        return {name: name.endswith("kernel") for name in weights}

    def kind(weights: Weights) -> dict[str, str]:
        fresh = ("embed.fields", "head")
        return {name: "fresh" if name.startswith(fresh) else "old" for name in weights}

    rate = _rate(schedule, steps)
    return optax.chain(
        optax.clip_by_global_norm(1.0),
        optax.scale_by_adam(),
        optax.add_decayed_weights(schedule.decay, mask=is_matrix),
        optax.multi_transform(
            {"old": optax.scale(1.0), "fresh": optax.scale(schedule.fresh)}, kind
        ),
        optax.scale_by_learning_rate(rate),
    )
