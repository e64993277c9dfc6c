from __future__ import annotations

import re
import tracemalloc
from collections.abc import Iterable
from dataclasses import fields
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.protocols.spamd_samples import MESSAGE, SAMPLES, SCORED, Sample, feed, outcome, request
from winnow.errors import LocalProtocolError, RemoteProtocolError
from winnow.protocols.spamd import TRANSITIONS, Limits, SpamdConnection, State, Trigger
from winnow.protocols.spamd_events import (
    Check,
    Closed,
    Command,
    Event,
    Failed,
    Learn,
    Ping,
    Pong,
    Scored,
    Status,
    Told,
)

SMALL = Limits(head_bytes=200, headers=3, body_bytes=100, scan_bytes=10)
DOCS = Path(__file__).resolve().parents[2] / "docs/reference/spamd.md"


def every(samples: Iterable[Sample]) -> pytest.MarkDecorator:
    """Run a test for each of some samples."""
    return pytest.mark.parametrize("sample", list(samples), ids=lambda sample: sample.name)


ENDLESS = ("to the end", "empty to the end", "head cut short", "line cut short", "body cut short")


@every(SAMPLES)
@pytest.mark.parametrize("step", [1, 2, 7, 1 << 20])
def test_pieces(sample: Sample, step: int) -> None:
    """A request means the same however it is cut into pieces."""
    connection = feed(sample.data, half_closes=sample.half_closes, step=step)
    assert outcome(connection) == sample.expected


@every(sample for sample in SAMPLES if sample.name not in ENDLESS)
@pytest.mark.parametrize("step", [1, 1 << 20])
def test_trailing_bytes(sample: Sample, step: int) -> None:
    """What follows a request that has an end of its own changes nothing."""
    connection = feed(sample.data + b"CHECK SPAMC/1.5\r\n\r\n", half_closes=True, step=step)
    assert outcome(connection) == sample.expected


@every(SAMPLES)
def test_one_event(sample: Sample) -> None:
    """An event is told once, an error every time, and neither before the request is complete."""
    connection = SpamdConnection()
    for byte in sample.data[:-1]:
        assert isinstance(outcome(connection), (type(None), int, Ping, Closed))
        connection.receive_data(bytes([byte]))
    connection.receive_data(sample.data[-1:])
    if sample.half_closes:
        connection.end_of_input()
    first, second = outcome(connection), outcome(connection)
    if isinstance(sample.expected, int):
        assert first == second == sample.expected
        assert connection.state is State.ERROR
    else:
        assert second is None


def test_silence() -> None:
    """A client that connects and leaves (a health check) is no error."""
    connection = SpamdConnection()
    connection.end_of_input()
    assert connection.next_event() == Closed()
    assert connection.state is State.DONE


def test_error_stays() -> None:
    """After a fault the connection takes nothing more in, but says what was wrong."""
    connection = feed(b"GET / HTTP/1.1\r\n", half_closes=False, step=99)
    connection.receive_data(request("CHECK"))
    connection.end_of_input()
    with pytest.raises(RemoteProtocolError, match="or later") as caught:
        connection.next_event()
    assert connection.held_bytes == 0
    [line] = connection.send(Failed(caught.value.status, str(caught.value)))
    assert line == b"SPAMD/1.0 76 Bad header line: expected COMMAND SPAMC/1.2 or later\r\n"


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"C" * 201, 76),
        (b"CHECK SPAMC/1.5\r\n" + b"A: " + b"b" * 200, 76),
        (b"CHECK SPAMC/1.5\r\n" + b"A: b\r\n" * 4, 76),
        (b"CHECK SPAMC/1.5\r\nContent-length: 101\r\n\r\n", 65),
        (b"CHECK SPAMC/1.5\r\n\r\n" + b"x" * 101, 65),
        (b"PROCESS SPAMC/1.5\r\n\r\n" + b"x" * 101, 65),
    ],
)
@pytest.mark.parametrize("step", [1, 1000])
def test_limits(data: bytes, status: int, step: int) -> None:
    """Every limit is a clear refusal, at once and not at the end of the input."""
    connection = feed(data, half_closes=False, step=step, limits=SMALL)
    assert outcome(connection) == status
    assert connection.held_bytes == 0


@pytest.mark.parametrize("minor", [2, 3, 4, 5, 9, 10])
def test_versions(minor: int) -> None:
    """All versions from 1.2 on are served, also those to come."""
    connection = feed(request("CHECK", minor=minor), half_closes=False, step=99)
    assert isinstance(connection.next_event(), Check)


