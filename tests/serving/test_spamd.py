"""The spamd door over real sockets, with a small engine behind it and real `spamc` before it."""

from __future__ import annotations

import asyncio
import gc
import re
import select
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import fields
from pathlib import Path

import pytest

from tests.serving.fakes import pass_time, settle, until
from tests.serving.spamd_peers import (
    HANG_SECONDS,
    IDLE_SECONDS,
    REQUEST_SECONDS,
    SPAM,
    FakeEngine,
    FullListener,
    exchange,
    in_flight,
    request,
    serve,
    spamc,
)
from winnow.errors import StoreError
from winnow.protocols.spamd import Limits
from winnow.serving import spamd
from winnow.serving.spamd import DoorLimits, SpamdDoor
from winnow.verdict import Envelope, Label

DOCS = Path(__file__).resolve().parents[2] / "docs/reference/spamd.md"
HAM = b"From: a@b.test\r\nX-Spam-Flag: YES\r\nSubject: y\r\n\r\nlunch at one?\r\n"
TEMPFAIL = b"SPAMD/1.0 75 Temporary Failure: "

needs_spamc = pytest.mark.skipif(not shutil.which("spamc"), reason="spamc is not installed")


# Answers.


@pytest.mark.parametrize("half_close", [True, False])
def test_verdict(half_close: bool) -> None:
    """A client gets its verdict and the end, whether it half-closes or not."""

    async def scenario(door: SpamdDoor, port: int) -> None:
        spam = await exchange(port, request("CHECK"), half_close=half_close)
        assert spam == b"SPAMD/1.1 0 EX_OK\r\nSpam: True ; 7.9 / 5.0\r\n\r\n"
        ham = await exchange(port, request("CHECK", body=HAM), half_close=half_close)
        assert ham == b"SPAMD/1.1 0 EX_OK\r\nSpam: False ; -8.9 / 5.0\r\n\r\n"
        assert await exchange(port, b"PING SPAMC/1.2\r\n", half_close=half_close) == (
            b"SPAMD/1.5 0 PONG\r\n"
        )
        assert await exchange(port, b"SKIP SPAMC/1.2\r\n", half_close=half_close) == b""

    assert serve(scenario).failures == []


def test_byte_by_byte() -> None:
    """A request that dribbles in is the same request."""

    async def scenario(door: SpamdDoor, port: int) -> None:
        pieces = [bytes([byte]) for byte in request("CHECK")]
        assert b"Spam: True" in await exchange(port, *pieces, pause=0.0005, half_close=False)
        slow = [request("CHECK")[:9], request("CHECK")[9:60], request("CHECK")[60:]]
        assert b"Spam: True" in await exchange(port, *slow, pause=0.02)

    serve(scenario)


def test_what_the_engine_is_asked() -> None:
    """The engine gets the head, the true size, the recipient, and a wish for reasons if shown."""

    async def scenario(door: SpamdDoor, port: int) -> None:
        await exchange(port, request("CHECK", "User: nobody", body=b"a" * 50))
        await exchange(port, request("REPORT", "User: bob@b.test", body=b"a" * 50))

    engine = serve(scenario, limits=Limits(scan_bytes=20))
    assert engine.asked == [
        (b"a" * 20, Envelope(), 50, False),
        (b"a" * 20, Envelope(recipients=("bob@b.test",)), 50, True),
    ]


def test_corrections() -> None:
    """A TELL teaches once; the second one says that nothing was done."""

    async def scenario(door: SpamdDoor, port: int) -> None:
        spam = request("TELL", "Message-class: spam", "Set: local", "User: bob")
        ham = request("TELL", "Message-class: ham", "Set: local")
        forget = request("TELL", "Remove: local")
        did = [await exchange(port, r) for r in (spam, spam, ham, forget, forget)]
        assert [re.findall(b"Did[a-zA-Z]*", reply) for reply in did] == [
            [b"DidSet"], [], [b"DidSet"], [b"DidRemove"], [],
        ]  # fmt: skip

    engine = serve(scenario)
    assert engine.asked[0] == (SPAM, Label.SPAM, "spamd bob")
    assert engine.asked[2] == (SPAM, Label.HAM, "spamd")


def test_unix_socket(tmp_path: Path) -> None:
    """The door also serves a Unix socket, as spamc -U speaks it."""

    async def body() -> None:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(tmp_path / "s"))
        door = SpamdDoor(FakeEngine())
        door.start(listener)
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / "s"))
        writer.write(request("CHECK"))
        assert b"Spam: True" in await reader.read()
        writer.close()
        await writer.wait_closed()
        await door.stop()

    asyncio.run(body())


