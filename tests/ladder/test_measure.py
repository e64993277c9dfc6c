"""Taking turns: what is timed, in which order, for how long, and what becomes of who fails."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from winnow.errors import InputError
from winnow.ladder.measure import (
    MOST_ROUNDS,
    WARM_UP,
    Candidate,
    Clock,
    Feeds,
    Values,
    answers_by_turns,
    by_turns,
    reason_of,
)

INPUTS = {n: {"ids": np.zeros((1, n), np.int64)} for n in (2, 5)}


class Machine:
    """A machine whose time goes on only while a candidate works; half of it is the processor's."""

    def __init__(self) -> None:
        self.now = 0.0
        self.calls: list[tuple[str, int]] = []

    @property
    def clock(self) -> Clock:
        """Both times."""
        return Clock(wall=lambda: self.now, cpu=lambda: self.now / 2)

    def candidate(self, name: str, seconds: Callable[[int, int], float]) -> Candidate:
        """One that takes what is said: (tokens, how often it was called before) -> seconds."""
        made = 0

        def call(feeds: Feeds) -> Values:
            nonlocal made
            tokens = feeds["ids"].shape[1]
            self.now += seconds(tokens, made)
            self.calls.append((name, tokens))
            made += 1
            return [np.full(1, float(tokens))]

        return Candidate(name, call)


def test_times_are_of_the_candidate_and_the_input() -> None:
    """Wall and processor's time are told apart, and no call is taken for another's."""
    machine = Machine()
    slow = machine.candidate("slow", lambda tokens, _: 3.0 * tokens)
    fast = machine.candidate("fast", lambda tokens, _: 1.0 * tokens)
    found = by_turns([slow, fast], INPUTS, seconds=1_000, seed=0, clock=machine.clock)
    assert found.failed == {}
    for name, each in (("slow", 3.0), ("fast", 1.0)):
        for tokens in (2, 5):
            times = found.times[name][tokens]
            assert set(times.wall) == {each * tokens}
            assert set(times.cpu) == {each * tokens / 2}
            assert len(times.wall) == found.rounds[tokens]


def test_each_timed_call_follows_one_that_is_not() -> None:
    """The caches hold the candidate's weights: its first call after a neighbour does not count."""
    machine = Machine()

    def cold(tokens: int, made: int) -> float:
        return 100.0 if made % 2 == 0 else 1.0

    assert WARM_UP % 2 == 0
    ours = [machine.candidate(name, cold) for name in ("a", "b")]
    found = by_turns(ours, INPUTS, seconds=1_000, seed=0, clock=machine.clock)
    assert set(found.times["a"][2].wall) == {1.0}


def test_all_take_turns_within_a_round() -> None:
    """In every round each candidate has its turn, in an order that changes."""
    machine = Machine()
    ours = [machine.candidate(name, lambda *_: 1.0) for name in "abc"]
    by_turns(ours, {2: INPUTS[2]}, seconds=100, seed=3, clock=machine.clock)
    timed = machine.calls[3 * WARM_UP :][::2]
    rounds = [tuple(name for name, _ in timed[n : n + 3]) for n in range(0, len(timed), 3)]
    assert all(sorted(one) == ["a", "b", "c"] for one in rounds)
    assert len(set(rounds)) > 2


def test_the_order_is_the_seeds() -> None:
    """The same seed gives the same order, another one another."""

    def order(seed: int) -> list[tuple[str, int]]:
        machine = Machine()
        ours = [machine.candidate(name, lambda *_: 1.0) for name in "abc"]
        by_turns(ours, INPUTS, seconds=60, seed=seed, clock=machine.clock)
        return machine.calls

    assert order(1) == order(1)
    assert order(1) != order(2)


@pytest.mark.parametrize(("seconds", "rounds"), [(0.5, 1), (7.9, 2), (8.1, 3)])
def test_it_ends_when_the_time_is_over(seconds: float, rounds: int) -> None:
    """A round takes 4 seconds here; none begins after the time is over, and one is always done."""
    machine = Machine()
    one = machine.candidate("one", lambda *_: 1.0)
    found = by_turns([one], INPUTS, seconds=seconds, seed=0, clock=machine.clock)
    assert found.rounds == {2: rounds, 5: rounds}


def test_it_ends_after_enough_rounds() -> None:
    """What takes no time is not measured for ever."""
    machine = Machine()
    one = machine.candidate("one", lambda *_: 0.0)
    found = by_turns([one], {2: INPUTS[2]}, seconds=9, seed=0, clock=machine.clock)
    assert found.rounds == {2: MOST_ROUNDS}


@pytest.mark.parametrize("at", [0, 2 * WARM_UP, 2 * WARM_UP + 3], ids=["first", "later", "timed"])
def test_who_fails_is_left_out_and_told(at: int) -> None:
    """The others are measured as if nothing had been."""
    machine = Machine()
    good = machine.candidate("good", lambda *_: 1.0)

    def break_down(tokens: int, made: int) -> float:
        if made >= at:
            raise ValueError("no such operator\nand a page of places")
        return 1.0

    found = by_turns(
        [machine.candidate("bad", break_down), good], INPUTS, seconds=60, seed=0,
        clock=machine.clock,
    )  # fmt: skip
    assert found.failed == {"bad": "ValueError: no such operator"}
    assert list(found.times) == ["good"]
    assert len(found.times["good"][2].wall) == found.rounds[2] > 1


def test_nobody_is_left() -> None:
    """When all fail it ends at once."""

    def fail(_: Feeds) -> Values:
        raise MemoryError

    found = by_turns([Candidate("bad", fail)], INPUTS, seconds=1e9, seed=0)
    assert (found.times, found.failed) == ({}, {"bad": "MemoryError"})


def test_messages_are_answered_by_all() -> None:
    """Each answer and each time is of its message, whatever the order was."""
    machine = Machine()
    ours = [machine.candidate("a", lambda t, _: 2.0 * t), machine.candidate("b", lambda t, _: t)]
    messages = [{"ids": np.zeros((1, n), np.int64)} for n in (4, 1, 3)]
    found = answers_by_turns(ours, messages, seed=0, clock=machine.clock)
    assert [values[0][0] for values in found.outputs["a"]] == [4, 1, 3]
    assert found.times["a"].wall.tolist() == [8, 2, 6]
    assert found.times["b"].cpu.tolist() == [2, 0.5, 1.5]
    names = [name for name, _ in machine.calls]
    assert all(sorted(names[n : n + 2]) == ["a", "b"] for n in (0, 2, 4))


def test_who_fails_on_a_message_is_left_out() -> None:
    """Half of the answers are no answers to compare."""

    def only_short(feeds: Feeds) -> Values:
        if feeds["ids"].shape[1] > 3:
            raise InputError("it is too long.")
        return [np.zeros(1)]

    machine = Machine()
    ours = [Candidate("short", only_short), machine.candidate("any", lambda *_: 1.0)]
    messages = [{"ids": np.zeros((1, n), np.int64)} for n in (2, 9, 2)]
    found = answers_by_turns(ours, messages, seed=0, clock=machine.clock)
    assert found.failed == {"short": "it is too long"}
    assert list(found.outputs) == list(found.times) == ["any"]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (InputError("a graph.\nmore"), "a graph"),
        (RuntimeError("\n  what it was \n"), "RuntimeError: what it was"),
        (KeyError("x" * 500), "KeyError: '" + "x" * 149),
    ],
)
def test_a_reason_is_one_short_line(error: Exception, told: str) -> None:
    """Errors of libraries are pages long."""
    assert reason_of(error) == told
