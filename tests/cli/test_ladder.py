"""`winnow ladder`: what is typed, what is refused before any work, and what is shown."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cascaded import corpus_of, write_two_stages
from tests.cli.conftest import Run
from tests.compiler.exports import Spelling, bert
from tests.synthetic import message
from winnow.cli import build_parser
from winnow.compiler.graph import serialised
from winnow.compiler.passes import Outcome
from winnow.compiler.quantize import quantize
from winnow.ladder.peers import NAMES
from winnow.ladder.rung import FIGURES
from winnow.verdict import Label

QUICK = ("--seconds", 0.01, "--peers", "none")
RUNGS = ["baseline", "folded", "pruned", "quantized", "fused"]


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


@pytest.fixture(scope="session")
def two_stages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a model whose reader is a table."""
    path = tmp_path_factory.mktemp("model") / "both.winnow"
    labels = (Label.HAM, Label.SPAM)
    write_two_stages(path, corpus_of([(message(bool(n % 2), n), labels[n % 2]) for n in range(60)]))
    return path


def test_what_is_typed_is_what_is_asked_for() -> None:
    """Model, mail, shares and bounds each reach the work under their name."""
    args = build_parser().parse_args(
        ["ladder", "a.onnx", "--mail", "x", "y", "--spam", "s", "--heads", "25%", "--ffn", "0.75",
         "--seconds", "9", "--messages", "7", "--seed", "3", "--peers", "torch"]
    )  # fmt: skip
    assert (args.model, args.corpora, args.spam) == (
        Path("a.onnx"),
        [Path("x"), Path("y")],
        [Path("s")],
    )
    assert (args.heads, args.ffn, args.seconds, args.messages) == (0.25, 0.75, 9.0, 7)
    assert (args.seed, args.peers) == (3, "torch")


def test_the_help_names_all_peers(capsys: pytest.CaptureFixture[str]) -> None:
    """The list is written there, since reading it would load what graphs need."""
    with pytest.raises(SystemExit):
        build_parser().parse_args(["ladder", "--help"])
    told = " ".join(capsys.readouterr().out.split()).replace("- ", "-")
    assert all(name in told for name in NAMES)