@pytest.mark.parametrize("clients", [1, 50])
def test_large_messages_to_slow_readers(clients: int) -> None:
    """A large message comes back whole to clients that take their time, all at the same time."""
    body = b"Subject: big\n\n" + b"0123456789abcdef" * (4 << 10) * (200 // clients)

    async def scenario(door: SpamdDoor, port: int) -> None:
        async def client() -> None:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1000)
            writer.write(request("PROCESS", body=body))
            await writer.drain()
            await asyncio.sleep(0.05)
            assert (await reader.read()).endswith(body)
            writer.close()
            await writer.wait_closed()

        await asyncio.gather(*(client() for _ in range(clients)))

    serve(scenario)


def test_the_end_of_a_large_message_that_needs_no_thread() -> None:
    """A message whose beginning is answered at once still comes back whole to a slow reader."""
    body = b"Subject: big\n\n" + b"0123456789abcdef" * (1 << 20)

    async def scenario(door: SpamdDoor, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1000)
        writer.write(request("PROCESS", body=body))
        await writer.drain()
        await asyncio.sleep(0.05)
        assert (await reader.read()).endswith(body)
        writer.close()
        await writer.wait_closed()

    engine = serve(scenario, limits=Limits(scan_bytes=100))
    assert len(engine.asked[0][0]) == 100


def test_small_messages_need_no_task(monkeypatch: pytest.MonkeyPatch) -> None:
    """The usual request is answered in one go: what it would cost to wait is half its cost."""

    async def scenario(door: SpamdDoor, port: int) -> None:
        loop = asyncio.get_running_loop()
        with socket.create_connection(("127.0.0.1", port), timeout=HANG_SECONDS) as client:
            client.sendall(request("CHECK"))
            with monkeypatch.context() as patch:
                patch.setattr(loop, "create_task", None)
                patch.setattr(loop, "call_at", None)
                while not select.select([client], [], [], 0)[0]:
                    await asyncio.sleep(0)
            assert b"Spam: True" in client.recv(1000)

    serve(scenario)


# Failures: each line of the table in docs/reference/spamd.md.


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        (TimeoutError(), b"no answer in time"),
        (StoreError("database is locked"), b"database is locked"),
        (RuntimeError("secret"), b"internal error"),
    ],
)
@pytest.mark.parametrize("command", ["CHECK", "PROCESS", "TELL"])
def test_no_verdict(trouble: Exception, said: bytes, command: str) -> None:
    """An engine without an answer is a temporary failure, at once, and never a verdict."""
    tell = ("Set: local", "Message-class: spam") if command == "TELL" else ()

    async def scenario(door: SpamdDoor, port: int) -> None:
        assert await exchange(port, request(command, *tell)) == TEMPFAIL + said + b"\r\n"
        door.engine.trouble = None  # type: ignore[attr-defined]
        assert b"EX_OK" in await exchange(port, request(command, *tell))

    engine = serve(scenario, FakeEngine(trouble))
    assert engine.failures == (["internal"] if isinstance(trouble, RuntimeError) else [])


