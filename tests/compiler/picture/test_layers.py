"""Layers are found from the wiring: in any spelling, before and after fusing."""

from __future__ import annotations

from typing import Any

import pytest

ir = pytest.importorskip("onnx_ir", reason="the extra [compile] is not installed")

from tests.compiler.picture.graphs import (  # noqa: E402
    PIECES,
    WIDTH,
    Builder,
    encoder,
    fused_encoder,
    given,
    model_of,
)
from winnow.compiler.picture.layers import Stages, stages_of  # noqa: E402
from winnow.compiler.picture.nodes import Sketch, sketch_of  # noqa: E402


def _stages(model: Any) -> tuple[Sketch, Stages]:
    sketch = sketch_of(model)
    return sketch, stages_of(sketch)


def _names(sketch: Sketch, stages: Stages, stage: int) -> set[str]:
    return {node.name for node, of in zip(sketch.nodes, stages.of, strict=True) if of == stage}


@pytest.mark.parametrize("build", [encoder, fused_encoder])
@pytest.mark.parametrize("layers", [1, 2, 4])
def test_an_encoder_is_cut_at_its_thread(build: Any, layers: int) -> None:
    """Each layer holds its own nodes and no others; the shared mask is part of the embeddings."""
    sketch, stages = _stages(build(layers))
    names = [f"layer {n}" for n in range(layers)]
    assert stages.names == ("embeddings", *names, "head")
    assert {"look", "embed"} == _names(sketch, stages, 0) - _mask(sketch)
    for n in range(layers):
        layer = _names(sketch, stages, n + 1)
        shared = _mask(sketch) if layers == 1 else set()  # of one layer only, it is its own
        assert {name for name in layer if not name.startswith(f"layer{n}.")} == shared
    assert _names(sketch, stages, layers + 1) == {"answer.product", "answer"}
    assert stages.thread == {"embed", *(f"layer{n}.end" for n in range(layers))}


def _mask(sketch: Sketch) -> set[str]:
    return {node.name for node in sketch.nodes if node.name.startswith("mask")}


def test_nothing_flows_back() -> None:
    """No node reads a value of a later stage, so stages can be drawn below each other."""
    sketch, stages = _stages(encoder(3))
    makers = sketch.makers()
    for n, node in enumerate(sketch.nodes):
        assert all(stages.of[makers[v]] <= stages.of[n] for v in node.inputs if v in makers)


def test_layers_with_their_norm_first() -> None:
    """A layer whose norm stands at its start, and beside the thread, owns it."""
    build, ids = Builder(), given("ids", "batch", "tokens")
    x = build.op("Gather", build.constant("words", PIECES, WIDTH), ids, name="look")
    for n in range(2):
        calm = build.norm(x, f"layer{n}.norm")
        shares = build.op("Softmax", build.dense(calm, f"layer{n}.q"), name=f"layer{n}.shares")
        mixed = build.op("MatMul", shares, build.dense(calm, f"layer{n}.v"), name=f"layer{n}.mixed")
        x = build.op("Add", x, mixed, name=f"layer{n}.skip")
        fed = build.dense(build.norm(x, f"layer{n}.second"), f"layer{n}.feed")
        x = build.op("Add", x, fed, name=f"layer{n}.end")
    sketch, stages = _stages(model_of(build, [ids], [build.norm(x, "last")]))
    assert stages.thread == {"look", "layer0.end", "layer1.end"}
    assert _names(sketch, stages, 3) == {"last"}


def test_a_size_is_no_text() -> None:
    """What the shape of the ids is used for far below does not hide the thread."""
    build, ids = Builder(), given("ids", "batch", "tokens")
    x = build.op("Gather", build.constant("words", PIECES, WIDTH), ids, name="look")
    size = build.op("Shape", x, name="size")
    x = build.norm(x, "embed")
    shares = build.op("Softmax", build.dense(x, "q"), name="shares")
    mixed = build.op("MatMul", shares, x, name="mixed")
    skip = build.norm(build.op("Add", x, mixed, name="skip"), "norm")
    answer = build.op("Reshape", build.dense(skip, "answer"), size, name="shaped")
    _, stages = _stages(model_of(build, [ids], [answer]))
    assert stages.names == ("embeddings", "layer 0", "head")
    assert "embed" in stages.thread


def test_what_is_no_encoder_is_one_stage() -> None:
    """Without attention, or without words, there are no layers to find."""
    build, x = Builder(), given("x", "batch", WIDTH)
    dense = model_of(build, [x], [build.dense(x, "one")])
    assert _stages(dense)[1] == Stages(("graph",), (0, 0), frozenset())
    build, x = Builder(), given("x", "batch", WIDTH)
    shares = build.op("Softmax", build.dense(x, "one"), name="shares")
    assert _stages(model_of(build, [x], [shares]))[1].names == ("graph",)
