"""Heads and neurons are cut out of what PyTorch's exporters write; what is left does the same."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("onnxscript", reason="the extra [compile] is not installed")
pytest.importorskip("torch", reason="PyTorch is not installed")
pytest.importorskip("transformers", reason="transformers is not installed")

from tests.compiler.test_prune import silenced
from tests.conformance.test_fuse_exports import LAYERS, _export, _network
from winnow.compiler.anatomy import anatomy_of
from winnow.compiler.fold import folded
from winnow.compiler.graph import opened
from winnow.compiler.inputs import feeds_of
from winnow.compiler.passes import largest_difference
from winnow.compiler.prune import Keep, Plan, cut
from winnow.errors import InputError
from winnow.recipe_compile import run_graph

pytestmark = pytest.mark.slow

# Logits below 1; a product over fewer rows is summed in another order.
BOUND = 1e-5
HEADS, NEURONS = ((0, 2), (3,), (0, 1, 2, 3), (1,)), (tuple(range(0, 256, 3)),) * LAYERS
REFUSED = {
    "MPNet": "added to the scores of each head",
    "ModernBERT": "is not mixed with values|not cut into heads",
}


def _exported(name: str, folder: Path, dynamo: bool) -> Path:
    path = folder / "m.onnx"
    _export(_network(name, "eager"), path, dynamo)
    return path


@pytest.mark.parametrize("dynamo", [False, True], ids=["TorchScript", "dynamo"])
@pytest.mark.parametrize("name", ["BERT", "DistilBERT", "ELECTRA", "RoBERTa"])
def test_what_is_left_does_what_it_did(name: str, dynamo: bool, tmp_path: Path) -> None:
    """Cut heads and neurons are as if they were silent, whoever wrote the graph."""
    model = folded(opened(_exported(name, tmp_path, dynamo)), run_graph).model
    layers = anatomy_of(model).layers
    assert [(one.attention.heads, one.feed.neurons) for one in layers] == [(4, 256)] * LAYERS
    smaller = cut(model, Plan(tuple(map(Keep, HEADS, NEURONS))))
    feeds = [feeds_of(model, 1, 7, 0), feeds_of(model, 3, 16, 1)]
    before, after, oracle = (
        run_graph(graph, feeds, ["logits"])
        for graph in (model, smaller, silenced(model, HEADS, NEURONS))
    )
    assert largest_difference(after, oracle) <= BOUND
    assert largest_difference(after, before) > 100 * BOUND


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_cut_says_why(name: str, tmp_path: Path) -> None:
    """Biases of positions for each head, and queries packed with keys and values."""
    model = folded(opened(_exported(name, tmp_path, False)), run_graph).model
    with pytest.raises(InputError, match=REFUSED[name]):
        anatomy_of(model)