def test_just_within_limits() -> None:
    """A limit names what is still allowed."""
    head = b"CHECK SPAMC/1.5\r\nA: b\r\nB: c\r\nContent-length: 100\r\n\r\n"
    limits = Limits(head_bytes=len(head), headers=3, body_bytes=100, scan_bytes=10)
    connection = feed(head + b"x" * 100, half_closes=False, step=9, limits=limits)
    assert outcome(connection) == Check(Command.CHECK, b"x" * 10, 100, "")


@pytest.mark.parametrize("command", ["CHECK", "SYMBOLS", "REPORT", "REPORT_IFSPAM", "TELL"])
def test_only_the_head_is_kept(command: str) -> None:
    """A message that is not sent back is counted, but held only as far as it is looked at."""
    tell = ("Set: local", "Message-class: spam") if command == "TELL" else ()
    connection = SpamdConnection(Limits(scan_bytes=1000))
    connection.receive_data(request(command, *tell, body=b"a" * 5000))
    assert connection.held_bytes == 1000
    event = connection.next_event()
    assert isinstance(event, Check | Learn)
    assert event.head == b"a" * 1000
    assert isinstance(event, Learn) or event.size_bytes == 5000


def test_process_keeps_all() -> None:
    """PROCESS scans the head and sends everything back."""
    body = b"Subject: x\n\n" + b"a" * 5000
    connection = SpamdConnection(Limits(scan_bytes=100))
    connection.receive_data(request("PROCESS", body=body))
    event = connection.next_event()
    assert isinstance(event, Check)
    assert (event.head, event.size_bytes) == (body[:100], len(body))
    assert b"".join(connection.send(SCORED)).endswith(body)
    assert connection.held_bytes == 0


def test_large_process_is_not_copied() -> None:
    """50 MB through PROCESS take less than 100 MB, client's pieces included."""
    piece, pieces = b"x" * (64 << 10), 800
    tracemalloc.start()
    try:
        connection = SpamdConnection()
        length = 14 + len(piece) * pieces
        connection.receive_data(b"PROCESS SPAMC/1.5\r\nContent-length: %d\r\n\r\n" % length)
        connection.receive_data(b"Subject: big\n\n")
        for _ in range(pieces):
            connection.receive_data(bytes(bytearray(piece)))
        assert isinstance(connection.next_event(), Check)
        sent = sum(len(part) for part in connection.send(SCORED))
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert sent > length
    assert peak_bytes < 70_000_000


REPLIES = (Pong(), SCORED, Told(changed=True))


@every(sample for sample in SAMPLES if not isinstance(sample.expected, int))
def test_wrong_reply(sample: Sample) -> None:
    """A reply that does not answer the question is our own bug, and is said to be one."""
    right = {Check: Scored, Ping: Pong, Closed: None}.get(type(sample.expected), Told)
    for reply in REPLIES:
        connection = feed(sample.data, half_closes=sample.half_closes, step=99)
        connection.next_event()
        if type(reply) is right:
            assert connection.send(reply)
            assert connection.state is State.DONE
        with pytest.raises(LocalProtocolError):
            connection.send(reply)


@pytest.mark.parametrize("sent", [b"", b"CHECK", b"CHECK SPAMC/1.5\r\n", request("CHECK")[:-1]])
def test_refusal_at_any_time(sent: bytes) -> None:
    """We can give a client up while it still sends; what it sends then is dropped."""
    connection = feed(sent, half_closes=False, step=99)
    assert connection.send(Failed(Status.TIMEOUT, "too slow")) == [
        b"SPAMD/1.0 79 Timeout: too slow\r\n"
    ]
    connection.receive_data(request("CHECK"))
    connection.end_of_input()
    assert connection.next_event() is None
    with pytest.raises(LocalProtocolError):
        connection.send(Failed(Status.TIMEOUT, "again"))


def _in_state(state: State) -> SpamdConnection:
    fed = {
        State.REQUEST_LINE: b"",
        State.HEADERS: b"CHECK SPAMC/1.5\r\n",
        State.BODY: b"CHECK SPAMC/1.5\r\n\r\n",
        State.MUST_ANSWER: request("CHECK"),
        State.DONE: b"SKIP SPAMC/1.5\r\n",
        State.ERROR: b"?\r\n",
    }
    connection = feed(fed[state], half_closes=False, step=99)
    assert connection.state is state
    return connection


