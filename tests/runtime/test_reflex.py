"""The experts, their combiner and the online step."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from winnow.evidence import Evidence
from winnow.runtime import NO_STEP, Combiner, Reflex, Step, sigmoid
from winnow.runtime.reflex import INTERCEPT_RATE, LARGEST_MOVE, MARGIN, ONLINE_RATES

BITS = (6, 6, 5, 7)
FLOATS = st.floats(-100, 100, width=32)
STEPS = st.builds(Step, st.tuples(FLOATS, FLOATS, FLOATS, FLOATS), FLOATS)


def _hashes(bits: int) -> st.SearchStrategy[np.ndarray]:
    """Hashes that are found at different weights of 2**bits."""
    found = st.lists(st.integers(0, (1 << bits) - 1), max_size=8, unique=True)
    return found.map(lambda places: np.array(sorted(places), dtype=np.uint32) << (32 - bits))


EVIDENCE = st.builds(Evidence, *map(_hashes, BITS))


def _evidence(first: int) -> Evidence:
    places = np.arange(first, first + 9, dtype=np.uint32)
    return Evidence(*(places << np.uint32(32 - bits) for bits in BITS))


def _reflex(seed: int, gains: tuple[float, float, float, float] = (0.3, 0.4, 0.2, 0.5)) -> Reflex:
    """Random weights; scores of some units."""
    random = np.random.default_rng(seed)
    weights = [random.normal(0, 3, 1 << bits).astype(np.float32) for bits in BITS]
    return Reflex(weights, tuple(random.normal(size=4).tolist()), Combiner(gains, 0.3))


def _apart(one: Reflex, two: Reflex) -> float:
    """Largest difference of a weight."""
    pairs = zip(one.weights, two.weights, strict=True)
    return max(float(np.abs(a - b).max()) for a, b in pairs)


@given(EVIDENCE, st.integers(0, 5))
def test_log_odds_are_what_the_formula_says(evidence: Evidence, seed: int) -> None:
    """Sum over experts of gain times (bias plus sum of weights over root of their number)."""
    reflex = _reflex(seed)
    expected = 0.3
    for k, hashes in enumerate(evidence.kinds):
        weights, shift = reflex.weights[k], 32 - BITS[k]
        if len(hashes):
            score = sum(float(weights[h >> shift]) for h in hashes) / math.sqrt(len(hashes))
            expected += reflex.combiner.gains[k] * (reflex.biases[k] + score)
    assert reflex.log_odds(evidence) == pytest.approx(expected, abs=1e-4)
    assert reflex.probability(evidence) == pytest.approx(1 / (1 + math.exp(-expected)), abs=1e-4)


@given(EVIDENCE, EVIDENCE, st.sets(st.sampled_from(["words", "grams", "traits", "stream"])))
def test_only_what_changed_is_scored_again(
    before: Evidence, other: Evidence, changed: set[str]
) -> None:
    """The scores of changed evidence, and no look at arrays that are the same ones."""
    reflex = _reflex(2)
    after = replace(before, **{name: getattr(other, name) for name in changed})
    scores = reflex.scores(before)
    assert reflex.rescored(after, scores, before) == pytest.approx(reflex.scores(after))
    assert reflex.rescored(before, (1.0, 2.0, 3.0, 4.0), before) == (1.0, 2.0, 3.0, 4.0)


def test_a_blank_reflex_does_not_know() -> None:
    """Without any learning every message gets one half."""
    assert Reflex.blank(BITS).probability(_evidence(0)) == 0.5


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
    assert _apart(reflex, before) < 1e-4
    assert reflex.combiner.intercept == pytest.approx(before.combiner.intercept, abs=1e-6)


@given(st.lists(st.tuples(EVIDENCE, STEPS), max_size=5))
def test_steps_commute(taught: list[tuple[Evidence, Step]]) -> None:
    """Processes that take over corrections in another order have the same weights."""
    one, two = _reflex(2), _reflex(2)
    for evidence, step in taught:
        one.apply(evidence, step)
    for evidence, step in reversed(taught):
        two.apply(evidence, step)
    assert _apart(one, two) < 1e-3
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
    assert after - before <= LARGEST_MOVE + INTERCEPT_RATE + 1e-3
    if len(evidence.words) and before > -LARGEST_MOVE + MARGIN:
        assert after >= MARGIN - 1e-3


def test_one_voice_does_not_rewrite_the_model() -> None:
    """Where the model is surest of the opposite, a correction moves it by LARGEST_MOVE."""
    reflex, evidence = _reflex(0), _evidence(0)
    for weights in reflex.weights:
        weights[:] = -20.0
    before = reflex.log_odds(evidence)
    assert before < -3 * LARGEST_MOVE
    reflex.apply(evidence, reflex.step_for(evidence, spam=True))
    assert reflex.log_odds(evidence) - before == pytest.approx(LARGEST_MOVE, abs=0.1)


def test_an_expert_that_is_not_heard_is_not_driven_up() -> None:
    """Insisting scales the experts that can move the answer; gain 0 takes the plain step."""
    reflex = _reflex(0, gains=(0.05, 0.0, 0.0, 0.0))
    reflex.combiner = Combiner(reflex.combiner.gains, -5.0)
    step = reflex.step_for(_evidence(0), spam=True)
    assert abs(step.amounts[0]) * 3 > ONLINE_RATES[0]
    silent = zip(step.amounts[1:], ONLINE_RATES[1:], strict=True)
    assert all(abs(amount) * 3 <= rate for amount, rate in silent)


def test_without_insistence_the_step_is_the_gradient() -> None:
    """A stream of labelled mail moves each expert's score by its rate times its error."""
    reflex, evidence = _reflex(3), _evidence(5)
    scores = reflex.scores(evidence)
    step = reflex.step_for(evidence, spam=True, insist=False)
    moves = [amount * math.sqrt(9) for amount in step.amounts]
    expected = [r * (1 - sigmoid(s)) for r, s in zip(ONLINE_RATES, scores, strict=True)]
    assert moves == pytest.approx(expected)


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


def test_a_smaller_model_looks_up_fewer_bits() -> None:
    """The same evidence, whatever the number of weights; what two hashes share moves once."""
    hashes = np.array([0x00000001, 0x7FFFFFFF, 0x80000000], dtype=np.uint32)
    nothing = np.zeros(0, dtype=np.uint32)
    evidence = Evidence(hashes, nothing, nothing, nothing)
    reflex = Reflex.blank((1, 1, 1, 1))
    reflex.apply(evidence, Step((2.0, 1.0, 1.0, 1.0), 0.0))
    assert reflex.weights[0].tolist() == [2.0, 2.0]
    assert reflex.weights_of("words", hashes).tolist() == [2.0, 2.0, 2.0]
    assert reflex.scores(evidence)[0] == pytest.approx(6 / math.sqrt(3))
    assert not any(weights.any() for weights in reflex.weights[1:])


def test_no_step_is_none() -> None:
    """NO_STEP moves nothing."""
    reflex = _reflex(6)
    reflex.apply(_evidence(0), NO_STEP)
    assert _apart(reflex, _reflex(6)) == 0.0


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
