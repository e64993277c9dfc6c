"""A BERT small enough to test with: its folder, and random weights of the reader's network."""

from __future__ import annotations

import json
import string
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from tests.synthetic import BOTH, HAM, SPAM
from winnow.tokens import FIELDS, Tokens

if TYPE_CHECKING:
    from winnow.model.network import Shape

F32 = NDArray[np.float32]

WIDTH, HEADS, LAYERS, INNER, POSITIONS = 32, 2, 2, 64, 128

_SIGNS = string.ascii_lowercase + string.digits
VOCABULARY = (
    *("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"!$%&'()*+,-./:;<=>?@[]_{}"),
    *(piece for sign in _SIGNS for piece in (sign, f"##{sign}")),
    *(f"##{a}{b}" for a in "bcdlmnprst" for b in "aeiou"),
    *SPAM,
    *HAM,
    *BOTH,
)
CONFIG = {
    "model_type": "bert",
    "hidden_act": "gelu",
    "hidden_size": WIDTH,
    "intermediate_size": INNER,
    "num_attention_heads": HEADS,
    "num_hidden_layers": LAYERS,
    "max_position_embeddings": POSITIONS,
    "vocab_size": len(VOCABULARY),
}


def tensors(seed: int = 0, *, kinds: int = 2) -> dict[str, F32]:
    """Random weights under BERT's own names; the same for the same seed."""
    random = np.random.default_rng(seed)

    def normal(*shape: int, scale: float, about: float = 0.0) -> F32:
        return (about + random.normal(0, scale, shape)).astype(np.float32)

    def norm(name: str) -> dict[str, F32]:
        scale, shift = normal(WIDTH, scale=0.1, about=1.0), normal(WIDTH, scale=0.1)
        return {f"{name}.LayerNorm.weight": scale, f"{name}.LayerNorm.bias": shift}

    def linear(name: str, into: int, out: int) -> dict[str, F32]:
        kernel = normal(out, into, scale=1.5 / np.sqrt(into))
        return {f"{name}.weight": kernel, f"{name}.bias": normal(out, scale=0.1)}

    found = {
        "embeddings.word_embeddings.weight": normal(len(VOCABULARY), WIDTH, scale=1.0),
        "embeddings.position_embeddings.weight": normal(POSITIONS, WIDTH, scale=0.3),
        "embeddings.token_type_embeddings.weight": normal(kinds, WIDTH, scale=0.3),
        **norm("embeddings"),
    }
    for n in range(LAYERS):
        layer = f"encoder.layer.{n}"
        for part in ("query", "key", "value"):
            found |= linear(f"{layer}.attention.self.{part}", WIDTH, WIDTH)
        found |= linear(f"{layer}.attention.output.dense", WIDTH, WIDTH)
        found |= norm(f"{layer}.attention.output")
        found |= linear(f"{layer}.intermediate.dense", WIDTH, INNER)
        found |= linear(f"{layer}.output.dense", INNER, WIDTH)
        found |= norm(f"{layer}.output")
    return found


def write_backbone(
    folder: Path,
    *,
    config: Mapping[str, Any] | None = None,
    vocabulary: Sequence[str] = VOCABULARY,
    weights: Mapping[str, F32] | None = None,
) -> Path:
    """Write a tiny BERT as Hugging Face's models lie on disk; return its folder.

    Args:
        folder: made where it is missing.
        config: what differs from CONFIG.
        vocabulary: of vocab.txt.
        weights: of model.safetensors; None is `tensors()`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(CONFIG | dict(config or {})))
    (folder / "vocab.txt").write_bytes("".join(f"{piece}\n" for piece in vocabulary).encode())
    save_file(dict(tensors() if weights is None else weights), folder / "model.safetensors")
    return folder


def small_shape(**changes: int) -> Shape:
    """Sizes of a network that is compiled in a moment."""
    from winnow.model.network import Shape

    sizes = {"pieces": 40, "fields": len(FIELDS), "positions": 24, "layers": 2, "width": 16}
    return Shape(**(sizes | {"heads": 2, "inner": 24} | changes))


def random_weights(shape: Shape, seed: int = 0) -> dict[str, F32]:
    """Weights of a network, none of them at a value that would hide a mistake."""
    from winnow.model.network import shapes_of

    random = np.random.default_rng(seed)
    found = {}
    for name, size in shapes_of(shape).items():
        spread = 1.5 / np.sqrt(size[0]) if name.endswith("kernel") else 0.3
        middle = 1.0 if name.endswith("scale") else 0.0
        found[name] = (middle + random.normal(0, spread, size)).astype(np.float32)
    return found


def random_tokens(shape: Shape, length: int, seed: int = 0) -> Tokens:
    """One message of so many tokens, of any pieces and fields."""
    random = np.random.default_rng((seed, length))
    return Tokens(
        random.integers(0, shape.pieces, length), random.integers(0, shape.fields, length)
    )
