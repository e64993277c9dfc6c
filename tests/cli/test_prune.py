"""`winnow prune`: what is typed is what is cut, what is refused is refused before any work."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("onnxscript", reason="the extra [compile] is not installed")

from tests.cli.conftest import Run
from tests.compiler.exports import Spelling, bert
from tests.synthetic import message
from winnow import recipe_prune
from winnow.cli import build_parser
from winnow.compiler.graph import serialised


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Timing takes no seconds here."""
    monkeypatch.setattr(recipe_prune, "_SECONDS", 0.05)


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bare graph of two layers, 4 heads and 32 neurons each."""
    path = tmp_path_factory.mktemp("bare") / "bert.onnx"
    path.write_bytes(serialised(bert(Spelling())))
    return path


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of two stages whose reader is a transformer."""
    pytest.importorskip("jax", reason="the extra [train] is not installed")
    from tests.narrow import write_narrow

    return write_narrow(tmp_path_factory.mktemp("narrow") / "m.winnow").path


def test_what_is_typed_is_what_is_asked_for() -> None:
    """Shares, layers, places and mail each reach the work under their name."""
    words = ["m", "--out", "o", "--heads", "50%", "--ffn", "0.25", "--vocabulary", "4000"]
    words += ["--mail", "a", "b", "--recover", "c", "--spam", "d", "--draws", "7", "--seed", "3"]
    args = build_parser().parse_args(["prune", *words])
    assert (args.heads, args.ffn, args.vocabulary) == (0.5, 0.25, 4000)
    assert (args.mail, args.corpora, args.spam) == (
        [Path("a"), Path("b")],
        [Path("c")],
        [Path("d")],
    )
    args = build_parser().parse_args(["prune", "m", "--recover", "--ham", "h"])
    assert (args.corpora, args.ham) == ([], [Path("h")])
    args = build_parser().parse_args(["prune", *words])
    assert (args.draws, args.seed, args.target, args.layers) == (7, 3, None, None)


@pytest.mark.parametrize(
    ("text", "layers"), [("3", 3), ("0,2", (0, 2)), ("2,", (2,)), ("2,0,2", (0, 2))]
)
def test_layers(text: str, layers: int | tuple[int, ...]) -> None:
    """A number is how many, numbers with commas are which."""
    args = build_parser().parse_args(["prune", "m", "--layers", text])
    assert args.layers == layers


