"""A folder of a pretrained encoder to first weights, and what is no such folder."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("jax", reason="the extra [train] is not installed")

from tests.model.tiny import (
    HEADS,
    INNER,
    LAYERS,
    POSITIONS,
    VOCABULARY,
    WIDTH,
    tensors,
    write_backbone,
)
from winnow.errors import InputError
from winnow.model.backbone import Backbone, first_weights, read_backbone
from winnow.model.network import Shape, shapes_of

PIECES = ("[PAD]", "<0x00>", "pills", "##a", "[CLS]")


@pytest.fixture
def backbone(tmp_path: Path) -> Backbone:
    """A tiny encoder as read from its folder."""
    return read_backbone(write_backbone(tmp_path / "bert"))


def _begin(backbone: Backbone, **changes: Any) -> tuple[Shape, dict[str, Any]]:
    wanted: dict[str, Any] = {"pieces": PIECES, "fields": 5, "limit": 16, "layers": (1,), "seed": 0}
    return first_weights(backbone, **(wanted | changes))


@pytest.mark.parametrize("prefix", ["", "bert."])
def test_a_folder_is_read(tmp_path: Path, prefix: str) -> None:
    """Models are published with "bert." before their weights' names and without."""
    stored = {f"{prefix}{name}": tensor for name, tensor in tensors().items()}
    stored["embeddings.position_ids"] = np.arange(POSITIONS)  # no weights, but often in the file
    found = read_backbone(write_backbone(tmp_path, weights=stored))
    assert found.vocabulary == VOCABULARY
    assert (found.layers, found.heads, found.positions) == (LAYERS, HEADS, POSITIONS)
    assert found.tensors.keys() == tensors().keys()
    for name, tensor in tensors().items():
        assert found.tensors[name].tolist() == tensor.tolist()


@pytest.mark.parametrize(("kind", "bits"), [("float16", 11), ("bfloat16", 8)])
def test_half_precision_is_read(tmp_path: Path, kind: str, bits: int) -> None:
    """A folder of 16-bit floats of either kind is as good a beginning."""
    stored = {name: tensor.astype(kind) for name, tensor in tensors().items()}
    found = read_backbone(write_backbone(tmp_path, weights=stored))
    for name, tensor in tensors().items():
        assert found.tensors[name].dtype == np.float32
        assert np.abs(found.tensors[name] - tensor).max() <= 2.0**-bits * np.abs(tensor).max()


def test_a_piece_may_be_an_odd_sign(tmp_path: Path) -> None:
    """A line separator of Unicode is a piece of some vocabularies, not the end of a line."""
    vocabulary = (*VOCABULARY[:-2], "\u2028", "\x85")
    assert read_backbone(write_backbone(tmp_path, vocabulary=vocabulary)).vocabulary == vocabulary


def test_first_weights_are_those_of_the_layers_named(backbone: Backbone) -> None:
    """What a layer has learnt is kept, in the order asked for; matrices are turned to (in, out)."""
    shape, first = _begin(backbone, layers=(1, 0, 1))
    stored = tensors()
    assert shape == Shape(len(PIECES), 5, 16, 3, WIDTH, HEADS, INNER)
    assert {name: array.shape for name, array in first.items()} == shapes_of(shape)
    assert all(array.dtype == np.float32 and array.flags.c_contiguous for array in first.values())
    for mine, theirs in ((0, 1), (1, 0), (2, 1)):
        layer = f"encoder.layer.{theirs}"
        for ours, name in (
            ("key", "attention.self.key"),
            ("output", "attention.output.dense"),
            ("up", "intermediate.dense"),
            ("down", "output.dense"),
        ):
            kernel, bias = stored[f"{layer}.{name}.weight"], stored[f"{layer}.{name}.bias"]
            assert first[f"layer{mine}.{ours}.kernel"].tolist() == kernel.T.tolist()
            assert first[f"layer{mine}.{ours}.bias"].tolist() == bias.tolist()
        scale = stored[f"{layer}.output.LayerNorm.weight"]
        assert first[f"layer{mine}.feed.norm.scale"].tolist() == scale.tolist()
    places = stored["embeddings.position_embeddings.weight"][:16]
    assert first["embed.positions"].tolist() == places.tolist()
    kind = stored["embeddings.token_type_embeddings.weight"][0]
    assert first["embed.fields"].tolist() == [kind.tolist()] * 5


def test_pieces_keep_what_they_mean(backbone: Backbone) -> None:
    """A piece of the backbone has its vector; a new one begins close to the mean of all."""
    _, first = _begin(backbone)
    words = tensors()["embeddings.word_embeddings.weight"]
    for place, piece in enumerate(PIECES):
        vector = first["embed.pieces"][place]
        if piece in VOCABULARY:
            assert vector.tolist() == words[VOCABULARY.index(piece)].tolist()
        else:
            noise = vector - words.mean(0)
            assert 0 < np.abs(noise).max() < 0.06  # six of its standard deviations


def test_the_noise_is_that_of_the_seed(backbone: Backbone) -> None:
    """A training can be made again from its seed, and another seed is another one."""
    heads = [_begin(backbone, seed=seed)[1]["head.kernel"].tolist() for seed in (3, 3, 4)]
    assert heads[0] == heads[1] != heads[2]