def test_bug_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A bug of ours leaves its traceback in the log."""

    async def scenario(door: SpamdDoor, port: int) -> None:
        await exchange(port, request("CHECK"))

    serve(scenario, FakeEngine(RuntimeError("deep inside")))
    assert "deep inside" in caplog.text


def test_answer_too_late() -> None:
    """A request has a time in all; a check that is too late is stopped, a correction is not."""
    answer = asyncio.Event()
    engine = FakeEngine(answer)

    async def scenario(door: SpamdDoor, port: int) -> None:
        replies = asyncio.gather(
            exchange(port, request("CHECK")),
            exchange(port, request("TELL", "Set: local", "Message-class: spam")),
        )
        await until(lambda: len(engine.asked) == 2)
        pass_time(IDLE_SECONDS + 1)  # it is not the client who is silent
        await settle()
        assert not replies.done()
        pass_time(REQUEST_SECONDS - IDLE_SECONDS)
        assert list(await replies) == [TEMPFAIL + b"no answer in time\r\n"] * 2
        answer.set()

    serve(scenario, engine)
    assert engine.failures == ["deadline"] * 2
    assert engine.taught == {SPAM: Label.SPAM}


@pytest.mark.parametrize("sent", [b"CHE", b"CHECK SPAMC/1.5\r\n", request("CHECK")[:-1]])
def test_client_falls_silent(sent: bytes) -> None:
    """A client that stops in the middle is told so and let go."""

    async def scenario(door: SpamdDoor, port: int) -> None:
        reply = asyncio.ensure_future(exchange(port, sent, half_close=False))
        await until(lambda: in_flight(door))
        pass_time(IDLE_SECONDS + 1)
        assert await reply == b"SPAMD/1.0 79 Timeout: request not complete in time\r\n"

    assert serve(scenario).failures == ["slow"]


def test_client_says_nothing() -> None:
    """A client that only connects is let go without a word, and is no failure."""

    async def scenario(door: SpamdDoor, port: int) -> None:
        reply = asyncio.ensure_future(exchange(port, half_close=False))
        await until(lambda: door.open_connections)
        pass_time(IDLE_SECONDS + 1)
        assert await reply == b""
        assert await exchange(port, half_close=True) == b""

    assert serve(scenario).failures == []


def test_client_drips() -> None:
    """A byte now and then keeps no connection beyond the time for a request."""

    async def drip(door: SpamdDoor, writer: asyncio.StreamWriter) -> None:
        held = door._held_bytes
        writer.write(b"x")
        await until(lambda: door._held_bytes > held)

    async def scenario(door: SpamdDoor, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        reply = asyncio.ensure_future(reader.read())
        writer.write(request("CHECK", length=999))
        await until(lambda: door._held_bytes)
        passed = 0.0
        while not reply.done():
            await drip(door, writer)
            pass_time(IDLE_SECONDS / 2)
            passed += IDLE_SECONDS / 2
            await settle()
        assert b"not complete in time" in reply.result()
        assert passed == REQUEST_SECONDS
        writer.transport.abort()

    assert serve(scenario).failures == ["slow"]


@pytest.mark.parametrize(
    ("sent", "status", "kind"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"76", "malformed"),
        (b"CHECK SPAMC/1.5\r\nContent-length: 9\r\n\r\nfoo", b"76", "malformed"),
        (request("CHECK", length=10**9), b"65", "too_large"),
        (b"CHECK SPAMC/1.5\r\n\r\n" + b"x" * 3_000_000, b"65", "too_large"),
    ],
)
def test_refusal_arrives(sent: bytes, status: bytes, kind: str) -> None:
    """The client learns why, even when it goes on sending: no reset overtakes the reply."""

    async def scenario(door: SpamdDoor, port: int) -> None:
        reply = await exchange(port, sent)
        assert re.fullmatch(rb"SPAMD/1\.0 %b [^\r\n]*\r\n" % status, reply)

    assert serve(scenario, limits=Limits(body_bytes=1_000_000)).failures == [kind]


def test_too_many_connections() -> None:
    """One connection too many is told so at once; when one leaves, the next is served."""

    async def scenario(door: SpamdDoor, port: int) -> None:
        held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        await until(lambda: door.open_connections == 2)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await reader.read() == TEMPFAIL + b"too many connections\r\n"
        for _, each in [(reader, writer), *held]:
            each.close()
            await each.wait_closed()
        await until(lambda: not door.open_connections)
        assert b"Spam: True" in await exchange(port, request("CHECK"))

    assert serve(scenario, connections=2).failures == ["busy"]


def test_too_much_mail_at_once() -> None:
    """Messages being received share a bound, and give their part back when they are answered."""
    large = request("PROCESS", body=b"x" * 600_000)

    async def scenario(door: SpamdDoor, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(large[:-1])
        await writer.drain()
        await until(lambda: door._held_bytes > 500_000)
        assert await exchange(port, large) == TEMPFAIL + b"too much mail at once\r\n"
        writer.write(large[-1:])
        assert b"EX_OK" in await reader.read()
        writer.close()
        await writer.wait_closed()
        for _ in range(5):
            assert b"EX_OK" in await exchange(port, large)

    assert serve(scenario, held_bytes=1_000_000).failures == ["busy"]


def test_client_leaves_without_its_reply(caplog: pytest.LogCaptureFixture) -> None:
    """Clients that reset at any point cost nothing and are not heard of."""

    async def scenario(door: SpamdDoor, port: int) -> None:
        big = request("PROCESS", body=b"x" * 8_000_000)
        for sent in (b"", b"CHECK", request("CHECK")[:-1], request("CHECK"), big):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            reset = b"\1\0\0\0\0\0\0\0"  # SO_LINGER on, 0 s: close() is a reset
            client = writer.get_extra_info("socket")
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
            writer.write(sent)
            await writer.drain()
            await asyncio.sleep(0.02)
            writer.transport.abort()
        await until(lambda: not door.open_connections)

    assert serve(scenario, FakeEngine(0.05)).failures == []
    gc.collect()  # a task that failed unheard says so when it is collected
    assert caplog.text == ""


def test_client_does_not_read() -> None:
    """A client that never takes its reply is dropped when its time is over."""

    async def scenario(door: SpamdDoor, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=100)
        writer.write(request("PROCESS", body=b"x" * 12_000_000))
        await writer.drain()
        assert await reader.read(1) == b"S"  # the rest of it waits
        pass_time(REQUEST_SECONDS / 2)
        await settle()
        assert door.open_connections == 1
        pass_time(REQUEST_SECONDS / 2)
        await until(lambda: not door.open_connections)
        writer.transport.abort()

    serve(scenario)


def test_no_descriptor_left(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Without descriptors the door waits a little and goes on; it neither spins nor dies."""
    monkeypatch.setattr(spamd, "_ACCEPT_PAUSE_SECONDS", 0.1)

    async def body() -> None:
        listener = FullListener()
        listener.bind(("127.0.0.1", 0))
        door = SpamdDoor(FakeEngine())
        port = listener.getsockname()[1]
        door.start(listener)
        assert b"Spam: True" in await exchange(port, request("CHECK"))
        assert listener.refusals == 1
        await door.stop()

    asyncio.run(body())
    assert caplog.text.count("event=accept_failed") == 1


