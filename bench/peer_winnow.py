"""Winnow in the comparison: in this process, and as a server."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from bench.daemon import post
from bench.peer import AbstractPeer, Answer, Mail
from bench.usage import cpu_seconds, memory, run
from bench.winnow_server import serving
from winnow.pipeline import Filter

JUNK = 0.9  # the shipped rule calls this spam


class Winnow(AbstractPeer):
    """Both views; trained by the command, asked in this process, without reasons."""

    name = "winnow, in process"

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        folder.mkdir()
        self._model = folder / "model.winnow"
        self._filter: Filter | None = None

    def train(self, mail: Sequence[Mail]) -> float:
        """Run `winnow train` on the folder of the training part."""
        command = [sys.executable, "-m", "winnow", "train", "--view", "both"]
        command += ["--out", str(self._model), str(mail[0].path.parents[1])]
        used = run(command, options={})
        self._filter = Filter.open(self._model)
        return used.cpu_seconds

    def scan(self, mail: Sequence[Mail]) -> tuple[list[Answer], float]:
        """Ask the pipeline."""
        assert self._filter is not None
        start = time.process_time()
        found = [self._filter.check(one.raw, explain=False).probability for one in mail]
        seconds = time.process_time() - start
        return [Answer(value, value >= JUNK) for value in found], seconds

    def memory(self) -> dict[str, float]:
        """Return nothing: this process holds the corpus as well."""
        return {}


class WinnowServer(AbstractPeer):
    """`winnow serve` with the model of the row before, over HTTP, without reasons."""

    name = "winnow serve"

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder, self._stack = folder, stack
        folder.mkdir()

    def train(self, mail: Sequence[Mail]) -> None:
        """Start the server; there is nothing to learn."""
        model = self._folder.parent / "winnow" / "model.winnow"
        self._server = self._stack.enter_context(serving(self._folder, model=model))

    def scan(self, mail: Sequence[Mail]) -> tuple[list[Answer], float]:
        """Ask over HTTP."""
        before = cpu_seconds(self._server.pid)
        bodies = [post(self._server.http, "/v1/check?explain=false", one.raw)[1] for one in mail]
        seconds = cpu_seconds(self._server.pid) - before
        found = [json.loads(body) for body in bodies]
        return [Answer(v["probability"], v["action"] == "junk") for v in found], seconds

    def memory(self) -> dict[str, float]:
        """All of its processes."""
        return memory(self._server.pid)
