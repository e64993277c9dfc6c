"""One switch for all hardware: what is taken, what is an error, and that the answers stay."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from tests.runtime.graphs import table_graph
from tests.runtime.hardware import PROCESSOR, Stand, require, stand
from winnow.answering import READER_FILE
from winnow.artifact import read_artifact
from winnow.errors import ArtifactError, DeviceError
from winnow.pipeline import SHIPPED_MODEL
from winnow.runtime import Reader
from winnow.runtime.devices import AUTO, CPU, DEVICES, Device, demand, device_of, load, way_to
from winnow.runtime.providers import Loaded
from winnow.runtime.reader import probes
from winnow.tokens import FIELDS, Tokens

GRAPH = table_graph((0.5, -1.0, 2.0), limit=48)
FEEDS = {"ids": np.array([[0, 1, 2]]), "fields": np.zeros((1, 3), dtype=np.int64)}
HERE, AWAY = Stand(), Stand(gone="no driver")
FULL = Stand(refuses="Out of memory.\nat line 7")


def _auto(*devices: Device, order: Sequence[str] = ()) -> str:
    table = (PROCESSOR, *devices)
    names = order or [*(device.name for device in devices), CPU]
    loaded = load(GRAPH, "auto", "a.onnx", table=table, order=names)
    assert loaded.run(["log_odds"], FEEDS)[0].tolist() == [0.5]
    return loaded.device


def test_auto_takes_the_first_that_is_here(caplog: pytest.LogCaptureFixture) -> None:
    """In the order that is stated, not that of the table; what is absent is nothing to tell."""
    first, second = stand("first", HERE), stand("second", HERE)
    assert _auto(first, second) == "first"
    assert _auto(first, second, order=("second", "first", CPU)) == "second"
    assert _auto(stand("first", AWAY), second) == "second"
    assert _auto(stand("first", AWAY), stand("second", AWAY)) == CPU
    assert _auto() == CPU
    assert not caplog.messages


def test_auto_passes_over_what_does_not_take_the_graph_with_a_word(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The server answers all the same, and its owner can read why it does so from the processor."""
    with caplog.at_level(logging.WARNING, "winnow.runtime"):
        assert _auto(stand("first", FULL), stand("second", HERE)) == "second"
        assert _auto(stand("first", FULL)) == CPU
    word = "auto goes on without it: the device first does not take a.onnx: Out of memory."
    assert caplog.messages == [word, word]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("away", "the device away is not here: no driver. It needs the away driver."),
        ("full", "the device full does not take a.onnx: Out of memory."),
        ("both", "the device both does not take a.onnx: Out of memory."),
        ("other", "there is no device 'other'; name one of auto, cpu, away, full, both."),
        ("", "there is no device ''; name one of auto, cpu, away, full, both."),
    ],
)
def test_a_device_that_is_asked_for_by_name_is_never_another(name: str, told: str) -> None:
    """No silent processor in its place; the text says what brings it, or why it will not."""
    table = (PROCESSOR, stand("away", AWAY), stand("full", FULL), stand("both", AWAY, FULL))
    with pytest.raises(DeviceError) as found:
        load(GRAPH, name, "a.onnx", table=table)
    assert str(found.value) == told


def test_each_way_to_a_device_is_tried() -> None:
    """The best that is here; the next when that one fails."""
    three = stand("three", AWAY, FULL, Stand(times=3.0))
    loaded = load(GRAPH, "three", "a.onnx", table=(three,))
    assert loaded.run(["log_odds"], FEEDS)[0].tolist() == [1.5]
    assert loaded.device == "three"
    best, why = way_to(three)
    assert (best, why) == (FULL, "no driver")
    assert way_to(stand("none", AWAY, Stand(gone="old"))) == (None, "no driver; old")


def test_what_the_processor_does_not_take_is_the_graphs_fault() -> None:
    """A damaged model is told as one, whether or not another device was tried before."""
    for name in (CPU, "auto"):
        with pytest.raises(ArtifactError, match=r"^a\.onnx cannot be loaded: .+[^.]\.$"):
            load(b"no graph", name, "a.onnx", table=(PROCESSOR,), order=(CPU,))


def test_a_demand_is_made_before_anything_is_opened() -> None:
    """`auto` and the processor are always to be had; others when they are here."""
    table = (PROCESSOR, stand("here", HERE), stand("away", AWAY))
    for name in ("auto", CPU, "here"):
        demand(name, table)
    for name in ("away", "other"):
        with pytest.raises(DeviceError, match=name):
            demand(name, table)


