"""Raw bytes -> Message: the walk over the parts of a message, breadth bounded, depth bounded.

Which text is shown: every text/plain and text/html part that is not an attachment; of a
multipart/alternative only the richest one, because that is what readers' programs show (the
others count as hidden only when no reader would ever see them: here they are simply left out).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from winnow.mail.charset import decode_text, encoding_name, undo_transfer_encoding
from winnow.mail.headers import (
    Headers,
    decode_words,
    parse_address,
    parse_parameters,
    parse_recipients,
    read_block,
)
from winnow.mail.html import host_of, read_html
from winnow.mail.limits import Limits
from winnow.message import Address, Attachment, Link, Message, strip_envelope_line

# For lower-cased text. Two patterns with a literal head each: the engine skips to "http" and
# "www." at memory speed, which it cannot do when it has to ignore case.
_PLAIN_LINKS = (
    re.compile(r"http(?:s?://)[^\s<>\"'\])}]{3,2000}"),
    re.compile(r"www\.[^\s<>\"'\])}]{3,2000}"),
)
Fields = dict[str, str]

_NOBODY = Address("", "")
_DEFAULT_LIMITS = Limits()


def parse(
    raw: bytes, limits: Limits = _DEFAULT_LIMITS, *, size_bytes: int | None = None
) -> Message:
    """Parse a message; any bytes give a message.

    Args:
        raw: the message, or its head.
        limits: bounds of the parse; what lies beyond is not looked at.
        size_bytes: size of the whole message when `raw` is only its head.

    Returns:
        The parsed message; `truncated` tells whether a bound was met.
    """
    data = strip_envelope_line(raw[: limits.scan_bytes])
    walk = _Walk(limits)
    headers, start = walk.block(data)
    first = _first_values(headers)
    walk.part(first, data[start:], depth=0)
    size = len(raw) if size_bytes is None else size_bytes
    if size > limits.scan_bytes:
        walk.marks.add("truncated")
    recipients = parse_recipients(
        [v for k, v in headers if k in ("to", "cc")], limits.recipients + 1
    )
    if len(recipients) > limits.recipients:
        walk.marks.add("many recipients")
    return Message(
        headers=headers,
        subject=_one_line(decode_words(first.get("subject", ""))),
        sender=parse_address(first["from"]) if "from" in first else _NOBODY,
        reply_to=parse_address(first["reply-to"]) if "reply-to" in first else _NOBODY,
        message_id=first.get("message-id", "").strip(" <>\t")[:250],
        recipients=recipients[: limits.recipients],
        text=walk.shown_text(),
        hidden=walk.hidden_text(),
        links=tuple(walk.links),
        attachments=tuple(walk.attachments),
        marks=frozenset(walk.marks),
        size_bytes=size,
        truncated=not _TRUNCATING.isdisjoint(walk.marks),
        body_start=start,
    )


# What the limits say of a message; each means that some of it was not looked at.
_TRUNCATING = frozenset(
    {
        "truncated",
        "long headers",
        "many recipients",
        "too many parts",
        "nested too deep",
        "long html",
        "too many tags",
        "long text",
        "long hidden text",
        "too many links",
    }
)
_MESSAGES = frozenset(("message/rfc822", "message/global", "message/news"))
_REPORTS = frozenset(("message/delivery-status", "text/rfc822-headers"))
_HTML = frozenset(("text/html", "application/xhtml+xml"))
_NOT_READ = frozenset(
    ("text/calendar", "text/css", "text/directory", "text/rtf", "text/vcard", "text/x-vcard")
)
_FILENAME_ENDS = 100


def _first_values(headers: Headers) -> Fields:
    """The first value of each field, as readers' programs take it of several."""
    return dict(reversed(headers))


def _one_line(text: str) -> str:
    return text if text.isprintable() else " ".join(text.splitlines())


def _filename(text: str) -> str:
    """A file name of bounded length: both ends stay, because its last letters say what it is."""
    name = _one_line(text).strip()
    if len(name) <= 2 * _FILENAME_ENDS:
        return name
    return name[:_FILENAME_ENDS] + name[-_FILENAME_ENDS:]


