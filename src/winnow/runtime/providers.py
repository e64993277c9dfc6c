"""The ways to a device: a provider in ONNX Runtime's build, a plugin of it, or OpenVINO by itself.

Each way says what is missing, and opens a graph on its device: in one thread of the processor,
since there are other messages to read at the same time, in 32-bit floats where the graph has them,
and without any fallback of the runtime's own, which would answer from the processor and not tell.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Protocol

from numpy.typing import NDArray

from winnow.errors import ArtifactError
from winnow.runtime.session import SLOWER_ON_CPU

CPU_PROVIDER = "CPUExecutionProvider"

Values = list[NDArray[Any]]
Feeds = Mapping[str, NDArray[Any]]
Run = Callable[[Sequence[str] | None, Mapping[str, NDArray[Any]]], Values]
Options = tuple[tuple[str, str], ...]

_SILENT = 4  # what fails is an exception; a warning of the runtime tells a mail admin nothing
_ONE_THREAD: Options = (
    ("session.intra_op.allow_spinning", "0"),  # sessions that spin slow each other down
    ("session.inter_op.allow_spinning", "0"),
)
# Without the hint OpenVINO computes in 16 bits where the processor can: answers of the shipped
# reader were off by up to 0.3. With its own fused kernels ("snippets"), longer messages
# got wrong answers, off by up to 4, once a shorter one had been read (2026.4.1, AVX-512; without
# them it is no slower). Threads of several processes shall not be pinned to one core.
_OPENVINO: Options = (
    ("INFERENCE_PRECISION_HINT", "f32"),
    ("INFERENCE_NUM_THREADS", "1"),
    ("NUM_STREAMS", "1"),
    ("ENABLE_CPU_PINNING", "NO"),
    ("SNIPPETS_MODE", "DISABLE"),
)
# y = x, one number: whether a provider starts at all.
_PROBE = bytes.fromhex(
    "080812003a370a100a017812017922084964656e746974791201675a0f0a0178120a0a08080112040a02080162"
    "0f0a0179120a0a08080112040a02080142040a00100d"
)


# Of what the runtimes say: lines that tell a place in their sources, and what comes before words.
_NO_REASON = re.compile(
    r"Exception from |Check '.*' failed at |FrontEnd API |Model wasn't |Summary"
)
_BEFORE_WORDS = re.compile(r"\[ONNXRuntimeError\] : \d+ : \w+ : |/\S+:\d+ .*?\) (?=[A-Z])")
_LONGEST_REASON = 200


@dataclass(frozen=True, slots=True)
class Loaded:
    """A graph that is ready to run; may be asked in several threads.

    Attributes:
        provider: what runs it, by ONNX Runtime's name.
        inputs: types of its inputs by name, as "tensor(int64)".
        outputs: names of its outputs.
        metadata: what its maker wrote into it.
        run: names of outputs (None is all) and inputs by name -> outputs.
        session: ONNX Runtime's, None where it is not ONNX Runtime that runs the graph.
        device: whose it is, once it is known.
    """

    provider: str
    inputs: Mapping[str, str]
    outputs: tuple[str, ...]
    metadata: Mapping[str, str]
    run: Run
    session: Any = None
    device: str = ""


class AbstractWay(Protocol):
    """A way to a device."""

    @property
    def label(self) -> str:
        """What it is, for a table."""

    def missing(self) -> str:
        """Why it cannot be gone on this machine, without a full stop; "" when it can."""

    def open(self, graph: bytes, *, profile: str = "") -> Loaded:
        """Load a graph; raises what the runtime does.

        Args:
            graph: bytes of an ONNX file.
            profile: beginning of the path of a file that ONNX Runtime is to write its profile to.
        """


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """A provider that is part of ONNX Runtime's build.

    Attributes:
        provider: its name.
        options: of the provider.
        then: providers that take what it leaves, before the processor.
    """

    provider: str
    options: Options = ()
    then: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """What it is, for a table."""
        return "part of ONNX Runtime"

    def missing(self) -> str:
        """Why it cannot be gone; a provider that is there may still lack its driver."""
        if self.provider not in runtime().get_available_providers():
            return f"this build of ONNX Runtime has no {self.provider}"
        return "" if self.provider == CPU_PROVIDER else _fault_at_start(self)

    def open(self, graph: bytes, *, profile: str = "") -> Loaded:
        """Load a graph; raises what the runtime does, and RuntimeError without the driver."""
        ort = runtime()
        options = _session_options(profile)
        if self.provider == "DmlExecutionProvider":
            options.enable_mem_pattern = False  # DirectML refuses it
        if self.provider in _NVIDIA and hasattr(ort, "preload_dlls"):
            # Finds CUDA's libraries where pip puts them; what it prints is no output of ours.
            with contextlib.redirect_stdout(io.StringIO()):
                ort.preload_dlls()
        providers: list[Any] = [(self.provider, dict(self.options)), *self.then]
        more: dict[str, Any] = {}
        if self.provider == CPU_PROVIDER:
            more["disabled_optimizers"] = list(SLOWER_ON_CPU)
        else:
            providers.append(CPU_PROVIDER)
        with _quiet():
            session = ort.InferenceSession(
                graph, options, providers=providers, enable_fallback=0, **more
            )
        return _loaded(session, self.provider)


_NVIDIA = frozenset({"CUDAExecutionProvider", "TensorrtExecutionProvider"})


@dataclass(frozen=True, slots=True)
class Plugin:
    """A provider that a package of its own brings, beside any build of ONNX Runtime.

    Attributes:
        module: that has `get_library_path`.
        package: that brings the module.
        provider: its name.
        hardware: "CPU", "GPU" or "NPU".
        maker: whose hardware it takes.
        options: of the provider.
    """

    module: str
    package: str
    provider: str
    hardware: str
    maker: str
    options: Options = ()

    @property
    def label(self) -> str:
        """What it is, for a table."""
        return f"plugin {self.package}"

    def missing(self) -> str:
        """Why it cannot be gone; the library is registered to find out."""
        fault = _registered(self.module, self.package)
        if fault or self._devices():
            return fault
        return f"{self.package} finds no {self.hardware} of {self.maker}'s here"

    def open(self, graph: bytes, *, profile: str = "") -> Loaded:
        """Load a graph; raises what the runtime does."""
        options = _session_options(profile)
        options.add_provider_for_devices(self._devices()[:1], dict(self.options))
        with _quiet():
            session = runtime().InferenceSession(graph, options, enable_fallback=0)
        return _loaded(session, self.provider)

    def _devices(self) -> list[Any]:
        ort = runtime()
        kind = getattr(ort.OrtHardwareDeviceType, self.hardware)
        return [
            found
            for found in ort.get_ep_devices()
            if found.ep_name == self.provider and found.device.type == kind
        ]


@dataclass(frozen=True, slots=True)
class Openvino:
    """OpenVINO's own runtime, on any processor; it takes a graph whole or not at all.

    Attributes:
        hardware: "CPU" or "GPU", as OpenVINO names it.
        options: of the compiled model.
    """

    hardware: str
    options: Options = field(default=_OPENVINO)

    @property
    def label(self) -> str:
        """What it is, for a table."""
        return "package openvino"

    def missing(self) -> str:
        """Why it cannot be gone."""
        if find_spec("openvino") is None:
            return "openvino is not installed"
        found = _openvino_core().available_devices
        here = any(name.split(".")[0] == self.hardware for name in found)
        return "" if here else f"openvino finds no {self.hardware} here"

    def open(self, graph: bytes, *, profile: str = "") -> Loaded:
        """Load a graph; raises what OpenVINO does. There is no profile."""
        core = _openvino_core()
        model = core.read_model(graph, b"")
        compiled = core.compile_model(model, self.hardware, dict(self.options))
        written = dict(model.get_rt_info().items()).get("framework", {})
        return Loaded(
            provider="OpenVINO",
            inputs={
                i.any_name: _TYPES.get(i.element_type.get_type_name(), "") for i in model.inputs
            },
            outputs=tuple(output.any_name for output in model.outputs),
            metadata={name: str(note.value) for name, note in written.items()},
            run=_Requests(compiled).run,
        )


_TYPES = {"i64": "tensor(int64)", "i32": "tensor(int32)", "f32": "tensor(float)"}


class _Requests:
    """One request a thread: two threads that share one are refused."""

    def __init__(self, compiled: Any) -> None:
        self._compiled = compiled
        self._mine = threading.local()

    def run(self, names: Sequence[str] | None, feeds: Mapping[str, NDArray[Any]]) -> Values:
        if not hasattr(self._mine, "request"):
            self._mine.request = self._compiled.create_infer_request()
        found = self._mine.request.infer(dict(feeds))
        wanted = names or [output.any_name for output in self._compiled.outputs]
        return [found[name] for name in wanted]


def openvino_options(hardware: str) -> Options:
    """OpenVINO's options as its providers in ONNX Runtime take them."""
    config = dict(_OPENVINO if hardware == "CPU" else _OPENVINO[:1])
    return (("load_config", json.dumps({hardware: config})),)


