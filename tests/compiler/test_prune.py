"""What is cut out is gone, what stays does what it did, and nothing is cut from the original."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

ir = pytest.importorskip("onnx_ir", reason="the extra [compile] is not installed")

from tests.compiler.exports import Spelling, answers, bert  # noqa: E402
from tests.compiler.test_anatomy import pre_norm  # noqa: E402
from winnow.compiler.anatomy import anatomy_of  # noqa: E402
from winnow.compiler.fold import folded  # noqa: E402
from winnow.compiler.graph import serialised  # noqa: E402
from winnow.compiler.inputs import feeds_of  # noqa: E402
from winnow.compiler.passes import largest_difference  # noqa: E402
from winnow.compiler.prune import Keep, Plan, columns_of, cut, values_of, whole  # noqa: E402
from winnow.compiler.verify import fault_of  # noqa: E402
from winnow.errors import InputError  # noqa: E402
from winnow.recipe_compile import run_graph  # noqa: E402

# Answers of about 1; a product over fewer rows is summed in another order.
TOLERANCE = 1e-5
HEADS, NEURONS = ((0, 2), (3,)), (tuple(range(0, 32, 3)), (5, 4))
SPELLINGS = (Spelling(), Spelling(gelu="node", mask="none", kinds="input", opset=20))


def _model(spelling: Spelling = SPELLINGS[0]) -> Any:
    return folded(bert(spelling), run_graph).model


def silenced(model: Any, heads: Sequence[Sequence[int]], neurons: Sequence[Sequence[int]]) -> Any:
    """The whole graph, in which heads and neurons that are to go add nothing: the oracle."""
    model = model.clone()
    anatomy, values = anatomy_of(model), values_of(model)
    for layer, some, few in zip(anatomy.layers, heads, neurons, strict=True):
        for dense, rows in (
            (layer.attention.output, columns_of(some, layer.attention.size)),
            (layer.feed.down, np.array(few)),
        ):
            kernel = np.array(values[dense.kernel].const_value.numpy())
            kernel[np.setdiff1d(np.arange(len(kernel)), rows)] = 0
            values[dense.kernel].const_value = ir.tensor(kernel, name=dense.kernel)
    return model


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_what_is_left_does_what_it_did(spelling: Spelling) -> None:
    """A cut graph is the whole one with the others silenced; widths may differ by layer."""
    model = _model(spelling)
    smaller = cut(model, Plan(tuple(map(Keep, HEADS, NEURONS))))
    assert fault_of(smaller) == ""
    oracle = silenced(model, HEADS, NEURONS)
    assert largest_difference(answers(oracle), answers(smaller)) <= TOLERANCE
    assert largest_difference(answers(model), answers(smaller)) > 100 * TOLERANCE


def test_it_is_really_smaller() -> None:
    """Kernels have the widths of the plan, and the sizes in the graph agree."""
    smaller = cut(_model(), Plan(tuple(map(Keep, HEADS, NEURONS))))
    layers = anatomy_of(smaller).layers
    assert [layer.attention.heads for layer in layers] == [2, 1]
    assert [layer.feed.neurons for layer in layers] == [11, 2]
    assert [layer.attention.query.sizes for layer in layers] == [(16, 8), (16, 4)]


def test_the_original_stays() -> None:
    """Cutting is a function: what it is given is the same afterwards, to the byte."""
    model = _model()
    before = serialised(model)
    cut(model, Plan((None, Keep((1,), (2,))), pieces=(3, 4)))
    assert serialised(model) == before


def test_keeping_all_changes_nothing() -> None:
    """The whole plan leaves every weight where it was."""
    model = _model()
    again = cut(model, whole(anatomy_of(model)))
    assert largest_difference(answers(model), answers(again)) == 0
    assert set(again.graph.initializers) == set(model.graph.initializers)


def test_order_does_not_matter() -> None:
    """Heads and neurons may be put in any order; their sum is the same."""
    model = _model()
    keep = Keep((3, 1, 0, 2), tuple(range(31, -1, -1)))
    turned = cut(model, Plan((keep, keep)))
    assert largest_difference(answers(model), answers(turned)) <= TOLERANCE


@pytest.mark.parametrize("make", [_model, pre_norm])
def test_a_layer_that_is_left_out_gives_what_it_reads(make: Any) -> None:
    """Its nodes are gone, and the next layer reads what it read."""
    model = make()
    keep = whole(anatomy_of(model)).layers
    for gone in (0, 1):
        smaller = cut(model, Plan(tuple(None if n == gone else keep[n] for n in (0, 1))))
        assert fault_of(smaller) == ""
        (left,) = anatomy_of(smaller).layers
        old = anatomy_of(model).layers
        assert left.feed.down.kernel == old[1 - gone].feed.down.kernel
        assert left.enters == old[0].enters
        assert len(smaller.graph) < 0.7 * len(model.graph)
        feeds = feeds_of(smaller, 2, 5, 0)
        names = [smaller.graph.outputs[0].name]
        ((answer,),) = run_graph(smaller, [feeds], names)
        assert np.isfinite(answer).all()


def test_layers_next_to_each_other_may_go() -> None:
    """Two layers in a row that are left out give what the first one reads."""
    model = folded(bert(layers=3), run_graph).model
    keep = whole(anatomy_of(model)).layers
    smaller = cut(model, Plan((None, None, keep[2])))
    (left,) = anatomy_of(smaller).layers
    assert left.enters == anatomy_of(model).layers[0].enters


def test_a_gate_is_cut_with_what_it_gates() -> None:
    """Both kernels of a gated layer lose the same columns."""
    model = pre_norm()
    keep = Keep((1,), (0, 5, 11))
    smaller = cut(model, Plan((keep, keep)))
    assert all(
        [up.sizes for up in layer.feed.ups] == [(8, 3), (8, 3)]
        for layer in anatomy_of(smaller).layers
    )
    oracle = silenced(model, ((1,), (1,)), ((0, 5, 11),) * 2)
    feeds = [feeds_of(model, 2, 7, 1)]
    found, wanted = (run_graph(one, feeds, ["logits"]) for one in (smaller, oracle))
    assert largest_difference(found, wanted) <= TOLERANCE


def test_pieces() -> None:
    """A piece has the row that it had, under its new number."""
    model = _model()
    pieces = (0, 7, 39, 12)
    smaller = cut(model, Plan(whole(anatomy_of(model)).layers, pieces))
    feeds = feeds_of(model, 2, 9, 3)
    small = {**feeds, "input_ids": np.random.default_rng(0).integers(0, 4, (2, 9))}
    large = {**feeds, "input_ids": np.array(pieces)[small["input_ids"]]}
    one, two = run_graph(smaller, [small], ["logits"]), run_graph(model, [large], ["logits"])
    assert largest_difference(one, two) == 0


def test_the_graph_says_how_many_pieces_it_has() -> None:
    """A tokenizer is compared with that number when a model is loaded."""
    model = _model()
    model.metadata_props["pieces"] = "40"
    plan = Plan(whole(anatomy_of(model)).layers, (1, 2))
    assert cut(model, plan).metadata_props["pieces"] == "2"


def test_a_weight_that_two_layers_share_is_cut_for_one_of_them() -> None:
    """Layers with the same kernels (ALBERT) or biases of zeros are cut apart."""
    model = _model()
    one, two = anatomy_of(model).layers
    values = values_of(model)
    for ours, theirs in (one.feed.ups[0], two.feed.ups[0]), (one.feed.down, two.feed.down):
        for name, other in ((ours.kernel, theirs.kernel), (ours.bias, theirs.bias)):
            ir.convenience.replace_all_uses_with(values[other], values[name])
    heads, neurons = ((0, 1, 2, 3), (2,)), ((1, 2), tuple(range(32)))
    smaller = cut(model, Plan(tuple(map(Keep, heads, neurons))))
    assert fault_of(smaller) == ""
    # The oracle cannot share: it silences rows of one layer only.
    first = values_of(model)[one.feed.down.product].producer()
    kernel = np.array(values_of(model)[one.feed.down.kernel].const_value.numpy())
    kernel[np.setdiff1d(np.arange(32), neurons[0])] = 0
    own = ir.Value(name="own", const_value=ir.tensor(kernel, name="own"))
    model.graph.register_initializer(own)
    first.replace_input_with(1, own)
    output = anatomy_of(model).layers[1].attention.output
    rows = np.array(values_of(model)[output.kernel].const_value.numpy())
    rows[np.setdiff1d(np.arange(16), columns_of([2], 4))] = 0
    values_of(model)[output.kernel].const_value = ir.tensor(rows, name=output.kernel)
    assert largest_difference(answers(model), answers(smaller)) <= TOLERANCE


@pytest.mark.parametrize(
    ("plan", "told"),
    [
        (Plan((None, None)), "every layer would be left out"),
        (Plan((Keep((), (1,)), None)), "no heads of layer 0 would be left"),
        (Plan((None, Keep((1,), ()))), "no neurons of layer 1 would be left"),
        (Plan((None, Keep((4,), (1,)))), "layer 1 has heads 0 to 3"),
        (Plan((Keep((1,), (1, 1)), None)), "layer 0 has neurons 0 to 31, each once"),
        (Plan((Keep((1,), (1,)),)), "is for 1 layers of 2"),
        (Plan((Keep((1,), (1,)), None), ()), "no piece of the vocabulary"),
        (Plan((Keep((1,), (1,)), None), (0, 40)), "pieces 0 to 39"),
    ],
)
def test_what_cannot_be(plan: Plan, told: str) -> None:
    """A plan that leaves nothing, or names what is not there, is refused with the place."""
    with pytest.raises(InputError, match=told):
        cut(_model(), plan)


def test_a_layer_that_cannot_be_left_out() -> None:
    """Where what a layer gives is no one value, its heads can be cut, but it must stay."""
    model = folded(bert(), run_graph).model
    for name in ("layer0.norm2", "layer1.norm2"):
        scale = next(v for n, v in values_of(model).items() if n.startswith(f"{name}.scale"))
        scale.uses()[0].node.op_type = "GroupNormalization"  # of a kind that is not known
    with pytest.raises(InputError, match="layer 0 cannot be left out"):
        cut(model, Plan((None, Keep((1,), (1,)))))
