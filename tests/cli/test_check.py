"""`winnow check`: answers for people and for programs."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.cells import cell_len

from tests.cli.conftest import Run
from tests.runtime.hardware import absent_device
from tests.synthetic import message
from winnow.cli.check import reasons_text
from winnow.verdict import Reason

KEYS = ["id", "probability", "action", "rule", "stage", "why", "reasons", "ms", "model"]
STYLE = re.compile(r"\x1b\[[0-9;]*m")


def answers(text: str) -> list[dict[str, object]]:
    """Return the objects of JSON lines."""
    return [json.loads(line) for line in text.splitlines()]


def test_json(winnow: Run, model: Path, mail: Path) -> None:
    """One documented object a line, under the name by which the user finds the message."""
    done = winnow("check", "--json", "--model", model, mail, mail / "c.eml")
    found = answers(done.out)
    assert done.status == 0
    assert [list(answer) for answer in found] == [KEYS] * 4
    assert [answer["id"] for answer in found] == ["a.eml", "b.eml", "c.eml", str(mail / "c.eml")]
    spam = [float(str(answer["probability"])) >= 0.5 for answer in found]
    assert spam == [False, False, True, True]
    assert str(found[0]["model"]).startswith("small@")


def test_table_where_there_is_no_terminal(winnow: Run, model: Path, mail: Path) -> None:
    """Plain aligned lines without colours; the action of each message is in its line."""
    lines = winnow("check", "--model", model, mail).out.splitlines()
    assert lines[0].split()[:4] == ["message", "spam", "action", "ms"]
    assert [line.split()[0] for line in lines[1:]] == ["a.eml", "b.eml", "c.eml"]
    assert [line.split()[2] for line in lines[1:]] == ["deliver", "deliver", "junk"]
    column = lines[0].index("action")
    assert all(line[column : column + 7].strip() in ("deliver", "junk") for line in lines[1:])
    assert "\x1b" not in "".join(lines)


@pytest.mark.slow
@pytest.mark.parametrize("columns", [80, 120])
def test_table_on_a_terminal(
    columns: int, on_terminal: Callable[..., str], model: Path, mail: Path
) -> None:
    """Nothing is wider than the terminal, and mail writes neither colours nor commands to it."""
    words = b"\x1b[2J\x1b]0;owned\x07 [red]prize[/red] casino " * 20
    hostile = mail / ("[bold]\x1b[31m" + "発" * 30 + "\u202e.eml")
    hostile.write_bytes(b"Subject: [blink]casino[/blink] \x1b[31m prize\n\n" + words)
    shown = on_terminal(columns, "check", "--model", model, mail)
    plain = STYLE.sub("", shown)
    assert "\x1b" not in plain
    assert "\x07" not in plain
    assert "\u202e" not in plain
    assert "[bold]\\x1b[" in plain
    assert shown.count("\x1b[31m") == shown.count("\x1b[31mjunk") > 0
    assert max(cell_len(line.rstrip()) for line in plain.splitlines()) <= columns
    assert len(plain.splitlines()) == 5


@pytest.mark.parametrize("raw", [b"", b"\x00", b"\xff" * 100, b"\n\n\n", b"no headers at all"])
def test_standard_input_of_any_bytes(
    raw: bytes, winnow: Run, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty message is a message, and so is one of no form."""
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(raw)))
    done = winnow("check", "--json", "--model", model, "-")
    (answer,) = answers(done.out)
    assert done.status == 0
    assert 0.0 <= float(str(answer["probability"])) <= 1.0


def test_empty_places(winnow: Run, model: Path, tmp_path: Path) -> None:
    """An empty file is a message; an empty folder is a mistake, told before any answer."""
    (tmp_path / "none.eml").touch()
    (tmp_path / "folder").mkdir()
    assert winnow("check", "--model", model, tmp_path / "none.eml").status == 0
    done = winnow("check", "--model", model, tmp_path / "none.eml", tmp_path / "folder")
    assert (done.status, done.out) == (2, "")
    assert "no mail found" in done.err


def test_the_rule_acts(winnow: Run, model: Path, mail: Path, tmp_path: Path) -> None:
    """--rules names the rule that decides; one that cannot be read stops with its place."""
    rules = tmp_path / "rules.toml"
    rules.write_text('[[rule]]\nname = "mine"\naction = "flag"\nfrom = "@example.org"\n')
    done = winnow("check", "--json", "--model", model, "--rules", rules, mail / "a.eml")
    assert [(answer["action"], answer["rule"]) for answer in answers(done.out)] == [
        ("flag", "mine")
    ]
    rules.write_text("[[rule]\n")
    done = winnow("check", "--model", model, "--rules", rules, mail)
    assert (done.status, done.out) == (2, "")
    assert f"{rules}:1:" in done.err


def test_corrections_count(winnow: Run, model: Path, mail: Path, store: Path) -> None:
    """What was learnt into the user's store counts, unless --no-store; asking makes no store."""

    def probability(*options: object) -> float:
        done = winnow("check", "--json", "--model", model, *options, mail / "a.eml")
        return float(str(answers(done.out)[0]["probability"]))

    before = probability()
    assert not store.parent.exists()
    assert winnow("learn", "--model", model, "--spam", mail / "a.eml").status == 0
    assert probability() > 0.5 > before
    assert probability("--store", store) > 0.5
    assert probability("--no-store") == before


