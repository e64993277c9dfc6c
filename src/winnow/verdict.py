"""The nouns that travel between the folders: what is asked, what is answered, what is taught.

All are frozen values without behaviour beyond their own form; nothing here does I/O.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Label(StrEnum):
    """What a person says a message is."""

    SPAM = "spam"
    HAM = "ham"


class Action(StrEnum):
    """What the owner's rule does with a message."""

    JUNK = "junk"
    FLAG = "flag"
    DELIVER = "deliver"


class Why(StrEnum):
    """Why it was this stage of the model that answered."""

    ONLY_STAGE = "the model has no reader"
    SURE = "the reflex is sure"
    UNSURE = "the reflex is unsure"
    OPENING = "the message begins worse than it goes on"
    UNCALIBRATED = "the reader is not calibrated: run winnow calibrate"
    BROKEN = "the reader is broken"
    FAILED = "the reader failed"
    LATE = "there is no time for the reader"


# The reader was wanted, and the reflex's answer stands.
PASSED_OVER = (Why.BROKEN, Why.FAILED, Why.LATE)


@dataclass(frozen=True, slots=True)
class Envelope:
    """What the mail server knows of a message beside its bytes. Empty means unknown.

    Attributes:
        sender: address of MAIL FROM, without angle brackets.
        recipients: addresses of RCPT TO.
        client_address: IP address of the client that handed the message in.
    """

    sender: str = ""
    recipients: tuple[str, ...] = ()
    client_address: str = ""


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that moved an answer.

    Attributes:
        kind: "word", "link", "hidden word", "trait" or "raw bytes".
        text: the word as the reader sees it, or the trait in plain words.
        share: part of the evidence that goes when this one thing is removed, in -1..1;
            above 0 it speaks for spam, below 0 against it.
    """

    kind: str
    text: str
    share: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer for one message.

    Attributes:
        id: who the message is: its Message-ID without brackets, else its identity digest.
        identity: hex digest that is the same for the same message in another mailbox.
        probability: calibrated probability of spam, in 0..1.
        action: what the rule does.
        rule: name of the rule that decided.
        stage: model stage that answered: "reflex" or "reader".
        reasons: strongest first; empty when not asked for.
        milliseconds: wall time from raw bytes to this verdict.
        model: name and short digest of the model, as "name@1a2b3c4d".
        size_bytes: size of the whole message.
        why: why it was that stage.
    """

    id: str
    identity: str
    probability: float
    action: Action
    rule: str
    stage: str
    reasons: tuple[Reason, ...]
    milliseconds: float
    model: str
    size_bytes: int
    why: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the documented JSON object (see docs/reference/verdict.md)."""
        return {
            "id": self.id,
            "probability": round(self.probability, 6),
            "action": str(self.action),
            "rule": self.rule,
            "stage": self.stage,
            "why": self.why,
            "reasons": [
                {"kind": r.kind, "text": r.text, "share": round(r.share, 4)} for r in self.reasons
            ],
            "ms": round(self.milliseconds, 3),
            "model": self.model,
        }


class Learnt(StrEnum):
    """What became of a correction."""

    LEARNT = "learnt"
    ALREADY = "already learnt"
    RELABELLED = "learnt with the other label, the earlier one taken back"
    FORGOTTEN = "forgotten"
    UNKNOWN = "was never learnt"
