"""The reader's network computes what BERT does, and learns along its true gradient."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("jax", reason="the extra [train] is not installed")

import jax
import jax.numpy as jnp

from tests.model.oracle import encoded
from tests.model.tiny import (
    CONFIG,
    HEADS,
    LAYERS,
    VOCABULARY,
    random_tokens,
    random_weights,
    small_shape,
    tensors,
    write_backbone,
)
from winnow.model import minilm
from winnow.model.backbone import first_weights, read_backbone
from winnow.model.network import Shape, Weights, layers_of, log_odds, shapes_of
from winnow.tokens import FIELDS, Tokens

SHAPE = small_shape()
# Of 32-bit floats against 64-bit ones. The largest difference seen is 3e-6 for log-odds of about 1.
TOLERANCE = 2e-5

_answers = jax.jit(log_odds, static_argnums=2)


def _batch(messages: Sequence[Tokens], length: int = 24, padding: int = 1) -> dict[str, Any]:
    """Messages padded to a length with some piece and field, which a mask of 0 must hide."""
    ids, fields = np.full((2, len(messages), length), padding, dtype=np.int32)
    mask = np.zeros_like(ids)
    for row, tokens in enumerate(messages):
        size = len(tokens.ids)
        ids[row, :size], fields[row, :size], mask[row, :size] = tokens.ids, tokens.fields, 1
    return {"ids": ids, "fields": fields, "mask": mask}


def _said(weights: dict[str, Any], messages: Sequence[Tokens], padding: int = 1) -> Any:
    """Log-odds of messages, by a program that is compiled once for all tests."""
    rows = [*messages, *[messages[0]] * (8 - len(messages))]
    found = _answers(_on_device(weights), _batch(rows, padding=padding), SHAPE.heads)
    return np.asarray(found)[: len(messages)]


def _on_device(weights: dict[str, Any]) -> Weights:
    return {name: jnp.asarray(value) for name, value in weights.items()}


def test_it_is_the_encoder_of_the_paper(tmp_path: Path) -> None:
    """What a pretrained encoder knows is only there when the network is that encoder."""
    stored, layers = tensors(kinds=len(FIELDS)), (1, 0)
    backbone = read_backbone(write_backbone(tmp_path, weights=stored))
    shape, first = first_weights(
        backbone, pieces=VOCABULARY, fields=len(FIELDS), limit=24, layers=layers, seed=0
    )
    first["embed.fields"] = stored["embeddings.token_type_embeddings.weight"]
    first["head.bias"] = np.array([0.25], dtype=np.float32)
    messages = [random_tokens(shape, length) for length in (1, 2, 7, 24)]
    found = np.asarray(_answers(_on_device(first), _batch(messages), shape.heads))
    for said, tokens in zip(found, messages, strict=True):
        hidden = encoded(stored, tokens.ids, tokens.fields, heads=HEADS, layers=layers)
        wanted = float(hidden.mean(axis=0) @ first["head.kernel"][:, 0]) + 0.25
        assert abs(wanted) > 100 * TOLERANCE
        assert said == pytest.approx(wanted, abs=TOLERANCE)


@pytest.mark.slow
def test_minilm_is_read_as_it_was_trained() -> None:
    """All six layers of the encoder that the shipped reader begins with, against the paper."""
    folder = minilm.minilm_folder()
    if not (folder / "model.safetensors").is_file():
        pytest.skip("all-MiniLM-L6-v2 is not in the cache")
    backbone = read_backbone(folder)
    vocabulary = backbone.vocabulary
    sentence = "[CLS] free money for the winner of this prize [SEP] see you at the meeting [SEP]"
    ids = [vocabulary.index(word) for word in sentence.split()]
    shape, first = first_weights(
        backbone, pieces=vocabulary, fields=1, limit=len(ids), layers=range(6), seed=0
    )
    tokens = Tokens(np.array(ids), np.zeros(len(ids), dtype=np.int64))
    hidden = encoded(backbone.tensors, ids, [0] * len(ids), heads=12, layers=range(6))
    assert (shape.width, shape.heads, shape.inner) == (384, 12, 1536)
    for seed in range(3):
        head = np.random.default_rng(seed).normal(size=(shape.width, 1)).astype(np.float32)
        weights = _on_device(first | {"head.kernel": head})
        said = float(_answers(weights, _batch([tokens], len(ids)), shape.heads)[0])
        assert said == pytest.approx(float(hidden.mean(axis=0) @ head[:, 0]), abs=1e-4)


@pytest.mark.slow
def test_it_is_the_published_implementation() -> None:
    """Weights of Hugging Face's files mean here what they mean there."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    stored = tensors()
    config = transformers.BertConfig(**(CONFIG | {"type_vocab_size": 2}))
    model = transformers.BertModel(config, add_pooling_layer=False).eval()
    given = {name: torch.from_numpy(tensor) for name, tensor in stored.items()}
    assert not model.load_state_dict(given, strict=False).unexpected_keys
    ids = random_tokens(small_shape(pieces=len(VOCABULARY)), 23).ids
    with torch.no_grad():
        theirs = model(torch.from_numpy(ids[None])).last_hidden_state[0].numpy()
    ours = encoded(stored, ids, [0] * len(ids), heads=HEADS, layers=range(LAYERS))
    assert np.abs(theirs - ours).max() < 1e-4


