"""bogofilter in the comparison: its bulk mode, which is the cheapest that it has."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from bench.peer import AbstractPeer, Answer, Mail, paths
from bench.usage import RESIDENT, hand_over, run

SPAM_CUTOFF = 0.99  # its default; below it a message is "unsure" or ham


class Bogofilter(AbstractPeer):
    """One process for many messages; configuration files are not read."""

    name = "bogofilter, bulk"

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        if not shutil.which("bogofilter"):
            raise OSError("bogofilter is not installed")
        folder.mkdir()
        hand_over(folder)
        self._command = ["bogofilter", "-C", "-d", str(folder), "-b"]
        self._resident_mb = 0.0

    def train(self, mail: Sequence[Mail]) -> float:
        """Register spam, then ham."""
        spam = run([*self._command, "-s"], text=paths([one for one in mail if one.spam]))
        ham = run([*self._command, "-n"], text=paths([one for one in mail if not one.spam]))
        return spam.cpu_seconds + ham.cpu_seconds

    def scan(self, mail: Sequence[Mail]) -> tuple[list[Answer], float]:
        """Ask for the spamicity with all its digits."""
        used = run([*self._command, "-TT"], text=paths(mail), good=(0, 1, 2))  # its answers
        self._resident_mb = max(self._resident_mb, used.resident_mb)
        scores = [float(line.split()[-1]) for line in used.output.splitlines()]
        return [Answer(score, score >= SPAM_CUTOFF) for score in scores], used.cpu_seconds

    def memory(self) -> dict[str, float]:
        """Return the most that it held while it answered."""
        return {RESIDENT: self._resident_mb}
