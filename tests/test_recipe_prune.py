"""A model that was cut answers, says what was done to it, and is as fast as was asked for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("onnxscript", reason="the extra [compile] is not installed")
pytest.importorskip("jax", reason="the extra [train] is not installed")

from tests.compiler.exports import Spelling, bert
from tests.narrow import PIECES, mail_of, write_narrow
from winnow import recipe_prune
from winnow.answering import Model
from winnow.artifact import read_artifact
from winnow.compiler.graph import opened, serialised
from winnow.compiler.prune_search import Width, multiply_adds, widths_of
from winnow.compiler.prune_sensitivity import LAYER
from winnow.errors import ArtifactError, InputError
from winnow.features.pieces import REQUIRED
from winnow.reading import read_evidence
from winnow.recipe_look import Look, feeds_by, look
from winnow.recipe_prune import Wish, check_out, prune, shares, times_faster, write

MAIL = mail_of(60)
HALF = Wish(heads=0.5, ffn=0.5)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Timing takes no seconds here."""
    monkeypatch.setattr(recipe_prune, "_SECONDS", 0.05)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of two stages, its reader in floats: 2 layers of 4 heads and 64 neurons."""
    return write_narrow(tmp_path_factory.mktemp("narrow") / "m.winnow").path


@pytest.fixture(scope="module")
def found(path: Path) -> Look:
    """That model looked into on mail."""
    return look(path, [MAIL])


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Look:
    """A bare graph of two layers, looked into without mail."""
    place = tmp_path_factory.mktemp("bare") / "bert.onnx"
    place.write_bytes(serialised(bert(Spelling())))
    return look(place, [])


def test_half_of_each_layer(found: Look, tmp_path: Path) -> None:
    """The model that is written answers mail with a reader of half the width, and says so."""
    pruned = prune(found, HALF)
    assert pruned.widths == (Width(2, 32), Width(2, 32))
    write(pruned, tmp_path / "half.winnow")
    artifact = read_artifact(tmp_path / "half.winnow")
    step = artifact.manifest["history"][-1]
    assert (step["step"], step["layers"]) == ("prune", [[2, 32], [2, 32]])
    assert (step["importance"], step["fitted_messages"]) == ("reconstruction", 40)
    assert step["bytes"] < 0.8 * step["bytes_before"]
    model = Model.of(artifact)
    assert not model.broken
    example = next(iter(MAIL))
    parts = read_evidence(example.raw, stream=model.reflex.hears_stream)
    assert model.answer(*parts).stage == "reader"


def test_what_is_told(found: Look) -> None:
    """Everything that a report needs, as JSON."""
    told = prune(found, HALF).to_json()
    assert told["layers"] == [{"heads": 2, "neurons": 32}] * 2
    assert told["multiply_adds"] == pytest.approx(told["multiply_adds_before"] / 2)
    assert (told["fitted_messages"], told["recovered"], told["pieces"]) == (40, False, None)
    assert told["reader"]["before"]["moved_most"] == 0.0
    assert told["reader"]["after"]["moved_most"] > 1e-3
    assert 0 <= told["reader"]["after"]["accuracy_percent"] <= 100
    assert told["times_faster"] > 0


def test_the_fit_makes_up_for_the_cut(found: Look) -> None:
    """Without messages to fit on the same heads and neurons lose much more."""
    fitted = prune(found, HALF).figures["after"]["moved_mean"]
    bare = prune(replace(found, fitted=()), HALF).figures["after"]["moved_mean"]
    assert fitted is not None
    assert bare is not None
    assert fitted < 0.7 * bare


def test_a_bare_graph(bare: Look, tmp_path: Path) -> None:
    """It stays one, without mail and without a fit; padding and all, it runs."""
    pruned = prune(bare, Wish(heads=0.25, ffn=0.5))
    write(pruned, tmp_path / "small.onnx")
    again = look(tmp_path / "small.onnx", [])
    assert [one.attention.heads for one in again.anatomy.layers] == [3, 3]
    assert [one.feed.neurons for one in again.anatomy.layers] == [16, 16]
    assert pruned.to_json()["fitted_messages"] == 0
    assert opened(tmp_path / "small.onnx")


@pytest.mark.parametrize(
    ("heads", "ffn", "left"),
    [(0.5, 0.0, (2, 64)), (0.3, 0.3, (3, 45)), (0.9, 0.99, (1, 1)), (0.0, 0.5, (4, 32))],
)
def test_shares(found: Look, heads: float, ffn: float, left: tuple[int, int]) -> None:
    """Of a share that is no whole number less is cut; one head and one neuron always stay."""
    assert shares(found, Wish(heads=heads, ffn=ffn)) == (Width(*left),) * 2


def test_layers(found: Look) -> None:
    """So many stay as are worth most, or those that are named."""
    lost = {one.layer: one.moved for one in found.effects if one.part == LAYER}
    least = min(lost, key=lambda number: lost[number])
    kept = [one is not None for one in shares(found, Wish(layers=1))]
    assert kept == [number != least for number in (0, 1)]
    assert shares(found, Wish(layers=(1,)))[0] is None
    assert None not in shares(found, Wish(layers=2))
    pruned = prune(found, Wish(layers=1, heads=0.5))
    assert pruned.to_json()["layers"][least] is None
    for wrong in (0, 3, (0, 2), ()):
        with pytest.raises(InputError, match="--layers"):
            shares(found, Wish(layers=wrong))
    fixed = replace(found, effects=tuple(e for e in found.effects if e.part != LAYER))
    with pytest.raises(InputError, match="only 0 of 2 layers can be left out"):
        shares(fixed, Wish(layers=1))


def test_the_vocabulary(found: Look, tmp_path: Path) -> None:
    """Pieces that no mail uses go; mail is answered as before, and table and tokenizer agree."""
    pruned = prune(found, Wish(pieces=len(PIECES) - 3), corpora=[MAIL])
    assert pruned.plan.pieces is not None
    assert len(REQUIRED) < len(pruned.plan.pieces) < len(PIECES)
    write(pruned, tmp_path / "m.winnow")
    model = Model.of(read_artifact(tmp_path / "m.winnow"))
    assert not model.broken
    assert model.tokenizer is not None
    assert model.tokenizer.size == len(pruned.plan.pieces)
    after = pruned.figures["after"]["moved_most"]
    assert after is not None
    assert after < 1e-3  # the fit is near, not exact


def test_a_vocabulary_that_spells_mail_otherwise(found: Look) -> None:
    """Rare words are spelt by their letters then: more tokens than the fit has seen, no fault."""
    pruned = prune(found, replace(HALF, pieces=len(REQUIRED) + 70), corpora=[MAIL])
    assert found.mail is not None
    lengths = [
        [one["ids"].shape[1] for one in feeds_by(found.graph, found.mail, tokenizer)]
        for tokenizer in (found.tokenizer, pruned.tokenizer)
    ]
    assert lengths[0] != lengths[1]
    assert pruned.plan.pieces is not None
    assert len(pruned.plan.pieces) == len(REQUIRED) + 70
    assert pruned.widths == (Width(2, 32), Width(2, 32))


def test_a_vocabulary_that_cannot_be(found: Look, bare: Look) -> None:
    """Bytes stay; without mail nobody knows what is used; another tokenizer's is not cut."""
    with pytest.raises(InputError, match="stand for bytes"):
        prune(found, Wish(pieces=len(REQUIRED)), corpora=[MAIL])
    with pytest.raises(InputError, match="name some with --mail"):
        prune(found, Wish(pieces=300))
    with pytest.raises(InputError, match="Winnow's own tokenizer"):
        prune(bare, Wish(pieces=300), corpora=[MAIL])


