"""ONNX Runtime's own optimisers: graphs as they leave them, to count and to compare with.

The runtime rewrites every graph when it loads one; how much, is a level. Beside that it ships a
program that fuses transformers (`onnxruntime.transformers`), which is run on a graph beforehand.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from winnow.errors import InputError
from winnow.runtime.session import first_line

LEVELS = {
    "disabled": "ORT_DISABLE_ALL",
    "basic": "ORT_ENABLE_BASIC",
    "all": "ORT_ENABLE_ALL",
}
_SILENT = 4

Call = Callable[[Mapping[str, NDArray[Any]]], list[NDArray[Any]]]


def at_level(graph: bytes, level: str) -> Call:
    """A graph ready to run on one thread, rewritten as far as a level says.

    Args:
        graph: bytes of an ONNX file.
        level: of LEVELS.

    Raises:
        InputError: the runtime cannot load it.
    """
    session = _session(graph, level)
    return lambda feeds: session.run(None, dict(feeds))


def optimised(graph: bytes, level: str = "all", without: Sequence[str] = ()) -> bytes:
    """A graph as the runtime leaves it at a level, for this processor.

    Args:
        graph: bytes of an ONNX file.
        level: of LEVELS.
        without: names of the runtime's optimizers that are switched off.

    Raises:
        InputError: the runtime cannot load it.
    """
    with tempfile.TemporaryDirectory(prefix="winnow-") as folder:
        path = Path(folder) / "optimised.onnx"
        _session(graph, level, path, without)
        return path.read_bytes()


def fused(graph: bytes, *, heads: int = 0, width: int = 0) -> bytes:
    """A graph as the runtime's program for transformers leaves it.

    Args:
        graph: bytes of an ONNX file.
        heads: of attention; 0 is for the program to find out.
        width: of a token; likewise.

    Raises:
        InputError: the program is not installed whole, or fails on the graph.
    """
    try:
        import onnx
        from onnxruntime.transformers import optimizer
    except ImportError as error:
        name = error.name or "a package"
        raise InputError(f"onnxruntime.transformers needs {name}: pip install {name}.") from error
    _session(graph, "disabled")  # what the runtime refuses makes the program leave files behind
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)  # the program tells what it did not find, at length
    try:
        found = optimizer.optimize_model(
            onnx.load_from_string(graph),
            model_type="bert",
            num_heads=heads,
            hidden_size=width,
            opt_level=0,
        )
        data: bytes = found.model.SerializeToString()
    except Exception as error:  # whatever a graph that it was not written for makes it raise
        raise InputError(f"onnxruntime.transformers failed: {first_line(error)}.") from error
    finally:
        logging.disable(before)
    return data


def _session(
    graph: bytes, level: str, written: Path | None = None, without: Sequence[str] = ()
) -> Any:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = _SILENT
    options.graph_optimization_level = getattr(ort.GraphOptimizationLevel, LEVELS[level])
    if written is not None:
        options.optimized_model_filepath = str(written)
    try:
        return ort.InferenceSession(
            graph, options, providers=["CPUExecutionProvider"], disabled_optimizers=list(without)
        )
    except Exception as error:  # the runtime's errors have no common ancestor
        raise InputError(f"ONNX Runtime cannot load the graph: {first_line(error)}.") from error
