"""Reads the repository's Markdown and its list of files, for the tests of this folder."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent

_FENCE = re.compile(r"^( *)(`{3,}|~{3,})[ ]*(.*)$")
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} +(.*?) *#*$")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of code.

    Attributes:
        info: what stands after the opening fence, as "console runnable".
        lines: its lines without the fences.
        line: 1-based line of the opening fence.
    """

    info: str
    lines: tuple[str, ...]
    line: int


@dataclass(frozen=True, slots=True)
class Page:
    """A Markdown file, taken apart.

    Attributes:
        path: where it is.
        prose: its text without the blocks of code.
        blocks: the blocks of code, in order.
    """

    path: Path
    prose: str
    blocks: tuple[Block, ...]

    @property
    def name(self) -> str:
        """Path below the root, for messages."""
        return self.path.relative_to(ROOT).as_posix()

    def links(self) -> Iterator[str]:
        """Yield the target of every link."""
        yield from _LINK.findall(re.sub(r"`[^`\n]*`", "``", self.prose))

    def anchors(self) -> set[str]:
        """Return the fragments that GitHub gives to the headings."""
        headings = (_HEADING.match(line) for line in self.prose.splitlines())
        words = (match[1].lower() for match in headings if match)
        return {re.sub(r"[^\w\- ]", "", text).replace(" ", "-") for text in words}


def read(path: Path) -> Page:
    """Take a Markdown file apart."""
    prose: list[str] = []
    blocks: list[Block] = []
    fence, info, start, inside = "", "", 0, list[str]()
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        match = _FENCE.match(line)
        if fence and match and match[2].startswith(fence) and not match[3]:
            blocks.append(Block(info, tuple(inside), start))
            fence = ""
        elif fence:
            inside.append(line)
        elif match:
            fence, info, start, inside = match[2], match[3].strip(), number, []
        else:
            prose.append(line)
    assert not fence, f"{path}:{start}: a block of code without end"
    return Page(path, "\n".join(prose), tuple(blocks))


@cache
def tracked() -> tuple[Path, ...]:
    """Return the files that git tracks or would track; without git, all but what tools leave."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return tuple(sorted(path for path in _walk(ROOT) if path.is_file()))
    names = listed.decode("utf-8").split("\0")
    return tuple(path for name in sorted(set(names)) if name and (path := ROOT / name).is_file())


def _walk(folder: Path) -> Iterator[Path]:
    made = re.compile(r"\.venv|\.git|\..*_cache|\.hypothesis|__pycache__|build|dist")
    for path in folder.iterdir():
        if not made.fullmatch(path.name):
            yield from _walk(path) if path.is_dir() else (path,)


@cache
def markdown() -> tuple[Page, ...]:
    """Return every Markdown page of the repository."""
    return tuple(read(path) for path in tracked() if path.suffix == ".md")
