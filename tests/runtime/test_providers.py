"""The ways to a device: one thread, 32-bit floats, no fallback that does not tell, one sentence."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tests.runtime.graphs import table_graph
from tests.runtime.hardware import require
from winnow.errors import ArtifactError
from winnow.runtime.providers import (
    CPU_PROVIDER,
    AbstractWay,
    BuiltIn,
    Loaded,
    Openvino,
    Plugin,
    _loaded,
    openvino_options,
    reason_of,
    runtime,
)

TABLE = (0.5, -1.0, 2.0)
GRAPH = table_graph(TABLE, limit=48)
PLUGIN = Plugin(
    *("onnxruntime_ep_openvino", "onnxruntime-ep-openvino", "OpenVINOExecutionProvider"),
    *("CPU", "Intel", openvino_options("CPU")),
)
OPENVINO = (PLUGIN, BuiltIn("OpenVINOExecutionProvider", openvino_options("CPU")), Openvino("CPU"))


def _feeds(*ids: int) -> dict[str, np.ndarray]:
    return {"ids": np.array([ids]), "fields": np.zeros((1, len(ids)), dtype=np.int64)}


def _check(loaded: Loaded) -> None:
    """What is asked of whatever runs a graph."""
    assert dict(loaded.inputs) == {"ids": "tensor(int64)", "fields": "tensor(int64)"}
    assert loaded.outputs == ("log_odds", "shares")
    assert loaded.metadata["pieces"] == "3"
    assert loaded.metadata["positions"] == "48"
    both = loaded.run(None, _feeds(0, 1, 1))
    assert [value.tolist() for value in both] == [[-0.5], [[0.5, -1.0, -1.0]]]
    assert [value.dtype for value in both] == [np.float32, np.float32]
    shares, log_odds = loaded.run(["shares", "log_odds"], _feeds(2))
    assert (shares.tolist(), log_odds.tolist()) == ([[2.0]], [2.0])


def test_the_processor_is_a_way() -> None:
    """With nothing but ONNX Runtime."""
    way = BuiltIn(CPU_PROVIDER)
    assert way.missing() == ""
    loaded = way.open(GRAPH)
    _check(loaded)
    assert loaded.provider == CPU_PROVIDER


@pytest.mark.parametrize("way", OPENVINO, ids=lambda way: way.label)
def test_each_way_to_openvino_answers(way: AbstractWay) -> None:
    """Whichever of them this machine has; each that it lacks says why."""
    if why := way.missing():
        assert not why.endswith(".")
        pytest.skip(why)
    _check(way.open(GRAPH))


def test_openvino_keeps_several_threads_apart() -> None:
    """Each gets the answer to its own message."""
    require("openvino")
    if why := Openvino("CPU").missing():
        pytest.skip(why)
    loaded = Openvino("CPU").open(GRAPH)
    messages = [_feeds(*[n % 3] * (1 + n % 40)) for n in range(200)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda feeds: loaded.run(["log_odds"], feeds)[0].tolist(), messages))
    assert found == [[TABLE[n % 3]] for n in range(200)]


def test_openvino_runs_in_one_thread_and_in_32_bits() -> None:
    """Its own defaults are all cores, pinned, and 16 bits."""
    if why := Openvino("CPU").missing():
        pytest.skip(why)
    compiled = Openvino("CPU").open(GRAPH).run.__self__._compiled  # type: ignore[attr-defined]
    assert compiled.get_property("INFERENCE_NUM_THREADS") == 1
    assert compiled.get_property("NUM_STREAMS") == 1
    assert compiled.get_property("ENABLE_CPU_PINNING") is False
    assert compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name() == "f32"
    (key, value), *rest = openvino_options("CPU")
    assert (key, rest) == ("load_config", [])
    assert json.loads(value)["CPU"]["INFERENCE_NUM_THREADS"] == "1"
    assert json.loads(openvino_options("GPU")[0][1]) == {"GPU": {"INFERENCE_PRECISION_HINT": "f32"}}


def test_a_session_has_one_thread_that_does_not_spin() -> None:
    """Several models in one process must not slow each other."""
    options = BuiltIn(CPU_PROVIDER).open(GRAPH).session.get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (1, 1)
    for key in ("session.intra_op.allow_spinning", "session.inter_op.allow_spinning"):
        assert options.get_session_config_entry(key) == "0"


def test_a_provider_that_is_not_in_the_build_is_missing() -> None:
    """Before anything is opened, and by its name."""
    assert BuiltIn("NoneSuch").missing() == "this build of ONNX Runtime has no NoneSuch"


def test_a_provider_that_does_not_start_is_no_silent_processor() -> None:
    """ONNX Runtime goes on from the processor where a driver is missing; we do not."""
    session = BuiltIn(CPU_PROVIDER).open(GRAPH).session
    with pytest.raises(RuntimeError, match="CUDAExecutionProvider did not start: its driver"):
        _loaded(session, "CUDAExecutionProvider")
    assert _loaded(session, CPU_PROVIDER).session is session


def _plugin_of(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, body: str) -> Plugin:
    (folder / f"{name}.py").write_text(body)
    monkeypatch.syspath_prepend(str(folder))
    return Plugin(name, f"{name}-wheel", "SomeExecutionProvider", "NPU", "Some")


def test_a_plugin_says_what_is_wrong_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not installed, damaged, and not what it says: each is a reason and no crash."""
    absent = Plugin("no_such_module", "no-such-wheel", "SomeExecutionProvider", "NPU", "Some")
    assert absent.missing() == "no-such-wheel is not installed"
    missing = "def get_library_path():\n    raise FileNotFoundError('library not found')\n"
    one = _plugin_of(tmp_path, monkeypatch, "plugin_without_library", missing)
    assert one.missing() == ("plugin_without_library-wheel cannot be used: library not found")
    text = f"def get_library_path():\n    return {str(tmp_path / 'a.so')!r}\n"
    (tmp_path / "a.so").write_text("no library")
    two = _plugin_of(tmp_path, monkeypatch, "plugin_of_text", text)
    assert two.missing().startswith("plugin_of_text-wheel cannot be used: ")
    assert "\n" not in two.missing()


