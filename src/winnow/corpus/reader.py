"""What is this path? The one door into the folder: any form of mail -> Corpus."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from winnow.corpus.archive import TAR_NAMES, corpus_name, open_archive
from winnow.corpus.example import DEFAULT_BOUNDS, Bounds, Corpus, Example, printable
from winnow.corpus.folder import in_maildir, open_folder
from winnow.corpus.framing import HEAD_BYTES
from winnow.corpus.stream import STDIN, is_pipe, open_stream
from winnow.corpus.tar import is_tar
from winnow.corpus.unpack import Unpacker, is_mbox
from winnow.errors import InputError
from winnow.verdict import Label

_ACCEPTED = (
    "expected a message, an mbox, a Maildir, a folder of .eml files, or a corpus as folder or tar "
    "archive (.tar, .tar.gz, .tar.xz, .tar.bz2)"
)
# Forms that would otherwise pass for one odd message.
_FOREIGN = {
    b"PK\x03\x04": "a zip archive",
    b"7z\xbc\xaf\x27\x1c": "a 7-Zip archive",
    b"Rar!\x1a\x07": "a RAR archive",
    b"\x28\xb5\x2f\xfd": "compressed with zstd",
    b"SQLite format 3\x00": "an SQLite database",
    b"!BDN": "an Outlook data file",
}


def open_corpus(
    path: Path, *, label: Label | None = None, bounds: Bounds = DEFAULT_BOUNDS
) -> Corpus:
    """Open mail in any of the forms that docs/reference/corpora.md lists.

    What a path is, is found by looking at it. Names matter in one case: a file named .eml, or in
    cur or new of a Maildir, is one message, whatever bytes it begins with.

    Args:
        path: a file, a folder, or `Path("-")` for standard input.
        label: what all of it is; for mail that carries no labels of its own.
        bounds: what is refused or cut.

    Raises:
        InputError: nothing is there, it cannot be read, it holds no mail, it is damaged or cut
            off, its index has a bad row, or it has labels of its own and `label` was given.
            Damage further inside is found while iterating.
    """
    if is_pipe(path):
        return _open_pipe(path, label, bounds)
    if not path.exists():
        raise InputError(f"{path}: there is no such file or folder; {_ACCEPTED}.")
    if path.is_dir():
        return open_folder(path, label, bounds)
    with open_stream(path, bounds) as stream:
        head = stream.peek(HEAD_BYTES)
    one = path.suffix.lower() == ".eml" or in_maildir(path)
    if not one:
        if is_tar(head):
            return open_archive(path, label, bounds)
        _refuse_foreign(path, head)
    return _open_file(path, label, bounds, one=one or not is_mbox(head, path.name))


def _refuse_foreign(path: Path, head: bytes) -> None:
    what = next((name for magic, name in _FOREIGN.items() if head.startswith(magic)), None)
    if what is not None:
        raise InputError(f"{path}: is {what}; {_ACCEPTED}.")
    if path.name.endswith(TAR_NAMES):
        raise InputError(f"{path}: is not a tar archive, or a damaged one; {_ACCEPTED}.")
    if path.suffix == ".mbox" and not is_mbox(head, path.name):
        raise InputError(
            f'{path}: is not an mbox: it does not begin with a "From SENDER DATE" line.'
        )
    if head.startswith(b"id\tlabel\t"):
        raise InputError(f"{path}: is the index of a corpus; name its folder {path.parent}.")


def _open_file(path: Path, label: Label | None, bounds: Bounds, *, one: bool) -> Corpus:
    name = corpus_name(path)

    def read() -> Iterator[Example]:
        unpacker = Unpacker(name, label, bounds)
        with open_stream(path, bounds) as stream:
            if one:
                yield unpacker.message(stream, str(path))
            else:
                yield from unpacker.messages(stream, str(path))

    return Corpus(name, 1 if one else None, label is not None, read, bounds=bounds)


def _open_pipe(path: Path, label: Label | None, bounds: Bounds) -> Corpus:
    """A pipe cannot be looked at twice, so it is opened when it is read, and once."""
    name = "standard input" if path == STDIN else str(path)
    used: list[bool] = []

    def read() -> Iterator[Example]:
        if used:
            raise InputError(f"{name}: can be read only once; put the mail into a file.")
        used.append(True)
        with open_stream(path, bounds) as stream:
            if label is not None and not stream.peek(1):
                raise InputError(f"{name}: is empty; there is nothing to learn in it.")
            if is_tar(stream.peek(HEAD_BYTES)) or stream.peek(6)[:6] == b"\xfd7zXZ\x00":
                raise InputError(f"{name}: an archive must be named as a file, not piped.")
            yield from Unpacker(name, label, bounds).messages(stream, printable(str(path)))

    return Corpus(name, None, label is not None, read, bounds=bounds)
