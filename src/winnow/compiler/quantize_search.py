"""Which nodes are rounded, and how finely: decided by what it does to the answers.

Each node is rounded alone and the change of the answers measured. Then all are rounded, and as long
as the answers change more than they may, the node that errs most for the bytes it saves is written
more finely:

    4 bits -> 8 bits -> 8 bits and a few inputs in floats -> floats

A few inputs in floats cost a product some time and hardly a byte, so they come before floats.
"""

from __future__ import annotations

import itertools
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from winnow.compiler.graph import copied
from winnow.compiler.inputs import Feeds
from winnow.compiler.passes import Refused, Run
from winnow.compiler.quantize import plain_form
from winnow.compiler.quantize_activations import Seen, calibrated, see, with_outliers
from winnow.compiler.quantize_forms import Form, Nibbles
from winnow.compiler.quantize_sites import PRODUCT, RULE, Site, sites_of
from winnow.compiler.quantize_weights import fitted_blocks, relative_error
from winnow.compiler.quantize_write import write_forms

F64 = NDArray[np.float64]
Progress = Callable[[str, int, int | None], None]

# Values that share a scale, of 4 bits: fewer bytes and less time first.
BLOCKS = (128, 64, 32)
# Larger blocks may change the answers so much more than the best ones.
_ABOUT_AS_GOOD = 1.1
_FLOATS = "floats"
# Single nodes are judged on so many messages together, but each on no fewer than the second.
_ALONE, _FEWEST = 500, 8


@dataclass(frozen=True, slots=True)
class Options:
    """What is asked for.

    Attributes:
        bits: of a weight, 8 or 4.
        tolerance: largest mean change of the answers, in log-odds.
        calibrated: one range of activations for all messages, as seen; else each its own.
        fitted: fit 4-bit weights to the activations seen; for real mail only.
        keep: names of nodes to leave in floats.
    """

    bits: int = 8
    tolerance: float = 0.05
    calibrated: bool = False
    fitted: bool = False
    keep: Callable[[str], bool] = lambda node: False