def _by_cost(found: Look, monkeypatch: pytest.MonkeyPatch, floor: float) -> list[float]:
    """Let speed be what multiply-adds say, and a part that no cut makes faster."""
    asked: list[float] = []
    whole = multiply_adds(found.anatomy, widths_of(found.anatomy), found.tokens)

    def faster(before: Any, after: Any, tokens: int) -> float:
        from winnow.compiler.anatomy import anatomy_of

        left = anatomy_of(after)
        cost = multiply_adds(left, widths_of(left), tokens)
        asked.append((floor + whole) / (floor + cost))
        return asked[-1]

    monkeypatch.setattr(recipe_prune, "times_faster", faster)
    return asked


def test_a_target_is_measured(found: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a part of the time is no multiply-add, more is cut until the clock agrees."""
    whole = multiply_adds(found.anatomy, widths_of(found.anatomy), found.tokens)
    asked = _by_cost(found, monkeypatch, floor=0.2 * whole)
    told: list[str] = []
    pruned = prune(found, Wish(target=1.5), progress=lambda stage, done, total: told.append(stage))
    assert pruned.times_faster >= 1.5
    assert 2 < len(asked) <= 8
    assert asked[0] < 1.5
    before, after = pruned.multiply_adds
    assert 0.4 < after / before < 0.62
    assert "searching" in told


def test_a_target_out_of_reach(found: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what was reached, and nothing is written."""
    whole = multiply_adds(found.anatomy, widths_of(found.anatomy), found.tokens)
    _by_cost(found, monkeypatch, floor=10 * whole)
    with pytest.raises(InputError, match=r"1\.5 times as fast was not found; 1\.0\d times"):
        prune(found, Wish(target=1.5))


def test_a_search_uses_what_was_measured(found: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    """What does nothing in one layer goes there and nowhere else."""
    _by_cost(found, monkeypatch, floor=0.0)
    effects = [
        replace(e, moved=0.0 if (e.layer, e.part) == (1, "neurons") else 1e3 * (1 + e.share))
        for e in found.effects
    ]
    pruned = prune(replace(found, effects=tuple(effects)), Wish(target=1.2))
    first, second = pruned.widths
    assert first is not None
    assert second is not None
    assert (first.heads, second.heads) == (4, 4)
    assert first.neurons > 50
    assert second.neurons < 32


def test_how_much_faster_is_measured_by_turns(found: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    """The median of rounds, in CPU time; a graph beside itself is as fast as itself."""
    monkeypatch.setattr(recipe_prune, "_SECONDS", 0.5)
    assert 0.5 < times_faster(found.graph, found.graph, 20) < 2.0


def test_recovery_is_given_what_it_needs(found: Look) -> None:
    """The whole model, the cut graph, the plan and the tokenizer; what it gives is what counts."""
    given: list[Any] = []

    def recover(*what: Any) -> Any:
        given.extend(what)
        return found.graph  # as good as before

    pruned = prune(found, HALF, recover=recover)
    assert given[0] is found
    assert given[2] == pruned.plan
    assert given[3] is found.tokenizer
    assert pruned.recovered
    assert pruned.figures["after"]["moved_most"] == 0.0


def test_places(path: Path, tmp_path: Path) -> None:
    """What cannot be written is told before anything is measured."""
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ArtifactError, match="is no model"):
        check_out(path, tmp_path)
    graph = tmp_path / "a.onnx"
    for out in (tmp_path / "b.winnow", tmp_path):
        with pytest.raises(InputError, match=r"name a file that ends in \.onnx"):
            check_out(graph, out)
    with pytest.raises(InputError, match="there is no folder"):
        check_out(graph, tmp_path / "gone" / "b.onnx")
    check_out(graph, tmp_path / "b.onnx")
    check_out(path, tmp_path / "c.winnow")


def test_a_wish() -> None:
    """Nothing asked for is nothing to do; anything else is something."""
    assert Wish().is_empty
    assert not any(wish.is_empty for wish in (HALF, Wish(layers=1), Wish(target=2.0)))
