"""The reader as it runs: its graph on a device, one message at a time, at its exact length."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from winnow.errors import ArtifactError, ReaderError
from winnow.runtime.devices import CPU, load
from winnow.runtime.providers import Feeds, Loaded, reason_of
from winnow.tokens import Tokens

F32 = NDArray[np.float32]

_INPUTS = {"ids": "tensor(int64)", "fields": "tensor(int64)"}
# Shares are where the answer is a mean over tokens; else reasons are found without them.
_OUTPUTS = (["log_odds", "shares"], ["log_odds"])
_NO_SHARES: F32 = np.zeros(0, dtype=np.float32)
# Short ones first, and again after long ones: faults of a device show when the length changes.
PROBE_LENGTHS = (1, 2, 8, 15, 16, 17, 24, 32, 64, 128, 256, 40, 8)
_SEED = 20_261_125


class Reader:
    """A graph that is ready to answer; may be asked in several threads.

    Attributes:
        pieces: how many pieces the graph knows.
        limit: most tokens of a message.
        device: that its graph runs on.
    """

    def __init__(self, graph: bytes, device: str = CPU) -> None:
        """Load a graph.

        Args:
            graph: bytes of an ONNX file.
            device: name of the device that it is to run on, or "auto".

        Raises:
            ArtifactError: it is no graph of a reader, or ONNX Runtime is not installed.
            DeviceError: the device is not to be had, does not take the graph, or does not
                answer as the processor does.
        """
        self._loaded = load(graph, device, "reader.onnx", proof=probes)
        self.device = self._loaded.device
        self._outputs = list(self._loaded.outputs)
        if self._loaded.inputs != _INPUTS or self._outputs not in _OUTPUTS:
            raise ArtifactError("reader.onnx is a graph of something else than Winnow's reader.")
        sizes = self._loaded.metadata
        try:
            self.pieces, self.limit = int(sizes["pieces"]), int(sizes["positions"])
        except (KeyError, TypeError, ValueError) as error:
            raise ArtifactError("reader.onnx does not say for how many pieces it is.") from error

    def read(self, tokens: Tokens) -> tuple[float, F32]:
        """Answer for one message.

        Returns:
            The reader's log-odds, before the cascade weighs them, and what each token adds, (t,):
            their mean is the log-odds. (0,) where the graph does not tell.

        Raises:
            ReaderError: the runtime failed, or gave no number.
        """
        inputs = {"ids": tokens.ids[None, :], "fields": tokens.fields[None, :]}
        try:
            log_odds, *shares = self._loaded.run(self._outputs, inputs)
            value = float(log_odds[0])
        except Exception as error:
            raise ReaderError(f"the reader failed: {reason_of(error)}") from error
        if not math.isfinite(value):
            raise ReaderError("the reader failed: its answer is no number")
        return value, shares[0][0] if shares else _NO_SHARES


def probes(loaded: Loaded, lengths: Sequence[int] = PROBE_LENGTHS) -> list[Feeds]:
    """Messages of many lengths, the same each time; none for what is no graph of a reader.

    Args:
        loaded: the graph.
        lengths: in tokens; more than the graph takes is as many as it takes.
    """
    found = [loaded.metadata.get(name, "") for name in ("pieces", "positions", "fields")]
    if set(loaded.inputs) != set(_INPUTS) or not all(value.isdecimal() for value in found):
        return []
    pieces, limit, fields = (max(1, int(value)) for value in found)
    chance = np.random.default_rng(_SEED)
    return [
        {
            "ids": chance.integers(0, pieces, (1, tokens)),
            "fields": chance.integers(0, fields, (1, tokens)),
        }
        for tokens in (min(length, limit) for length in lengths)
    ]