@dataclass(frozen=True, slots=True)
class Probes:
    """Messages to decide on.

    Attributes:
        run: runs a graph.
        looked_at: whose activations are seen, and on which single nodes are judged.
        judged: on which the whole graph is judged.
    """

    run: Run
    looked_at: tuple[Feeds, ...]
    judged: tuple[Feeds, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """One node and what became of it.

    Attributes:
        node: its name.
        kind: PRODUCT or LOOK_UP.
        form: how it is written now, in words.
        bits: of a weight as it is written now; 32 are floats.
        kept: whether it stays in floats.
        bytes_saved: of its weights.
        weights_error: largest |w' - w| against the largest |w|; 0 in floats.
        change: mean change of the answers with this node alone written as first tried.
        change_now: the same, as it is written now; 0 in floats.
    """

    node: str
    kind: str
    form: str
    bits: int
    kept: bool
    bytes_saved: int
    weights_error: float
    change: float
    change_now: float


@dataclass(frozen=True, slots=True)
class Found:
    """What was decided.

    Attributes:
        model: the new graph.
        rows: of all nodes that could be rounded.
        refused: of those that could not, and why.
        mean_change: of the answers on the messages judged, in log-odds.
        max_change: the largest.
    """

    model: ir.Model
    rows: tuple[Row, ...]
    refused: tuple[Refused, ...]
    mean_change: float
    max_change: float


@dataclass(frozen=True, slots=True)
class _Level:
    """One way to write a node; without a form it is in floats."""

    form: Form | None
    nbytes: int
    change: float = 0.0


_Ladders = dict[str, list[_Level]]


def search(
    model: ir.Model,
    probes: Probes,
    options: Options,
    progress: Progress = lambda stage, done, total: None,
) -> Found:
    """Round a graph as far as the tolerance lets it.

    Args:
        model: of floats, left as it is.
        probes: messages.
        options: what is asked for.
        progress: told "looking" and "rounding".

    Raises:
        InputError: the graph does not run.
    """
    sites, refused = sites_of(model)
    refused += [Refused(RULE, s.name, "it was named") for s in sites if options.keep(s.name)]
    sites = [site for site in sites if not options.keep(site.name)]
    progress("looking", 0, 1)
    seen = see(model, sites, probes.run, probes.looked_at)
    progress("looking", 1, 1)
    judge = _Judge(model, probes, sites, seen if options.calibrated else None)
    ladders = _measured(_ladders(sites, seen, options, judge), judge, progress)
    steps = _upgrades(ladders)
    count = bisect_left(
        range(len(steps)), True, key=lambda n: judge.change(_chosen(ladders, steps[:n])).mean()
        <= options.tolerance
    )  # fmt: skip
    chosen = _chosen(ladders, steps[:count])
    change = judge.change(chosen)
    rows = [_row(site, ladders[site.name], steps[:count].count(site.name)) for site in sites]
    return Found(
        judge.written(chosen), tuple(rows), tuple(refused), float(change.mean()),
        float(change.max(initial=0.0)),
    )  # fmt: skip


class _Judge:
    """Writes forms into the graph and says how far the answers move."""

    def __init__(
        self, model: ir.Model, probes: Probes, sites: Sequence[Site], seen: dict[str, Seen] | None
    ) -> None:
        self.model, self.probes = model, probes
        self.sites, self.seen = sites, seen
        self.few = probes.looked_at[: max(_FEWEST, _ALONE // max(1, len(sites)))]
        self._exact = [self._answers(model, feeds) for feeds in (probes.judged, self.few)]

    def written(self, forms: dict[str, Form]) -> ir.Model:
        """The graph with nodes in these forms."""
        copy = copied(self.model)
        if self.seen is not None:
            forms = calibrated(self.sites, forms, self.seen)
        write_forms(copy, sites_of(copy)[0], forms)
        return copy

    def change(self, forms: dict[str, Form]) -> F64:
        """How far each answer moves, on the messages judged."""
        return self._moved(forms, self.probes.judged, self._exact[0])

    def change_alone(self, name: str, form: Form) -> float:
        """How far answers move on some of the messages looked at, in the mean, by one node."""
        return float(self._moved({name: form}, self.few, self._exact[1]).mean())

    def _moved(self, forms: dict[str, Form], feeds: Sequence[Feeds], exact: F64) -> F64:
        if not forms:
            return np.zeros(len(exact))
        moved = np.abs(self._answers(self.written(forms), feeds) - exact)
        return np.where(np.isnan(moved), np.inf, moved)

    def _answers(self, model: ir.Model, feeds: Sequence[Feeds]) -> F64:
        name = model.graph.outputs[0].name or ""
        return np.concatenate(
            [log_odds(value) for (value,) in self.probes.run(model, feeds, [name])]
        )


def log_odds(answer: NDArray[np.floating]) -> F64:
    """A graph's first output as log-odds, (n,): the difference of two logits, or what it is."""
    if answer.ndim == 2 and answer.shape[1] == 2:
        answer = answer[:, 1] - answer[:, 0]
    return answer.reshape(-1).astype(np.float64)


def _ladders(
    sites: Sequence[Site], seen: dict[str, Seen], options: Options, judge: _Judge
) -> _Ladders:
    """All ways to write each node, the smallest first and floats last."""
    finer = with_outliers(sites, seen)
    narrow = _nibbles(sites, seen, options, judge) if options.bits == 4 else {}
    found: _Ladders = {}
    for site in sites:
        forms = [narrow.get(site.name), plain_form(site, 8), finer.get(site.name)]
        levels = [_Level(form, form.nbytes) for form in forms if form is not None]
        found[site.name] = [*levels, _Level(None, site.nbytes)]
    return found


def _nibbles(
    sites: Sequence[Site], seen: dict[str, Seen], options: Options, judge: _Judge
) -> dict[str, Form]:
    """Forms of 4 bits, with the largest blocks that are about as good as any."""
    tried: list[tuple[float, dict[str, Form]]] = []
    for size in BLOCKS:
        plain = {site.name: plain_form(site, 4, size) for site in sites}
        # Fitting helps most networks, and not all.
        both = [plain, *([_fitted(sites, seen, plain, size)] if options.fitted else [])]
        tried += [(float(judge.change(forms).mean()), forms) for forms in both]
    best = min(change for change, _ in tried)
    return next(forms for change, forms in tried if change <= _ABOUT_AS_GOOD * best)


def _fitted(
    sites: Sequence[Site], seen: dict[str, Seen], plain: dict[str, Form], size: int
) -> dict[str, Form]:
    """Products of 4 bits that are fitted to what they multiply; look-ups as they are."""
    found = dict(plain)
    for site in sites:
        if site.kind == PRODUCT:
            rows = seen[site.x.name or ""].rows
            found[site.name] = Nibbles(fitted_blocks(site.weights.T, size, rows))
    return found


def _measured(ladders: _Ladders, judge: _Judge, progress: Progress) -> _Ladders:
    total = sum(level.form is not None for levels in ladders.values() for level in levels)
    done = 0
    found: _Ladders = {}
    for name, levels in ladders.items():
        found[name] = []
        for level in levels:
            if level.form is not None:
                level = replace(level, change=judge.change_alone(name, level.form))
                done += 1
                progress("rounding", done, total)
            found[name].append(level)
    return found


def _upgrades(ladders: _Ladders) -> list[str]:
    """Names of nodes in the order in which to write them more finely; one for each step."""
    steps: list[tuple[float, str]] = []
    for name, levels in ladders.items():
        worth = float("inf")
        for coarse, fine in itertools.pairwise(levels):
            gain = max(0.0, coarse.change - fine.change)
            # A node's steps come in order: none is worth more than the one before it.
            worth = min(worth, gain / max(1, fine.nbytes - coarse.nbytes))
            steps.append((worth, name))
    return [name for _, name in sorted(steps, key=lambda step: -step[0])]


def _chosen(ladders: _Ladders, steps: Sequence[str]) -> dict[str, Form]:
    found = {}
    for name, levels in ladders.items():
        form = levels[steps.count(name)].form
        if form is not None:
            found[name] = form
    return found


def _row(site: Site, levels: Sequence[_Level], taken: int) -> Row:
    first, now = levels[0], levels[taken]
    form = now.form
    return Row(
        node=site.name,
        kind=site.kind,
        form=_FLOATS if form is None else form.told,
        bits=32 if form is None else form.bits,
        kept=form is None,
        bytes_saved=site.nbytes - now.nbytes,
        weights_error=0.0 if form is None else relative_error(site.weights, form.floats()),
        change=first.change,
        change_now=now.change,
    )
