"""The reader as it runs: its graph on a device, one message at a time, at its exact length."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winnow.errors import ArtifactError, ReaderError
from winnow.runtime.devices import CPU, load
from winnow.runtime.providers import Feeds, Loaded, reason_of
from winnow.tokens import Tokens

F32 = NDArray[np.float32]

_INPUTS = {"ids": "tensor(int64)", "fields": "tensor(int64)"}
# Of a graph that gives the answer of both stages (compiler/answer.py).
_SCORES = {"reflex": "tensor(float)", "opening": "tensor(float)"}
_ANSWER, _PROBABILITY = "answer", "probability"
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
        cascade: text of the cascade whose answer the graph gives, "" where it gives none.
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
        inputs, outputs = dict(self._loaded.inputs), list(self._loaded.outputs)
        self.cascade = ""
        if inputs == {**_INPUTS, **_SCORES} and outputs[-2:] == [_ANSWER, _PROBABILITY]:
            self.cascade = self._loaded.metadata.get("cascade", "")
            inputs, outputs = _INPUTS, outputs[:-2]
        if inputs != _INPUTS or outputs not in _OUTPUTS:
            raise ArtifactError("reader.onnx is a graph of something else than Winnow's reader.")
        self._outputs = outputs
        self._answers = len(self._loaded.inputs) > len(_INPUTS)
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
        log_odds, *shares = self._run(self._outputs, tokens, 0.0, 0.0)
        return float(log_odds[0]), shares[0][0] if shares else _NO_SHARES

    def answer(
        self, tokens: Tokens, reflex: float, opening: float | None
    ) -> tuple[float, float, F32]:
        """Answer for one message with both stages, in one call of the graph.

        Args:
            tokens: of the message.
            reflex: the first stage's log-odds for it.
            opening: those for how it begins; None where it is no longer than that.

        Returns:
            The log-odds of both stages, and what `read` returns.

        Raises:
            ReaderError: the runtime failed, or gave no number.
        """
        begins = reflex if opening is None else opening
        names = [_ANSWER, *self._outputs]
        answer, log_odds, *shares = self._run(names, tokens, reflex, begins)
        return float(answer[0]), float(log_odds[0]), shares[0][0] if shares else _NO_SHARES

    def _run(
        self, names: Sequence[str], tokens: Tokens, reflex: float, opening: float
    ) -> list[F32]:
        inputs: dict[str, NDArray[Any]] = {
            "ids": tokens.ids[None, :],
            "fields": tokens.fields[None, :],
        }
        if self._answers:
            inputs["reflex"] = np.array([reflex], dtype=np.float32)
            inputs["opening"] = np.array([opening], dtype=np.float32)
        try:
            found: list[F32] = self._loaded.run(names, inputs)
            finite = math.isfinite(float(found[0][0]))
        except Exception as error:
            raise ReaderError(f"the reader failed: {reason_of(error)}") from error
        if not finite:
            raise ReaderError("the reader failed: its answer is no number")
        return found


def probes(loaded: Loaded, lengths: Sequence[int] = PROBE_LENGTHS) -> list[Feeds]:
    """Messages of many lengths, the same each time; none for what is no graph of a reader.

    Args:
        loaded: the graph.
        lengths: in tokens; more than the graph takes is as many as it takes.
    """
    found = [loaded.metadata.get(name, "") for name in ("pieces", "positions", "fields")]
    if not set(loaded.inputs) >= set(_INPUTS) or not all(value.isdecimal() for value in found):
        return []
    pieces, limit, fields = (max(1, int(value)) for value in found)
    chance = np.random.default_rng(_SEED)
    made: list[dict[str, NDArray[Any]]] = [
        {
            "ids": chance.integers(0, pieces, (1, tokens)),
            "fields": chance.integers(0, fields, (1, tokens)),
        }
        for tokens in (min(length, limit) for length in lengths)
    ]
    scores = [name for name in _SCORES if name in loaded.inputs]
    for feeds in made:
        feeds |= {name: chance.normal(0, 5, 1).astype(np.float32) for name in scores}
    return list(made)
