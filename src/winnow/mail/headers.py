"""Header blocks: where they end, their fields, encoded words, addresses and parameters.

A block ends at the first blank line, as RFC 5322 2.1 says. Two liberties, both met in real mail:
text that follows the fields without a blank line begins the body, and a line without a colon in
the middle of known fields is passed over.
"""

from __future__ import annotations

import binascii
import re

from winnow.mail.charset import decode_text
from winnow.mail.limits import Limits
from winnow.message import Address

Headers = tuple[tuple[str, str], ...]

_BLANK_LINE = re.compile(rb"\r?\n\r?\n")
_FOLD = re.compile(r"\r?\n[ \t]+")
_FIELD = re.compile(r"([!-9;-~]{1,80})[ \t]*:(.*)", re.DOTALL)
_KNOWN = re.compile(
    r"(?:from|to|cc|bcc|subject|date|received|message-id|mime-version|return-path|reply-to|sender"
    r"|content-[a-z-]+|delivered-to|x-[a-z-]+|list-[a-z-]+|in-reply-to|references|status)[ \t]*:",
    re.IGNORECASE,
)
_ENCODED_WORD = re.compile(r"=\?([^?\s]{1,60})\?([bBqQ])\?([^?]*)\?=")
_BETWEEN_WORDS = re.compile(r"(\?=)\s+(?==\?)")
_PARAMETER = re.compile(r";\s*([A-Za-z0-9_\-]+)(\*\d*\*?)?\s*=\s*(\"(?:[^\"\\]|\\.)*\"|[^;\s]*)")
_ANGLE = re.compile(r"<([^<>]*)>")
_COMMENT = re.compile(r"\(([^()]*)\)")


def split_block(data: bytes, limits: Limits, *, strict: bool = False) -> tuple[Headers, int]:
    """Split the header block off.

    Args:
        data: a message or a MIME part from its first byte.
        limits: bounds of the parse.
        strict: a MIME part: a block without any field is empty, and fields need no known name.

    Returns:
        (name, unfolded value) pairs, and the offset at which the body begins.
    """
    if data[:1] in (b"\n", b"\r"):
        return (), 2 if data[:2] == b"\r\n" else 1
    found = _BLANK_LINE.search(data, 0, limits.header_bytes)
    end = found.start() if found else min(len(data), limits.header_bytes)
    lines = _FOLD.sub(" ", data[:end].decode("latin-1")).split("\n")
    headers: list[tuple[str, str]] = []
    for number, line in enumerate(lines):
        field = _FIELD.match(line)
        if field is not None:
            if len(headers) < limits.header_count:
                value = field[2].strip()[: limits.value_chars]
                headers.append((field[1].lower(), value))
        elif not any(_KNOWN.match(later) for later in lines[number + 1 : number + 3]):
            return _early_end(data, headers, line, strict=strict)
    if not strict and not any(_KNOWN.match(name + ":") for name, _ in headers):
        return (), 0
    return tuple(headers), found.end() if found else end


def _early_end(
    data: bytes, headers: list[tuple[str, str]], line: str, *, strict: bool
) -> tuple[Headers, int]:
    """The body begins at a line that is no field, before any blank line."""
    known = strict or any(_KNOWN.match(name + ":") for name, _ in headers)
    if not headers or not known:
        return (), 0
    start = data.find(line[:200].encode("latin-1")) if line else -1
    return tuple(headers), max(start, 0)


def decode_words(value: str) -> str:
    """Undo RFC 2047 encoded words and raw 8-bit bytes in a header value (Latin-1 text)."""
    if "=?" not in value:
        return value if value.isascii() else decode_text(value.encode("latin-1"), "")[0]
    return _ENCODED_WORD.sub(_decode_word, _BETWEEN_WORDS.sub(r"\1", value))


def _decode_word(match: re.Match[str]) -> str:
    charset, encoding, payload = match.groups()
    data = payload.encode("latin-1", "replace")
    if encoding in "bB":
        try:
            raw = binascii.a2b_base64(data + b"=" * (-len(data) % 4))
        except binascii.Error:
            return payload
    else:
        raw = binascii.a2b_qp(data, header=True)
    return decode_text(raw, charset.partition("*")[0])[0]


def parse_address(value: str) -> Address:
    """Read the first mailbox of an address header, however it is written."""
    angle = _ANGLE.search(value)
    if angle is not None:
        name, address = value[: angle.start()], angle[1]
    else:
        comment = _COMMENT.search(value)
        name = comment[1] if comment else ""
        address = _COMMENT.sub("", value).partition(",")[0]
        if "@" not in address:
            name, address = value, ""
    text = decode_words(name.strip().strip('"').replace('\\"', '"'))
    return Address(text.strip().strip('"')[:200], address.strip().strip("'\"").lower()[:320])


def parse_recipients(values: list[str], limit: int = 100) -> tuple[str, ...]:
    """Return the addresses named in To and Cc, at most `limit`."""
    found: list[str] = []
    for value in values:
        for piece in value.split(",", limit):
            address = parse_address(piece).address
            if address and len(found) < limit:
                found.append(address)
    return tuple(found)


def parse_parameters(value: str) -> tuple[str, dict[str, str]]:
    """Split "text/html; charset=utf-8" into its lower-cased token and its parameters.

    RFC 2231 continuations ("name*0*=") are joined; their percent encoding is left as it is.
    """
    token = value.partition(";")[0].strip().lower()[:80]
    parameters: dict[str, str] = {}
    for match in _PARAMETER.finditer(value):
        name = match[1].lower()
        text = match[3]
        if text.startswith('"'):
            text = text[1:-1].replace("\\", "")
        if match[2] and name in parameters:
            parameters[name] += text
        else:
            parameters.setdefault(name, text)
    return token, parameters