def test_a_store_that_is_not_there(winnow: Run, model: Path, mail: Path, tmp_path: Path) -> None:
    """A mistyped store is told; it is neither made nor passed over."""
    done = winnow("check", "--model", model, "--store", tmp_path / "typo.db", mail)
    assert (done.status, done.out) == (2, "")
    assert not (tmp_path / "typo.db").exists()


@pytest.mark.slow
def test_answers_come_as_messages_do(model: Path) -> None:
    """A mailbox that is still being written has its first answer before its last message."""
    command = [sys.executable, "-m", "winnow", "check", "--json", "--model", str(model), "-"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        one = b"From a@b.c Mon Jan  1 00:00:00 2024\n" + message(True, 1) + b"\n"
        process.stdin.write(one * 200)  # more than the reader's buffer
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["id"].endswith("#1")
        assert process.poll() is None
        process.stdin.close()
        assert len(process.stdout.read().splitlines()) == 199
    assert process.returncode == 0


def test_a_pipe_as_a_path(winnow: Run, model: Path, tmp_path: Path) -> None:
    """<(command) works as a path."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    feeder = subprocess.Popen(
        [sys.executable, "-c", f"open({str(fifo)!r}, 'wb').write({message(True, 9)!r})"]
    )
    done = winnow("check", "--json", "--model", model, fifo)
    assert feeder.wait(10) == 0
    assert [answer["action"] for answer in answers(done.out)] == ["junk"]


def test_reasons_that_fit() -> None:
    """Whole reasons, the strongest first; the first is cut rather than left out."""
    reasons = (
        Reason("word", "prize", 0.5),
        Reason("link", "x.example", 0.25),
        Reason("trait", "html only", -0.1),
    )
    assert reasons_text(reasons, 60) == "“prize” +50%, link “x.example” +25%, html only -10%"
    assert reasons_text(reasons, 40) == "“prize” +50%, link “x.example” +25%"
    assert reasons_text(reasons, 20) == "“prize” +50%"
    assert reasons_text((Reason("trait", "t" * 90, 1.0),), 20) == f"{'t' * 11}… +100%"
    assert reasons_text((Reason("word", "a\x1b\n", 1.0),), 40) == r"“a\x1b\n” +100%"
    assert reasons_text((), 40) == ""


@pytest.mark.slow
def test_a_narrow_terminal(on_terminal: Callable[..., str], model: Path, mail: Path) -> None:
    """On 40 columns a message has two lines, the second for its reasons."""
    lines = STYLE.sub("", on_terminal(40, "check", "--model", model, mail)).splitlines()
    assert max(cell_len(line.rstrip()) for line in lines) <= 40
    assert [line.split()[0] for line in lines[::2]] == ["message", "a.eml", "b.eml", "c.eml"]
    assert [line.split()[-1] for line in lines[2::2]] == ["deliver", "deliver", "junk"]
    assert all("%" in line and len(line.rstrip()) > 12 for line in lines[3::2])


def test_a_store_in_the_way(winnow: Run, model: Path, mail: Path, store: Path) -> None:
    """Who named no store is told how to get an answer when the usual one is broken."""
    store.parent.mkdir()
    store.write_text("not a database\n" * 100)
    done = winnow("check", "--model", model, mail)
    assert (done.status, done.out) == (2, "")
    assert "--no-store answers without corrections." in done.err
    assert "--no-store" not in winnow("check", "--model", model, "--store", store, mail).err
    assert winnow("check", "--model", model, "--no-store", mail).status == 0


def test_a_maildir_without_new_mail(winnow: Run, model: Path, tmp_path: Path) -> None:
    """No mail has come: no answers, and no fault that cron would report every night."""
    for part in ("cur", "new"):
        (tmp_path / "Maildir" / part).mkdir(parents=True)
    for place in ("Maildir", "Maildir/new"):
        done = winnow("check", "--json", "--model", model, tmp_path / place)
        assert (done.status, done.out, done.err) == (0, "", "")


def test_explained(winnow: Run, model: Path, corpus: Path) -> None:
    """A person who doubts an answer sees which stage gave it, why that one, and every reason."""
    plain = winnow("check", "--no-store", "--model", model, corpus / "msgs" / "spam1.eml")
    done = winnow("check", "--no-store", "--explain", "--model", model, corpus / "msgs/spam1.eml")
    assert done.status == plain.status == 0
    assert "answered by the reflex: the model has no reader" in done.out
    assert len(done.out.splitlines()) > len(plain.out.splitlines()) + 1


def test_a_device_is_that_device_or_a_sentence(winnow: Run, model: Path, mail: Path) -> None:
    """Status 2 and nothing answered where it is not to be had."""
    known = answers(winnow("check", "--json", "--model", model, mail).out)
    auto = answers(winnow("check", "--json", "--model", model, "--device", "auto", mail).out)
    assert [one["probability"] for one in auto] == [one["probability"] for one in known]
    for name, told in ((absent_device(), "is not here: "), ("fast", "name one of auto, cpu, ")):
        done = winnow("check", "--model", model, "--device", name, mail)
        assert (done.status, done.out) == (2, "")
        assert told in done.err
        assert done.err.count("\n") == 1
