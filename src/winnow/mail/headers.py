"""Header blocks: where they end, their fields, encoded words, addresses and parameters.

A block ends at the first blank line, as RFC 5322 2.1 says. Two liberties, both met in real mail:
text that follows the fields without a blank line begins the body, and a line without a colon in
the middle of known fields is passed over.
"""

from __future__ import annotations

import binascii
import re
from urllib.parse import unquote_to_bytes

from winnow.mail.charset import decode_text, undo_transfer_encoding
from winnow.mail.limits import Limits
from winnow.message import Address

Headers = tuple[tuple[str, str], ...]

# No blank before the colon: only RFC 5322 4.5 (obsolete) has it, and "to : them" is tokenised text.
_FIELD = re.compile(r"^([!-9;-~]{1,80}):(.*)$", re.MULTILINE)
_KNOWN = re.compile(
    r"(?:from|to|cc|bcc|subject|date|received|message-id|mime-version|return-path|reply-to|sender"
    r"|content-[a-z-]+|delivered-to|x-[a-z-]+|list-[a-z-]+|in-reply-to|references|status):",
    re.IGNORECASE,
)
# RFC 2047 2. A lone "?" in the text is against it and met: three are borne.
_ENCODED_WORD = re.compile(
    r"=\?([^?\s]{1,60})\?([bBqQ])\?([^?]*+(?>(?:(?<!=)\?(?!=)[^?]*+){0,3}))\?="
)
_PARAMETER = re.compile(
    r";\s*+([A-Za-z0-9_\-]++)(?>(\*\d{0,3}+\*?+)?)\s*+=\s*+(\"(?>(?:[^\"\\]|\\.)*)\"|[^;]*+)",
    re.DOTALL,
)
# The first "<...>" that is in no quoted string, comment or encoded word: what stands in those is
# shown, not written to. Every quote that is not closed runs to the end, so nothing is read twice.
_MAILBOX = re.compile(
    r"((?>(?:[^\"(<=]++|\"(?>(?:[^\"\\]|\\.)*)(?:\"|\\?\Z)|\([^()]*+\)"
    r"|=\?[^?\s]{1,60}\?[bBqQ]\?[^?]*+\?=|[(=])*))<([^<>]*+)>",
    re.DOTALL,
)
_ANGLE = re.compile(r"<([^<>]*+)>")
_COMMENT = re.compile(r"\(([^()]*+)\)")
_ESCAPED_OR_QUOTE = re.compile(r"\\(.)|\"")
_FREE_FORM = frozenset(("name", "filename"))  # unquoted, they are met with blanks inside


def split_block(data: bytes, limits: Limits, *, strict: bool = False) -> tuple[Headers, int]:
    """Split the header block off.

    Args:
        data: a message or a MIME part from its first byte.
        limits: bounds of the parse.
        strict: a MIME part: a block without any field is empty, and fields need no known name.

    Returns:
        (name, unfolded value) pairs, and the offset at which the body begins.
    """
    headers, body_start, _ = read_block(data, limits, strict=strict)
    return headers, body_start


def read_block(data: bytes, limits: Limits, *, strict: bool = False) -> tuple[Headers, int, bool]:
    """As `split_block`, and whether a bound cut something of the block off."""
    if data[:1] in (b"\n", b"\r"):
        return (), 2 if data[:2] == b"\r\n" else 1, False
    end, body_start, cut = _blank_line(data, limits.header_bytes)
    block = data[:end].decode("latin-1").rstrip("\r\n")
    unfolded = _unfold(block)
    fields = _FIELD.findall(unfolded)
    if len(fields) != unfolded.count("\n") + 1:
        text_start = _first_text_line(block)
        if text_start is not None:
            fields = _FIELD.findall(_unfold(block[:text_start].rstrip("\r\n")))
            body_start, cut = text_start, False
    if not fields:
        return (), 0, False
    headers = _bounded(fields, limits)
    if not strict and not any(_KNOWN.match(name + ":") for name, _ in headers):
        return (), 0, False
    room, count = limits.value_chars, limits.header_count
    cut = cut or len(fields) > count or (len(block) > room and _any_longer(fields, room))
    return headers, body_start, cut


def _blank_line(data: bytes, limit: int) -> tuple[int, int, bool]:
    """Where the fields end, where the text after the blank line begins, and whether that is far.

    Of a block that is longer than `limit` only whole lines within it are fields.
    """
    end, start = _find_blank(data, limit)
    if end >= 0:
        return end, start, False
    if len(data) <= limit:
        return len(data), len(data), False
    whole_lines = data.rfind(b"\n", 0, limit)
    end = whole_lines if whole_lines > 0 else limit
    far, start = _find_blank(data, len(data))
    return end, start if far >= 0 else end, True


def _find_blank(data: bytes, limit: int) -> tuple[int, int]:
    plain = data.find(b"\n\n", 0, limit)
    crlf = data.find(b"\n\r\n", 0, limit if plain < 0 else plain)
    return (crlf, crlf + 3) if crlf >= 0 else (plain, plain + 2)


def _unfold(block: str) -> str:
    return block.replace("\r\n", "\n").replace("\n\t", " ").replace("\n ", " ")


def _bounded(fields: list[tuple[str, str]], limits: Limits) -> Headers:
    room = limits.value_chars
    if len(fields) > limits.header_count:
        fields = fields[: limits.header_count]
    return tuple([(name.lower(), value.strip()[:room]) for name, value in fields])


def _any_longer(fields: list[tuple[str, str]], room: int) -> bool:
    return any(len(value.strip()) > room for _, value in fields)


