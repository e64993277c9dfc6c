"""How a verdict is written into a message: header fields in, forged ones of the same names out.

Mail is hostile: every value is made of printable ASCII before it becomes a header, so that no
word of a message can begin a line of its own. All other bytes of the message stay as they are.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable, Iterator

_LINE_CHARS = 76  # RFC 5322 2.1.1 asks for 78 without the line end; "; " may follow
_TEXT_CHARS = 60  # of one reason; enough to know it again
_ENCODED_BYTES = 45  # RFC 2047 2: an encoded word has at most 75 characters

_HEADER_BYTES = 1 << 20  # looked at for forged fields; Postfix lets a tenth of it through

# Each match takes a run of forged fields, folded or not, and begins with a literal, which `re`
# looks for with memchr.
_FORGED_LINE = rb"[Xx]-(?i:spam|winnow)-[^\n]*+"
_FORGED = re.compile(rb"\n%b(?>(?:\n(?:[ \t]|%b)[^\n]*+)*)" % (_FORGED_LINE, _FORGED_LINE))
_BLANK_LINE = re.compile(rb"\n\r?\n")
# libspamc puts a HEADERS reply before the body it cut off itself, by exactly this expression.
_LIBSPAMC_BLANK_LINE = re.compile(rb"\r\n\r\n|\n\n")


def printable(text: str, limit: int = _TEXT_CHARS) -> str:
    """Return one line of at most `limit` printable characters, in any script."""
    line = " ".join(text[: 4 * limit].split())[:limit]
    return line if line.isprintable() else "".join(c if c.isprintable() else "?" for c in line)


def ascii_words(text: str) -> str:
    """Return a printable line as ASCII for a header, by RFC 2047 where it is not ASCII."""
    line = printable(text)
    if line.isascii() and "=?" not in line:
        return line
    return " ".join(
        f"=?utf-8?b?{b64encode(chunk.encode()).decode()}?=" for chunk in _encodable_chunks(line)
    )


def _encodable_chunks(line: str) -> Iterator[str]:
    start = size = 0
    for at, character in enumerate(line):
        width = len(character.encode())
        if size + width > _ENCODED_BYTES:
            yield line[start:at]
            start, size = at, 0
        size += width
    yield line[start:]


def fold(name: str, value: str, eol: str) -> str:
    """Return a header field of ASCII words, folded between them.

    Args:
        name: field name.
        value: printable ASCII; folded at its spaces.
        eol: line end of the message.
    """
    lines = [f"{name}:"]
    for word in value.split():
        if len(lines[-1]) + 1 + len(word) > _LINE_CHARS:
            lines.append("")
        lines[-1] += f" {word}"
    return eol.join(lines) + eol


def mark(
    message: bytearray, fields: Iterable[tuple[str, str]], *, headers_only: bool
) -> list[bytes | memoryview]:
    """Put fields on top of a message and take forged ones of its header block out.

    Args:
        message: the whole message; must not change while the result is used.
        fields: names and printable ASCII values.
        headers_only: stop where libspamc cuts, after the first blank line.

    Returns:
        Pieces whose concatenation is the marked message; the large one is a view of `message`.
    """
    newline = message.find(b"\n")
    eol = "\r\n" if newline > 0 and message[newline - 1] == 0x0D else "\n"
    cut = _LIBSPAMC_BLANK_LINE.search(message) if headers_only else None
    stop = cut.end() if cut else len(message)
    searched = _header_end(message)
    # An mbox "From " line must stay the first one: procmail hands it to its filters.
    top = newline + 1 if message.startswith(b"From ") and newline < searched else 0
    new = "".join(fold(name, value, eol) for name, value in fields).encode("ascii")
    # The line end put in front lets the first field match like any other.
    kept = _FORGED.sub(b"", b"\n" + message[top:searched])[1:]
    return [bytes(message[:top]), new, kept, memoryview(message)[searched:stop]]


def _header_end(message: bytearray) -> int:
    """Where the header block ends, after its last line end, as far as it is looked at."""
    if message.startswith((b"\n", b"\r\n")):
        return 0
    blank = _BLANK_LINE.search(message, 0, _HEADER_BYTES)
    if blank:
        return blank.start() + 1
    if len(message) <= _HEADER_BYTES:
        return len(message)
    return message.rfind(b"\n", 0, _HEADER_BYTES) + 1 or _HEADER_BYTES
