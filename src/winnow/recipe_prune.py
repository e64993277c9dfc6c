"""A model that was looked into -> a narrower one: cut to widths, what is left fitted anew.

prune   a look and a wish -> the graph that was cut, fitted, perhaps trained again, and measured
write   that -> an artifact or an ONNX file
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from winnow import recipe
from winnow.answering import TOKENIZER_FILE
from winnow.compiler.anatomy import anatomy_of
from winnow.compiler.graph import executable, serialised
from winnow.compiler.inputs import Feeds, feeds_of
from winnow.compiler.passes import Report
from winnow.compiler.prune import Plan, cut, whole
from winnow.compiler.prune_fit import refitted
from winnow.compiler.prune_search import Width, multiply_adds, searched, widths_of
from winnow.compiler.prune_sensitivity import LAYER, kept, log_odds_of
from winnow.corpus import Corpus, deduplicate
from winnow.errors import InputError
from winnow.features import AnyTokenizer, Tokenizer, read_content
from winnow.features.pieces import REQUIRED, kept_pieces
from winnow.features.tokens import texts_of
from winnow.ladder.measure import Candidate, by_turns
from winnow.mail import parse
from winnow.recipe_compile import history_of, run_graph, write_subject
from winnow.recipe_look import Look, feeds_by, look_json
from winnow.runtime.session import Session
from winnow.training.metrics import Scored, summarize

F64 = NDArray[np.float64]
# Trains what was cut from a model, by a plan, for the tokenizer that it has then.
Recover = Callable[[Look, ir.Model, Plan, AnyTokenizer], ir.Model]

_TRIES = 6  # of a target, each with other widths
_SECONDS = 4.0  # for timing each of them


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to go.

    Attributes:
        heads, ffn: share of the heads and of the neurons of each layer, 0 to 1.
        layers: how many layers stay, or which; None is all.
        pieces: how many of the vocabulary stay; None is all.
        target: how many times faster it is to be; widths are searched then.
    """

    heads: float = 0.0
    ffn: float = 0.0
    layers: int | tuple[int, ...] | None = None
    pieces: int | None = None
    target: float | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing is to go."""
        return self == Wish()


@dataclass(frozen=True, slots=True)
class Pruned:
    """What became of a model.

    Attributes:
        look: at the model before.
        graph: the new one.
        plan: what stays of the old one.
        tokenizer: of its messages, None of a bare graph.
        recovered: whether it was trained again.
        times_faster: by CPU time, by turns.
        figures: of the reader before and after on the measured messages, by name.
    """

    look: Look
    graph: ir.Model
    plan: Plan
    tokenizer: AnyTokenizer | None
    recovered: bool
    times_faster: float
    figures: dict[str, dict[str, float | None]]

    @property
    def widths(self) -> tuple[Width | None, ...]:
        """Heads and neurons of each layer of before; None is one left out."""
        return tuple(
            None if one is None else Width(len(one.heads), len(one.neurons))
            for one in self.plan.layers
        )

    @property
    def multiply_adds(self) -> tuple[int, int]:
        """Of a message of the middle length, before and after."""
        anatomy, tokens = self.look.anatomy, self.look.tokens
        before = multiply_adds(anatomy, widths_of(anatomy), tokens)
        return before, multiply_adds(anatomy, self.widths, tokens)

    def to_json(self) -> dict[str, Any]:
        """As `winnow prune --json` prints it."""
        before, after = self.multiply_adds
        return look_json(self.look) | {
            "layers": [None if one is None else asdict(one) for one in self.widths],
            "pieces": None if self.plan.pieces is None else len(self.plan.pieces),
            "tokens": self.look.tokens,
            "multiply_adds_before": before,
            "multiply_adds": after,
            "bytes_before": len(serialised(self.look.graph)),
            "bytes": len(serialised(self.graph)),
            "times_faster": self.times_faster,
            "fitted_messages": len(self.look.fitted),
            "recovered": self.recovered,
            "reader": self.figures,
        }


def prune(
    found: Look,
    wish: Wish,
    *,
    corpora: Sequence[Corpus] = (),
    recover: Recover | None = None,
    progress: recipe.Progress = lambda stage, done, total: None,
) -> Pruned:
    """Cut, fit, train again where that is asked for, and measure.

    Args:
        found: what was looked into.
        wish: what is to go.
        corpora: mail whose pieces stay in the vocabulary.
        recover: trains what is left again.
        progress: told "searching" and what recovery tells.

    Raises:
        InputError: the wish leaves nothing, or cannot be reached.
    """
    pieces, tokenizer = None, found.tokenizer
    if wish.pieces is not None:
        pieces, tokenizer = _vocabulary(found, wish.pieces, corpora)
    if wish.target is None:
        plan = _plan(found, shares(found, wish), pieces)
    else:
        plan = _target(found, wish.target, pieces, progress)
    # Token by token both graphs must read the same, so the vocabulary goes after the fit.
    graph = cut(found.graph, replace(plan, pieces=None))
    if found.fitted:
        pairs = [(one, one) for one in found.fitted]
        graph = refitted(found.graph, graph, plan, run_graph, pairs)
    measured: Sequence[Feeds] = found.measured
    if pieces is not None:
        graph = cut(graph, replace(whole(anatomy_of(graph)), pieces=pieces))
        if found.mail is not None:
            measured = feeds_by(graph, found.mail, tokenizer)[found.mail.fitted :]
    if recover is not None:
        assert tokenizer is not None
        graph = recover(found, graph, plan, tokenizer)
    after = log_odds_of(graph, run_graph, measured)
    before = log_odds_of(found.graph, run_graph, found.measured)
    return Pruned(
        found, graph, plan, tokenizer, recover is not None,
        times_faster(found.graph, graph, found.tokens),
        {"before": _figures(before, before, found), "after": _figures(after, before, found)},
    )  # fmt: skip


def write(pruned: Pruned, out: Path) -> None:
    """Write a model of before with the new reader, or a bare ONNX file.

    Raises:
        ArtifactError: the place is taken by something else, or cannot be written.
        InputError: likewise, for a bare file.
    """
    before, after = pruned.look.graph, pruned.graph
    report = Report("prune", executable(before), executable(after))
    step = history_of(report, before, after) | {
        "layers": [None if one is None else [one.heads, one.neurons] for one in pruned.widths],
        "pieces": None if pruned.plan.pieces is None else len(pruned.plan.pieces),
        "importance": pruned.look.importance,
        "fitted_messages": len(pruned.look.fitted),
        "recovered": pruned.recovered,
        "times_faster": pruned.times_faster,
    }
    files = {}
    if pruned.plan.pieces is not None:
        assert isinstance(pruned.tokenizer, Tokenizer)
        files[TOKENIZER_FILE] = pruned.tokenizer.to_json()
    write_subject(pruned.look.subject, after, out, [*pruned.look.history, step], files)


def check_out(path: Path, out: Path) -> None:
    """Refuse a place before minutes of work.

    Raises:
        ArtifactError: a model cannot be put there.
        InputError: an ONNX file cannot.
    """
    if path.is_dir():
        recipe.check_place(out)
    elif out.suffix != ".onnx" or (out.exists() and not out.is_file()):
        raise InputError(
            f"{out}: what was a bare graph becomes one; name a file that ends in .onnx."
        )
    elif not out.absolute().parent.is_dir():
        raise InputError(f"{out}: there is no folder {out.parent}.")


def shares(found: Look, wish: Wish) -> tuple[Width | None, ...]:
    """Widths that are left when shares of each layer go; halves of a head or neuron stay.

    Raises:
        InputError: layers are named that are not there, or none would be left.
    """
    stay = _staying(found, wish.layers)
    return tuple(
        Width(
            max(1, one.heads - int(wish.heads * one.heads + 1e-9)),
            max(1, one.neurons - int(wish.ffn * one.neurons + 1e-9)),
        )
        if number in stay
        else None
        for number, one in enumerate(widths_of(found.anatomy))
    )


def _staying(found: Look, layers: int | tuple[int, ...] | None) -> set[int]:
    """Numbers of the layers that stay; of so many those without which most is lost."""
    count = len(found.anatomy.layers)
    if layers is None:
        return set(range(count))
    if isinstance(layers, tuple):
        if not layers or min(layers) < 0 or max(layers) >= count:
            raise InputError(f"--layers: the reader has layers 0 to {count - 1}; one must stay.")
        return set(layers)
    if not 1 <= layers <= count:
        raise InputError(f"--layers: 1 to {count} can stay.")
    lost = {one.layer: one.moved for one in found.effects if one.part == LAYER}
    order = sorted(lost, key=lambda number: lost[number])
    if len(order) < count - layers:
        raise InputError(f"--layers: only {len(order)} of {count} layers can be left out.")
    return set(range(count)) - set(order[: count - layers])


def _plan(found: Look, widths: Sequence[Width | None], pieces: tuple[int, ...] | None) -> Plan:
    return Plan(
        tuple(
            None if one is None else kept(found.ranking, number, one.heads, one.neurons)
            for number, one in enumerate(widths)
        ),
        pieces,
    )


def _target(
    found: Look, target: float, pieces: tuple[int, ...] | None, progress: recipe.Progress
) -> Plan:
    """Widths that are as much faster as is asked for, measured; costs that are asked for move."""
    whole = multiply_adds(found.anatomy, widths_of(found.anatomy), found.tokens)
    budget, fastest = whole / target, 0.0
    for tried in range(_TRIES):
        progress("searching", tried, _TRIES)
        plan = _plan(found, searched(found.anatomy, found.effects, found.tokens, budget), pieces)
        faster = times_faster(found.graph, cut(found.graph, plan), found.tokens)
        fastest = max(fastest, faster)
        if faster >= target:
            return plan
        budget *= min(0.97, faster / target)
    raise InputError(
        f"a reader {target:g} times as fast was not found; {fastest:.2f} times is what was reached."
    )


def times_faster(
    before: ir.Model, after: ir.Model, tokens: int, seconds: float = _SECONDS
) -> float:
    """How much less CPU time a graph takes for a message, measured by turns; a median."""
    graphs = {"before": before, "after": after}
    ready = [Candidate(name, Session(serialised(one)).run) for name, one in graphs.items()]
    feeds = {tokens: _least(before, after, tokens)}
    turns = by_turns(ready, feeds, seconds=_SECONDS, seed=0)
    one, two = (turns.times[name][tokens].cpu for name in graphs)
    return float(np.median(one / np.maximum(two, 1e-9)))


def _least(before: ir.Model, after: ir.Model, tokens: int) -> Feeds:
    """An input that both graphs can be given: pieces of the smaller vocabulary."""
    return {
        name: np.minimum(value, feeds_of(after, 1, tokens, 0, full=True)[name])
        for name, value in feeds_of(before, 1, tokens, 0, full=True).items()
    }


def _vocabulary(
    found: Look, count: int, corpora: Sequence[Corpus]
) -> tuple[tuple[int, ...], Tokenizer]:
    """Rows of the pieces that mail uses most, and the tokenizer that knows no others.

    Raises:
        InputError: the tokenizer is not Winnow's own, or there is no mail.
    """
    old = found.tokenizer
    if not isinstance(old, Tokenizer):
        raise InputError("--vocabulary is for Winnow's own tokenizer; this model has another one.")
    if not corpora:
        raise InputError("--vocabulary keeps the pieces that mail uses; name some with --mail.")
    if count < len(REQUIRED) + 1:
        raise InputError(f"--vocabulary: {len(REQUIRED)} pieces stand for bytes and always stay.")
    texts = (
        text
        for example in deduplicate(one for corpus in corpora for one in corpus)
        for message in [parse(example.raw, size_bytes=example.size_bytes)]
        for text in texts_of(message, read_content(message).hosts, old.limit)
    )
    pieces = kept_pieces(old.pieces.pieces, texts, count, fewest=1)
    rows = tuple(old.pieces.ids[piece] for piece in pieces)
    return rows, Tokenizer(pieces, old.limit, old.form)


def _figures(log_odds: F64, before: F64, found: Look) -> dict[str, float | None]:
    """Of the reader alone: how far its answers moved, and where there are labels, what is right."""
    moved = np.abs(log_odds - before)
    figures: dict[str, float | None] = {
        "moved_mean": float(moved.mean()),
        "moved_most": float(moved.max()),
    }
    if found.labels is None:
        return figures
    scored = Scored(
        1 / (1 + np.exp(-np.clip(log_odds, -500, 500))),
        found.labels,
        tuple(map(str, range(len(log_odds)))),
    )
    told = summarize(scored, corpus=found.about, protocol="prune", view="")
    return figures | {
        name: told[name] for name in ("accuracy_percent", "one_minus_roca_percent", "ece_percent")
    }
