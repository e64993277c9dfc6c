"""A model -> its ladder: baseline, folded, pruned, quantized, fused; each rung made of the last.

The order is here, and nothing else: passes are the compiler's, figures the ladder's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import onnx_ir as ir

from winnow import recipe
from winnow.compiler import quantize_search as search
from winnow.compiler.anatomy import anatomy_of
from winnow.compiler.answer import without_answer
from winnow.compiler.fold import fold_pass
from winnow.compiler.fuse import fuse_pass
from winnow.compiler.inputs import Feeds
from winnow.compiler.passes import Outcome, Pass, Proof, Report, apply_passes
from winnow.compiler.prune import Plan, cut
from winnow.compiler.prune_fit import refitted
from winnow.compiler.prune_scores import Ranking, by_moments, by_weights, moments_of
from winnow.compiler.prune_search import widths_of
from winnow.compiler.prune_sensitivity import kept
from winnow.compiler.quantize import restored, state_of
from winnow.compiler.settle import settle_pass
from winnow.corpus import Corpus
from winnow.errors import InputError
from winnow.ladder.climb import Climbed, Graph, Settings, climb
from winnow.ladder.machine import machine
from winnow.ladder.peers import NAMES, Graphs
from winnow.ladder.quality import Held
from winnow.recipe_compile import Subject, history_of, proof_of, run_graph, subject_of
from winnow.recipe_held import held_out, seeded
from winnow.recipe_quantize import JUDGED, LOOKED_AT, TOLERANCES

FITTED_ON = 256  # messages that pruning may look at; they are none of those that are measured on


@dataclass(frozen=True, slots=True)
class Options:
    """What a ladder is asked for.

    Attributes:
        peers: names of peers.
        heads, ffn: share of heads and of neurons that is cut, 0 to 1.
        seconds: for timing.
        messages: most held-out messages.
        seed: of all chance.
    """

    peers: tuple[str, ...] = NAMES
    heads: float = 0.5
    ffn: float = 0.5
    seconds: float = 60.0
    messages: int = 1_000
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Built:
    """One rung's graph and how it was made.

    Attributes:
        graph: as it is measured; its model is None where the step was refused.
        then: what the next rung is made of: this one's graph, or where refused, the last one's.
        reports: of the passes, oldest first.
        history: of all steps from the baseline on, as an artifact keeps it.
    """

    graph: Graph
    then: ir.Model
    reports: tuple[Report, ...] = ()
    history: tuple[Mapping[str, Any], ...] = ()

    @property
    def rounded(self) -> float:
        """How far rounding to integers moved an output, 0 where nothing was rounded."""
        steps = [step for step in self.history if step["step"] == "quantize"]
        return float(steps[-1]["max_abs_error"] or 0.0) if steps else 0.0


@dataclass(frozen=True, slots=True)
class Workshop:
    """A model and all that its rungs are made with.

    Attributes:
        subject: as it was opened.
        baseline: its graph in floats.
        about: what the baseline is, where it is not the model's graph as it lies there.
        held: messages to compare answers on.
        fitting: messages that pruning may look at.
    """

    subject: Subject
    baseline: ir.Model
    about: str
    held: Held
    fitting: tuple[Feeds, ...] = ()

    @property
    def proof(self) -> Proof:
        """What each pass is proved on: shapes with padding, and a few of the held-out messages."""
        return proof_of(self.baseline, [dict(one) for one in self.held.feeds[:8]])

    def first(self) -> Built:
        """The baseline itself."""
        return Built(Graph("baseline", self.about, self.baseline), self.baseline)

    def made(self, name: str, what: str, before: Built, passes: Sequence[Pass]) -> Built:
        """The next rung: passes applied to what is there; the first of them gives it its name."""
        model, reports, history = before.then, [], [*before.history]
        for step in passes:
            after, (report,) = apply_passes(model, [step], self.proof)
            reports.append(report)
            if not report.undone:
                history.append(history_of(report, model, after))
            model = after
        refused = reports[0].undone.removeprefix("it failed: InputError: ").rstrip(".")
        graph = Graph(name, what, None if refused else model, refused)
        return Built(graph, model, tuple(reports), tuple(history))

    def folded(self, before: Built) -> Built:
        """Algebra, which changes no answer."""
        return self.made("folded", "one spelling", before, [fold_pass(run_graph)])

    def settled(self, before: Built) -> Built:
        """Biases and pooling settled, where nothing is cut."""
        return self.made("settled", "nothing cut", before, [settle_pass()])

    def ranking(self, graph: ir.Model) -> Ranking:
        """What of a folded graph is worth keeping: on mail, or by weights where there is none.

        Raises:
            InputError: there is nothing that could be cut.
        """
        anatomy = anatomy_of(graph)
        if not self.fitting:
            return by_weights(graph, anatomy)
        return by_moments(graph, anatomy, moments_of(graph, anatomy, run_graph, self.fitting))

    def pruned(
        self, before: Built, heads: float, ffn: float, ranking: Ranking | None = None
    ) -> Built:
        """Heads and neurons cut; biases and pooling settled then.

        Args:
            before: folded.
            heads: share of heads that is cut.
            ffn: share of neurons.
            ranking: of that graph, where it is known already.
        """
        step = Pass(
            "prune",
            lambda model: _cut(model, heads, ffn, ranking or self.ranking(model), self.fitting),
            None,
        )
        what = f"{heads:.0%} of heads, {ffn:.0%} of neurons cut"
        return self.made("pruned", what, before, [step, settle_pass()])

    def quantized(self, before: Built, bits: int = 8) -> Built:
        """Weights as integers."""
        step = Pass(
            "quantize",
            lambda model: _quantized(model, bits, self.fitting, self.held.feeds),
            None,
        )
        return self.made("quantized", f"{bits}-bit integers", before, [step])

    def fused(self, before: Built) -> Built:
        """Kernels grouped."""
        step = fuse_pass(launches=False)
        # Sums in another order round some activations to the next step: fusing may move an answer
        # as far as rounding itself did, and no further.
        step = replace(step, tolerance=max(step.tolerance or 0.0, before.rounded))
        return self.made("fused", "kernels grouped", before, [step])


@dataclass(frozen=True, slots=True)
class Ladder:
    """A ladder that was measured.

    Attributes:
        model: its label.
        built: how each rung was made.
        climbed: rows.
        held: messages that answers were compared on.
        options: as asked.
        machine: that the figures belong to.
    """

    model: str
    built: tuple[Built, ...]
    climbed: Climbed
    held: Held
    options: Options
    machine: Mapping[str, Any] = field(default_factory=machine)

    def to_json(self) -> dict[str, Any]:
        """As `winnow ladder --json` prints it."""
        return {
            "rungs": [rung.to_json() for rung in self.climbed.rungs],
            "peers": [peer.to_json() for peer in self.climbed.peers],
            "model": self.model,
            "held_out": {
                "about": self.held.about,
                "messages": len(self.held.feeds),
                "labelled": self.held.labels is not None,
                "answered_by_reader_percent": self.held.handed_over_percent,
            },
            "noise": {
                name: {"value": one.value, "low": one.low, "high": one.high}
                for name, one in self.climbed.noise.items()
                if name.startswith("times_faster")
            },
            "machine": dict(self.machine),
            "settings": {"seconds": self.options.seconds, "seed": self.options.seed},
        }


def workshop(
    path: Path,
    corpora: Sequence[Corpus],
    options: Options,
    progress: recipe.Progress = lambda stage, done, total: None,
) -> Workshop:
    """Open a model and the mail that it is compared on.

    Args:
        path: an artifact with a reader, or a bare ONNX file.
        corpora: labelled mail; none is none.
        options: how many messages, and the seed.
        progress: told "reading".

    Raises:
        ArtifactError: no whole model, or one without a reader.
        InputError: no usable graph, unusable mail, or mail for a bare graph, which nobody can
            cut into tokens.
    """
    subject = subject_of(path)
    baseline, about = in_floats(without_answer(subject.graph))
    if not corpora:
        return Workshop(subject, baseline, about, seeded(baseline, options.seed))
    if subject.artifact is None:
        raise InputError(
            f"{path} is a bare graph, and nothing says how mail becomes its tokens; leave out "
            "--mail, or make it a model with `winnow import`."
        )
    held, fitting = held_out(
        subject.artifact, baseline, corpora, most=options.messages, fitting=FITTED_ON,
        seed=options.seed, progress=progress,
    )  # fmt: skip
    return Workshop(subject, baseline, about, held, fitting)


def ladder(
    path: Path,
    corpora: Sequence[Corpus],
    options: Options,
    progress: recipe.Progress = lambda stage, done, total: None,
) -> Ladder:
    """Make all rungs and measure them.

    Raises:
        ArtifactError: as for `workshop`.
        InputError: likewise, or the baseline does not run.
    """
    shop = workshop(path, corpora, options, progress)
    baseline = shop.first()
    folded = shop.folded(baseline)
    pruned = shop.pruned(folded, options.heads, options.ffn)
    quantized = shop.quantized(pruned)
    fused = shop.fused(quantized)
    built = (baseline, folded, pruned, quantized, fused)
    progress("building", len(built), len(built))
    given = Graphs(shop.baseline, folded.then, shop.quantized(folded).graph.model)
    climbed = climb(
        [one.graph for one in built], shop.held, Settings(options.seconds, options.seed),
        peers=options.peers, given=given, progress=progress,
    )  # fmt: skip
    return Ladder(shop.subject.name, built, climbed, shop.held, options)


def in_floats(graph: ir.Model) -> tuple[ir.Model, str]:
    """The graph that a ladder begins with, and in words how it came about."""
    state = state_of(graph)
    if not state:
        return graph, "32-bit floats, as it is"
    return restored(graph), f"32-bit floats, restored from the integers that it ships ({state})"


def _cut(
    model: ir.Model, heads: float, ffn: float, ranking: Ranking, mail: Sequence[Feeds]
) -> Outcome:
    """As `winnow prune --mail` does it: what is left is fitted to make up for the rest."""
    anatomy = anatomy_of(model)
    plan = Plan(
        tuple(
            kept(ranking, number, _left(one.heads, heads), _left(one.neurons, ffn))
            for number, one in enumerate(widths_of(anatomy))
        )
    )
    smaller = cut(model, plan)
    if mail:
        smaller = refitted(model, smaller, plan, run_graph, [(one, one) for one in mail])
    return Outcome(smaller)


def _left(count: int, share: float) -> int:
    """How many stay; halves of one do."""
    return max(1, count - int(share * count + 1e-9))


def _quantized(
    model: ir.Model, bits: int, mail: Sequence[Feeds], others: Sequence[Mapping[str, Any]]
) -> Outcome:
    """As `winnow quantize` does it: nodes that move the answers most are written more finely."""
    feeds = [dict(one) for one in mail or others]
    aside = max(1, len(feeds) * LOOKED_AT // (LOOKED_AT + JUDGED))
    looked = tuple(feeds[:aside])
    judged = tuple(feeds[aside : aside + JUDGED]) or looked
    wish = search.Options(bits=bits, tolerance=TOLERANCES[bits], fitted=bool(mail))
    found = search.search(model, search.Probes(run_graph, looked, judged), wish)
    return Outcome(found.model, refused=found.refused)