class _Walk:
    """What the walk has gathered so far, and how many parts it may still open."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.parts_left = limits.parts
        self.text: list[str] = []
        self.hidden: list[str] = []
        self.links: list[Link] = []
        self.attachments: list[Attachment] = []
        self.marks: set[str] = set()
        self.text_left = limits.text_chars

    def block(self, data: bytes, *, strict: bool = False) -> tuple[Headers, int]:
        """Read a header block, and note where a bound cut it."""
        headers, start, cut = read_block(data, self.limits, strict=strict)
        if cut:
            self.marks.add("long headers")
        return headers, start

    def shown_text(self) -> str:
        """The visible text; `_show` has kept it within its bound, but for the line ends."""
        return "\n".join(self.text)[: self.limits.text_chars]

    def hidden_text(self) -> str:
        """The hidden text within its bound."""
        hidden = "\n".join(self.hidden)
        if len(hidden) > self.limits.text_chars:
            self.marks.add("long hidden text")
        return hidden[: self.limits.text_chars]

    def part(self, fields: Fields, body: bytes, *, depth: int, default: str = "") -> None:
        """Take one part: a container is opened, a leaf is read.

        Args:
            fields: of the part.
            body: what follows them.
            depth: how many containers are around it.
            default: content type of a part that names none.
        """
        if self.parts_left <= 0:
            self.marks.add("too many parts")
            return
        self.parts_left -= 1
        kind, parameters = parse_parameters(fields.get("content-type", default))
        is_multipart = kind.startswith("multipart/")
        if depth >= self.limits.depth and (is_multipart or kind in _MESSAGES):
            self.marks.add("nested too deep")
        elif is_multipart:
            self._container(kind, parameters.get("boundary", ""), body, depth)
        elif kind in _MESSAGES:
            self._message(fields, body, depth)
        else:
            self._leaf(kind, parameters, fields, body)

    def _message(self, fields: Fields, body: bytes, depth: int) -> None:
        """Read a message within the message; RFC 2046 5.2.1 allows no encoding, it is met."""
        data, mark = undo_transfer_encoding(body, fields.get("content-transfer-encoding", ""))
        self._note(mark)
        inner, start = self.block(data)
        self.marks.add("attached message")
        inner_fields = _first_values(inner)
        self._show(decode_words(inner_fields.get("subject", "")))
        self.part(inner_fields, data[start:], depth=depth + 1)

    def _container(self, kind: str, boundary: str, body: bytes, depth: int) -> None:
        boundary, most = boundary.rstrip(), self.limits.parts + 2
        pieces = split_parts(body, boundary, most)
        pieces = pieces or split_parts(body, boundary, most, whole_line=False)
        if not pieces:
            self.marks.add("broken multipart")
            self._show(decode_text(body, "")[0])
            return
        parts = []
        for piece in pieces:
            headers, start = self.block(piece, strict=True)
            parts.append((_first_values(headers), piece[start:]))
        chosen: Iterable[int] = range(len(parts))
        if kind == "multipart/alternative":
            chosen = self._richest([fields for fields, _ in parts])
        default = "message/rfc822" if kind == "multipart/digest" else ""
        for index in chosen:
            self.part(*parts[index], depth=depth + 1, default=default)

    def _richest(self, alternatives: list[Fields]) -> list[int]:
        """Indices of the alternatives to read: the last one that is or holds HTML, else all."""
        kinds = [parse_parameters(fields.get("content-type", ""))[0] for fields in alternatives]
        self.marks.update("has plain alternative" for k in kinds if k in ("text/plain", ""))
        rich = [i for i, k in enumerate(kinds) if k == "text/html" or k.startswith("multipart/")]
        others = [i for i, k in enumerate(kinds) if not k.startswith(("text/", "multipart/")) and k]
        return [rich[-1], *others] if rich else list(range(len(kinds)))

    def _leaf(self, kind: str, parameters: Fields, fields: Fields, body: bytes) -> None:
        disposition, named = parse_parameters(fields.get("content-disposition", ""))
        filename = _filename(decode_words(named.get("filename") or parameters.get("name", "")))
        if disposition == "attachment" or not _is_read(kind, filename):
            self.attachments.append(Attachment(kind or "text/plain", filename, len(body)))
            return
        encoding = fields.get("content-transfer-encoding", "")
        data, mark = undo_transfer_encoding(body, encoding)
        self._note(mark)
        text, mark = decode_text(data, parameters.get("charset", ""))
        self._note(mark)
        if encoding_name(encoding) == "base64":
            self.marks.add("base64 text")
        self._html(text) if kind in _HTML or _looks_html(kind, text) else self._plain(text)

    def _html(self, source: str) -> None:
        found = read_html(source, self.limits)
        self.marks |= found.marks | {"html"}
        if found.images:
            self.marks.add("images" if found.images < 10 else "many images")
        self._show(found.text)
        if found.hidden.strip():
            self.marks.add("hidden text")
            self.hidden.append(found.hidden)
        room = self.limits.links - len(self.links)
        self.links += found.links[:room]
        if len(found.links) > room:
            self.marks.add("too many links")

    def _plain(self, text: str) -> None:
        self.marks.add("plain text")
        self._show(text)
        # "\u0130" alone grows when it is lower-cased, and offsets must stay
        lowered = text[: self.limits.text_chars].replace("\u0130", "i").lower()
        for pattern in _PLAIN_LINKS:
            for match in pattern.finditer(lowered):
                start = match.start()
                if lowered[start - 1 : start] == "/":
                    continue  # the host of a link that has been taken already
                if len(self.links) >= self.limits.links:
                    self.marks.add("too many links")
                    return
                url = text[start : match.end()].rstrip(".,;:!?")
                host = host_of(url if lowered.startswith("http", start) else "http://" + url)
                self.links.append(Link(url, host, ""))

    def _show(self, text: str) -> None:
        kept = text[: self.text_left]
        self.text_left -= len(kept)
        if len(kept) < len(text):
            self.marks.add("long text")
        self.text.append(kept)

    def _note(self, mark: str | None) -> None:
        if mark:
            self.marks.add(mark)


def _is_read(kind: str, filename: str) -> bool:
    """Whether a part that is no attachment is shown to the reader as text.

    What is no type at all counts as plain text (RFC 2045 5.2), and so does a kind of text that
    nobody knows (RFC 2046 4.1.4), unless it is a file.
    """
    if kind in ("text/plain", "text/html", "") or "/" not in kind or kind in _REPORTS:
        return True
    if kind.startswith("text/"):
        return kind == "text/enriched" or not (filename or kind in _NOT_READ)
    return kind in _HTML


def _looks_html(kind: str, text: str) -> bool:
    """Whether a text without a type is HTML, as old mailers left it."""
    return "/" not in kind and text[:200].lstrip()[:9].lower().startswith(("<html", "<!doctype"))


_FALSE_LINES = 2_000  # lines that only begin with the boundary, of one multipart


def split_parts(body: bytes, boundary: str, limit: int, *, whole_line: bool = True) -> list[bytes]:
    """Cut a multipart body at its boundary lines (RFC 2046 5.1.1); preamble and epilogue go.

    Args:
        body: of the multipart.
        boundary: its parameter.
        limit: how many parts to cut at most; what follows is left out.
        whole_line: a line counts only when nothing but blanks follows the boundary, as in
            readers' programs; else also one that begins with it, as RFC 2046 has it, such as
            that of "b1" within "b".

    Returns:
        The parts with their headers; none when there is no boundary line.
    """
    if not boundary:
        return []
    delimiter = b"\n--" + boundary.encode("latin-1", "replace")
    text = b"\n" + body
    parts: list[bytes] = []
    start, at, lines_left = -1, text.find(delimiter), limit + _FALSE_LINES
    while at >= 0 and lines_left > 0 and len(parts) < limit:
        lines_left -= 1
        after = at + len(delimiter)
        line_end = text.find(b"\n", after)
        if line_end < 0:
            line_end = len(text)
        rest = text[after:line_end].rstrip()
        closing = rest == b"--" or (not whole_line and rest.startswith(b"--"))
        if closing or not rest or not whole_line:
            if start >= 0:
                parts.append(text[start:at])
            start = -1 if closing else line_end + 1
            if closing:
                break
        at = text.find(delimiter, line_end)
    if 0 <= start <= len(text) and len(parts) < limit:
        parts.append(text[start:])
    return parts
