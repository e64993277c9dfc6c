"""The answer and its documented form."""

from __future__ import annotations

import dataclasses
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.docs.pages import ROOT
from winnow.verdict import Action, Envelope, Label, Learnt, Reason, Verdict, Why

VERDICT = Verdict(
    id="1@b.example",
    identity="0" * 32,
    probability=0.123456789,
    action=Action.DELIVER,
    rule="default",
    stage="reflex",
    reasons=(Reason("word", "free", 0.123456), Reason("trait", "subject: money", -0.5)),
    milliseconds=1.23456,
    model="shipped@1a2b3c4d",
    size_bytes=100,
    why=str(Why.SURE),
)


def test_the_json_object_is_the_documented_one() -> None:
    """Doors and the command line print this object; its fields are a promise."""
    assert VERDICT.to_json() == {
        "id": "1@b.example",
        "probability": 0.123457,
        "action": "deliver",
        "rule": "default",
        "stage": "reflex",
        "why": "the reflex is sure",
        "reasons": [
            {"kind": "word", "text": "free", "share": 0.1235},
            {"kind": "trait", "text": "subject: money", "share": -0.5},
        ],
        "ms": 1.235,
        "model": "shipped@1a2b3c4d",
    }
    page = (ROOT / "docs" / "reference" / "verdict.md").read_text("utf-8")
    assert set(VERDICT.to_json()) <= set(re.findall(r"`([a-z_]+)`", page))


@given(st.text(), st.floats(0, 1), st.floats(-1, 1))
def test_any_verdict_is_json(text: str, probability: float, share: float) -> None:
    """Whatever a sender wrote into an id or a word, the object goes over any wire and back."""
    verdict = dataclasses.replace(
        VERDICT, id=text, probability=probability, reasons=(Reason("word", text, share),)
    )
    wire = json.dumps(verdict.to_json()).encode("ascii")
    back = json.loads(wire)
    assert back["id"] == back["reasons"][0]["text"] == text
    assert back["probability"] == pytest.approx(probability, abs=1e-6)


def test_the_words_on_the_wire_stay() -> None:
    """Logs, stores and rule files hold these words; a new spelling would orphan them."""
    assert [str(action) for action in Action] == ["junk", "flag", "deliver"]
    assert [str(label) for label in Label] == ["spam", "ham"]
    assert len({str(learnt) for learnt in Learnt}) == len(Learnt)


def test_nothing_is_known_of_an_empty_envelope() -> None:
    """A door that knows nothing of a message must not claim anything."""
    assert Envelope() == Envelope(sender="", recipients=(), client_address="")


def test_an_answer_cannot_be_changed() -> None:
    """What was written to the log is what was done."""
    for value in (VERDICT, VERDICT.reasons[0], Envelope()):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(value, dataclasses.fields(value)[0].name, "other")
