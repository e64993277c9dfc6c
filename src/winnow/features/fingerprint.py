"""A digest of what the features do, so that weights never meet other features than their own.

It is taken from behaviour, not from a version number that somebody must remember to raise: a few
fixed messages are read, and the buckets they give are hashed. Any change that matters to weights
moves it.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

from winnow.features.content import read_content
from winnow.features.stream import stream_buckets
from winnow.message import Address, Attachment, Link, Message

_RAW = b"From: a@example.org\nSubject: probe\nReceived: from x\n\nFree offer 1,000 $ h\xc3\xa9\n"


def _probe() -> Message:
    return Message(
        headers=(
            ("from", "A <a@example.org>"),
            ("message-id", "<1@mail.example.net>"),
            ("return-path", "<b@bounce.example.com>"),
            ("dkim-signature", "v=1; d=example.org; s=x"),
            ("list-unsubscribe", "<https://example.org/u>"),
            ("references", "<0@example.org>"),
        ),
        subject="Re: FREE money!! $1,000",
        sender=Address("Prize Desk 24", "desk123@prize-desk-24.example.top"),
        reply_to=Address("", "desk@gmail.com"),
        message_id="1@mail.example.net",
        recipients=("you@example.org",),
        text="Dear you@example.org,\nclick here! h\u00e9 \u4f60\u597d V I A G R A \u0430bc 50% off\n> q",
        hidden="good words",
        links=(
            Link("http://1.2.3.4/x", "1.2.3.4", "www.bank.example"),
            Link("https://bit.ly/x", "bit.ly", ""),
        ),
        attachments=(Attachment("application/zip", "a.zip", 10),),
        marks=frozenset({"html", "images", "hidden text"}),
        size_bytes=1000,
        truncated=False,
    )


@lru_cache(maxsize=1)
def fingerprint() -> str:
    """Return 16 hex digits that change whenever the features of the probes change."""
    digest = hashlib.blake2b(digest_size=8)
    reading = read_content(_probe())
    evidence = reading.evidence(stream_buckets(_RAW))
    for buckets in (evidence.words, evidence.grams, evidence.traits, evidence.stream):
        digest.update(buckets.tobytes() + b"|")
    return digest.hexdigest()
