r"""Where a message begins: the mbox "From " line before it, and the first line of a header.

The "From " line is an envelope mark that mail programs put above a message, never part of it.
In running text a line may begin with that word too ("From tomorrow on we meet at six."), and a
text message has nothing else, so the word alone proves nothing: a time stamp in the form of
asctime must follow on the line (RFC 4155), or a header field on the next. Thunderbird writes the
word alone.
"""

from __future__ import annotations

import re

# Enough to see a "From " line and the header field after it.
HEAD_BYTES = 2048

_FROM_LINE = re.compile(
    rb"From .{0,400}?\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),?\s+"
    rb"(?:(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)\s+\d{1,2}|\d{1,2}\s+[A-Z][a-z]{2})"
    rb"\s.{0,12}\d{1,2}:\d\d"
)
_BARE = re.compile(rb"From (?:-[ \t]*)?\r?\n?")
_FIELD = re.compile(rb"[!-9;-~]{1,80}[ \t]*:")


def is_from_line(line: bytes, following: bytes = b"") -> bool:
    """Whether a line is the mark that stands above each message of an mbox.

    Args:
        line: with or without its end.
        following: the line after it, or more; asked for where `is_bare_mark`.
    """
    if not line.startswith(b"From "):
        return False
    if _FROM_LINE.match(line):
        return True
    return is_bare_mark(line) and _FIELD.match(following) is not None


def is_bare_mark(line: bytes) -> bool:
    """Whether a line is "From " without sender and date, a mark if a header field follows."""
    return _BARE.fullmatch(line) is not None


def strip_from_line(raw: bytes) -> bytes:
    """Return the message without the "From " line at its head, if it has one."""
    if not raw.startswith(b"From "):
        return raw
    end = raw.find(b"\n", 0, HEAD_BYTES)
    if end < 0:
        return raw
    if is_from_line(raw[:end]) or _FIELD.match(raw, end + 1):
        return raw[end + 1 :]
    return raw
