"""Raw bytes -> byte 4-grams: the view that is worth much at one site and is learnt only there.

Byte n-grams of the raw head need no parser and see what words do not: routes, mailers, encodings
(Sculley and Wachman 2007; the best single filter of the TREC spam tracks). Headers and body each
have a budget, so that long modern headers do not push the body out.
"""

from __future__ import annotations

import re

import numpy as np

from winnow.evidence import Buckets
from winnow.features.hashing import sorted_unique, to_buckets
from winnow.message import strip_envelope_line

HEADER_BYTES = 3_000
BODY_BYTES = 3_000
_GRAM = 4
_SALT = 0x51
# Verdicts of filters, ours among them: a model must not learn from another model's answer.
_FOREIGN_VERDICT = re.compile(rb"^x-(?:spam|winnow)[^\n]*\n(?:[ \t][^\n]*\n)*", re.I | re.M)


def stream_buckets(raw: bytes) -> Buckets:
    """Return the buckets of the byte 4-grams of a raw message.

    Args:
        raw: the message; its head of 64 KiB is enough.
    """
    data = strip_envelope_line(raw[: 1 << 16])
    head, blank, body = data.replace(b"\r\n", b"\n").partition(b"\n\n")
    if not blank:
        head, body = b"", data
    lowered = head.lower()
    if b"\nx-spam" in lowered or b"x-winnow" in lowered:
        head = _FOREIGN_VERDICT.sub(b"", head + b"\n")
    text = head[:HEADER_BYTES] + b"\n\n" + body[:BODY_BYTES]
    signs = np.frombuffer(text, dtype=np.uint8).astype(np.uint64)
    grams = signs[:-3].copy()
    for offset in range(1, _GRAM):
        grams |= signs[offset : len(signs) - 3 + offset] << np.uint64(8 * offset)
    return sorted_unique(to_buckets(grams, _SALT)) if len(signs) >= _GRAM else _NONE


_NONE = np.zeros(0, dtype=np.uint32)
