"""Opening a file as one sequential stream of bytes, decompressed, counted and with plain errors.

What is compressed is told from the first bytes; only a file named .eml is taken as it is, since a
message may begin with any bytes. Nothing is written to disk.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import stat
import sys
import zlib
from pathlib import Path
from typing import Protocol, cast

from winnow.corpus.example import Bounds
from winnow.errors import InputError

STDIN = Path("-")
_BUFFER_BYTES = 1 << 16


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...

    def close(self) -> None: ...


class Stream(io.RawIOBase):
    """Bytes of one input.

    Every fault of the input leaves as an InputError that names it: damage, an early end, a disk
    that cannot be read, and more bytes than `allowed`.
    """

    def __init__(
        self, inner: _Readable, name: str, allowed: int | None, file: _Readable | None = None
    ) -> None:
        super().__init__()
        self._inner = inner
        self._file = file or inner
        self._name = name
        self._left = allowed

    def readable(self) -> bool:
        """Return True."""
        return True

    def close(self) -> None:
        """Close the input, unless it is standard input, which is not ours."""
        if self._inner is not sys.stdin.buffer:
            self._inner.close()
            self._file.close()
        super().close()

    def readinto(self, buffer: object) -> int:
        """Fill the buffer; fewer bytes than it holds means that the end has come.

        Raises:
            InputError: see the class.
        """
        view = memoryview(cast(bytearray, buffer))
        data = self._read(len(view))
        view[: len(data)] = data
        if self._left is not None:
            self._left -= len(data)
            if self._left < 0:
                raise InputError(
                    f"{self._name}: expands to far more bytes than mail does (a decompression "
                    "bomb?); unpack it and name the folder."
                )
        return len(data)

    def _read(self, size: int) -> bytes:
        try:
            return self._inner.read(size)
        except EOFError as error:
            raise InputError(
                f"{self._name}: cut off in the middle of the compressed data; copy it again."
            ) from error
        except OSError as error:
            if error.errno is not None:
                raise unreadable(self._name, error) from error
            raise self._damaged(error) from error
        except (lzma.LZMAError, zlib.error) as error:
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> InputError:
        return InputError(f"{self._name}: the compressed data is damaged ({error}); copy it again.")


def unreadable(name: object, error: OSError) -> InputError:
    """Return the error for a path that the system refuses to read."""
    return InputError(f"{name}: cannot be read: {error.strerror or error}.")


def is_pipe(path: Path) -> bool:
    """Whether a path can be read once only: "-", or a FIFO such as /dev/stdin or <(command)."""
    return path == STDIN or path.is_fifo()


def open_stream(path: Path, bounds: Bounds) -> io.BufferedReader:
    """Open a file or "-", decompressing xz, gzip and bzip2.

    Returns:
        A reader whose first `peek` gives 64 KiB, or all there is.

    Raises:
        InputError: it cannot be read or is not a file; later, from reading, see `Stream`.
    """
    if path == STDIN:
        stream = Stream(sys.stdin.buffer, "standard input", bounds.max_pipe_bytes)
        return io.BufferedReader(stream, _BUFFER_BYTES)
    try:
        file = path.open("rb")
    except OSError as error:
        raise unreadable(path, error) from error
    mode = path.stat().st_mode
    if stat.S_ISFIFO(mode):
        return io.BufferedReader(Stream(file, str(path), bounds.max_pipe_bytes), _BUFFER_BYTES)
    if not stat.S_ISREG(mode):
        file.close()
        raise InputError(f"{path}: is a device or a socket; name a file or a folder of mail.")
    try:
        return decompressed(file, str(path), path.stat().st_size, bounds)
    except OSError as error:  # the first bytes are read here
        file.close()
        raise unreadable(path, error) from error


def decompressed(
    file: io.BufferedReader, name: str, size: int, bounds: Bounds
) -> io.BufferedReader:
    """Return a file's bytes, seen through xz, gzip or bzip2 unless its name ends in .eml.

    Args:
        file: at its first byte; closed with what is returned.
        name: of the file, for errors.
        size: of the file, in bytes.
        bounds: what is refused.
    """
    inner = file if name.lower().endswith(".eml") else _decompressor(file)
    allowed = None
    if inner is not file:
        allowed = max(bounds.max_expansion * size, bounds.expansion_floor_bytes)
    return io.BufferedReader(Stream(inner, name, allowed, file), _BUFFER_BYTES)


def _decompressor(file: io.BufferedReader) -> _Readable:
    magic = file.peek(6)[:6]
    if magic == b"\xfd7zXZ\x00":
        return lzma.LZMAFile(file)
    if magic[:2] == b"\x1f\x8b":
        return cast(_Readable, gzip.GzipFile(fileobj=file))
    if magic[:3] == b"BZh":
        return cast(_Readable, bz2.BZ2File(file))
    return file


def read_message(stream: io.BufferedIOBase, max_bytes: int) -> tuple[bytes, int]:
    """Read a stream to its end as one message.

    Returns:
        Its first `max_bytes` bytes, and how many there were.
    """
    kept = io.BytesIO()  # gives up its bytes without a copy, unlike a list of pieces
    size = 0
    while data := stream.read(_BUFFER_BYTES):
        if size < max_bytes:
            kept.write(data[: max_bytes - size])
        size += len(data)
    return kept.getvalue(), size
