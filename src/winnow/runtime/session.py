"""A graph of any kind, ready to run in ONNX Runtime: to prove a pass, and to look inside."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from winnow.errors import InputError

_SILENT = 4
# Optimizers of the runtime's that make a graph slower on the processor: their fused kernels take
# three to six times as long as what they replace (docs/decisions/0009).
SLOWER_ON_CPU = ("SkipLayerNormFusion", "EmbedLayerNormFusion")


class Session:
    """One graph, one thread, on the processor.

    Attributes:
        outputs: names of its outputs.
    """

    def __init__(self, graph: bytes, *, optimised: bool = True) -> None:
        """Load a graph.

        Args:
            graph: bytes of an ONNX file.
            optimised: whether the runtime may rewrite it; without, it runs as it is written.

        Raises:
            InputError: the runtime cannot load it.
        """
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = _SILENT
        levels = ort.GraphOptimizationLevel
        options.graph_optimization_level = (
            levels.ORT_ENABLE_ALL if optimised else levels.ORT_DISABLE_ALL
        )
        try:
            self._session: Any = ort.InferenceSession(
                graph,
                options,
                providers=["CPUExecutionProvider"],
                disabled_optimizers=list(SLOWER_ON_CPU),
            )
        except Exception as error:  # the runtime's errors have no common ancestor
            raise InputError(f"ONNX Runtime cannot load the graph: {first_line(error)}.") from error
        self.outputs = [output.name for output in self._session.get_outputs()]

    def run(
        self, feeds: Mapping[str, NDArray[Any]], names: Sequence[str] | None = None
    ) -> list[NDArray[Any]]:
        """Outputs for one input.

        Raises:
            InputError: the runtime failed on it.
        """
        try:
            found: list[NDArray[Any]] = self._session.run(names, dict(feeds))
        except Exception as error:
            raise InputError(f"ONNX Runtime failed: {first_line(error)}.") from error
        return found


def loaded_nodes(graph: bytes) -> int:
    """How many nodes the runtime executes of a graph after its own optimizer.

    Raises:
        InputError: the runtime cannot load it.
    """
    import onnxruntime as ort

    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "loaded.onnx"
        options = ort.SessionOptions()
        options.log_severity_level = _SILENT
        options.optimized_model_filepath = str(place)
        try:
            ort.InferenceSession(
                graph,
                options,
                providers=["CPUExecutionProvider"],
                disabled_optimizers=list(SLOWER_ON_CPU),
            )
        except Exception as error:
            raise InputError(f"ONNX Runtime cannot load the graph: {first_line(error)}.") from error
        return _count_nodes(place.read_bytes())


def _count_nodes(graph: bytes) -> int:
    import onnx

    return sum(node.op_type != "Constant" for node in onnx.ModelProto.FromString(graph).graph.node)


def first_line(error: Exception) -> str:
    """An error of the runtime's in one line."""
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
