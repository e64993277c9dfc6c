"""`winnow verdict`: what the server answered for a message."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from winnow.store import Store
from winnow.verdict import Action, Reason, Verdict


@pytest.fixture
def logged(store: Path) -> Path:
    """Return the user's store with two verdicts on a@b.c and one on another message."""
    store.parent.mkdir()
    kept = Store.open(store, retention_days=None)
    for at, name, probability in (
        (1000, "a@b.c", 0.95),
        (2000, "a@b.c", 0.4),
        (3000, "x@y.z", 0.1),
    ):
        action = Action.JUNK if probability > 0.9 else Action.DELIVER
        reasons = (Reason("trait", "html only", 0.25),)
        verdict = Verdict(
            name, "ab" * 16, probability, action, "own\x1b[2J", "reflex", reasons, 1.5, "m@1", 99
        )
        kept.record(verdict, door="http", at=at)
    kept.close()
    return store


@pytest.mark.parametrize("name", ["a@b.c", "<a@b.c>"])
def test_json(name: str, winnow: Run, logged: Path) -> None:
    """The newest first, with all that was kept, by Message-ID with or without brackets."""
    found = [json.loads(line) for line in winnow("verdict", "--json", name).out.splitlines()]
    assert [answer["probability"] for answer in found] == [0.4, 0.95]
    assert found[1] == {
        "id": "a@b.c",
        "identity": "ab" * 16,
        "at": "1970-01-01T00:16:40+00:00",
        "door": "http",
        "probability": 0.95,
        "action": "junk",
        "rule": "own\x1b[2J",
        "stage": "reflex",
        "reasons": [{"kind": "trait", "text": "html only", "share": 0.25}],
        "ms": 1.5,
        "model": "m@1",
        "size_bytes": 99,
        "sender": "",
        "subject": "",
    }


def test_for_a_person(winnow: Run, logged: Path) -> None:
    """A line for each, and nothing of the rule's name that a terminal would obey."""
    head, *lines = winnow("verdict", "a@b.c").out.splitlines()
    assert head.split()[:2] == ["time", "(UTC)"]
    assert [line.split()[4] for line in lines] == ["deliver", "junk"]
    assert lines[1].startswith("1970-01-01 00:16:40  http  0.950  junk")
    assert r"own\x1b[2J" in lines[1]
    assert "html only +25%" in lines[1]


def test_none(winnow: Run, logged: Path, tmp_path: Path) -> None:
    """A message that was never answered, and a store that is not there, are sentences."""
    done = winnow("verdict", "nobody@b.c")
    assert (done.status, done.out) == (2, "")
    assert "holds no verdict on 'nobody@b.c'; a server" in done.err
    done = winnow("verdict", "a@b.c", "--store", tmp_path / "none.db")
    assert (done.status, "there is no store" in done.err) == (2, True)
    assert not (tmp_path / "none.db").exists()


def test_looking_deletes_nothing(winnow: Run, logged: Path) -> None:
    """Verdicts older than any retention, as these of 1970, are still there the second time."""
    first = winnow("verdict", "a@b.c").out
    assert winnow("verdict", "a@b.c").out == first
