"""The form of log lines."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator

import pytest

from winnow.serving import logs


@pytest.fixture(autouse=True)
def _put_back() -> Iterator[None]:
    root, uvicorn = logging.getLogger(), logging.getLogger("uvicorn")
    levels = root.handlers[:], root.level, uvicorn.level
    names = ("raiseExceptions", "_srcfile", "logThreads", "logMultiprocessing")
    switches = {name: getattr(logging, name) for name in names}
    yield
    root.handlers[:] = levels[0]
    root.setLevel(levels[1])
    uvicorn.setLevel(levels[2])
    for name, value in switches.items():
        setattr(logging, name, value)


def test_a_line(capsys: pytest.CaptureFixture[str]):
    """Protects programs that read the log: pairs, in UTC, one line a record."""
    logs.configure("info")
    logging.getLogger("winnow.serving").info("event=%s", "tested")
    logging.getLogger("winnow.serving").debug("event=hidden")
    logging.getLogger("uvicorn.error").info("chatter")
    line = capsys.readouterr().err
    assert re.fullmatch(
        r"time=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z level=INFO pid=\d+ event=tested\n", line
    )


def test_levels(capsys: pytest.CaptureFixture[str]):
    """Protects `--log-level error`: uvicorn keeps to it, too."""
    logs.configure("error")
    logging.getLogger("winnow.serving").warning("event=hidden")
    logging.getLogger("uvicorn.error").warning("hidden")
    assert capsys.readouterr().err == ""