EXPECTED = {
    (State.REQUEST_LINE, b"CHECK SPAMC/1.5\n"): State.HEADERS,
    (State.REQUEST_LINE, b"PING SPAMC/1.5\n"): State.MUST_ANSWER,
    (State.REQUEST_LINE, b"SKIP SPAMC/1.5\n"): State.DONE,
    (State.REQUEST_LINE, b"?\n"): State.ERROR,
    (State.REQUEST_LINE, None): State.DONE,
    (State.HEADERS, b"User: a\n"): State.HEADERS,
    (State.HEADERS, b"\n"): State.BODY,
    (State.HEADERS, b"Content-length: 0\n\n"): State.MUST_ANSWER,
    (State.HEADERS, b"?\n"): State.ERROR,
    (State.HEADERS, None): State.ERROR,
    (State.BODY, b"anything\n"): State.BODY,
    (State.BODY, None): State.MUST_ANSWER,
    (State.MUST_ANSWER, b"anything\n"): State.MUST_ANSWER,
    (State.MUST_ANSWER, None): State.MUST_ANSWER,
    (State.DONE, b"anything\n"): State.DONE,
    (State.DONE, None): State.DONE,
    (State.ERROR, b"anything\n"): State.ERROR,
    (State.ERROR, None): State.ERROR,
}


@pytest.mark.parametrize(("state", "data"), EXPECTED)
def test_input_in_every_state(state: State, data: bytes | None) -> None:
    """Each kind of input in each state leads where the table of states says."""
    connection = _in_state(state)
    if data is None:
        connection.end_of_input()
    else:
        connection.receive_data(data)
    assert connection.state is EXPECTED[state, data]


@pytest.mark.parametrize(("state", "reply"), list(product(State, (SCORED, Failed(75, "no")))))
def test_replies_in_every_state(state: State, reply: Scored | Failed) -> None:
    """A reply is allowed where the table allows it, and nowhere else."""
    connection = _in_state(state)
    trigger = Trigger.ANSWER if reply is SCORED else Trigger.REFUSAL
    after = TRANSITIONS[state].get(trigger)
    if after is None:
        with pytest.raises(LocalProtocolError):
            connection.send(reply)
    else:
        connection.send(reply)
    assert connection.state is (after or state)


def test_table_is_whole() -> None:
    """Every state is in the table and can be reached, every trigger moves something."""
    assert set(TRANSITIONS) == set(State)
    reached = {after for row in TRANSITIONS.values() for after in row.values()}
    assert reached | {State.REQUEST_LINE} == set(State)
    assert {trigger for row in TRANSITIONS.values() for trigger in row} == set(Trigger)


FRAGMENTS = st.sampled_from(
    [command.encode() for command in Command]
    + [b" SPAMC/1.5", b" SPAMC/1.2", b"\r\n", b"\n", b"\r\n\r\n", b"\r", b": ", b"\0", b"\xff"]
    + [b"Content-length: 5", b"Content-length: 99999999999", b"Compress: zlib", b"User: a@b"]
    + [b"Message-class: spam", b"Set: local", b"Remove: local", MESSAGE, b"x\x9c", b"A" * 60]
)
INPUT = st.one_of(
    st.binary(max_size=300),
    st.lists(FRAGMENTS, max_size=12).map(b"".join),
    st.tuples(st.sampled_from(SAMPLES), st.binary(max_size=9), st.integers(0, 200)).map(
        lambda drawn: drawn[0].data[: drawn[2]] + drawn[1] + drawn[0].data[drawn[2] :]
    ),
)


@given(data=INPUT, cuts=st.lists(st.integers(1, 40), max_size=30), half_closes=st.booleans())
def test_any_input(data: bytes, cuts: list[int], half_closes: bool) -> None:
    """Any bytes in any pieces: an event or the remote error, bounded memory, same as in one."""
    pieces, rest = [], data
    for cut in cuts:
        pieces.append(rest[:cut])
        rest = rest[cut:]
    connection = SpamdConnection(SMALL)
    for piece in [*pieces, rest]:
        connection.receive_data(piece)
        assert connection.held_bytes <= max(SMALL.head_bytes, SMALL.body_bytes)
    if half_closes:
        connection.end_of_input()
    found = outcome(connection)
    assert found is None or isinstance(found, Event | int)
    assert found == outcome(feed(data, half_closes=half_closes, step=1000, limits=SMALL))


@given(data=st.one_of(st.binary(max_size=200), st.just(MESSAGE)))
def test_any_message_comes_back(data: bytes) -> None:
    """PROCESS never loses or changes a byte of a message without forged fields."""
    connection = feed(request("PROCESS", body=data), half_closes=False, step=64)
    assert isinstance(connection.next_event(), Check)
    head, _, sent = b"".join(connection.send(SCORED)).partition(b"\r\n\r\n")
    assert int(re.search(rb"Content-length: (\d+)", head)[1]) == len(sent)
    assert sent.endswith(data)


def test_docs_name_every_limit() -> None:
    """The reference lists each limit with its default."""
    text = DOCS.read_text("utf-8")
    for limit in fields(Limits):
        assert f"| `{limit.name}` | {limit.default:,} |" in text