def test_a_plugin_is_registered_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ONNX Runtime refuses a second registration; asking again must not bring it about."""
    counting = (
        "import pathlib\n"
        "def get_library_path():\n"
        "    path = pathlib.Path(__file__).with_suffix('.asked')\n"
        "    path.write_text((path.read_text() if path.exists() else '') + 'x')\n"
        "    raise OSError('none')\n"
    )
    way = _plugin_of(tmp_path, monkeypatch, "plugin_that_counts", counting)
    assert way.missing() == way.missing() == "plugin_that_counts-wheel cannot be used: none"
    assert (tmp_path / "plugin_that_counts.asked").read_text() == "x"


def test_the_plugin_of_openvino_registers_or_says_why() -> None:
    """With the package: its library loads beside this ONNX Runtime, whatever hardware it finds."""
    pytest.importorskip("onnxruntime_ep_openvino")
    assert PLUGIN.missing() in (
        "",
        "onnxruntime-ep-openvino finds no CPU of Intel's here",
    )


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("[ONNXRuntimeError] : 7 : INVALID_PROTOBUF : It failed.", "It failed"),
        ("/src/a/b.cc:729 void f(const X&, const Y&) Please install it.", "Please install it"),
        ("Exception from src/a.cpp:1:\nCheck 'x' failed at b.cpp:2:\nIt is\nso", "It is"),
        ("FrontEnd API failed:\nModel wasn't\nSummary:\n-- No rule: A\n-- B\n", "No rule: A; B"),
        ("one\ntwo", "one"),
        ("", "RuntimeError"),
        ("x" * 5000, "x" * 200),
    ],
)
def test_a_reason_is_one_line(said: str, told: str) -> None:
    """Places in the sources of a runtime help nobody who runs a mail server."""
    assert reason_of(RuntimeError(said)) == told


def test_a_refused_graph_writes_nothing_to_the_log(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """The exception says it all; the runtime's own coloured lines do not reach standard error."""
    broken = GRAPH.replace(b"ReduceMean", b"ReduceMain")
    for way in (BuiltIn(CPU_PROVIDER), *OPENVINO):
        if not way.missing():
            with pytest.raises(Exception, match="ReduceMain"):
                way.open(broken)
    assert (capfd.readouterr(), caplog.messages) == (("", ""), [])


def test_without_onnx_runtime_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken installation is a sentence."""
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(ArtifactError, match="needs onnxruntime"):
        runtime()
    with pytest.raises(ArtifactError, match="needs onnxruntime"):
        BuiltIn(CPU_PROVIDER).open(GRAPH)
