"""Artifact -> a reflex ready to answer, and back to tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from winnow.artifact import Artifact
from winnow.errors import ArtifactError
from winnow.runtime.cascade import Cascade
from winnow.runtime.reflex import BITS, EXPERTS, Combiner, Reflex

LARGEST_BITS = 28  # 1 GiB of weights: nobody trains that, and a forged model shall not ask for more


def reflex_of(artifact: Artifact, *, fingerprint: str) -> Reflex:
    """Build the reflex of an artifact.

    Args:
        artifact: a model as read.
        fingerprint: of the features in this process.

    Raises:
        ArtifactError: the weights belong to other features, or have another shape.
    """
    if artifact.fingerprint != fingerprint:
        raise ArtifactError(
            f"{artifact.path} was trained with other features ({artifact.fingerprint}; this Winnow "
            f"has {fingerprint}); train it again with this Winnow."
        )
    return Reflex(
        [_weights(artifact, name) for name in EXPERTS],
        tuple(_vector(artifact, "biases", [len(EXPERTS)]).tolist()),
        _combiner(artifact),
    )


def cascade_of(artifact: Artifact) -> Cascade:
    """When the reflex of an artifact hands over, and how both answers are combined.

    Raises:
        ArtifactError: calibration.json does not say.
    """
    try:
        return Cascade.from_json(artifact.calibration.get("cascade"))
    except ValueError as error:
        raise ArtifactError(
            f"{artifact.path}: calibration.json does not say when the reader is asked."
        ) from error


def tensors_of(reflex: Reflex) -> dict[str, NDArray[Any]]:
    """Return the weights to store: half precision, which no measured figure notices.

    Of an expert's weights most are 0, where no word of the training mail falls or a single source
    has it: a bit for each says whether it is there, and only those that are there are kept.
    """
    tensors: dict[str, NDArray[Any]] = {"biases": np.array(reflex.biases, dtype=np.float32)}
    for name, weights in zip(EXPERTS, reflex.weights, strict=True):
        kept = weights.astype(np.float16)
        if kept.any():
            tensors[f"{name}.there"] = np.packbits(kept != 0)
            tensors[f"{name}.values"] = kept[kept != 0]
    return tensors


def _weights(artifact: Artifact, name: str) -> NDArray[np.float32]:
    there, values = (artifact.tensors.get(f"{name}.{part}") for part in ("there", "values"))
    if there is None and values is None:  # not of the model's view: learnt where it is used
        return np.zeros(1 << BITS[EXPERTS.index(name)], dtype=np.float32)
    sizes = [1 << bits for bits in range(3, LARGEST_BITS + 1)]
    fits = there is not None and there.dtype == np.uint8 and there.ndim == 1
    if not fits or there is None or 8 * len(there) not in sizes:
        raise ArtifactError(f"{artifact.path}: weights {name!r} are missing or of another shape.")
    present = np.unpackbits(there).astype(bool)
    weights = np.zeros(len(present), dtype=np.float32)
    weights[present] = _vector(artifact, f"{name}.values", [int(present.sum())])
    return weights


def _vector(artifact: Artifact, name: str, lengths: list[int]) -> NDArray[np.float32]:
    tensor = artifact.tensors.get(name)
    if tensor is None or tensor.ndim != 1 or len(tensor) not in lengths or tensor.dtype.kind != "f":
        raise ArtifactError(f"{artifact.path}: weights {name!r} are missing or of another shape.")
    return tensor.astype(np.float32)


def _combiner(artifact: Artifact) -> Combiner:
    found = artifact.calibration.get("combiner")
    try:
        gains = found["gains"]  # type: ignore[index]
        values = [float(gains[name]) for name in EXPERTS]
        intercept = float(found["intercept"])  # type: ignore[index]
    except (TypeError, KeyError, ValueError, OverflowError) as error:
        raise ArtifactError(f"{artifact.path}: calibration.json has no usable combiner.") from error
    if not all(np.isfinite([*values, intercept])) or min(values) < 0:
        raise ArtifactError(f"{artifact.path}: calibration.json has a combiner out of range.")
    words, grams, traits, stream = values
    return Combiner((words, grams, traits, stream), intercept)
