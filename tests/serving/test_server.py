"""The server as its owner sees it: real processes, real signals, under load."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from tests.serving.fakes import HAM, ROOT, SPAM, Running, running, wait_until, write_model
from winnow.serving.server import tell_service_manager


class Load:
    """Clients that ask without a pause, each question on a connection of its own."""

    def __init__(self, server: Running, body: bytes) -> None:
        self._server = server
        self._body = body
        self._over = threading.Event()
        self.models: Counter[str] = Counter()
        self.errors: list[str] = []

    def ask(self) -> None:
        """Ask until told to stop."""
        while not self._over.is_set():
            try:
                answer = self._server.check(self._body)
                answer.raise_for_status()
                self.models[answer.json()["model"]] += 1
            except httpx.HTTPError as error:
                self.errors.append(repr(error))

    @contextmanager
    def running(self, clients: int = 2) -> Iterator[Load]:
        """Ask while inside."""
        threads = [threading.Thread(target=self.ask) for _ in range(clients)]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self._over.set()
            for thread in threads:
                thread.join()


def alive(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def total(server: Running, name: str) -> float:
    text = server.get("/metrics").text
    return sum(
        float(value) for value in re.findall(rf"^{name}(?:\{{.*\}})? (\S+)$", text, re.MULTILINE)
    )


def test_start_and_stop(tmp_path: Path):
    """Protects scripts: the ready file names what was bound, and is gone after a good stop."""
    with running(tmp_path, workers=2) as server:
        assert server.ready["pid"] == server.process.pid
        assert server.ready["workers"] == 2
        assert server.ready["model"] == "first@11111111"
        assert server.check().status_code == 200
        pids = server.pids()
        assert len(set(pids)) == 2
        assert server.process.pid not in pids
        assert server.stop() == 0
        assert not any(map(alive, pids))
        assert not (tmp_path / "ready.json").exists()
        with pytest.raises(httpx.ConnectError):
            server.check()
        assert "Traceback" not in server.log


def test_both_doors_give_one_verdict(tmp_path: Path):
    """Protects agreement of the doors, which share one engine."""
    with running(tmp_path) as server:
        request = b"CHECK SPAMC/1.5\r\nContent-length: %d\r\n\r\n%s" % (len(SPAM), SPAM)
        with socket.create_connection(("127.0.0.1", server.spamd_port), timeout=5) as client:
            client.sendall(request)
            client.shutdown(socket.SHUT_WR)
            reply = b"".join(iter(lambda: client.recv(65536), b""))
        assert b"Spam: True" in reply
        assert server.check(SPAM).json()["action"] == "junk"
        assert total(server, "winnow_verdicts_total") == 2
        assert 'winnow_check_seconds_count{door="spamd"} 1.0' in server.get("/metrics").text


def test_one_door_only(tmp_path: Path):
    """Protects servers without the spamd door."""
    with running(tmp_path, spamd=False) as server:
        assert server.ready["spamd"] is None
        assert server.check().status_code == 200


def test_a_killed_worker_is_replaced(tmp_path: Path):
    """Protects availability: its sibling answers meanwhile, and its numbers are kept."""
    with running(tmp_path, workers=2) as server:
        for _ in range(10):
            server.check()
        before = server.pids()
        with Load(server, HAM).running() as load:
            os.kill(before[0], signal.SIGKILL)
            wait_until(lambda: len(server.pids()) == 2 and before[0] not in server.pids())
            answered = load.models.total()
            wait_until(lambda: load.models.total() > answered + 20)
        # Only what the killed worker had in its hands is lost.
        assert len(load.errors) <= 2
        assert before[1] in server.pids()
        health = server.health()
        assert health["status"] == "ok"
        assert health["worker_restarts"] == 1
        assert total(server, "winnow_verdicts_total") >= 10 + load.models.total()
        assert server.stop() == 0


def test_mail_that_kills_workers(tmp_path: Path):
    """Protects the server from one message sent again and again: restarts get rarer."""
    with running(tmp_path) as server:
        for _ in range(3):
            with pytest.raises(httpx.TransportError):
                server.check(b"CRASH")
        assert server.check().status_code == 200  # waits in the socket until a worker is back
        delays = re.findall(r"restart_in_seconds=(\S+)", server.log)
        assert delays == ["0.0", "0.2", "0.4"]


def test_a_worker_that_hangs_is_replaced(tmp_path: Path):
    """Protects availability from a worker that lives, holds connections and does not move."""
    with running(tmp_path, workers=2, stalled_seconds=1.0) as server:
        before = server.pids()
        os.kill(before[0], signal.SIGSTOP)
        wait_until(lambda: not alive(before[0]))
        wait_until(lambda: len(server.pids()) == 2)
        assert before[1] in server.pids()
        assert "event=worker_stalled" in server.log
        assert "status=-9" in server.log


@pytest.mark.parametrize("how", ["signal", "change"])
def test_a_swap_drops_nothing(tmp_path: Path, how: str):
    """Protects requests while the model is replaced: all are answered, by one or the other."""
    with running(tmp_path, workers=2) as server, Load(server, SPAM).running(3) as load:
        wait_until(lambda: load.models["first@11111111"] > 5)
        write_model(tmp_path, "second@22222222")
        if how == "signal":
            server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: {w["model"] for w in server.health()["workers"]} == {"second@22222222"})
        so_far = load.models["second@22222222"]
        wait_until(lambda: load.models["second@22222222"] > so_far + 5)
        assert not load.errors
        assert total(server, "winnow_model_swaps_total") == 2
        assert server.health()["status"] == "ok"


def test_a_damaged_model_is_refused(tmp_path: Path):
    """Protects answers from a bad upgrade: the old model stays, and the owner is told."""
    with running(tmp_path) as server:
        (tmp_path / "model" / "manifest.json").write_text("{")
        wait_until(lambda: server.health()["swaps_refused"] == 1)
        assert server.check().json()["model"] == "first@11111111"
        time.sleep(1.2)
        assert server.health()["swaps_refused"] == 1, "refused again and again"
        assert "event=swap_refused" in server.log
        write_model(tmp_path, "second@22222222")
        wait_until(lambda: server.check().json()["model"] == "second@22222222")


def test_a_graceful_stop_finishes_what_is_in_flight(tmp_path: Path):
    """Protects mail in flight at both doors when the server stops."""
    slow = b"SLEEP 700 CHEAP" + b"x" * 70_000
    with running(tmp_path) as server:
        results: list[str] = []

        def ask_http() -> None:
            results.append(str(server.check(slow).status_code))

        def ask_spamd() -> None:
            request = b"CHECK SPAMC/1.5\r\nContent-length: %d\r\n\r\n%s" % (len(slow), slow)
            with socket.create_connection(("127.0.0.1", server.spamd_port), timeout=5) as client:
                client.sendall(request)
                reply = b"".join(iter(lambda: client.recv(65536), b"")).decode()
                results.append(reply.split("\r\n")[1].partition(" ;")[0])

        threads = [threading.Thread(target=ask) for ask in (ask_http, ask_spamd)]
        for thread in threads:
            thread.start()
        time.sleep(0.3)
        server.process.terminate()
        time.sleep(0.2)
        with pytest.raises(httpx.TransportError):
            server.check()
        for thread in threads:
            thread.join()
        assert server.process.wait(10) == 0
        assert sorted(results) == ["200", "Spam: True"]


def test_grace_has_an_end(tmp_path: Path):
    """Protects restarts: a request that never ends does not keep the server alive."""
    slow = b"SLEEP 8000 " + b"x" * 70_000
    with running(tmp_path, grace_seconds=1, limits={"deadline_seconds": 20}) as server:
        asking = threading.Thread(target=lambda: _ignore_errors(server, slow))
        asking.start()
        time.sleep(0.3)
        start = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - start < 8
        asking.join()


def test_a_second_signal_does_not_wait(tmp_path: Path):
    """Protects the person at the keyboard who presses Ctrl-C twice."""
    slow = b"SLEEP 8000 " + b"x" * 70_000
    with running(tmp_path, limits={"deadline_seconds": 20}) as server:
        asking = threading.Thread(target=lambda: _ignore_errors(server, slow))
        asking.start()
        time.sleep(0.3)
        server.process.send_signal(signal.SIGINT)
        time.sleep(0.2)
        assert server.process.poll() is None
        server.process.send_signal(signal.SIGINT)
        start = time.monotonic()
        server.process.wait(5)
        assert time.monotonic() - start < 1
        asking.join()


def _ignore_errors(server: Running, body: bytes) -> None:
    with suppress(httpx.HTTPError):
        server.check(body)


def test_no_orphans(tmp_path: Path):
    """Protects the machine: workers end when their parent is killed with SIGKILL."""
    with running(tmp_path, workers=2) as server:
        pids = server.pids()
        server.process.kill()
        server.process.wait()
        wait_until(lambda: not any(map(alive, pids)))


def test_workers_share_corrections_and_numbers(tmp_path: Path):
    """Protects agreement: whoever learns, all know; whoever is asked, the sums are the same."""
    with running(tmp_path, workers=3) as server:
        server.client.post("/v1/learn?label=spam", content=HAM).raise_for_status()
        time.sleep(0.5)
        # Idle workers race for connections; with some asking at once every one gets its share.
        with Load(server, HAM).running(6) as load:
            wait_until(lambda: load.models.total() > 100)
        assert not load.errors
        assert total(server, "winnow_corrections_total") == 1
        assert total(server, "winnow_verdicts_total") == load.models.total()
        assert total(server, "winnow_workers") == 3
        applied = [worker["corrections_applied"] for worker in server.health()["workers"]]
        assert sum(applied) >= 2


def _start(folder: Path, **settings: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.serving.fake_server", str(folder), json.dumps(settings)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


def test_what_stops_the_start(tmp_path: Path):
    """Protects the owner: a start that cannot succeed says why, before any worker is there."""
    found = _start(tmp_path)
    assert (found.returncode, "damaged" in found.stderr) == (1, True)
    write_model(tmp_path, "first@11111111")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        found = _start(tmp_path, port=port)
    assert f"cannot listen on 127.0.0.1 port {port}: Address already in use" in found.stderr
    assert "--allow-remote" in _start(tmp_path, host="0.0.0.0").stderr
    assert "cannot listen on" in _start(tmp_path, host="no such host").stderr


def test_a_worker_that_cannot_start(tmp_path: Path):
    """Protects the owner: what only a worker finds out stops the start as well, with its reason."""
    write_model(tmp_path, "only-in-parent@1")
    found = _start(tmp_path)
    assert "a worker could not start: this model opens once" in found.stderr
    assert found.returncode == 1


def test_service_manager_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Protects `Type=notify`: systemd hears when the server answers."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        tell_service_manager("READY=1")
        assert channel.recv(100) == b"READY=1"
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nothing"))
    tell_service_manager("READY=1")
