"""A tar archive -> corpus. Read twice at most, from front to back, without unpacking it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from winnow.corpus.example import Bounds, Corpus, Example, printable
from winnow.corpus.framing import HEAD_BYTES, strip_from_line
from winnow.corpus.index import INDEX_NAME, Row, read_index
from winnow.corpus.stream import decompressed, open_stream
from winnow.corpus.tar import Member, read_members
from winnow.corpus.unpack import Unpacker, has_eml_name, is_hidden, is_mail
from winnow.errors import InputError
from winnow.verdict import Label

TAR_NAMES = (".tar", ".tgz", ".txz", ".tbz2", ".tar.gz", ".tar.xz", ".tar.bz2")


@dataclass(slots=True)
class _Contents:
    """What a first look found.

    Attributes:
        base: folder of the index within the archive.
        rows: of the index, by id; None without one.
        eml: members named .eml, counted to the archive's end when there is no index.
        files: regular files, counted likewise.
    """

    base: PurePosixPath = field(default_factory=PurePosixPath)
    rows: dict[str, Row] | None = None
    eml: int = 0
    files: int = 0


def open_archive(path: Path, label: Label | None, bounds: Bounds) -> Corpus:
    """Open a tar archive, compressed or not, with NAME/index.tsv or with plain messages.

    Raises:
        InputError: damaged, cut off, without messages, or labelled twice (index and `label`).
    """
    contents = _look(path, bounds)
    if contents.rows is not None:
        if label is not None:
            raise labelled_twice(path)
        reader = _Indexed(path, contents.base, contents.rows, bounds)
        return Corpus(
            reader.name,
            len(contents.rows),
            labelled=True,
            read=reader.read,
            stored_in_order=False,
            bounds=bounds,
        )
    if contents.files == 0:
        raise InputError(
            f"{path}: the archive holds no files; expected .eml messages or NAME/index.tsv."
        )
    plain = _Plain(path, label, bounds, only_eml=contents.eml > 0)
    hint = contents.eml or None
    return Corpus(plain.name, hint, label is not None, plain.read, bounds=bounds)


def labelled_twice(path: Path) -> InputError:
    """Return the error for a label given to a corpus that has its own."""
    return InputError(
        f"{path}: has its own labels in {INDEX_NAME}; name it without --spam or --ham."
    )


def corpus_name(path: Path) -> str:
    """Return a short name for a file: its own without what the reader saw through."""
    name = path.name
    for suffix in (".xz", ".gz", ".bz2", ".tgz", ".txz", ".tbz2", ".tar", ".mbox"):
        name = name.removesuffix(suffix)
    return printable(name)


def _look(path: Path, bounds: Bounds) -> _Contents:
    """Find the index; without one, see the archive through to its end."""
    contents = _Contents()
    with open_stream(path, bounds) as stream:
        for member in read_members(stream, str(path), bounds.max_messages):
            name = PurePosixPath(printable(member.name))
            if _is_index(name):
                contents.base = name.parent
                contents.rows = _rows(member, f"{path}/{name}", bounds)
                return contents
            if not _is_passed_over(str(name)):
                contents.files += 1
                contents.eml += has_eml_name(str(name))
    return contents


def _is_passed_over(name: str) -> bool:
    """Whether a member is hidden, other than by lying in the archived folder (tar c .Junk)."""
    parts = PurePosixPath(name).parts
    return is_hidden("/".join(parts[1:] or parts))


def _is_index(name: PurePosixPath) -> bool:
    return name.name == INDEX_NAME and len(name.parts) <= 2


def _rows(member: Member, name: str, bounds: Bounds) -> dict[str, Row]:
    if member.size > bounds.max_index_bytes:
        raise InputError(f"{name}: larger than {bounds.max_index_bytes:,} bytes; split the corpus.")
    rows = read_index(member.open(), name)
    if not rows:
        raise InputError(f"{name}: lists no messages.")
    return rows


@dataclass(frozen=True, slots=True)
class _Indexed:
    """NAME/index.tsv and NAME/msgs/ID.eml; the index may stand anywhere in the archive."""

    path: Path
    base: PurePosixPath
    rows: dict[str, Row]
    bounds: Bounds

    @property
    def name(self) -> str:
        return self.base.name or corpus_name(self.path)

    def read(self) -> Iterator[Example]:
        prefix = f"{self.base / 'msgs'}/"
        missing = dict.fromkeys(self.rows)
        with open_stream(self.path, self.bounds) as stream:
            for member in read_members(stream, str(self.path), self.bounds.max_messages):
                name = printable(member.name)
                id_ = name.removeprefix(prefix).removesuffix(".eml")
                if id_ in missing and name == f"{prefix}{id_}.eml":
                    del missing[id_]
                    yield self._example(id_, member)
                elif name.endswith(INDEX_NAME):
                    self._refuse_second(PurePosixPath(name))
        if missing:
            raise missing_messages(f"{self.path}/{self.base / INDEX_NAME}", list(missing))

    def _example(self, id_: str, member: Member) -> Example:
        raw = member.read(self.bounds.max_message_bytes)
        return indexed_example(id_, self.rows[id_], raw, member.size, self.name)

    def _refuse_second(self, name: PurePosixPath) -> None:
        if _is_index(name) and name.parent != self.base:
            raise several_corpora(self.path, [self.base.name, name.parent.name])


def indexed_example(id_: str, row: Row, raw: bytes, size: int, source: str) -> Example:
    """Join a row of an index with the bytes it speaks of."""
    message = strip_from_line(raw)
    whole = size - (len(raw) - len(message))
    return Example(id_, message, row.label, row.order, source, whole)


def missing_messages(index: str, ids: list[str]) -> InputError:
    """Return the error for an index that lists what is not there."""
    return InputError(
        f"{index}: lists {len(ids):,} message(s) that are not in msgs/, the first {ids[0]!r}; "
        "is the copy complete?"
    )


def several_corpora(path: Path, names: list[str]) -> InputError:
    """Return the error for a place that holds more than one corpus."""
    return InputError(
        f"{path}: holds {len(names)} corpora ({', '.join(names[:5])} ...); name one at a time."
    )


@dataclass(frozen=True, slots=True)
class _Plain:
    """Files without an index: those named .eml if there are any, else all that begin like mail."""

    path: Path
    label: Label | None
    bounds: Bounds
    only_eml: bool

    @property
    def name(self) -> str:
        return corpus_name(self.path)

    def read(self) -> Iterator[Example]:
        unpacker = Unpacker(self.name, self.label, self.bounds)
        found = False
        with open_stream(self.path, self.bounds) as stream:
            for member in read_members(stream, str(self.path), self.bounds.max_messages):
                name = printable(member.name)
                if _is_passed_over(name) or (self.only_eml and not has_eml_name(name)):
                    continue
                whole = f"{self.path}/{name}"
                body = decompressed(member.open(), whole, member.size, self.bounds)
                if self.only_eml or is_mail(body.peek(HEAD_BYTES)):
                    found = True
                    yield from unpacker.messages(body, name)
        if not found:
            raise InputError(
                f"{self.path}: no file in the archive is a message; expected .eml files, or files "
                "that begin with a mail header."
            )