def test_padding_does_not_change_an_answer() -> None:
    """A message has one answer, whatever stands behind its end in the batch."""
    weights = random_weights(SHAPE)
    messages = [random_tokens(SHAPE, length) for length in (1, 5, 11, 23)]
    found = [_said(weights, messages, padding) for padding in (0, 1, 4)]
    assert np.abs(np.array(found) - found[0]).max() < TOLERANCE
    assert np.ptp(found[0]) > 100 * TOLERANCE


def test_every_token_matters() -> None:
    """Its piece, its field and its place: each one moves the answer."""
    tokens = random_tokens(SHAPE, 12)
    places = np.arange(12)
    others = [
        *(Tokens((tokens.ids + (places == n)) % SHAPE.pieces, tokens.fields) for n in (0, 5, 11)),
        *(Tokens(tokens.ids, (tokens.fields + (places == n)) % SHAPE.fields) for n in (0, 5, 11)),
        Tokens(np.roll(tokens.ids, 1), np.roll(tokens.fields, 1)),
    ]
    whole, *found = _said(random_weights(SHAPE), [tokens, *others])
    assert np.abs(np.array(found) - whole).min() > 10 * TOLERANCE


def test_nothing_but_padding_is_a_number() -> None:
    """An empty row cannot poison the answers, or the gradient, of its whole batch with NaN."""
    weights = random_weights(SHAPE)
    empty = Tokens(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))
    found = _said(weights, [empty, random_tokens(SHAPE, 3)])
    assert np.isfinite(found).all()
    assert found[0] == pytest.approx(weights["head.bias"][0], abs=TOLERANCE)


@pytest.mark.parametrize("layers", [1, 3])
def test_shapes_are_those_of_the_network(layers: int) -> None:
    """A file that is checked against this table holds every weight that the network looks up."""
    shape = Shape(pieces=40, fields=5, positions=24, layers=layers, width=16, heads=2, inner=24)
    sizes = shapes_of(shape)
    assert len(sizes) == 5 + 16 * layers + 2
    assert sizes["embed.pieces"] == (40, 16)
    assert sizes["embed.positions"] == (24, 16)
    assert sizes["embed.fields"] == (5, 16)
    assert sizes[f"layer{layers - 1}.up.kernel"] == (16, 24)
    assert sizes[f"layer{layers - 1}.down.kernel"] == (24, 16)
    assert sizes["head.kernel"] == (16, 1)
    used: set[str] = set()

    class Watched(dict[str, Any]):
        def __getitem__(self, name: str) -> Any:
            used.add(name)
            return super().__getitem__(name)

    weights = Watched(_on_device(random_weights(shape)))
    batch = _batch([random_tokens(shape, 4)], 6)
    answer = jax.eval_shape(lambda: log_odds(weights, batch, shape.heads))
    assert (answer.shape, used) == ((1,), set(sizes))
    assert layers_of(weights) == layers


