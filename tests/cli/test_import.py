"""`winnow import`: a foreign classifier from its file to answers, figures and corrections."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.cli.conftest import Run
from tests.imported import VOCABULARY, classifier, write_classifier  # skips without the extras
from tests.serving.fakes import wait_until
from tests.synthetic import message
from winnow.cli import build_parser
from winnow.verdict import Why

NOTICE = "not calibrated: run `winnow calibrate`"


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory, model: Path) -> Path:
    """A model whose reader was made by the command."""
    from winnow.cli import main

    folder = tmp_path_factory.mktemp("imported")
    path, out = write_classifier(folder), folder / "i.winnow"
    assert main(["import", str(path), "--base", str(model), "--out", str(out)]) == 0
    return out


def test_what_is_typed_is_what_is_asked_for() -> None:
    """Each option reaches the work under its name."""
    words = "import m.onnx --tokenizer t.json --out o.winnow --base b.winnow --spam-label 2"
    words += " --tokens 64 --fields text,subject"
    args = build_parser().parse_args(words.split())
    assert (args.graph, args.tokenizer, args.out) == (
        Path("m.onnx"),
        Path("t.json"),
        Path("o.winnow"),
    )
    assert (args.base, args.spam_label, args.tokens) == (Path("b.winnow"), 2, 64)
    assert args.fields == "text,subject"


def test_it_says_what_was_found(winnow: Run, model: Path, tmp_path: Path) -> None:
    """Which class is spam and why, sizes, how exact it is, and what is to be done next."""
    path, out = write_classifier(tmp_path), tmp_path / "i.winnow"
    (tmp_path / "config.json").write_text('{"id2label": {"0": "ham", "1": "sp\\u001b[31mam"}}')
    done = winnow("import", path, "--base", model, "--out", out, "--spam-label", 1)
    assert (done.status, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0] == r"Spam is class 1, 'sp\\x1b[31mam', of 2, from logits (logits)."
    assert f"{len(VOCABULARY)} pieces, 64 tokens of subject, name, text; it says what" in lines[1]
    assert "nodes became" in lines[2]
    assert lines[3].startswith("i@")
    assert f"winnow calibrate --budget 10ms --model {out} CORPUS" in lines[4]
    done = winnow("import", write_classifier(tmp_path, classifier(pool="largest", classes=1)),
                  "--base", model, "--out", out, "--spam-label", 0)  # fmt: skip
    assert "Spam is its one number below 0" in done.out
    assert "reading again tells what each word added" in done.out


def test_check(winnow: Run, imported: Path, mail: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The reader answers for every message, with reasons, and says that it is not calibrated."""
    done = winnow("check", "--json", "--model", imported, mail)
    found = [json.loads(line) for line in done.out.splitlines()]
    assert [verdict["probability"] > 0.5 for verdict in found] == [False, False, True]
    assert {verdict["stage"] for verdict in found} == {"reader"}
    assert {verdict["why"] for verdict in found} == {Why.UNCALIBRATED}
    assert all(verdict["reasons"] for verdict in found)
    assert NOTICE in caplog.text  # on standard error, where pytest does not take it
    shown = winnow("check", "--explain", "--model", imported, mail).out
    assert shown.count("answered by the reader: the reader is not calibrated") == 3


def test_inspect(winnow: Run, imported: Path) -> None:
    """Where the reader is from, and that nothing is known of what it is worth."""
    done = winnow("inspect", imported)
    assert done.status == 0
    assert "reader      imported from model.onnx, 1 of 2 classes is spam" in done.out
    assert "cascade     NOT calibrated: the reader answers alone" in done.out
    assert "import reader" in done.out
    assert "reader.json" in done.out
    assert json.loads(winnow("inspect", "--json", imported).out)["usable"] is True


def test_evaluate(winnow: Run, imported: Path, corpus: Path) -> None:
    """Figures of the reader alone; on standard error, that they are not calibrated."""
    done = winnow("evaluate", "--json", "--model", imported, corpus)
    (figures,) = json.loads(done.out)
    assert figures["answered_by_reader_percent"] == 100
    assert figures["accuracy_percent"] > 90
    assert NOTICE in done.err


def test_learn(
    winnow: Run, imported: Path, mail: Path, store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A correction is kept, and whoever gives it is told why nothing moves yet."""
    done = winnow("learn", "--json", "--model", imported, "--spam", mail / "a.eml")
    outcome = json.loads(done.out)
    assert outcome["result"] == "learnt"
    assert outcome["before"] == outcome["after"]
    assert NOTICE in caplog.text
    assert store.exists()


def test_calibrate(
    winnow: Run,
    imported: Path,
    corpus: Path,
    mail: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """After it nothing is said of calibration any more, and both stages are heard."""
    copy = shutil.copytree(imported, tmp_path / "c.winnow")
    done = winnow("calibrate", "--budget", "1s", "--model", copy, corpus)
    assert done.status == 0
    assert "The reader is asked for" in done.out
    done = winnow("inspect", copy)
    assert "NOT calibrated" not in done.out
    assert "imported from model.onnx" in done.out
    assert " reflex +" in done.out
    done = winnow("check", "--json", "--model", copy, mail)
    assert NOTICE not in caplog.text
    assert [json.loads(line)["probability"] > 0.5 for line in done.out.splitlines()] == [
        False,
        False,
        True,
    ]


@pytest.mark.slow
def test_serve(imported: Path, tmp_path: Path) -> None:
    """The server answers with it as `check` does, and logs that it is not calibrated."""
    command = [sys.executable, "-m", "winnow", "serve", "--port", "0", "--no-spamd", "--no-store"]
    ready = tmp_path / "ready.json"
    command += ["--ready-file", str(ready), "--model", str(imported)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            wait_until(lambda: ready.exists() or process.poll() is not None)
            door = json.loads(ready.read_text())["http"]
            answer = httpx.post(f"{door}/v1/check", content=message(True, 5_002)).json()
        finally:
            process.terminate()
            _, log = process.communicate(timeout=60)
    assert (answer["stage"], answer["why"]) == ("reader", Why.UNCALIBRATED)
    assert answer["probability"] > 0.5
    assert answer["reasons"]
    assert NOTICE in log


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--tokens", "7"], "7 tokens a message: 16 to 512"),
        (["--tokens", "65"], "cannot read 65 tokens at once"),
        (["--spam-label", "2"], "--spam-label 2: there are 0 to 1"),
        (["--fields", "subject,body"], "no field 'body'"),
        (["--fields", ""], "no field ''"),
        (["--tokenizer", "none.json"], "none.json is not there"),
        (["--base", "none.winnow"], "no model at none.winnow"),
    ],
)
def test_unusable_wishes(
    words: list[str], told: str, winnow: Run, model: Path, tmp_path: Path
) -> None:
    """One sentence, and nothing is written."""
    path, out = write_classifier(tmp_path), tmp_path / "i.winnow"
    base = [] if "--base" in words else ["--base", model]
    done = winnow("import", path, "--out", out, *base, *words)
    assert (done.status, done.out) == (2, "")
    assert told in done.err
    assert done.err.count("\n") == 1
    assert not out.exists()


def test_without_the_extra_it_is_named(
    winnow: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One sentence says what to install."""
    monkeypatch.setitem(sys.modules, "winnow.recipe_import", None)
    monkeypatch.delattr("winnow.recipe_import", raising=False)
    done = winnow("import", "m.onnx", "--out", tmp_path / "o.winnow")
    assert (done.status, done.out) == (2, "")
    assert "pip install 'winnow-mail[compile,import]'" in done.err
