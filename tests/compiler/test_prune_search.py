"""The widths that are chosen are the best of all that there are, and within the budget."""

from __future__ import annotations

import itertools

import pytest

pytest.importorskip("onnx_ir", reason="the extra [compile] is not installed")

from tests.compiler.exports import Spelling, bert
from winnow.compiler.anatomy import Anatomy, anatomy_of
from winnow.compiler.fold import folded
from winnow.compiler.prune_search import (
    Width,
    multiply_adds,
    searched,
    widths_of,
)
from winnow.compiler.prune_sensitivity import HEADS, LAYER, NEURONS, Effect
from winnow.errors import InputError
from winnow.recipe_compile import run_graph

TOKENS = 10


@pytest.fixture(scope="module")
def anatomy() -> Anatomy:
    """Two layers of 4 heads, 4 wide each, and 32 neurons; 16 numbers a token."""
    return anatomy_of(folded(bert(Spelling()), run_graph).model)


def _effects(rates: dict[tuple[int, str], float]) -> list[Effect]:
    """Losses that grow with the square of the share that is gone, or of a layer as it is."""
    found = []
    for (layer, part), rate in rates.items():
        most = {HEADS: 4, NEURONS: 32, LAYER: 1}[part]
        for share in (0.25, 0.5, 0.75) if part != LAYER else (1.0,):
            loss = rate * share**2
            found.append(Effect(layer, part, share, round(share * most), loss, None))
    return found


def test_what_a_message_costs(anatomy: Anatomy) -> None:
    """Counted by hand: projections and both products of each head, and the feed-forward layer."""
    whole = widths_of(anatomy)
    assert whole == (Width(4, 32), Width(4, 32))
    one = 10 * (4 * 16 * 16 + 2 * 16 * 32) + 2 * 10 * 10 * 16
    assert multiply_adds(anatomy, whole, TOKENS) == 2 * one
    assert multiply_adds(anatomy, (None, Width(2, 8)), TOKENS) == (
        10 * (4 * 16 * 8 + 2 * 16 * 8) + 2 * 10 * 10 * 8
    )


def test_what_costs_least_goes_first(anatomy: Anatomy) -> None:
    """A layer whose heads do nothing loses them before another loses what it needs."""
    effects = _effects({(0, HEADS): 9, (0, NEURONS): 9, (1, HEADS): 0.01, (1, NEURONS): 9})
    budget = 0.8 * multiply_adds(anatomy, widths_of(anatomy), TOKENS)
    first, second = searched(anatomy, effects, TOKENS, budget)
    assert first is not None
    assert second is not None
    assert first.heads == 4
    assert second.heads == 1
    assert multiply_adds(anatomy, (first, second), TOKENS) <= budget


@pytest.mark.parametrize("part", [0.3, 0.5, 0.7, 0.9])
def test_no_other_choice_is_better(anatomy: Anatomy, part: float) -> None:
    """All choices of both layers are tried; costs are told apart to a 2000th of the budget."""
    rates = {(0, HEADS): 1, (0, NEURONS): 3, (1, HEADS): 2, (1, NEURONS): 0.7, (1, LAYER): 2.9}
    effects = _effects(rates)
    budget = part * multiply_adds(anatomy, widths_of(anatomy), TOKENS)

    def loss(layer: int, width: Width | None) -> float:
        if width is None:
            return rates.get((layer, LAYER), 1e9)
        return sum(
            _between(rates[layer, part], 1 - left / most)
            for part, left, most in ((HEADS, width.heads, 4), (NEURONS, width.neurons, 32))
        )

    each = [None, *(Width(h, f) for h in range(1, 5) for f in range(1, 33))]
    best = min(
        loss(0, one) + loss(1, two)
        for one, two in itertools.product(each, each)
        if multiply_adds(anatomy, (one, two), TOKENS) <= budget * (1 - 2 / 2_000)
    )
    found = searched(anatomy, effects, TOKENS, budget)
    assert multiply_adds(anatomy, found, TOKENS) <= budget
    # Neurons go in steps of two here: 32 are no more than 16 steps of 8.
    assert sum(loss(n, width) for n, width in enumerate(found)) <= best * 1.0001 + 1e-9


def _between(rate: float, share: float) -> float:
    """The curve that is drawn through squares measured at quarters."""
    ends = [(0.25 * n, rate * (0.25 * n) ** 2) for n in range(4)]
    for (a, low), (b, high) in itertools.pairwise(ends):
        if share <= b:
            return low + (high - low) * (share - a) / (b - a)
    (a, low), (b, high) = ends[-2:]
    return high + (high - low) * (share - b) / (b - a)


def test_a_layer_that_does_nothing_is_left_out(anatomy: Anatomy) -> None:
    """It is the cheapest half of the network."""
    effects = _effects(
        {(0, HEADS): 9, (0, NEURONS): 9, (1, HEADS): 9, (1, NEURONS): 9, (0, LAYER): 0.01}
    )
    budget = 0.5 * multiply_adds(anatomy, widths_of(anatomy), TOKENS)
    assert searched(anatomy, effects, TOKENS, budget) == (None, Width(4, 32))


def test_what_is_asked_for_may_be_too_much(anatomy: Anatomy) -> None:
    """One head and one neuron of each layer stay, or one layer; below that it is refused."""
    effects = _effects({(0, HEADS): 1, (0, NEURONS): 1, (1, HEADS): 1, (1, NEURONS): 1})
    with pytest.raises(InputError, match="as cheap as that"):
        searched(anatomy, effects, TOKENS, 100)
    both = effects + _effects({(0, LAYER): 1, (1, LAYER): 1})
    with pytest.raises(InputError, match="nothing but the embedding"):
        searched(anatomy, both, TOKENS, 100)
