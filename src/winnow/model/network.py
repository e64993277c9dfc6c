"""The reader: a BERT-shaped encoder in JAX. Tokens -> log-odds of spam.

Shapes: b messages, t tokens, d width of a token, h heads of width e, f of the feed-forward layer,
v pieces, n layers. Weights are a dict of arrays; names are those of their file.
The encoder is that of Devlin et al. 2018 (arXiv 1810.04805), post-norm, with the erf form of GELU.
New here: a field (subject, name, links, text, hidden text) instead of a sentence number.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np

Weights = dict[str, jax.Array]

NORM_EPSILON = 1e-12  # BERT's own
_ABSENT = -1e9  # score of a token that is padding: no attention, and no NaN where all is padding


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of a network.

    Attributes:
        pieces: v, of the vocabulary.
        fields: kinds of token.
        positions: most tokens of a message.
        layers: n.
        width: d.
        heads: h; divides d. A head is d / h wide, also where heads were cut.
        inner: f.
        left: (heads, inner) of each layer of a network that was cut; empty where none was.
    """

    pieces: int
    fields: int
    positions: int
    layers: int
    width: int
    heads: int
    inner: int
    # Not in the text of a shape, which marks the checkpoints of trainings; their weights tell it.
    left: tuple[tuple[int, int], ...] = field(default=(), repr=False)

    @property
    def head_width(self) -> int:
        """Width of a head."""
        return self.width // self.heads

    def layer(self, number: int) -> tuple[int, int]:
        """Heads and inner width of a layer."""
        return self.left[number] if self.left else (self.heads, self.inner)


def shapes_of(shape: Shape) -> dict[str, tuple[int, ...]]:
    """Shape of every weight, by name, in the order of the network."""
    d = shape.width
    found: dict[str, tuple[int, ...]] = {
        "embed.pieces": (shape.pieces, d),
        "embed.positions": (shape.positions, d),
        "embed.fields": (shape.fields, d),
        "embed.norm.scale": (d,),
        "embed.norm.shift": (d,),
    }
    for n in range(shape.layers):
        heads, f = shape.layer(n)
        a = heads * shape.head_width  # d where no head was cut
        found |= {
            f"layer{n}.query.kernel": (d, a),
            f"layer{n}.query.bias": (a,),
            f"layer{n}.key.kernel": (d, a),
            f"layer{n}.key.bias": (a,),
            f"layer{n}.value.kernel": (d, a),
            f"layer{n}.value.bias": (a,),
            f"layer{n}.output.kernel": (a, d),
            f"layer{n}.output.bias": (d,),
            f"layer{n}.attention.norm.scale": (d,),
            f"layer{n}.attention.norm.shift": (d,),
            f"layer{n}.up.kernel": (d, f),
            f"layer{n}.up.bias": (f,),
            f"layer{n}.down.kernel": (f, d),
            f"layer{n}.down.bias": (d,),
            f"layer{n}.feed.norm.scale": (d,),
            f"layer{n}.feed.norm.shift": (d,),
        }
    return found | {"head.kernel": (d, 1), "head.bias": (1,)}


def log_odds(
    weights: Weights,
    batch: dict[str, jax.Array],
    heads: int,
    drop: float = 0.0,
    key: jax.Array | None = None,
) -> jax.Array:
    """Log-odds of spam of a batch, (b,).

    Args:
        weights: of the network; its sizes are theirs.
        batch: "ids" (b, t) and "fields" (b, t) integers, "mask" (b, t) 1 where there is a token.
        heads: h of a layer that no head was cut from; how many a layer has is told by its weights.
        drop: part of the activations that is dropped, in training.
        key: chance for that.
    """
    keys = iter(jax.random.split(key, 64) if key is not None else [])

    def dropped(x: jax.Array) -> jax.Array:
        if key is None or drop == 0.0:
            return x
        kept = jax.random.bernoulli(next(keys), 1.0 - drop, x.shape)
        return jnp.where(kept, x / (1.0 - drop), 0.0)

    mask = batch["mask"]
    x = weights["embed.pieces"][batch["ids"]]  # (b, t) -> (b, t, d)
    x = x + weights["embed.fields"][batch["fields"]]
    x = x + weights["embed.positions"][: x.shape[1]]
    x = dropped(norm(x, weights, "embed.norm"))
    for n in range(layers_of(weights)):
        mixed = attention(x, mask, weights, f"layer{n}", heads)
        x = norm(x + dropped(mixed), weights, f"layer{n}.attention.norm")
        inner = jax.nn.gelu(dense(x, weights, f"layer{n}.up"), approximate=False)  # (b, t, f)
        x = norm(
            x + dropped(dense(inner, weights, f"layer{n}.down")), weights, f"layer{n}.feed.norm"
        )
    pooled = mean(x, mask)  # (b, t, d) -> (b, d)
    return dense(dropped(pooled), weights, "head")[:, 0]  # (b, d) -> (b,)


def attention(x: jax.Array, mask: jax.Array, weights: Weights, name: str, heads: int) -> jax.Array:
    """Multi-head self-attention, (b, t, d) -> (b, t, d)."""
    b, t, d = x.shape
    e = d // heads  # width of a head; a layer that was cut has fewer of them

    def split(y: jax.Array) -> jax.Array:
        return y.reshape(b, t, -1, e).transpose(0, 2, 1, 3)  # (b, h, t, e)

    query = split(dense(x, weights, f"{name}.query"))
    key = split(dense(x, weights, f"{name}.key"))
    value = split(dense(x, weights, f"{name}.value"))
    scores = query @ key.transpose(0, 1, 3, 2) / np.sqrt(e)  # (b, h, t, t)
    scores = jnp.where(mask[:, None, None, :] > 0, scores, _ABSENT)
    mixed = jax.nn.softmax(scores, axis=-1) @ value  # (b, h, t, e)
    joined = mixed.transpose(0, 2, 1, 3).reshape(b, t, -1)  # (b, t, h e)
    return dense(joined, weights, f"{name}.output")


def dense(x: jax.Array, weights: Weights, name: str) -> jax.Array:
    """(…, i) -> (…, o)."""
    return x @ weights[f"{name}.kernel"] + weights[f"{name}.bias"]


def norm(x: jax.Array, weights: Weights, name: str) -> jax.Array:
    """Layer normalisation of the last axis."""
    centred = x - x.mean(-1, keepdims=True)
    variance = (centred * centred).mean(-1, keepdims=True)
    scaled = centred * jax.lax.rsqrt(variance + NORM_EPSILON)
    return scaled * weights[f"{name}.scale"] + weights[f"{name}.shift"]


def mean(x: jax.Array, mask: jax.Array) -> jax.Array:
    """Mean over the tokens that are there, (b, t, d) -> (b, d)."""
    present = mask[:, :, None].astype(x.dtype)
    return (x * present).sum(1) / jnp.maximum(present.sum(1), 1.0)


def layers_of(weights: Weights) -> int:
    """How many layers the weights have."""
    return sum(name.endswith(".query.kernel") for name in weights)
