"""To first order, what is worth most is what the loss would miss most."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("jax", reason="the extra [train] is not installed")

from tests.model.tiny import random_tokens, random_weights, small_shape
from winnow.model.network import shapes_of
from winnow.training.importance import first_order
from winnow.training.reader import answer, weighted_loss
from winnow.training.reader_data import TokenRows

SHAPE = small_shape()
WEIGHTS = random_weights(SHAPE)


def _rows(count: int) -> TokenRows:
    tokens = [random_tokens(SHAPE, 5, seed) for seed in range(count)]
    return TokenRows(tokens, (np.arange(count) % 2).astype(np.float32), np.ones(count))


def test_it_is_the_slope_of_silencing() -> None:
    """Of one batch: the square of what the loss changes when a part is turned down a little."""
    rows, step = _rows(4), 1e-2
    worth = first_order(WEIGHTS, rows, SHAPE, batch=4)
    assert [(len(heads), len(neurons)) for heads, neurons in worth] == [(2, 24), (2, 24)]
    for name, places, found in (
        ("layer0.down.kernel", [3], worth[0][1][3]),
        ("layer1.down.kernel", [20], worth[1][1][20]),
        ("layer0.output.kernel", list(range(8, 16)), worth[0][0][1]),
    ):
        losses = []
        for factor in (1 - step, 1 + step):
            kernel = WEIGHTS[name].copy()
            kernel[places] *= factor
            losses.append(weighted_loss(answer(WEIGHTS | {name: kernel}, rows, SHAPE), rows))
        slope = (losses[1] - losses[0]) / (2 * step)
        assert found == pytest.approx(slope**2, rel=0.02, abs=1e-8)
        assert abs(slope) > 1e-4


def test_what_adds_nothing_is_worth_nothing() -> None:
    """A row of zeros has no slope along it; batches are summed up."""
    kernel = WEIGHTS["layer1.down.kernel"].copy()
    kernel[7] = 0
    told: list[tuple[int, int]] = []
    rows = _rows(6)
    worth = first_order(
        WEIGHTS | {"layer1.down.kernel": kernel}, rows, SHAPE, 2, lambda *done: told.append(done)
    )
    assert worth[1][1][7] == 0
    assert np.delete(worth[1][1], 7).min() > 0
    assert told == [(2, 6), (4, 6), (6, 6)]


def test_a_reader_that_was_cut_has_parts_of_its_own() -> None:
    """Layers with fewer heads and neurons are ranked as they are."""
    from dataclasses import replace

    shape = replace(SHAPE, left=((1, 5), (2, 24)))
    weights = {name: np.ones(size, np.float32) for name, size in shapes_of(shape).items()}
    worth = first_order(weights, _rows(2), shape)
    assert [(len(heads), len(neurons)) for heads, neurons in worth] == [(1, 5), (2, 24)]
