"""A foreign classifier's graph with the contract of ours: the same answers, from ids alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.imported import (  # first: skips without the extra
    BIAS,
    POSITIONS,
    VOCABULARY,
    classifier,
    helper,
    kernel_of,
    log_odds,
    numpy_helper,
    table_of,
)
from winnow.compiler.adapt import Adapted, adapt, check_lengths
from winnow.compiler.graph import executable, parsed, serialised
from winnow.compiler.head import LOGITS, SIGMOID, SOFTMAX, Head
from winnow.compiler.verify import fault_of
from winnow.errors import InputError, ReaderError
from winnow.runtime import Reader
from winnow.runtime.session import Session
from winnow.tokens import FIELDS, Tokens

# Sums of a few numbers below ten in another order.
TOLERANCE = 1e-5
IDS = [2, 5, 6, 14, 25, 3]  # [CLS], two words of spam, one of ham, one of neither, [SEP]
SCORES = table_of()[IDS, 0].tolist()


def _adapted(model: Any, head: Head | None = None) -> Adapted:
    return adapt(parsed(model.SerializeToString(), "m"), head or Head("logits", 2))


def _reader(adapted: Adapted) -> Reader:
    adapted.model.metadata_props.update(pieces=str(adapted.pieces), positions=str(POSITIONS))
    return Reader(serialised(adapted.model))


def _tokens(ids: list[int] = IDS, field: int = 1) -> Tokens:
    return Tokens(np.array(ids), np.full(len(ids), field))


@pytest.mark.parametrize("pool", ["mean", "average", "first", "largest"])
@pytest.mark.parametrize("product", ["Gemm", "Gemm across", "MatMul", "Neg"])
def test_two_classes_become_log_odds(pool: str, product: str) -> None:
    """By every way of pooling and every spelling of the last product, whatever the field."""
    adapted = _adapted(classifier(pool=pool, product=product))
    assert fault_of(adapted.model) == ""
    reader = _reader(adapted)
    for field in range(len(FIELDS)):
        value, shares = reader.read(_tokens(field=field))
        wanted = log_odds(SCORES, "mean" if pool == "average" else pool)
        assert value == pytest.approx(wanted, abs=TOLERANCE)
    told = pool in ("mean", "average") and product != "Neg"
    assert adapted.shares is told
    assert shares.tolist() == pytest.approx(
        [score + BIAS for score in SCORES] if told else [], abs=TOLERANCE
    )


@pytest.mark.parametrize("spam", [0, 1])
@pytest.mark.parametrize(
    ("final", "form"), [("Softmax", SOFTMAX), ("LogSoftmax", LOGITS), ("Sigmoid", SIGMOID)]
)
def test_probabilities_become_log_odds(final: str, form: str, spam: int) -> None:
    """Those that the file itself gives, taken back; either class may be spam."""
    model = classifier(final=final, names=("input_ids",), pool="average")
    said = Session(model.SerializeToString()).run({"input_ids": np.array([IDS])})[0][0]
    value, _ = _reader(_adapted(model, Head("logits", 2, spam, form))).read(_tokens())
    probability = np.exp(said[spam]) if final == "LogSoftmax" else said[spam]
    assert 0.02 < probability < 0.98
    assert value == pytest.approx(np.log(probability / (1 - probability)), abs=TOLERANCE)


@pytest.mark.parametrize("spam", [0, 1, 3])
@pytest.mark.parametrize(("final", "form"), [("", LOGITS), ("Softmax", SOFTMAX)])
def test_one_of_four_classes_is_answered_for_against_the_rest(
    final: str, form: str, spam: int
) -> None:
    """The log-odds of its share in the softmax, not of its logit against one other."""
    head = Head("logits", 4, spam, form)
    adapted = _adapted(classifier(classes=4, final=final, pool="largest"), head)
    kernel, bias = kernel_of(4)
    logits = np.array([max(SCORES), 1.0]) @ kernel + bias
    share = np.exp(logits[spam]) / np.exp(logits).sum()
    value, _ = _reader(adapted).read(_tokens())
    assert value == pytest.approx(np.log(share / (1 - share)), abs=TOLERANCE)


@pytest.mark.parametrize(("spam", "sign"), [(1, 1), (0, -1)])
@pytest.mark.parametrize("product", ["Gemm", "Neg"])
def test_a_single_number_is_the_answer_or_its_opposite(spam: int, sign: int, product: str) -> None:
    """It speaks for class 1; where that is ham, below 0 is spam."""
    model = classifier(classes=1, product=product, pool="first")
    value, shares = _reader(_adapted(model, Head("logits", 1, spam))).read(_tokens([5, 3]))
    assert value == pytest.approx(sign * (8 + BIAS), abs=TOLERANCE)
    assert len(shares) == 0


def test_messages_of_any_length_are_read_as_they_are() -> None:
    """The mask follows the ids; what is longer than the table of places fails, and nothing else."""
    reader = _reader(_adapted(classifier()))
    for length in (1, 2, POSITIONS):
        value, shares = reader.read(_tokens([5] * length))
        assert (value, len(shares)) == (pytest.approx(8 + BIAS, abs=TOLERANCE), length)
    with pytest.raises(ReaderError):
        reader.read(_tokens([5] * (POSITIONS + 1)))


@pytest.mark.parametrize(
    "names",
    [
        ("input_ids",),
        ("input_ids", "attention_mask"),
        ("ids", "mask", "fields"),
        ("tokens", "attention_mask", "segment_ids"),
    ],
)
@pytest.mark.parametrize("whole", [7, 6], ids=["int64", "int32"])
def test_inputs_of_any_name_and_width(names: tuple[str, ...], whole: int) -> None:
    """Exporters call them as they like; ours are two, of 64 bits, and types of tokens are 0."""
    pool = "mean" if len(names) > 1 else "average"
    adapted = _adapted(classifier(names=names, whole=whole, pool=pool))
    inputs = [(one.name, one.dtype.name) for one in adapted.model.graph.inputs]
    assert inputs == [("ids", "INT64"), ("fields", "INT64")]
    value, _ = _reader(adapted).read(_tokens(field=1))
    assert value == pytest.approx(log_odds(SCORES), abs=TOLERANCE)


@pytest.mark.parametrize("whole", [7, 6], ids=["int64", "int32"])
def test_places_are_counted_from_0(whole: int) -> None:
    """A graph that wants them as an input gets 0, 1, 2, … for each message."""
    model = classifier(names=("input_ids",), pool="average", whole=whole)
    places = helper.make_tensor_value_info("position_ids", whole, ["batch", "tokens"])
    model.graph.input.append(places)
    for node in model.graph.node:
        if node.name == "positions":
            node.input[1] = "position_ids"
    table = next(one for one in model.graph.initializer if one.name == "position.table")
    steps = np.stack([np.arange(POSITIONS), np.zeros(POSITIONS)], axis=1).astype(np.float32)
    table.CopyFrom(numpy_helper.from_array(steps, "position.table"))
    value, shares = _reader(_adapted(model)).read(_tokens())
    wanted = [score + BIAS + place for place, score in enumerate(SCORES)]
    assert shares.tolist() == pytest.approx(wanted, abs=TOLERANCE)
    assert value == pytest.approx(np.mean(wanted), abs=TOLERANCE)


def test_names_that_are_ours_are_given_up() -> None:
    """A graph may call its own values "shares", "log_odds", "ids" or "fields"."""
    model = classifier(output="log_odds")
    names = {"table": "shares", "pooled": "ids", "words": "fields"}
    for node in model.graph.node:
        for place, name in enumerate(node.input):
            node.input[place] = names.get(name, name)
        node.output[0] = names.get(node.output[0], node.output[0])
    for one in model.graph.initializer:
        one.name = names.get(one.name, one.name)
    value, _ = _reader(_adapted(model, Head("log_odds", 2))).read(_tokens())
    assert value == pytest.approx(log_odds(SCORES), abs=TOLERANCE)


def test_half_precision_is_answered_in_full() -> None:
    """Logits of 16 bits are subtracted as floats of 32, and not folded: that would round twice."""
    model = classifier(names=("input_ids",), pool="first")
    for one in model.graph.initializer:
        array = numpy_helper.to_array(one)
        if array.dtype == np.float32:
            one.CopyFrom(numpy_helper.from_array(array.astype(np.float16), one.name))
    model.graph.output[0].type.tensor_type.elem_type = 10
    adapted = _adapted(model)
    assert (adapted.shares, adapted.model.graph.outputs[0].dtype.name) == (False, "FLOAT")
    value, _ = _reader(adapted).read(_tokens([5, 3]))
    assert value == pytest.approx(8 + BIAS, abs=1e-2)  # numbers of ten have 11 bits


def test_the_graph_that_is_given_stays_as_it_is() -> None:
    """Who imports it compares both."""
    graph = parsed(classifier().SerializeToString(), "m")
    before = serialised(graph)
    adapted = adapt(graph, Head("logits", 2))
    assert serialised(graph) == before != serialised(adapted.model)


def test_what_is_no_longer_needed_is_gone() -> None:
    """The other class's column, the ending, other outputs and metadata of others."""
    model = classifier(final="Softmax", pool="first")
    entry = model.metadata_props.add()
    entry.key, entry.value = "pieces", "1"
    model.graph.output.add().CopyFrom(model.graph.output[0])
    model.graph.output[-1].name = "hidden"
    adapted = _adapted(model, Head("logits", 2, form=SOFTMAX))
    kinds = [node.op_type for node in adapted.model.graph]
    assert "Softmax" not in kinds
    assert "kernel" not in adapted.model.graph.initializers
    assert [output.name for output in adapted.model.graph.outputs] == ["log_odds"]
    assert dict(adapted.model.metadata_props) == {}
    assert executable(adapted.model) <= len(model.graph.node) + 2
    assert adapted.pieces == len(VOCABULARY)


