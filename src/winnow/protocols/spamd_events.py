"""The nouns of the spamd protocol: what a client asked (events), what we answer (replies).

Events are facts that `SpamdConnection.next_event` returns; replies are handed to its `send`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Literal


class Command(StrEnum):
    """First word of a request line."""

    CHECK = "CHECK"
    SYMBOLS = "SYMBOLS"
    REPORT = "REPORT"
    REPORT_IFSPAM = "REPORT_IFSPAM"
    PROCESS = "PROCESS"
    HEADERS = "HEADERS"
    TELL = "TELL"
    PING = "PING"
    SKIP = "SKIP"


class Status(IntEnum):
    """Second word of a reply line: the codes of sysexits.h that we use, and spamd's own 79."""

    OK = 0  # EX_OK
    DATAERR = 65  # EX_DATAERR
    UNAVAILABLE = 69  # EX_UNAVAILABLE
    TEMPFAIL = 75  # EX_TEMPFAIL
    PROTOCOL = 76  # EX_PROTOCOL
    TIMEOUT = 79  # EX_TIMEOUT, in spamd's table only


ECHOING = frozenset({Command.PROCESS, Command.HEADERS})
"""Commands whose reply holds the message, so that all of it must be kept."""


@dataclass(frozen=True, slots=True)
class Ping:
    """The client asks whether we are alive; answer with `Pong`."""


@dataclass(frozen=True, slots=True)
class Closed:
    """The client wants nothing (it sent SKIP, or closed without a byte); close, do not answer."""


@dataclass(frozen=True, slots=True)
class Check:
    """The client wants a verdict; answer with `Scored` or `Failed`.

    Attributes:
        command: one of the six commands that score.
        head: the first `Limits.scan_bytes` of the message, or all of it when it is shorter.
        size_bytes: size of the whole message.
        user: value of the User header, or "".
    """

    command: Command
    head: bytes
    size_bytes: int
    user: str


@dataclass(frozen=True, slots=True)
class Learn:
    """The client says what a message is; answer with `Told` or `Failed`.

    Attributes:
        label: what it is.
        head: as in `Check`.
        user: value of the User header, or "".
    """

    label: Literal["spam", "ham"]
    head: bytes
    user: str


@dataclass(frozen=True, slots=True)
class Forget:
    """The client takes a correction back; answer with `Told` or `Failed`.

    Attributes:
        head: as in `Check`.
        user: value of the User header, or "".
    """

    head: bytes
    user: str


Event = Ping | Closed | Check | Learn | Forget


@dataclass(frozen=True, slots=True)
class Pong:
    """We are alive."""


@dataclass(frozen=True, slots=True)
class Scored:
    """The verdict for a `Check`.

    Attributes:
        is_spam: whether the rule moves the message to junk.
        probability: calibrated probability of spam, in 0..1.
        junk_threshold: probability at which the rule says junk, in 0..1; 5.0 points on the wire.
        action: name of the action, a word of ASCII letters.
        rule: name of the rule that decided; any text.
        model: name and digest of the model; any text.
        reasons: (kind, text, share) strongest first; any text, as mail is hostile.
    """

    is_spam: bool
    probability: float
    junk_threshold: float
    action: str
    rule: str
    model: str
    reasons: tuple[tuple[str, str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Told:
    """What became of a `Learn` or `Forget`.

    Attributes:
        changed: whether anything was written; False when it was known, or unknown, already.
    """

    changed: bool


@dataclass(frozen=True, slots=True)
class Failed:
    """No answer: the client passes its message on as it is.

    Attributes:
        status: one of `Status`, not OK.
        reason: a sentence for the client's log.
    """

    status: int
    reason: str


Reply = Pong | Scored | Told | Failed
