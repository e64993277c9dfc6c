"""BERT's encoder once more, written from the paper: one message, 64-bit floats, no JAX.

Devlin et al. 2018 (arXiv 1810.04805), which is the encoder of Vaswani et al. 2017 (arXiv
1706.03762, sections 3.1 to 3.3: attention, heads, feed-forward, each followed by "Add & Norm") with
learnt positions and GELU (Hendrycks and Gimpel 2016, arXiv 1606.08415: x * Phi(x)). Weights have
the names and the layout, (out, in), of the files that are published.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]


def encoded(
    tensors: Mapping[str, NDArray[np.float32]],
    ids: Sequence[int],
    kinds: Sequence[int],
    *,
    heads: int,
    layers: Sequence[int],
) -> F64:
    """What the encoder makes of each token of one message, (t,) -> (t, d)."""
    weights = {name: tensor.astype(np.float64) for name, tensor in tensors.items()}

    def linear(x: F64, name: str) -> F64:
        return np.array([weights[f"{name}.weight"] @ row + weights[f"{name}.bias"] for row in x])

    def normed(x: F64, name: str) -> F64:
        deviation = np.sqrt(x.var(axis=1, keepdims=True) + 1e-12)
        unit = (x - x.mean(axis=1, keepdims=True)) / deviation
        return unit * weights[f"{name}.LayerNorm.weight"] + weights[f"{name}.LayerNorm.bias"]

    words, places, types = (
        weights[f"embeddings.{kind}_embeddings.weight"]
        for kind in ("word", "position", "token_type")
    )
    x = normed(
        np.array([words[i] + places[n] + types[k] for n, (i, k) in enumerate(zip(ids, kinds))]),  # noqa: B905
        "embeddings",
    )
    for layer in layers:
        name = f"encoder.layer.{layer}"
        query, key, value = (
            linear(x, f"{name}.attention.self.{part}") for part in ("query", "key", "value")
        )
        size = x.shape[1] // heads
        mixed = [
            _attended(query[:, part], key[:, part], value[:, part])
            for part in (slice(h * size, (h + 1) * size) for h in range(heads))
        ]
        attention = linear(np.concatenate(mixed, axis=1), f"{name}.attention.output.dense")
        x = normed(x + attention, f"{name}.attention.output")
        inner = _gelu(linear(x, f"{name}.intermediate.dense"))
        x = normed(x + linear(inner, f"{name}.output.dense"), f"{name}.output")
    return x


def _attended(query: F64, key: F64, value: F64) -> F64:
    """softmax(Q K' / sqrt(d_k)) V."""
    powers = np.exp(query @ key.T / math.sqrt(query.shape[1]))
    return powers / powers.sum(axis=1, keepdims=True) @ value


def _gelu(x: F64) -> F64:
    return x * 0.5 * (1.0 + np.vectorize(math.erf)(x / math.sqrt(2.0)))
