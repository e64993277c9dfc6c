"""What the pages tell a reader to type works as it stands there.

A block marked "console runnable" is run: its lines from "$ " on, in order, all of a page in one
shell, in an empty folder, with a home that has a small Maildir.
"""

from __future__ import annotations

import mailbox
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import Page, markdown
from tests.synthetic import message

SECONDS = 120


def commands(page: Page) -> list[str]:
    """Return the commands of a page's runnable blocks."""
    blocks = [block for block in page.blocks if block.info == "console runnable"]
    return [line[2:] for block in blocks for line in block.lines if line.startswith("$ ")]


RUNNABLE = {page.name: page for page in markdown() if commands(page)}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return a home folder with a Maildir: inbox, receipts and junk, some messages unread."""
    home = tmp_path / "home"
    home.mkdir()
    inbox = mailbox.Maildir(home / "Maildir")
    receipts, junk = inbox.add_folder("Receipts"), inbox.add_folder("Junk")
    for number in range(120):
        (receipts if number % 10 == 0 else inbox).add(message(False, number))
        junk.add(message(True, number))
    return home


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNNABLE)
def test_a_page_runs(name: str, home: Path, tmp_path: Path) -> None:
    """Every runnable command of a page succeeds, one after the other."""
    folder = tmp_path / "work"
    folder.mkdir()
    script = "set -eux\n" + "\n".join(commands(RUNNABLE[name]))
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env={"HOME": str(home), "PATH": path, "LC_ALL": "C.UTF-8"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout.decode("utf-8", "replace")[-3000:]


def test_the_tutorial_is_run() -> None:
    """The mark has not been lost: the first tutorial has its four verbs run."""
    typed = " ".join(commands(RUNNABLE["docs/tutorial/train-on-your-maildir.md"]))
    assert all(f"winnow {verb} " in typed for verb in ("train", "evaluate", "check", "learn"))
