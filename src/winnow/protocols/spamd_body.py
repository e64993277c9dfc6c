"""The message of a request as it arrives: counted whole, kept in part, inflated within bounds."""

from __future__ import annotations

import zlib

from winnow.errors import RemoteProtocolError
from winnow.protocols.spamd_events import Status

_INFLATE_STEP_BYTES = 256 << 10  # most that one step of a zip bomb can add before it is counted


class Body:
    """Collects one message; never holds more than `keep_bytes` of it and one step.

    Attributes:
        kept: the first bytes of the message, inflated.
        size_bytes: bytes of the message so far, inflated, kept or not.

    Args:
        length: bytes on the wire, or None for all until the client half-closes.
        keep_bytes: how much of the head to keep.
        limit_bytes: size of message to refuse beyond, inflated.
        compressed: whether the bytes on the wire are a zlib stream.

    Raises:
        RemoteProtocolError: an uncompressed message whose length is beyond the limit.
    """

    def __init__(
        self, *, length: int | None, keep_bytes: int, limit_bytes: int, compressed: bool
    ) -> None:
        self.kept = bytearray()
        self.size_bytes = 0
        self._left = length
        self._keep_bytes = keep_bytes
        self._limit_bytes = limit_bytes
        self._inflater = zlib.decompressobj() if compressed else None
        if length is not None and not compressed and length > limit_bytes:
            raise self._too_large()
        if length == 0:
            self._finish()

    @property
    def complete(self) -> bool:
        """Whether all announced bytes have come."""
        return self._left == 0

    def feed(self, data: bytes | memoryview) -> None:
        """Take bytes off the wire; those after the announced length are dropped.

        Raises:
            RemoteProtocolError: too large, or not a zlib stream.
        """
        if self._left is not None:
            data = data[: self._left]
            self._left -= len(data)
        if self._inflater:
            self._inflate(self._inflater, data)
        else:
            self._keep(data)
        if self.complete:
            self._finish()

    def end(self) -> None:
        """Take the client's half-close.

        Raises:
            RemoteProtocolError: fewer bytes came than announced, or a zlib stream is cut short.
        """
        if self._left:
            raise RemoteProtocolError(
                f"message ends {self._left} bytes before its Content-length",
                status=Status.PROTOCOL,
            )
        self._finish()

    def _finish(self) -> None:
        if self._inflater and not self._inflater.eof:
            raise RemoteProtocolError("zlib stream cut short", status=Status.PROTOCOL)

    def _keep(self, data: bytes | memoryview) -> None:
        self.size_bytes += len(data)
        if self.size_bytes > self._limit_bytes:
            raise self._too_large()
        room = self._keep_bytes - len(self.kept)
        if room > 0:
            self.kept += data[:room]

    def _inflate(self, inflater: zlib._Decompress, data: bytes | memoryview) -> None:
        while data:
            if inflater.eof:
                raise RemoteProtocolError("bytes after the zlib stream", status=Status.PROTOCOL)
            try:
                piece = inflater.decompress(data, _INFLATE_STEP_BYTES)
            except zlib.error:
                raise RemoteProtocolError("damaged zlib stream", status=Status.PROTOCOL) from None
            self._keep(piece)
            data = inflater.unconsumed_tail or inflater.unused_data

    def _too_large(self) -> RemoteProtocolError:
        return RemoteProtocolError(
            f"message larger than {self._limit_bytes} bytes", status=Status.DATAERR
        )
