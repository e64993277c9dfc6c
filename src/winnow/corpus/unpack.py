"""One file or archive member -> its messages: an mbox has many, everything else is one."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from winnow.corpus.example import Bounds, Example, printable
from winnow.corpus.framing import HEAD_BYTES, is_from_line, strip_from_line
from winnow.corpus.mbox import split_mbox
from winnow.corpus.stream import read_message
from winnow.mail.headers import split_block
from winnow.mail.limits import Limits
from winnow.verdict import Label

_LIMITS = Limits()


@dataclass(slots=True)
class Unpacker:
    """Makes examples of what one corpus without an index holds, numbering them as they come."""

    source: str
    label: Label | None
    bounds: Bounds
    _count: int = 0

    def messages(self, stream: io.BufferedReader, name: str | bytes) -> Iterator[Example]:
        """Yield the messages of one file.

        A file that begins with a "From " line is an mbox unless its name says .eml; its messages
        are named NAME#1, NAME#2 and so on.
        """
        id_ = printable(name)
        if not is_mbox(stream.peek(HEAD_BYTES), id_):
            yield self.message(stream, name)
            return
        pieces = split_mbox(stream, self.bounds.max_message_bytes)
        for number, (raw, size) in enumerate(pieces, start=1):
            yield self._example(f"{id_}#{number}", raw, size)

    def message(self, stream: io.BufferedReader, name: str | bytes) -> Example:
        """Return a file that is one message, whatever it begins with."""
        whole = read_message(stream, self.bounds.max_message_bytes)
        return self._example(printable(name), *whole)

    def _example(self, id_: str, raw: bytes, size: int) -> Example:
        self._count += 1
        message = strip_from_line(raw)
        whole = size - (len(raw) - len(message))
        return Example(id_, message, self.label, (self._count,), self.source, whole)


def is_mbox(head: bytes, name: str) -> bool:
    """Whether a file is an mbox rather than one message that a mail program left its mark on."""
    line, _, following = head[:HEAD_BYTES].partition(b"\n")
    return is_from_line(line, following) and not has_eml_name(name)


def has_eml_name(name: str) -> bool:
    """Whether a name says that the file is one message, compressed or not."""
    return ".eml" in (suffix.lower() for suffix in PurePosixPath(name).suffixes)


def is_hidden(name: str) -> bool:
    """Whether a path has a part that begins with a dot ("._copy", ".git/config")."""
    return any(part.startswith(".") for part in PurePosixPath(name).parts)


def is_mail(head: bytes) -> bool:
    """Whether a file without .eml in its name begins with a block of mail headers."""
    fields, _ = split_block(strip_from_line(head[:HEAD_BYTES]), _LIMITS)
    return bool(fields)
