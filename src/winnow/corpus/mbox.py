r"""mbox: messages one after the other in one file, each below a line "From SENDER DATE".

Variants: mboxo and mboxrd put ">" before body lines that begin with "From "; mboxrd does so again
for those that already have it. Taking one ">" away undoes mboxrd exactly, and mboxo wherever the
writer did not type ">From " himself. (RFC 4155; mboxrd: qmail's mbox(5).)
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

from winnow.corpus.framing import is_bare_mark, is_from_line

_LINE_BYTES = 1 << 16
_QUOTED = re.compile(rb">+From ")


class _Piece:
    """One message while its lines come in."""

    def __init__(self, max_bytes: int) -> None:
        self._lines: list[bytes] = []
        self._room = max_bytes
        self._size = 0

    def add(self, line: bytes) -> None:
        self._size += len(line)
        if self._room > 0:
            self._lines.append(line[: self._room])
            self._room -= len(line)

    def done(self) -> tuple[bytes, int]:
        """Return the message and its whole size, without the blank line that mbox adds."""
        raw = b"".join(self._lines)
        for blank in (b"\r\n\r\n", b"\n\n"):
            if raw.endswith(blank) and self._size == len(raw):
                cut = len(blank) // 2
                return raw[:-cut], self._size - cut
        return raw, self._size


def split_mbox(stream: io.BufferedReader, max_bytes: int) -> Iterator[tuple[bytes, int]]:
    """Yield the messages of an mbox, holding one at a time.

    Args:
        stream: positioned at its first "From " line.
        max_bytes: a longer message is cut here.

    Yields:
        The message without its "From " line and without mbox quoting, and its whole size.
    """
    piece: _Piece | None = None
    at_line_start = True
    following = b""
    while line := following or stream.readline(_LINE_BYTES):
        following = b""
        if at_line_start and is_bare_mark(line):
            following = stream.readline(_LINE_BYTES)
        if at_line_start and is_from_line(line, following):
            if piece is not None:
                yield piece.done()
            piece = _Piece(max_bytes)
        elif piece is not None:
            quoted = at_line_start and line.startswith(b">") and _QUOTED.match(line)
            piece.add(line[1:] if quoted else line)
        at_line_start = line.endswith(b"\n")
    if piece is not None:
        yield piece.done()
