"""Artifact to reflex, and what is refused on the way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from winnow.artifact import Artifact, write_artifact
from winnow.errors import ArtifactError
from winnow.runtime import BITS, EXPERTS, Combiner, Reflex, reflex_of, tensors_of

GAINS = dict(zip(EXPERTS, (0.5, 0.25, 0.125, 0.0), strict=True))


def _reflex() -> Reflex:
    random = np.random.default_rng(0)
    weights = [random.normal(size=n).astype(np.float32) for n in (16, 8, 8, 8)]
    weights[0][3:9] = 0  # never met, so not stored
    return Reflex(weights, (0.5, -1.0, 0.25, 2.0), Combiner((0.5, 0.25, 0.125, 0.0), -0.75))


@pytest.fixture
def artifact(tmp_path: Path) -> Artifact:
    """The reflex above as an artifact."""
    return write_artifact(
        tmp_path / "a.winnow",
        fingerprint="f",
        tensors=tensors_of(_reflex()),
        calibration={"combiner": {"gains": GAINS, "intercept": -0.75}},
        training={},
        version="0",
    )


def _load(artifact: Artifact, fingerprint: str = "f") -> Reflex:
    return reflex_of(artifact, fingerprint=fingerprint)


def test_a_reflex_comes_back(artifact: Artifact) -> None:
    """Weights to half precision, biases and combiner exactly."""
    back, reflex = _load(artifact), _reflex()
    for found, stored in zip(back.weights, reflex.weights, strict=True):
        assert np.allclose(found, stored, rtol=1e-3, atol=1e-6)
        assert found.dtype == np.float32
    assert back.biases == reflex.biases
    assert back.combiner == reflex.combiner


def test_a_model_without_a_stream_learns_one(artifact: Artifact) -> None:
    """The shipped model has no weights for raw bytes; it gets a blank vector to correct."""
    tensors = {k: v for k, v in artifact.tensors.items() if not k.startswith("stream")}
    back = _load(replace(artifact, tensors=tensors))
    assert back.weights[3].shape == (1 << BITS[3],)
    assert not back.weights[3].any()
    assert not any(name.startswith("stream") for name in tensors_of(back))
    assert len(tensors_of(_reflex())["words.values"]) == 10


def test_other_features_are_refused(artifact: Artifact) -> None:
    """Weights never meet features that they were not trained with; both versions are named."""
    with pytest.raises(ArtifactError, match=r"other features \(f; this Winnow has g\).*train"):
        _load(artifact, "g")


@pytest.mark.parametrize("name", ["words.values", "stream.values", "biases"])
@pytest.mark.parametrize("shape", [(5,), (3, 4), (0,), ()])
def test_another_shape_is_refused(artifact: Artifact, name: str, shape: tuple[int, ...]) -> None:
    """Weights are a power of two in number, so that every hash has its place; else refused."""
    tensors = artifact.tensors | {name: np.zeros(shape, dtype=np.float32)}
    with pytest.raises(ArtifactError, match=name):
        _load(replace(artifact, tensors=tensors))


@pytest.mark.parametrize("size", [0, 3, 16])
@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_places_that_do_not_fit_are_refused(artifact: Artifact, size: int, kind: type) -> None:
    """As many values as there are places for them, and a power of two places in all."""
    tensors = artifact.tensors | {"words.there": np.zeros(size, dtype=kind)}
    with pytest.raises(ArtifactError, match="words"):
        _load(replace(artifact, tensors=tensors))


@pytest.mark.parametrize("part", ["there", "values"])
def test_half_of_an_expert_is_refused(artifact: Artifact, part: str) -> None:
    """Places without values, or values without places, are no blank expert."""
    tensors = {k: v for k, v in artifact.tensors.items() if k != f"words.{part}"}
    with pytest.raises(ArtifactError, match="words"):
        _load(replace(artifact, tensors=tensors))


def test_integers_are_no_weights(artifact: Artifact) -> None:
    """A tensor of another kind is refused, not cast."""
    values = np.zeros(10, dtype=np.int32)
    with pytest.raises(ArtifactError, match="words"):
        _load(replace(artifact, tensors=artifact.tensors | {"words.values": values}))


def test_missing_biases_are_refused(artifact: Artifact) -> None:
    """A model is whole or refused."""
    tensors = {k: v for k, v in artifact.tensors.items() if k != "biases"}
    with pytest.raises(ArtifactError, match="biases"):
        _load(replace(artifact, tensors=tensors))


@pytest.mark.parametrize(
    "combiner",
    [
        None,
        [],
        "gains",
        {},
        {"gains": GAINS},
        {"gains": [1, 2, 3, 4], "intercept": 0},
        {"gains": {"words": 1.0}, "intercept": 0},
        {"gains": GAINS | {"words": None}, "intercept": 0},
        {"gains": GAINS | {"words": "x"}, "intercept": 0},
        {"gains": GAINS | {"words": -0.1}, "intercept": 0},
        {"gains": GAINS | {"words": float("nan")}, "intercept": 0},
        {"gains": GAINS, "intercept": float("inf")},
        {"gains": GAINS, "intercept": 10**400},
    ],
)
def test_an_unusable_combiner_is_refused(artifact: Artifact, combiner: Any) -> None:
    """Missing, of another form, negative, infinite or no number: never an answer of NaN."""
    with pytest.raises(ArtifactError, match="combiner"):
        _load(replace(artifact, calibration={"combiner": combiner}))
