"""The rows of the store as frozen values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from winnow.verdict import Action, Label, Reason

Kind = Literal["learn", "retract"]


@dataclass(frozen=True, slots=True)
class VerdictRow:
    """One logged verdict.

    Attributes:
        message_id: Message-ID without brackets, else the identity.
        identity: hex digest of the message.
        at: when it was given, in seconds since 1970.
        door: which door asked, as "http".
        probability: of spam, in 0..1.
        action: what the rule did.
        rule: name of the rule that decided.
        stage: model stage that answered.
        reasons: strongest first; words of the mail only where the store keeps text.
        milliseconds: wall time of the verdict.
        model: as "name@1a2b3c4d".
        size_bytes: size of the message.
        sender: "" unless the store keeps text.
        subject: "" unless the store keeps text.
    """

    message_id: str
    identity: str
    at: float
    door: str
    probability: float
    action: Action
    rule: str
    stage: str
    reasons: tuple[Reason, ...]
    milliseconds: float
    model: str
    size_bytes: int
    sender: str
    subject: str


@dataclass(frozen=True, slots=True)
class CorrectionRow:
    """One correction. Weights are the model's plus the sum of all rows' steps, in any order.

    Attributes:
        seq: number of the row, from 1, growing in the order of the commits, never used twice.
        identity: hex digest of the message.
        label: what a person said it is; of a retraction, the label that is taken back.
        kind: "learn", or "retract" of an earlier learn.
        of_seq: of a retraction, the row that it takes back; else None.
        at: when, in seconds since 1970.
        source: the door it came through, or "cli".
        fingerprint: version of the features that `features` and `step` are in.
        model: as "name@1a2b3c4d".
        features: the message's features, opaque here; holds no text.
        step: what it added to the weights, opaque here.
    """

    seq: int
    identity: str
    label: Label
    kind: Kind
    of_seq: int | None
    at: float
    source: str
    fingerprint: str
    model: str
    features: bytes
    step: bytes
