"""A parsed message: what `mail` makes of raw bytes and everything else reads.

Plain frozen values. All text is decoded; all lists are bounded by the limits of `mail`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Address:
    """One mailbox of a header.

    Attributes:
        name: display name, decoded; may be empty.
        address: the addr-spec as written, lower-cased; may be empty or malformed.
    """

    name: str
    address: str

    @property
    def domain(self) -> str:
        """Part after the last "@", or "" when there is none."""
        return self.address.rpartition("@")[2] if "@" in self.address else ""


@dataclass(frozen=True, slots=True)
class Link:
    """One link of the body.

    Attributes:
        url: as written, at most 2,000 characters.
        host: lower-cased host, or "".
        text: what the reader sees in its place, or "" where that was not captured.
    """

    url: str
    host: str
    text: str


@dataclass(frozen=True, slots=True)
class Attachment:
    """One part that is not shown as text.

    Attributes:
        content_type: lower-cased, as "application/pdf".
        filename: decoded; may be empty.
        size_bytes: encoded size in the message.
    """

    content_type: str
    filename: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Message:
    """A message as its reader and its servers see it.

    Attributes:
        headers: (lower-cased name, unfolded raw value) in order; raw values are Latin-1 text.
        subject: decoded.
        sender: first mailbox of From.
        reply_to: first mailbox of Reply-To, or an empty one.
        message_id: value of Message-ID without brackets, or "".
        recipients: addresses of To and Cc.
        text: what a reader sees of the body, in order.
        hidden: text of the body that a reader does not see.
        links: links of the body in order.
        attachments: parts not shown as text.
        marks: facts of structure found while parsing, such as "html only" or "broken base64".
        size_bytes: size of the whole message, before any truncation.
        truncated: whether some of it was not looked at.
        body_start: offset of the body in what was looked at, without mbox lines.
    """

    headers: tuple[tuple[str, str], ...]
    subject: str
    sender: Address
    reply_to: Address
    message_id: str
    recipients: tuple[str, ...]
    text: str
    hidden: str
    links: tuple[Link, ...]
    attachments: tuple[Attachment, ...]
    marks: frozenset[str]
    size_bytes: int
    truncated: bool
    body_start: int = 0

    def header(self, name: str) -> str | None:
        """Return the first value of a header by its lower-case name, or None."""
        return next((value for key, value in self.headers if key == name), None)


# "From a@b Sun Nov 28 21:36:46 2004": a line of text may begin with "From ", but holds no time.
_ENVELOPE_LINE = re.compile(rb">?From \S{1,320}[^\n]{0,80}\d\d:\d\d[^\n]{0,80}\n")
_ENVELOPE_LINES = 4  # one of each mailbox that the message went through; more were not met


def strip_envelope_line(raw: bytes) -> bytes:
    """Drop mbox "From " lines (and ">From ") and blank lines before the first header."""
    data = raw.lstrip(b"\r\n")
    start = 0
    for _ in range(_ENVELOPE_LINES):
        found = _ENVELOPE_LINE.match(data, start)
        if found is None:
            break
        start = found.end()
    return data[start:]
