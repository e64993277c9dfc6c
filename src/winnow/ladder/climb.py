"""Graphs side by side -> rows: timed by turns, asked for the same messages, each beside the first.

Nothing is made here: who calls brings the graphs, in order, the first of which is the baseline.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir

from winnow.accounting import Power, this_processor
from winnow.compiler.graph import executable, serialised
from winnow.compiler.inputs import feeds_of, positions_of
from winnow.errors import InputError, WinnowError
from winnow.ladder.measure import (
    Candidate,
    Clock,
    Feeds,
    Progress,
    Times,
    answers_by_turns,
    by_turns,
    reason_of,
    silent,
)
from winnow.ladder.peers import Graphs, Peer, peers_of
from winnow.ladder.quality import (
    WORTH,
    Answers,
    Figure,
    Held,
    accuracy_loss,
    answers_of,
    errors_of,
    missing,
    scored_of,
    worth_of,
)
from winnow.ladder.rung import LENGTHS, Rung, Timed, costs, sizes
from winnow.runtime.optimizer import optimised
from winnow.runtime.session import SLOWER_ON_CPU, Session

AGAIN = "baseline, again"
_COPIES = frozenset({"MemcpyToHost", "MemcpyFromHost"})
_PROBES = 3


@dataclass(frozen=True, slots=True)
class Graph:
    """A graph to be measured, or why there is none.

    Attributes:
        name: of the row.
        what: in a few words.
        model: None where a step was refused.
        refused: why.
    """

    name: str
    what: str
    model: ir.Model | None
    refused: str = ""


@dataclass(frozen=True, slots=True)
class Settings:
    """How much is measured.

    Attributes:
        seconds: for timing at fixed lengths.
        seed: of inputs and orders.
        power: of a core.
        clock: that times.
    """

    seconds: float = 60.0
    seed: int = 0
    power: Power = field(default_factory=this_processor)
    clock: Clock = field(default_factory=Clock)


@dataclass(frozen=True, slots=True)
class Climbed:
    """What was measured.

    Attributes:
        rungs: a row for each graph, in order.
        peers: a row for each peer.
        noise: what is found when the baseline is compared with itself: `times_faster_N`.
        answers: log-odds of each rung for the held-out messages, by name.
    """

    rungs: tuple[Rung, ...]
    peers: tuple[Rung, ...]
    noise: Mapping[str, Figure]
    answers: Mapping[str, Answers]


def climb(
    graphs: Sequence[Graph],
    held: Held,
    settings: Settings,
    *,
    peers: Sequence[str] = (),
    given: Graphs | None = None,
    progress: Progress = silent,
) -> Climbed:
    """Measure graphs.

    Args:
        graphs: the first is the baseline.
        held: messages to compare answers on.
        settings: how much.
        peers: names of peers.
        given: graphs that peers are given.
        progress: told "timing" and "answering".

    Raises:
        InputError: the baseline does not run.
    """
    loaded = [_loaded(graph) for graph in graphs]
    first = loaded[0]
    if graphs[0].model is None or first.candidate is None:
        raise InputError(f"the model cannot be measured: {first.refused}.")
    inputs, lengths = _inputs(graphs[0].model, settings.seed)
    ready = _ready(peers, given, held, first.candidate)
    again = Candidate(AGAIN, first.candidate.call)
    ours = [one.candidate for one in loaded if one.candidate is not None]
    theirs = [peer.candidate for peer in ready if peer.candidate is not None]
    turns = by_turns(
        [*ours, again, *theirs], inputs, seconds=settings.seconds, seed=settings.seed,
        clock=settings.clock, progress=progress,
    )  # fmt: skip
    alive = [one for one in ours if one.name not in turns.failed]
    asked = answers_by_turns(
        alive, held.feeds, seed=settings.seed, clock=settings.clock, progress=progress
    )
    failed = {**turns.failed, **asked.failed}
    if first.graph.name in failed:
        raise InputError(f"the model cannot be measured: {failed[first.graph.name]}.")
    answers = {name: answers_of(values) for name, values in asked.outputs.items()}
    view = _View(
        turns.times, asked.times, failed, answers, held, settings, lengths, first.graph.name
    )
    return Climbed(
        tuple(view.rung(one) for one in loaded),
        tuple(view.peer(peer) for peer in ready),
        view.costs(AGAIN),
        answers,
    )


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A graph in the runtime, and how large it is."""

    graph: Graph
    candidate: Candidate | None
    figures: Mapping[str, Figure]
    refused: str = ""


