"""However a network is spelt, it ends in one form; what it cannot bring there stays as it was."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.compiler.exports import (
    Spelling,
    Writer,
    assert_same,
    assert_settled,
    bert,
    count,
    fired,
    kinds,
    left_alone,
    proved,
    reasons,
    sketch,
    wiring,
)
from winnow.compiler.fold import TOLERANCE, fold_pass, folded
from winnow.compiler.graph import array_of, copied
from winnow.compiler.inputs import feeds_of
from winnow.compiler.passes import Outcome, Proof, apply_passes
from winnow.errors import InputError
from winnow.recipe_compile import run_graph

# Sums in another order, through two layers and a head; logits are below 3 here.
BOUND = 2e-6
PLAIN = Spelling(
    shapes="constants", scale="multiplied", gelu="product", positions="sliced", mask="where"
)
SPELLINGS = [
    *(Spelling(shapes=how) for how in ("arithmetic", "constants")),
    *(Spelling(scale=how) for how in ("divided", "multiplied", "both", "query", "query divided")),
    *(Spelling(mask=how) for how in ("product", "infinite", "bare")),
    *(Spelling(gelu=how) for how in ("half first", "halved", "product")),
    *(Spelling(norm=how) for how in ("spelt out", "squared")),
    Spelling(keys="three"),
    Spelling(positions="sliced"),
    Spelling(kinds="zeros"),
    Spelling(bias_first=True),
    *(Spelling(norm="spelt out", opset=opset) for opset in (18, 19)),
    Spelling(
        scale="query", mask="infinite", gelu="halved", norm="squared", keys="three", kinds="zeros",
        bias_first=True,
    ),
]  # fmt: skip


def step(model: Any) -> Outcome:
    """Folding as a step."""
    return folded(model, run_graph)


@pytest.fixture(scope="module")
def form() -> Any:
    """The one form: wiring of a network that is written almost as it will be."""
    return wiring(step(bert(PLAIN)).model)


@pytest.mark.parametrize("spelling", SPELLINGS, ids=str)
def test_every_spelling_ends_in_the_same_graph(spelling: Spelling, form: Any) -> None:
    """Equal, well-formed, settled; and wired as all others are."""
    outcome = proved(step, bert(spelling), BOUND)
    assert wiring(outcome.model) == form
    assert outcome.refused == ()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Spelling(kinds="input"), replace(PLAIN, kinds="input", norm="spelt out", keys="three")),
        (Spelling(pooled="mean"), replace(PLAIN, pooled="mean", scale="both", mask="product")),
        (Spelling(gelu="tanh"), replace(PLAIN, gelu="tanh", keys="three")),
        (Spelling(gelu="node", opset=20), replace(PLAIN, gelu="halved", opset=20)),
        (Spelling(gelu="fast node", opset=20), replace(PLAIN, gelu="tanh", opset=20)),
        (Spelling(mask="none"), replace(PLAIN, mask="none", scale="query divided")),
        (Spelling(positions="counted"), replace(PLAIN, positions="counted", norm="squared")),
    ],
    ids=["types", "mean", "tanh", "node", "fast node", "no mask", "counted"],
)
def test_so_does_every_network(one: Spelling, other: Spelling, form: Any) -> None:
    """Another network has another form, and one."""
    ours, theirs = (
        proved(step, bert(spelling, positions=32), BOUND).model for spelling in (one, other)
    )
    assert wiring(ours) == wiring(theirs)
    assert wiring(ours) != form


def test_the_form_is_what_the_module_says() -> None:
    """Words plus first rows; Q, K and V apart; scores times a number plus a shared mask."""
    model = step(bert(layers=3)).model
    n = 3
    assert Counter(kinds(model)) == {
        "Cast": 1, "Unsqueeze": 1, "Where": 1,  # the mask
        "Gather": 2, "Shape": 1, "Slice": 1,  # words, rows, the first token
        "MatMul": 8 * n + 2, "Add": 6 * n + 2 * n + 1 + n + 2, "Mul": n, "Softmax": n,
        "Reshape": 4 * n, "Transpose": 4 * n, "LayerNormalization": 2 * n + 1, "Gelu": n,
        "Tanh": 1,
    }  # fmt: skip
    targets = [array_of(x.inputs[1]).tolist() for x in model.graph if x.op_type == "Reshape"]
    assert sorted(targets) == sorted(([[0, 0, 4, 4]] * 3 + [[0, 0, 16]]) * n)
    assert model.metadata_props["positions"] == "24"


def test_the_report_names_rules() -> None:
    """Where each fired."""
    outcome = step(bert(Spelling(norm="spelt out", mask="infinite", keys="three", kinds="zeros")))
    assert {place.rule for place in outcome.fired} == {
        "ConstantShapes", "TabulatedRows", "SharedMask", "OneTranspose", "DivToMul", "ErfGelu",
        "DropNanGuard", "SpeltOutLayerNorm",
    }  # fmt: skip
    assert fired(outcome, "SpeltOutLayerNorm") == 5


@pytest.mark.parametrize(
    ("spelling", "rule", "reason"),
    [
        (Spelling(mask="query's"), "SharedMask", "what is added does not say which keys"),
        (Spelling(norm="spelt out", opset=16), "SpeltOutLayerNorm", "LayerNormalization came"),
    ],
)
def test_what_cannot_be_brought_there_stays_with_its_reason(
    spelling: Spelling, rule: str, reason: str
) -> None:
    """All else is folded."""
    outcome = proved(step, bert(spelling), BOUND)
    assert any(why.startswith(reason) for why in reasons(outcome, rule))
    assert count(outcome.model, "Gelu") == 2


def test_shapes_that_depend_on_tokens_stay() -> None:
    """Nothing of them is taken for a constant."""
    outcome = proved(step, bert(Spelling(shapes="opaque")), BOUND)
    computed = [x for x in outcome.model.graph if x.op_type == "Reshape"]
    assert all(array_of(x.inputs[1]) is None for x in computed)


def test_layers_that_share_weights() -> None:
    """As ALBERT's do: each weight is there once."""

    def write(to: Writer) -> Any:
        x = to.norm(to.embedded(40, 24), "embed.norm")
        mask = to.added_mask()
        for _ in range(3):
            x = to.norm(to.Add(to.attention(x, "layer", mask), x), "layer.norm1")
            up = to.gelu(to.dense(x, "layer.up", 16, 32))
            x = to.norm(to.Add(to.dense(up, "layer.down", 32, 16), x), "layer.norm2")
        return to.head(x)

    outcome = proved(step, sketch(write, Spelling(keys="three")), BOUND)
    kernels = [x.inputs[1].name for x in outcome.model.graph if x.op_type == "MatMul"]
    assert kernels.count("layer.q.kernel") == 3
    assert count(outcome.model, "Transpose") == 12


