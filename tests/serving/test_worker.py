"""What one worker does from its start to its stop, and what workers share."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.serving.clients import Load, ask_in_vain, asleep, refuses, total
from tests.serving.fakes import (
    HAM,
    SPAM,
    FakeFilter,
    running,
    wait_until,
    write_manifest,
    write_model,
)
from winnow.errors import StoreError
from winnow.serving.board import Board
from winnow.serving.metrics import CELLS, CONNECTIONS, PID
from winnow.serving.settings import Settings
from winnow.serving.worker import CANNOT_START, Place, _names, run_worker


@pytest.fixture(autouse=True)
def _put_back() -> Iterator[None]:
    before = sys.getswitchinterval()
    yield
    sys.setswitchinterval(before)


def test_a_worker_that_cannot_open_its_filter():
    """Protects the owner: the reason goes to the parent, and old numbers do not stay."""
    board = Board(2, CELLS)
    row = board.rows[1]
    row[PID] = row[CONNECTIONS.start] = 7.0  # of the one who died before

    def refuse() -> FakeFilter:
        raise StoreError("the disk is on fire")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        place = Place(
            settings=Settings(), open_filter=refuse, http=listener, spamd=None,
            board=board, slot=1, lifeline=-1, ready=-1,
        )  # fmt: skip
        assert run_worker(place) == CANNOT_START
    assert row.note == "the disk is on fire"
    assert (row[PID], row[CONNECTIONS.start]) == (0.0, 0.0)


def test_names_that_a_host_header_may_carry():
    """Protects the guard's list: as browsers write the host, in any case."""
    assert _names(Settings(host="::1", allowed_hosts=("Mail.Example",))) == {
        "[::1]", "mail.example",
    }  # fmt: skip
    assert _names(Settings()) == {"127.0.0.1"}


@pytest.mark.parametrize("how", ["signal", "change"])
def test_a_swap_drops_nothing(tmp_path: Path, how: str):
    """Protects requests while the model is replaced: all are answered, by one or the other."""
    settings = {"workers": 2, "watch": how == "change"}
    with running(tmp_path, **settings) as server, Load(server, SPAM).running(3) as load:
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
        write_manifest(tmp_path, "{")
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
            with socket.create_connection(("127.0.0.1", server.spamd_port), timeout=30) as client:
                client.sendall(request)
                reply = b"".join(iter(lambda: client.recv(65536), b"")).decode()
                results.append(reply.split("\r\n")[1].partition(" ;")[0])

        threads = [threading.Thread(target=ask) for ask in (ask_http, ask_spamd)]
        for thread in threads:
            thread.start()
        wait_until(lambda: asleep(server) == 2)
        server.process.terminate()
        wait_until(lambda: refuses(server.port))
        with pytest.raises(httpx.TransportError):
            server.check()
        for thread in threads:
            thread.join()
        assert server.process.wait(30) == 0
        assert sorted(results) == ["200", "Spam: True"]


def test_grace_has_an_end(tmp_path: Path):
    """Protects restarts: a request that never ends does not keep the server alive."""
    slow = b"SLEEP 60000 " + b"x" * 70_000
    with running(tmp_path, grace_seconds=1, limits={"deadline_seconds": 60}) as server:
        asking = threading.Thread(target=lambda: ask_in_vain(server, slow))
        asking.start()
        wait_until(lambda: asleep(server))
        start = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - start < 15
        asking.join()


def test_workers_share_corrections_and_numbers(tmp_path: Path):
    """Protects agreement: whoever learns, all know; whoever is asked, the sums are the same."""
    with running(tmp_path, workers=3) as server:

        def corrections_applied() -> int:
            return sum(worker["corrections_applied"] for worker in server.health()["workers"])

        server.client.post("/v1/learn?label=spam", content=HAM).raise_for_status()
        wait_until(lambda: corrections_applied() >= 2)
        # Idle workers race for connections; with some asking at once every one gets its share.
        with Load(server, HAM).running(6) as load:
            wait_until(lambda: load.models.total() > 100)
        assert not load.errors
        assert total(server, "winnow_corrections_total") == 1
        assert total(server, "winnow_verdicts_total") == load.models.total()
        assert total(server, "winnow_workers") == 3
        assert corrections_applied() >= 2


def test_a_stop_answers_what_waits_to_be_accepted(tmp_path: Path):
    """Protects mail in flight: a client that the kernel has connected is not reset by a stop."""
    http = b"POST /v1/check HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s"
    spamd = b"CHECK SPAMC/1.5\r\nContent-length: %d\r\n\r\n%s"
    with running(tmp_path) as server:
        (pid,) = server.pids()
        os.kill(pid, signal.SIGSTOP)  # as busy as can be
        clients = []
        for port, form in ((server.port, http), (server.spamd_port, spamd)):
            for _ in range(10):
                client = socket.create_connection(("127.0.0.1", port), timeout=30)
                client.sendall(form % (len(SPAM), SPAM))
                clients.append(client)
        server.process.terminate()
        os.kill(pid, signal.SIGCONT)
        answers = [client.recv(4096) for client in clients]
        for client in clients:
            client.close()
        assert sum(b'"action":"junk"' in answer for answer in answers) == 10
        assert sum(b"Spam: True" in answer for answer in answers) == 10
        assert server.process.wait(30) == 0
