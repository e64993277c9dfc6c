"""Bytes -> text: the one place where charsets and transfer encodings are undone.

Nothing here raises on bad input: what cannot be decoded strictly is decoded with replacement
and reported by a mark, because mail with lying labels is still read by its reader.
"""

from __future__ import annotations

import binascii
import codecs
import re
from functools import lru_cache

# Codecs of Python that are no charsets of mail: their cost is not linear or their output is not
# what a mail reader would show.
_REFUSED = frozenset({"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined"})
_UNLABELLED = frozenset({"", "us-ascii", "ascii", "7bit", "8bit", "unknown-8bit", "default"})
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]+")


@lru_cache(maxsize=256)
def _codec(charset: str) -> str | None:
    """Name of Python's text codec for a charset label, or None."""
    try:
        info = codecs.lookup(charset)
        "".encode(info.name)  # refuses codecs that are not for text
    except (LookupError, ValueError, TypeError, UnicodeError):
        return None
    return None if info.name in _REFUSED else info.name


def decode_text(data: bytes, charset: str) -> tuple[str, str | None]:
    """Decode text under its label, or, where the label lies, as a reader's program would guess.

    Args:
        data: the bytes of a text part or an encoded word.
        charset: label as written; may be empty, unknown or wrong.

    Returns:
        The text, and a mark ("unknown charset", "wrong charset") or None.
    """
    label = charset.strip().strip("\"'").lower()[:40]
    if label in _UNLABELLED:
        return (data.decode("ascii"), None) if data.isascii() else (_guess(data), None)
    codec = _codec(label)
    if codec is None:
        return _guess(data), "unknown charset"
    try:
        return data.decode(codec), None
    except (UnicodeError, ValueError):
        return _guess(data), "wrong charset"


def _guess(data: bytes) -> str:
    """UTF-8 when it fits, else Windows-1252, in which every byte has some meaning."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def undo_transfer_encoding(data: bytes, encoding: str) -> tuple[bytes, str | None]:
    """Undo base64 and quoted-printable; leave the rest alone.

    Returns:
        The bytes, and the mark "broken base64" when the data was no base64 to the end.
    """
    name = encoding.strip().lower()
    if name == "base64":
        return _base64(data)
    if name == "quoted-printable":
        return binascii.a2b_qp(data), None
    return data, None


def _base64(data: bytes) -> tuple[bytes, str | None]:
    body, _, rest = data.partition(b"=")
    letters = _NOT_BASE64.sub(b"", body)
    clean = len(letters) % 4 != 1 and len(body) - len(letters) <= body.count(b"\n") * 2 + 2
    usable = letters[: len(letters) - (len(letters) % 4 == 1)]
    decoded = binascii.a2b_base64(usable + b"=" * (-len(usable) % 4))
    trailing = rest.strip(b"=\r\n \t")
    return decoded, None if clean and not trailing else "broken base64"
