"""`winnow compress`: wishes, places, and what is said of the recipe that was taken, or of none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Run
from tests.compiler.exports import Spelling, bert
from winnow.cli import build_parser
from winnow.cli.compress import _doubt
from winnow.compiler.graph import opened, serialised
from winnow.compiler.passes import Outcome
from winnow.compiler.quantize import quantize
from winnow.ladder.quality import Figure
from winnow.ladder.rung import Rung
from winnow.recipe_compress import RECIPES

QUICK = ("--seconds", 0.01)


@pytest.fixture(autouse=True)
def plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Round every node; looking for the ones that had better not be takes seconds."""

    def rounded(model: Any, bits: int, *_: Any) -> Outcome:
        return Outcome(quantize(model, bits=bits)[0])

    monkeypatch.setattr("winnow.recipe_ladder._quantized", rounded)


@pytest.fixture(scope="session")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a bare graph as an exporter writes it."""
    path = tmp_path_factory.mktemp("bare") / "model.onnx"
    model = bert(Spelling(kinds="input"), width=64, inner=128, words=100, positions=40)
    path.write_bytes(serialised(model))
    return path


def test_what_is_typed_is_what_is_asked_for() -> None:
    """Wish, place and mail each reach the work under their name."""
    args = build_parser().parse_args(
        ["compress", "a.winnow", "--out", "b.winnow", "--max-loss", "0.1pp", "--of", "bytes",
         "--mail", "x"]
    )  # fmt: skip
    assert (args.model, args.out, args.corpora) == (Path("a.winnow"), Path("b.winnow"), [Path("x")])
    assert (args.target, args.max_loss, args.of) == (None, "0.1pp", "bytes")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "--target 4x and --max-loss 0.1pp"),
        (("--target", "2x", "--max-loss", "1pp"), "say one of"),
        (("--target", "fast"), "as 4x"),
        (("--max-loss", "1%"), "as 0.1pp"),
        (("--max-loss", "0.1pp"), "--mail CORPUS"),
        (("--target", "2x", "--seconds", "0"), "--seconds"),
    ],
)
def test_refused_before_any_work(
    winnow: Run, bare: Path, tmp_path: Path, words: tuple[str, ...], told: str
) -> None:
    """One sentence, nothing on standard output, no file."""
    out = tmp_path / "out.onnx"
    done = winnow("compress", bare, "--out", out, *words)
    assert (done.status, done.out) == (2, "")
    assert told in done.err
    assert not out.exists()


def test_a_place_that_is_taken(winnow: Run, bare: Path, tmp_path: Path) -> None:
    """A file of something else stays as it is."""
    notes = tmp_path / "notes.txt"
    notes.write_text("mine")
    done = winnow("compress", bare, "--out", notes, "--target", "2x")
    assert done.status == 2
    assert "is no ONNX file" in done.err
    assert notes.read_text() == "mine"


def test_what_was_taken(winnow: Run, bare: Path, tmp_path: Path) -> None:
    """All recipes in the tables, and the one that was written with what it gains and loses."""
    out = tmp_path / "out.onnx"
    done = winnow("compress", bare, "--out", out, "--target", "1.5x", "--of", "bytes", *QUICK)
    assert done.status == 0
    for one in RECIPES:
        assert any(line.startswith(one.name) for line in done.out.splitlines())
    assert "times as small" in done.out
    assert f"It is in {out}" in done.out
    assert opened(out).graph.outputs[0].name == "logits"
    assert out.stat().st_size < bare.stat().st_size / 1.5


def test_json(winnow: Run, bare: Path, tmp_path: Path) -> None:
    """Every recipe is a rung, and the chosen one is named."""
    out = tmp_path / "out.onnx"
    done = winnow(
        "compress", bare, "--out", out, "--target", "1.5x", "--of", "bytes", *QUICK, "--json"
    )
    assert done.status == 0
    found = json.loads(done.out)
    assert [rung["name"] for rung in found["rungs"]] == ["baseline", *(r.name for r in RECIPES)]
    assert found["chosen"] in [one.name for one in RECIPES]
    assert found["asked"] == {"of": "bytes", "times": 1.5, "points": None}
    assert found["out"] == str(out)


def test_nothing_fits(winnow: Run, bare: Path, tmp_path: Path) -> None:
    """Status 2, what came nearest, and no file."""
    out = tmp_path / "out.onnx"
    done = winnow("compress", bare, "--out", out, "--target", "900x", "--of", "bytes", *QUICK)
    assert done.status == 2
    assert "no recipe is 900 times as small; nearest came" in done.err
    assert "Nothing was written." in done.err
    assert not out.exists()


@pytest.mark.parametrize(
    ("points", "high", "told"),
    [(0.1, 0.56, "cannot rule out a loss of 0.56 points"), (0.1, 0.1, ""), (None, 0.56, "")],
)
def test_too_little_mail_is_told(points: float | None, high: float, told: str) -> None:
    """A loss of nothing on a hundred messages is not a loss of nothing."""
    rung = Rung("a", "", {"accuracy_loss_points": Figure(0.0, low=-high, high=high)})
    assert told in _doubt(rung, points)
    assert bool(_doubt(rung, points)) is bool(told)
