"""HTTP connections as bad clients make them, over real sockets."""

from __future__ import annotations

import json
import select
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.serving.clients import total
from tests.serving.fakes import SPAM, Running, running, wait_until

LIMITS = {
    "header_bytes": 4096,
    "message_bytes": 1_000_000,
    "head_seconds": 60,
    "body_seconds": 60,
    "idle_seconds": 60,
    "connections": 20,
}
CLIENT_SECONDS = 20  # whoever is let go within it is not let go because a time above is over
POST = b"POST /v1/check HTTP/1.1\r\nHost: localhost\r\n"
HEALTH = b"GET /v1/health HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("wire"), limits=LIMITS) as started:
        yield started
        assert started.check(SPAM).status_code == 200, "a bad client has harmed the server"
        assert "Traceback" not in started.log


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server that waits for a head so shortly that a pause of the machine may come between."""
    limits = LIMITS | {"head_seconds": 0.4}
    with running(tmp_path_factory.mktemp("hasty"), limits=limits) as started:
        yield started
        wait_until(lambda: answers(started))
        assert "Traceback" not in started.log


def answers(server: Running) -> bool:
    with suppress(httpx.HTTPError):
        return server.check(SPAM).status_code == 200
    return False


def connect(server: Running) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=CLIENT_SECONDS)


def read_all(client: socket.socket) -> bytes:
    found = b""
    while piece := client.recv(65536):
        found += piece
    return found


def read_answer(client: socket.socket) -> bytes:
    """Return one answer of a connection that stays open."""
    found = b""
    while b"\r\n\r\n" not in found:
        found += read_some(client)
    head, _, body = found.partition(b"\r\n\r\n")
    (length,) = [int(line[15:]) for line in head.split(b"\r\n") if line[:15] == b"content-length:"]
    while len(body) < length:
        body += read_some(client)
    return head + b"\r\n\r\n" + body


def read_some(client: socket.socket) -> bytes:
    piece = client.recv(65536)
    if not piece:
        raise ConnectionError("closed before the end of the answer")
    return piece


def exchange(server: Running, *pieces: bytes, half_close: bool = False) -> bytes:
    """Send pieces, and return all that comes back until the server closes."""
    with connect(server) as client:
        for piece in pieces:
            client.sendall(piece)
        if half_close:
            client.shutdown(socket.SHUT_WR)
        return read_all(client)


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def error_code(answer: bytes) -> str:
    return str(json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"])


@pytest.mark.parametrize(
    "garbage",
    [
        *(b"garbage\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\0" * 100),
        *(b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"CHECK SPAMC/1.5\r\n\r\n"),
        *(b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n", b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n"),
        POST + b"Content-Length: -1\r\n\r\n",
        POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        POST + b"Bad Header\r\n\r\n",
    ],
)
def test_garbage(server: Running, garbage: bytes):
    """Protects the server from what is not HTTP; the answer has the documented form."""
    answer = exchange(server, garbage)
    assert status(answer) in (400, 421)
    assert error_code(answer) in ("bad_request", "foreign_host")


def test_byte_by_byte(server: Running):
    """Protects meaning from framing: one byte at a time, same answer."""
    request = POST + b"Connection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(SPAM), SPAM)
    with connect(server) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in request:
            client.sendall(bytes([byte]))
        assert b'"junk"' in read_all(client)


def test_an_answer_is_one_write(server: Running):
    """Protects speed: head and body of an answer take one system call, and wake a client once."""
    with connect(server) as client:
        client.sendall(POST + b"Content-Length: %d\r\n\r\n%s" % (len(SPAM), SPAM))
        head, _, body = client.recv(65536).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200")
        assert json.loads(body)["action"] == "junk"


@pytest.mark.parametrize("chunked", [True, False])
def test_half_closed(server: Running, chunked: bool):
    """Protects clients such as `nc -N`, which close their half after asking, from waiting."""
    body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(SPAM), SPAM)
    request = POST + b"Transfer-Encoding: chunked\r\n\r\n" + body
    if not chunked:
        request = POST + b"Content-Length: %d\r\n\r\n%s" % (len(SPAM), SPAM)
    answer = exchange(server, request, half_close=True)
    assert status(answer) == 200
    assert b'"junk"' in answer


@pytest.mark.parametrize("sent", [b"", b"POST /v1", POST, POST + b"Content-Length: 9\r\n\r\nabc"])
def test_half_a_request(server: Running, sent: bytes):
    """Protects connections: a client that closes before it has asked is let go at once."""
    exchange(server, sent, half_close=True)


def test_pipelined_and_half_closed(server: Running):
    """Protects pipelining clients: every request is answered before the server closes."""
    one = POST + b"Content-Length: %d\r\n\r\n%s" % (len(SPAM), SPAM)
    answer = exchange(server, one * 5, half_close=True)
    assert answer.count(b"HTTP/1.1 200") == 5


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"x" * 6000,
        b"GET / HTTP/1.1\r\nHost: localhost\r\nA: " + b"x" * 6000,
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"A: b\r\n" * 1000,
        b"GET / HTTP/1.1\r\nHost: localhost\r\nA: " + b"x" * 6000 + b"\r\n\r\n",
    ],
)
def test_large_heads(server: Running, head: bytes):
    """Protects memory from endless request lines and headers."""
    answer = exchange(server, head)
    assert status(answer) == 431
    assert error_code(answer) == "headers_too_large"


def test_large_trailers(server: Running):
    """Protects memory from what follows a body, or stands between its chunks."""
    with connect(server) as client:
        head = b"Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n"
        client.sendall(POST + head)
        assert client.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"  # the head is through
        client.sendall(b"0\r\nTrailer: " + b"x" * 6000)
        assert status(read_all(client)) == 431


@pytest.mark.parametrize("sent", [b"", b"POST /v1/check HT", POST, b"\r\n"])
def test_slow_heads(hasty: Running, sent: bytes):
    """Protects connections from clients that never finish asking."""
    start = time.monotonic()
    with suppress(ConnectionError):  # it was over before it was sent
        assert exchange(hasty, sent) == b""
    assert time.monotonic() - start > 0.3


def _drip(client: socket.socket, data: bytes) -> None:
    for byte in data:
        client.sendall(bytes([byte]))
        time.sleep(0.05)


def test_drip(hasty: Running):
    """Protects connections from clients that send one byte now and then."""
    with connect(hasty) as client, pytest.raises(ConnectionError):
        _drip(client, POST + b"A: " + b"b" * 200)  # half a head, and the sooner it is over


def test_slow_bodies(tmp_path: Path):
    """Protects connections: a body that does not arrive is given up with 408."""
    with running(tmp_path, limits=LIMITS | {"body_seconds": 0.4, "idle_seconds": 1}) as server:
        answer = exchange(server, POST + b"Content-Length: 100\r\n\r\nabc")
    assert status(answer) == 408
    assert error_code(answer) == "slow_request"


def at_rest(server: Running) -> socket.socket:
    """Return a connection that has had an answer."""
    for _ in range(20):
        client = connect(server)
        with suppress(ConnectionError):  # a pause before it asked
            client.sendall(HEALTH)
            assert status(read_answer(client)) == 200
            return client
        client.close()
    pytest.fail("no client is served")


def test_idle_connections_are_closed(hasty: Running):
    """Protects connections: between requests a client may rest for a while, not for ever."""
    with at_rest(hasty) as client:
        time.sleep(0.6)  # longer than a head may take
        client.sendall(HEALTH)
        assert status(read_answer(client)) == 200
        client.sendall(b"\r\n")  # takes uvicorn's own idle timer away
        assert client.recv(1) == b""


def test_an_answer_before_the_body_survives(server: Running):
    """Protects the answer to a client that is still sending: it is not reset away."""
    with connect(server) as client:
        client.sendall(POST + b"Content-Length: 3000000\r\n\r\n")
        assert select.select([client], [], [], CLIENT_SECONDS)[0]  # the answer is there
        for _ in range(30):
            client.sendall(b"x" * 100_000)
        answer = read_all(client)
    assert status(answer) == 413
    assert error_code(answer) == "too_large"


def test_expect_continue(server: Running):
    """Protects curl's way: it asks before it sends, and is told to go on, or is refused."""
    with connect(server) as client:
        client.sendall(POST + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(SPAM))
        assert client.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(SPAM)
        assert status(read_answer(client)) == 200
    with connect(server) as client:
        client.sendall(POST + b"Expect: 100-continue\r\nContent-Length: 99999999\r\n\r\n")
        assert status(read_answer(client)) == 413


def test_many_connections(server: Running):
    """Protects the process: too many are told so, far too many are dropped; then all is well."""
    wait_until(lambda: total(server, "winnow_connections") <= 1)
    crowd: list[socket.socket] = []
    try:
        statuses = []
        crowd.extend(connect(server) for _ in range(60))
        for client in crowd[20:]:
            try:
                client.sendall(HEALTH)
                answer = client.recv(65536)
            except ConnectionError:
                answer = b""
            statuses.append(status(answer) if answer else 0)
        assert set(statuses) == {0, 503}
        assert statuses.count(503) >= 15
    finally:
        for client in crowd:
            client.close()
    wait_until(lambda: answers(server))
