"""The devices that a graph can run on, behind one switch: which are known, here, and take it.

`auto` is the first of AUTO that is here and takes the graph, and says so when one did not. A device
that is asked for by its name is that device or an error: another one in its place would be
another speed, and perhaps another answer.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from winnow.errors import ArtifactError, DeviceError
from winnow.runtime.providers import (
    CPU_PROVIDER,
    AbstractWay,
    BuiltIn,
    Feeds,
    Loaded,
    Openvino,
    Plugin,
    openvino_options,
    reason_of,
)

logger = logging.getLogger("winnow.runtime")

CPU, AUTO_NAME = "cpu", "auto"
_OPENVINO, _QNN = "OpenVINOExecutionProvider", "QNNExecutionProvider"


@dataclass(frozen=True, slots=True)
class Device:
    """A device by its name.

    Attributes:
        name: that the user says.
        provider: ONNX Runtime's name of what runs graphs on it.
        needs: what brings it, as half a sentence.
        ways: to it, the best first.
    """

    name: str
    provider: str
    needs: str
    ways: tuple[AbstractWay, ...]


def _openvino(name: str, hardware: str, needs: str) -> Device:
    """OpenVINO on one kind of hardware; its own runtime takes no part of a graph, so it is last."""
    ways: list[AbstractWay] = [
        Plugin(
            "onnxruntime_ep_openvino",
            "onnxruntime-ep-openvino",
            _OPENVINO,
            hardware,
            "Intel",
            openvino_options(hardware),
        ),
        BuiltIn(_OPENVINO, (("device_type", hardware), *openvino_options(hardware))),
        Openvino(hardware) if hardware == "CPU" else Openvino(hardware, _FLOATS),
    ]
    return Device(name, _OPENVINO, needs, tuple(ways))


_FLOATS = (("INFERENCE_PRECISION_HINT", "f32"),)
# TF32 would round every product to 10 bits of mantissa; answers are calibrated in 24.
_CUDA = (("device_id", "0"), ("use_tf32", "0"), ("do_copy_in_default_stream", "1"))

DEVICES = (
    Device(CPU, CPU_PROVIDER, "pip install onnxruntime", (BuiltIn(CPU_PROVIDER),)),
    _openvino("openvino", "CPU", "pip install 'winnow-mail[openvino]'"),
    _openvino(
        "openvino-gpu", "GPU", "pip install 'winnow-mail[openvino]' and Intel's driver for its GPU"
    ),
    Device(
        "cuda",
        "CUDAExecutionProvider",
        "NVIDIA's driver, and pip install 'onnxruntime-gpu[cuda,cudnn]' in place of onnxruntime",
        (BuiltIn("CUDAExecutionProvider", _CUDA),),
    ),
    Device(
        "tensorrt",
        "TensorrtExecutionProvider",
        "what cuda needs, and pip install tensorrt",
        (BuiltIn("TensorrtExecutionProvider", _CUDA[:1], ("CUDAExecutionProvider",)),),
    ),
    Device(
        "migraphx",
        "MIGraphXExecutionProvider",
        "AMD's ROCm, and pip install onnxruntime-migraphx in place of onnxruntime",
        (BuiltIn("MIGraphXExecutionProvider", _CUDA[:1]),),
    ),
    Device(
        "directml",
        "DmlExecutionProvider",
        "Windows, and pip install onnxruntime-directml in place of onnxruntime",
        (BuiltIn("DmlExecutionProvider", _CUDA[:1]),),
    ),
    Device(
        "coreml",
        "CoreMLExecutionProvider",
        "a Mac with onnxruntime",
        (BuiltIn("CoreMLExecutionProvider", (("ModelFormat", "MLProgram"),)),),
    ),
    Device(
        "qnn",
        _QNN,
        "a Snapdragon, and pip install onnxruntime-qnn",
        (
            Plugin(
                "onnxruntime_qnn",
                "onnxruntime-qnn",
                _QNN,
                "NPU",
                "Qualcomm",
                (("backend_type", "htp"),),
            ),
            BuiltIn(_QNN, (("backend_type", "htp"),)),
        ),
    ),
)
# The order of `auto`. The others are for who asks for them: coreml, migraphx and qnn may compute in
# 16 bits, qnn and tensorrt prepare for minutes for messages of a new length, openvino is the same
# processor and was slower with 8-bit integers.
AUTO = ("cuda", "directml", CPU)


# A device in 32-bit floats rounds otherwise than the processor; in a graph of 8-bit integers that
# moves an answer by up to 0.05 (seen on 413 messages). What is further away computes another thing.
SAME_ANSWER = 0.15

_REFUSED = "the device {} does not take {}: {}."
_FAR = "its answers are up to {:.2g} away from those of the processor"

Proof = Callable[[Loaded], Sequence[Feeds]]


def device_of(name: str, table: Sequence[Device] = DEVICES) -> Device:
    """A device by its name.

    Raises:
        DeviceError: there is none of that name.
    """
    for device in table:
        if device.name == name:
            return device
    known = ", ".join([AUTO_NAME, *(device.name for device in table)])
    raise DeviceError(f"there is no device {name!r}; name one of {known}.")


def way_to(device: Device) -> tuple[AbstractWay | None, str]:
    """The first way that can be gone here, or None; and why the others before it cannot."""
    reasons: list[str] = []
    for way in device.ways:
        reason = way.missing()
        if not reason:
            return way, "; ".join(reasons)
        reasons.append(reason)
    return None, "; ".join(reasons)


def demand(name: str, table: Sequence[Device] = DEVICES) -> None:
    """See that a device is here, before anything is made for it; `auto` and the processor are.

    Raises:
        DeviceError: there is no such device, or it is not here; the text says what brings it.
    """
    if name in (AUTO_NAME, CPU):
        return
    device = device_of(name, table)
    way, reasons = way_to(device)
    if way is None:
        raise DeviceError(f"the device {name} is not here: {reasons}. It needs {device.needs}.")


def load(
    graph: bytes,
    name: str,
    what: str,
    *,
    profile: str = "",
    proof: Proof | None = None,
    table: Sequence[Device] = DEVICES,
    order: Sequence[str] = AUTO,
) -> Loaded:
    """Load a graph on a device.

    Args:
        graph: bytes of an ONNX file.
        name: of the device, or "auto".
        what: the graph is, for errors: "reader.onnx".
        profile: beginning of the path of a profile that ONNX Runtime is to write.
        proof: makes inputs on which another device must answer as the processor does.
        table: the devices there are.
        order: of `auto`; the processor is last.

    Raises:
        DeviceError: the device is not known, not here, does not take the graph, or answers
            otherwise than the processor.
        ArtifactError: the processor does not take it, so nothing does.
    """
    if name != AUTO_NAME:
        demand(name, table)
        return _loaded_on(graph, device_of(name, table), what, profile, proof)
    for each in order[:-1]:
        device = device_of(each, table)
        if way_to(device)[0] is None:
            continue
        try:
            return _loaded_on(graph, device, what, profile, proof)
        except DeviceError as error:
            logger.warning("auto goes on without it: %s", error)
    return _loaded_on(graph, device_of(order[-1], table), what, profile, proof)


def _loaded_on(
    graph: bytes, device: Device, what: str, profile: str, proof: Proof | None
) -> Loaded:
    reasons: list[str] = []
    for way in device.ways:
        if way.missing():
            continue
        try:
            loaded = replace(way.open(graph, profile=profile), device=device.name)
            far = 0.0 if proof is None or device.name == CPU else _apart(loaded, graph, proof)
        except Exception as error:  # the runtimes' errors have no common ancestor
            reasons.append(reason_of(error))
            continue
        if far <= SAME_ANSWER:
            return loaded
        reasons.append(_FAR.format(far))
    reason = "; ".join(reasons)
    if device.name == CPU:
        raise ArtifactError(f"{what} cannot be loaded: {reason}.")
    raise DeviceError(_REFUSED.format(device.name, what, reason))


def otherwise(device: str, what: str, far: float) -> str:
    """What is said of a device that answers otherwise than the processor."""
    return _REFUSED.format(device, what, _FAR.format(far))


def _apart(loaded: Loaded, graph: bytes, proof: Proof) -> float:
    """Largest difference of the first output from the processor's; infinite for what is no number.

    The inputs are run in their order: a device may answer well until the shape changes.
    """
    feeds = proof(loaded)
    if not feeds:
        return 0.0
    processor = BuiltIn(CPU_PROVIDER).open(graph)
    first = processor.outputs[:1]
    differences = [
        np.abs(np.subtract(loaded.run(first, feed)[0], processor.run(first, feed)[0])).max()
        for feed in feeds
    ]
    found = float(np.max(differences))
    return found if np.isfinite(found) else float("inf")
