"""Server side of the spamd protocol, SPAMC/1.2 to 1.5, without I/O: one request, one reply.

    connection = SpamdConnection()
    connection.receive_data(data)       # or end_of_input(); never raises
    event = connection.next_event()     # an event, or None: feed more
    pieces = connection.send(reply)     # bytes for the client; then close

Rule 1: where a request stands is in `State`, and changes by `TRANSITIONS` only.
Rule 2: input is parsed as it comes, so that what is held is bounded by `Limits` at all times.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from winnow.errors import LocalProtocolError, RemoteProtocolError
from winnow.protocols.spamd_body import Body
from winnow.protocols.spamd_events import (
    ECHOING,
    Check,
    Closed,
    Command,
    Event,
    Failed,
    Forget,
    Learn,
    Ping,
    Pong,
    Reply,
    Scored,
    Status,
    Told,
)
from winnow.protocols.spamd_reply import (
    Piece,
    failed_reply,
    pong_reply,
    scored_reply,
    told_reply,
)
from winnow.protocols.spamd_request import RequestHead, add_header, parse_request_line

__all__ = ["TRANSITIONS", "Limits", "SpamdConnection", "State", "Trigger"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much of a request is taken.

    Attributes:
        head_bytes: request line and headers; spamc itself never sends more than 8 KiB.
        headers: header lines; spamd's own limit.
        body_bytes: message, inflated; a longer one is refused. spamc sends 500 KB unless told.
        scan_bytes: head of the message that is kept for the verdict. PROCESS and HEADERS keep all
            of it, as they send it back.
    """

    head_bytes: int = 16 << 10
    headers: int = 255
    body_bytes: int = 64 << 20
    scan_bytes: int = 1 << 20


class State(Enum):
    """Where a request stands."""

    REQUEST_LINE = auto()
    HEADERS = auto()
    BODY = auto()
    MUST_ANSWER = auto()
    DONE = auto()
    ERROR = auto()


class Trigger(Enum):
    """What moves a request on."""

    COMMAND = auto()  # a request line of a command with a message
    PING = auto()
    NOTHING = auto()  # SKIP, or the end of input before the first byte
    BLANK_LINE = auto()
    MESSAGE = auto()  # its last byte
    FAULT = auto()  # the client broke the protocol
    ANSWER = auto()  # we sent a reply other than `Failed`
    REFUSAL = auto()  # we sent `Failed`


TRANSITIONS: dict[State, dict[Trigger, State]] = {
    State.REQUEST_LINE: {
        Trigger.COMMAND: State.HEADERS,
        Trigger.PING: State.MUST_ANSWER,
        Trigger.NOTHING: State.DONE,
        Trigger.FAULT: State.ERROR,
        Trigger.REFUSAL: State.DONE,
    },
    State.HEADERS: {
        Trigger.BLANK_LINE: State.BODY,
        Trigger.FAULT: State.ERROR,
        Trigger.REFUSAL: State.DONE,
    },
    State.BODY: {
        Trigger.MESSAGE: State.MUST_ANSWER,
        Trigger.FAULT: State.ERROR,
        Trigger.REFUSAL: State.DONE,
    },
    State.MUST_ANSWER: {Trigger.ANSWER: State.DONE, Trigger.REFUSAL: State.DONE},
    State.DONE: {},
    State.ERROR: {Trigger.REFUSAL: State.ERROR},
}

_ANSWERS: dict[type[Event | None], type[Reply]] = {
    Ping: Pong,
    Check: Scored,
    Learn: Told,
    Forget: Told,
}


