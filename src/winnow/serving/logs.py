"""Log lines of the server: `key=value` pairs, never a part of a message.

What comes from outside (a message id, an error's text) is written as a JSON string by whoever logs
it, so that it can neither forge a pair nor a line.
"""

from __future__ import annotations

import logging
import time


class PairFormatter(logging.Formatter):
    """One line a record: time in UTC, level, process, then the message's own pairs."""

    def __init__(self) -> None:
        super().__init__()
        self._second = 0
        self._stamp = ""  # of that second: most lines share it with the one before

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, and the traceback below it if there is one."""
        second = int(record.created)
        if second != self._second:
            self._second = second
            self._stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        line = (
            f"time={self._stamp}.{int(record.msecs):03}Z level={record.levelname} "
            f"pid={record.process} {record.getMessage()}"
        )
        if record.exc_info:
            return f"{line}\n{self.formatException(record.exc_info)}"
        return line


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
