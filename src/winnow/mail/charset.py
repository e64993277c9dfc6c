"""Bytes -> text: the one place where charsets and transfer encodings are undone.

Nothing here raises on bad input: what cannot be decoded strictly is decoded with replacement
and reported by a mark, because mail with lying labels is still read by its reader.
"""

from __future__ import annotations

import binascii
import codecs
import re
from encodings.aliases import aliases
from functools import lru_cache

# Codecs of Python that are no charsets of mail: their cost is not linear or their output is not
# what a mail reader would show.
_REFUSED = frozenset({"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined"})
_UNLABELLED = frozenset({"", "us-ascii", "ascii", "7bit", "8bit", "unknown-8bit", "default"})
# Labels that readers take for the larger set that was meant (WHATWG Encoding, 4.2), and some that
# Python does not know.
_MEANT = {
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "x_gbk": "gb18030",
    "euc_kr": "cp949",
    "ks_c_5601_1987": "cp949",
    "shift_jis": "cp932",
    "x_sjis": "cp932",
    "iso_8859_9": "cp1254",
    "tis_620": "cp874",
    "windows_874": "cp874",
    "iso_8859_8_i": "iso8859_8",
    "unicode_1_1_utf_7": "utf_7",
    "utf8mb4": "utf_8",
    "big5": "cp950",
    "gb_2312_80": "gb18030",
    "windows_31j": "cp932",
    "x_mac_roman": "mac_roman",
    "koi8_ru": "koi8_u",
    "koi8": "koi8_r",
}
# Codecs that have no alias but their own name.
_OWN_NAMES = ("koi8_t", "koi8_u", "utf_8_sig", "cp720", "cp737", "cp856", "cp874", "cp875")
# Only these names are ever looked up: Python keeps every name it was once asked for, for good.
_CODECS = {name: name for name in (*aliases.values(), *_OWN_NAMES)} | aliases | _MEANT
_LATIN_1 = "iso8859-1"
_C1 = re.compile(rb"[\x80-\x9f]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_NOT_BASE64 = bytes(
    set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
)


@lru_cache(maxsize=256)
def _codec(label: str) -> str | None:
    """Name of Python's text codec for a charset label, or None."""
    known = _CODECS.get(label.replace("-", "_").replace(" ", "_").replace(":", "_"))
    if known is None or known in _REFUSED:
        return None
    try:
        info = codecs.lookup(known)
        "".encode(info.name)  # refuses codecs that are not for text
    except (LookupError, ValueError, TypeError, UnicodeError):
        return None
    return info.name


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
        return (data.decode("ascii") if data.isascii() else _guess(data, "utf-8")), None
    codec = _codec(label)
    if codec is None:
        return _guess(data, "utf-8"), "unknown charset"
    if codec[:6] in ("utf-16", "utf-32") and data.isascii() and b"\0" not in data:
        return _guess(data, "utf-8"), "wrong charset"
    try:
        text = data.decode(codec)
    except (UnicodeError, ValueError):
        return _guess(data, codec), "wrong charset"
    if codec == _LATIN_1 and not data.isascii() and _C1.search(data):
        return data.decode("cp1252", "replace"), None  # control signs that nobody writes
    if codec == "utf-7":
        return _SURROGATE.sub("\ufffd", text), None
    return text, None


def _guess(data: bytes, codec: str) -> str:
    """UTF-8 when it fits, else the labelled codec when it mostly fits, else Windows-1252.

    In Windows-1252 every byte has some meaning, so it is the last resort.
    """
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        pass
    try:
        text = data.decode(codec, "replace")
    except (UnicodeError, ValueError):
        text = "\ufffd" * len(data)
    # one broken sign in eight is damage, more is a lie
    if text.count("\ufffd") * 8 <= len(text) - len(text.encode("ascii", "ignore")):
        return _SURROGATE.sub("\ufffd", text)
    return data.decode("cp1252", "replace")


def undo_transfer_encoding(data: bytes, encoding: str) -> tuple[bytes, str | None]:
    """Undo base64 and quoted-printable; leave the rest alone.

    Returns:
        The bytes, and the mark "broken base64" when the data was no base64 to the end.
    """
    name = encoding_name(encoding)
    if name == "base64":
        return _base64(data)
    if name == "quoted-printable":
        return binascii.a2b_qp(data), None
    return data, None


def encoding_name(encoding: str) -> str:
    """Return the lower-case name of a transfer encoding, without what is written after it."""
    name = encoding.strip().lower()
    if name.isalnum() or name == "quoted-printable":
        return name
    words = name.replace(";", " ").replace("(", " ").split(None, 1)
    return words[0].strip("\"'") if words else ""


def _base64(data: bytes) -> tuple[bytes, str | None]:
    body, _, rest = data.partition(b"=")
    letters = body.translate(None, _NOT_BASE64)
    clean = len(letters) % 4 != 1 and len(body) - len(letters) <= body.count(b"\n") * 2 + 2
    usable = letters[: len(letters) - (len(letters) % 4 == 1)]
    decoded = binascii.a2b_base64(usable + b"=" * (-len(usable) % 4))
    trailing = rest.strip(b"=\r\n \t")
    return decoded, None if clean and not trailing else "broken base64"
