"""Rows and labels -> the weights of one expert: logistic regression by stochastic passes.

Each pass takes the messages in a fresh seeded order and steps along the gradient of the weighted
logistic loss; the rate falls with 1/sqrt(pass). L2 decay is kept as one scale factor, so that a
step touches only the buckets of its message (Shalev-Shwartz et al. 2007, Pegasos). The result is
the average of the passes' last weights, which is steadier than any of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from winnow.training.dataset import Rows

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Schedule:
    """How an expert is trained.

    Attributes:
        passes: times every message is seen.
        rate: step size of the first pass, for messages of length 1.
        decay: L2 penalty per message.
        largest_step: bound on rate times a message's weight, so that a rare source cannot jump.
    """

    passes: int = 6
    rate: float = 6.0
    decay: float = 1e-6
    largest_step: float = 12.0


def train_expert(
    rows: Rows,
    spam: NDArray[np.bool_],
    members: NDArray[np.int64],
    importance: F64,
    *,
    buckets: int,
    schedule: Schedule,
    seed: int,
    progress: Callable[[int], None] = lambda count: None,
) -> tuple[F32, float]:
    """Train one expert.

    Args:
        rows: bucket lists of all messages.
        spam: labels of all messages.
        members: rows to learn from.
        importance: weight of each member, mean 1.
        buckets: size of the weight vector.
        schedule: passes, rate and decay.
        seed: order of the messages.
        progress: told how many messages were seen since the last call.

    Returns:
        (buckets,) weights, and the bias.
    """
    random = np.random.default_rng(seed)
    state = _State(np.zeros(buckets, dtype=np.float32), rows, spam, schedule)
    kept = members[np.diff(rows.ends)[members] > 0]
    weight_of = dict(zip(members.tolist(), importance.tolist(), strict=True))
    total = np.zeros(buckets, dtype=np.float32)
    bias = 0.0
    averaged = max(1, schedule.passes // 2)
    for number in range(schedule.passes):
        rate = schedule.rate / math.sqrt(number + 1)
        order = random.permutation(kept).tolist()
        for start in range(0, len(order), 500):
            state.learn(order[start : start + 500], weight_of, rate)
            progress(len(order[start : start + 500]))
        if number >= schedule.passes - averaged:
            total += state.weights * np.float32(state.scale / averaged)
            bias += state.bias / averaged
    return total, bias


class _State:
    """Weights under way: `weights * scale` is what counts."""

    def __init__(
        self, weights: F32, rows: Rows, spam: NDArray[np.bool_], schedule: Schedule
    ) -> None:
        self.weights = weights
        self.scale = 1.0
        self.bias = 0.0
        self.rows = rows
        self.targets = spam.astype(np.float64).tolist()
        self.schedule = schedule

    def learn(self, order: list[int], weight_of: dict[int, float], rate: float) -> None:
        weights, ends, buckets = self.weights, self.rows.ends, self.rows.buckets
        largest, decay = self.schedule.largest_step, self.schedule.decay
        exp, sqrt = math.exp, math.sqrt
        for row in order:
            present = buckets[ends[row] : ends[row + 1]]
            length = sqrt(len(present))
            score = self.bias + self.scale * float(weights[present].sum()) / length
            error = self.targets[row] - 1.0 / (1.0 + exp(-min(max(score, -60.0), 60.0)))
            step = min(rate * weight_of[row], largest) * error
            self.scale *= 1.0 - rate * decay
            weights[present] += np.float32(step / (length * self.scale))
            self.bias += 0.02 * step
        if self.scale < 1e-3:
            weights *= np.float32(self.scale)
            self.scale = 1.0
