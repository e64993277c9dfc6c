"""Raw bytes to byte n-grams."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.strategies import raw_messages
from winnow.features.stream import stream_hashes

PLAIN = b"From: a@b.example\nSubject: x\n\nbody of some words\n"


@settings(max_examples=30)
@given(st.one_of(st.binary(max_size=500), raw_messages()))
def test_any_bytes_have_hashes(raw: bytes) -> None:
    """Sorted and distinct."""
    found = stream_hashes(raw)
    assert found.dtype == np.uint32
    assert found.tolist() == sorted(set(found.tolist()))


@pytest.mark.parametrize(
    "header",
    [
        b"X-Spam-Status: Yes, score=9.9\n",
        b"X-SPAM-FLAG: YES\n",
        b"x-spam-report: a\n\tb\n c\n",
        b"X-Winnow-Probability: 0.99\n",
        b"X-Winnow: junk;\n  reasons\n",
    ],
)
@pytest.mark.parametrize("place", ["first", "middle", "last"])
@pytest.mark.parametrize("ends", [b"\n", b"\r\n"])
def test_other_filters_are_not_believed(header: bytes, place: str, ends: bytes) -> None:
    """A verdict in the headers, ours or another's, changes nothing, folded or not."""
    first, second = PLAIN.partition(b"\n\n")[0].split(b"\n")
    lines = [first + b"\n", second + b"\n"]
    lines.insert({"first": 0, "middle": 1, "last": 2}[place], header)
    marked = b"".join(lines) + b"\n" + PLAIN.partition(b"\n\n")[2]
    assert (
        stream_hashes(marked.replace(b"\n", ends)).tolist()
        == stream_hashes(PLAIN.replace(b"\n", ends)).tolist()
    )


def test_the_envelope_line_of_a_mailbox_does_not_count() -> None:
    """The same message in an mbox and in a Maildir is the same."""
    mbox = b"From a@b.example Mon Jan  1 00:00:00 2024\n" + PLAIN
    assert stream_hashes(mbox).tolist() == stream_hashes(PLAIN).tolist()


def test_line_ends_do_not_count() -> None:
    """As received over SMTP or as stored: the same buckets."""
    assert stream_hashes(PLAIN.replace(b"\n", b"\r\n")).tolist() == stream_hashes(PLAIN).tolist()


def test_a_body_that_names_a_filter_is_not_cut() -> None:
    """Only headers are left out: talk about X-Spam in the text is text."""
    talk = PLAIN + b"X-Spam-Status: what does it mean?\n"
    assert len(stream_hashes(talk)) > len(stream_hashes(PLAIN))


def test_long_headers_leave_room_for_the_body() -> None:
    """Each has its budget, and both are bounded."""
    head = b"".join(b"X-Route-%d: hop\n" % n for n in range(2000))
    one, two = (stream_hashes(head + b"\n" + body) for body in (b"first text", b"other words"))
    assert one.tolist() != two.tolist()
    assert len(stream_hashes(bytes(range(256)) * 4000)) <= 6_002


@given(st.binary(min_size=4, max_size=40).filter(lambda b: b"\n" not in b and b"\r" not in b))
def test_every_window_of_four_bytes_counts(text: bytes) -> None:
    """A message of one text holds the buckets of each of its windows."""
    if text.startswith((b"From ", b">From ")):
        return
    whole = set(stream_hashes(text).tolist())
    common = set(stream_hashes(b"").tolist())
    assert len(whole) <= len(text) + 2
    assert whole - common or len(text) < 4
    assert set(stream_hashes(text + b"!").tolist()) >= whole - common
