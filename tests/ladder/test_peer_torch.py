"""The network in PyTorch: the same answers as the graph's, or a reason."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

from tests.compiler.exports import Spelling, bert, ir
from winnow.compiler.fold import folded
from winnow.compiler.inputs import feeds_of
from winnow.errors import InputError
from winnow.ladder.peer_torch import torch_call
from winnow.recipe_compile import run_graph

CLOSE = 2e-5  # logits of about 1, summed in another order
SPELLINGS = [
    Spelling(),
    Spelling(kinds="input", positions="sliced"),
    Spelling(kinds="zeros", mask="none", gelu="tanh"),
    Spelling(pooled="mean"),
]


def _folded(model: Any) -> Any:
    return folded(model, run_graph).model


@pytest.mark.parametrize("fused_attention", [False, True])
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_it_answers_as_the_graph_does(spelling: Spelling, fused_attention: bool) -> None:
    """On messages of several lengths without padding, as the ladder asks them."""
    pytest.importorskip("torch", reason="PyTorch is not installed")
    model = bert(spelling)
    call = torch_call(_folded(bert(spelling)), fused_attention=fused_attention)
    probes = [feeds_of(model, 1, n, n, full=True) for n in (1, 2, 24)]
    wanted = run_graph(model, probes, ["logits"])
    for feeds, (logits,) in zip(probes, wanted, strict=True):
        (found,) = call(feeds)
        assert found.shape == logits.shape
        assert np.abs(found - logits).max() <= CLOSE
    assert np.abs(wanted[1][0] - wanted[2][0]).max() > 100 * CLOSE


def test_one_thread() -> None:
    """Beside a peer of two threads nobody could compare."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    torch_call(_folded(bert()))
    assert torch.get_num_threads() == 1


def test_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The row says what to install."""
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(InputError, match="not installed: pip install torch"):
        torch_call(bert())


def _renamed(model: Any, old: str, new: str, **attributes: Any) -> Any:
    """A graph with other nodes in the place of those of a kind."""
    for node in model.graph:
        if node.op_type == old:
            node.op_type = new
            node.attributes.clear()
            for name, value in attributes.items():
                node.attributes.add(ir.AttrFloat32(name, value))
    return model


def test_what_is_no_bert_is_refused() -> None:
    """With what was found instead; nothing is timed that computes something else."""
    pytest.importorskip("torch", reason="PyTorch is not installed")
    with pytest.raises(InputError, match="activation is Elu"):
        torch_call(_renamed(_folded(bert()), "Gelu", "Elu"))
    with pytest.raises(InputError, match=r"no encoder|fused|integers"):
        torch_call(_renamed(_folded(bert()), "Softmax", "LogSoftmax"))
