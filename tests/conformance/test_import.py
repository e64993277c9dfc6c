"""Classifiers of Hugging Face, exported by both of PyTorch's exporters, answer as PyTorch does."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest

from tests.cascaded import corpus_of, write_reflex
from tests.imported import VOCABULARY, tokenizer_json  # skips without the extras
from tests.synthetic import message
from winnow.answering import Model
from winnow.reading import read_evidence
from winnow.recipe_import import Wishes, import_classifier
from winnow.verdict import Label, Why

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
transformers = pytest.importorskip("transformers", reason="transformers is not installed")

pytestmark = pytest.mark.slow

# Log-odds of up to twenty in floats of 24 bits, added in another order in two layers.
TOLERANCE = 1e-4
PLACES = 66
SIZES = {
    "vocab_size": len(VOCABULARY) + 3,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": PLACES,
}
DISTILLED = {
    "vocab_size": len(VOCABULARY) + 3,
    "dim": 32,
    "n_layers": 2,
    "n_heads": 2,
    "hidden_dim": 64,
    "max_position_embeddings": PLACES,
}
ROTARY = SIZES | dict.fromkeys(["bos_token_id", "cls_token_id"], 2)
ROTARY |= {"pad_token_id": 0, "sep_token_id": 3, "eos_token_id": 3}
NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "BERT": ("Bert", SIZES | {"attn_implementation": "eager"}),
    "BERT, sdpa": ("Bert", SIZES | {"attn_implementation": "sdpa"}),
    "DistilBERT": ("DistilBert", DISTILLED),
    "RoBERTa": ("Roberta", SIZES),
    "ModernBERT": ("ModernBert", ROTARY | {"attn_implementation": "sdpa"}),
}
MAIL = [(message(s, n), Label.SPAM if s else Label.HAM) for n in range(30) for s in (True, False)]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of one stage, which gives the reflex."""
    return write_reflex(tmp_path_factory.mktemp("base") / "b.winnow", corpus_of(MAIL)).path


def _network(name: str) -> Any:
    """Random weights, with a head large enough for answers that differ."""
    kind, sizes = NETWORKS[name]
    torch.manual_seed(7)
    config = getattr(transformers, f"{kind}Config")(**sizes, num_labels=2)
    network = getattr(transformers, f"{kind}ForSequenceClassification")(config).eval()
    with torch.no_grad():
        for key, weight in network.named_parameters():
            if weight.ndim == 2 and "norm" not in key.lower():
                weight.normal_(0, 0.3)
    return network


def _export(network: Any, path: Path, dynamo: bool) -> None:
    class Logits(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            return self.network(input_ids=input_ids, attention_mask=attention_mask).logits

    ids = torch.randint(5, len(VOCABULARY), (2, 16))
    mask = torch.ones_like(ids)
    mask[1, 10:] = 0
    names = ["input_ids", "attention_mask"]
    common = {"input_names": names, "output_names": ["logits"], "dynamo": dynamo}
    if dynamo:
        sizes = {0: torch.export.Dim("batch"), 1: torch.export.Dim("tokens", max=PLACES - 2)}
        how: dict[str, Any] = {"dynamic_shapes": (sizes, sizes), "verbose": False}
    else:
        axes = {name: {0: "batch", 1: "tokens"} for name in names} | {"logits": {0: "batch"}}
        how = {"dynamic_axes": axes, "opset_version": 17}
    torch.onnx.export(Logits().eval(), (ids, mask), str(path), **common, **how)


@pytest.mark.parametrize("dynamo", [False, True], ids=["TorchScript", "dynamo"])
@pytest.mark.parametrize("name", NETWORKS)
def test_it_answers_as_in_pytorch(name: str, dynamo: bool, base: Path, tmp_path: Path) -> None:
    """The difference of the logits, on the ids that the message has here, for every length."""
    path = tmp_path / "model.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporters
        network = _network(name)
        _export(network, path, dynamo)
    (tmp_path / "tokenizer.json").write_bytes(tokenizer_json())
    imported = import_classifier(path, base, tmp_path / "i.winnow", Wishes())
    model = Model.of(imported.artifact)
    seen = []
    for raw in (b"", b"Subject: cheap\n", *[raw for raw, _ in MAIL[:8]]):
        answer = model.answer(*read_evidence(raw))
        assert answer.why is Why.UNCALIBRATED
        assert answer.tokens is not None
        wanted = _said(network, answer.tokens.ids.tolist())
        assert answer.log_odds == pytest.approx(wanted, abs=TOLERANCE)
        seen.append(wanted)
    assert max(seen) - min(seen) > 0.1  # it is no constant


def _said(network: Any, ids: list[int]) -> float:
    with torch.no_grad():
        ham, spam = network(
            input_ids=torch.tensor([ids]), attention_mask=torch.ones(1, len(ids), dtype=torch.long)
        ).logits[0]
    return float(spam - ham)
