"""`winnow learn`: corrections at once, message by message, whatever happens in between."""

from __future__ import annotations

import io
import json
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.cli.conftest import Run
from winnow.store import Store
from winnow.verdict import Learnt

KEYS = ["id", "label", "result", "before", "after"]


def results(text: str) -> list[str]:
    """Return what became of each message."""
    return [json.loads(line)["result"] for line in text.splitlines()]


def test_the_answer_changes_at_once(winnow: Run, model: Path, mail: Path) -> None:
    """The line says what became of the message, and its probability before and after."""
    done = winnow("learn", "--json", "--model", model, "--spam", mail / "a.eml")
    answer = json.loads(done.out)
    assert (done.status, list(answer)) == (0, KEYS)
    assert (answer["label"], answer["result"]) == ("spam", "learnt")
    assert answer["before"] < 0.5 < answer["after"]
    checked = winnow("check", "--json", "--model", model, mail / "a.eml")
    assert json.loads(checked.out)["probability"] == answer["after"]


def test_twice_other_label_and_back(winnow: Run, model: Path, mail: Path) -> None:
    """The same word counts once, the other word takes it back, and so does --forget."""
    command = ("learn", "--json", "--model", model)
    first = json.loads(winnow(*command, "--spam", mail / "a.eml").out)
    again = json.loads(winnow(*command, "--spam", mail / "a.eml").out)
    assert (again["result"], again["after"]) == ("already", first["after"])
    turned = json.loads(winnow(*command, "--ham", mail / "a.eml").out)
    assert (turned["result"], turned["after"] < 0.5) == ("relabelled", True)
    back = json.loads(winnow(*command, "--forget", mail / "a.eml").out)
    assert (back["result"], back["label"]) == ("forgotten", None)
    assert back["after"] == pytest.approx(first["before"], abs=1e-4)
    unknown = winnow(*command, "--forget", mail / "a.eml", mail / "b.eml")
    assert results(unknown.out) == ["unknown", "unknown"]


def test_for_a_person(winnow: Run, model: Path, mail: Path) -> None:
    """A line for each message and a sum at the end; options may be repeated."""
    words = ("--ham", mail / "a.eml", "--ham", mail / "b.eml", "--spam", mail / "c.eml")
    done = winnow("learn", "--model", model, *words)
    *lines, last = done.out.splitlines()
    assert [line.rsplit("  ", 1)[1] for line in lines] == [
        "learnt as spam", "learnt as ham", "learnt as ham",
    ]  # fmt: skip
    assert len({line.index("→") for line in lines}) == 1
    assert last == "3 learnt."


def test_where_corrections_are_kept(
    winnow: Run, model: Path, mail: Path, store: Path, tmp_path: Path
) -> None:
    """The user's own store is made where there is none; --store names another."""
    own = tmp_path / "deep" / "own.db"
    words = ("learn", "--model", model, "--spam", mail)
    assert winnow(*words, "--store", own).status == 0
    assert not store.exists()
    assert winnow(*words).status == 0
    for path in (own, store):
        kept = Store.open(path)
        rows = kept.corrections()
        kept.close()
        assert [(row.label, row.source) for row in rows] == [("spam", "cli")] * 3


@pytest.mark.slow
def test_killed_half_way(winnow: Run, model: Path, corpus: Path, store: Path) -> None:
    """What was told as learnt is kept when the program is killed; learning again does the rest."""
    folder = corpus / "msgs"
    command = [sys.executable, "-m", "winnow", "learn", "--json", "--model", str(model)]
    with subprocess.Popen(
        [*command, "--spam", str(folder)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        told = [json.loads(process.stdout.readline())["id"] for _ in range(20)]
        process.kill()
        rest = process.stdout.read().splitlines()
    told += [json.loads(line)["id"] for line in rest if line.endswith(b"}")]
    assert 20 <= len(told) < 160
    with closing(sqlite3.connect(store)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    again = winnow("learn", "--json", "--model", model, "--spam", folder)
    found = {line["id"]: line["result"] for line in map(json.loads, again.out.splitlines())}
    assert len(found) == 160
    assert {found[name] for name in told} == {"already"}
    assert sum(result == "already" for result in found.values()) <= len(told) + 1


@pytest.mark.slow
@pytest.mark.parametrize("options", [["--json"], []])
def test_all_is_learnt_when_nobody_reads_on(
    options: list[str], model: Path, corpus: Path, store: Path
) -> None:
    """`winnow learn --spam FOLDER | head -1` learns the folder, not its first message."""
    command = [sys.executable, "-m", "winnow", "learn", *options, "--model", str(model)]
    with subprocess.Popen(
        [*command, "--spam", str(corpus / "msgs")], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0
    kept = Store.open(store)
    assert len(kept.corrections()) == 160
    kept.close()


def test_a_store_that_cannot_be_used(winnow: Run, model: Path, mail: Path, tmp_path: Path) -> None:
    """Something else in the store's place is left alone, with a sentence."""
    path = tmp_path / "notes.txt"
    path.write_text("not a database\n" * 100)
    done = winnow("learn", "--model", model, "--store", path, "--spam", mail)
    assert (done.status, done.out) == (2, "")
    assert path.read_text() == "not a database\n" * 100


def test_a_labelled_corpus_is_not_taken_for_spam(
    winnow: Run, model: Path, corpus: Path, store: Path
) -> None:
    """Its ham would be learnt as spam: refused, and nothing of it is learnt."""
    done = winnow("learn", "--model", model, "--spam", corpus)
    assert (done.status, done.out) == (2, "")
    assert "has its own labels" in done.err
    assert not store.exists()


@pytest.mark.parametrize("words", ["--spam -", "--ham -"])
def test_nothing_is_learnt_of_nothing(
    words: str, winnow: Run, model: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`fetch | winnow learn --spam -` with a failing fetch teaches no empty message."""
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"")))
    done = winnow("learn", "--model", model, *words.split())
    assert (done.status, done.out) == (2, "")
    assert "standard input: is empty" in done.err
    assert winnow("learn", "--model", model, "--spam", "-", "--ham", "-").status == 2
    kept = Store.open(store)
    assert kept.corrections() == []
    kept.close()


def test_an_empty_spam_folder(winnow: Run, model: Path, tmp_path: Path) -> None:
    """`winnow learn --spam ~/Maildir/.Junk` every night is no fault when no spam came."""
    for part in ("cur", "new"):
        (tmp_path / ".Junk" / part).mkdir(parents=True)
    done = winnow("learn", "--model", model, "--spam", tmp_path / ".Junk")
    assert (done.status, done.out, done.err) == (0, "no messages there.\n", "")


def test_the_reference_names_keys_and_results() -> None:
    """A program that reads the lines finds them all on the page of the verdict."""
    page = Path(__file__).parents[2] / "docs" / "reference" / "verdict.md"
    (row,) = [line for line in page.read_text("utf-8").splitlines() if "`winnow learn" in line]
    told = set(re.findall(r"`(\w+)`", row))
    assert told >= {*KEYS, *(result.name.lower() for result in Learnt)}
