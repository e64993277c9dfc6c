"""The same story for programs: counts, stages, and every change with its nodes."""

from __future__ import annotations

import json

import pytest

ir = pytest.importorskip("onnx_ir", reason="the extra [compile] is not installed")

from tests.compiler.picture.graphs import encoder, fused_encoder  # noqa: E402
from winnow.compiler.picture.story import story_of  # noqa: E402
from winnow.compiler.picture.told import told  # noqa: E402


def test_both_graphs_and_every_change() -> None:
    """Layers that are drawn once are told one by one."""
    found = told(story_of("m", encoder(2), fused_encoder(2)))
    assert json.loads(json.dumps(found)) == found
    assert (found["before"]["nodes"], found["after"]["nodes"]) == (51, 27)
    stages = [(s["name"], s["nodes"]) for s in found["before"]["stages"]]
    assert stages == [("embeddings", 5), ("layer 0", 22), ("layer 1", 22), ("head", 2)]
    assert found["before"]["stages"][0]["operators"]["Gather"] == 1
    assert found["after"]["kinds"]["attention"] == 2
    attention = [c for c in found["changes"] if c["after"][0]["operator"] == "Attention"]
    assert [c["stages"] for c in attention] == [["layer 0"], ["layer 1"]]
    assert [len(c["before"]) for c in attention] == [11, 11]
    assert attention[0]["after"] == [{"operator": "Attention", "name": "layer0.mixed"}]
    assert attention[0]["rules"] == ["Pack", "FuseAttention"]
    assert len(found["changes"]) == 5  # what is kept is no change


def test_one_graph() -> None:
    """Without another, there is nothing after, and no change."""
    found = told(story_of("m", encoder(1)))
    assert (found["after"], found["changes"]) == (None, [])
