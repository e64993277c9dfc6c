"""The experts, their combiner and the online step."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from winnow.evidence import Evidence
from winnow.runtime import NO_STEP, Combiner, Reflex, Step, sigmoid
from winnow.runtime.reflex import INTERCEPT_RATE, LARGEST_MOVE, MARGIN, ONLINE_RATE

ROOM = 100
FLOATS = st.floats(-100, 100, width=32)
STEPS = st.builds(Step, st.tuples(FLOATS, FLOATS, FLOATS, FLOATS), FLOATS)


def _room(room: int) -> st.SearchStrategy[np.ndarray]:
    buckets = st.lists(st.integers(room, room + ROOM - 1), max_size=8, unique=True)
    return buckets.map(lambda found: np.array(sorted(found), dtype=np.uint32))


EVIDENCE = st.builds(Evidence, _room(0), _room(ROOM), _room(2 * ROOM), _room(0))


def _evidence(first: int) -> Evidence:
    buckets = np.arange(first, first + 9, dtype=np.uint32)
    return Evidence(buckets, buckets + ROOM, buckets + 2 * ROOM, buckets)


def _reflex(seed: int, gains: tuple[float, float, float, float] = (0.3, 0.4, 0.2, 0.5)) -> Reflex:
    """Random weights; scores of some units."""
    random = np.random.default_rng(seed)
    content, stream = (random.normal(0, 3, n).astype(np.float32) for n in (3 * ROOM, ROOM))
    return Reflex(content, stream, tuple(random.normal(size=4).tolist()), Combiner(gains, 0.3))


@given(EVIDENCE, st.integers(0, 5))
def test_log_odds_are_what_the_formula_says(evidence: Evidence, seed: int) -> None:
    """Sum over experts of gain times (bias plus sum of weights over root of their number)."""
    reflex = _reflex(seed)
    expected = 0.3
    named = (evidence.words, evidence.grams, evidence.traits, evidence.stream)
    for k, buckets in enumerate(named):
        weights = reflex.stream if k == 3 else reflex.content
        if len(buckets):
            score = sum(float(weights[b]) for b in buckets) / math.sqrt(len(buckets))
            expected += reflex.combiner.gains[k] * (reflex.biases[k] + score)
    assert reflex.log_odds(evidence) == pytest.approx(expected, abs=1e-4)
    assert reflex.probability(evidence) == pytest.approx(1 / (1 + math.exp(-expected)), abs=1e-4)


def test_a_blank_reflex_does_not_know() -> None:
    """Without any learning every message gets one half."""
    assert Reflex.blank(3 * ROOM, ROOM).probability(_evidence(0)) == 0.5


@given(STEPS)
def test_steps_are_stored_and_read(step: Step) -> None:
    """A step survives the store."""
    assert Step.from_bytes(step.to_bytes()) == step
    assert len(step.to_bytes()) == 20


@pytest.mark.parametrize(
    "data", [b"", b"short", b"x" * 21, b"\0" * 16 + b"\0\0\xc0\x7f", b"\0\0\x80\x7f" + b"\0" * 16]
)
def test_a_damaged_step_is_refused(data: bytes) -> None:
    """Another length, a NaN or an infinity never reaches the weights."""
    with pytest.raises(ValueError, match="a step"):
        Step.from_bytes(data)


@given(EVIDENCE, STEPS)
def test_a_step_taken_back_leaves_nothing(evidence: Evidence, step: Step) -> None:
    """The opposite step restores the weights to within single precision."""
    reflex, before = _reflex(1), _reflex(1)
    reflex.apply(evidence, step)
    reflex.apply(evidence, -step)
    assert np.abs(reflex.content - before.content).max() < 1e-4
    assert np.abs(reflex.stream - before.stream).max() < 1e-4
    assert reflex.combiner.intercept == pytest.approx(before.combiner.intercept, abs=1e-6)


@given(st.lists(st.tuples(EVIDENCE, STEPS), max_size=5))
def test_steps_commute(taught: list[tuple[Evidence, Step]]) -> None:
    """Processes that take over corrections in another order have the same weights."""
    one, two = _reflex(2), _reflex(2)
    for evidence, step in taught:
        one.apply(evidence, step)
    for evidence, step in reversed(taught):
        two.apply(evidence, step)
    assert np.abs(one.content - two.content).max() < 1e-3
    assert one.combiner.intercept == pytest.approx(two.combiner.intercept, abs=1e-9)


@given(EVIDENCE, st.booleans(), st.integers(0, 20))
def test_a_correction_puts_its_message_on_the_right_side(
    evidence: Evidence, spam: bool, seed: int
) -> None:
    """By MARGIN, if LARGEST_MOVE gets there; and it never moves further than that."""
    reflex = _reflex(seed)
    side = 1.0 if spam else -1.0
    before = side * reflex.log_odds(evidence)
    reflex.apply(evidence, reflex.step_for(evidence, spam=spam))
    after = side * reflex.log_odds(evidence)
    assert after >= before - 1e-4
    plain = sum(reflex.combiner.gains) * ONLINE_RATE
    assert after - before <= max(LARGEST_MOVE, plain) + INTERCEPT_RATE + 1e-3
    if len(evidence.words) and before > -LARGEST_MOVE + MARGIN:
        assert after >= MARGIN - 1e-3


def test_one_voice_does_not_rewrite_the_model() -> None:
    """Where the model is surest of the opposite, a correction moves it by LARGEST_MOVE."""
    reflex, evidence = _reflex(0), _evidence(0)
    reflex.content[:] = reflex.stream[:] = -20.0
    before = reflex.log_odds(evidence)
    assert before < -3 * LARGEST_MOVE
    reflex.apply(evidence, reflex.step_for(evidence, spam=True))
    assert reflex.log_odds(evidence) - before == pytest.approx(LARGEST_MOVE, abs=0.1)


def test_an_expert_that_is_not_heard_is_not_driven_up() -> None:
    """Insisting scales the experts that can move the answer; gain 0 takes the plain step."""
    reflex = _reflex(0, gains=(0.05, 0.0, 0.0, 0.0))
    reflex.combiner = Combiner(reflex.combiner.gains, -5.0)
    step = reflex.step_for(_evidence(0), spam=True)
    assert abs(step.amounts[0]) * 3 > ONLINE_RATE
    assert max(abs(amount) * 3 for amount in step.amounts[1:]) <= ONLINE_RATE


def test_without_insistence_the_step_is_the_gradient() -> None:
    """A stream of labelled mail moves each expert's score by its rate times its error."""
    reflex, evidence = _reflex(3), _evidence(5)
    scores = reflex.scores(evidence)
    step = reflex.step_for(evidence, spam=True, insist=False)
    moves = [amount * math.sqrt(9) for amount in step.amounts]
    assert moves == pytest.approx([ONLINE_RATE * (1 - sigmoid(score)) for score in scores])


