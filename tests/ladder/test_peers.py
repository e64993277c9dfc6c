"""Peers: each proved on the baseline's answers before it is timed, or a row with its reason."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

from tests.compiler.exports import Spelling, bert
from winnow.compiler.fold import folded
from winnow.compiler.inputs import feeds_of
from winnow.compiler.quantize import quantize
from winnow.errors import InputError
from winnow.ladder.peers import ALL, NAMES, NONE, Graphs, names_of, peers_of
from winnow.recipe_compile import run_graph

MODEL = bert(Spelling(kinds="input"))
PROBES = [feeds_of(MODEL, 1, n, n, full=True) for n in (24, 7, 1)]
ANSWERS = run_graph(MODEL, PROBES, ["logits"])


def _graphs(**changes: Any) -> Graphs:
    parts = {"baseline": MODEL, "folded": folded(bert(Spelling(kinds="input")), run_graph).model}
    return Graphs(**(parts | changes))


def test_names() -> None:
    """All, none, or some, each once."""
    assert names_of(ALL) == NAMES
    assert names_of(NONE) == ()
    assert names_of("torch, openvino,torch") == ("torch", "openvino")


@pytest.mark.parametrize("text", ["", "tensorflow", "torch,", "ALL"])
def test_unknown_names(text: str) -> None:
    """The error lists those there are."""
    with pytest.raises(InputError, match="the peers are onnxruntime-disabled"):
        names_of(text)


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("onnxruntime")])
def test_onnx_runtime_is_always_there(name: str) -> None:
    """At every level, and after its program for transformers."""
    (peer,) = peers_of([name], _graphs(), PROBES, ANSWERS)
    assert peer.refused == ""
    assert peer.candidate is not None
    assert np.abs(peer.candidate.call(PROBES[0])[0] - ANSWERS[0][0]).max() < 1e-4
    assert peer.apart is not None
    assert peer.apart < 1e-4


@pytest.mark.parametrize(
    ("package", "name"), [("openvino", "openvino"), ("torch", "torch"), ("torch", "torch-sdpa")]
)
def test_others_where_they_are_installed(package: str, name: str) -> None:
    """They answer what the graph does."""
    pytest.importorskip(package, reason=f"{package} is not installed")
    (peer,) = peers_of([name], _graphs(), PROBES, ANSWERS)
    assert (peer.refused, peer.name) == ("", name)


def test_openvino_with_integers() -> None:
    """It is given the quantized graph; the largest difference is that of rounding."""
    pytest.importorskip("openvino", reason="openvino is not installed")
    rounded = quantize(bert(Spelling(kinds="input"), width=64, words=80))[0]
    model = bert(Spelling(kinds="input"), width=64, words=80)
    answers = run_graph(model, PROBES, ["logits"])
    given = _graphs(baseline=model, quantized=rounded)
    (peer,) = peers_of(["openvino-int8"], given, PROBES, answers)
    assert peer.refused == ""
    assert peer.apart is not None
    assert 1e-6 < peer.apart < 0.5


def test_no_integers_to_give() -> None:
    """Where the model could not be quantized the row says so."""
    (peer,) = peers_of(["openvino-int8"], _graphs(), PROBES, ANSWERS)
    assert peer.candidate is None
    assert "8-bit integers" in peer.refused


@pytest.mark.parametrize(("package", "name"), [("openvino", "openvino"), ("torch", "torch")])
def test_not_installed(package: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row with the package's name."""
    monkeypatch.setitem(sys.modules, package, None)
    if package == "openvino":  # providers look whether there is such a module
        monkeypatch.setattr("winnow.runtime.providers.find_spec", lambda _: None)
    (peer,) = peers_of([name], _graphs(), PROBES, ANSWERS)
    assert peer.candidate is None
    assert "not installed" in peer.refused
    assert f"pip install {package}" in peer.refused


def test_another_computation_is_not_timed() -> None:
    """A graph of other weights answers something else, however fast it is."""
    other = _graphs(baseline=bert(Spelling(kinds="input"), seed=1))
    (peer,) = peers_of(["onnxruntime-all"], other, PROBES, ANSWERS)
    assert peer.candidate is None
    assert "computes something else" in peer.refused


def test_a_graph_that_a_peer_refuses_is_a_row() -> None:
    """One peer's fault is not the ladder's."""
    broken = bert(Spelling(kinds="input"))
    next(node for node in broken.graph if node.op_type == "Softmax").op_type = "Sofdmax"
    found = peers_of(["onnxruntime-basic", "onnxruntime-transformers"],
                     _graphs(baseline=broken), PROBES, ANSWERS)  # fmt: skip
    assert [peer.candidate for peer in found] == [None, None]
    assert all("ONNX Runtime cannot load" in peer.refused for peer in found)