class SpamdConnection:
    """One connection of a client.

    Args:
        limits: how much to take; beyond it the client gets a `RemoteProtocolError`.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._state = State.REQUEST_LINE
        self._input = bytearray()  # the head so far
        self._head_bytes = 0  # of it, parsed
        self._searched = 0  # of it, parsed or without a line end
        self._header_lines = 0
        self._head: RequestHead | None = None
        self._body: Body | None = None
        self._asked: Event | None = None
        self._unread: Event | None = None
        self._error: RemoteProtocolError | None = None

    @property
    def state(self) -> State:
        """Where the request stands."""
        return self._state

    @property
    def held_bytes(self) -> int:
        """Bytes of the client that are held in memory."""
        return len(self._input) + (len(self._body.kept) if self._body else 0)

    def receive_data(self, data: bytes) -> None:
        """Take what the client sent, in pieces of any size. What follows a request is dropped.

        Raises:
            Nothing: `next_event` says what was wrong.
        """
        try:
            if self._state is State.BODY:
                self._feed(data)
            elif self._state in (State.REQUEST_LINE, State.HEADERS):
                self._input += data
                self._read_head()
        except RemoteProtocolError as error:
            self._fault(error)

    def end_of_input(self) -> None:
        """Take the client's half-close, or the loss of the connection. Raises nothing."""
        try:
            match self._state:
                case State.REQUEST_LINE if not self._input:
                    self._move(Trigger.NOTHING, Closed())
                case State.REQUEST_LINE | State.HEADERS:
                    raise RemoteProtocolError("EOF during headers", status=Status.PROTOCOL)
                case State.BODY:
                    assert self._body
                    self._body.end()
                    self._message_read(self._body)
        except RemoteProtocolError as error:
            self._fault(error)

    def next_event(self) -> Event | None:
        """Return what the client wants, once; None when it has not said all of it yet.

        Raises:
            RemoteProtocolError: the client broke the protocol; raised again on every call. Its
                `status` is for `Failed`. Any other exception is a bug.
        """
        if self._error:
            raise self._error
        event, self._unread = self._unread, None
        return event

    def send(self, reply: Reply) -> list[Piece]:
        """Return the bytes of a reply, in pieces so that a message is not copied.

        Args:
            reply: what the event asks for, or `Failed`, which is allowed at any time before.

        Raises:
            LocalProtocolError: not what the event asks for, or a second reply.
        """
        if isinstance(reply, Failed):
            self._move(Trigger.REFUSAL)
            self._input, self._body = bytearray(), None
            return [failed_reply(reply)]
        asked = self._asked
        if self._state is not State.MUST_ANSWER or not isinstance(reply, _ANSWERS[type(asked)]):
            raise LocalProtocolError(f"{type(reply).__name__} does not answer {type(asked)}")
        pieces = self._render(reply, asked)
        self._move(Trigger.ANSWER)
        self._body = None
        return pieces

    def _render(self, reply: Scored | Told | Pong, asked: Event | None) -> list[Piece]:
        match reply:
            case Scored():
                assert self._head
                assert self._body
                message = self._body.kept
                return scored_reply(reply, self._head.command, self._head.minor, message)
            case Told(changed=changed):
                done = "DidSet" if isinstance(asked, Learn) else "DidRemove"
                return [told_reply(done=done if changed else "")]
            case Pong():
                return [pong_reply()]

    def _read_head(self) -> None:
        while self._state in (State.REQUEST_LINE, State.HEADERS):
            line = self._next_line()
            if line is None:
                return
            if self._state is State.REQUEST_LINE:
                self._on_request_line(line)
            else:
                self._on_header_line(line)
        rest, self._input = self._input, bytearray()
        if self._state is State.BODY:
            self._feed(memoryview(rest)[self._head_bytes :])

    def _next_line(self) -> bytes | None:
        """Take a line off the input, without its CRLF or LF."""
        start = self._head_bytes
        newline = self._input.find(b"\n", self._searched)
        taken = newline + 1 if newline >= 0 else len(self._input)
        self._searched = taken
        if taken > self._limits.head_bytes:
            raise RemoteProtocolError(
                f"request head larger than {self._limits.head_bytes} bytes", status=Status.PROTOCOL
            )
        if newline < 0:
            return None
        self._head_bytes = taken
        return bytes(self._input[start:newline]).removesuffix(b"\r")

    def _on_request_line(self, line: bytes) -> None:
        self._head = parse_request_line(line)
        match self._head.command:
            case Command.PING:
                # At once, as spamd does: before 1.5 no blank line follows.
                self._move(Trigger.PING, Ping())
            case Command.SKIP:
                self._move(Trigger.NOTHING, Closed())
            case _:
                self._move(Trigger.COMMAND)

    def _on_header_line(self, line: bytes) -> None:
        assert self._head
        if line:
            self._header_lines += 1
            if self._header_lines > self._limits.headers:
                raise RemoteProtocolError("too many headers", status=Status.PROTOCOL)
            add_header(self._head, line)
            return
        echoing = self._head.command in ECHOING
        if self._head.command is Command.TELL:
            _ = self._head.correction  # refused before the message comes, not after
        self._body = Body(
            length=self._head.length,
            keep_bytes=self._limits.body_bytes if echoing else self._limits.scan_bytes,
            limit_bytes=self._limits.body_bytes,
            compressed=self._head.compressed,
        )
        self._move(Trigger.BLANK_LINE)

    def _feed(self, data: bytes | memoryview) -> None:
        assert self._body
        self._body.feed(data)
        if self._body.complete:
            self._message_read(self._body)

    def _message_read(self, body: Body) -> None:
        assert self._head
        head, user = bytes(memoryview(body.kept)[: self._limits.scan_bytes]), self._head.user
        event: Event
        if self._head.command is not Command.TELL:
            event = Check(self._head.command, head, body.size_bytes, user)
        elif (what := self._head.correction) == "forget":
            event = Forget(head, user)
        else:
            event = Learn(what, head, user)
        self._move(Trigger.MESSAGE, event)

    def _move(self, trigger: Trigger, event: Event | None = None) -> None:
        after = TRANSITIONS[self._state].get(trigger)
        if after is None:
            raise LocalProtocolError(f"{trigger.name} in state {self._state.name}")
        self._state = after
        if event:
            self._asked = self._unread = event

    def _fault(self, error: RemoteProtocolError) -> None:
        self._move(Trigger.FAULT)
        self._error = error
        self._input, self._body = bytearray(), None
