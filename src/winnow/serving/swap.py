"""Reading model and rules anew while the server answers: on a signal, or when the model changes.

What to answer with is opened in a thread beside the old one and then takes its place. One that
cannot be opened is refused, logged and counted; the old one goes on answering.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from winnow.errors import WinnowError
from winnow.serving.engine import Engine
from winnow.serving.filter import AbstractFilter

POLL_SECONDS = 1.0

logger = logging.getLogger("winnow.serving")

Fingerprint = tuple[tuple[str, int, int, int], ...]


def fingerprint(folder: Path | None) -> Fingerprint:
    """Return what changes when a file of the folder is written or replaced.

    Sizes, times and inodes only; whether the files are whole is for the loader to find out.
    A folder that is missing or cannot be read is empty, as is None.
    """
    if folder is None:
        return ()
    found = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                status = entry.stat()
                found.append((entry.name, status.st_ino, status.st_size, status.st_mtime_ns))
    except OSError:
        return ()
    return tuple(sorted(found))


class Swapper:
    """Replaces the engine's filter by a newly opened one.

    Args:
        engine: whose filter.
        open_filter: opens the new one.
        watch: model folder to look at; None for requests only.
        loaded: fingerprint of that folder from before the engine's first filter was opened.

    Attributes:
        requested: set it to have model and rules read anew.
    """

    def __init__(
        self,
        engine: Engine,
        open_filter: Callable[[], AbstractFilter],
        watch: Path | None,
        loaded: Fingerprint,
    ) -> None:
        self.requested = asyncio.Event()
        self._engine = engine
        self._open_filter = open_filter
        self._watch = watch
        self._loaded = loaded

    async def run(self) -> None:
        """Reload for ever: on request, or when the model folder has changed and keeps still.

        A folder that is still being written is left alone for another poll; one that vanished is
        no model to change to.
        """
        before = self._loaded
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self.requested.wait(), POLL_SECONDS)
            now = fingerprint(self._watch)
            if self.requested.is_set():
                self.requested.clear()
                await self.reload("signal")
            elif now and now == before and now != self._loaded:
                await self.reload("changed")
            before = now

    async def reload(self, reason: str) -> bool:
        """Read model and rules anew; return whether they were taken.

        Args:
            reason: a word for the log.
        """
        self._loaded = fingerprint(self._watch)  # before reading: a change from now on is a new one
        try:
            fresh = await asyncio.to_thread(self._open)
        except WinnowError as error:
            self._refuse(reason, str(error))
            return False
        except Exception:
            # A bug in a loader must not stop a server that has a model to answer with.
            logger.exception("event=swap_failed")
            self._refuse(reason, "unexpected error, see above")
            return False
        await self._engine.replace(fresh)
        self._engine.meters.swapped("swapped")
        logger.info("event=swapped reason=%s model=%s", reason, fresh.model)
        return True

    def _open(self) -> AbstractFilter:
        fresh = self._open_filter()
        try:
            fresh.refresh()  # corrections written while it was being opened
        except BaseException:
            fresh.close()
            raise
        return fresh

    def _refuse(self, reason: str, error: str) -> None:
        self._engine.meters.swapped("refused")
        logger.error(
            "event=swap_refused reason=%s kept=%s error=%s",
            reason, self._engine.model, json.dumps(error),
        )  # fmt: skip