@pytest.mark.parametrize("layers", [(), (-1,), (0, LAYERS)])
def test_a_layer_that_is_not_there_is_told(backbone: Backbone, layers: tuple[int, ...]) -> None:
    """`--layers 0,2,4` of a model of two: the error says which there are."""
    with pytest.raises(InputError, match=r"has layers 0 to 1\."):
        _begin(backbone, layers=layers)


def test_more_tokens_than_positions_are_told(backbone: Backbone) -> None:
    """`--tokens` may not be more than the encoder was trained for; that many may be."""
    with pytest.raises(InputError, match=f"made for {POSITIONS} tokens at most"):
        _begin(backbone, limit=POSITIONS + 1)
    assert _begin(backbone, limit=POSITIONS)[0].positions == POSITIONS


@pytest.mark.parametrize("name", ["config.json", "vocab.txt", "model.safetensors"])
def test_a_missing_file_is_told(tmp_path: Path, name: str) -> None:
    """The error names the file, and what a backbone is made of."""
    write_backbone(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(InputError, match=rf"no backbone: .*{name}.*config\.json, vocab\.txt and"):
        read_backbone(tmp_path)


def _cut(path: Path, bytes_left: int) -> None:
    path.write_bytes(path.read_bytes()[:bytes_left])


def _tiny_floats(path: Path) -> None:
    head = json.dumps({"a": {"dtype": "F8_E4M3", "shape": [2], "data_offsets": [0, 2]}}).encode()
    path.write_bytes(struct.pack("<Q", len(head)) + head + bytes(2))


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("model.safetensors", lambda path: _cut(path, 100_000)),
        ("model.safetensors", lambda path: _cut(path, 5)),
        ("model.safetensors", lambda path: _cut(path, 0)),
        ("model.safetensors", _tiny_floats),
        ("config.json", lambda path: path.write_text("{")),
        ("config.json", lambda path: path.write_bytes(b"\xff\xfe{}")),
        ("vocab.txt", lambda path: path.write_bytes(b"\xff\n")),
    ],
)
def test_a_damaged_file_is_told(tmp_path: Path, name: str, spoil: Callable[[Path], None]) -> None:
    """A download that was cut off, or numbers that cannot be read, is a sentence, no traceback."""
    spoil(write_backbone(tmp_path) / name)
    with pytest.raises(InputError, match=re.escape(f"{tmp_path} is no backbone")):
        read_backbone(tmp_path)


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"model_type": "roberta"}, "another model_type"),
        ({"model_type": None}, "another model_type"),
        ({"hidden_act": "relu"}, "another activation"),
        ({"hidden_act": "gelu_new"}, "another activation"),
        ({"num_hidden_layers": "many"}, "does not give the model's sizes"),
        ({"num_attention_heads": None}, "does not give the model's sizes"),
        ({"num_attention_heads": 3}, "3 heads do not divide the width"),
        ({"num_attention_heads": 0}, "0 heads do not divide the width"),
        ({"num_attention_heads": -2}, "-2 heads do not divide the width"),
    ],
)
def test_what_the_network_cannot_compute_is_refused(
    tmp_path: Path, config: dict[str, Any], told: str
) -> None:
    """Another network would be read as ours and answer nonsense; its own weights fit ours."""
    with pytest.raises(InputError, match=told):
        read_backbone(write_backbone(tmp_path, config=config))


def test_a_config_that_is_no_object_is_refused(tmp_path: Path) -> None:
    """Any other JSON is no BERT, and no traceback."""
    (write_backbone(tmp_path) / "config.json").write_text("[1]")
    with pytest.raises(InputError, match="no BERT"):
        read_backbone(tmp_path)


def test_a_vocabulary_of_another_model_is_refused(tmp_path: Path) -> None:
    """With one line more or less every piece after it would mean its neighbour."""
    vocabulary = (*VOCABULARY, "more")
    with pytest.raises(
        InputError, match=rf"{len(vocabulary)} pieces, the weights {len(VOCABULARY)}"
    ):
        read_backbone(write_backbone(tmp_path, vocabulary=vocabulary))


def test_weights_that_are_missing_are_named(tmp_path: Path) -> None:
    """The error says which; a file of part of a model is no beginning."""
    gone = "encoder.layer.1.attention.output.dense.bias"
    stored = {name: tensor for name, tensor in tensors().items() if name != gone}
    found = read_backbone(write_backbone(tmp_path, weights=stored))
    with pytest.raises(InputError, match=re.escape(repr(gone))):
        _begin(found)
    del stored["embeddings.word_embeddings.weight"]
    with pytest.raises(InputError, match="word_embeddings"):
        read_backbone(write_backbone(tmp_path, weights=stored))


@pytest.mark.parametrize(
    ("name", "shape", "told"),
    [
        ("embeddings.position_embeddings.weight", (9, WIDTH), "embed.positions"),
        ("encoder.layer.1.intermediate.dense.weight", (INNER, 7), "layer1.up.kernel"),
        ("encoder.layer.0.attention.self.query.bias", (1,), "layer0.query.bias"),
    ],
)
def test_weights_of_another_shape_are_refused(
    tmp_path: Path, name: str, shape: tuple[int, ...], told: str
) -> None:
    """NumPy would stretch a bias of one number over all; here the error names it."""
    stored = tensors() | {name: np.zeros(shape, dtype=np.float32)}
    found = read_backbone(write_backbone(tmp_path, weights=stored))
    with pytest.raises(InputError, match=f"another shape than BERT: {re.escape(told)}"):
        _begin(found, layers=(0, 1))
