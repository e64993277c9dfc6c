"""Workers that die, hang or do not start, and signals to their parent."""

from __future__ import annotations

import os
import re
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest

from tests.serving.clients import Load, alive, ask_in_vain, asleep, refuses, start_in_vain, total
from tests.serving.fakes import HAM, FakeFilter, running, wait_until, write_model
from winnow.serving.settings import Settings
from winnow.serving.supervisor import Supervisor


@pytest.fixture
def supervisor() -> Iterator[Supervisor]:
    """Return one that has started nobody."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        made = Supervisor(Settings(workers=2), FakeFilter, listener, None)
        yield made
        for slot in made._slots:
            slot.pid = 0
        made._stop_all(listener.fileno())


def test_a_killed_worker_is_replaced(tmp_path: Path):
    """Protects availability: its sibling answers meanwhile, and its numbers are kept."""
    with running(tmp_path, workers=2) as server:
        for _ in range(10):
            server.check()
        before = server.pids()
        with Load(server, HAM).running() as load:
            os.kill(before[0], signal.SIGKILL)
            wait_until(lambda: not alive(before[0]))  # nor takes a question of ours along
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
    with running(tmp_path, workers=2, stalled_seconds=3.0) as server:
        before = server.pids()
        os.kill(before[0], signal.SIGSTOP)
        wait_until(lambda: not alive(before[0]))
        wait_until(lambda: len(server.pids()) == 2)
        assert before[1] in server.pids()
        assert "event=worker_stalled" in server.log
        assert "status=-9" in server.log


def test_a_second_signal_does_not_wait(tmp_path: Path):
    """Protects the person at the keyboard who presses Ctrl-C twice."""
    slow = b"SLEEP 60000 " + b"x" * 70_000
    with running(tmp_path, grace_seconds=60, limits={"deadline_seconds": 60}) as server:
        asking = threading.Thread(target=lambda: ask_in_vain(server, slow))
        asking.start()
        wait_until(lambda: asleep(server))
        server.process.send_signal(signal.SIGINT)
        wait_until(lambda: refuses(server.port))
        assert server.process.poll() is None
        server.process.send_signal(signal.SIGINT)
        server.process.wait(10)  # and not the minute that the first signal allows
        asking.join()


def test_no_orphans(tmp_path: Path):
    """Protects the machine: workers end when their parent is killed with SIGKILL."""
    with running(tmp_path, workers=2) as server:
        pids = server.pids()
        server.process.kill()
        server.process.wait()
        wait_until(lambda: not any(map(alive, pids)))


def test_a_worker_that_cannotstart_in_vain(tmp_path: Path):
    """Protects the owner: what only a worker finds out stops the start as well, with its reason."""
    write_model(tmp_path, "only-in-parent@1")
    found = start_in_vain(tmp_path)
    assert "a worker could not start: this model opens once" in found.stderr
    assert found.returncode == 1


def test_restarts_get_rarer_but_do_not_end(supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch):
    """Protects the machine from a worker that dies at once, and mail from waiting for ever."""
    now = 1000.0
    clock = SimpleNamespace(monotonic=lambda: now)
    monkeypatch.setattr("winnow.serving.supervisor.time", clock)
    slot, other = supervisor._slots
    delays = []
    for _ in range(12):
        slot.started = now
        supervisor._plan_restart(slot, 1)
        delays.append(round(slot.due - now, 1))
    assert delays[:4] == [0.0, 0.2, 0.4, 0.8]
    assert delays[-2:] == [15.0, 15.0]
    assert other.failures == 0
    slot.started = now - 61.0  # it lived for a minute this time
    supervisor._plan_restart(slot, 1)
    assert slot.due <= now


def test_a_reload_reaches_a_worker_that_still_starts(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
):
    """Protects from a worker that answers by the old rules because it was just being started."""
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr(supervisor, "_send", lambda slot, number: sent.append((slot.index, number)))
    first, second = supervisor._slots
    first.pid, first.ready, second.pid = 99_999_991, True, 99_999_992
    supervisor._signals.append(signal.SIGHUP)
    assert not supervisor._stop_is_asked()
    assert sent == [(1, signal.SIGHUP)]
    os.write(supervisor._ready_end, bytes([2]))
    no_signal, other_end = socket.socketpair()
    with no_signal, other_end:
        supervisor._wait(no_signal.fileno())
    assert sent == [(1, signal.SIGHUP), (2, signal.SIGHUP)]
    assert second.ready


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_stops(supervisor: Supervisor, number: int):
    """Protects service managers and the keyboard: either stops, and SIGCHLD does not."""
    supervisor._signals.append(signal.SIGCHLD)
    assert not supervisor._stop_is_asked()
    supervisor._signals.append(number)
    assert supervisor._stop_is_asked()
