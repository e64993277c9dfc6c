"""Fused, every spelling has as few nodes; what cannot be fused runs as before, with its reason."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.compiler.exports import (
    Spelling,
    answers,
    assert_same,
    bert,
    count,
    fired,
    kinds,
    names,
    proved,
    reasons,
)
from winnow.compiler.fold import fold_pass, folded
from winnow.compiler.fuse import LAUNCHES, RULES, TOLERANCE, fuse_pass, fused
from winnow.compiler.graph import copied, parsed, serialised
from winnow.compiler.inputs import feeds_of
from winnow.compiler.passes import Outcome, Proof, apply_passes, largest_difference
from winnow.compiler.settle import settle_pass, settled
from winnow.compiler.verify import fault_of
from winnow.recipe_compile import proof_of, run_graph

BOUND = 2e-6  # kernels that sum in another order; logits are below 3 here
SPELLINGS = [
    Spelling(),
    Spelling(shapes="constants", positions="sliced"),
    *(Spelling(scale=how) for how in ("multiplied", "both", "query", "query divided")),
    *(Spelling(mask=how) for how in ("product", "infinite", "bare")),
    *(Spelling(gelu=how) for how in ("half first", "halved", "product", "tanh")),
    *(Spelling(gelu=how, opset=20) for how in ("node", "fast node")),
    *(Spelling(norm=how) for how in ("spelt out", "squared")),
    Spelling(keys="three"),
    Spelling(kinds="zeros"),
    Spelling(bias_first=True),
]


def _settled(spelling: Spelling, **sizes: int) -> Any:
    return settled(folded(bert(spelling, **sizes), run_graph).model).model


def _for(launches: bool) -> Any:
    def step(model: Any) -> Outcome:
        return fused(model, launches=launches)

    return step


@pytest.mark.parametrize("spelling", SPELLINGS, ids=str)
@pytest.mark.parametrize(("launches", "nodes"), [(False, 31), (True, 24)])
def test_every_spelling_has_as_few_nodes(spelling: Spelling, launches: bool, nodes: int) -> None:
    """Two layers, a mask, the first token: 31 on the processor, 24 where launches cost."""
    outcome = proved(_for(launches), _settled(spelling), BOUND)
    assert len(list(outcome.model.graph)) == nodes
    assert count(outcome.model, "Attention") == 2
    assert count(outcome.model, "Softmax") == 0


@pytest.mark.parametrize(
    ("spelling", "cpu", "accelerator"),
    [
        (Spelling(kinds="input"), 33, 25),
        (Spelling(mask="none"), 30, 23),
        (Spelling(pooled="mean"), 30, 23),
    ],
    ids=["types", "no mask", "mean"],
)
def test_other_networks(spelling: Spelling, cpu: int, accelerator: int) -> None:
    """Each of its own number."""
    model = _settled(spelling)
    for launches, nodes in ((False, cpu), (True, accelerator)):
        outcome = proved(_for(launches), model, BOUND)
        assert len(list(outcome.model.graph)) == nodes


def test_what_a_processor_runs_slower_is_for_accelerators_alone() -> None:
    """Skips and embeddings (docs/decisions/0009)."""
    model = _settled(Spelling(kinds="input"))
    cpu, launches = (Counter(kinds(_for(which)(copied(model)).model)) for which in (False, True))
    assert cpu["SkipLayerNormalization"] == cpu["EmbedLayerNormalization"] == 0
    assert launches["SkipLayerNormalization"] == 4
    assert launches["EmbedLayerNormalization"] == 1
    assert launches["LayerNormalization"] == 0
    assert cpu["BiasGelu"] == launches["BiasGelu"] == 2
    assert set(RULES).isdisjoint(LAUNCHES)


def test_the_report_says_what_was_fused() -> None:
    """Each rule, as often as it fired."""
    outcome = _for(True)(_settled(Spelling(kinds="input")))
    assert names(outcome.fired) == {
        "FuseMaskedAttention", "PackMaskedQueryKeyValue", "FuseBiasContributedGelu",
        "FuseTypedEmbedLayerNorm", "FuseSkipLayerNorm", "FuseBiasSkipLayerNorm",
    } - {"FuseBiasSkipLayerNorm"}  # fmt: skip
    assert fired(outcome, "FuseSkipLayerNorm") == 4
    assert outcome.refused == ()


def test_attention_that_is_not_fused_is_told_with_its_reason() -> None:
    """And all else is fused."""
    outcome = proved(_for(False), _settled(Spelling(mask="query's")), BOUND)
    assert reasons(outcome, "FuseMaskedAttention") == {
        "what is added to the scores is no mask of keys"
    }
    assert count(outcome.model, "BiasGelu") == 2
    assert count(outcome.model, "Softmax") == 2


def test_without_settling_biases_are_fused_with_the_skip() -> None:
    """As in a graph whose skips are read by something else."""
    model = folded(bert(), run_graph).model
    outcome = proved(_for(True), model, BOUND)
    assert fired(outcome, "FuseBiasSkipLayerNorm") == 4


def test_a_graph_that_is_not_folded_is_left_well_formed() -> None:
    """Little matches; nothing breaks."""
    outcome = proved(_for(True), bert(Spelling(scale="query", norm="spelt out")), BOUND)
    assert count(outcome.model, "Softmax") == 2


def test_a_fused_graph_may_be_folded_again() -> None:
    """As a user does who fuses a file twice: the same graph comes out."""
    model = fused(_settled(Spelling(kinds="zeros")), launches=True).model
    again = parsed(serialised(model), "m")
    for step in (lambda m: folded(m, run_graph), settled, _for(True)):
        again = step(again).model
    assert kinds(again) == kinds(model)
    assert_same(model, again, BOUND)


def test_the_pass_is_proved_with_a_stated_bound() -> None:
    """As the others are."""
    step = fuse_pass(launches=True)
    assert (step.name, step.tolerance) == ("fuse", TOLERANCE)
    model = _settled(Spelling(), layers=1)
    after, [report] = apply_passes(model, [step], Proof(run_graph, (feeds_of(model, 2, 9, 1),)))
    assert report.undone == ""
    assert count(after, "SkipLayerNormalization") == 2
    [report] = apply_passes(model, [fuse_pass(launches=False)], proof_of(model))[1]
    assert report.nodes_after < report.nodes_before
    assert_same(model, after, BOUND)


@st.composite
def networks(draw: st.DrawFn) -> Any:
    """Any spelling of any small network."""
    opset = draw(st.sampled_from((13, 14, 16, 17, 18, 20, 21)))
    gelus = ["erf", "half first", "halved", "product", "tanh"]
    spelling = Spelling(
        shapes=draw(st.sampled_from(("arithmetic", "constants", "opaque"))),
        scale=draw(st.sampled_from(("divided", "multiplied", "both", "query", "query divided"))),
        mask=draw(
            st.sampled_from(("where", "product", "infinite", "bare", "none", "query's"))
        ),
        gelu=draw(st.sampled_from([*gelus, "node", "fast node"] if opset >= 20 else gelus)),
        norm=draw(st.sampled_from(("node", "spelt out", "squared")) if opset >= 17
                  else st.sampled_from(("spelt out", "squared"))),
        keys=draw(st.sampled_from(("one", "three"))),
        positions=draw(st.sampled_from(("gathered", "sliced", "counted"))),
        kinds=draw(st.sampled_from(("none", "zeros", "input"))),
        pooled=draw(st.sampled_from(("first", "mean"))),
        bias_first=draw(st.booleans()),
        opset=opset,
    )  # fmt: skip
    heads, each = draw(st.integers(1, 5)), draw(st.integers(1, 6))
    return bert(
        spelling,
        layers=draw(st.integers(0, 2)),
        width=heads * each,
        heads=heads,
        inner=draw(st.integers(1, 20)),
        words=draw(st.integers(2, 50)),
        positions=draw(st.integers(26, 60)),
        seed=draw(st.integers(0, 2**16)),
    )


@pytest.mark.slow
@settings(max_examples=40)
@given(networks(), st.booleans())
def test_whatever_network_it_is(model: Any, launches: bool) -> None:
    """Every pass stands, and what comes out answers as what went in."""
    model = parsed(serialised(model), "m")
    passes = [fold_pass(run_graph), settle_pass(), fuse_pass(launches=launches)]
    after, reports = apply_passes(model, passes, proof_of(model))
    assert [report.undone for report in reports] == ["", "", ""]
    assert fault_of(after) == ""
    assert largest_difference(answers(model), answers(after)) <= 2e-5  # wide norms of few numbers
    assert reports[-1].nodes_after <= len(list(model.graph))


@pytest.mark.parametrize("pieces", [replace(Spelling(), shapes=how) for how in ("opaque",)])
def test_shapes_that_nobody_knows_are_left(pieces: Spelling) -> None:
    """The rest is fused; attention says why not."""
    outcome = proved(_for(False), _settled(pieces), BOUND)
    [reason] = reasons(outcome, "FuseMaskedAttention")
    assert reason.startswith("heads are taken apart in another way: [None")
    assert count(outcome.model, "BiasGelu") == 2
