"""Which message is this? The same digest for the same message in two mailboxes.

Servers add and fold headers on the way, so only what the author wrote counts: five headers that
no server touches, and the words of the body without what is between them. Of a long message the
words at the end are left out: how much of them the looked-at head holds depends on the headers
and the line ends that servers gave it.
"""

from __future__ import annotations

import hashlib

from winnow.mail.headers import split_block
from winnow.mail.limits import Limits
from winnow.message import Message, strip_envelope_line

_AUTHOR = ("message-id", "from", "to", "subject", "date")


def identity(raw: bytes, limits: Limits | None = None, *, message: Message | None = None) -> str:
    """Return a 32-digit hex digest that names a message.

    Args:
        raw: the message, or its head of at least `limits.scan_bytes`.
        limits: of the first `scan_bytes`, half counts.
        message: what `parse` made of `raw`, which saves splitting its headers again.
    """
    bounds = limits or Limits()
    head = strip_envelope_line(raw[: bounds.scan_bytes])
    if message is None:
        headers, body_start = split_block(head, bounds)
    else:
        headers, body_start = message.headers, message.body_start
    first = dict(reversed(headers))
    digest = hashlib.blake2b(digest_size=16)
    for name in _AUTHOR:
        value = first.get(name, "")
        digest.update(" ".join(value.split()).encode("utf-8", "replace") + b"\0")
    words = b"\n".join(head[body_start:].split())
    digest.update(words[: bounds.scan_bytes // 2])
    return digest.hexdigest()
