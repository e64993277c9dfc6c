"""Bytes -> Message -> Evidence: the one way for training and for serving, and its fingerprint.

Weights must never meet other evidence than they were trained on. So the fingerprint is taken from
behaviour, not from a version number that somebody must remember to raise: a few fixed messages are
read, and what they give is hashed. Any change of the parser or of the features that matters to
weights moves it.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

import numpy as np

from winnow.evidence import Evidence
from winnow.features import Reading, read_content, stream_hashes
from winnow.features.tokens import texts_of
from winnow.mail import parse
from winnow.message import Message

_NOTHING = np.zeros(0, dtype=np.uint32)


def read_evidence(
    raw: bytes, *, size_bytes: int | None = None, stream: bool = True
) -> tuple[Message, Reading, Evidence]:
    """Read one message; any bytes have evidence.

    Args:
        raw: the message, or its head.
        size_bytes: size of the whole message when `raw` is its head.
        stream: whether the stream view is read, too; for a model that does not hear it that would
            be a tenth of the work for nothing.
    """
    message = parse(raw, size_bytes=size_bytes)
    reading = read_content(message)
    return message, reading, reading.evidence(stream_hashes(raw) if stream else _NOTHING)


@lru_cache(maxsize=1)
def fingerprint() -> str:
    """Return 16 hex digits that change whenever the evidence of the probes changes."""
    digest = hashlib.blake2b(digest_size=8)
    for probe in _PROBES:
        for hashes in read_evidence(probe)[2].kinds:
            digest.update(hashes.tobytes() + b"|")
    return digest.hexdigest()


@lru_cache(maxsize=1)
def text_form() -> str:
    """As `fingerprint`, of the texts that the reader reads."""
    digest = hashlib.blake2b(digest_size=8)
    for probe in (*_PROBES, _TRICKS):
        message, reading, _ = read_evidence(probe, stream=False)
        for text in texts_of(message, reading.hosts, _FORM_TOKENS):
            digest.update(text.encode("utf-8", "replace") + b"|")
    return digest.hexdigest()


_FORM_TOKENS = 128
_PLAIN = b"""From: a@example.org
Subject: =?utf-8?q?Probe_caf=C3=A9?=
Received: from x

Free offer 1,000 $ h\xc3\xa9 http://1.2.3.4/x > quoted
"""
_RICH = """Return-Path: <b@bounce.example.com>
From: "Prize Desk 24" <desk123@prize-desk-24.example.top>
Reply-To: desk@gmail.com
To: you@example.org
Subject: Re: [list] FREE money!! $1,000
Message-ID: <1@mail.example.net>
DKIM-Signature: v=1; d=prize-desk-24.example.top; s=x
List-Unsubscribe: <https://example.org/u>
References: <0@example.org>
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: multipart/alternative; boundary=c

--c
Content-Type: text/plain; charset=utf-8

Another text.
--c
Content-Type: text/html; charset=utf-8
Content-Transfer-Encoding: quoted-printable

<title>T</title><p>Dear you@example.org,<br>click <a href=3D"http://1.2.3.4/x">www.bank.example</a>=
 hé 你好 V I A G R A аbc 50% off &euro;9 <b>now</b>here</p><p style=3D"display:none">good words
<p><font size=3D0>tiny</font><a href=3Dhttps://bit.ly/x><img src=3Dcid:1></a><form action=3Dx>
--c--
--b
Content-Type: application/zip; name="a.zip"
Content-Transfer-Encoding: base64

UEsDBA==
--b--
""".encode()
_PROBES = (b"", _PLAIN, _RICH)
# What only the reader's texts undo.
_TRICKS = """Subject: c.a.s.i.n.o v.1.a.g.r.a
Content-Type: text/plain; charset=utf-8

cаsino p а y p a l  v1agra раyрaĺ 2026 123456789 !!!!! ----- f-r-e-e x 1 3 4 5
""".encode()
