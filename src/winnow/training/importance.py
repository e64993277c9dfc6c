"""What each head and neuron of a reader is worth, to first order: by gradients on labelled mail.

What the loss would change if a neuron were silenced is, to first order, its activation times the
loss's slope along it; over a batch that is the sum of its outgoing weights times their gradient
(Molchanov et al. 2019, arXiv 1906.10771; for heads Michel et al. 2019, arXiv 1905.10650).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from winnow.model.network import Shape, Weights, log_odds
from winnow.training.reader_data import TokenRows, batch_of, by_length

F64 = NDArray[np.float64]


def first_order(
    weights: Mapping[str, Any],
    rows: TokenRows,
    shape: Shape,
    batch: int = 16,
    tell: Callable[[int, int], None] = lambda done, total: None,
) -> list[tuple[F64, F64]]:
    """Worth of the heads (h,) and of the neurons (f,) of each layer: a mean square over batches.

    Args:
        weights: of the reader.
        rows: labelled mail.
        shape: of the network.
        batch: messages whose changes are summed up before they are squared.
        tell: told how many of how many messages are done.
    """
    on_device = {name: jnp.asarray(value) for name, value in weights.items()}
    ends = [f"layer{n}.{part}.kernel" for n in range(shape.layers) for part in ("output", "down")]
    moved = {name: on_device.pop(name) for name in ends}

    def changes(some: Weights, inputs: dict[str, jax.Array]) -> Weights:
        def loss(some: Weights) -> jax.Array:
            answers = log_odds(on_device | some, inputs, shape.heads)
            return jnp.mean(jax.nn.softplus(answers) - inputs["target"] * answers)

        slopes = jax.grad(loss)(some)
        return {name: (some[name] * slopes[name]).sum(axis=1) for name in some}

    compiled = jax.jit(changes)
    sums = {name: np.zeros(value.shape[0]) for name, value in moved.items()}
    heads = {name: np.zeros(shape.layer(n)[0]) for n, name in enumerate(ends[::2])}
    done = 0
    for members in by_length(rows, batch):
        found = compiled(moved, batch_of(rows, members, shape.positions))
        for name in ends:
            each = np.asarray(found[name], dtype=np.float64)
            sums[name] += each**2
            if name in heads:
                heads[name] += each.reshape(-1, shape.head_width).sum(axis=1) ** 2
        done += len(members)
        tell(done, len(rows))
    return [(heads[a], sums[b]) for a, b in zip(ends[::2], ends[1::2], strict=True)]