@given(EVIDENCE, EVIDENCE, STEPS, st.booleans())
def test_taking_back_at_once_is_taking_back_first(
    evidence: Evidence, earlier: Evidence, step: Step, spam: bool
) -> None:
    """The step that relabels is the one that follows a retraction, for another copy as well."""
    step = Step(tuple(a / 20 for a in step.amounts), step.intercept / 20)  # type: ignore[arg-type]
    reflex = _reflex(4)
    reflex.apply(earlier, step)
    at_once = reflex.step_for(evidence, spam=spam, taken_back=(earlier, step))
    reflex.apply(earlier, -step)
    then = reflex.step_for(evidence, spam=spam)
    assert at_once.amounts == pytest.approx(then.amounts, rel=1e-3, abs=1e-3)
    assert at_once.intercept == pytest.approx(then.intercept, abs=1e-4)


@pytest.mark.parametrize("place", range(4))
def test_evidence_of_another_space_changes_nothing(place: int) -> None:
    """A row of a damaged store is refused as a whole, before the first weight is touched."""
    reflex = _reflex(5)
    arrays = [np.arange(3, dtype=np.uint32) for _ in range(4)]
    arrays[place] = np.array([0, 10**6], dtype=np.uint32)
    before = reflex.content.copy(), reflex.stream.copy(), reflex.combiner
    with pytest.raises(ValueError, match="another space"):
        reflex.apply(Evidence(*arrays), Step((1, 1, 1, 1), 1))
    assert reflex.content.tobytes() == before[0].tobytes()
    assert reflex.stream.tobytes() == before[1].tobytes()
    assert reflex.combiner == before[2]


def test_no_step_is_none() -> None:
    """NO_STEP moves nothing."""
    reflex = _reflex(6)
    reflex.apply(_evidence(0), NO_STEP)
    assert reflex.content.tobytes() == _reflex(6).content.tobytes()


@given(st.floats(allow_nan=False))
def test_sigmoid_holds_at_the_ends(log_odds: float) -> None:
    """No overflow whatever the log-odds; opposite odds add up to 1."""
    assert 0.0 <= sigmoid(log_odds) <= 1.0
    assert sigmoid(log_odds) + sigmoid(-log_odds) == pytest.approx(1.0)


def test_sigmoid_values() -> None:
    """One half in the middle, 0.9 at the logarithm of 9, exact ends."""
    assert sigmoid(0.0) == 0.5
    assert sigmoid(math.log(9)) == pytest.approx(0.9)
    assert sigmoid(-math.inf) == 0.0
    assert sigmoid(math.inf) == 1.0
