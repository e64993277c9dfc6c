"""The verbs as a user types them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.synthetic import message, write_corpus
from winnow.cli import main


def test_train_check_learn_inspect(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The whole way of a newcomer, from labelled mail to a corrected answer."""
    corpus, model = str(write_corpus(tmp_path / "mail")), str(tmp_path / "m.winnow")
    assert main(["train", "--out", model, corpus]) == 0
    assert "160 messages" in capsys.readouterr().out
    mail = tmp_path / "one.eml"
    mail.write_bytes(message(False, 5000))
    store = str(tmp_path / "s.db")

    def probability() -> float:
        assert main(["check", "--json", "--model", model, "--store", store, str(mail)]) == 0
        answer = json.loads(capsys.readouterr().out)
        keys = ("id", "probability", "action", "stage", "reasons", "ms", "model")
        assert all(key in answer for key in keys)
        return float(answer["probability"])

    assert probability() < 0.5
    assert main(["learn", "--model", model, "--store", store, "--spam", str(mail)]) == 0
    capsys.readouterr()
    assert probability() > 0.5
    assert main(["inspect", "--json", model]) == 0
    assert json.loads(capsys.readouterr().out)["manifest"]["training"]["messages"] == 160


def test_evaluate_prints_the_documented_keys(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--json` is a list of objects; `--report` writes a page."""
    corpus, report = str(write_corpus(tmp_path / "mail")), tmp_path / "r.html"
    command = ["evaluate", "--protocol", "split", "--json", "--report", str(report), corpus]
    assert main(command) == 0
    (figures,) = json.loads(capsys.readouterr().out)
    assert figures["protocol"] == "split"
    assert "one_minus_roca_percent_low" in figures
    assert "<svg" in report.read_text()


@pytest.mark.parametrize(
    "command", [["check", "/no/such"], ["train", "--out", "x.winnow"], ["inspect", "/no/such"]]
)
def test_unusable_input_is_a_sentence(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit status 2 and a sentence, never a traceback."""
    assert main(command) == 2
    assert capsys.readouterr().err.startswith("winnow: ")