def _first_text_line(block: str) -> int | None:
    """Offset of the first line that is no field and has no known field in the two lines after."""
    offset, lines = 0, []
    for line in block.split("\n"):
        if offset == 0 or line[:1] not in (" ", "\t"):
            lines.append((offset, line))
        offset += len(line) + 1
    for number, (start, line) in enumerate(lines):
        if _FIELD.match(line) is None and not any(
            _KNOWN.match(later) for _, later in lines[number + 1 : number + 3]
        ):
            return start
    return None


def decode_words(value: str) -> str:
    """Undo RFC 2047 encoded words and raw 8-bit bytes in a header value (Latin-1 text).

    Adjoining words of one charset are decoded together: a sign may be cut in two between them.
    """
    if "=?" not in value:
        return _decode_raw(value)
    texts: list[str] = []
    position, run, run_charset = 0, b"", ""
    for match in _ENCODED_WORD.finditer(value):
        gap = value[position : match.start()]
        charset = match[1].partition("*")[0].lower()
        adjoining = position > 0 and (not gap or gap.isspace())
        if not adjoining or charset != run_charset:
            texts.append(decode_text(run, run_charset)[0])
            run, run_charset = b"", charset
        if not adjoining:
            texts.append(_decode_raw(gap))
        run += _word_bytes(match[2], match[3])
        position = match.end()
    texts += (decode_text(run, run_charset)[0], _decode_raw(value[position:]))
    return "".join(texts)


def _decode_raw(value: str) -> str:
    return value if value.isascii() else decode_text(value.encode("latin-1", "replace"), "")[0]


def _word_bytes(encoding: str, payload: str) -> bytes:
    data = payload.encode("latin-1", "replace")
    if encoding in "bB":
        return undo_transfer_encoding(data, "base64")[0]
    return binascii.a2b_qp(data, header=True)


def parse_address(value: str) -> Address:
    """Read the first mailbox of an address header, however it is written."""
    mailbox = None
    if "<" in value:
        mailbox = _MAILBOX.match(value) or _ANGLE.search(value)
    if mailbox is not None:
        address = mailbox[mailbox.lastindex or 0]
        name = value[: mailbox.end() - len(address) - 2].strip()
        if not name:
            comment = _COMMENT.search(value, mailbox.end())
            name = comment[1] if comment else ""
    else:
        name, address = _bare_address(value)
    if name:
        name = decode_words(_unquote(name.strip())).strip().strip('"')
        if not name.isprintable():
            name = " ".join(name.splitlines())
    return Address(name[:200], _decode_raw(address.strip().strip("'\"")).lower()[:320])


def _bare_address(value: str) -> tuple[str, str]:
    """Name and address where there are no angle brackets: "a@b.example (A B)", "list: a@b;"."""
    comment = _COMMENT.search(value)
    address = (_COMMENT.sub("", value) if comment else value).partition(",")[0].strip()
    if "@" not in address:
        return value, ""
    if " " in address or ":" in address or ";" in address:
        words = address.replace(":", " ").replace(";", " ").split()
        address = next(word for word in words if "@" in word)
    return comment[1] if comment else "", address


def _unquote(text: str) -> str:
    """Take the quotes and backslashes of quoted strings away (RFC 5322 3.2.4)."""
    if "\\" in text:
        return _ESCAPED_OR_QUOTE.sub(lambda match: match[1] or "", text)
    return text.replace('"', "") if '"' in text else text


def parse_recipients(values: list[str], limit: int = 100) -> tuple[str, ...]:
    """Return the addresses named in To and Cc, at most `limit`."""
    found: list[str] = []
    for value in values:
        for piece in value.split(",", limit):
            if "@" not in piece:
                continue
            address = parse_address(piece).address
            if address:
                found.append(address)
                if len(found) >= limit:
                    return tuple(found)
    return tuple(found)


def parse_parameters(value: str) -> tuple[str, dict[str, str]]:
    """Split "text/html; charset=utf-8" into its lower-cased token and its parameters.

    Parameters in the form of RFC 2231 are joined and decoded, and win over plain ones.
    """
    if not value:
        return "", {}
    token = value.partition(";")[0].strip().lower()[:80]
    if " " in token or "\t" in token or "(" in token or '"' in token or "," in token:
        token = _clean_token(token)
    parameters: dict[str, str] = {}
    extended: dict[str, list[tuple[str, str]]] = {}
    for match in _PARAMETER.finditer(value):
        name, star, text = match[1].lower(), match[2], match[3]
        if text[:1] == '"':
            text = _unquote(text)
        else:
            text = text.strip()
            if " " in text and name not in _FREE_FORM:
                text = text.partition(" ")[0]
        if star:
            extended.setdefault(name, []).append((star, text))
        else:
            parameters.setdefault(name, text)
    for name, sections in extended.items():
        parameters[name] = _join_sections(sections)
    return token, parameters


def _clean_token(token: str) -> str:
    """The token without quotes, comments and what is written after it by mistake."""
    if "(" in token:
        token = _COMMENT.sub(" ", token)
    if " " in token or "\t" in token:
        words = token.replace(" /", "/").replace("/ ", "/").split()
        token = words[0] if words else ""
    return token.strip('",')


def _join_sections(sections: list[tuple[str, str]]) -> str:
    """Put "*0*", "*1" and so on together (RFC 2231 3 and 4): percent signs, then the charset."""
    ordered = sorted(sections, key=lambda section: int(section[0].strip("*") or 0))
    charset = ""
    first_star, first = ordered[0]
    if first_star.endswith("*") and first.count("'") >= 2:
        charset, _, first = first.split("'", 2)
        ordered[0] = first_star, first
    data = b"".join(
        [
            unquote_to_bytes(text.encode("latin-1", "replace"))
            if star.endswith("*")
            else text.encode("latin-1", "replace")
            for star, text in ordered
        ]
    )
    return decode_text(data, charset)[0]
