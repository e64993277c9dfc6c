"""A BERT-shaped safetensors folder -> the reader's first weights.

Reads `config.json`, `vocab.txt` and `model.safetensors`, as Hugging Face's models have them; of
the network in them any layers may be taken, of its vocabulary any pieces.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winnow.errors import InputError
from winnow.model.network import Shape, shapes_of

F32 = NDArray[np.float32]

_LAYER = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "output": "attention.output.dense",
    "attention.norm": "attention.output.LayerNorm",
    "up": "intermediate.dense",
    "down": "output.dense",
    "feed.norm": "output.LayerNorm",
}


@dataclass(frozen=True)
class Backbone:
    """A pretrained encoder.

    Attributes:
        path: its folder.
        vocabulary: its pieces.
        layers: how many it has.
        heads: of a layer.
        positions: most tokens it was made for.
        tensors: its weights, under their own names without a leading "bert.".
    """

    path: Path
    vocabulary: tuple[str, ...]
    layers: int
    heads: int
    positions: int
    tensors: dict[str, F32]


def read_backbone(path: Path) -> Backbone:
    """Read a pretrained encoder.

    Raises:
        InputError: it is not there, not BERT-shaped, or cut off.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        config = json.loads((path / "config.json").read_bytes())
        text = (path / "vocab.txt").read_text("utf-8")
        vocabulary = tuple(text.removesuffix("\n").split("\n"))  # U+2028 may be a piece
        stored = load_file(path / "model.safetensors")
    except (OSError, ValueError, SafetensorError, TypeError, AttributeError) as error:
        # the last two come of numbers that NumPy does not have, as 8-bit floats
        raise InputError(
            f"{path} is no backbone: {error}. A folder with config.json, vocab.txt and "
            "model.safetensors of a BERT-shaped model is wanted."
        ) from error
    if not isinstance(config, dict) or config.get("model_type") != "bert":
        raise InputError(f"{path} is no BERT: its config.json has another model_type.")
    if config.get("hidden_act") != "gelu":
        raise InputError(f"{path} has another activation than GELU; Winnow's reader has that.")
    tensors = {
        name.removeprefix("bert."): tensor.astype(np.float32)
        for name, tensor in stored.items()
        if tensor.dtype.kind not in "biu"  # "V" is bfloat16, which JAX teaches NumPy
    }
    try:
        sizes = [
            int(config[key])
            for key in ("num_hidden_layers", "num_attention_heads", "max_position_embeddings")
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: config.json does not give the model's sizes.") from error
    found = Backbone(path, vocabulary, sizes[0], sizes[1], sizes[2], tensors)
    _check(found)
    return found


def _check(backbone: Backbone) -> None:
    words = _tensor(backbone, "embeddings.word_embeddings.weight")
    if words.ndim != 2 or len(words) != len(backbone.vocabulary):
        raise InputError(
            f"{backbone.path}: vocab.txt has {len(backbone.vocabulary):,} pieces, the weights "
            f"{len(words):,}; they do not belong together."
        )
    if backbone.heads < 1 or words.shape[1] % backbone.heads:
        raise InputError(f"{backbone.path}: {backbone.heads} heads do not divide the width.")


def check_fit(backbone: Backbone, layers: Sequence[int], limit: int) -> None:
    """Raise InputError where a backbone lacks one of some layers, or is made for fewer tokens."""
    if not layers or min(layers) < 0 or max(layers) >= backbone.layers:
        raise InputError(f"{backbone.path} has layers 0 to {backbone.layers - 1}.")
    if limit > backbone.positions:
        raise InputError(f"{backbone.path} was made for {backbone.positions} tokens at most.")


def first_weights(
    backbone: Backbone,
    *,
    pieces: Sequence[str],
    fields: int,
    limit: int,
    layers: Sequence[int],
    seed: int,
) -> tuple[Shape, dict[str, F32]]:
    """Weights to begin with.

    Args:
        backbone: pretrained.
        pieces: the vocabulary wanted; what the backbone does not have starts as small noise about
            the mean of its pieces.
        fields: how many there are; each starts as BERT's first sentence.
        limit: most tokens.
        layers: which layers of the backbone, in order.
        seed: of the noise.

    Raises:
        InputError: the backbone is too small for that, or of another shape.
    """
    check_fit(backbone, layers, limit)
    random = np.random.default_rng(seed)
    words = _tensor(backbone, "embeddings.word_embeddings.weight")
    width = words.shape[1]
    inner = _tensor(backbone, "encoder.layer.0.intermediate.dense.weight").shape[0]
    shape = Shape(len(pieces), fields, limit, len(layers), width, backbone.heads, int(inner))
    place = {piece: index for index, piece in enumerate(backbone.vocabulary)}
    embedded = words.mean(0) + random.normal(0, 0.01, (len(pieces), width))
    known = [index for index, piece in enumerate(pieces) if piece in place]
    embedded[known] = words[[place[pieces[index]] for index in known]]
    first = _tensor(backbone, "embeddings.token_type_embeddings.weight")[0]
    weights: dict[str, Any] = {
        "embed.pieces": embedded,
        "embed.positions": _tensor(backbone, "embeddings.position_embeddings.weight")[:limit],
        "embed.fields": np.tile(first, (fields, 1)),
        "embed.norm.scale": _tensor(backbone, "embeddings.LayerNorm.weight"),
        "embed.norm.shift": _tensor(backbone, "embeddings.LayerNorm.bias"),
        "head.kernel": random.normal(0, 0.02, (width, 1)),
        "head.bias": np.zeros(1),
    }
    for n, layer in enumerate(layers):
        for ours, theirs in _LAYER.items():
            of_weight, of_bias = ("scale", "shift") if ours.endswith("norm") else ("kernel", "bias")
            # PyTorch keeps a linear layer's weight as (out, in).
            source = f"encoder.layer.{layer}.{theirs}"
            weights[f"layer{n}.{ours}.{of_weight}"] = _tensor(backbone, f"{source}.weight").T
            weights[f"layer{n}.{ours}.{of_bias}"] = _tensor(backbone, f"{source}.bias")
    return shape, _checked(backbone, shape, weights)


def _checked(backbone: Backbone, shape: Shape, weights: dict[str, Any]) -> dict[str, F32]:
    for name, wanted in shapes_of(shape).items():
        if weights[name].shape != wanted:
            raise InputError(
                f"{backbone.path} has another shape than BERT: {name} would be "
                f"{weights[name].shape}, not {wanted}."
            )
    return {
        name: np.ascontiguousarray(weights[name], dtype=np.float32) for name in shapes_of(shape)
    }


def _tensor(backbone: Backbone, name: str) -> F32:
    try:
        return backbone.tensors[name]
    except KeyError as error:
        raise InputError(f"{backbone.path} is no BERT: it has no weights {name!r}.") from error
