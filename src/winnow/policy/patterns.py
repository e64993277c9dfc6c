"""Patterns of text and of addresses. `*` is the only wildcard, so every match takes linear time.

No regular expressions on purpose: one written by hand can take hours on a mail written for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

MAX_PATTERN = 1000
MAX_WILDCARDS = 16
# Patterns that no dictionary can answer are tried one after the other; this bounds the time.
MAX_GLOBS = 1000

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Glob:
    """A pattern that must match the whole of a text, in lower case.

    Attributes:
        parts: the literal runs between the wildcards; one more than there are wildcards.
    """

    parts: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Glob:
        """Read a pattern.

        Raises:
            ValueError: it is empty, too long, or has too many wildcards.
        """
        if not text:
            raise ValueError("a pattern must not be empty")
        if len(text) > MAX_PATTERN:
            raise ValueError(f"a pattern has at most {MAX_PATTERN:,} characters")
        if "**" in text:
            raise ValueError('"**" is no pattern; one "*" stands for any run of characters')
        if text.count("*") > MAX_WILDCARDS:
            raise ValueError(f'a pattern has at most {MAX_WILDCARDS} "*"')
        return cls(tuple(text.lower().split("*")))

    @property
    def letters(self) -> int:
        """Number of characters that are not wildcards."""
        return sum(map(len, self.parts))

    def matches(self, text: str) -> bool:
        """Say whether the pattern matches the whole of a lower-case text."""
        if len(self.parts) == 1:
            return text == self.parts[0]
        first, *middle, last = self.parts
        if not (text.startswith(first) and text.endswith(last) and len(text) >= self.letters):
            return False
        # Taking the leftmost place for each run never spoils a later one, so nothing is retried.
        position, end = len(first), len(text) - len(last)
        for part in middle:
            position = text.find(part, position, end)
            if position < 0:
                return False
            position += len(part)
        return True


@dataclass(frozen=True, slots=True)
class AddressTable(Generic[T]):
    """Address patterns with a value each; the most specific pattern answers.

    The order is: the exact address, `@domain`, `*.domain` (the longest first), then all other
    patterns by the number of their characters that are not `*`.
    """

    plain: dict[str, T]
    globs: tuple[tuple[str, Glob, T], ...]

    @classmethod
    def of(cls, entries: Iterable[tuple[str, T]]) -> AddressTable[T]:
        """Build a table of patterns that `address_pattern` returned.

        Raises:
            ValueError: more than MAX_GLOBS patterns have a wildcard in an unusual place.
        """
        plain: dict[str, T] = {}
        globs: dict[str, tuple[str, Glob, T]] = {}
        for pattern, value in entries:
            if "*" in pattern.removeprefix("*."):
                globs.setdefault(pattern, (pattern, Glob.parse(pattern), value))
            else:
                plain.setdefault(pattern, value)
        if len(globs) > MAX_GLOBS:
            raise ValueError(
                f'more than {MAX_GLOBS:,} patterns with "*" elsewhere than in "*.domain"'
            )
        ordered = sorted(globs.values(), key=lambda entry: -entry[1].letters)
        return cls(plain, tuple(ordered))

    def __len__(self) -> int:
        return len(self.plain) + len(self.globs)

    def find(self, address: str) -> tuple[str, T] | None:
        """Return the most specific pattern that matches a lower-case address, and its value."""
        for key in _plain_keys(address):
            if key in self.plain:
                return key, self.plain[key]
        for pattern, glob, value in self.globs:
            if glob.matches(address):
                return pattern, value
        return None


def address_pattern(text: str) -> str:
    """Return an address pattern in its one canonical form, in lower case.

    The forms are `anna@example.org`, `@example.org` (that domain alone), `*.example.org` (its
    subdomains, not itself), and any other place for `*`, as `news-*@example.org`.

    Raises:
        ValueError: it is none of these; the text says what to write.
    """
    pattern = text.lower()
    glob = Glob.parse(pattern)
    if any(c.isspace() or not c.isprintable() or c in '<>,;"?{}' for c in pattern):
        raise ValueError(f'{text[:60]!r} is no address pattern; the only wildcard is "*"')
    if "@" not in pattern and not pattern.startswith("*."):
        bare = pattern if "." in pattern and "*" not in pattern else "example.org"
        raise ValueError(
            f'{text[:60]!r} is no address pattern; write "@{bare}" for the domain '
            f'or "*.{bare}" for its subdomains'
        )
    local, _, domain = pattern.rpartition("@")
    if "@" in local or not domain or glob.letters < 2:
        raise ValueError(f'{text[:60]!r} is no address pattern, which is "name@domain"')
    if local not in ("", "*"):
        return pattern
    if domain.startswith("*.") and "*" not in domain[1:]:
        return domain
    return "*@" + domain if "*" in domain else "@" + domain


def _plain_keys(address: str) -> Iterator[str]:
    """Yield what a table may hold for an address, the most specific first."""
    local, _, domain = address.rpartition("@")
    if not local:  # "@x.y" or "*.x.y", sent as an address, must not find the pattern of that name
        return
    yield address
    yield "@" + domain
    dot = domain.find(".")
    while dot >= 0:
        yield "*" + domain[dot:]
        dot = domain.find(".", dot + 1)
