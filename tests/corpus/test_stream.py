from __future__ import annotations

import bz2
import errno
import gzip
import io
import lzma
import os
import sys
import tracemalloc
from pathlib import Path

import pytest

from winnow.corpus.example import Bounds
from winnow.corpus.stream import STDIN, Stream, is_pipe, open_stream, read_message
from winnow.errors import InputError

TEXT = b"Subject: x\n\n" + os.urandom(3000).hex().encode()
COMPRESSORS = {"xz": lzma.compress, "gz": gzip.compress, "bz2": bz2.compress}


def read(path: Path, bounds: Bounds | None = None) -> bytes:
    with open_stream(path, bounds or Bounds()) as stream:
        return stream.read()


@pytest.mark.parametrize("kind", COMPRESSORS)
def test_compression_is_seen_through_whatever_the_name(tmp_path: Path, kind: str) -> None:
    """Content decides; the name does not."""
    path = tmp_path / "mail"
    path.write_bytes(COMPRESSORS[kind](TEXT))
    assert read(path) == TEXT


@pytest.mark.parametrize("kind", COMPRESSORS)
def test_cut_compressed_file_says_so(tmp_path: Path, kind: str) -> None:
    """Half a download is not taken for the whole."""
    path = tmp_path / "mail"
    data = COMPRESSORS[kind](TEXT)
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match="cut off"):
        read(path)


@pytest.mark.parametrize("kind", COMPRESSORS)
def test_damaged_compressed_file_says_so(tmp_path: Path, kind: str) -> None:
    """A flipped byte is an InputError that names the file."""
    path = tmp_path / "mail"
    data = bytearray(COMPRESSORS[kind](TEXT))
    data[len(data) // 2] ^= 0x55
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"mail: .*(damaged|cut off)"):
        read(path)


def test_bomb_is_refused(tmp_path: Path) -> None:
    """A few kilobytes do not expand for ever."""
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(bytes(3_000_000)))
    bounds = Bounds(max_expansion=250, expansion_floor_bytes=1_000_000)
    with pytest.raises(InputError, match="decompression bomb"):
        read(path, bounds)
    assert len(read(path)) == 3_000_000


def test_system_errors_are_input_errors(tmp_path: Path) -> None:
    """A missing path, a device and a failing disk are each a sentence."""
    with pytest.raises(InputError, match="No such file"):
        read(tmp_path / "none")
    with pytest.raises(InputError, match="device"):
        read(Path("/dev/null"))

    class Failing(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError(errno.EIO, "Input/output error")

    with pytest.raises(InputError, match="disk: cannot be read: Input/output error"):
        Stream(Failing(), "disk", None).read(10)


def test_standard_input_stays_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading standard input does not take it from the rest of the program."""
    stdin = io.TextIOWrapper(io.BytesIO(TEXT))
    monkeypatch.setattr(sys, "stdin", stdin)
    assert read(STDIN) == TEXT
    assert not stdin.closed
    assert is_pipe(STDIN)
    assert not is_pipe(Path(__file__))


def test_endless_pipe_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe has no size, so it has a bound."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(bytes(100))))
    with pytest.raises(InputError, match="standard input"):
        read(STDIN, Bounds(max_pipe_bytes=99))


@pytest.mark.parametrize("size", [0, 99, 100, 101, 70_000, 200_000])
def test_message_is_cut_at_the_bound_and_its_size_told(size: int) -> None:
    """The caller learns how long the message really was."""
    data = os.urandom(size)
    assert read_message(io.BytesIO(data), 100) == (data[:100], size)
    assert read_message(io.BytesIO(data), 1 << 20) == (data, size)


def test_a_disk_that_fails_at_the_first_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the file, also when its beginning cannot be read."""

    def fail(file: object) -> object:
        raise OSError(errno.EIO, "Input/output error")

    (tmp_path / "mail").write_bytes(TEXT)
    monkeypatch.setattr("winnow.corpus.stream._decompressor", fail)
    with pytest.raises(InputError, match=r"mail: cannot be read: Input/output error"):
        read(tmp_path / "mail")


def test_a_large_message_is_held_once() -> None:
    """Reading 50 MB does not take 100 MB."""
    raw = bytes(20 << 20)
    tracemalloc.start()
    try:
        kept, size = read_message(io.BytesIO(raw), 1 << 30)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (len(kept), size) == (len(raw), len(raw))
    assert peak < 1.5 * len(raw)