# The end.


def test_stop_finishes_what_is_in_flight() -> None:
    """A stop takes no new client, waits for answers and for messages still coming in."""
    answer = asyncio.Event()

    async def scenario(door: SpamdDoor, port: int) -> None:
        checks = [asyncio.ensure_future(exchange(port, request("CHECK"))) for _ in range(3)]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request("CHECK")[:-1])
        await until(lambda: in_flight(door) == 4)
        stopped = asyncio.ensure_future(door.stop(grace_seconds=REQUEST_SECONDS))
        await settle()
        pass_time(1)  # the silent are not waited for any more
        await settle()
        assert in_flight(door) == 4
        writer.write(request("CHECK")[-1:])
        answer.set()
        replies = await asyncio.gather(*checks, reader.read())
        assert all(b"Spam: True" in reply for reply in replies)
        await stopped
        writer.close()
        await writer.wait_closed()
        with pytest.raises(ConnectionRefusedError):
            await exchange(port, request("CHECK"))

    assert serve(scenario, FakeEngine(answer), linger_seconds=0.05).failures == []


def test_stop_has_a_deadline() -> None:
    """What is not done when the grace is over is told so; the silent are not waited for."""

    async def scenario(door: SpamdDoor, port: int) -> None:
        stuck = asyncio.ensure_future(exchange(port, request("CHECK")))
        silent = asyncio.ensure_future(exchange(port, half_close=False))
        await until(lambda: in_flight(door) == 1 and door.open_connections == 2)
        stopped = asyncio.ensure_future(door.stop(grace_seconds=30))
        await settle()
        pass_time(IDLE_SECONDS / 2)  # the time to linger
        assert await silent == b""
        assert not stuck.done()
        pass_time(30)
        assert await stuck == TEMPFAIL + b"no answer in time\r\n"
        await stopped

    engine = FakeEngine(asyncio.Event())
    serve(scenario, engine, linger_seconds=IDLE_SECONDS / 2, request_seconds=2 * HANG_SECONDS)


def test_stop_at_rest_is_at_once() -> None:
    """Nothing to do, nothing to wait for."""

    async def scenario(door: SpamdDoor, port: int) -> None:
        await exchange(port, request("CHECK"))
        await asyncio.wait_for(door.stop(grace_seconds=1000), 10)

    serve(scenario, linger_seconds=60.0)


# Real spamc.


