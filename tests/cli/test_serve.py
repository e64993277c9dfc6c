"""The options of `winnow serve`, and that the reference lists them."""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.runtime.hardware import absent_device, require
from tests.serving.fakes import wait_until
from winnow.cli import serve
from winnow.errors import InputError
from winnow.pipeline import Filter
from winnow.serving.settings import Limits, Settings
from winnow.store import Store

DOCS = Path(__file__).resolve().parent.parent.parent / "docs" / "reference" / "serve.md"


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="winnow serve")
    serve.add_arguments(made)
    return made


def test_defaults_are_those_of_the_server():
    """Protects from two truths: without options the settings are the server's own defaults."""
    assert serve.settings_from(parser().parse_args([])) == Settings()


def test_options_arrive():
    """Protects each option: it ends up in the setting that it names."""
    words = (
        "--host ::1 --port 0 --no-spamd --workers 3 --model m.winnow --allow-remote --allow-host a"
        " --device openvino"
        " --allow-host b --ready-file r --scan-limit 10 --max-message-bytes 20 --deadline-ms 1500"
        " --grace-seconds 7"
    )
    assert serve.settings_from(parser().parse_args(words.split())) == Settings(
        host="::1",
        port=0,
        spamd_port=None,
        workers=3,
        allow_remote=True,
        allowed_hosts=("a", "b"),
        watch=Path("m.winnow"),
        device="openvino",
        grace_seconds=7.0,
        ready_file=Path("r"),
        limits=Limits(scan_bytes=10, message_bytes=20, deadline_seconds=1.5),
    )


@pytest.mark.parametrize(
    "words",
    [
        *("--port 65536", "--port -1", "--port x", "--workers 0", "--workers 65", "--port ²"),
        *("--scan-limit 0", "--deadline-ms 0.5", "--log-level loud", "--retention-days 0"),
    ],
)
def test_senseless_values(words: str, capsys: pytest.CaptureFixture[str]):
    """Protects from numbers that mean nothing: status 2 and a line that says what is wanted."""
    with pytest.raises(SystemExit) as stopped:
        parser().parse_args(words.split())
    assert stopped.value.code == 2
    assert words.split()[0] in capsys.readouterr().err


def test_every_option_is_in_the_reference():
    """Protects readers: an option that is missing there, or has another default, fails here."""
    text = DOCS.read_text("utf-8")
    listed = dict(re.findall(r"^\| `(--[\w-]+)` \| (.*?) \|", text, re.MULTILINE))
    known = {
        action.option_strings[0]: action
        for action in parser()._actions
        if action.option_strings[0] != "-h"
    }
    assert set(listed) == set(known)
    for name, action in known.items():
        if action.default not in (None, False) and action.default != []:
            assert listed[name] == str(action.default)


def test_the_store_is_opened_as_the_options_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Protects `--retention-days`, and that a locked database is told of before the deadline."""
    waits: list[float] = []
    monkeypatch.setattr(Store, "wait_at_most", lambda store, seconds: waits.append(seconds))
    settings = Settings(limits=Limits(deadline_seconds=3.0))
    opened = serve.open_filter_for(settings, None, tmp_path / "w.db", retention_days=7.0)
    assert opened.store is not None
    assert opened.store.retention_days == 7.0
    assert waits == [1.5]
    opened.close()
    assert serve.open_filter_for(settings, None, None, retention_days=7.0).store is None


def test_two_words_about_the_store():
    """Protects from a guess: to keep and not to keep cannot both be meant."""
    with pytest.raises(InputError, match="one of them"):
        serve.run(parser().parse_args(["--store", "a", "--no-store"]))


def _serve(folder: Path, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "winnow", "serve", "--port", "0", "--no-spamd", "--no-store"]
    ready = ("--ready-file", str(folder / "ready.json"))
    return subprocess.Popen(
        [*command, *ready, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_a_device_that_is_not_here_stops_the_start(tmp_path: Path):
    """Protects the owner: no server that answers from elsewhere than it was told to."""
    with _serve(tmp_path, "--device", absent_device()) as process:
        out, log = process.communicate(timeout=60)
    assert (process.returncode, out) == (2, "")
    assert re.search(r"^winnow: the device \S+ is not here: .+ It needs .+\.$", log, re.MULTILINE)


@pytest.mark.slow
def test_openvino_serves(tmp_path: Path):
    """Protects the whole way: each worker answers from the device, and as the processor does."""
    require("openvino")
    raw = b""  # nothing for the reflex to go by, so that the reader is asked
    with _serve(tmp_path, "--device", "openvino", "--workers", "2") as process:
        try:
            wait_until(lambda: (tmp_path / "ready.json").exists() or process.poll() is not None)
            ready = json.loads((tmp_path / "ready.json").read_text())
            answers = [httpx.post(f"{ready['http']}/v1/check", content=raw) for _ in range(4)]
            health = httpx.get(f"{ready['http']}/v1/health").json()
        finally:
            process.terminate()
            out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert (ready["device"], health["device"], len(health["workers"])) == ("openvino",) * 2 + (2,)
    assert out.endswith(" device=openvino\n")
    known = Filter.open().check(raw)
    assert known.stage == "reader"
    for answer in answers:
        assert answer.json()["stage"] == "reader"
        assert answer.json()["probability"] == pytest.approx(known.probability, abs=0.02)