def test_a_switch_to_other_positions_is_no_table() -> None:
    """Below 20 tokens one table, above another: rows of a table, but not of one."""

    def write(to: Writer) -> Any:
        whole = to.Shape(to.ids)
        tokens = to.Slice(whole, to.ints(1), to.ints(2), to.ints(0))
        one, other = (to.weight(f"position.{n}", 24, 16) for n in "ab")
        chosen = to.Where(to.Less(tokens, to.ints(20)), one, other)
        return to.norm(
            to.Add(to.looked_up(), to.Slice(chosen, to.ints(0), tokens, to.ints(0))), "n"
        )

    outcome = proved(step, sketch(write), BOUND)
    assert fired(outcome, "TabulatedRows") == 0
    assert count(outcome.model, "Where") == 1


def test_a_value_that_differs_at_one_shape_is_no_constant() -> None:
    """At 24 tokens of at most 24, whatever it was before."""

    def write(to: Writer) -> Any:
        tokens = to.Cast(to.Slice(to.Shape(to.ids), to.ints(1), to.ints(2), to.ints(0)), to=1)
        full = to.Floor(to.Div(tokens, to.number(24.0)))
        x = to.Add(to.looked_up(), to.Slice(
            to.weight("position.table", 24, 16), to.ints(0), to.Shape(to.ids, start=1, end=2),
            to.ints(0)))  # fmt: skip
        return to.Mul(x, to.Add(full, to.number(1.0)))

    left_alone(step, sketch(write))


def test_a_norm_that_comes_first_is_folded_as_well() -> None:
    """Nothing of folding needs the norm after the sum."""

    def write(to: Writer) -> Any:
        x = to.embedded(40, 24)
        mask = to.added_mask()
        x = to.Add(to.attention(to.norm(x, "n1"), "layer", mask), x)
        up = to.gelu(to.dense(to.norm(x, "n2"), "up", 16, 32))
        return to.head(to.norm(to.Add(to.dense(up, "down", 32, 16), x), "n3"))

    outcome = proved(step, sketch(write, Spelling(keys="three", norm="spelt out")), BOUND)
    assert count(outcome.model, "LayerNormalization") == 3
    assert count(outcome.model, "Reshape") == 4


def test_what_is_no_text_model_is_an_error() -> None:
    """The sentence of who looks at inputs."""
    model = bert(layers=1)
    model.graph.inputs[0].name = "pixels"
    with pytest.raises(InputError, match="pixels"):
        folded(model, run_graph)


def test_the_pass_is_proved_with_a_stated_bound() -> None:
    """And undone, not raised, where there is no text to read."""
    step = fold_pass(run_graph)
    assert (step.name, step.tolerance) == ("fold", TOLERANCE)
    model = bert(Spelling(keys="three"), layers=1)
    proof = Proof(run_graph, (feeds_of(model, 2, 9, 1),))
    after, [report] = apply_passes(model, [step], proof)
    assert report.undone == ""
    assert_same(model, after, BOUND)
    assert_settled(lambda m: folded(m, run_graph), copied(after))
    for value in model.graph.inputs:
        value.name = value.name.replace("input_ids", "pixels")
    feeds = {"pixels": np.ones((2, 9), np.int64), "attention_mask": np.ones((2, 9), np.int64)}
    after, [report] = apply_passes(model, [step], Proof(run_graph, (feeds,)))
    assert report.undone.startswith("it failed: InputError: the input 'pixels'")
    assert after is model
