"""Matrices as integers: how far off they are, on which processors they are right, and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from winnow.compiler.quantize_weights import (
    LARGEST,
    PAIR,
    blocks,
    columns,
    fitted_blocks,
    packed,
    relative_error,
    rows,
    unpacked,
)

F32 = NDArray[np.float32]
SEEDS = st.integers(0, 999)
SIZES = st.integers(1, 20)


def _drawn(seed: int, n: int, k: int) -> F32:
    random = np.random.default_rng(seed)
    return (random.normal(size=(n, k)) * np.exp(random.normal(0, 2, k))).astype(np.float32)


def _without_vnni(x: NDArray[np.uint8], w: NDArray[np.int8]) -> NDArray[np.int64]:
    """A product as AVX2 computes it: sums of two are cut off at 16 bits (vpmaddubsw)."""
    odd = len(w) % 2
    x = np.pad(x, ((0, 0), (0, odd))).astype(np.int64)
    w = np.pad(w, ((0, odd), (0, 0))).astype(np.int64)
    first = x[:, 0::2, None] * w[None, 0::2]
    both = first + x[:, 1::2, None] * w[None, 1::2]
    return np.clip(both, -(2**15), 2**15 - 1).sum(axis=1)


@given(SEEDS, SIZES, SIZES)
def test_columns_are_right_without_vnni(seed: int, n: int, k: int) -> None:
    """Whatever the activations are, no sum of two products leaves 16 bits."""
    random = np.random.default_rng(seed)
    found = columns(_drawn(seed, n, k))
    for x in (
        np.full((1, n), 255, dtype=np.uint8),
        random.choice([0, 255], size=(9, n)).astype(np.uint8),
        random.integers(0, 256, (9, n)).astype(np.uint8),
    ):
        exact = x.astype(np.int64) @ found.steps.astype(np.int64)
        assert np.array_equal(_without_vnni(x, found.steps), exact)


def test_without_the_bound_they_would_be_wrong() -> None:
    """The test above can fail: 127 and 127 meet, and what does not fit is lost."""
    x = np.full((1, 4), 255, dtype=np.uint8)
    w = np.full((4, 1), LARGEST, dtype=np.int8)
    assert _without_vnni(x, w)[0, 0] == 2 * (2**15 - 1) < 4 * 255 * LARGEST
    assert (columns(np.ones((4, 1), dtype=np.float32)).steps == PAIR // 2).all()


@given(SEEDS, SIZES, SIZES)
def test_each_weight_moves_by_half_a_step_at_most(seed: int, n: int, k: int) -> None:
    """And a step is that of its own column, at most 1/64 of the largest weight."""
    weights = _drawn(seed, n, k)
    found = columns(weights)
    largest = np.abs(weights).max(axis=0)
    assert (found.scales <= largest / 64 * 1.02 + 1e-30).all()
    assert (found.scales >= largest / LARGEST * (1 - 1e-6)).all()
    assert (np.abs(found.floats() - weights) <= found.scales * 0.5 * (1 + 1e-4)).all()


def test_a_step_is_as_small_as_the_pairs_let_it() -> None:
    """Where large weights do not meet, nothing is lost to the bound."""
    weights = np.zeros((6, 3), dtype=np.float32)
    weights[0] = [1.0, 1.0, 1.0]
    weights[1] = [0.0, -1.0, 1.0]  # alone, of the other sign, of the same sign
    assert columns(weights).scales == pytest.approx([1 / 127, 1 / 127, 2 / 128])


def test_nothing_stays_nothing() -> None:
    """A column, row or block of zeros is zeros, without dividing by its size."""
    weights = _drawn(4, 32, 32)
    weights[:, 7] = weights[7, :] = 0.0
    for found in (columns(weights), rows(weights), blocks(weights, 16)):
        assert np.isfinite(found.scales).all()
        assert (found.floats()[:, 7] == 0).all()
        assert (found.floats()[7, :] == 0).all()


@given(SEEDS, SIZES, SIZES)
def test_rows_have_steps_of_their_own(seed: int, n: int, k: int) -> None:
    """Each value is off by half of its row's step at most, whatever the other rows hold."""
    weights = _drawn(seed, n, k)
    found = rows(weights)
    assert found.scales[:, 0] == pytest.approx(np.abs(weights).max(axis=1) / LARGEST, rel=1e-5)
    assert (np.abs(found.floats() - weights) <= found.scales * 0.5 * (1 + 1e-4)).all()


