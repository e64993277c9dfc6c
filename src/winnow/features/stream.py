"""Raw bytes -> byte 4-grams: the view that is worth much at one site and is learnt only there.

Byte n-grams of the raw head need no parser and see what words do not: routes, mailers, encodings
(Sculley and Wachman 2007; the best single filter of the TREC spam tracks). Headers and body each
have a budget, so that long modern headers do not push the body out.
"""

from __future__ import annotations

import re

import numpy as np

from winnow.evidence import Hashes
from winnow.features.hashing import sorted_unique
from winnow.message import strip_envelope_line

STREAM_HEAD = 1 << 16  # of the raw message that is looked at
HEADER_BYTES = 3_000
BODY_BYTES = 3_000
_SPREAD = np.uint32(0x9E3779B1)
_FOLD = np.uint32(15)
# Verdicts of filters, ours among them: a model must not learn from another model's answer.
_FOREIGN_VERDICT = re.compile(rb"^x-(?:spam|winnow)[^\n]*\n(?:[ \t][^\n]*\n)*", re.I | re.M)


def without_word(raw: bytes, word: str) -> bytes:
    """Delete a word from a raw message where it stands as it is read, in any case.

    What is base64 or quoted-printable stays: there a word has no bytes of its own.
    """
    letters = re.escape(word.encode("utf-8", "replace"))
    return re.sub(rb"(?i)(?<![a-z0-9\x80-\xff])" + letters + rb"(?![a-z0-9\x80-\xff])", b"", raw)


def stream_hashes(raw: bytes) -> Hashes:
    """Return the hashes of the byte 4-grams of a raw message; different grams have different ones.

    Args:
        raw: the message; its head of STREAM_HEAD bytes is enough.
    """
    data = strip_envelope_line(raw[:STREAM_HEAD])
    head, blank, body = data.replace(b"\r\n", b"\n").partition(b"\n\n")
    if not blank:
        head, body = b"", data
    # Always through the same path: a trace of the removal would itself tell of the verdict.
    head = _FOREIGN_VERDICT.sub(b"", head + b"\n").removesuffix(b"\n")
    text = head[:HEADER_BYTES] + b"\n\n" + body[:BODY_BYTES]
    grams = np.concatenate(
        [
            np.frombuffer(text, "<u4", (len(text) - k) // 4, k)
            for k in range(4)
            if len(text) >= k + 4
        ]
        or [np.zeros(0, np.uint32)]
    )
    grams = (grams ^ (grams >> _FOLD)) * _SPREAD
    return sorted_unique(grams)