@pytest.mark.parametrize("share", ["100%", "1.0", "2", "-5%", "half", "", "1e9%"])
def test_what_is_no_share(share: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A network without heads answers nothing."""
    with pytest.raises(SystemExit) as end:
        build_parser().parse_args(["ladder", "a.onnx", f"--heads={share}"])
    assert end.value.code == 2
    assert "write 50% or 0.5" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--peers", "excel"), "the peers are"),
        (("--seconds", "0"), "--seconds"),
        (("--seconds", "nan"), "--seconds"),
        (("--messages", "0"), "--messages"),
        (("--seed", "-1"), "--seed"),
        (("--html", "no/folder/a.html"), "there is no folder"),
        (("--mail", "nowhere"), "nowhere"),
    ],
)
def test_refused_before_any_work(
    winnow: Run, bare: Path, words: tuple[str, ...], told: str
) -> None:
    """One sentence and nothing on standard output."""
    done = winnow("ladder", bare, *words)
    assert (done.status, done.out) == (2, "")
    assert told in done.err
    assert done.err.count("\n") == 1


def test_models_that_cannot_be_measured(winnow: Run, model: Path, tmp_path: Path) -> None:
    """One without a reader, one that is none, one that is not there."""
    (tmp_path / "broken.onnx").write_bytes(b"no graph")
    for path, told in (
        (model, "no reader"),
        (tmp_path / "broken.onnx", "no ONNX file"),
        (tmp_path / "missing.onnx", "cannot read"),
    ):
        done = winnow("ladder", path, *QUICK)
        assert (done.status, done.out) == (2, "")
        assert told in done.err


def test_mail_for_a_bare_graph(winnow: Run, bare: Path, corpus: Path) -> None:
    """Nothing says how its tokens are made; it says what to do."""
    done = winnow("ladder", bare, *QUICK, "--mail", corpus)
    assert done.status == 2
    assert "winnow import" in done.err


def test_json(winnow: Run, bare: Path) -> None:
    """The documented keys, in every rung."""
    done = winnow("ladder", bare, *QUICK, "--json")
    assert done.status == 0
    found = json.loads(done.out)
    assert [rung["name"] for rung in found["rungs"]] == RUNGS
    for rung in found["rungs"]:
        assert {"name", *FIGURES} <= set(rung)
    assert found["rungs"][0]["accuracy_percent"] is None
    assert found["rungs"][0]["ms_256"] is None
    assert found["rungs"][0]["ms_32"] > 0


def test_json_with_mail(winnow: Run, two_stages: Path, corpus: Path) -> None:
    """Accuracy of the whole model on at most so many messages."""
    done = winnow("ladder", two_stages, *QUICK, "--mail", corpus, "--messages", 30, "--json")
    assert done.status == 0
    found = json.loads(done.out)
    assert found["held_out"]["messages"] == 30
    assert found["rungs"][0]["accuracy_percent"] > 80
    assert found["rungs"][0]["quality"]["accuracy_percent"] == "measured"
    assert found["rungs"][2]["refused"]


def test_mail_of_one_class(winnow: Run, two_stages: Path, corpus: Path) -> None:
    """Ranking is missing and says why; the rest is there."""
    done = winnow("ladder", two_stages, *QUICK, "--spam", corpus / "msgs" / "spam1.eml",
                  corpus / "msgs" / "spam2.eml")  # fmt: skip
    assert done.status == 0
    assert "1-ROCA missing" in done.out
    assert "one class only" in done.out


def test_tables(winnow: Run, bare: Path) -> None:
    """Every rung in both tables, why something is missing, and what noise is."""
    done = winnow("ladder", bare, *QUICK)
    assert done.status == 0
    for name in RUNGS:
        assert len([line for line in done.out.splitlines() if line.startswith(name)]) == 2
    assert "256 tokens missing: the model takes 40 tokens at most." in done.out
    assert "--mail CORPUS" in done.out
    assert "baseline beside itself" in done.out


@pytest.mark.parametrize(("load", "told"), [(0.3, False), (30.0, True)])
def test_a_busy_machine_is_told(
    winnow: Run, bare: Path, monkeypatch: pytest.MonkeyPatch, load: float, told: bool
) -> None:
    """Then milliseconds are of waiting, too."""
    monkeypatch.setattr("os.getloadavg", lambda: (load, load, load))
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    assert ("The machine was busy" in winnow("ladder", bare, *QUICK).out) is told


def test_peers_are_shown(winnow: Run, bare: Path) -> None:
    """A table of their own; one that cannot be is told."""
    done = winnow("ladder", bare, "--seconds", 0.01, "--peers", "onnxruntime-basic")
    assert done.status == 0
    assert any(line.startswith("onnxruntime-basic") for line in done.out.splitlines())


@pytest.mark.slow
def test_on_a_narrow_terminal(on_terminal: Callable[..., str], bare: Path) -> None:
    """No number is cut."""
    shown = on_terminal(60, "ladder", bare, *QUICK)
    assert "times faster: 1.00" in shown
    assert "…" not in shown


def test_a_report(winnow: Run, bare: Path, tmp_path: Path) -> None:
    """The same figures as a page; --json may be asked for beside it."""
    page = tmp_path / "ladder.html"
    done = winnow("ladder", bare, *QUICK, "--json", "--html", page)
    assert done.status == 0
    text = page.read_text("utf-8")
    assert f"{json.loads(done.out)['rungs'][3]['bytes']:,}" in text
    assert text.startswith("<!doctype html>")


def test_without_what_reads_graphs(
    winnow: Run, bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It names the extra."""
    monkeypatch.setattr("winnow.cli.ladder.find_spec", lambda name: None)
    done = winnow("ladder", bare, *QUICK)
    assert (done.status, done.out) == (2, "")
    assert "pip install 'winnow-mail[compile]'" in done.err
