"""What is lost when a part of one layer goes: measured on messages, before anything is cut.

Of each layer a quarter, a half and three quarters of its heads or neurons are cut by a ranking, or
the whole layer is left out, while the rest of the graph stays; what is left of the layer makes up
for the loss where moments are known, as it will in the end. Log-odds before and after are compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from winnow.compiler.anatomy import Anatomy, anatomy_of
from winnow.compiler.head import SIGMOID, SOFTMAX, Head, head_of
from winnow.compiler.inputs import Feeds, feeds_of
from winnow.compiler.passes import Run
from winnow.compiler.prune import Keep, Plan, columns_of, cut, values_of, weights_of, whole
from winnow.compiler.prune_fit import last_of, made_up, set_product
from winnow.compiler.prune_scores import LayerMoments, Ranking, chunks
from winnow.errors import InputError

F64 = NDArray[np.float64]
Flags = NDArray[np.bool_]
Tell = Callable[[int, int], None]

HEADS, NEURONS, LAYER = "heads", "neurons", "layer"
SHARES = (0.25, 0.5, 0.75)
_LENGTHS = (3, 7)


@dataclass(frozen=True, slots=True)
class Effect:
    """What one cut does.

    Attributes:
        layer: its number.
        part: HEADS, NEURONS or LAYER.
        share: of them that is gone, as far as it can be: of 6 heads half a quarter are none.
        gone: how many.
        moved: mean square of the change of log-odds.
        loss: by how much the mean logistic loss grew, in nats; None without labels.
    """

    layer: int
    part: str
    share: float
    gone: int
    moved: float
    loss: float | None


def sensitivity(
    model: ir.Model,
    anatomy: Anatomy,
    ranking: Ranking,
    moments: Sequence[LayerMoments] | None,
    run: Run,
    feeds: Sequence[Feeds],
    labels: Flags | None = None,
    tell: Tell = lambda done, total: None,
) -> list[Effect]:
    """Measure what each layer can do without.

    Args:
        model: the whole graph.
        anatomy: of it.
        ranking: what goes last.
        moments: to make up with what is left; None is not to.
        run: runs a graph.
        feeds: messages without padding.
        labels: (n,) True for spam, where they are known.
        tell: told how many of how many cuts are measured.

    Raises:
        InputError: the graph is no classifier of two classes, or its answers are no numbers.
    """
    before = log_odds_of(model, run, feeds)
    trials = list(_trials(anatomy, ranking))
    found = []
    for done, (layer, part, gone, plan) in enumerate(trials, start=1):
        smaller = cut(model, plan)
        if moments is not None and part != LAYER:
            _make_up(smaller, model, anatomy, plan, layer, part, moments[layer])
        after = log_odds_of(smaller, run, feeds)
        most = 1 if part == LAYER else _sizes(anatomy, layer)[part]
        moved = float(np.mean((after - before) ** 2))
        loss = None if labels is None else logistic(after, labels) - logistic(before, labels)
        found.append(Effect(layer, part, gone / most, gone, moved, loss))
        tell(done, len(trials))
    return found


def logistic(log_odds: F64, labels: Flags) -> float:
    """Mean logistic loss, in nats."""
    return float(np.logaddexp(0.0, np.where(labels, -log_odds, log_odds)).mean())


def log_odds_of(model: ir.Model, run: Run, feeds: Sequence[Feeds]) -> F64:
    """Log-odds that a classifier gives for messages, (n,).

    Raises:
        InputError: it is no classifier of two classes, or an answer is no number.
    """
    head = _answer_of(model, run)
    found: list[float] = []
    for chunk in chunks(feeds):
        outputs = run(model, chunk, [head.output])
        found += [_log_odds(values[0], head.form) for values in outputs]
    if not np.isfinite(found).all():
        raise InputError("the graph gives answers that are no numbers on this mail.")
    return np.array(found)


def _answer_of(model: ir.Model, run: Run) -> Head:
    """The output that says spam or ham: what has one size at two lengths of a message."""
    names = [output.name or "" for output in model.graph.outputs]
    trials = [feeds_of(model, 1, tokens, 0, full=True) for tokens in _LENGTHS]
    short, long = (dict(zip(names, found, strict=True)) for found in run(model, trials, names))
    head = head_of(model, short, long)
    if head.classes > 2:
        raise InputError(f"the graph tells {head.classes} classes apart; two are wanted.")
    return head


def _log_odds(answer: NDArray[np.generic], form: str) -> float:
    values = answer.astype(np.float64).ravel()
    if form in (SOFTMAX, SIGMOID):
        with np.errstate(divide="ignore"):
            values = np.log(values) - (np.log1p(-values) if form == SIGMOID else 0.0)
    return float(values[1] - values[0]) if len(values) == 2 else float(values[0])


def _trials(anatomy: Anatomy, ranking: Ranking) -> Iterator[tuple[int, str, int, Plan]]:
    """Layer, part, how many go, and the plan of each cut."""
    keep = whole(anatomy).layers
    for number, layer in enumerate(anatomy.layers):
        for part, most in _sizes(anatomy, number).items():
            for gone in sorted({round(share * most) for share in SHARES} - {0, most}):
                left = _kept(anatomy, ranking, number, part, most - gone)
                yield number, part, gone, Plan((*keep[:number], left, *keep[number + 1 :]))
        if layer.leaves and len(keep) > 1:
            yield number, LAYER, 1, Plan((*keep[:number], None, *keep[number + 1 :]))


def _sizes(anatomy: Anatomy, number: int) -> dict[str, int]:
    layer = anatomy.layers[number]
    return {HEADS: layer.attention.heads, NEURONS: layer.feed.neurons}


def _kept(anatomy: Anatomy, ranking: Ranking, number: int, part: str, count: int) -> Keep:
    sizes = _sizes(anatomy, number) | {part: count}
    return kept(ranking, number, sizes[HEADS], sizes[NEURONS])


def kept(ranking: Ranking, layer: int, heads: int, neurons: int) -> Keep:
    """What is worth most of a layer, in the order in which it stands."""
    return Keep(
        tuple(sorted(ranking.heads[layer][:heads].tolist())),
        tuple(sorted(ranking.neurons[layer][:neurons].tolist())),
    )


def _make_up(
    smaller: ir.Model,
    model: ir.Model,
    anatomy: Anatomy,
    plan: Plan,
    number: int,
    part: str,
    moments: LayerMoments,
) -> None:
    """Let what is left of one half make up for what was cut, in place."""
    keep, old, new = plan.layers[number], anatomy.layers[number], anatomy_of(smaller).layers[number]
    assert keep is not None
    if part == HEADS:
        was, now, seen = last_of(old.attention), last_of(new.attention), moments.heads
        rows = columns_of(keep.heads, old.attention.size)
    else:
        was, now, seen = last_of(old.feed), last_of(new.feed), moments.neurons
        rows = np.array(keep.neurons)
    kernel, bias = weights_of(values_of(model), was)
    fresh, added = made_up(kernel, seen, rows)
    set_product(smaller, now, fresh, added if bias is None else bias.ravel() + added)
