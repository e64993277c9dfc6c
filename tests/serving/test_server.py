"""The server as its owner starts it: sockets, doors, and what stops the start."""

from __future__ import annotations

import os
import signal
import socket
from functools import partial
from pathlib import Path

import httpx
import pytest

from tests.serving.clients import alive, start_in_vain, total
from tests.serving.fakes import SPAM, FakeFilter, running, write_model
from winnow.errors import ArtifactError, DeviceError, InputError
from winnow.serving.server import open_once, tell_service_manager


def test_start_and_stop(tmp_path: Path):
    """Protects scripts: the ready file names what was bound, and is gone after a good stop."""
    with running(tmp_path, workers=2) as server:
        assert server.ready["pid"] == server.process.pid
        assert server.ready["workers"] == 2
        assert server.ready["model"] == "first@11111111"
        assert server.ready["device"] == server.health()["device"] == "cpu"
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
        with socket.create_connection(("127.0.0.1", server.spamd_port), timeout=30) as client:
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


def test_what_stops_thestart_in_vain(tmp_path: Path):
    """Protects the owner: a start that cannot succeed says why, before any worker is there."""
    found = start_in_vain(tmp_path)
    assert (found.returncode, "damaged" in found.stderr) == (1, True)
    write_model(tmp_path, "first@11111111")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        found = start_in_vain(tmp_path, port=port)
    assert f"cannot listen on 127.0.0.1 port {port}: Address already in use" in found.stderr
    assert "--allow-remote" in start_in_vain(tmp_path, host="0.0.0.0").stderr
    assert "cannot listen on" in start_in_vain(tmp_path, host="no such host").stderr


def test_service_manager_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Protects `Type=notify`: systemd hears when the server answers."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        tell_service_manager("READY=1")
        assert channel.recv(100) == b"READY=1"
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nothing"))
    tell_service_manager("READY=1")


class _Marked(FakeFilter):
    """Says which process opened it, and on what."""

    def __init__(self) -> None:
        super().__init__()
        self.model = f"m@{os.getpid()}"
        self.device = "cuda"


def test_a_trial_apart_leaves_this_process_as_it_was():
    """Protects workers: what drivers of hardware start does not survive the fork they come from."""
    here, device = open_once(_Marked, apart=False)
    assert (here, device) == (f"m@{os.getpid()}", "cuda")
    apart, device = open_once(_Marked, apart=True)
    assert apart.startswith("m@")
    assert (apart != here, device) == (True, "cuda")
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)  # it was buried


def _fail(error: Exception) -> FakeFilter:
    raise error


def _die() -> FakeFilter:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def test_what_fails_apart_is_told(caplog: pytest.LogCaptureFixture):
    """Protects the owner: the sentence of an error comes over, and a crash is one, too."""
    with pytest.raises(DeviceError, match=r"^not here$"):
        open_once(partial(_fail, DeviceError("not here")), apart=False)
    for error in (DeviceError("not here: é"), ArtifactError("x" * 200_000)):
        with pytest.raises(InputError) as found:
            open_once(partial(_fail, error), apart=True)
        assert str(found.value) == str(error)
    with pytest.raises(InputError, match=r"process ended with status -9; another --device"):
        open_once(_die, apart=True)
    with pytest.raises(InputError, match="process ended with status 1"):
        open_once(partial(_fail, ValueError("a bug")), apart=True)


@pytest.mark.parametrize("device", ["cpu", "auto"])
def test_what_needs_a_driver_is_not_opened_before_the_fork(tmp_path: Path, device: str):
    """Protects the start on hardware; on the processor workers share what the trial has loaded."""
    with running(tmp_path, device=device, workers=2) as server:
        assert server.check().status_code == 200
        first, *workers = map(int, (tmp_path / "opened-by").read_text().split())
        assert (first == server.process.pid) is (device == "cpu")
        assert sorted(workers) == sorted(server.pids())
        assert server.stop() == 0