def _loaded(graph: Graph) -> _Loaded:
    if graph.model is None:
        return _Loaded(graph, None, {}, graph.refused)
    data = serialised(graph.model)
    written = len(data), executable(graph.model)
    try:
        session = Session(data)
    except WinnowError as error:
        return _Loaded(graph, None, sizes(*written, None, reason_of(error)), reason_of(error))
    nodes, trips, why = None, missing("not known"), ""
    try:
        left = _operators(optimised(data, without=SLOWER_ON_CPU))
        nodes, copies = len(left), sum(kind in _COPIES for kind in left)
        note = "a call of the runtime for each message"
        trips = Figure(1 + copies, note=note + (f", and {copies} copies" if copies else ""))
    except WinnowError as error:
        why = reason_of(error)
    figures = sizes(*written, nodes, why) | {"round_trips": trips}
    return _Loaded(graph, Candidate(graph.name, session.run), figures)


def _operators(data: bytes) -> list[str]:
    """Kinds of the nodes that a graph executes; it may be of any domain."""
    nodes = onnx.ModelProto.FromString(data).graph.node
    return [node.op_type for node in nodes if node.op_type != "Constant"]


def _inputs(model: ir.Model, seed: int) -> tuple[dict[int, Feeds], dict[int, str]]:
    """A message of each length that the graph takes, and why there is none of the others."""
    limit = positions_of(model)
    lengths = [n for n in LENGTHS if n <= limit]
    if limit < LENGTHS[0]:
        lengths.append(limit)
    why = f"the model takes {limit} tokens at most"
    told = {n: "" if n in lengths else why for n in sorted({*LENGTHS, *lengths})}
    return {n: feeds_of(model, 1, n, seed + n, full=True) for n in lengths}, told


def _ready(
    names: Sequence[str], given: Graphs | None, held: Held, baseline: Candidate
) -> list[Peer]:
    if given is None or not names:
        return []
    # The longest first: OpenVINO (2026.4) that was first asked for a message of one token answers
    # all others wrongly, which is no fault of the graph's.
    by_length: list[Feeds] = [*sorted(held.feeds, key=_length, reverse=True)]
    places = np.linspace(0, len(by_length) - 1, _PROBES).astype(int).tolist()
    probes = [by_length[place] for place in places]
    return peers_of(names, given, probes, [baseline.call(feeds) for feeds in probes])


def _length(feeds: Feeds) -> int:
    return int(next(iter(feeds.values())).shape[-1])


@dataclass(frozen=True, slots=True)
class _View:
    """All that was measured, from which rows are read.

    Attributes:
        turns: times at fixed lengths, by name.
        mix: times of the held-out messages, by name.
        failed: name -> why it was left out.
        answers: for them, by name.
        held: the messages.
        settings: as given.
        lengths: length -> why there are no times of it.
        baseline: its name.
    """

    turns: Mapping[str, Mapping[int, Times]]
    mix: Mapping[str, Times]
    failed: Mapping[str, str]
    answers: Mapping[str, Answers]
    held: Held
    settings: Settings
    lengths: Mapping[int, str]
    baseline: str

    def costs(self, name: str) -> dict[str, Figure]:
        """Latency, rate and energy of whatever was timed."""
        mail = self.held.labels is not None
        lengths: Any = self.held.lengths if mail else None
        timed, first = (
            Timed(self.turns[one], self.mix.get(one) if mail else None)
            for one in (name, self.baseline)
        )
        return costs(timed, first, self.settings.power, self.lengths, lengths)

    def rung(self, one: _Loaded) -> Rung:
        """The row of a graph."""
        name, refused = one.graph.name, one.refused
        refused = refused or self.failed.get(name, "")
        if refused:
            return Rung(name, one.graph.what, one.figures, refused)
        figures = {**one.figures, **self.costs(name), **self._worth(name)}
        return Rung(name, one.graph.what, figures)

    def peer(self, peer: Peer) -> Rung:
        """The row of a peer."""
        refused = peer.refused or self.failed.get(peer.name, "")
        if refused:
            return Rung(peer.name, peer.what, {}, refused)
        note = f"on {_PROBES} messages"
        apart = missing(note) if peer.apart is None else Figure(peer.apart, note=note)
        return Rung(peer.name, peer.what, self.costs(peer.name) | {"max_abs_error": apart})

    def _worth(self, name: str) -> dict[str, Figure]:
        ours, theirs = self.answers[name], self.answers[self.baseline]
        found = worth_of(ours.log_odds, self.held)
        alone = worth_of(ours.log_odds, self.held, alone=True)
        found |= {f"reader_{figure}": alone[figure] for figure in WORTH}
        found |= errors_of(ours, theirs, self.held.about)
        return found | {"accuracy_loss_points": _loss(ours, theirs, self.held, found)}


def _loss(ours: Answers, theirs: Answers, held: Held, found: Mapping[str, Figure]) -> Figure:
    if found[WORTH[0]].value is None or ours.log_odds is None or theirs.log_odds is None:
        return missing(found[WORTH[0]].note)
    return accuracy_loss(scored_of(ours.log_odds, held), scored_of(theirs.log_odds, held))
