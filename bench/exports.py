"""One BERT classifier as four of PyTorch's exporters write it, with random weights."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from pathlib import Path
from typing import Any

LAYERS, WIDTH, INNER, HEADS, WORDS, POSITIONS = 4, 256, 1024, 4, 16_000, 256
EXPORTS = {
    "TorchScript, eager": ("eager", False),
    "TorchScript, sdpa": ("sdpa", False),
    "dynamo, eager": ("eager", True),
    "dynamo, sdpa": ("sdpa", True),
}


def network(attention: str) -> Any:
    """The network in PyTorch; no bias is 0 and no scale 1, so that nothing is left out unseen."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=WORDS,
        hidden_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        intermediate_size=INNER,
        max_position_embeddings=POSITIONS,
        num_labels=2,
        attn_implementation=attention,
    )
    model = BertForSequenceClassification(config).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim == 1:
                weight.add_(torch.randn_like(weight) * 0.1)
            elif "classifier" in name:  # so that logits are of the size that trained ones have
                weight.mul_(10.0)

    class Logits(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = model

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            return self.inner(input_ids=input_ids, attention_mask=attention_mask).logits

    return Logits().eval()


def export(name: str, folder: Path) -> Path:
    """Write one of EXPORTS into a folder; exporters talk, and nobody listens."""
    import torch

    attention, dynamo = EXPORTS[name]
    ids = torch.randint(5, WORDS, (2, 16))
    mask = torch.ones(2, 16, dtype=torch.long)
    mask[1, 10:] = 0
    path = folder / f"{name.replace(', ', '-')}.onnx"
    names: dict[str, Any] = {
        "input_names": ["input_ids", "attention_mask"],
        "output_names": ["logits"],
        "dynamo": dynamo,
    }
    if dynamo:
        batch, tokens = torch.export.Dim("batch"), torch.export.Dim("tokens", max=POSITIONS)
        names |= {"dynamic_shapes": ({0: batch, 1: tokens}, {0: batch, 1: tokens})}
        names |= {"external_data": False, "verbose": False}
    else:
        both = {0: "batch", 1: "tokens"}
        names |= {
            "dynamic_axes": {"input_ids": both, "attention_mask": both, "logits": {0: "batch"}}
        }
        names |= {"opset_version": 17}
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            torch.onnx.export(network(attention), (ids, mask), path, **names)
    finally:
        logging.disable(logging.NOTSET)
    return path