@pytest.mark.slow
def test_gradients_are_those_of_finite_differences() -> None:
    """Each kind of weight learns what lowers the loss: embeddings, attention, norms, head."""
    shape = small_shape(layers=1)
    with jax.enable_x64(True):
        weights = {
            name: jnp.asarray(value, dtype=jnp.float64)
            for name, value in random_weights(shape).items()
        }
        batch = _batch([random_tokens(shape, length) for length in (3, 9, 12)], 12)

        @jax.jit
        def loss(weights: Weights) -> jax.Array:
            return jnp.sum(jax.nn.softplus(log_odds(weights, batch, shape.heads)))

        gradient = jax.jit(jax.grad(loss))(weights)
        random = np.random.default_rng(1)
        step = 1e-5
        for name, value in weights.items():
            assert gradient[name].dtype == np.float64
            way = random.normal(size=value.shape)
            up, down = (float(loss(weights | {name: value + s * way})) for s in (step, -step))
            slope = float((np.asarray(gradient[name]) * way).sum())
            # Errors of the difference: of order step**2 = 1e-10, and 1e-16 / step of rounding.
            assert (up - down) / (2 * step) == pytest.approx(slope, rel=1e-5, abs=1e-8), name
            if not name.endswith("key.bias"):  # softmax takes it out again
                assert abs(slope) > 1e-6, name


@pytest.mark.slow
def test_what_is_dropped_is_chance() -> None:
    """In training each draw is another network; with one key it is one, and without a key none."""
    shape = small_shape(layers=1)
    weights = _on_device(random_weights(shape))
    batch = _batch([random_tokens(shape, 12)], 12)
    keys = jax.random.split(jax.random.key(0), 64)
    many = jax.jit(jax.vmap(lambda key: log_odds(weights, batch, shape.heads, 0.1, key)[0]))
    said = np.asarray(many(keys))
    assert said.tolist() == np.asarray(many(keys)).tolist()
    assert len(set(said.tolist())) == len(keys)
    plain = float(_answers(weights, batch, shape.heads)[0])
    # Not exactly the mean, since the network is not linear; 8 is the root of 64.
    spread = float(said.std())
    assert spread > 0.01
    assert float(said.mean()) == pytest.approx(plain, abs=0.2 * spread + 4 * spread / 8)


def test_a_cut_network_is_the_whole_one_without_what_was_cut() -> None:
    """Layers may have heads and widths of their own; a head is as wide as it was."""
    left = ((1, 5), (2, 24))
    shape = small_shape()
    weights = random_weights(shape)
    silent = dict(weights)
    for name, rows in (("layer0.output.kernel", slice(0, 8)), ("layer0.down.kernel", slice(5, 24))):
        silent[name] = weights[name].copy()
        silent[name][rows] = 0.0
    cut = dict(weights)
    for part in ("query", "key", "value"):
        for kind in ("kernel", "bias"):
            cut[f"layer0.{part}.{kind}"] = weights[f"layer0.{part}.{kind}"][..., 8:]
    cut["layer0.output.kernel"] = weights["layer0.output.kernel"][8:]
    for kind in ("kernel", "bias"):
        cut[f"layer0.up.{kind}"] = weights[f"layer0.up.{kind}"][..., :5]
    cut["layer0.down.kernel"] = weights["layer0.down.kernel"][:5]
    smaller = dataclasses.replace(shape, left=left)
    assert {name: value.shape for name, value in cut.items()} == shapes_of(smaller)
    messages = [random_tokens(shape, length) for length in (1, 7, 24)]
    said, wanted = _said(cut, messages), _said(silent, messages)
    assert np.abs(said - wanted).max() < TOLERANCE
    assert np.abs(said - _said(weights, messages)).max() > 100 * TOLERANCE


def test_a_shape_that_nothing_was_cut_from_is_written_as_ever() -> None:
    """Checkpoints are marked with that text, and those of older trainings shall go on."""
    assert repr(small_shape()) == (
        "Shape(pieces=40, fields=5, positions=24, layers=2, width=16, heads=2, inner=24)"
    )
