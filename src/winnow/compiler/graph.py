"""Bytes of an ONNX file <-> a graph in memory: opened with distrust, written the same each time."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray
from onnx_ir.passes import common

from winnow.compiler.distrust import harm_of
from winnow.compiler.verify import NORM_OPSET, fault_of, form_of, weight_fault
from winnow.errors import InputError

# A file of one protobuf message cannot be larger.
LARGEST_BYTES = (2 << 30) - 1
# The first format of the file that knows NORM_OPSET.
_NORM_FORMAT = 8
# From opset 13 to NORM_OPSET these two alone came to mean something else.
_CHANGED = frozenset({"BatchNormalization", "RoiAlign"})


def opened(path: Path, largest: int = LARGEST_BYTES) -> ir.Model:
    """Read a graph from a file, and weights that lie beside it.

    Args:
        path: of an ONNX file.
        largest: most bytes of the file and of what lies beside it, together.

    Raises:
        InputError: it is no graph, damaged, too large, or of a form that no pass can work on.
    """
    if path.exists() and not path.is_file() and not path.is_dir():  # a pipe would be waited for
        raise InputError(f"{path} is no file; name an ONNX file.")
    try:
        with path.open("rb") as file:
            data = file.read(largest + 1)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}.") from error
    if len(data) > largest:
        raise InputError(f"{path} is larger than {largest:,} bytes; name a smaller model.")
    model = _parsed(data, str(path))
    _take_in(model, path, largest - len(data))
    return _checked(model, str(path))


def parsed(data: bytes, name: str) -> ir.Model:
    """Read a graph from bytes that hold all of it.

    Args:
        data: of an ONNX file.
        name: of where they came from, for errors.

    Raises:
        InputError: as for `opened`; weights outside of the file are refused.
    """
    model = _parsed(data, name)
    for value in _stored(model):
        if isinstance(value.const_value, ir.ExternalTensor):
            raise InputError(f"{name} keeps weights in another file; name the file itself.")
    return _checked(model, name)


def is_onnx(path: Path) -> bool:
    """Whether a file is a graph at all, as well as that can be told without looking into it."""
    import onnx

    if not path.is_file() or path.stat().st_size > LARGEST_BYTES:
        return False
    try:
        proto = onnx.ModelProto.FromString(path.read_bytes())
    except Exception:  # protobuf's own error
        return False
    return bool(proto.ir_version and proto.graph.node)


def serialised(model: ir.Model) -> bytes:
    """Bytes of a graph, the same for the same graph."""
    data: bytes = ir.to_proto(model).SerializeToString(deterministic=True)
    return data


def copied(model: ir.Model) -> ir.Model:
    """Another graph with the same nodes; weights are shared, since nothing changes them."""
    return model.clone()


def executable(model: ir.Model) -> int:
    """How many nodes a runtime executes: all but constants."""
    return sum(node.op_type != "Constant" for node in model.graph)


def array_of(value: ir.Value | None) -> NDArray[Any] | None:
    """A constant's numbers, or None where a value is computed or given."""
    if value is None or value.const_value is None or value.is_graph_input():
        return None
    return np.asarray(value.const_value.numpy())


def drop_unused(model: ir.Model) -> None:
    """Remove nodes and weights that nothing needs, in place."""
    common.RemoveUnusedNodesPass()(model)


def _parsed(data: bytes, name: str) -> ir.Model:
    import onnx

    try:
        proto = onnx.ModelProto.FromString(data)
    except Exception as error:  # protobuf's own error, which has moved between versions
        raise InputError(f"{name} is no ONNX file, or is damaged; export it again.") from error
    fault = form_of(proto) or harm_of(proto)
    if fault:
        raise InputError(f"{name}: {fault}.")
    try:
        return ir.from_proto(proto)
    except Exception as error:  # a foreign file may break any of the library's assumptions
        raise InputError(f"{name} is not a well-formed ONNX graph ({_first(error)}).") from error


def _stored(model: ir.Model) -> list[ir.Value]:
    return list(model.graph.initializers.values())


def _take_in(model: ir.Model, path: Path, largest: int) -> None:
    """Load weights that the file keeps beside it, and none from anywhere else."""
    left = largest
    for value in _stored(model):
        tensor = value.const_value
        if not isinstance(tensor, ir.ExternalTensor):
            continue
        location = os.fspath(tensor.location)
        if os.path.basename(location) != location or location in ("", ".", ".."):
            raise InputError(f"{path} keeps weights outside its folder ({location}); refused.")
        try:
            left -= tensor.nbytes
        except TypeError as error:  # strings, or no type at all
            raise InputError(f"{path}: the weight {tensor.name!r} holds no numbers.") from error
        if left < 0:
            raise InputError(f"{path} has more than {largest:,} bytes of weights.")
        beside = path.parent / location
        if beside.is_symlink():
            raise InputError(f"{beside} is a link, which may lead anywhere; copy the file there.")
        if not beside.is_file():
            raise InputError(f"{path} needs {location} beside it, which is missing; copy both.")
        outside = ir.ExternalTensor(
            location, tensor.offset, tensor.length, tensor.dtype,
            shape=tensor.shape, name=tensor.name or "", base_dir=path.parent,
        )  # fmt: skip
        try:
            value.const_value = ir.Tensor(np.array(outside.numpy()), name=tensor.name)
        except Exception as error:  # truncated: the library raises what numpy does
            raise InputError(f"{beside} is damaged ({_first(error)}); copy it again.") from error


def _checked(model: ir.Model, name: str) -> ir.Model:
    try:
        common.InlinePass()(model)
        common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(model)
        # Old exporters list weights among the inputs, so that a caller could give others.
        common.RemoveInitializersFromInputsPass()(model)
    except Exception as error:
        raise InputError(f"{name} is not a well-formed ONNX graph ({_first(error)}).") from error
    fault = fault_of(model) or weight_fault(model)
    if fault:
        raise InputError(f"{name}: {fault}.")
    _raise_opset(model)
    return model


def _raise_opset(model: ir.Model) -> None:
    """Let a graph know LayerNormalization, in place, where no operator means anything else then."""
    opsets = model.graph.opset_imports
    if "ai.onnx" in opsets:  # the long name of ""
        opsets[""] = max(opsets.pop("ai.onnx"), opsets.get("", 0))
    if opsets[""] < NORM_OPSET and not any(node.op_type in _CHANGED for node in model.graph):
        opsets[""] = NORM_OPSET
        model.ir_version = max(model.ir_version or 0, _NORM_FORMAT)


def _first(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