def test_the_table_is_sound() -> None:
    """Names are told apart; auto knows each device that it tries, and ends with the processor."""
    names = [device.name for device in DEVICES]
    assert len(set(names)) == len(names)
    assert "auto" not in names
    assert AUTO[-1] == CPU
    assert set(AUTO) <= set(names)
    assert {"cpu", "openvino", "cuda", "tensorrt", "coreml", "qnn", "directml"} <= set(names)


@pytest.mark.parametrize("name", [device.name for device in DEVICES])
def test_every_device_is_here_or_says_what_brings_it(name: str) -> None:
    """On this machine, whatever it has: it answers as the processor does, or is a sentence."""
    device = device_of(name)
    if way_to(device)[0] is not None:
        loaded = load(GRAPH, name, "a.onnx")
        assert loaded.run(["log_odds"], FEEDS)[0].tolist() == pytest.approx([0.5], abs=1e-5)
        return
    with pytest.raises(DeviceError, match=f"^the device {name} is not here: ") as found:
        load(GRAPH, name, "a.onnx")
    assert str(found.value).endswith(f" It needs {device.needs}.")
    assert "\n" not in str(found.value)


def _message(tokens: int, pieces: int) -> Tokens:
    chance = np.random.default_rng(tokens)
    return Tokens(chance.integers(0, pieces, tokens), chance.integers(0, len(FIELDS), tokens))


def test_openvino_answers_as_the_processor_does() -> None:
    """The shipped reader, in 8-bit integers, at any length.

    Now and then a sum is rounded to the other of two 8-bit steps, which moves a share by some 0.1
    and the answer by up to some 0.03. Computed in 16 bits, as is OpenVINO's default, every answer
    moves, by 0.02 in the median and up to 0.3.
    """
    require("openvino")
    graph = read_artifact(SHIPPED_MODEL).files[READER_FILE]
    processor, other = Reader(graph), Reader(graph, "openvino")
    assert (processor.device, other.device) == (CPU, "openvino")
    assert (other.pieces, other.limit) == (processor.pieces, processor.limit)
    apart = []
    for tokens in (1, 2, 3, 8, 16, 24, 31, 32, 64, 100, 128):
        message = _message(tokens, processor.pieces)
        value, shares = processor.read(message)
        again, other_shares = other.read(message)
        apart.append(abs(again - value))
        assert other_shares.shape == shares.shape
        assert np.abs(other_shares - shares).max() <= 0.5
        assert other_shares.mean() == pytest.approx(again, abs=1e-4)
    assert max(apart) <= 0.1
    assert np.median(apart) <= 0.005


def _proof(loaded: Loaded) -> list[dict[str, np.ndarray]]:
    assert loaded.metadata["pieces"] == "3"
    return [FEEDS, {name: value[:, :1] for name, value in FEEDS.items()}]


@pytest.mark.parametrize(
    ("times", "far"), [(3.0, "1 away"), (0.0, "0.5 away"), (float("nan"), "inf away")]
)
def test_a_device_that_answers_otherwise_is_refused(
    times: float, far: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever calibrated the model did so with the processor's answers."""
    table = (PROCESSOR, stand("odd", Stand(times=times)), stand("good", HERE))
    with pytest.raises(DeviceError, match=f"does not take a.onnx: its answers are up to {far}"):
        load(GRAPH, "odd", "a.onnx", proof=_proof, table=table)
    found = load(GRAPH, "auto", "a.onnx", proof=_proof, table=table, order=("odd", "good", CPU))
    assert (found.device, len(caplog.messages)) == ("good", 1)
    assert load(GRAPH, "odd", "a.onnx", table=table).device == "odd"


def test_rounding_is_no_other_answer() -> None:
    """Sums in another order, and now and then another step of 8 bits, are what hardware does."""
    table = (PROCESSOR, stand("near", Stand(times=1.1)))
    assert load(GRAPH, "near", "a.onnx", proof=_proof, table=table).device == "near"


def test_a_reader_proves_its_device() -> None:
    """Over many lengths, the short ones first, where a runtime's fault was found."""
    loaded = load(GRAPH, CPU, "a.onnx")
    lengths = [feed["ids"].shape[1] for feed in probes(loaded)]
    assert lengths[:6] == [1, 2, 8, 15, 16, 17]
    assert max(lengths) == 48
    assert lengths[-1] < max(lengths)
    assert all(feed["ids"].max() < 3 for feed in probes(loaded))
    assert [feed["ids"].tolist() for feed in probes(loaded)] == [
        feed["ids"].tolist() for feed in probes(loaded)
    ]
    assert probes(replace(loaded, metadata={"pieces": "3"})) == []
    assert probes(replace(loaded, inputs={"ids": "tensor(int64)"})) == []
