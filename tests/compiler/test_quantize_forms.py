"""What each form stands for: its weights in floats, its bytes, and how it is told."""

from __future__ import annotations

import numpy as np

from tests.compiler.integers import drawn
from winnow.compiler.quantize_forms import Integers, Nibbles, Table
from winnow.compiler.quantize_weights import blocks, columns, rows


def test_inputs_in_floats_are_exact() -> None:
    """The others are as their columns say."""
    weights = drawn(1)
    rest = weights.copy()
    rest[[3, 9]] = 0.0
    form = Integers(columns(rest), (3, 9), weights[[3, 9]])
    found = form.floats()
    assert np.array_equal(found[[3, 9]], weights[[3, 9]])
    others = np.delete(np.arange(64), [3, 9])
    assert np.array_equal(found[others], columns(rest).floats()[others])
    assert form.nbytes == columns(rest).nbytes + 4 * 2 * 64
    assert form.told == "8 bits, 2 inputs in floats"
    assert Integers(columns(rest), (3,), weights[[3]]).told == "8 bits, 1 input in floats"


def test_every_form_is_the_matrix_it_was_made_of() -> None:
    """The way round that the graph has it, and nearly the same numbers."""
    weights = drawn(2, 64, 80)
    for form, off, told in (
        (Integers(columns(weights)), 0.02, "8 bits"),
        (Nibbles(blocks(weights.T, 16)), 0.15, "4 bits in blocks of 16"),
        (Table(rows(weights)), 0.02, "8 bits"),
        (Table(blocks(weights, 32)), 0.15, "4 bits in blocks of 32"),
    ):
        found = form.floats()
        assert found.shape == weights.shape
        assert 0 < np.linalg.norm(found - weights) < off * np.linalg.norm(weights)
        assert form.told == told
        assert told.startswith(f"{form.bits} bits")
        assert form.nbytes == form.weights.nbytes