@pytest.mark.parametrize(
    ("sizes", "told"),
    [(("batch", 128), "is of 128 tokens always"), ((8, "tokens"), "is of 8 texts at a time")],
)
def test_a_graph_of_one_length_is_refused(sizes: tuple[Any, Any], told: str) -> None:
    """It cannot read a message at its length; it says how to export it."""
    with pytest.raises(InputError, match=told):
        check_lengths(parsed(classifier(sizes=sizes).SerializeToString(), "m"))


def test_a_graph_for_one_text_at_a_time_is_fine() -> None:
    """Winnow asks for one at a time; that the graph can do no more stays written in it."""
    graph = parsed(classifier(sizes=(1, "tokens")).SerializeToString(), "m")
    check_lengths(graph)
    adapted = adapt(graph, Head("logits", 2))
    assert adapted.model.graph.inputs[0].shape[0] == 1
    assert _reader(adapted).read(_tokens())[0] == pytest.approx(log_odds(SCORES), abs=TOLERANCE)


def test_a_picture_is_no_text() -> None:
    """The name of the input that no text fills is told."""
    model = classifier()
    picture = model.graph.input.add()
    picture.CopyFrom(helper.make_tensor_value_info("pixel_values", 1, ["b", 3, 224, 224]))
    with pytest.raises(InputError, match="pixel_values"):
        check_lengths(parsed(model.SerializeToString(), "m"))


def test_ids_that_are_looked_up_in_no_table_are_refused() -> None:
    """Then nobody could tell whether the tokenizer is the right one."""
    model = classifier(pool="average", names=("input_ids",))
    for node in model.graph.node:
        if node.name == "words":
            node.op_type = "Cast"
            del node.input[0]
            node.attribute.add().CopyFrom(helper.make_attribute("to", 1))
    with pytest.raises(InputError, match="no table"):
        _adapted(model)
