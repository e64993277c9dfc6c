"""A reader that was cut -> the same, trained again for a short while: the part of pruning for JAX.

The whole reader is the teacher: what is learnt is a mixture of what it says and of the labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from winnow import recipe
from winnow.compiler.anatomy import Anatomy, anatomy_of
from winnow.compiler.graph import array_of
from winnow.compiler.inputs import as_feeds, positions_of
from winnow.compiler.prune import Plan
from winnow.compiler.prune_scores import Ranking, ranked
from winnow.compiler.prune_sensitivity import log_odds_of
from winnow.corpus import Corpus
from winnow.errors import InputError
from winnow.features import AnyTokenizer, Tokenizer
from winnow.model.export import export
from winnow.model.network import Shape, shapes_of
from winnow.recipe_compile import run_graph
from winnow.recipe_look import Look
from winnow.recipe_reader import Mail, TrainedReader, gather_texts, reader_targets, teach
from winnow.training.importance import first_order
from winnow.training.reader import Schedule, Training
from winnow.training.reader_data import TokenRows
from winnow.training.train import check_enough

F32 = NDArray[np.float32]

# A rate twice that of training, since the way is short; 5e-5 recovered half as much, and what the
# teacher says without labels less than that (docs/how-to/prune.md).
RATE, OWN = 1e-4, 0.3
DRAWS = 3_000
_RANKED_ON = 600  # messages
# The graph and the network round differently; as for an export.
_SAME = 1e-3


@dataclass(frozen=True, slots=True)
class Recovery:
    """Trains what was cut again.

    Attributes:
        mail: labelled, with variants.
        draws: messages to learn from.
        seed: of all chance.
        progress: told "recovering".
    """

    mail: Mail
    draws: int = DRAWS
    seed: int = 0
    progress: recipe.Progress = field(default=lambda stage, done, total: None)

    def __call__(
        self, found: Look, graph: ir.Model, plan: Plan, tokenizer: AnyTokenizer
    ) -> ir.Model:
        """Train a graph that was cut from another one.

        Args:
            found: the whole one.
            graph: what was cut from it, and fitted.
            plan: by which.
            tokenizer: of the cut one.

        Raises:
            InputError: it is no reader of Winnow's.
        """
        if not (isinstance(found.tokenizer, Tokenizer) and isinstance(tokenizer, Tokenizer)):
            raise InputError(
                "only Winnow's own readers are trained; fit this one on mail, with --no-recover."
            )
        shape, whole = weights_of(found.graph)
        left, weights = weights_of(graph)
        rows = self._drawn(found.tokenizer)
        taught = teach(TrainedReader(found.tokenizer, shape, whole, [], 0.0), rows, OWN)
        if plan.pieces is not None:
            taught = replace(self._drawn(tokenizer), target=taught.target)
        schedule = Schedule(draws=self.draws, rate=RATE, fresh=1.0, seed=self.seed)
        training = Training(left, weights, taught, schedule)
        batch = schedule.batch
        training.run(
            progress=lambda step, steps, loss, rate: self.progress(
                f"recovering, loss {loss:.3f}", step * batch, steps * batch
            )
        )
        return export(training.weights, left)

    def _drawn(self, tokenizer: Tokenizer) -> TokenRows:
        """As many rows as are learnt from: the teacher is asked about no others."""
        members = np.arange(len(self.mail.texts))
        several = len(np.unique(self.mail.dataset.sources)) > 1
        wanted, weight = reader_targets(self.mail, members, even_classes=several)
        chance = np.random.default_rng(self.seed)
        drawn = chance.choice(len(weight), self.draws, p=weight / weight.sum())
        texts = [*self.mail.texts, *self.mail.variants]
        tokens = [tokenizer.assemble(texts[row]) for row in drawn.tolist()]
        return TokenRows(tokens, wanted[drawn], np.ones(len(drawn)))

    def ranking(self, graph: ir.Model, tokenizer: AnyTokenizer) -> Ranking:
        """Heads and neurons of a graph by first-order importance.

        Raises:
            InputError: it is no reader of Winnow's.
        """
        if not isinstance(tokenizer, Tokenizer):
            raise InputError(
                "Winnow's own readers alone have gradients; choose another importance."
            )
        shape, weights = weights_of(graph)
        rows = replace(self, draws=_RANKED_ON)._drawn(tokenizer)
        worth = first_order(
            weights, rows, shape, tell=lambda done, total: self.progress("ranking", done, total)
        )
        return ranked(worth)


def gathered(corpora: Sequence[Corpus], seed: int, progress: recipe.Progress) -> Mail:
    """Labelled mail to learn from.

    Raises:
        InputError: too little, or of one class.
    """
    mail = gather_texts(corpora, seed=seed, progress=progress)
    check_enough(mail.dataset.spam)
    return mail


def weights_of(graph: ir.Model) -> tuple[Shape, dict[str, F32]]:
    """The network that a graph of Winnow's is: the inverse of `model.export.export`.

    Args:
        graph: of a reader, in 32-bit floats; heads and neurons may have been cut.

    Raises:
        InputError: it is another network, or computes something else than that one would.
    """
    anatomy = anatomy_of(graph)
    other = "the graph is of another network than Winnow's reader, which alone can be trained"
    try:
        found = {
            name: _formed(name, _array(graph, source))
            for name, source in _sources(anatomy).items()
            if source or not name.endswith("bias")  # it may have gone into other weights (settle)
        }
    except KeyError as error:
        raise InputError(f"{other}; use --no-recover.") from error
    width = anatomy.width
    layers = [(one.attention.heads, one.feed.neurons) for one in anatomy.layers]
    size = anatomy.layers[0].attention.size
    shape = Shape(
        pieces=len(found["embed.pieces"]),
        fields=len(found["embed.fields"]),
        positions=positions_of(graph),
        layers=len(layers),
        width=width,
        heads=max(1, width // size),
        inner=max(inner for _, inner in layers),
        left=tuple(layers),
    )
    for name, sizes in shapes_of(shape).items():
        if name.endswith("bias"):
            found.setdefault(name, np.zeros(sizes, np.float32))
    if {name: value.shape for name, value in found.items()} != shapes_of(shape):
        raise InputError(f"{other}; use --no-recover.")
    _check_same(graph, export(found, shape), shape)
    return shape, found


def _check_same(graph: ir.Model, again: ir.Model, shape: Shape) -> None:
    chance = np.random.default_rng(0)
    answers = []
    sizes = (1, shape.positions // 2, shape.positions)
    pairs = [
        (chance.integers(0, shape.pieces, n), chance.integers(0, shape.fields, n)) for n in sizes
    ]
    for one in (graph, again):
        feeds = [as_feeds(one, ids, fields) for ids, fields in pairs]
        answers.append(log_odds_of(one, run_graph, feeds))
    apart = float(np.abs(answers[0] - answers[1]).max())
    if not apart <= _SAME:
        raise InputError(
            "the graph answers otherwise than Winnow's reader with its weights would; use "
            "--no-recover."
        )


def _sources(anatomy: Anatomy) -> dict[str, str]:
    """Where each weight of the network lies in a graph: our name -> the graph's."""
    tables, head = anatomy.tables, anatomy.head
    if tables.norm is None or head is None:
        raise KeyError("norm or head")
    found = {
        "embed.pieces": tables.pieces,
        "embed.positions": tables.positions,
        "embed.fields": tables.kinds,
        "embed.norm.scale": tables.norm.scale,
        "embed.norm.shift": tables.norm.shift,
        "head.kernel": head.kernel,
        "head.bias": head.bias,
    }
    for n, layer in enumerate(anatomy.layers):
        attention, feed = layer.attention, layer.feed
        if attention.norm is None or feed.norm is None:
            raise KeyError("norm")
        denses = zip(
            ("query", "key", "value", "output", "up", "down"),
            (*attention.denses, feed.ups[0], feed.down),
            strict=True,
        )
        for part, dense in denses:
            found[f"layer{n}.{part}.kernel"] = dense.kernel
            found[f"layer{n}.{part}.bias"] = dense.bias
        for part, norm in (("attention.norm", attention.norm), ("feed.norm", feed.norm)):
            found[f"layer{n}.{part}.scale"] = norm.scale
            found[f"layer{n}.{part}.shift"] = norm.shift
    return found


def _formed(name: str, array: NDArray[np.generic]) -> F32:
    """A weight as the network has it: biases and norms are vectors, whatever the graph makes."""
    if name == "head.kernel":  # a vector once it is settled
        return np.array(array, np.float32).reshape(-1, 1)
    vector = name.endswith(("bias", "scale", "shift"))
    return np.array(array.ravel() if vector else array, np.float32)


def _array(graph: ir.Model, name: str) -> NDArray[np.generic]:
    found = array_of(graph.graph.initializers[name])
    assert found is not None
    return found
