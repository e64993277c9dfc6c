"""What a filter is to the comparison: it trains on mail, answers for mail, and costs something."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.figures import Settings
from winnow.corpus import open_corpus

_FILTERS_OWN = re.compile(rb"(?im)^X-Spam-[^\n]*\n(?:[ \t][^\n]*\n)*")
_HEAD = re.compile(rb"\n\r?\n")


@dataclass(frozen=True, slots=True)
class Mail:
    """One message of the fixed split, the same bytes for every filter.

    Attributes:
        path: a file with these bytes that any user may read.
        repeat: its body is also in the training part.
    """

    raw: bytes
    path: Path
    spam: bool
    repeat: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """What a filter says.

    Attributes:
        score: higher is more like spam; on the filter's own scale.
        spam: whether it calls the message spam by its own default.
    """

    score: float
    spam: bool


class AbstractPeer(ABC):
    """A filter that was started in a folder of its own.

    Attributes:
        name: for the table.
        every: it gets one message in so many, because it is slow.
        note: what a reader of the table must know, found while it ran.
    """

    name: str
    every: int = 1
    note: str = ""

    @abstractmethod
    def train(self, mail: Sequence[Mail]) -> float | None:
        """Learn; return CPU seconds, or None if another row already tells them."""

    @abstractmethod
    def scan(self, mail: Sequence[Mail]) -> tuple[list[Answer], float]:
        """Answer in order; return the answers and CPU seconds."""

    @abstractmethod
    def memory(self) -> dict[str, float]:
        """Memory that answering takes, in MB, by way of counting; empty where none can be told."""


def read_split(settings: Settings, folder: Path) -> tuple[list[Mail], list[Mail]]:
    """Write the messages of the fixed split as files; return its training and its test part."""
    rows = {}
    for line in settings.split.read_text("utf-8").splitlines()[1:]:
        name, _, part, repeated = line.split("\t")
        rows[name] = part, repeated == "1"
    parts: dict[str, list[Mail]] = {"train": [], "test": []}
    for part in parts:
        (folder / part / "msgs").mkdir(parents=True)
    indices = {part: ["id\tlabel"] for part in parts}
    for number, example in enumerate(open_corpus(settings.corpus("spamassassin"))):
        if example.id not in rows or (settings.quick and number % 10):
            continue
        part, repeat = rows[example.id]
        path = folder / part / "msgs" / f"{example.id}.eml"
        raw = unmarked(example.raw)
        path.write_bytes(raw)
        indices[part].append(f"{example.id}\t{example.label}")
        parts[part].append(Mail(raw, path, example.label == "spam", repeat))
    for part, lines in indices.items():
        (folder / part / "index.tsv").write_text("\n".join(lines) + "\n", "utf-8")
    return parts["train"], parts["test"]


def unmarked(raw: bytes) -> bytes:
    """Remove an mbox line and what another filter wrote into the header."""
    if raw.startswith(b"From "):
        raw = raw.partition(b"\n")[2]
    end = match.end() if (match := _HEAD.search(raw)) else len(raw)
    return _FILTERS_OWN.sub(b"", raw[:end]) + raw[end:]


def paths(mail: Sequence[Mail]) -> bytes:
    """Return the names of the files, one a line."""
    return "".join(f"{one.path}\n" for one in mail).encode()
