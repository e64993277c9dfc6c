"""Attention of several heads is one node; what only looks like it is not."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.compiler.exports import (
    FAR,
    Spelling,
    Writer,
    bert,
    by,
    count,
    fired,
    left_alone,
    proved,
    reasons,
    sketch,
)
from winnow.compiler.rules.attention import RULES, heads_of

BOUND = 2e-6  # the kernel sums in another order
STEP = by(*RULES)
MASKED = Spelling()
BARE = Spelling(mask="none")


def _mask(to: Writer, far: float = FAR, axes: tuple[int, ...] = (1, 2), zero: float = 0.0) -> Any:
    keep = to.Cast(to.inputs[1], to=9)
    return to.Where(to.Unsqueeze(keep, to.ints(*axes)), to.number(zero), to.number(far))


def _attention(
    to: Writer,
    added: Any = None,
    *,
    apart: tuple[int, ...] = (0, 0, 4, 4),
    keys: tuple[int, ...] = (0, 0, 4, 4),
    values: tuple[int, ...] = (0, 0, 4, 4),
    together: tuple[int, ...] = (0, 0, 16),
    scale: Any = None,
    axis: int = -1,
    width: int = 16,
    narrow: int = 16,
) -> Any:
    """Attention as folding leaves it."""
    x = to.looked_up()
    q, k = to.dense(x, "q", 16, 16), to.dense(x, "k", 16, narrow)
    v = to.dense(x, "v", 16, width)
    q = to.Transpose(to.Reshape(q, to.ints(*apart)), perm=[0, 2, 1, 3])
    k = to.Transpose(to.Reshape(k, to.ints(*keys)), perm=[0, 2, 3, 1])
    v = to.Transpose(to.Reshape(v, to.ints(*values)), perm=[0, 2, 1, 3])
    scores = to.Mul(to.MatMul(q, k), to.number(0.5) if scale is None else scale(to))
    p = to.Softmax(scores if added is None else to.Add(scores, added), axis=axis)
    return to.Reshape(to.Transpose(to.MatMul(p, v), perm=[0, 2, 1, 3]), to.ints(*together))


def _node(model: Any) -> Any:
    [node] = [n for n in model.graph if n.op_type == "MultiHeadAttention"]
    return node


def test_without_a_mask() -> None:
    """Thirteen nodes become one that knows heads and scale."""
    outcome = proved(STEP, sketch(_attention, BARE), BOUND)
    assert fired(outcome, "FuseAttention") == len(outcome.fired) == 1
    node = _node(outcome.model)
    assert node.domain == "com.microsoft"
    assert len(node.inputs) == 3
    assert (node.attributes["num_heads"].value, node.attributes["scale"].value) == (4, 0.5)
    assert "mask_filter_value" not in node.attributes
    assert {"Softmax", "Reshape", "Transpose"}.isdisjoint(n.op_type for n in outcome.model.graph)


@pytest.mark.parametrize("far", [FAR, -10_000.0])
@pytest.mark.parametrize("first", [False, True])
def test_with_a_mask(far: float, first: bool) -> None:
    """The mask goes in as the integers that it was; what it adds to padding is kept."""

    def write(to: Writer) -> Any:
        return _attention(to, _mask(to, far))

    model = sketch(write, MASKED)
    if first:
        [add] = [
            n for n in model.graph if n.op_type == "Add" and n.inputs[1].producer() is not None
        ]
        inputs = list(add.inputs)
        add.replace_input_with(0, inputs[1])
        add.replace_input_with(1, inputs[0])
    outcome = proved(STEP, model, BOUND)
    assert fired(outcome, "FuseMaskedAttention") == len(outcome.fired) == 1
    node = _node(outcome.model)
    assert len(node.inputs) == 5
    assert node.inputs[3] is None
    assert node.inputs[4].producer().op_type == "Cast"
    assert node.inputs[4].producer().inputs[0] is outcome.model.graph.inputs[1]
    assert node.attributes["mask_filter_value"].value == pytest.approx(far)


@pytest.mark.parametrize("sizes", [(0, -1), (-1, 0)])
def test_other_words_for_the_same_heads(sizes: tuple[int, int]) -> None:
    """Of batch and tokens one may be what is left over."""

    def write(to: Writer) -> Any:
        heads = (*sizes, 4, 4)
        return _attention(to, apart=heads, keys=heads, values=heads, together=(*sizes, 16))

    outcome = proved(STEP, sketch(write, BARE), BOUND)
    assert fired(outcome, "FuseAttention") == 1


def test_values_may_be_of_another_width() -> None:
    """Heads of pruned values are narrower than those of the scores."""

    def write(to: Writer) -> Any:
        return _attention(to, values=(0, 0, 4, 2), together=(0, 0, 8), width=8)

    outcome = proved(STEP, sketch(write, BARE), BOUND)
    assert fired(outcome, "FuseAttention") == 1


@pytest.mark.parametrize(
    ("write", "reason"),
    [
        (  # all heads share their values
            lambda to: _attention(to, values=(0, 0, 1, 16), together=(0, 0, 64)),
            "heads are taken apart in another way: [[0, 0, 4, 4], [0, 0, 4, 4], [0, 0, 1, 16]]",
        ),
        (  # and their keys
            lambda to: _attention(to, keys=(0, 0, 1, 4), width=16, narrow=4),
            "heads are taken apart in another way: [[0, 0, 4, 4], [0, 0, 1, 4], [0, 0, 4, 4]]",
        ),
        (
            lambda to: _attention(to, scale=lambda to: to.number(0.0)),
            "the scale is no constant number",
        ),
        (
            lambda to: _attention(to, scale=lambda to: to.weight("each", 4, 1, 1)),
            "the scale is no constant number",
        ),
        (lambda to: _attention(to, axis=2), "the softmax is not over keys"),
        (
            lambda to: _attention(to, together=(-1, 16)),
            "heads are put together in another way: [-1, 16]",
        ),
    ],
    ids=["values", "keys", "zero", "scales", "axis", "together"],
)
def test_what_is_no_attention_stays(write: Any, reason: str) -> None:
    """The reason says which part differs."""
    outcome = left_alone(STEP, sketch(write, BARE))
    assert reasons(outcome, "FuseAttention") == {reason}


def test_attention_within_windows_stays() -> None:
    """Taken apart into windows of four tokens, each looks at its own window only."""

    def write(to: Writer) -> Any:
        quads = to.Concat(*[to.looked_up()] * 4, axis=1)  # (b, 4 t, d): a multiple of four
        q, k, v = (to.dense(quads, part, 16, 16) for part in "qkv")
        q, k, v = (to.Reshape(y, to.ints(-1, 4, 4, 4)) for y in (q, k, v))
        scores = to.MatMul(to.Transpose(q, perm=[0, 2, 1, 3]), to.Transpose(k, perm=[0, 2, 3, 1]))
        p = to.Softmax(to.Mul(scores, to.number(0.5)), axis=-1)
        mixed = to.MatMul(p, to.Transpose(v, perm=[0, 2, 1, 3]))
        return to.Reshape(to.Transpose(mixed, perm=[0, 2, 1, 3]), to.ints(0, 0, 16))

    outcome = left_alone(STEP, sketch(write, BARE))
    [reason] = reasons(outcome, "FuseAttention")
    assert reason.startswith("heads are taken apart in another way: [[-1, 4, 4, 4]")


@pytest.mark.parametrize(
    "added",
    [
        lambda to: _mask(to, zero=1.0),
        lambda to: _mask(to, axes=(1, 3)),
        lambda to: to.Neg(_mask(to)),
        lambda to: to.weight("bias", 1, 4, 1, 1),
        lambda to: to.Where(
            to.Unsqueeze(to.Cast(to.Mul(to.inputs[1], to.inputs[1]), to=9), to.ints(1, 2)),
            to.number(0.0),
            to.number(FAR),
        ),
        lambda to: to.Where(
            to.Unsqueeze(to.Cast(to.inputs[1], to=9), to.ints(1, 2)),
            to.number(0.0),
            to.weight("far", 4, 1, 1),
        ),
    ],
    ids=["one", "queries", "negated", "bias", "computed", "for each head"],
)
def test_another_mask_stays(added: Any) -> None:
    """What is added must be 0 for tokens and one number for padding, of keys."""
    outcome = left_alone(STEP, sketch(lambda to: _attention(to, added(to)), MASKED))
    assert reasons(outcome, "FuseMaskedAttention") == {
        "what is added to the scores is no mask of keys"
    }


def test_keys_that_are_masked_and_biased_stay() -> None:
    """A bias of relative places beside the mask: the operator would drop one of the two."""

    def write(to: Writer) -> Any:
        x = to.looked_up()
        relative = to.Unsqueeze(to.MatMul(x, to.Transpose(x, perm=[0, 2, 1])), to.ints(1))
        return _attention(to, to.Add(relative, _mask(to)))

    outcome = left_alone(STEP, sketch(write, MASKED))
    assert reasons(outcome, "FuseMaskedAttention") == {
        "what is added to the scores is no mask of keys"
    }


def test_attention_that_is_read_elsewhere_stays() -> None:
    """A model that also gives its attention away computes it."""

    def write(to: Writer) -> Any:
        mixed = _attention(to)
        [softmax] = [n for n in to.tape.nodes if n.op_type == "Softmax"]
        return mixed, softmax.outputs[0]

    outcome = left_alone(STEP, sketch(write, BARE))
    assert any("other uses" in reason for reason in reasons(outcome, "FuseAttention"))


def test_opaque_shapes_stay() -> None:
    """Targets that are computed from the tokens say nothing of heads."""
    outcome = left_alone(STEP, bert(replace(BARE, shapes="opaque", scale="multiplied")))
    [reason] = reasons(outcome, "FuseAttention")
    assert reason.startswith("heads are taken apart in another way: [None")
    assert count(outcome.model, "Softmax") == 2


@pytest.mark.parametrize(
    ("target", "heads"),
    [
        ([0, 0, 4, 64], 4),
        ([0, -1, 4, 64], 4),
        ([-1, 0, 2, 8], 2),
        ([0, 0, -1, 64], None),
        ([0, 0, 4, -1], None),
        ([0, 0, 0, 64], None),
        ([-1, 5, 4, 64], None),
        ([0, 0, 256], None),
        (None, None),
    ],
)
def test_heads_of_a_target(target: list[int] | None, heads: int | None) -> None:
    """Only a target that says both sizes of a head, and leaves the tokens, has heads."""
    assert heads_of(target) == heads


def test_a_message_of_padding_alone_is_attended_evenly() -> None:
    """What the sum of a mask and the scores rounds to is what the kernel gives."""
    from winnow.compiler.graph import copied
    from winnow.recipe_compile import run_graph

    model = sketch(lambda to: _attention(to, _mask(to)), MASKED)
    ids = np.arange(6).reshape(1, 6)
    feeds = [{"input_ids": ids, "attention_mask": np.zeros_like(ids)}]
    [[before]] = run_graph(model, feeds, ["out0"])
    [[after]] = run_graph(STEP(copied(model)).model, feeds, ["out0"])
    assert math.isclose(float(np.abs(before - before[0, 0]).max()), 0.0, abs_tol=1e-6)
    assert np.abs(before - after).max() <= BOUND
