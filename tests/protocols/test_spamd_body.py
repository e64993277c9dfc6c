from __future__ import annotations

import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winnow.errors import RemoteProtocolError
from winnow.protocols.spamd_body import Body


def body(
    *,
    length: int | None = None,
    keep: int = 1 << 30,
    limit: int = 1 << 30,
    compressed: bool = False,
) -> Body:
    """Return a body with roomy limits."""
    return Body(length=length, keep_bytes=keep, limit_bytes=limit, compressed=compressed)


def test_length() -> None:
    """A body is complete with its last announced byte; what follows is dropped."""
    found = body(length=5)
    found.feed(b"abc")
    assert not found.complete
    found.feed(memoryview(b"defg"))
    assert found.complete
    assert (bytes(found.kept), found.size_bytes) == (b"abcde", 5)


def test_nothing_announced() -> None:
    """A length of 0 is complete before any byte."""
    assert body(length=0).complete


def test_end_before_length() -> None:
    """A message cut short is never taken for whole."""
    found = body(length=5)
    found.feed(b"abc")
    with pytest.raises(RemoteProtocolError, match="2 bytes before"):
        found.end()


def test_to_the_end() -> None:
    """Without a length the half-close completes the message."""
    found = body()
    found.feed(b"abc")
    assert not found.complete
    found.end()
    assert bytes(found.kept) == b"abc"


def test_keep() -> None:
    """What is not kept is still counted."""
    found = body(keep=4)
    for piece in (b"abc", b"def", b"ghi"):
        found.feed(piece)
    assert (bytes(found.kept), found.size_bytes) == (b"abcd", 9)


def test_limit_at_once() -> None:
    """A message announced as too large is refused before it comes, compressed or not."""
    with pytest.raises(RemoteProtocolError, match="larger than 10 bytes") as caught:
        body(length=11, limit=10)
    assert caught.value.status == 65
    body(length=11, limit=10, compressed=True)


def test_limit_underway() -> None:
    """A message without a length is refused with the first byte too many."""
    found = body(limit=10)
    found.feed(b"x" * 10)
    with pytest.raises(RemoteProtocolError, match="larger"):
        found.feed(b"x")


@given(data=st.binary(max_size=2000), step=st.integers(1, 500), repeat=st.integers(1, 400))
def test_zlib(data: bytes, step: int, repeat: int) -> None:
    """A compressed message comes out whole, in pieces of any size."""
    plain = data * repeat
    wire = zlib.compress(plain)
    found = body(length=len(wire), compressed=True)
    for start in range(0, len(wire), step):
        found.feed(wire[start : start + step])
    assert found.complete
    assert bytes(found.kept) == plain
    assert found.size_bytes == len(plain)


@pytest.mark.parametrize("size", [(256 << 10) - 1, 256 << 10, (256 << 10) + 1, 3 * (256 << 10)])
def test_zlib_around_one_step(size: int) -> None:
    """Output that fills a step exactly, or by a byte more, is not left inside zlib."""
    wire = zlib.compress(b"a" * size)
    found = body(length=len(wire), compressed=True)
    found.feed(wire)
    assert found.size_bytes == size


def test_zlib_bomb() -> None:
    """A bomb is refused at the limit, and costs memory for one step beyond what is kept."""
    bomb = zlib.compress(bytes(200 << 20), 9)
    found = body(length=len(bomb), keep=1000, limit=20 << 20, compressed=True)
    tracemalloc.start()
    try:
        with pytest.raises(RemoteProtocolError, match="larger"):
            found.feed(bomb)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak_bytes < 3_000_000
    assert len(found.kept) == 1000


def test_zlib_cut_short() -> None:
    """A stream that ends early is refused, by length and by half-close."""
    wire = zlib.compress(b"hello")[:-1]
    with pytest.raises(RemoteProtocolError, match="cut short"):
        body(length=len(wire), compressed=True).feed(wire)
    found = body(compressed=True)
    found.feed(wire)
    with pytest.raises(RemoteProtocolError, match="cut short"):
        found.end()


def test_zlib_of_nothing() -> None:
    """No bytes at all are no zlib stream."""
    with pytest.raises(RemoteProtocolError, match="cut short"):
        body(length=0, compressed=True)
