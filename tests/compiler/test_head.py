"""Where a classifier says its answer: which output, before which ending, by which product."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.imported import BIAS, classifier, kernel_of  # first: skips without the extra
from winnow.compiler.graph import parsed
from winnow.compiler.head import (
    LOGITS,
    SIGMOID,
    SOFTMAX,
    Head,
    averaged,
    before_final,
    head_of,
    last_product,
)
from winnow.errors import InputError


def _opened(**how: Any) -> Any:
    return parsed(classifier(**how).SerializeToString(), "model.onnx")


def _said(*shapes: tuple[str, tuple[int, ...]]) -> dict[str, NDArray[Any]]:
    return {name: np.zeros(shape, dtype=np.float32) for name, shape in shapes}


@pytest.mark.parametrize(
    ("final", "form"),
    [("", LOGITS), ("Softmax", SOFTMAX), ("Sigmoid", SIGMOID), ("LogSoftmax", LOGITS)],
)
def test_an_ending_is_seen_and_left_off(final: str, form: str) -> None:
    """Probabilities are taken back to the logits that they were made of."""
    graph = _opened(final=final)
    head = head_of(graph, _said(("logits", (1, 2))), _said(("logits", (1, 2))))
    assert head == Head("logits", 2, form=form)
    value, found = before_final(graph.graph.outputs[0], 2)
    assert found == form
    assert value.name == ("logits.raw" if final else "logits")


def test_a_softmax_over_something_else_is_no_ending() -> None:
    """Over texts, not over classes: what it does cannot be taken back."""
    model = classifier(final="Softmax")
    ending = next(node for node in model.graph.node if node.op_type == "Softmax")
    attribute = ending.attribute.add()
    attribute.name, attribute.type, attribute.i = "axis", 2, 0
    graph = parsed(model.SerializeToString(), "m")
    value, form = before_final(graph.graph.outputs[0], 2)
    assert (value.name, form) == ("logits", LOGITS)


@pytest.mark.parametrize(
    ("short", "long", "told"),
    [
        ((1, 5, 2), (1, 9, 2), "no output is an answer"),
        ((1, 5), (1, 9), "no output is an answer"),
        ((5, 2), (9, 2), "no output is an answer"),
        ((), (), "no output is an answer"),
    ],
    ids=["a vector a token", "a number a token", "no batch", "a number alone"],
)
def test_what_is_no_answer_for_a_text_is_refused(
    short: tuple[int, ...], long: tuple[int, ...], told: str
) -> None:
    """A tagger or an encoder without its head says so, with the shapes that were seen."""
    graph = _opened()
    with pytest.raises(InputError, match=told) as refused:
        head_of(graph, _said(("logits", short)), _said(("logits", long)))
    assert str(list(long)) in str(refused.value)


def test_a_decision_is_no_answer() -> None:
    """The number of a class, as an integer, has no log-odds."""
    said = {"logits": np.zeros((1, 2), dtype=np.int64)}
    with pytest.raises(InputError, match="no text classifier"):
        head_of(_opened(), said, said)


def test_of_several_outputs_the_logits_are_taken() -> None:
    """Hidden states beside them do not matter; two that may both be the answer are refused."""
    model = classifier()
    for name in ("pooled", "hidden"):
        model.graph.output.add().CopyFrom(model.graph.output[0])
        model.graph.output[-1].name = name
    graph = parsed(model.SerializeToString(), "m")
    shapes = [("logits", (1, 2)), ("pooled", (1, 2))]
    short, long = (_said(*shapes, ("hidden", (1, tokens, 2))) for tokens in (5, 9))
    assert head_of(graph, short, long).output == "logits"
    renamed = parsed(classifier(output="answer").SerializeToString(), "m")
    renamed.graph.outputs.append(next(n for n in renamed.graph if n.name == "pooled").outputs[0])
    said = _said(("answer", (1, 2)), ("pooled", (1, 2)))
    with pytest.raises(InputError, match="more than one output"):
        head_of(renamed, said, said)


@pytest.mark.parametrize("product", ["Gemm", "Gemm across", "MatMul"])
@pytest.mark.parametrize(
    ("classes", "form", "spam", "signs"),
    [
        (2, LOGITS, 1, (-1, 1)),
        (2, SOFTMAX, 0, (1, -1)),
        (2, SIGMOID, 1, (0, 1)),
        (3, SIGMOID, 2, (0, 0, 1)),
        (1, LOGITS, 1, (1,)),
        (1, SIGMOID, 0, (-1,)),
    ],
)
def test_the_product_is_reduced_to_one_number(
    product: str, classes: int, form: str, spam: int, signs: tuple[int, ...]
) -> None:
    """Its columns are added with the signs that the log-odds have them with, and so are biases."""
    graph = _opened(product=product, classes=classes)
    last = last_product(graph.graph.outputs[0], Head("logits", classes, spam, form))
    assert last is not None
    kernel, bias = kernel_of(classes)
    assert last.x.name == "pooled"
    assert last.kernel.dtype == np.float32
    np.testing.assert_allclose(last.kernel, kernel @ np.array(signs), atol=1e-7)
    assert last.bias == pytest.approx(float(bias @ np.array(signs)), abs=1e-7)


def test_two_classes_make_the_score_less_a_half() -> None:
    """What all tests with this classifier add up by hand."""
    last = last_product(_opened().graph.outputs[0], Head("logits", 2))
    assert last is not None
    assert last.kernel.tolist() == [1.0, 0.125]
    assert last.bias + 0.125 == pytest.approx(BIAS)


@pytest.mark.parametrize(
    ("how", "head"),
    [
        ({"product": "Neg"}, Head("logits", 2)),
        ({"classes": 3}, Head("logits", 3)),
        ({"classes": 3, "final": "Softmax"}, Head("logits", 3, form=SOFTMAX)),
    ],
    ids=["no product", "three classes", "three probabilities"],
)
def test_what_is_no_sum_of_logits_is_left(how: dict[str, Any], head: Head) -> None:
    """Then the logits themselves are taken, one by one."""
    graph = _opened(**how)
    assert last_product(before_final(graph.graph.outputs[0], head.classes)[0], head) is None


def test_scales_of_a_product_count() -> None:
    """Alpha and beta of a Gemm are part of its numbers."""
    model = classifier()
    gemm = next(node for node in model.graph.node if node.op_type == "Gemm")
    for name, value in (("alpha", 2.0), ("beta", 0.5)):
        attribute = gemm.attribute.add()
        attribute.name, attribute.type, attribute.f = name, 1, value
    graph = parsed(model.SerializeToString(), "m")
    last = last_product(graph.graph.outputs[0], Head("logits", 2))
    assert last is not None
    assert last.kernel.tolist() == [2.0, 0.25]
    assert last.bias == pytest.approx((BIAS - 0.125) / 2)


@pytest.mark.parametrize(
    ("pool", "tokens"),
    [("mean", "hidden"), ("average", "hidden"), ("first", None), ("largest", None)],
)
def test_a_mean_over_tokens_is_seen(pool: str, tokens: str | None) -> None:
    """By a mask or over all of them; anything else has no shares."""
    graph = _opened(pool=pool, names=("input_ids", "attention_mask"))
    for node in graph.graph:  # as `adapt` leaves it: the mask does not depend on the text
        if node.op_type == "Unsqueeze":
            ones = next(n for n in graph.graph if n.name == "size").outputs[0]
            node.replace_input_with(0, ones)
    found = averaged(next(n for n in graph.graph if n.name == "pooled").outputs[0])
    assert (None if found is None else found.name) == tokens


def test_a_weighted_sum_is_no_mean() -> None:
    """Weights that depend on the text, as of an attention, are none of a mask's."""
    graph = _opened(pool="mean", names=("input_ids", "attention_mask"))
    nodes = {node.name: node for node in graph.graph}
    pooled = nodes["pooled"].outputs[0]
    assert averaged(pooled) is None
    ones = nodes["size"].outputs[0]
    for weights, count in ((False, True), (True, False)):
        nodes["kept"].replace_input_with(1, nodes["mask.float"].outputs[0] if weights else ones)
        nodes["pooled"].replace_input_with(1, nodes["count.least"].outputs[0] if count else ones)
        assert averaged(pooled) is None
    nodes["kept"].replace_input_with(1, ones)
    assert averaged(pooled) is not None
