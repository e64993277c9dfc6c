"""A small model of our own mail, and the command line as a user types it."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.synthetic import message, write_corpus
from winnow.cli import main


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command did."""

    status: int
    out: str
    err: str


Run = Callable[..., Ran]


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a labelled corpus of 80 ham and 80 spam."""
    return write_corpus(tmp_path_factory.mktemp("corpus") / "mail")


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory, corpus: Path) -> Path:
    """Return a model trained on the corpus."""
    path = tmp_path_factory.mktemp("model") / "small.winnow"
    assert main(["train", "--out", str(path), str(corpus)]) == 0
    return path


@pytest.fixture
def mail(tmp_path: Path) -> Path:
    """Return a folder of three messages: a.eml and b.eml are ham, c.eml is spam."""
    folder = tmp_path / "some"
    folder.mkdir()
    for place, name in enumerate("abc"):
        (folder / f"{name}.eml").write_bytes(message(name == "c", 5000 + place))
    return folder


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where the user's own store would be; nothing is there yet."""
    path = tmp_path / "state" / "winnow.db"
    monkeypatch.setenv("WINNOW_STORE", str(path))
    return path


@pytest.fixture
def winnow(capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs a command in this process."""

    def run(*words: object) -> Ran:
        capsys.readouterr()
        status = main([str(word) for word in words])
        printed = capsys.readouterr()
        return Ran(status, printed.out, printed.err)

    return run


@pytest.fixture
def on_terminal() -> Callable[..., str]:
    """Return a function that runs a command on a terminal of so many columns."""

    def run(columns: int, *words: object, term: str = "xterm-256color") -> str:
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        command = [sys.executable, "-m", "winnow", *map(str, words)]
        hidden = {"COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"}
        environment = {k: v for k, v in os.environ.items() if k not in hidden}
        environment |= {"TERM": term}
        with subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment
        ) as process:
            os.close(theirs)
            shown = b""
            while data := _read(ours):
                shown += data
        os.close(ours)
        assert process.returncode == 0, shown
        return shown.decode().replace("\r\n", "\n")

    return run


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # Linux: the other end was closed
        return b""
