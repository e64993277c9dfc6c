"""The nouns of this folder: one message of a corpus, a corpus, and the bounds of reading one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from winnow.errors import InputError
from winnow.verdict import Label

MIB = 1 << 20
GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a reader refuses or cuts, so that no input can fill the memory or run for ever.

    Attributes:
        max_message_bytes: a longer message is cut here; `Example.size_bytes` tells its whole size.
        max_messages: an input with more messages, or an archive with more members, is refused.
        max_expansion: a compressed file may expand to this many times its size ...
        expansion_floor_bytes: ... and to this much however small it is; beyond it is refused.
        max_pipe_bytes: more than this from a pipe is refused.
        max_index_bytes: a larger index.tsv is refused.
        max_held_bytes: an archive with more mail than this cannot be put in order.
    """

    max_message_bytes: int = 64 * MIB
    max_messages: int = 5_000_000
    max_expansion: int = 250
    expansion_floor_bytes: int = GIB
    max_pipe_bytes: int = 64 * GIB
    max_index_bytes: int = 512 * MIB
    max_held_bytes: int = 4 * GIB


DEFAULT_BOUNDS = Bounds()


@dataclass(frozen=True, slots=True)
class Example:
    """One message of a corpus.

    Attributes:
        id: names the message within its corpus; printable, without line breaks.
        raw: its bytes, without an mbox "From " line; at most `Bounds.max_message_bytes`.
        label: what a person said it is, or None when nobody said.
        order: sort key of the order in which the messages came; compares within one corpus.
        source: name of the corpus.
        size_bytes: size of the whole message, more than `len(raw)` when it was cut.
    """

    id: str
    raw: bytes
    label: Label | None
    order: tuple[int, ...]
    source: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Corpus:
    """Messages that can be read one after the other, as often as wanted (from a pipe: once).

    Attributes:
        name: short name for tables.
        len_hint: number of messages where that is cheap to know, else None.
        labelled: whether every example carries a label.
        read: begins a reading.
        stored_in_order: whether `read` yields the messages in the order in which they came.
        bounds: what is refused.
    """

    name: str
    len_hint: int | None
    labelled: bool
    read: Callable[[], Iterator[Example]]
    stored_in_order: bool = True
    bounds: Bounds = DEFAULT_BOUNDS

    def __iter__(self) -> Iterator[Example]:
        """Yield the examples as they are stored, holding one message at a time.

        Raises:
            InputError: the input is damaged, cut off, unreadable or beyond a bound.
        """
        for count, example in enumerate(self.read(), start=1):
            if count > self.bounds.max_messages:
                raise InputError(
                    f"{self.name}: more than {self.bounds.max_messages:,} messages; "
                    "split it into several inputs."
                )
            yield example

    def in_order(self) -> Iterator[Example]:
        """Yield the examples in the order in which they came (for the online protocol).

        An archive is not stored in that order and cannot be read out of turn, so its messages are
        all held in memory; a folder is read one message at a time.

        Raises:
            InputError: as for iteration, or an archive of more than `Bounds.max_held_bytes`.
        """
        if self.stored_in_order:
            return iter(self)
        held, total = [], 0
        for example in self:
            held.append(example)
            total += len(example.raw)
            if total > self.bounds.max_held_bytes:
                raise InputError(
                    f"{self.name}: too large to put in order from an archive; unpack it and name "
                    "the folder."
                )
        return iter(sorted(held, key=lambda example: example.order))


def printable(name: str | bytes) -> str:
    """Make a name fit for an id: what cannot be shown on one line becomes a backslash escape.

    Names come from archives and file systems, where any byte may stand in them.
    """
    text = name.decode("utf-8", "backslashreplace") if isinstance(name, bytes) else name
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
