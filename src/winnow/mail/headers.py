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

# No blank before the colon: RFC 5322 allows none, and "to : them" is tokenised text.
_FIELD = re.compile(r"^([!-9;-~]{1,80}):(.*)$", re.MULTILINE)
_KNOWN = re.compile(
    r"(?:from|to|cc|bcc|subject|date|received|message-id|mime-version|return-path|reply-to|sender"
    r"|content-[a-z-]+|delivered-to|x-[a-z-]+|list-[a-z-]+|in-reply-to|references|status):",
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
    end, body_start = _blank_line(data, limits.header_bytes)
    block = data[:end].decode("latin-1").replace("\r\n", "\n").rstrip("\r")
    lines = block.replace("\n\t", " ").replace("\n ", " ")
    fields = _FIELD.findall(lines)
    if len(fields) != lines.count("\n") + 1:
        cut = _first_text_line(lines)
        if cut is not None:
            return _early_end(data, lines[:cut], lines[cut:], limits, strict=strict)
    headers = _bounded(fields, limits)
    if not strict and not _has_known(headers):
        return (), 0
    return headers, body_start


def _blank_line(data: bytes, limit: int) -> tuple[int, int]:
    """Where the first blank line begins and where the text after it begins."""
    plain = data.find(b"\n\n", 0, limit)
    crlf = data.find(b"\n\r\n", 0, limit if plain < 0 else plain)
    if crlf >= 0:
        return crlf, crlf + 3
    if plain >= 0:
        return plain, plain + 2
    end = min(len(data), limit)
    return end, end


def _bounded(fields: list[tuple[str, str]], limits: Limits) -> Headers:
    room, count = limits.value_chars, limits.header_count
    return tuple([(name.lower(), value.strip()[:room]) for name, value in fields[:count]])


def _has_known(headers: Headers) -> bool:
    return any(_KNOWN.match(name + ":") for name, _ in headers)


def _first_text_line(lines: str) -> int | None:
    """Offset of the first line that is no field and has no known field in the two lines after."""
    offset = 0
    split = lines.split("\n")
    for number, line in enumerate(split):
        if _FIELD.match(line) is None and not any(
            _KNOWN.match(later) for later in split[number + 1 : number + 3]
        ):
            return offset
        offset += len(line) + 1
    return None


def _early_end(
    data: bytes, before: str, after: str, limits: Limits, *, strict: bool
) -> tuple[Headers, int]:
    """The body begins at a line that is no field, before any blank line."""
    headers = _bounded(_FIELD.findall(before), limits)
    if not headers or not (strict or _has_known(headers)):
        return (), 0
    line = after.partition("\n")[0][:200].encode("latin-1")
    start = data.find(b"\n" + line) + 1
    return headers, start


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
