"""What the owner's rule may look at, and what it answers. Plain frozen values."""

from __future__ import annotations

from dataclasses import dataclass

from winnow.message import Message
from winnow.verdict import Action, Envelope

# RFC 5321, 4.5.3.1 allows 64 + 1 + 255 bytes. What is longer is no address of anyone, and a bound
# keeps a hostile one from costing time.
MAX_ADDRESS = 1000


@dataclass(frozen=True, slots=True)
class Facts:
    """One message as the rule sees it.

    Attributes:
        probability: calibrated probability of spam, in 0..1.
        envelope: what the mail server said of it.
        message: the parsed message.
        size_bytes: size of the whole message.
    """

    probability: float
    envelope: Envelope
    message: Message
    size_bytes: int

    @property
    def envelope_sender(self) -> str:
        """Address of MAIL FROM in lower case, "" when unknown or the empty one of bounces."""
        return clean_address(self.envelope.sender)

    @property
    def from_address(self) -> str:
        """Address of From in lower case, "" when there is none."""
        return clean_address(self.message.sender.address)

    @property
    def recipients(self) -> tuple[str, ...]:
        """Addresses of RCPT TO in lower case; To and Cc are the sender's words, so not they."""
        return tuple(filter(None, map(clean_address, self.envelope.recipients)))


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do with the message.

    Attributes:
        action: the deed.
        rule: name of the rule that decided: "default" for the two thresholds, "recipient PATTERN"
            for thresholds of a recipient's own.
        why: a sentence in plain words.
    """

    action: Action
    rule: str
    why: str


@dataclass(frozen=True, slots=True)
class Trial:
    """What became of one rule on the way to a decision.

    Attributes:
        rule: its name.
        applied: whether it decided.
        why: in plain words, what held or the first thing that did not.
    """

    rule: str
    applied: bool
    why: str


def clean_address(text: str) -> str:
    """Return an address in lower case without angle brackets, "" when it is too long for one."""
    address = text.strip().removeprefix("<").removesuffix(">").lower()
    return address if len(address) <= MAX_ADDRESS else ""


def shown(text: str, limit: int = 100) -> str:
    """Return text of a message fit for a sentence: bounded, and nothing that moves a terminal."""
    cut = text if len(text) <= limit else text[:limit] + "..."
    return "".join(c if c.isprintable() else "?" for c in cut) or "unknown"
