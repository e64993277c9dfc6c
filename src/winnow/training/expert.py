"""Rows and labels -> the weights of one expert: logistic regression by stochastic passes.

Each pass takes the messages in a fresh seeded order and steps along the gradient of the weighted
logistic loss; the rate falls with 1/sqrt(pass). L2 decay is kept as one scale factor, so that a
step touches only the weights of its message (Shalev-Shwartz et al. 2007, Pegasos). The result is
the average of the passes' last weights, which is steadier than any of them.

Evidence may learn at rates of its own. By the square of its inverse document frequency, so that
"the" does not become a reason; and not at all where one source alone has it, because what only one
source says of itself misleads everywhere else (docs/decisions/0007).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from winnow.runtime import places
from winnow.training.dataset import Rows

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Schedule:
    """How an expert is trained.

    Attributes:
        rare_first: let rare evidence learn faster than common one.
        shared_only: let only what two sources or more have learn.
        passes: times every message is seen.
        rate: step size of the first pass, for messages of length 1.
        decay: L2 penalty per message.
        largest_step: bound on rate times a message's weight, so that a rare source cannot jump.
    """

    passes: int = 6
    rate: float = 6.0
    decay: float = 1e-6
    largest_step: float = 12.0
    rare_first: bool = False
    shared_only: bool = False


def evidence_rates(
    rows: Rows, members: I64, sources: I64, *, rare_first: bool, shared_only: bool
) -> F32:
    """Factor on the learning rate of each hash of each message; over the members its mean is 1.

    Args:
        rows: evidence of all messages.
        members: rows to learn from.
        sources: (n,) source of each of all messages.
        rare_first: log(messages / messages that have it)**2, the inverse document frequency.
        shared_only: 0 for what a single source has.

    Returns:
        (len(rows.hashes),) factors.
    """
    if not (rare_first or shared_only):
        return np.ones(len(rows.hashes), dtype=np.float32)
    lengths = np.diff(rows.ends)
    owners = np.full(len(lengths), -1)
    owners[members] = sources[members]
    source_of = np.repeat(owners, lengths)
    distinct = int(rows.kinds.max(initial=-1)) + 1
    counts = np.zeros(distinct, dtype=np.int64)
    holders = np.zeros(distinct, dtype=np.int64)
    for source in np.unique(sources[members]):
        found = np.bincount(rows.kinds[source_of == source], minlength=distinct)
        counts += found
        holders += found > 0
    rates = np.ones(distinct)
    if rare_first:
        rates = np.log((len(members) + 1) / (counts + 1)) ** 2
    if shared_only:
        rates[holders < 2] = 0.0
    rates *= counts.sum() / max(1e-9, float((rates * counts).sum()))
    return rates.astype(np.float32)[rows.kinds]


def train_expert(
    rows: Rows,
    spam: NDArray[np.bool_],
    members: NDArray[np.int64],
    importance: F64,
    *,
    bits: int,
    rates: F32,
    schedule: Schedule,
    seed: int,
    progress: Callable[[int], None] = lambda count: None,
) -> tuple[F32, float]:
    """Train one expert.

    Args:
        rows: evidence of all messages.
        spam: labels of all messages.
        members: rows to learn from.
        importance: weight of each member, mean 1.
        bits: of the number of weights, 2**bits.
        rates: (len(rows.hashes),) factor on the learning rate of each hash.
        schedule: passes, rate and decay.
        seed: order of the messages.
        progress: told how many messages were seen since the last call.

    Returns:
        (2**bits,) weights, and the bias.
    """
    random = np.random.default_rng(seed)
    state = _State(rows, rates, spam, bits, schedule)
    kept = members[np.diff(rows.ends)[members] > 0]
    weight_of = dict(zip(members.tolist(), importance.tolist(), strict=True))
    total = np.zeros_like(state.weights)
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
        self, rows: Rows, rates: F32, spam: NDArray[np.bool_], bits: int, schedule: Schedule
    ) -> None:
        self.weights = np.zeros(1 << bits, dtype=np.float32)
        self.places = places(rows.hashes, self.weights)
        self.rates = rates
        self.scale = 1.0
        self.bias = 0.0
        self.ends = rows.ends.tolist()
        self.targets = spam.astype(np.float64).tolist()
        self.schedule = schedule

    def learn(self, order: list[int], weight_of: dict[int, float], rate: float) -> None:
        weights, rates, ends, everything = self.weights, self.rates, self.ends, self.places
        largest, decay = self.schedule.largest_step, self.schedule.decay
        exp, sqrt = math.exp, math.sqrt
        for row in order:
            start, end = ends[row], ends[row + 1]
            present = everything[start:end]
            length = sqrt(len(present))
            score = self.bias + self.scale * float(weights.take(present).sum()) / length
            error = self.targets[row] - 1.0 / (1.0 + exp(-min(max(score, -60.0), 60.0)))
            step = min(rate * weight_of[row], largest) * error
            self.scale *= 1.0 - rate * decay
            weights[present] += rates[start:end] * np.float32(step / (length * self.scale))
            self.bias += 0.02 * step
        if self.scale < 1e-3:
            weights *= np.float32(self.scale)
            self.scale = 1.0
