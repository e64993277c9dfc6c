"""The experts, their combiner and the online step."""

from __future__ import annotations

import numpy as np
import pytest

from winnow.evidence import Evidence
from winnow.runtime import Reflex, Step, sigmoid


def _evidence(first: int) -> Evidence:
    buckets = np.arange(first, first + 9, dtype=np.uint32)
    return Evidence(buckets, buckets + 100, buckets + 200, buckets)


def test_a_step_taken_back_leaves_nothing() -> None:
    """Steps add up, so that the opposite step restores the weights."""
    reflex = Reflex.blank(512, 512)
    step = reflex.step_for(_evidence(0), spam=True)
    reflex.apply(_evidence(0), step)
    assert reflex.probability(_evidence(0)) > 0.6
    reflex.apply(_evidence(0), -step)
    assert reflex.probability(_evidence(0)) == pytest.approx(0.5, abs=1e-6)


def test_a_correction_puts_its_message_on_the_right_side() -> None:
    """Also when the model was sure of the opposite."""
    reflex = Reflex.blank(512, 512)
    reflex.content[:] = -3.0
    for _ in range(3):
        reflex.apply(_evidence(0), reflex.step_for(_evidence(0), spam=True))
    assert reflex.probability(_evidence(0)) > 0.5


def test_steps_are_stored_and_read() -> None:
    """A step survives the store; anything else is refused."""
    step = Step((1.0, -2.0, 0.5, 0.25), 0.125)
    assert Step.from_bytes(step.to_bytes()) == step
    with pytest.raises(ValueError, match="20 bytes"):
        Step.from_bytes(b"short")


def test_sigmoid_holds_at_the_ends() -> None:
    """No overflow, whatever the log-odds."""
    assert sigmoid(-1e6) == 0.0
    assert sigmoid(1e6) == 1.0
    assert sigmoid(0.0) == 0.5