@needs_spamc
@pytest.mark.parametrize(
    ("options", "message", "status", "output"),
    [
        (["-K"], b"", 0, rb"SPAMD/1\.5 0\n"),
        (["-c"], SPAM, 1, rb"7\.9/5\.0\n"),
        (["-c"], HAM, 0, rb"-8\.9/5\.0\n"),
        (["-R"], SPAM, 0, rb"7\.9/5\.0\nWinnow: probability of spam 0\.970000, action junk\n.*"),
        (["-R"], HAM, 0, rb"-8\.9/5\.0\nWinnow: probability of spam 0\.020000.*"),
        (["-r"], SPAM, 0, rb"Winnow: .*"),
        (["-r"], HAM, 0, b""),
        (["-y"], SPAM, 0, rb"WINNOW_JUNK,WINNOW_P97,WORD_[A-Z_0-9]+"),
        (["-y"], HAM, 0, rb"WINNOW_DELIVER,WINNOW_P02,WORD_[A-Z_0-9]+"),
        (["-E"], SPAM, 1, rb"X-Spam-Flag: YES\n.*\nX-Winnow-Action: junk\n.*" + re.escape(SPAM)),
        ([], SPAM, 0, rb"X-Spam-Flag: YES\n.*" + re.escape(SPAM)),
        (["--headers"], SPAM, 0, rb"X-Spam-Flag: YES\n.*" + re.escape(SPAM)),
        ([], HAM, 0, rb"X-Spam-Flag: NO\r\n.*\r\nSubject: y\r\n\r\nlunch at one\?\r\n"),
        (["--headers"], HAM, 0, rb"X-Spam-Flag: NO\r\n.*\r\n\r\nlunch at one\?\r\n"),
        (["-C", "report"], SPAM, 0, rb"Unable to report/revoke message\n"),
    ],
)
def test_spamc(options: list[str], message: bytes, status: int, output: bytes) -> None:
    """Every way to call spamc gives the exit status and output that scripts rely on."""

    async def scenario(door: SpamdDoor, port: int) -> None:
        found = await spamc(port, *options, message=message)
        assert found[0] == status
        assert re.fullmatch(output, found[1], re.DOTALL)
        assert b"\nX-Evil" not in found[1]

    serve(scenario)


@needs_spamc
def test_spamc_learns() -> None:
    """The -L of spamc teaches and forgets, and says when it was known already."""

    async def scenario(door: SpamdDoor, port: int) -> None:
        done, known = b"Message successfully un/learned\n", b"Message was already un/learned\n"
        for kind, output in [
            ("spam", done), ("spam", known), ("ham", done), ("forget", done), ("forget", known),
        ]:  # fmt: skip
            assert await spamc(port, "-L", kind) == (0, output)

    serve(scenario)


@needs_spamc
@pytest.mark.parametrize("trouble", [TimeoutError(), RuntimeError("bug")])
def test_spamc_without_a_verdict(trouble: Exception) -> None:
    """Without a verdict spamc passes the message on as it is, and a correction is not lost."""

    async def scenario(door: SpamdDoor, port: int) -> None:
        assert await spamc(port) == (0, SPAM)
        assert await spamc(port, "--headers") == (0, SPAM)
        assert await spamc(port, "-c") == (0, b"0/0\n")
        assert (await spamc(port, "-x"))[0] != 0
        assert (await spamc(port, "-L", "spam"))[0] != 0

    serve(scenario, FakeEngine(trouble))


# Cost.


def test_a_stop_answers_what_waits_to_be_accepted() -> None:
    """Clients that the kernel has connected already are not reset by a stop."""

    async def scenario(door: SpamdDoor, port: int) -> None:
        clients = [socket.create_connection(("127.0.0.1", port), timeout=30) for _ in range(20)]
        for client in clients:
            client.sendall(request("CHECK"))
        await door.stop()  # the event loop has had no turn to accept any
        for client in clients:
            assert b"Spam: True" in client.recv(1000)
            client.close()

    serve(scenario)


_MEASURED_SERVER = """
import asyncio, resource, socket, sys
sys.path[:0] = sys.argv[1:]
from tests.serving.spamd_peers import FakeEngine
from winnow.serving.spamd import SpamdDoor

def peak_kib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

async def main():
    listener = socket.create_server(("127.0.0.1", 0))
    door = SpamdDoor(FakeEngine())
    port = listener.getsockname()[1]
    door.start(listener)
    before = peak_kib()
    print(port, flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    print(peak_kib() - before, flush=True)
    await door.stop()

asyncio.run(main())
"""


@pytest.mark.slow
def test_memory_of_50_megabytes() -> None:
    """A server that marks 50 MB for a slow reader grows by less than 100 MB, all layers counted."""
    body = b"Subject: big\n\n" + b"x" * 50_000_000
    command = [sys.executable, "-c", _MEASURED_SERVER, *sys.path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdin
        assert server.stdout
        with socket.create_connection(("127.0.0.1", int(server.stdout.readline()))) as client:
            client.sendall(request("PROCESS", body=body))
            time.sleep(0.2)
            received = 0
            while data := client.recv(1 << 20):
                received += len(data)
        assert received > len(body)
        server.stdin.write(b"\n")
        server.stdin.flush()
        assert int(server.stdout.readline()) * 1024 < 100_000_000


def test_docs_name_every_limit() -> None:
    """The reference lists each limit of the door with its default."""
    text = DOCS.read_text("utf-8")
    for limit in fields(DoorLimits):
        assert f"| `{limit.name}` | {limit.default:,} |" in text
