from __future__ import annotations

import pytest

from winnow.errors import RemoteProtocolError
from winnow.protocols.spamd_events import Command
from winnow.protocols.spamd_request import RequestHead, add_header, parse_request_line


def head_with(*lines: bytes) -> RequestHead:
    """Return a TELL with header lines."""
    head = parse_request_line(b"TELL SPAMC/1.5")
    for line in lines:
        add_header(head, line)
    return head


def test_request_line() -> None:
    """A request line gives the command and the minor version; blanks at its end are let pass."""
    head = parse_request_line(b"REPORT_IFSPAM SPAMC/1.12 \t")
    assert (head.command, head.minor) == (Command.REPORT_IFSPAM, 12)


@pytest.mark.parametrize(
    "line",
    [
        b"", b"CHECK", b" CHECK SPAMC/1.5", b"CHECK  SPAMC/1.5", b"CHECK SPAMC/1.5x",
        b"CHECK SPAMC/1", b"CHECK SPAMC/1.0", b"CHECK SPAMC/1.1", b"CHECK SPAMC/1.05",
        b"CHECK SPAMC/1.5\r",
    ],
)  # fmt: skip
def test_no_request_line(line: bytes) -> None:
    """Anything else is refused; 1.0 and 1.1 had another framing."""
    with pytest.raises(RemoteProtocolError) as caught:
        parse_request_line(line)
    assert caught.value.status == 76


@pytest.mark.parametrize("name", [b"User", b"user", b"USER", b"uSeR "])
def test_names_in_any_case(name: bytes) -> None:
    """Header names count in any case, as clients spell them differently."""
    assert head_with(name + b": J\xc3\xbcrgen ").user == "Jürgen"


def test_first_header_counts() -> None:
    """A header that comes twice cannot change what the first one said."""
    assert head_with(b"User: a", b"User: b").user == "a"


def test_equal_lengths_are_one() -> None:
    """Two lengths that agree are no reason to refuse."""
    assert head_with(b"Content-length: 7", b"content-length: 7").length == 7


def test_no_length() -> None:
    """Without a length the message ends where the client half-closes."""
    assert head_with().length is None


@pytest.mark.parametrize("value", [b"", b"+1", b"1.5", b"0x1", b"1 2", b"\xb2", b"9" * 16])
def test_bad_length(value: bytes) -> None:
    """A length is digits, and not so many that the number could hurt."""
    head = head_with(b"Content-length: " + value)
    with pytest.raises(RemoteProtocolError, match="not a number"):
        _ = head.length


def test_compress() -> None:
    """Of compressions there is zlib alone; another one is said to be unavailable."""
    assert not head_with().compressed
    assert head_with(b"Compress: ZLIB").compressed
    with pytest.raises(RemoteProtocolError, match="zlib") as caught:
        _ = head_with(b"Compress: gzip").compressed
    assert caught.value.status == 69


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ((b"Message-class: spam", b"Set: local"), "spam"),
        ((b"Message-class: Ham", b"Set: local,remote"), "ham"),
        ((b"Message-class: ham", b"Set: local", b"Remove: remote"), "ham"),
        ((b"Remove: local",), "forget"),
        ((b"Message-class: spam", b"Remove: remote , local"), "forget"),
    ],
)
def test_correction(lines: tuple[bytes, ...], expected: str) -> None:
    """What spamc -L and -C send is read as what the user meant for the local database."""
    assert head_with(*lines).correction == expected


def test_no_guess_at_a_class() -> None:
    """A TELL without a class is refused; spamd would learn it as ham."""
    with pytest.raises(RemoteProtocolError, match="Message-class"):
        _ = head_with(b"Set: local").correction


def test_localhost_is_not_local() -> None:
    """Only the word counts, not a part of another one."""
    with pytest.raises(RemoteProtocolError, match="remote"):
        _ = head_with(b"Message-class: spam", b"Set: localhost").correction