@pytest.mark.parametrize(("text", "times"), [("2x", 2.0), ("1.5", 1.5), ("3×", 3.0)])
def test_target(text: str, times: float) -> None:
    """How many times as fast, with or without a sign."""
    assert build_parser().parse_args(["prune", "m", "--target", text]).target == times


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--heads", "100%"], "no share below all"),
        (["--ffn", "-1"], "no share below all"),
        (["--layers", "a"], "write how many stay"),
        (["--layers", "0;2"], "write how many stay"),
        (["--target", "fast"], "write how many times"),
        (["--target", "1x"], "write how many times"),
        (["--target", "1000x"], "write how many times"),
        (["--importance", "chance"], "invalid choice"),
        (["--recover", "a", "--no-recover"], "not allowed with"),
    ],
)
def test_what_is_no_option(words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each is told in one sentence."""
    with pytest.raises(SystemExit):
        build_parser().parse_args(["prune", "m", *words])
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "say what is to go"),
        (["--heads", "50%"], "say where the result is to go"),
        (["--sensitivity", "--heads", "50%"], "only shows"),
        (["--target", "2x", "--heads", "50%", "--out", "a.onnx"], "chooses widths"),
        (["--heads", "50%", "--out", "a.winnow"], "ends in .onnx"),
        (["--heads", "50%", "--out", "a.onnx", "--messages", "0"], "--messages begins"),
        (["--heads", "50%", "--out", "a.onnx", "--seed", "-1"], "--seed begins"),
        (["--heads", "50%", "--out", "a.onnx", "--importance", "first-order"], "--recover"),
        (["--heads", "50%", "--out", "a.onnx", "--importance", "activation"], "--mail"),
        (["--sensitivity", "--picture", "gone/a.svg"], "no folder"),
        (["--vocabulary", "300", "--out", "a.onnx"], "Winnow's own tokenizer"),
        (["--layers", "3", "--out", "a.onnx"], "1 to 2 can stay"),
    ],
)
def test_what_cannot_be(
    winnow: Run, bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    words: list[str], told: str,
) -> None:  # fmt: skip
    """One sentence, status 2, and nothing is written."""
    monkeypatch.chdir(tmp_path)
    done = winnow("prune", bare, *words)
    assert (done.status, list(tmp_path.glob("a*"))) == (2, [])
    assert told in done.err.replace("\n", " ")


def test_labelled_mail_without_recovery(winnow: Run, bare: Path, corpus: Path) -> None:
    """What is named for nothing was meant for something; and recovery needs mail."""
    words = ["--heads", "50%", "--out", "a.onnx"]
    done = winnow("prune", bare, *words, "--spam", corpus)
    assert done.status == 2
    assert "add --recover" in done.err
    pytest.importorskip("optax", reason="the extra [train] is not installed")
    done = winnow("prune", bare, *words, "--recover")
    assert done.status == 2
    assert "name labelled mail" in done.err


def test_sensitivity_only_shows(winnow: Run, bare: Path, tmp_path: Path) -> None:
    """A table by layer, a picture where one is asked for, and no model."""
    done = winnow("prune", bare, "--sensitivity", "--picture", tmp_path / "s.svg")
    assert (done.status, done.err) == (0, "")
    assert "0: 4 heads, 32 neurons" in done.out
    assert "64 random inputs" in done.out
    assert "name mail with --mail" in done.out
    assert (tmp_path / "s.svg").read_text().startswith("<svg xmlns=")
    told = json.loads(winnow("prune", bare, "--sensitivity", "--json").out)
    assert len(told["sensitivity"]) == 14
    assert told["importance"] == "weights"


def test_a_bare_graph_is_cut(winnow: Run, bare: Path, tmp_path: Path) -> None:
    """It says what is left, how fast that is, and that nothing made up for what went."""
    done = winnow("prune", bare, "--heads", "50%", "--ffn", "50%", "--out", tmp_path / "a.onnx")
    assert (done.status, done.err) == (0, "")
    assert "Left: 2 heads and 16 neurons of each of 2 layers." in done.out
    assert "times as fast, measured by turns" in done.out
    assert "Nothing made up for what was cut" in done.out
    words = ["--layers", "1,", "--out", tmp_path / "b.onnx", "--json"]
    told = json.loads(winnow("prune", tmp_path / "a.onnx", *words).out)
    assert told["layers"] == [None, {"heads": 2, "neurons": 16}]
    assert told["out"] == str(tmp_path / "b.onnx")
    assert told["bytes"] < told["bytes_before"]


def test_a_model_is_cut_and_fitted(winnow: Run, narrow: Path, corpus: Path, tmp_path: Path) -> None:
    """With labelled mail the table of losses and figures of the reader are shown, too."""
    out = tmp_path / "half.winnow"
    done = winnow("prune", narrow, "--heads", "50%", "--mail", corpus, "--out", out)
    assert (done.status, done.err.count("winnow:")) == (0, 0)
    assert "Logistic loss that is added" in done.out
    assert "fitted by least squares on" in done.out
    assert "before" in done.out
    assert "ECE %" in done.out
    checked = winnow("check", "--model", out, corpus / "msgs" / "spam1.eml")
    assert checked.status == 0


@pytest.mark.slow
def test_it_is_trained_again(winnow: Run, narrow: Path, corpus: Path, tmp_path: Path) -> None:
    """--recover trains what is left, and the result says so; gradients may choose what stays."""
    pytest.importorskip("optax", reason="the extra [train] is not installed")
    words = ["--ffn", "50%", "--mail", corpus, "--recover", corpus, "--draws", "64"]
    words += ["--importance", "first-order", "--json", "--out", tmp_path / "half.winnow"]
    told = json.loads(winnow("prune", narrow, *words).out)
    assert (told["recovered"], told["importance"]) == (True, "first-order")
    assert told["layers"] == [{"heads": 4, "neurons": 32}] * 2


def test_mail_that_tells_too_little(winnow: Run, narrow: Path, tmp_path: Path) -> None:
    """A few messages are no sample; nothing is written."""
    (tmp_path / "a.eml").write_bytes(message(True, 1))
    words = ["--heads", "50%", "--mail", tmp_path / "a.eml", "--out", tmp_path / "b.winnow"]
    done = winnow("prune", narrow, *words)
    assert done.status == 2
    assert "this mail has 1 messages; 20 or more are needed" in done.err
    assert not (tmp_path / "b.winnow").exists()


@pytest.mark.parametrize("name", ["gone.onnx", "notes.onnx", "empty.onnx"])
def test_what_is_no_graph(winnow: Run, tmp_path: Path, name: str) -> None:
    """Missing, foreign and empty files are told as such."""
    if name != "gone.onnx":
        (tmp_path / name).write_bytes(b"" if name == "empty.onnx" else b"some notes")
    done = winnow("prune", tmp_path / name, "--sensitivity")
    assert done.status == 2
    assert name in done.err
    assert done.err.count("\n") == 1
