"""Requests as clients send them, and ways to feed them; for every test of the spamd protocol."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from winnow.errors import RemoteProtocolError
from winnow.protocols.spamd import Limits, SpamdConnection
from winnow.protocols.spamd_events import Check, Closed, Command, Event, Forget, Learn, Ping, Scored

MESSAGE = b"From: a@b.test\nSubject: lunch\n\nsee you at one\n"
SCORED = Scored(
    is_spam=True,
    probability=0.97,
    junk_threshold=0.9,
    action="junk",
    rule="junk",
    model="reflex@12345678",
    reasons=(("word", "lottery", 0.31), ("trait", "no date", -0.1)),
)


@dataclass(frozen=True)
class Sample:
    """One request.

    Attributes:
        name: for the test's id.
        data: what the client sends.
        half_closes: whether it closes its side after it.
        expected: the event, or the status of the error.
    """

    name: str
    data: bytes
    half_closes: bool
    expected: Event | int


def request(command: str, *headers: str, minor: int = 5, body: bytes = MESSAGE) -> bytes:
    """Return a request with a Content-length."""
    lines = [f"{command} SPAMC/1.{minor}", *headers, f"Content-length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


def _check(command: Command, user: str = "", body: bytes = MESSAGE) -> Check:
    return Check(command, body, len(body), user)


def _samples() -> Iterator[Sample]:
    for command in Command:
        if command not in (Command.TELL, Command.PING, Command.SKIP):
            data = request(command, "User: nobody")
            yield Sample(command.lower(), data, True, _check(command, "nobody"))
    yield Sample("no half close", request("CHECK"), False, _check(Command.CHECK))
    yield Sample("exim", request("REPORT", "User: n", minor=2), True, _check(Command.REPORT, "n"))
    odd = b"CHECK SPAMC/1.3\nUSER :  bo b \ncONTENT-lENGTH:%d\nX-Odd:\n\n" % len(MESSAGE)
    yield Sample("odd headers", odd + MESSAGE, False, _check(Command.CHECK, "bo b"))
    to_the_end = b"CHECK SPAMC/1.5\r\n\r\n" + MESSAGE
    yield Sample("to the end", to_the_end, True, _check(Command.CHECK))
    yield Sample("empty", request("CHECK", body=b""), False, _check(Command.CHECK, body=b""))
    empty_to_the_end = b"PROCESS SPAMC/1.5\r\n\r\n"
    yield Sample("empty to the end", empty_to_the_end, True, _check(Command.PROCESS, body=b""))
    packed = request("CHECK", "Compress: zlib", body=zlib.compress(MESSAGE))
    yield Sample("zlib", packed, False, _check(Command.CHECK))
    yield Sample("ping", b"PING SPAMC/1.5\r\n\r\n", False, Ping())
    yield Sample("ping of old", b"PING SPAMC/1.2\r\n", False, Ping())
    yield Sample("skip", b"SKIP SPAMC/1.5\r\n\r\n", False, Closed())
    spam = request("TELL", "Message-class: spam", "Set: local")
    yield Sample("learn spam", spam, True, Learn("spam", MESSAGE, ""))
    ham = request("TELL", "message-class: HAM", "Set: remote, LOCAL", "User: u")
    yield Sample("learn ham", ham, True, Learn("ham", MESSAGE, "u"))
    yield Sample("forget", request("TELL", "Remove: local"), True, Forget(MESSAGE, ""))
    yield from _wrong_samples()


def _wrong_samples() -> Iterator[Sample]:
    lines = {
        "not a request": "GET / HTTP/1.1",
        "unknown command": "SING SPAMC/1.5",
        "small letters": "check SPAMC/1.5",
        "version 1.1": "CHECK SPAMC/1.1",
        "version 2": "CHECK SPAMC/2.0",
        "rspamc": "CHECK RSPAMC/1.3",
        "blank line": "",
        "no colon": "CHECK SPAMC/1.5\r\nContent-length 3",
        "folded": "CHECK SPAMC/1.5\r\nUser: a\r\n b",
        "control": "CHECK SPAMC/1.5\r\nUser: a\0b",
        "bare CR": "CHECK SPAMC/1.5\r\nUser: a\rb: c",
        "negative": "CHECK SPAMC/1.5\r\nContent-length: -1\r\n",
        "no number": "CHECK SPAMC/1.5\r\nContent-length: ten\r\n",
        "two lengths": "CHECK SPAMC/1.5\r\nContent-length: 1\r\nContent-Length: 2\r\n",
        "no class": "TELL SPAMC/1.5\r\nSet: local\r\n",
        "odd class": "TELL SPAMC/1.5\r\nSet: local\r\nMessage-class: eggs\r\n",
        "both": "TELL SPAMC/1.5\r\nSet: local\r\nRemove: local\r\nMessage-class: spam\r\n",
    }
    for name, line in lines.items():
        yield Sample(name, line.encode() + b"\r\n", False, 76)
    yield Sample("head cut short", b"CHECK SPAMC/1.5\r\nUser: a", True, 76)
    yield Sample("line cut short", b"CHECK", True, 76)
    yield Sample("body cut short", request("CHECK")[:-1], True, 76)
    not_zlib = request("CHECK", "Compress: zlib", body=b"not zlib")
    yield Sample("not zlib", not_zlib, False, 76)
    cut = request("CHECK", "Compress: zlib", body=zlib.compress(MESSAGE)[:-3])
    yield Sample("zlib cut short", cut, False, 76)
    more = request("CHECK", "Compress: zlib", body=zlib.compress(MESSAGE) + b"more")
    yield Sample("zlib and more", more, False, 76)
    yield Sample("gzip", b"CHECK SPAMC/1.5\r\nCompress: gzip\r\n\r\n", False, 69)
    yield Sample(
        "remote", b"TELL SPAMC/1.5\r\nMessage-class: spam\r\nSet: remote\r\n\r\n", False, 69
    )
    yield Sample("nothing to tell", b"TELL SPAMC/1.5\r\nMessage-class: spam\r\n\r\n", False, 69)


SAMPLES = tuple(_samples())


def outcome(connection: SpamdConnection) -> Event | int | None:
    """Return the next event, or the status of the error."""
    try:
        return connection.next_event()
    except RemoteProtocolError as error:
        return error.status


def feed(
    data: bytes, *, half_closes: bool, step: int, limits: Limits | None = None
) -> SpamdConnection:
    """Return a connection that has been fed in pieces."""
    connection = SpamdConnection(limits)
    for start in range(0, len(data), step):
        connection.receive_data(data[start : start + step])
    if half_closes:
        connection.end_of_input()
    return connection


def answer(data: bytes, scored: Scored = SCORED) -> bytes:
    """Return what the client of a complete request gets."""
    connection = feed(data, half_closes=True, step=len(data))
    assert isinstance(connection.next_event(), Check)
    return b"".join(connection.send(scored))
