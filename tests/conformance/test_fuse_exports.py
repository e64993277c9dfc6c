"""What PyTorch's exporters write of Hugging Face's classifiers is fused, and answers alike.

Four exports of one BERT become one graph of at most 45 nodes; of its kin, as few or a reason.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnxscript", reason="the extra [compile] is not installed")

from tests.compiler.exports import kinds, wiring
from winnow.compiler.graph import executable, serialised
from winnow.compiler.inputs import positions_of
from winnow.recipe_compile import Step, fuse, subject_of
from winnow.runtime.session import Session, loaded_nodes

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
transformers = pytest.importorskip("transformers", reason="transformers is not installed")

pytestmark = pytest.mark.slow

MOST_NODES = 45
BOUND = 2e-6  # logits are below 1 here
LAYERS, WORDS, POSITIONS = 4, 900, 130
WIDE = {
    "vocab_size": WORDS,
    "hidden_size": 128,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
    "intermediate_size": 256,
    "max_position_embeddings": POSITIONS,
    "num_labels": 2,
}
DISTILLED = {
    "vocab_size": WORDS,
    "dim": 128,
    "n_layers": LAYERS,
    "n_heads": 4,
    "hidden_dim": 256,
    "max_position_embeddings": POSITIONS,
    "num_labels": 2,
}
MARKS = {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}
ROTARY = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "local_attention": 32}
ROTARY |= {"cls_token_id": 1, "sep_token_id": 2, "global_attn_every_n_layers": 2}


@dataclass(frozen=True)
class Network:
    """One of Hugging Face's, and what the fused graph shall have.

    Attributes:
        kind: of the classes in transformers.
        sizes: of its configuration.
        loaded: most nodes that ONNX Runtime loads of the form for processors; None where
            attention is not fused.
        tokens: most tokens that it takes.
    """

    kind: str
    sizes: dict[str, Any]
    loaded: int | None
    tokens: int = POSITIONS


NETWORKS = {
    "BERT": Network("Bert", WIDE, MOST_NODES),
    "BERT by the tangent": Network("Bert", WIDE | {"hidden_act": "gelu_new"}, MOST_NODES),
    "BERT with relu": Network("Bert", WIDE | {"hidden_act": "relu"}, 50),  # no bias goes into it
    "DistilBERT": Network("DistilBert", DISTILLED, MOST_NODES),
    # Embeddings of fewer numbers, a product more; layers that share their weights.
    "ELECTRA": Network("Electra", WIDE | {"embedding_size": 64}, 50),
    "ALBERT": Network("Albert", WIDE | {"embedding_size": 64}, 50),
    # Positions are counted from the ids, token types looked up by them: arithmetic of each message.
    "RoBERTa": Network("Roberta", WIDE | MARKS, 61, POSITIONS - 2),
    "XLM-RoBERTa": Network("XLMRoberta", WIDE | MARKS, 61, POSITIONS - 2),
    # A bias of relative positions beside the mask; rotations of queries and keys; disentangled.
    "MPNet": Network("MPNet", WIDE | MARKS, None, POSITIONS - 2),
    "ModernBERT": Network("ModernBert", WIDE | ROTARY, None, 512),
}
EAGER_ONLY = frozenset({"MPNet"})
WAYS = [("eager", False), ("sdpa", False), ("eager", True), ("sdpa", True)]


def _drawn(network: Any) -> Any:
    """Weights of which none is at a value that would hide a mistake; exporters start with zeros."""
    chance = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if weight.ndim == 1:
                middle = 1.0 if "norm" in name.lower() and name.endswith("weight") else 0.0
                weight.copy_(torch.randn(weight.shape, generator=chance) * 0.1 + middle)
    return network.eval()


def _export(network: Any, path: Path, dynamo: bool, pooled: bool = False) -> Any:
    """Write a network; exporters talk, and nobody listens. Returns what was exported."""

    class Answer(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            found = self.network(input_ids=input_ids, attention_mask=attention_mask)
            if not pooled:
                return found.logits
            there = attention_mask.unsqueeze(-1).to(found.last_hidden_state.dtype)
            return (found.last_hidden_state * there).sum(1) / there.sum(1).clamp(min=1e-9)

    answer = Answer().eval()
    ids = torch.randint(5, WORDS, (2, 16))
    mask = torch.ones(2, 16, dtype=torch.long)
    mask[1, 10:] = 0
    names: dict[str, Any] = {
        "input_names": ["input_ids", "attention_mask"], "output_names": ["logits"],
        "dynamo": dynamo,
    }  # fmt: skip
    both: Any = {0: "batch", 1: "tokens"}
    if dynamo:
        both = {0: torch.export.Dim("batch"), 1: torch.export.Dim("tokens", max=POSITIONS - 2)}
        names |= {"external_data": False, "verbose": False, "dynamic_shapes": (both, both)}
    else:
        axes = {"input_ids": both, "attention_mask": both, "logits": {0: "batch"}}
        names |= {"dynamic_axes": axes, "opset_version": 17}
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            torch.onnx.export(answer, (ids, mask), path, **names)
    finally:
        logging.disable(logging.NOTSET)
    return answer


def _network(name: str, attention: str) -> Any:
    one = NETWORKS[name]
    config = getattr(transformers, f"{one.kind}Config")(**one.sizes, attn_implementation=attention)
    torch.manual_seed(1)
    return _drawn(getattr(transformers, f"{one.kind}ForSequenceClassification")(config))


def _differences(answer: Any, steps: dict[str, Step], longest: int) -> dict[str, float]:
    """Largest difference from what PyTorch says, for messages of all lengths, padded and not."""
    chance = np.random.default_rng(5)
    sessions = {name: Session(serialised(step.graph)) for name, step in steps.items()}
    worst = dict.fromkeys(steps, 0.0)
    for batch, tokens in ((1, 1), (1, 2), (3, 17), (2, 64), (1, longest), (2, longest)):
        ids = chance.integers(5, WORDS, (batch, tokens))
        mask = np.ones((batch, tokens), np.int64)
        mask[1:, max(1, tokens // 2) :] = 0
        ids[mask == 0] = 1
        with torch.no_grad():
            wanted = answer(torch.from_numpy(ids), torch.from_numpy(mask)).numpy()
        for name, session in sessions.items():
            [found] = session.run({"input_ids": ids, "attention_mask": mask})
            worst[name] = max(worst[name], float(np.abs(found - wanted).max()))
    return worst


def _both(path: Path) -> dict[str, Step]:
    subject = subject_of(path)
    return {
        "cpu": fuse(subject, launches=False),
        "accelerator": fuse(subject, launches=True),
    }


CASES = [
    (name, attention, dynamo)
    for name in NETWORKS
    for attention, dynamo in WAYS
    # Both exporters and both kinds of attention for BERT; the newer exporter takes seconds.
    if not (name in EAGER_ONLY and attention == "sdpa")
    and (name == "BERT" or (attention == "eager") != dynamo or name in EAGER_ONLY)
]


@pytest.mark.parametrize(("name", "attention", "dynamo"), CASES)
def test_an_export_is_fused_and_answers_as_pytorch(
    name: str, attention: str, dynamo: bool, tmp_path: Path
) -> None:
    """No pass is undone; attention is one node or the report says why not."""
    network = NETWORKS[name]
    path = tmp_path / "m.onnx"
    answer = _export(_network(name, attention), path, dynamo)
    assert positions_of(subject_of(path).graph) == network.tokens
    steps = _both(path)
    for step in steps.values():
        assert [report.undone for report in step.reports] == ["", "", ""]
        assert step.max_abs_error <= BOUND
    longest = min(network.tokens, POSITIONS - 2)
    worst = _differences(answer, steps, longest)
    assert max(worst.values()) <= BOUND, worst
    fused = kinds(steps["cpu"].graph).count("Attention")
    if network.loaded is None:
        assert fused == 0
        assert any(report.refused for report in steps["cpu"].reports)
        return
    assert fused == LAYERS
    assert steps["cpu"].nodes_loaded <= network.loaded
    assert executable(steps["accelerator"].graph) <= network.loaded


@pytest.mark.parametrize("dynamo", [False, True])
def test_a_mean_of_all_tokens(dynamo: bool, tmp_path: Path) -> None:
    """MiniLM's sentences: BERT, of whose tokens the mask takes the mean."""
    path = tmp_path / "m.onnx"
    config = transformers.BertConfig(**WIDE, attn_implementation="sdpa")
    torch.manual_seed(1)
    network = _drawn(transformers.BertModel(config, add_pooling_layer=False))
    answer = _export(network, path, dynamo, pooled=True)
    steps = _both(path)
    assert [report.undone for step in steps.values() for report in step.reports] == [""] * 6
    worst = _differences(answer, steps, POSITIONS - 2)
    assert max(worst.values()) <= BOUND, worst
    assert kinds(steps["cpu"].graph).count("Attention") == LAYERS
    assert steps["cpu"].nodes_loaded <= 50  # the mean is nine nodes
    assert executable(steps["accelerator"].graph) <= MOST_NODES