def reason_of(error: Exception) -> str:
    """What a runtime's error says, in one line without a full stop."""
    lines = [line.strip() for line in str(error).splitlines()]
    told = [line for line in lines if line and not _NO_REASON.match(line)]
    listed = [line.removeprefix("-- ") for line in told if line.startswith("-- ")]
    text = "; ".join(listed) or (told or [type(error).__name__])[0]
    before = _BEFORE_WORDS.match(text)
    return text[before.end() if before else 0 :][:_LONGEST_REASON].rstrip(". :")


def runtime() -> Any:
    """ONNX Runtime.

    Raises:
        ArtifactError: it is not installed.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise ArtifactError(
            "the reader needs onnxruntime, which is not installed; install Winnow again."
        ) from error
    return onnxruntime


def _session_options(profile: str) -> Any:
    options = runtime().SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = _SILENT
    options.use_deterministic_compute = True
    for key, value in _ONE_THREAD:
        options.add_session_config_entry(key, value)
    if profile:
        options.enable_profiling = True
        options.profile_file_prefix = profile
        options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    return options


def _loaded(session: Any, provider: str) -> Loaded:
    """What a session is; RuntimeError where the runtime went on without the provider."""
    if provider not in session.get_providers():
        raise RuntimeError(f"{provider} did not start: its driver or a library of it is missing")
    return Loaded(
        provider=provider,
        inputs={entry.name: entry.type for entry in session.get_inputs()},
        outputs=tuple(entry.name for entry in session.get_outputs()),
        metadata=dict(session.get_modelmeta().custom_metadata_map),
        run=session.run,
        session=session,
    )


@cache
def _fault_at_start(way: BuiltIn) -> str:
    try:
        way.open(_PROBE)
    except Exception as error:  # the runtime's errors have no common ancestor
        return reason_of(error)
    return ""


@cache
def _registered(module: str, package: str) -> str:
    """Register a plugin, once a process; what is in the way, or ""."""
    ort = runtime()
    if find_spec(module) is None:
        return f"{package} is not installed"
    if not hasattr(ort, "register_execution_provider_library"):
        return f"{package} needs a newer onnxruntime than {ort.__version__}"
    try:
        ort.register_execution_provider_library(module, import_module(module).get_library_path())
    except Exception as error:
        return f"{package} cannot be used: {reason_of(error)}"
    return ""


@cache
def _openvino_core() -> Any:
    return import_module("openvino").Core()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep ONNX Runtime from writing to standard error what the exception says."""
    ort = runtime()
    ort.set_default_logger_severity(_SILENT)
    try:
        yield
    finally:
        ort.set_default_logger_severity(2)  # its default
