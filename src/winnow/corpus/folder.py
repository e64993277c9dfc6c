"""A folder -> corpus: one with an index.tsv, a Maildir, or a tree of message files."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from winnow.corpus.archive import (
    TAR_NAMES,
    indexed_example,
    labelled_twice,
    missing_messages,
    several_corpora,
)
from winnow.corpus.example import Bounds, Corpus, Example, printable
from winnow.corpus.framing import HEAD_BYTES
from winnow.corpus.index import INDEX_NAME, Row, read_index
from winnow.corpus.stream import open_stream, read_message, unreadable
from winnow.corpus.unpack import Unpacker, has_eml_name, is_hidden, is_mail
from winnow.errors import InputError
from winnow.verdict import Label

# NAME:2,FLAGS; ";" and "!" stand for ":" on file systems that cannot have one in a name.
_MAILDIR_FLAGS = re.compile(r"[:;!]2,([A-Za-z]*)$")
_TRASHED_OR_DRAFT = frozenset("TD")
_MAIL_PARTS = ("cur", "new")


def open_folder(path: Path, label: Label | None, bounds: Bounds) -> Corpus:
    """Open a folder: half a Maildir, or, in this order: index.tsv, NAME/index.tsv, Maildir, files.

    Raises:
        InputError: it cannot be read, holds no mail, or is labelled twice.
    """
    try:
        if in_maildir(path / "message"):
            whole = path.absolute()
            return _open_maildir(whole.parent, label, bounds, (whole.name,))
        indexes = _indexes(path)
        if len(indexes) > 1:
            raise several_corpora(path, [index.parent.name for index in indexes])
        if indexes:
            return _open_indexed(indexes[0], label, bounds)
        if (path / "cur").is_dir() and (path / "new").is_dir():
            return _open_maildir(path, label, bounds, _MAIL_PARTS)
        return _open_tree(path, label, bounds)
    except OSError as error:
        raise unreadable(error.filename or path, error) from error


def _indexes(path: Path) -> list[Path]:
    if (path / INDEX_NAME).is_file():
        return [path / INDEX_NAME]
    return sorted(path.glob(f"*/{INDEX_NAME}"))


def _open_indexed(index: Path, label: Label | None, bounds: Bounds) -> Corpus:
    if label is not None:
        raise labelled_twice(index.parent)
    if index.stat().st_size > bounds.max_index_bytes:
        raise InputError(f"{index}: larger than {bounds.max_index_bytes:,} bytes; split it.")
    with index.open("rb") as lines:
        rows = read_index(lines, str(index))
    if not rows:
        raise InputError(f"{index}: lists no messages.")
    folder = index.parent / "msgs"
    present = {entry.name for entry in os.scandir(folder)}
    missing = [id_ for id_ in rows if f"{id_}.eml" not in present]
    if missing:
        raise missing_messages(str(index), missing)
    name = printable(index.parent.resolve().name)

    def read() -> Iterator[Example]:
        for id_, row in rows.items():
            yield _indexed(folder / f"{id_}.eml", id_, row, name, bounds)

    return Corpus(name, len(rows), labelled=True, read=read, bounds=bounds)


def _indexed(path: Path, id_: str, row: Row, source: str, bounds: Bounds) -> Example:
    try:
        with path.open("rb") as stream:
            raw, size = read_message(stream, bounds.max_message_bytes)
    except OSError as error:
        raise unreadable(path, error) from error
    return indexed_example(id_, row, raw, size, source)


@dataclass(frozen=True, slots=True)
class _Files:
    """Message files below a folder, read in this order."""

    folder: Path
    names: list[str]
    label: Label | None
    bounds: Bounds
    maildir: bool = False

    def corpus(self) -> Corpus:
        source = printable(self.folder.resolve().name or str(self.folder))

        def read() -> Iterator[Example]:
            unpacker = Unpacker(source, self.label, self.bounds)
            for name in self.names:
                yield from self._messages(name, unpacker)

        return Corpus(source, len(self.names), self.label is not None, read, bounds=self.bounds)

    def _messages(self, name: str, unpacker: Unpacker) -> Iterator[Example]:
        path = self.folder / name
        # A mail program may move a Maildir's message while we read the ones before it.
        if self.maildir and not path.exists():
            return
        with open_stream(path, self.bounds) as stream:
            if self.maildir:  # a file of it is one message, also when it begins as an mbox does
                yield unpacker.message(stream, os.fsencode(name))
            else:
                yield from unpacker.messages(stream, os.fsencode(name))


def in_maildir(file: Path) -> bool:
    """Whether a file lies where a Maildir keeps its messages."""
    part = file.absolute().parent
    return part.name in _MAIL_PARTS and all((part.parent / each).is_dir() for each in _MAIL_PARTS)


def _open_maildir(
    path: Path, label: Label | None, bounds: Bounds, parts: tuple[str, ...]
) -> Corpus:
    """Open cur and new, oldest first; subfolders (".Junk") are Maildirs of their own."""
    found: list[tuple[int, str, str]] = []
    for part in parts:
        for entry in os.scandir(path / part):
            match = _MAILDIR_FLAGS.search(entry.name)
            unwanted = match is not None and _TRASHED_OR_DRAFT & set(match[1])
            if unwanted or entry.name.startswith(".") or not entry.is_file():
                continue
            # maildir(5): the name begins with the second of delivery.
            seconds = entry.name.partition(".")[0]
            delivered = int(seconds) if seconds.isascii() and seconds.isdigit() else 0
            found.append((delivered, entry.name, f"{part}/{entry.name}"))
    names = [name for _, _, name in sorted(found)]
    return _Files(path, names, label, bounds, maildir=True).corpus()


def _open_tree(path: Path, label: Label | None, bounds: Bounds) -> Corpus:
    """Files named .eml if there are any, else all that begin like mail (MH, SpamAssassin's)."""
    every = list(_walk(path, bounds))
    names = [name for name in every if has_eml_name(name)]
    if not names:
        names = [name for name in every if _begins_like_mail(path / name, bounds)]
    if not names:
        archives = any(name.endswith(TAR_NAMES) for name in every)
        hint = " It holds tar archives: name them one by one." if archives else ""
        raise InputError(
            f"{path}: no mail found in this folder; expected .eml files, a Maildir (cur and new), "
            f"files that begin with a mail header, or {INDEX_NAME} with msgs/.{hint}"
        )
    return _Files(path, names, label, bounds).corpus()


def _walk(path: Path, bounds: Bounds) -> Iterator[str]:
    """Yield the files below a folder in a fixed order; links to folders are not followed."""

    def refuse(error: OSError) -> None:
        raise error

    count = 0
    for folder, folders, files in os.walk(path, onerror=refuse):
        folders[:] = sorted(name for name in folders if not is_hidden(name))
        for name in sorted(files):
            full = Path(folder, name)
            if is_hidden(name) or not full.is_file():
                continue
            count += 1
            if count > bounds.max_messages:
                raise InputError(f"{path}: more than {bounds.max_messages:,} files; split it.")
            yield full.relative_to(path).as_posix()


def _begins_like_mail(path: Path, bounds: Bounds) -> bool:
    with open_stream(path, bounds) as stream:
        return is_mail(stream.peek(HEAD_BYTES))
