"""The reader as it runs: its graph in ONNX Runtime, one message at a time, at its exact length."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winnow.errors import ArtifactError, ReaderError
from winnow.tokens import Tokens

F32 = NDArray[np.float32]

_INPUTS = {"ids": "tensor(int64)", "fields": "tensor(int64)"}
_OUTPUTS = ["log_odds", "shares"]
_SILENT = 3  # only errors: a warning of the runtime tells a mail admin nothing


class Reader:
    """A graph that is ready to answer; may be asked in several threads.

    Attributes:
        pieces: how many pieces the graph knows.
        limit: most tokens of a message.
    """

    def __init__(self, graph: bytes) -> None:
        """Load a graph.

        Raises:
            ArtifactError: it is no graph of a reader, or ONNX Runtime is not installed.
        """
        try:
            import onnxruntime as ort
        except ImportError as error:
            raise ArtifactError(
                "the reader needs onnxruntime, which is not installed; install Winnow again."
            ) from error
        options = ort.SessionOptions()
        # A message is read in one thread: there are others to read at the same time.
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = _SILENT
        try:
            self._session: Any = ort.InferenceSession(
                graph, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # the runtime's errors have no common ancestor
            raise ArtifactError(f"reader.onnx cannot be loaded: {_first_line(error)}.") from error
        found = {entry.name: entry.type for entry in self._session.get_inputs()}
        if found != _INPUTS or [o.name for o in self._session.get_outputs()] != _OUTPUTS:
            raise ArtifactError("reader.onnx is a graph of something else than Winnow's reader.")
        sizes = self._session.get_modelmeta().custom_metadata_map
        try:
            self.pieces, self.limit = int(sizes["pieces"]), int(sizes["positions"])
        except (KeyError, TypeError, ValueError) as error:
            raise ArtifactError("reader.onnx does not say for how many pieces it is.") from error

    def read(self, tokens: Tokens) -> tuple[float, F32]:
        """Answer for one message.

        Returns:
            The reader's log-odds, before the cascade weighs them, and what each token adds, (t,):
            their mean is the log-odds.

        Raises:
            ReaderError: the runtime failed, or gave no number.
        """
        inputs = {"ids": tokens.ids[None, :], "fields": tokens.fields[None, :]}
        try:
            log_odds, shares = self._session.run(_OUTPUTS, inputs)
            value = float(log_odds[0])
        except Exception as error:
            raise ReaderError(f"the reader failed: {_first_line(error)}") from error
        if not math.isfinite(value):
            raise ReaderError("the reader failed: its answer is no number")
        return value, shares[0]


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
