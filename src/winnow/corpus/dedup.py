"""Leaving out messages that were seen before.

The same mailing reaches many mailboxes: headers differ, the body does not. A body that stands in
both the training and the held-out part makes every figure too good, so it counts once.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from winnow.corpus.example import Example
from winnow.corpus.framing import strip_from_line
from winnow.verdict import Label

_CONFLICTS_KEPT = 100
# Of a longer message only so much is compared: a body of a million lines must not cost a gigabyte.
_COMPARED_BYTES = 4 << 20

# Header fields up to the first line that is none, blank or not: where no blank line parts them
# from the text, the text must not be taken for headers, or different mail would become the same.
_HEADERS = re.compile(
    rb"(?>(?:[!-9;-~]{1,80}:[^\n]*+(?:\n|\Z)(?>(?:[ \t]++[^\s][^\n]*+(?:\n|\Z))*))*)"
)


def body_key(raw: bytes) -> bytes:
    """Return a 16-byte digest that is the same for the same body under other headers.

    Line endings, blanks at line ends and blank lines around the body do not count. A message
    whose body is empty (a subject alone, or a text without any header) is told by all its bytes.
    Only the first 4 MiB are compared.
    """
    message = strip_from_line(raw[:_COMPARED_BYTES])
    headers = _HEADERS.match(message)
    body = _normalised(message[headers.end() if headers else 0 :])
    return hashlib.blake2b(body or _normalised(message), digest_size=16).digest()


def _normalised(text: bytes) -> bytes:
    return b"\n".join([line.rstrip() for line in text.split(b"\n")]).strip(b"\n")


@dataclass(slots=True)
class Deduplicated:
    """Examples without the repeated ones; the counts grow while it is read (anew each time).

    The first of several with one body is kept. When they carry different labels the first is
    kept too, since it came first and dropping both would need a second reading; `conflicts`
    counts these, and `conflicting_ids` names them so that a person can look.

    Attributes:
        kept: examples passed on so far.
        dropped: examples left out so far, those in conflict included.
        conflicts: examples left out whose label is not that of the one kept.
        conflicting_ids: (source, id) of the first 100 of these.
    """

    examples: Iterable[Example]
    kept: int = 0
    dropped: int = 0
    conflicts: int = 0
    conflicting_ids: list[tuple[str, str]] = field(default_factory=list)
    _seen: dict[bytes, Label | None] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Example]:
        self.kept = self.dropped = self.conflicts = 0
        self.conflicting_ids.clear()
        self._seen.clear()
        for example in self.examples:
            key = body_key(example.raw)
            if key in self._seen:
                self._drop(example, self._seen[key])
            else:
                self._seen[key] = example.label
                self.kept += 1
                yield example

    def _drop(self, example: Example, first: Label | None) -> None:
        self.dropped += 1
        if example.label is None or first is None or example.label is first:
            return
        self.conflicts += 1
        if len(self.conflicting_ids) < _CONFLICTS_KEPT:
            self.conflicting_ids.append((example.source, example.id))


def deduplicate(examples: Iterable[Example]) -> Deduplicated:
    """Return the examples without those whose body was seen before, of one corpus or of many."""
    return Deduplicated(examples)