def test_four_exports_of_one_network_become_one_graph(tmp_path: Path) -> None:
    """Wired alike, whoever exported it; from 160 to 383 nodes down to 36."""
    found = []
    for attention, dynamo in WAYS:
        path = tmp_path / f"{attention}-{dynamo}.onnx"
        _export(_network("BERT", attention), path, dynamo)
        subject = subject_of(path)
        step = fuse(subject, launches=True)
        assert executable(subject.graph) >= 150
        found.append(wiring(step.graph))
        assert executable(step.graph) <= MOST_NODES
        assert loaded_nodes(serialised(step.graph)) <= MOST_NODES
    assert len({str(form) for form in found}) <= 2  # weights may be written by Gemm or by MatMul


def test_our_own_exporter_s_graph(tmp_path: Path) -> None:
    """A reader of four layers, by way of JAX's network."""
    pytest.importorskip("optax", reason="the extra [train] is not installed")
    from tests.model.tiny import random_tokens, random_weights, small_shape
    from winnow.model.export import export
    from winnow.training.reader import answer as network
    from winnow.training.reader_data import TokenRows

    shape = small_shape(layers=LAYERS, pieces=WORDS, positions=POSITIONS, width=64, inner=128)
    weights = random_weights(shape)
    path = tmp_path / "m.onnx"
    path.write_bytes(serialised(export(weights, shape)))
    steps = _both(path)
    assert [report.undone for step in steps.values() for report in step.reports] == [""] * 6
    assert steps["cpu"].nodes_loaded <= MOST_NODES
    assert executable(steps["accelerator"].graph) <= MOST_NODES
    messages = [random_tokens(shape, length, length) for length in (1, 2, 9, 40, POSITIONS)]
    rows = TokenRows(messages, np.zeros(5, dtype=np.float32), np.ones(5))
    wanted = network(weights, rows, shape)
    for step in steps.values():
        session = Session(serialised(step.graph))
        said = [
            session.run({"ids": m.ids[None], "fields": m.fields[None]}, ["log_odds"])[0][0]
            for m in messages
        ]
        # JAX and ONNX Runtime sum in other orders to begin with.
        assert np.abs(np.array(said) - wanted).max() <= 1e-5
        assert step.max_abs_error <= 4e-6  # log-odds of up to 4
