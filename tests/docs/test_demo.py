"""The demo shows what the server says, and says so when something fails."""

from __future__ import annotations

import io
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from rich.console import Console

from scripts import demo

VERDICT = (
    b'{"probability": 0.97, "action": "junk", "ms": 0.8, "model": "m@1a2b3c4d",'
    b' "reasons": [{"kind": "word", "text": "[pills]", "share": 0.31}]}'
)


class _Door(BaseHTTPRequestHandler):
    """Answers as the server does; "/bad" with an error, "/odd" with no object."""

    def do_POST(self) -> None:
        self.server.seen.append(self.rfile.read(int(self.headers["Content-Length"])))  # type: ignore[attr-defined]
        body = b"[]" if self.path == "/odd" else VERDICT
        self.send_response(503 if self.path == "/bad" else 200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def door() -> Iterator[HTTPServer]:
    """A stand-in for the HTTP door on loopback, which keeps what it is sent."""
    server = HTTPServer(("127.0.0.1", 0), _Door)
    server.seen = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_every_example_is_sent_as_it_is(door: HTTPServer) -> None:
    """All messages reach the server byte for byte, the empty one too, in the order of the list."""
    answers = demo.check_all(door.server_port)
    assert [answer.name for answer in answers] == [name for name, _ in demo.expected(demo.EXAMPLES)]
    sent = [(demo.EXAMPLES / answer.name).read_bytes() for answer in answers]
    assert door.seen == sent  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", ["/bad", "/odd"])
def test_an_error_of_the_server_is_an_error(door: HTTPServer, path: str) -> None:
    """An answer that is no verdict ends the demo and is not shown as one."""
    with pytest.raises(demo.DemoError, match=path):
        demo.ask(door.server_port, "POST", path, b"x")


def test_nobody_there_is_an_error() -> None:
    """A port that nobody listens on is told apart from a bad answer."""
    with pytest.raises(OSError, match="refused"):
        demo.ask(demo.free_ports(1)[0], "GET", "/v1/health")


def _start(program: str, *arguments: str) -> None:
    """Start a program in place of the server and wait until it answers, as the demo does."""
    with demo.running([sys.executable, "-uc", program, *arguments]) as server:
        demo.wait_until_ready(server, demo.free_ports(1)[0])


def test_a_server_that_stops_at_once_is_an_error() -> None:
    """The demo does not wait for a server that is gone."""
    with pytest.raises(demo.DemoError, match="status 2"):
        _start("raise SystemExit(2)")


def test_a_server_that_never_answers_is_ended(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The demo gives up, leaves no process behind, and shows what the server wrote."""
    monkeypatch.setattr(demo, "START_SECONDS", 0.3)
    with pytest.raises(demo.DemoError, match="did not answer"):
        _start_mute(tmp_path / "sign")
    assert "mute" in capsys.readouterr().err


MUTE = """
import pathlib, sys, time
print("mute", flush=True)
pathlib.Path(sys.argv[1]).touch()
time.sleep(60)
"""


def _start_mute(sign: Path) -> None:
    with demo.running([sys.executable, "-c", MUTE, str(sign)]) as server:
        while not sign.exists():
            time.sleep(0.01)
        demo.wait_until_ready(server, demo.free_ports(1)[0])


DEAF = """
import pathlib, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pathlib.Path(sys.argv[1]).touch()
time.sleep(60)
"""


def _stop_deaf(sign: Path) -> None:
    with demo.running([sys.executable, "-c", DEAF, str(sign)]):
        while not sign.exists():
            time.sleep(0.01)


def test_a_server_that_does_not_stop_is_ended(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A server that ignores SIGTERM is an error, and is killed all the same."""
    monkeypatch.setattr(demo, "STOP_SECONDS", 0.2)
    with pytest.raises(subprocess.TimeoutExpired) as caught:
        _stop_deaf(tmp_path / "sign")
    assert caught.value.timeout == 0.2


def test_the_table_shows_every_column() -> None:
    """Probability, action, reasons and time are shown; text of mail is no markup."""
    verdict = {
        "probability": 0.97,
        "action": "junk",
        "ms": 0.84,
        "reasons": [{"kind": "word", "text": "[red]pills[/]", "share": 0.314}],
    }
    out = io.StringIO()
    Console(file=out, width=160).print(demo.table([demo.Answer("a.eml", "ham", verdict)]))
    for word in ("a.eml", "ham ✗", "0.970", "junk", "[red]pills[/] +31%", "0.8"):
        assert word in out.getvalue()


@pytest.mark.parametrize(
    ("hope", "action", "as_hoped"),
    [
        ("spam", "junk", True),
        ("spam", "flag", True),
        ("spam", "deliver", False),
        ("ham", "deliver", True),
        ("ham", "flag", False),
    ],
)
def test_what_counts_as_hoped(hope: str, action: str, as_hoped: bool) -> None:
    """Spam should be flagged at least; ham should be left alone."""
    assert demo.Answer("a.eml", hope, {"action": action}).as_hoped is as_hoped
