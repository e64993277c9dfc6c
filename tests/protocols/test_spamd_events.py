from __future__ import annotations

import os
from pathlib import Path

import pytest

from winnow.protocols.spamd_events import Command, Status

DOCS = Path(__file__).resolve().parents[2] / "docs/reference/spamd.md"


@pytest.mark.parametrize("status", [s for s in Status if s is not Status.TIMEOUT])
def test_status_is_of_sysexits(status: Status) -> None:
    """Clients read the codes of sysexits.h, so ours must be those of the system."""
    assert status == getattr(os, f"EX_{status.name}")


def test_docs_name_every_command() -> None:
    """The reference describes each command and each status."""
    text = DOCS.read_text("utf-8")
    for command in Command:
        assert f"| `{command}` |" in text
    for status in Status:
        assert f"`{int(status)}`" in text