@given(SEEDS, st.integers(1, 6), st.integers(1, 70), st.sampled_from([16, 32]))
def test_blocks_are_off_by_a_step_at_most(seed: int, n: int, k: int, size: int) -> None:
    """Half a step, but for what is as far from 0 on the side with one step less."""
    matrix = _drawn(seed, n, k)
    found = blocks(matrix, size)
    assert found.scales.shape == (n, -(-k // size))
    step = np.repeat(np.abs(found.scales), size, axis=1)[:, :k]
    assert (np.abs(found.floats() - matrix) <= step * (1 + 1e-4)).all()
    far = np.abs(matrix) > 7.5 * step
    assert (np.abs(found.floats() - matrix)[~far] <= (step * 0.5 * (1 + 1e-4))[~far]).all()


@given(SEEDS, st.integers(1, 5), st.integers(1, 9))
def test_two_steps_in_a_byte(seed: int, n: int, k: int) -> None:
    """The first in the low half; and back."""
    steps = np.random.default_rng(seed).integers(-8, 8, (n, k)).astype(np.int8)
    data = packed(steps)
    assert data.shape == (n, (k + 1) // 2)
    assert ((data[:, 0] & 15).astype(int) - 8 == steps[:, 0]).all()
    assert np.array_equal(unpacked(data, k), steps)


@pytest.mark.parametrize("size", [16, 32])
def test_fitted_blocks_change_products_less(size: int) -> None:
    """Where activations go together, an error in one weight is made up for by others."""
    random = np.random.default_rng(5)
    seen = (random.normal(size=(400, 8)) @ random.normal(size=(8, 48))).astype(np.float32)
    seen += 0.1 * random.normal(size=seen.shape).astype(np.float32)
    matrix = random.normal(size=(20, 48)).astype(np.float32)

    def off(found: F32) -> float:
        return float(np.linalg.norm(seen @ (found - matrix).T))

    fitted = fitted_blocks(matrix, size, seen)
    assert 0 < off(fitted.floats()) < 0.6 * off(blocks(matrix, size).floats())
    assert fitted.scales.shape == (20, -(-48 // size))


def test_blocks_are_fitted_to_nothing_as_they_are() -> None:
    """Activations that are all 0 say nothing: each value goes to its next step."""
    matrix = _drawn(6, 5, 40)
    fitted = fitted_blocks(matrix, 16, np.zeros((3, 40), dtype=np.float32))
    assert np.array_equal(fitted.steps, blocks(matrix, 16).steps)


def test_sizes_are_those_of_what_is_kept() -> None:
    """A byte for each weight, or half of one, and four for each scale."""
    weights = _drawn(1, 64, 32)
    assert columns(weights).nbytes == 64 * 32 + 4 * 32
    assert rows(weights).nbytes == 64 * 32 + 4 * 64
    assert blocks(weights, 16).nbytes == 64 * 32 // 2 + 4 * 64 * 2


def test_errors_are_told_against_the_largest_weight() -> None:
    """A hundredth of it off is 0.01, however large it is."""
    weights = np.array([[2.0, -200.0]], dtype=np.float32)
    assert relative_error(weights, weights) == 0
    assert relative_error(weights, weights + np.float32(2.0)) == pytest.approx(0.01)
    assert relative_error(np.zeros((2, 2), np.float32), np.zeros((2, 2), np.float32)) == 0
