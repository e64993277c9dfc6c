"""From a request to a question, without a server around it."""

from __future__ import annotations

import asyncio
import base64
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import ClientDisconnect, Request

from winnow.serving.answers import Refusal
from winnow.serving.questions import Question, read_check, read_learn
from winnow.serving.settings import Limits
from winnow.verdict import Envelope, Label

LIMITS = Limits(scan_bytes=10, message_bytes=100, json_bytes=400, body_seconds=60.0)
HASTY = replace(LIMITS, body_seconds=0.1)
Piece = bytes | float | None


def request(*pieces: Piece, query: str = "", **headers: str) -> tuple[Request, list[Piece]]:
    """Return a request and what is left of it to read.

    Args:
        pieces: of the body as they come; a number is a pause, None means that the client leaves.
        query: of the address.
        headers: with underscores for dashes.
    """
    left = list(pieces)

    async def receive() -> dict[str, Any]:
        piece = left.pop(0)
        if piece is None:
            return {"type": "http.disconnect"}
        if isinstance(piece, float):
            await asyncio.sleep(piece)
            piece = b""
        return {"type": "http.request", "body": piece, "more_body": bool(left)}

    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": "POST", "query_string": query.encode(), "headers": raw}
    return Request(scope, receive), left


def check(*pieces: Piece, query: str = "", limits: Limits = LIMITS, **headers: str) -> Question:
    """Read a request for a verdict."""
    return asyncio.run(read_check(request(*pieces, query=query, **headers)[0], limits))


def check_json(**fields: Any) -> Question:
    """Read a request for a verdict in the JSON form."""
    return check(json.dumps(fields).encode(), content_type="application/json; charset=utf-8")


def learn(*pieces: bytes, query: str = "", **headers: str) -> tuple[Question, Label | None]:
    """Read a correction."""
    return asyncio.run(read_learn(request(*pieces, query=query, **headers)[0], LIMITS))


def refused(status: int, **given: Any) -> str:
    """Return the sentence with which a request is refused."""
    pieces = given.pop("pieces", (b"x",))
    with pytest.raises(Refusal) as refusal:
        check(*pieces, **given)
    assert refusal.value.status == status
    return refusal.value.message


def test_a_raw_message():
    """Protects the simplest use: the bytes, and nothing known beside them."""
    assert check(b"hello") == Question(b"hello", 5, Envelope(), True)
    assert check(b"") == Question(b"", 0, Envelope(), True)


def test_what_is_known_beside_a_raw_message():
    """Protects the envelope in the address."""
    query = "sender=a%40b&recipient=c@d&recipient=e%2Bf@g&client_address=::1&explain=0"
    envelope = Envelope("a@b", ("c@d", "e+f@g"), "::1")
    assert check(b"x", query=query) == Question(b"x", 1, envelope, False)
    assert "true or false" in refused(422, query="explain=maybe")


@given(st.lists(st.binary(min_size=1, max_size=7), min_size=1, max_size=10))
def test_pieces_mean_the_same_as_the_whole(pieces: list[bytes]):
    """Protects from framing: the head is kept, all of it is counted, however it comes."""
    whole = b"".join(pieces)
    assert check(*pieces) == Question(whole[:10], len(whole))


def test_too_large():
    """Protects memory: refused by its own word before a byte is read, or as soon as it is seen."""
    asked, left = request(b"x", content_length="101")
    with pytest.raises(Refusal) as refusal:
        asyncio.run(read_check(asked, LIMITS))
    assert refusal.value.status == 413
    assert left == [b"x"]
    refused(413, pieces=(b"x" * 60, b"y" * 41, b"never read"))
    assert check(b"x" * 60, b"y" * 40).size_bytes == 100
    refused(413, pieces=(b" " * 401,), content_type="application/json")


def test_a_body_that_does_not_come():
    """Protects connections from clients that stop in the middle, or leave."""
    assert "in time" in refused(408, pieces=(b"a", 60.0, b"b"), limits=HASTY)
    assert check(b"a", 0.01, b"b").head == b"ab"
    with pytest.raises(ClientDisconnect):
        check(b"a", None, b"b")


@pytest.mark.parametrize(
    "headers",
    [{"content_type": "multipart/form-data; boundary=x"}, {"content_encoding": "gzip"}],
)
def test_wrapped_otherwise(headers: dict[str, str]):
    """Protects from a verdict on the wrapping instead of the message."""
    refused(415, **headers)


def test_no_wrapping_is_fine():
    """Protects clients that say so."""
    assert check(b"x", content_encoding="identity", content_type="text/plain").head == b"x"


def test_a_json_message():
    """Protects the JSON form: text, base64, envelope and the wish for reasons."""
    envelope = {"sender": "a@b", "recipients": ["c@d"], "client_address": "::1"}
    asked = check_json(message="Grüße", envelope=envelope, explain=False)
    assert asked == Question("Grüße".encode(), 7, Envelope("a@b", ("c@d",), "::1"), False)
    encoded = base64.encodebytes(b"\x00\xff" * 40).decode()
    assert check_json(message_base64=encoded) == Question(b"\x00\xff" * 5, 80)


@pytest.mark.parametrize(
    ("text", "raw"),
    [("a\udcffb", b"a\xffb"), ("\ud800", b"\xed\xa0\x80"), ("", b""), ("\x00", b"\x00")],
)
def test_any_text_is_a_message(text: str, raw: bytes):
    """Protects from halves of surrogate pairs: an answer, never an error."""
    assert check_json(message=text).head == raw


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({}, "either message or message_base64"),
        ({"message": "a", "message_base64": "YQ=="}, "either message or message_base64"),
        ({"message": 1}, "a string is wanted"),
        ({"message_base64": "*"}, "not base64"),
        ({"message": "a", "explain": 1}, "explain"),
        ({"message": "a", "evnelope": {}}, "evnelope: unknown field"),
        ({"message": "a", "label": "spam"}, "label: unknown field"),
        ({"message": "a", "envelope": []}, "envelope: an object"),
        ({"message": "a", "envelope": {"from": "x"}}, "envelope: an object"),
        ({"message": "a", "envelope": {"sender": 1}}, "strings"),
        ({"message": "a", "envelope": {"recipients": "x"}}, "a list of strings"),
    ],
)
def test_senseless_fields(fields: dict[str, Any], named: str):
    """Protects who misspells: the sentence names the field."""
    body = json.dumps(fields).encode()
    assert named in refused(422, pieces=(body,), content_type="application/json")


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 300, b"nul"])
def test_not_json(body: bytes):
    """Protects from an error of ours for what is not JSON at all."""
    assert "not JSON" in refused(400, pieces=(body,), content_type="application/vnd.x+json")


def test_corrections():
    """Protects what is taught: the message and its label, in both forms."""
    assert learn(b"x" * 20, query="label=spam") == (Question(b"x" * 10, 20), Label.SPAM)
    assert learn(b"x", query="label=forget") == (Question(b"x", 1), None)
    body = json.dumps({"message": "x", "label": "ham"}).encode()
    assert learn(body, content_type="application/json") == (Question(b"x", 1), Label.HAM)


@pytest.mark.parametrize("query", ["", "label=", "label=SPAM", "label=junk"])
def test_a_label_that_is_none(query: str):
    """Protects the weights from a correction that nobody meant."""
    with pytest.raises(Refusal, match='"spam", "ham" or "forget"'):
        learn(b"x", query=query)
    with pytest.raises(Refusal, match='"spam", "ham" or "forget"'):
        learn(b'{"message": "x", "label": 1}', content_type="application/json")
