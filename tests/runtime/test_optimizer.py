"""ONNX Runtime's own optimisers: levels, and the program for transformers."""

from __future__ import annotations

import logging
import sys

import numpy as np
import pytest

from tests.compiler.exports import bert
from winnow.compiler.graph import serialised
from winnow.compiler.inputs import feeds_of
from winnow.errors import InputError
from winnow.runtime.optimizer import LEVELS, at_level, fused, optimised

MODEL = bert()
GRAPH = serialised(MODEL)
FEEDS = feeds_of(MODEL, 1, 9, 0, full=True)


def _kinds(graph: bytes) -> list[str]:
    import onnx  # not above: the tests of this file are skipped where it is missing

    return [node.op_type for node in onnx.load_from_string(graph).graph.node]


def _nodes(graph: bytes) -> int:
    return len(_kinds(graph))


def test_levels_rewrite_more_and_more() -> None:
    """Disabled leaves all nodes, each level after it fewer."""
    counts = [_nodes(optimised(GRAPH, level)) for level in LEVELS]
    assert counts[0] == len(list(MODEL.graph))
    assert counts[0] > counts[1] > counts[2]


def test_an_optimizer_can_be_switched_off() -> None:
    """As a server does with those that make a graph slower."""
    assert "BiasGelu" in _kinds(optimised(GRAPH))
    assert "BiasGelu" not in _kinds(optimised(GRAPH, without=["BiasGeluFusion"]))


@pytest.mark.parametrize("level", LEVELS)
def test_every_level_answers_the_same(level: str) -> None:
    """What is compared is speed."""
    wanted = at_level(GRAPH, "disabled")(FEEDS)[0]
    assert np.abs(at_level(GRAPH, level)(FEEDS)[0] - wanted).max() < 1e-5
    assert np.abs(wanted).max() > 0.1


def test_the_program_for_transformers() -> None:
    """It fuses what it knows and answers the same, and prints nothing."""
    before = logging.root.manager.disable
    smaller = fused(GRAPH)
    assert logging.root.manager.disable == before
    assert _nodes(smaller) < _nodes(GRAPH)
    difference = at_level(smaller, "all")(FEEDS)[0] - at_level(GRAPH, "all")(FEEDS)[0]
    assert np.abs(difference).max() < 1e-4


def test_the_program_is_not_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """It needs packages that ONNX Runtime does not bring; the error names one."""
    monkeypatch.setitem(sys.modules, "onnxruntime.transformers", None)
    with pytest.raises(InputError, match="pip install"):
        fused(GRAPH)


@pytest.mark.parametrize("data", [b"", b"no graph", GRAPH[:-100]])
def test_what_is_no_graph(data: bytes) -> None:
    """One sentence each, of our kind."""
    for use in (optimised, fused, lambda graph: at_level(graph, "all")):
        with pytest.raises(InputError, match="ONNX Runtime cannot load"):
            use(data)
