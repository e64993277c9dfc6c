"""How much of a message is looked at.

Mail is hostile: every loop of this folder is bounded by one of these numbers, so that the worst
message costs well under a second. What lies beyond a bound is not looked at, and the message is
marked `truncated`. docs/reference/limits.md lists them for users.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one parse.

    Attributes:
        scan_bytes: head of the raw message that is looked at.
        header_bytes: size of one header block.
        header_count: header fields of one block.
        value_chars: one unfolded header value.
        parts: MIME parts in all.
        depth: nesting of multiparts and attached messages.
        text_chars: visible text, and hidden text, each.
        html_chars: source of one HTML part.
        tags: HTML tags in one part.
        links: links in all.
        recipients: addresses of To and Cc.
    """

    scan_bytes: int = 1 << 20
    header_bytes: int = 64 << 10
    header_count: int = 500
    value_chars: int = 4_000
    parts: int = 50
    depth: int = 8
    text_chars: int = 60_000
    html_chars: int = 200_000
    tags: int = 10_000
    links: int = 200
    recipients: int = 100
