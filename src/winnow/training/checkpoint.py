"""Where a training of the reader is <-> one file, so that a stop loses little.

One safetensors file with the weights, the best weights and the optimiser's memory, and in its
head the step, the learning curve and a mark of the training it belongs to. It is written beside
its place and moved there: a kill leaves the last one whole.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from winnow.errors import InputError
from winnow.training.reader import State, Training


def mark_of(training: Training) -> str:
    """16 hex digits of everything that decides how a training goes on."""
    digest = hashlib.blake2b(digest_size=8)
    digest.update(repr((training.shape, training.schedule)).encode())
    for name, value in training.first.items():
        digest.update(name.encode() + np.asarray(value).tobytes() + b"|")
    for part in (training.rows, training.held_out):
        if part is None:
            continue
        for tokens in part.tokens:
            digest.update(tokens.ids.tobytes() + tokens.fields.tobytes() + b"|")
        for array in (part.target.tobytes(), part.weight.tobytes()):
            digest.update(array + b"|")
    return digest.hexdigest()


def save_checkpoint(path: Path, state: State, mark: str) -> None:
    """Write a state.

    Raises:
        InputError: it cannot be written.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    arrays = {f"weights.{name}": np.asarray(value) for name, value in state.weights.items()}
    for index, leaf in enumerate(jax.tree.leaves(state.memory)):
        arrays[f"memory.{index}"] = np.asarray(leaf)
    if state.mean is not None:
        arrays |= {f"mean.{name}": np.asarray(value) for name, value in state.mean.items()}
    best = None
    if state.best is not None:
        best = state.best[:2]
        arrays |= {f"best.{name}": np.asarray(value) for name, value in state.best[2].items()}
    head = {
        "mark": mark,
        "step": state.step,
        "best": best,
        "curve": state.curve,
        "seconds": state.seconds,
    }
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(arrays, fresh, {"winnow": json.dumps(head)})
        fresh.replace(path)
    except (OSError, SafetensorError) as error:
        told = getattr(error, "strerror", None) or error
        raise InputError(f"cannot write the checkpoint to {path}: {told}.") from error
    finally:
        with contextlib.suppress(OSError):
            fresh.unlink(missing_ok=True)


def load_checkpoint(path: Path, training: Training, mark: str) -> None:
    """Set a training to where it was when it was saved.

    Raises:
        InputError: the file is damaged, cut off, or of another training.
    """
    from safetensors import SafetensorError, safe_open

    again = f"delete {path} to begin from the start."
    try:
        with safe_open(path, framework="numpy") as file:
            head = json.loads((file.metadata() or {})["winnow"])
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        found, step, best, curve = (head[key] for key in ("mark", "step", "best", "curve"))
        spent = float(head["seconds"])
    except (OSError, SafetensorError, KeyError, ValueError, TypeError) as error:
        raise InputError(f"{path} is no whole checkpoint ({error}); {again}") from error
    if found != mark:
        raise InputError(f"{path} is of a training with other mail or options; {again}")
    state = training.state
    leaves, form = jax.tree.flatten(state.memory)
    state.weights = _named(arrays, "weights.")
    state.memory = jax.tree.unflatten(
        form, [jnp.asarray(arrays[f"memory.{index}"]) for index in range(len(leaves))]
    )
    state.step, state.seconds = step, spent
    state.mean = _named(arrays, "mean.") or None
    state.best = None if best is None else (best[0], best[1], _named(arrays, "best."))
    state.curve = [(int(s), float(loss), float(unseen)) for s, loss, unseen in curve]


def _named(arrays: dict[str, Any], prefix: str) -> dict[str, jax.Array]:
    return {
        name.removeprefix(prefix): jnp.asarray(value)
        for name, value in arrays.items()
        if name.startswith(prefix)
    }
