"""Artifact -> a reflex ready to answer, and back to tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from winnow.artifact import Artifact
from winnow.errors import ArtifactError
from winnow.runtime.reflex import EXPERTS, Combiner, Reflex


def reflex_of(
    artifact: Artifact, *, fingerprint: str, content_buckets: int, stream_buckets: int
) -> Reflex:
    """Build the reflex of an artifact.

    Args:
        artifact: a model as read.
        fingerprint: of the features in this process.
        content_buckets: size of the content view's space.
        stream_buckets: size of the stream view's space.

    Raises:
        ArtifactError: the weights belong to other features, or have another shape.
    """
    if artifact.fingerprint != fingerprint:
        raise ArtifactError(
            f"{artifact.path} was trained with other features ({artifact.fingerprint}; this Winnow "
            f"has {fingerprint}); train it again with this Winnow."
        )
    content = _vector(artifact, "content", content_buckets)
    if "stream" in artifact.tensors:
        stream = _vector(artifact, "stream", stream_buckets)
    else:  # a model of the content view learns the stream where it is used
        stream = np.zeros(stream_buckets, dtype=np.float32)
    biases = _vector(artifact, "biases", len(EXPERTS))
    return Reflex(content, stream, tuple(biases.tolist()), _combiner(artifact))


def tensors_of(reflex: Reflex) -> dict[str, NDArray[Any]]:
    """Return the weights to store: half precision, which no measured figure notices."""
    tensors: dict[str, NDArray[Any]] = {
        "content": reflex.content.astype(np.float16),
        "biases": np.array(reflex.biases, dtype=np.float32),
    }
    if reflex.stream.any():
        tensors["stream"] = reflex.stream.astype(np.float16)
    return tensors


def _vector(artifact: Artifact, name: str, length: int) -> NDArray[np.float32]:
    tensor = artifact.tensors.get(name)
    if tensor is None or tensor.shape != (length,) or tensor.dtype.kind != "f":
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
