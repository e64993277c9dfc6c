"""SpamAssassin in the comparison: spamd with its rules and its Bayes, without network tests."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench.daemon import HOST, daemon, exchange, free_port, listens, spamd_request
from bench.peer import AbstractPeer, Answer, Mail, paths
from bench.usage import cpu_seconds, hand_over, memory, run, settle, unprivileged

_VERDICT = re.compile(rb"^Spam: (\w+) ; (-?[\d.]+) / ", re.MULTILINE)


@contextmanager
def spamd(folder: Path, *, workers: int) -> Iterator[tuple[int, int]]:
    """Run spamd; yield its process id and its port.

    Raises:
        OSError: it is not installed or does not start.
    """
    program = shutil.which("spamd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        raise OSError("spamd is not installed")
    hand_over(folder)
    port = free_port()
    command = [program, "--local", "--nouser-config", "--listen", HOST, "--port", f"{port}"]
    command += ["--max-children", f"{workers}", "--min-children", f"{workers}"]
    command += ["--syslog", "stderr", "--cf", "bayes_auto_learn 0"]
    # Or the first message after the training waits for a minute.
    command += ["--cf", "bayes_auto_expire 0"]
    command += ["--cf", f"bayes_path {folder / 'bayes'}"]
    with daemon(
        command,
        lambda: listens(port),
        log=folder.with_suffix(".log"),
        env=_env(folder),
        options=unprivileged(),
    ) as pid:
        yield pid, port


def _env(folder: Path) -> dict[str, str]:
    return {"HOME": str(folder), "PATH": "/usr/sbin:/usr/bin:/bin", "LC_ALL": "C"}


class SpamAssassin(AbstractPeer):
    """The rules that the package brings, and Bayes taught by sa-learn."""

    name = "spamassassin, spamd"
    every = 6

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        if not shutil.which("sa-learn"):
            raise OSError("spamassassin is not installed")
        folder.mkdir()
        hand_over(folder)
        self._folder, self._stack = folder, stack

    def train(self, mail: Sequence[Mail]) -> float:
        """Run sa-learn for spam and for ham, then start spamd."""
        seconds = 0.0
        for label in ("spam", "ham"):
            names = self._folder.parent / f"{label}.list"
            names.write_bytes(paths([one for one in mail if one.spam == (label == "spam")]))
            command = ["sa-learn", "--local", f"--{label}", "--dbpath", str(self._folder / "bayes")]
            seconds += run([*command, "-f", str(names)], env=_env(self._folder)).cpu_seconds
        self._pid, self._port = self._stack.enter_context(spamd(self._folder, workers=1))
        settle(self._pid)
        return seconds

    def scan(self, mail: Sequence[Mail]) -> tuple[list[Answer], float]:
        """Ask spamd; it tells the score to one decimal."""
        before = cpu_seconds(self._pid)
        replies = [exchange(self._port, spamd_request(one.raw), half_close=True) for one in mail]
        seconds = cpu_seconds(self._pid) - before
        return [_answer(reply) for reply in replies], seconds

    def memory(self) -> dict[str, float]:
        """All of its processes."""
        return memory(self._pid)


def _answer(reply: bytes) -> Answer:
    match = _VERDICT.search(reply)
    if match is None:
        raise OSError(f"spamd answered {reply[:60]!r}")
    return Answer(float(match[2]), match[1] in (b"True", b"Yes"))
