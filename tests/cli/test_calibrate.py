"""`winnow calibrate`: what is refused before any mail is answered; nothing changes then."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Run
from winnow.cli import build_parser


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_what_is_typed_is_what_is_asked_for() -> None:
    """Budget, model, place and mail each reach the work under their name."""
    words = [
        "--budget",
        "2mJ",
        "--model",
        "a.winnow",
        "--out",
        "b.winnow",
        "list",
        "--spam",
        "junk",
    ]
    args = build_parser().parse_args(["calibrate", *words])
    assert (args.budget, args.model, args.out) == ("2mJ", Path("a.winnow"), Path("b.winnow"))
    assert (args.corpora, args.spam, args.ham) == ([Path("list")], [Path("junk")], [])


def test_no_budget(winnow: Run, corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """There is no budget that fits everybody; it is asked for in one sentence."""
    with pytest.raises(SystemExit) as end:
        winnow("calibrate", "--out", "b.winnow", corpus)
    assert end.value.code == 2
    told = capsys.readouterr().err
    assert "--budget" in told
    assert told.count("\n") == 1


@pytest.mark.parametrize("option", ["--model", "--out"])
def test_an_empty_path(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A variable that is not set is no folder."""
    with pytest.raises(SystemExit):
        build_parser().parse_args(["calibrate", "--budget", "1ms", option, "", "list"])
    assert "the path is empty" in capsys.readouterr().err


@pytest.mark.parametrize("budget", ["", "fast", "1", "-1ms", "0ms", "1 minute"])
def test_what_is_no_budget(winnow: Run, model: Path, corpus: Path, budget: str) -> None:
    """It says how a budget is written, and the model is not touched."""
    before = _contents(model)
    done = winnow("calibrate", f"--budget={budget}", "--model", model, corpus)
    assert (done.status, done.out) == (2, "")
    assert f"{budget!r} is no budget" in done.err
    assert "0.5ms, 2mJ or 0.1$/M" in done.err
    assert _contents(model) == before


def test_the_shipped_model_is_not_changed_in_its_place(winnow: Run, corpus: Path) -> None:
    """It belongs to the installation: a copy has to be named."""
    done = winnow("calibrate", "--budget", "1ms", corpus)
    assert (done.status, done.out) == (2, "")
    assert "shipped model" in done.err
    assert "--out" in done.err


def test_a_place_that_is_no_model(winnow: Run, corpus: Path, model: Path, tmp_path: Path) -> None:
    """A folder of something else is never written over."""
    (tmp_path / "notes.txt").write_text("mine")
    done = winnow("calibrate", "--budget", "1ms", "--model", model, "--out", tmp_path, corpus)
    assert (done.status, done.out) == (2, "")
    assert "is no model" in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_no_mail(winnow: Run, model: Path, mail: Path) -> None:
    """Without labelled mail there is nothing to fit on, and it says how to name some."""
    done = winnow("calibrate", "--budget", "1ms", "--model", model)
    assert (done.status, done.out) == (2, "")
    assert "--spam and --ham" in done.err
    done = winnow("calibrate", "--budget", "1ms", "--model", model, mail)
    assert (done.status, done.out) == (2, "")
    assert "nothing says which of this mail is spam" in done.err


@pytest.mark.parametrize("out", [None, "copy.winnow"])
def test_a_model_without_a_reader(
    winnow: Run, model: Path, corpus: Path, tmp_path: Path, out: str | None
) -> None:
    """It names the model and what makes a reader; neither the model nor a copy is written."""
    before = _contents(model)
    words = ["--out", tmp_path / out] if out else []
    done = winnow("calibrate", "--budget", "1ms", "--model", model, *words, corpus)
    assert (done.status, done.out) == (2, "")
    assert f"{model} has no reader to hand over to" in done.err
    assert "winnow train --stage reader" in done.err
    assert _contents(model) == before
    assert not out or not (tmp_path / out).exists()


def test_a_model_that_is_not_there(winnow: Run, corpus: Path, tmp_path: Path) -> None:
    """A mistyped model is told as such."""
    done = winnow("calibrate", "--budget", "1ms", "--model", tmp_path / "typo.winnow", corpus)
    assert (done.status, done.out) == (2, "")
    assert "typo.winnow" in done.err
