"""Log lines of the server: `key=value` pairs, never a part of a message.

What comes from outside (a message id, an error's text) is written as a JSON string by whoever logs
it, so that it can neither forge a pair nor a line.
"""

from __future__ import annotations

import logging
import time


class PairFormatter(logging.Formatter):
    """One line a record: time in UTC, level, process, then the message's own pairs."""

    converter = staticmethod(time.gmtime)

    def __init__(self) -> None:
        super().__init__(
            "time=%(asctime)s.%(msecs)03dZ level=%(levelname)s pid=%(process)d %(message)s",
            "%Y-%m-%dT%H:%M:%S",
        )


def configure(level: str) -> None:
    """Log to standard error from now on.

    Args:
        level: "debug", "info", "warning" or "error".
    """
    handler = logging.StreamHandler()
    handler.setFormatter(PairFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # A log nobody reads any more (a closed pipe) must not stop the server.
    logging.raiseExceptions = False
    # No line names its caller or thread, and finding them takes half the time of a line
    # (the three switches are those of "Optimization" in the logging how-to).
    logging._srcfile = None
    logging.logThreads = False
    logging.logMultiprocessing = False
    # uvicorn tells at info what our own lines say already.
    logging.getLogger("uvicorn").setLevel(max(logging.WARNING, logging.getLogger().level))
