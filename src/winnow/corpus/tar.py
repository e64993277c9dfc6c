"""Reading a tar archive from front to back: ustar, GNU and pax headers.

Why not `tarfile`: in stream mode it ends without a word at a damaged header or a missing end, as
if the archive were whole; it keeps every member in memory; and it takes in extended headers of
any size. Here all three are errors or bounded. Nothing is extracted, and a member is passed over
unless it is a regular file with a relative name that stays inside the archive.

Format: POSIX.1-2017 pax, "ustar Interchange Format"; GNU tar manual, "Basic Tar Format".
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

from winnow.errors import InputError

BLOCK = 512
_MAX_EXTENDED = 1 << 20
_STEP = 1 << 20
_REGULAR = b"0\x007"
# Members that have a size field but no data: links, devices, folders, FIFOs.
_WITHOUT_DATA = b"123456"
_TOO_LONG = "a member's name is longer than a megabyte"


@dataclass(frozen=True, slots=True)
class Member:
    """A regular file of an archive.

    Attributes:
        name: as stored, without "./" at its head.
        size: bytes.

    Its bytes can be read, once and in one of two ways, until the next member is asked for.
    """

    name: bytes
    size: int
    _body: _Body

    def read(self, max_bytes: int) -> bytes:
        """Return at most the first `max_bytes` bytes."""
        return self._body.take(min(self.size, max_bytes))

    def open(self) -> io.BufferedReader:
        """Return the bytes as a stream."""
        return io.BufferedReader(self._body)


def is_tar(head: bytes) -> bool:
    """Whether the first 512 bytes are the header of an archive's member."""
    return len(head) >= BLOCK and _checksum_holds(head[:BLOCK])


def read_members(stream: io.BufferedReader, archive: str, max_members: int) -> Iterator[Member]:
    """Yield the regular files of an archive.

    Args:
        stream: positioned at the first header.
        archive: its name, for errors.
        max_members: refuse more headers than this.

    Raises:
        InputError: cut off, damaged, or more than `max_members`.
    """
    reader = _Reader(stream, archive)
    extended: dict[bytes, bytes] = {}
    for _ in range(max_members + 1):
        header = reader.header()
        if header is None:
            return
        kind, size = header[156:157], _size(header, extended, reader)
        if kind in b"xLKg":
            extended.update(_extended(kind, reader.small(size)))
            continue
        name = extended.get(b"path") or _name(header)
        extended = {}
        body = _Body(reader, 0 if kind in _WITHOUT_DATA else size)
        if kind in _REGULAR and _is_inside(name):
            yield Member(name.removeprefix(b"./"), size, body)
        if kind == b"S":
            raise reader.error("holds a sparse file; make it again without tar's option --sparse")
        body.skip()
    raise InputError(f"{archive}: holds more than {max_members:,} members; split it.")


class _Reader:
    """The archive's stream, read in exact amounts."""

    def __init__(self, stream: io.BufferedReader, archive: str) -> None:
        self._stream = stream
        self._archive = archive
        self._offset = 0

    def header(self) -> bytes | None:
        """Return the next header, or None at the mark of the archive's end."""
        block = self.exactly(BLOCK)
        if block.count(0) == BLOCK:
            return None
        if not _checksum_holds(block):
            raise self.error("damaged")
        return block

    def exactly(self, size: int) -> bytes:
        data = self._stream.read(size)
        self._offset += len(data)
        if len(data) < size:
            raise self.error("the archive is cut off")
        return data

    def small(self, size: int) -> bytes:
        """Return the data of an extended header."""
        if size > _MAX_EXTENDED:
            raise self.error(_TOO_LONG)
        return self.exactly(size + -size % BLOCK)[:size]

    def error(self, reason: str) -> InputError:
        return InputError(
            f"{self._archive}: {reason} (at byte {self._offset:,}); copy or make it again."
        )


class _Body(io.RawIOBase):
    """The data of one member."""

    def __init__(self, reader: _Reader, size: int) -> None:
        super().__init__()
        self._reader = reader
        self._left = size
        self._padding = -size % BLOCK

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(cast(bytearray, buffer))
        data = self.take(len(view))
        view[: len(data)] = data
        return len(data)

    def take(self, size: int) -> bytes:
        data = self._reader.exactly(min(size, self._left))
        self._left -= len(data)
        return data

    def skip(self) -> None:
        """Leave the archive's stream at the next header."""
        while self._left:
            self.take(_STEP)
        self._reader.exactly(self._padding)


def _checksum_holds(header: bytes) -> bool:
    """POSIX: the sum of the header's bytes with the checksum's own eight as blanks."""
    try:
        stored = int(header[148:156].strip(b" \0") or b"x", 8)
    except ValueError:
        return False
    return stored == sum(header) - sum(header[148:156]) + 8 * 32


def _size(header: bytes, extended: dict[bytes, bytes], reader: _Reader) -> int:
    field = header[124:136]
    try:
        if b"size" in extended and header[156:157] not in b"xLKg":
            size = int(extended[b"size"])
        elif field[0] == 0x80:  # GNU: binary, for 8 GiB and more
            size = int.from_bytes(field[1:], "big")
        else:
            size = int(field.strip(b" \0") or b"0", 8)
    except ValueError:
        size = -1
    if size < 0:
        raise reader.error("damaged: a member without a size")
    return size


def _extended(kind: bytes, data: bytes) -> dict[bytes, bytes]:
    """Return what an extended header says of the member after it."""
    if kind == b"L":  # GNU long name
        return {b"path": data.rstrip(b"\0")}
    if kind != b"x":  # K: long name of a link; g: defaults for all members, which name none
        return {}
    found: dict[bytes, bytes] = {}
    while data:
        length, _, _ = data.partition(b" ")
        if not length.isdigit() or not 0 < int(length) <= len(data):
            break
        key, _, value = data[len(length) + 1 : int(length) - 1].partition(b"=")
        found[key] = value
        data = data[int(length) :]
    return {key: found[key] for key in (b"path", b"size") if key in found}


def _name(header: bytes) -> bytes:
    name = header[:100].partition(b"\0")[0]
    prefix = header[345:500].partition(b"\0")[0]
    # Old GNU headers keep times where ustar keeps the prefix.
    if prefix and header[257:263] == b"ustar\0":
        return prefix + b"/" + name
    return name


def _is_inside(name: bytes) -> bool:
    parts = name.split(b"/")
    return bool(parts[-1]) and not name.startswith(b"/") and b".." not in parts
