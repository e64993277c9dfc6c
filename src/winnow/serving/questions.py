"""From an HTTP request to what is asked of the engine: raw bytes, envelope, label.

A raw body is read as a stream: only its first `scan_bytes` are kept, the rest is counted. JSON has
to be held whole and is bounded more tightly.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import ClientDisconnect, Request

from winnow.serving.answers import Refusal
from winnow.serving.settings import Limits
from winnow.verdict import Envelope, Label

FORGET = "forget"


@dataclass(frozen=True, slots=True)
class Question:
    """A message and what is asked about it.

    Attributes:
        head: the message, or its first `scan_bytes`.
        size_bytes: size of the whole message.
        envelope: what the client knows of it.
        explain: whether reasons are wanted.
    """

    head: bytes
    size_bytes: int
    envelope: Envelope = field(default_factory=Envelope)
    explain: bool = True


async def read_check(request: Request, limits: Limits) -> Question:
    """Read a request for a verdict. Raises Refusal."""
    if not _is_json(request):
        head, size_bytes = await _read_raw(request, limits)
        if not request.scope["query_string"]:
            return Question(head, size_bytes)
        asked = request.query_params
        return Question(
            head,
            size_bytes,
            Envelope(
                asked.get("sender", ""),
                tuple(asked.getlist("recipient")),
                asked.get("client_address", ""),
            ),
            _flag(asked.get("explain", "true")),
        )
    fields = await _read_fields(request, limits, {"envelope", "explain"})
    explain = fields.get("explain", True)
    if not isinstance(explain, bool):
        raise Refusal(422, "explain: true or false is wanted")
    raw = _message(fields)
    return Question(raw[: limits.scan_bytes], len(raw), _envelope(fields), explain)


async def read_learn(request: Request, limits: Limits) -> tuple[Question, Label | None]:
    """Read a correction: the message and its label, None for forget. Raises Refusal."""
    if _is_json(request):
        fields = await _read_fields(request, limits, {"label"})
        label = _label(fields.get("label"))
        raw = _message(fields)
        return Question(raw[: limits.scan_bytes], len(raw)), label
    label = _label(request.query_params.get("label"))
    return Question(*await _read_raw(request, limits)), label


def _label(word: object) -> Label | None:
    if word not in (*Label, FORGET):
        raise Refusal(422, 'label: "spam", "ham" or "forget" is wanted')
    return None if word == FORGET else Label(str(word))


def _is_json(request: Request) -> bool:
    """Tell which of the two forms this is. Raises Refusal for what is wrapped otherwise."""
    kind = _header(request, b"content-type").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        raise Refusal(415, "send the raw message as the body, not as a form field")
    if _header(request, b"content-encoding").lower() not in ("", "identity"):
        raise Refusal(415, "send the body without Content-Encoding")
    return kind == "application/json" or kind.endswith("+json")


def _header(request: Request, name: bytes) -> str:
    """Return a header's value, "" if there is none, at a fraction of what Starlette's way costs."""
    for key, value in request.scope["headers"]:
        if key == name:
            return str(value, "latin-1")
    return ""


def _flag(word: str) -> bool:
    if word.lower() not in ("true", "false", "1", "0"):
        raise Refusal(422, "explain: true or false is wanted")
    return word.lower() in ("true", "1")


async def _read_raw(request: Request, limits: Limits) -> tuple[bytes, int]:
    return await _read(request, limits, keep=limits.scan_bytes, longest=limits.message_bytes)


async def _read(request: Request, limits: Limits, *, keep: int, longest: int) -> tuple[bytes, int]:
    """Return the first `keep` bytes of the body and the size of all of it."""
    if _declared_bytes(request) > longest:
        raise _too_large(longest)
    head = bytearray()
    size_bytes = 0
    try:
        async with asyncio.timeout(limits.body_seconds):
            more = True
            while more:
                message = await request.receive()
                if message["type"] == "http.disconnect":
                    raise ClientDisconnect
                chunk, more = message.get("body", b""), message.get("more_body", False)
                size_bytes += len(chunk)
                if size_bytes > longest:
                    raise _too_large(longest)
                head += chunk[: max(0, keep - len(head))]
    except TimeoutError:
        raise Refusal(408, "the body did not arrive in time") from None
    return bytes(head), size_bytes


def _too_large(longest: int) -> Refusal:
    return Refusal(413, f"more than {longest} bytes; send less of it")


def _declared_bytes(request: Request) -> int:
    declared = _header(request, b"content-length")
    return int(declared) if declared.isdecimal() else 0


async def _read_fields(request: Request, limits: Limits, accepted: set[str]) -> Mapping[str, Any]:
    longest = limits.json_bytes
    body, _ = await _read(request, limits, keep=longest, longest=longest)
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Refusal(400, f"the body is not JSON: {error}") from None
    if not isinstance(fields, dict):
        raise Refusal(422, "a JSON object is wanted")
    accepted = accepted | {"message", "message_base64"}
    unknown = sorted(set(fields) - accepted)
    if unknown:
        names = ", ".join(sorted(accepted))
        raise Refusal(422, f"{unknown[0][:80]}: unknown field; the fields are {names}")
    return fields


def _message(fields: Mapping[str, Any]) -> bytes:
    text, encoded = fields.get("message"), fields.get("message_base64")
    if (text is None) == (encoded is None):
        raise Refusal(422, "either message or message_base64 is wanted")
    if isinstance(text, str):
        return _any_bytes(text)
    if not isinstance(encoded, str):
        raise Refusal(422, "message, message_base64: a string is wanted")
    try:
        return base64.b64decode("".join(encoded.split()), validate=True)
    except (binascii.Error, ValueError):
        raise Refusal(422, "message_base64: not base64") from None


def _any_bytes(text: str) -> bytes:
    # JSON can hold lone surrogates. Python clients mean raw bytes by some of them; a message is
    # any bytes, so the others pass, too.
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def _envelope(fields: Mapping[str, Any]) -> Envelope:
    given = fields.get("envelope", {})
    names = {"sender", "recipients", "client_address"}
    if not isinstance(given, dict) or set(given) - names:
        raise Refusal(422, f"envelope: an object of {', '.join(sorted(names))} is wanted")
    sender, client = given.get("sender", ""), given.get("client_address", "")
    recipients = given.get("recipients", [])
    if not isinstance(sender, str) or not isinstance(client, str):
        raise Refusal(422, "envelope: sender and client_address are strings")
    if not isinstance(recipients, list) or not all(isinstance(r, str) for r in recipients):
        raise Refusal(422, "envelope: recipients is a list of strings")
    return Envelope(sender, tuple(recipients), client)
