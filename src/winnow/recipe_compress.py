"""A model and a wish -> a cheaper one: recipes measured like a ladder, one taken and written."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from winnow import __version__, recipe
from winnow.compiler.graph import serialised
from winnow.corpus import Corpus
from winnow.errors import ArtifactError, InputError
from winnow.ladder.choose import BYTES, SPEED, Choice, Wish, choose, gain_of
from winnow.ladder.climb import Graph, Settings, climb
from winnow.ladder.rung import Rung
from winnow.recipe_compile import write_subject
from winnow.recipe_ladder import Built, Ladder, Options, Workshop, workshop
from winnow.runtime import Reader


@dataclass(frozen=True, slots=True)
class Recipe:
    """Steps after folding; fusing is the last of each.

    Attributes:
        cut: share of heads and neurons, 0 for none.
        bits: of weights; 32 are floats.
    """

    cut: float
    bits: int

    @property
    def name(self) -> str:
        """For tables."""
        parts = ([f"cut {self.cut:.0%}"] if self.cut else []) + (
            [f"{self.bits} bit"] if self.bits < 32 else []
        )
        return " + ".join([*parts, "fused"])


RECIPES = (
    Recipe(0.0, 32),
    Recipe(0.0, 8),
    Recipe(0.0, 4),
    Recipe(0.25, 8),
    Recipe(0.3, 8),
    Recipe(0.5, 32),
    Recipe(0.5, 8),
)


@dataclass(frozen=True, slots=True)
class Compressed:
    """What was tried and what was taken.

    Attributes:
        ladder: all recipes, measured; the first row is the baseline.
        wish: what was asked.
        choice: what was chosen.
        out: where it was written; None where nothing fits.
    """

    ladder: Ladder
    wish: Wish
    choice: Choice
    out: Path | None

    def to_json(self) -> dict[str, Any]:
        """As `winnow compress --json` prints it."""
        chosen, nearest = self.choice.rung, self.choice.nearest
        return self.ladder.to_json() | {
            "chosen": None if chosen is None else chosen.name,
            "nearest": None if nearest is None else nearest.name,
            "asked": {"of": self.wish.of, "times": self.wish.times, "points": self.wish.points},
            "out": None if self.out is None else str(self.out),
        }


def check_out(path: Path, out: Path) -> None:
    """Refuse a place now, not after minutes of work.

    Args:
        path: the model.
        out: where the result is to go: a folder of a model for a folder, else a file.

    Raises:
        ArtifactError: no model can be put there.
        InputError: no file can.
    """
    if path.is_dir():
        recipe.check_place(out)
        return
    if out.exists() and (out.suffix != ".onnx" or not out.is_file()):
        raise InputError(f"{out} exists and is no ONNX file; name another --out.")
    if not out.absolute().parent.is_dir():
        raise InputError(f"{out}: there is no folder {out.parent}.")


def compress(
    path: Path,
    out: Path,
    wish: Wish,
    corpora: Sequence[Corpus],
    options: Options,
    progress: recipe.Progress = lambda stage, done, total: None,
) -> Compressed:
    """Measure all recipes, choose one and write it; nothing is written where none fits.

    Args:
        path: an artifact with a reader, or a bare ONNX file.
        out: where to; of the kind that `path` is.
        wish: what is asked.
        corpora: labelled mail; none is none.
        options: how much is measured; its peers are not.
        progress: told "reading", "building", "timing" and "answering".

    Raises:
        ArtifactError: no whole model, or one without a reader, or no place for it.
        InputError: no usable graph, unusable mail, or a bound of loss without mail.
    """
    shop = workshop(path, corpora, options, progress)
    if wish.points is not None and shop.held.labels is None:
        choose([Rung("baseline", "")], wish)  # says what is missing, before minutes of work
    built = _built(shop, progress)
    climbed = climb(
        [one.graph for one in built], shop.held, Settings(options.seconds, options.seed),
        progress=progress,
    )  # fmt: skip
    ladder = Ladder(shop.subject.name, built, climbed, shop.held, options)
    choice = choose(climbed.rungs, wish)
    if choice.rung is None:
        return Compressed(ladder, wish, choice, None)
    taken = next(one for one in built if one.graph.name == choice.rung.name)
    _write(shop, taken, choice.rung, climbed.rungs[0], out)
    return Compressed(ladder, wish, choice, out)


def _built(shop: Workshop, progress: recipe.Progress) -> tuple[Built, ...]:
    """The baseline, and what each recipe makes of it; equal beginnings are made once."""
    first = shop.first()
    folded = shop.folded(first)
    cuts: dict[float, Built] = {0.0: shop.settled(folded)}
    ranking = None
    with contextlib.suppress(InputError):  # what cannot be cut is told by each recipe that cuts
        ranking = shop.ranking(folded.then)
    found = [first]
    for number, one in enumerate(RECIPES, 1):
        if one.cut not in cuts:
            cuts[one.cut] = shop.pruned(folded, one.cut, one.cut, ranking)
        found.append(_made(shop, one, cuts[one.cut]))
        progress("building", number, len(RECIPES))
    return tuple(found)


def _made(shop: Workshop, one: Recipe, cut: Built) -> Built:
    """A recipe's graph; where cutting or rounding is refused, so is the recipe."""
    rounded = shop.quantized(cut, one.bits) if one.bits < 32 else cut
    fused = shop.fused(rounded)
    why = (cut.graph.refused if one.cut else "") or rounded.graph.refused
    if why:
        return Built(Graph(one.name, "", None, why), fused.then)
    what = f"not fused: {fused.graph.refused}" if fused.graph.refused else ""
    return Built(Graph(one.name, what, fused.then), fused.then, fused.reports, fused.history)


def _write(shop: Workshop, taken: Built, rung: Rung, baseline: Rung, out: Path) -> None:
    assert taken.graph.model is not None
    data = serialised(taken.graph.model)
    if shop.subject.artifact is not None:
        try:
            Reader(data)
        except ArtifactError as error:
            raise InputError(f"{rung.name} cannot be served: {error}") from error
    history = [*taken.history, measured_step(rung, baseline, shop.held.about)]
    write_subject(shop.subject, taken.graph.model, out, history)


def measured_step(rung: Rung, baseline: Rung, about: str) -> dict[str, Any]:
    """What was measured of the whole recipe, as the last entry of a history; JSON values only."""
    row = rung.to_json()
    return {
        "step": "compress",
        "version": __version__,
        "bytes": row["bytes"],
        "recipe": rung.name,
        "compared_on": about,
        "times_faster": gain_of(rung, baseline, SPEED),
        "times_smaller": gain_of(rung, baseline, BYTES),
        "figures": {
            name: {"value": row[name], "quality": quality}
            for name, quality in _qualities(row).items()
        },
    }


def _qualities(row: Mapping[str, Any]) -> Mapping[str, str]:
    found: Mapping[str, str] = row["quality"]
    return found
