"""Candidates -> how long each takes, by turns.

A machine that others use is faster in one minute than in the next, so nothing is timed on its own:
in each round every candidate answers the same input, in a random order, and two candidates are
compared within rounds only. A call is timed right after another that is not: as in a server, which
answers all day, the caches hold the candidate's own weights and not those of its neighbour.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winnow.errors import WinnowError

F64 = NDArray[np.float64]
Feeds = Mapping[str, NDArray[Any]]
Values = list[NDArray[Any]]
Call = Callable[[Feeds], Values]
Progress = Callable[[str, int, int | None], None]

MOST_ROUNDS = 200
WARM_UP = 2
_TOLD = 160  # signs of an error of somebody else's library that are worth reading


@dataclass(frozen=True, slots=True)
class Candidate:
    """Something that answers.

    Attributes:
        name: shown in tables.
        call: the inputs of one message -> its outputs.
    """

    name: str
    call: Call


@dataclass(frozen=True, slots=True)
class Clock:
    """Two times, both in seconds from any start.

    Attributes:
        wall: what a person waits.
        cpu: work of all threads of this process; it does not grow while others have the core.
    """

    wall: Callable[[], float] = time.perf_counter
    cpu: Callable[[], float] = time.process_time


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds that one candidate took, one entry a round.

    Attributes:
        wall: (r,).
        cpu: (r,).
    """

    wall: F64
    cpu: F64


@dataclass(frozen=True, slots=True)
class Turns:
    """What taking turns found.

    Attributes:
        times: of each candidate on each input: name -> input -> times, all of the same rounds.
        failed: name -> why it was left out, in one line.
        rounds: of each input.
    """

    times: dict[str, dict[int, Times]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    rounds: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Asked:
    """What candidates said of messages.

    Attributes:
        outputs: of each candidate for each message.
        times: of each candidate, (n,).
        failed: name -> why it was left out, in one line.
    """

    outputs: dict[str, list[Values]]
    times: dict[str, Times]
    failed: dict[str, str]


def silent(stage: str, done: int, total: int | None) -> None:
    """No progress is shown."""


def by_turns(
    candidates: Sequence[Candidate],
    inputs: Mapping[int, Feeds],
    *,
    seconds: float,
    seed: int,
    clock: Clock | None = None,
    progress: Progress = silent,
) -> Turns:
    """Time all candidates on all inputs, in rounds, until the time is over.

    Args:
        candidates: one that fails is left out and told.
        inputs: name (a length) -> one message.
        seconds: after which no further round begins; warming up and one round are always done.
        seed: of the order.
        clock: what is read before and after a call.
        progress: told "timing".
    """
    clock = clock or Clock()
    chance = np.random.default_rng(seed)
    failed = _warm_up(candidates, inputs)
    alive = [one for one in candidates if one.name not in failed]
    found: dict[int, list[dict[str, tuple[float, float]]]] = {key: [] for key in inputs}
    start, done = clock.wall(), 0
    while alive and done < MOST_ROUNDS and (not done or clock.wall() - start < seconds):
        for place in chance.permutation(len(inputs)).tolist():
            key = list(inputs)[place]
            turn = _turn(alive, inputs[key], chance, clock, failed)
            alive = [one for one in alive if one.name in turn]
            found[key].append(turn)
        done += 1
        progress("timing", done, None)
    times = {
        one.name: {key: _times([turn[one.name] for turn in turns]) for key, turns in found.items()}
        for one in alive
    }
    return Turns(times, failed, dict.fromkeys(inputs, done))


def answers_by_turns(
    candidates: Sequence[Candidate],
    messages: Sequence[Feeds],
    *,
    seed: int,
    clock: Clock | None = None,
    progress: Progress = silent,
) -> Asked:
    """Let all candidates answer each message, in a random order, and time each answer.

    Args:
        candidates: one that fails is left out and told.
        messages: inputs.
        seed: of the order.
        clock: what is read before and after a call.
        progress: told "answering".
    """
    clock = clock or Clock()
    chance = np.random.default_rng(seed)
    failed: dict[str, str] = {}
    outputs: dict[str, list[Values]] = {one.name: [] for one in candidates}
    times: dict[str, list[tuple[float, float]]] = {one.name: [] for one in candidates}
    for number, feeds in enumerate(messages, 1):
        for place in chance.permutation(len(candidates)).tolist():
            one = candidates[place]
            if one.name in failed:
                continue
            try:
                took, values = _timed(one, feeds, clock)
            except Exception as error:  # a candidate may be of any library
                failed[one.name] = reason_of(error)
                continue
            outputs[one.name].append(values)
            times[one.name].append(took)
        progress("answering", number, len(messages))
    return Asked(
        {name: values for name, values in outputs.items() if name not in failed},
        {name: _times(pairs) for name, pairs in times.items() if name not in failed},
        failed,
    )


def reason_of(error: Exception) -> str:
    """What went wrong in one line, from an error of any library."""
    first = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    if isinstance(error, WinnowError):
        return first.rstrip(".")
    return ": ".join([type(error).__name__, *([first] if first else [])])[:_TOLD].rstrip(".")


def _warm_up(candidates: Sequence[Candidate], inputs: Mapping[int, Feeds]) -> dict[str, str]:
    failed = {}
    for one in candidates:
        try:
            for feeds in inputs.values():
                for _ in range(WARM_UP):
                    one.call(feeds)
        except Exception as error:  # a candidate may be of any library
            failed[one.name] = reason_of(error)
    return failed


def _turn(
    alive: Sequence[Candidate],
    feeds: Feeds,
    chance: np.random.Generator,
    clock: Clock,
    failed: dict[str, str],
) -> dict[str, tuple[float, float]]:
    """One call of each, timed; who fails now is left out from now on."""
    turn = {}
    for place in chance.permutation(len(alive)).tolist():
        one = alive[place]
        try:
            one.call(feeds)
            turn[one.name], _ = _timed(one, feeds, clock)
        except Exception as error:
            failed[one.name] = reason_of(error)
    return turn


def _timed(one: Candidate, feeds: Feeds, clock: Clock) -> tuple[tuple[float, float], Values]:
    wall, cpu = clock.wall(), clock.cpu()
    values = one.call(feeds)
    return (clock.wall() - wall, clock.cpu() - cpu), values


def _times(pairs: Sequence[tuple[float, float]]) -> Times:
    table = np.array(pairs, dtype=np.float64).reshape(-1, 2)
    return Times(table[:, 0], table[:, 1])
