"""Grammar of a spamd request head: the request line and the header lines.

spamd 4.0 is the reference, as there is no RFC. We are stricter where it guesses (a TELL without a
class is ham there) and looser where clients differ (header names in any case, bare LF).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

from winnow.errors import RemoteProtocolError
from winnow.protocols.spamd_events import Command, Status

# "CHECK SPAMC/1.5"; 1.0 and 1.1 framed their messages in another way and have died out.
_REQUEST_LINE = re.compile(rb"([A-Z_]{1,16}) SPAMC/1\.([2-9]|[1-9][0-9])[ \t]*")
# A token and a value without control bytes, as spamd asks of User.
_HEADER = re.compile(rb"([!-9;-~]{1,64})[ \t]*:[ \t]*([\t\x20-\x7e\x80-\xff]*)")
_LENGTH = re.compile(r"[0-9]{1,15}")


@dataclass(slots=True)
class RequestHead:
    """What the client sent before its message; filled line by line.

    Attributes:
        command: what it wants.
        minor: N of its version 1.N.
        headers: lower-cased names and stripped values; the first of a name counts.
    """

    command: Command
    minor: int
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def user(self) -> str:
        """On whose behalf the message is scanned, or ""."""
        return self.headers.get("user", "")

    @property
    def length(self) -> int | None:
        """Bytes of the message on the wire; None means all until the client half-closes.

        Raises:
            RemoteProtocolError: Content-length is not a number.
        """
        value = self.headers.get("content-length")
        if value is None:
            return None
        if not _LENGTH.fullmatch(value):
            raise _bad("Content-length is not a number")
        return int(value)

    @property
    def compressed(self) -> bool:
        """Whether the message is a zlib stream.

        Raises:
            RemoteProtocolError: the message is compressed in another way.
        """
        value = self.headers.get("compress", "").lower()
        if value not in ("", "zlib"):
            raise RemoteProtocolError("Compress knows only zlib", status=Status.UNAVAILABLE)
        return value == "zlib"

    @property
    def correction(self) -> Literal["spam", "ham", "forget"]:
        """What a TELL asks for.

        Raises:
            RemoteProtocolError: it asks for nothing, for both, or for a remote database only.
        """
        learn, forget = self._local("set"), self._local("remove")
        if learn and forget:
            raise _bad("Set and Remove local in one request")
        if forget:
            return "forget"
        if not learn:
            raise RemoteProtocolError(
                "TELL needs Set: local or Remove: local; there is no remote database here",
                status=Status.UNAVAILABLE,
            )
        match self.headers.get("message-class", "").lower():
            case "spam":
                return "spam"
            case "ham":
                return "ham"
            case _:
                raise _bad("Message-class must be spam or ham")

    def _local(self, name: str) -> bool:
        return "local" in re.split(r"[,\s]+", self.headers.get(name, "").lower())


def parse_request_line(line: bytes) -> RequestHead:
    """Read a request line without its line end.

    Raises:
        RemoteProtocolError: not a request, an unknown command, or a version before 1.2.
    """
    match = _REQUEST_LINE.fullmatch(line)
    if not match:
        raise _bad("expected COMMAND SPAMC/1.2 or later")
    try:
        command = Command(match[1].decode("ascii"))
    except ValueError:
        raise _bad("unknown command") from None
    return RequestHead(command, int(match[2]))


def add_header(head: RequestHead, line: bytes) -> None:
    """Read a header line without its line end into a head.

    Raises:
        RemoteProtocolError: not "Name: value", or two lengths that differ.
    """
    match = _HEADER.fullmatch(line)
    if not match:
        raise _bad("header not in Name: value format")
    name = match[1].decode("ascii").lower()
    value = match[2].decode("utf-8", "replace").strip()
    known = head.headers.setdefault(name, value)
    if name == "content-length" and known != value:
        # Two readers of one stream must not disagree about where the message ends.
        raise _bad("two Content-length headers that differ")


def _bad(reason: str) -> RemoteProtocolError:
    return RemoteProtocolError(reason, status=Status.PROTOCOL)
