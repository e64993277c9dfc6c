"""Start a server with the shipped model, send it every example, print its answers, stop it.

`make demo` runs it. It needs what Winnow needs to run, and nothing of what is needed to build it.
"""

from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
START_SECONDS = 30.0
ANSWER_SECONDS = 10.0
STOP_SECONDS = 15.0
REASONS_SHOWN = 3


class DemoError(Exception):
    """Something did not work; the text says what, for the person who ran the demo."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said about one example.

    Attributes:
        name: file name of the example.
        hope: "spam" or "ham", from expected.tsv.
        verdict: the JSON object of the server.
    """

    name: str
    hope: str
    verdict: dict[str, Any]

    @property
    def as_hoped(self) -> bool:
        """Tell whether spam is at least flagged and ham is delivered."""
        delivered = str(self.verdict["action"]) == "deliver"
        return (self.hope == "ham") == delivered


def expected(folder: Path) -> list[tuple[str, str]]:
    """Return (file name, "spam" or "ham") of every example, in the order of expected.tsv."""
    lines = (folder / "expected.tsv").read_text("utf-8").splitlines()[1:]
    return [(name, hope) for name, _, hope in (line.partition("\t") for line in lines)]


def free_ports(number: int) -> list[int]:
    """Return loopback ports that nothing listens on; another program may still be quicker."""
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [int(listener.getsockname()[1]) for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports


def ask(port: int, method: str, path: str, body: bytes | None = None) -> dict[str, Any]:
    """Send one HTTP request and return the JSON object of its answer.

    Raises:
        OSError: nobody answers.
        DemoError: the answer is not 200 with a JSON object.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_SECONDS)
    try:
        connection.request(method, path, body, {"Content-Type": "message/rfc822"})
        response = connection.getresponse()
        text = response.read()
        if response.status != http.HTTPStatus.OK:
            raise DemoError(f"{method} {path}: {response.status} {text[:300]!r}")
        answer = json.loads(text)
    except (http.client.HTTPException, ValueError) as error:
        raise DemoError(f"{method} {path}: {error!r}") from error
    finally:
        connection.close()
    if not isinstance(answer, dict):
        raise DemoError(f"{method} {path}: a JSON object was expected, not {text[:300]!r}")
    return answer


def wait_until_ready(server: subprocess.Popen[bytes], port: int) -> float:
    """Return the seconds until the server answers. Raises DemoError when it does not."""
    started = time.monotonic()
    while (waited := time.monotonic() - started) < START_SECONDS:
        if server.poll() is not None:
            raise DemoError(f"the server stopped at once, with status {server.returncode}")
        try:
            ask(port, "GET", "/v1/health")
        except OSError:
            time.sleep(0.02)
        else:
            return waited
    raise DemoError(f"the server did not answer within {START_SECONDS:g} s")


@contextmanager
def running(command: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server for the time of a with-block; what it wrote is shown when that fails.

    Raises:
        DemoError: it did not stop when told to, or not with status 0.
    """
    with tempfile.TemporaryFile() as log:
        server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            yield server
            server.send_signal(signal.SIGTERM)
            if server.wait(STOP_SECONDS) != 0:
                raise DemoError(f"the server stopped with status {server.returncode}")
        except (DemoError, OSError, subprocess.TimeoutExpired):
            log.seek(0)
            sys.stderr.write(log.read()[-4000:].decode("utf-8", "replace"))
            raise
        finally:
            if server.poll() is None:
                server.kill()
                server.wait()


def reasons(verdict: dict[str, Any]) -> str:
    """Return the strongest reasons, each with its share of the evidence in percent."""
    shown = verdict["reasons"][:REASONS_SHOWN]
    return ", ".join(f"{escape(reason['text'])} {reason['share']:+.0%}" for reason in shown)


def table(answers: Sequence[Answer]) -> Table:
    """Return the answers as a table for a terminal."""
    shown = Table(title="Winnow on its examples", title_justify="left")
    shown.add_column("message", no_wrap=True)
    shown.add_column("hoped")
    shown.add_column("probability", justify="right")
    shown.add_column("action")
    shown.add_column("reasons, + for spam", max_width=64)
    shown.add_column("ms", justify="right")
    colours = {"junk": "red", "flag": "yellow", "deliver": "green"}
    for answer in answers:
        verdict = answer.verdict
        shown.add_row(
            answer.name,
            answer.hope if answer.as_hoped else f"[bold]{answer.hope} ✗[/]",
            f"{verdict['probability']:.3f}",
            f"[{colours[verdict['action']]}]{verdict['action']}[/]",
            reasons(verdict),
            f"{verdict['ms']:.1f}",
        )
    return shown


def check_all(port: int) -> list[Answer]:
    """Send every example and return the answers. Raises OSError, DemoError."""
    return [
        Answer(name, hope, ask(port, "POST", "/v1/check", (EXAMPLES / name).read_bytes()))
        for name, hope in expected(EXAMPLES)
    ]


def main() -> int:
    """Run the demo and return its exit status: 0, or 1 when anything failed."""
    # A pipe gets whole lines; a terminal gets the width it has.
    console = Console() if sys.stdout.isatty() else Console(width=160)
    http_port, spamd_port = free_ports(2)
    ports = ["--port", str(http_port), "--spamd-port", str(spamd_port)]
    winnow = str(Path(sys.executable).with_name("winnow"))
    command = [winnow, "serve", "--host", "127.0.0.1", *ports]
    try:
        with tempfile.TemporaryDirectory(prefix="winnow-demo-") as folder:
            store = str(Path(folder, "winnow.db"))
            with running([*command, "--store", store]) as server:
                seconds = wait_until_ready(server, http_port)
                console.print(f"Server on 127.0.0.1:{http_port}, answering after {seconds:.1f} s.")
                answers = check_all(http_port)
    except (DemoError, OSError, subprocess.TimeoutExpired) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    console.print(table(answers))
    hoped = sum(answer.as_hoped for answer in answers)
    console.print(f"{hoped} of {len(answers)} as hoped. Model {answers[0].verdict['model']}.")
    console.print("Server stopped.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
