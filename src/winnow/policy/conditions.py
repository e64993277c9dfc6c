"""The conditions of a rule: each says whether it holds, and why in plain words.

A condition never raises and takes time linear in the message's headers and its own patterns.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from winnow.policy.facts import Facts, shown
from winnow.policy.patterns import AddressTable, Glob

# A header is looked at this far, and so many headers of one name: more is an attack on our time.
MAX_HEADER_TEXT = 10_000
MAX_HEADERS = 100

ENVELOPE = "the envelope sender"


class Condition(Protocol):
    """One thing that a rule demands."""

    def holds(self, facts: Facts) -> bool:
        """Say whether the message fulfils it."""

    def why(self, facts: Facts) -> str:
        """Say in plain words what holds, or what does not."""


@dataclass(frozen=True, slots=True)
class SenderMatches:
    """From or the envelope sender, whichever is looked at, matches a pattern.

    Attributes:
        looks_at: "sender" (either of the two), "from" or "envelope_sender".
        tables: (name of the list or "" for patterns in the rule itself, its patterns).
    """

    looks_at: str
    tables: tuple[tuple[str, AddressTable[None]], ...]

    def holds(self, facts: Facts) -> bool:
        """See Condition."""
        return self._found(facts) is not None

    def why(self, facts: Facts) -> str:
        """See Condition."""
        found = self._found(facts)
        if found is not None:
            return found
        seen = " and ".join(f"{role} {shown(a)}" for role, a in self._addresses(facts))
        lists = " or ".join(f'the list "{name}"' for name, _ in self.tables if name)
        verb = "are" if " and " in seen else "is"
        return f"{seen} {verb} not on {lists}" if lists else f"{seen} {verb} none that it names"

    def _addresses(self, facts: Facts) -> Iterator[tuple[str, str]]:
        if self.looks_at != "envelope_sender":
            yield "From", facts.from_address
        if self.looks_at != "from":
            yield ENVELOPE, facts.envelope_sender

    def _found(self, facts: Facts) -> str | None:
        for role, address in self._addresses(facts):
            for name, table in self.tables:
                found = table.find(address) if address else None
                if found:
                    where = f' on the list "{name}"' if name else ""
                    return f'{role} {shown(address)} matches "{found[0]}"{where}'
        return None


@dataclass(frozen=True, slots=True)
class Aligned:
    """From and the envelope sender agree: they are of the same domain.

    A subdomain does not count: a server that checks SPF rejects a forged `example.org` that has
    a policy, but lets pass an invented `x.example.org`, or `co.uk`, that has none.
    """

    def holds(self, facts: Facts) -> bool:
        """See Condition."""
        return self._fault(facts) is None

    def why(self, facts: Facts) -> str:
        """See Condition."""
        return self._fault(facts) or "From and the envelope sender agree"

    def _fault(self, facts: Facts) -> str | None:
        if not facts.envelope_sender:
            return "the envelope sender is unknown, so it cannot vouch for From"
        # Readers' programs differ in which of two From they show, so two vouch for nobody.
        if sum(name == "from" for name, _ in facts.message.headers) > 1:
            return "there is more than one From"
        domain = _domain(facts.from_address)
        if not domain or domain != _domain(facts.envelope_sender):
            return (
                f"From {shown(facts.from_address)} and {ENVELOPE} "
                f"{shown(facts.envelope_sender)} do not agree"
            )
        return None


@dataclass(frozen=True, slots=True)
class RecipientMatches:
    """One of the envelope's recipients matches a pattern."""

    table: AddressTable[None]

    def holds(self, facts: Facts) -> bool:
        """See Condition."""
        return any(self.table.find(address) for address in facts.recipients)

    def why(self, facts: Facts) -> str:
        """See Condition."""
        for address in facts.recipients:
            found = self.table.find(address)
            if found:
                return f'the recipient {shown(address)} matches "{found[0]}"'
        if not facts.recipients:
            return "the recipients are unknown"
        return "no recipient is one that it names"


@dataclass(frozen=True, slots=True)
class InRange:
    """A number of the message lies in [at_least, below).

    Attributes:
        looks_at: "probability" or "size_bytes".
    """

    looks_at: str
    at_least: float | None
    below: float | None

    def holds(self, facts: Facts) -> bool:
        """See Condition."""
        value = self._value(facts)
        # Written so that a probability that is no number holds nowhere.
        return (self.at_least is None or value >= self.at_least) and (
            self.below is None or value < self.below
        )

    def why(self, facts: Facts) -> str:
        """See Condition."""
        limits = [f"at least {number(self.at_least)}"] if self.at_least is not None else []
        limits += [f"below {number(self.below)}"] if self.below is not None else []
        name = "the probability" if self.looks_at == "probability" else "the size in bytes"
        verb = "is" if self.holds(facts) else "is not"
        return f"{name}, {number(self._value(facts))}, {verb} {' and '.join(limits)}"

    def _value(self, facts: Facts) -> float:
        return facts.probability if self.looks_at == "probability" else facts.size_bytes


@dataclass(frozen=True, slots=True)
class HeaderMatches:
    """One header of a name equals, contains or matches one of the texts.

    Attributes:
        name: as written in the rule file.
        verb: "equals", "contains" or "matches".
        texts: as written in the rule file, for the reasons.
        globs: the same, as patterns that match the whole value.
    """

    name: str
    verb: str
    texts: tuple[str, ...]
    globs: tuple[Glob, ...]

    def holds(self, facts: Facts) -> bool:
        """See Condition."""
        return self._found(facts) is not None

    def why(self, facts: Facts) -> str:
        """See Condition."""
        found = self._found(facts)
        if found is not None:
            return f'the header {self.name} {self.verb} "{found}"'
        if not any(True for _ in self._values(facts)):
            return f"there is no header {self.name}"
        return f"no header {self.name} {self.verb} what it names"

    def _values(self, facts: Facts) -> Iterator[str]:
        wanted = self.name.lower()
        if wanted == "subject":
            if facts.message.header("subject") is not None:
                yield facts.message.subject[:MAX_HEADER_TEXT].strip().lower()
            return
        seen = 0
        for name, value in facts.message.headers:
            if name == wanted and seen < MAX_HEADERS:
                seen += 1
                yield _decoded(value[:MAX_HEADER_TEXT]).strip().lower()

    def _found(self, facts: Facts) -> str | None:
        for value in self._values(facts):
            for text, glob in zip(self.texts, self.globs, strict=True):
                if glob.matches(value):
                    return text
        return None


def number(value: float) -> str:
    """Return a number for a sentence, without the noise of binary fractions."""
    return f"{value:,}" if isinstance(value, int) else f"{value:.6g}"


def _domain(address: str) -> str:
    return address.rpartition("@")[2] if "@" in address else ""


def _decoded(value: str) -> str:
    """Return a header's bytes, which stand as Latin-1, as UTF-8 where they are that."""
    try:
        return value.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return value
