"""Raw bytes -> Message: the walk over the parts of a message, breadth bounded, depth bounded.

Which text is shown: every text/plain and text/html part that is not an attachment; of a
multipart/alternative only the richest one, because that is what readers' programs show (the
others count as hidden only when no reader would ever see them: here they are simply left out).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from winnow.mail.charset import decode_text, undo_transfer_encoding
from winnow.mail.headers import (
    Headers,
    decode_words,
    parse_address,
    parse_parameters,
    parse_recipients,
    split_block,
)
from winnow.mail.html import host_of, read_html
from winnow.mail.limits import Limits
from winnow.message import Address, Attachment, Link, Message, strip_envelope_line

# Two patterns with a literal head each: the engine skips to "http" and "www." at memory speed.
_PLAIN_LINKS = (
    re.compile(r"http(?:s?://)[^\s<>\"'\])}]{3,2000}"),
    re.compile(r"www\.[^\s<>\"'\])}]{3,2000}"),
)
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
    headers, start = split_block(data, limits)
    walk = _Walk(limits)
    walk.part(headers, data[start:], depth=0)
    size = len(raw) if size_bytes is None else size_bytes
    if size > limits.scan_bytes:
        walk.marks.add("truncated")
    first = dict(reversed(headers))
    return Message(
        headers=headers,
        subject=decode_words(first.get("subject", "")),
        sender=parse_address(first["from"]) if "from" in first else _NOBODY,
        reply_to=parse_address(first["reply-to"]) if "reply-to" in first else _NOBODY,
        message_id=first.get("message-id", "").strip(" <>\t")[:250],
        recipients=parse_recipients([v for k, v in headers if k in ("to", "cc")]),
        text="\n".join(walk.text)[: limits.text_chars],
        hidden="\n".join(walk.hidden)[: limits.text_chars],
        links=tuple(walk.links),
        attachments=tuple(walk.attachments),
        marks=frozenset(walk.marks),
        size_bytes=size,
        truncated=bool(walk.marks & _TRUNCATING),
    )


_TRUNCATING = {"truncated", "too many parts", "nested too deep", "long html", "too many tags"}


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

    def part(self, headers: Headers, body: bytes, *, depth: int) -> None:
        """Take one part: a container is opened, a leaf is read."""
        if self.parts_left <= 0:
            self.marks.add("too many parts")
            return
        self.parts_left -= 1
        fields = dict(reversed(headers))
        kind, parameters = parse_parameters(fields.get("content-type", ""))
        if kind.startswith("multipart/") and parameters.get("boundary"):
            if depth >= self.limits.depth:
                self.marks.add("nested too deep")
                return
            self._container(kind, parameters["boundary"], body, depth)
        elif kind == "message/rfc822" and depth < self.limits.depth:
            inner, start = split_block(body, self.limits)
            self.marks.add("attached message")
            self.text.append(decode_words(dict(inner).get("subject", "")))
            self.part(inner, body[start:], depth=depth + 1)
        else:
            self._leaf(kind, parameters, fields, body)

    def _container(self, kind: str, boundary: str, body: bytes, depth: int) -> None:
        pieces = _split_parts(body, boundary, self.limits.parts + 2)
        if not pieces:
            self.marks.add("broken multipart")
            self._show(decode_text(body, "")[0])
            return
        parts = [split_block(piece, self.limits, strict=True) for piece in pieces]
        chosen: Iterable[int] = range(len(parts))
        if kind == "multipart/alternative":
            chosen = self._richest([headers for headers, _ in parts])
        for index in chosen:
            headers, start = parts[index]
            self.part(headers, pieces[index][start:], depth=depth + 1)

    def _richest(self, alternatives: list[Headers]) -> list[int]:
        """Indices of the alternatives to read: the last one that is or holds HTML, else all."""
        kinds = [parse_parameters(dict(h).get("content-type", ""))[0] for h in alternatives]
        self.marks.update("has plain alternative" for k in kinds if k in ("text/plain", ""))
        rich = [i for i, k in enumerate(kinds) if k == "text/html" or k.startswith("multipart/")]
        others = [i for i, k in enumerate(kinds) if not k.startswith(("text/", "multipart/")) and k]
        return [rich[-1], *others] if rich else list(range(len(kinds)))

    def _leaf(
        self, kind: str, parameters: dict[str, str], fields: dict[str, str], body: bytes
    ) -> None:
        disposition, named = parse_parameters(fields.get("content-disposition", ""))
        filename = decode_words(named.get("filename") or parameters.get("name", ""))[:200]
        readable = kind in ("", "text/plain", "text/html", "text", "text/enriched")
        report = kind in ("message/delivery-status", "text/rfc822-headers")
        if disposition == "attachment" or not (readable or report or kind.startswith("multipart/")):
            self.attachments.append(Attachment(kind or "text/plain", filename, len(body)))
            return
        encoding = fields.get("content-transfer-encoding", "")
        data, mark = undo_transfer_encoding(body, encoding)
        self._note(mark)
        text, mark = decode_text(data, parameters.get("charset", ""))
        self._note(mark)
        if encoding.strip().lower() == "base64":
            self.marks.add("base64 text")
        looks_html = kind == "text/html" or (kind == "" and text[:200].lstrip()[:5] == "<html")
        self._html(text) if looks_html else self._plain(text)

    def _html(self, source: str) -> None:
        found = read_html(source, self.limits)
        self.marks |= found.marks | {"html"}
        if found.images:
            self.marks.add("images" if found.images < 10 else "many images")
        self._show(found.text)
        if found.hidden.strip():
            self.marks.add("hidden text")
            self.hidden.append(found.hidden)
        self.links += found.links[: self.limits.links - len(self.links)]

    def _plain(self, text: str) -> None:
        self.marks.add("plain text")
        self._show(text)
        for pattern in _PLAIN_LINKS:
            for match in pattern.finditer(text, 0, self.limits.text_chars):
                if len(self.links) >= self.limits.links:
                    return
                if text[match.start() - 1 : match.start()] == "/":
                    continue  # the host of a link that has been taken already
                url = match[0].rstrip(".,;:!?")
                host = host_of(url if url.startswith("http") else "http://" + url)
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


def _split_parts(body: bytes, boundary: str, limit: int) -> list[bytes]:
    """Cut a multipart body at its boundary lines (RFC 2046 5.1.1); preamble and epilogue go."""
    delimiter = b"\n--" + boundary.encode("latin-1", "replace")
    pieces = (b"\n" + body).split(delimiter, limit)[1:]
    parts = []
    for piece in pieces:
        if piece.startswith(b"--"):
            break
        line_end = piece.find(b"\n")
        if line_end >= 0:
            parts.append(piece[line_end + 1 :])
    return parts
