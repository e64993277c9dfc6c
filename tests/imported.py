"""A classifier that was exported elsewhere, as far as a test can add it up by hand.

    h = table[ids] + places        (b, t, 2): a word's score, and 1
    p = mean, first or largest of h over the tokens that the mask leaves
    logits = p @ kernel + bias     of two classes: the second less the first is score - 0.5

with the names, masks and endings that exporters write around it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.synthetic import BOTH, HAM, SPAM

onnx = pytest.importorskip("onnx", reason="the extra [compile] is not installed")
pytest.importorskip("onnx_ir", reason="the extra [compile] is not installed")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
VOCABULARY = (*SPECIAL, *SPAM, *HAM, *BOTH, "##s", "!", ".", "subject")
SCORES = {**dict.fromkeys(SPAM, 8.0), **dict.fromkeys(HAM, -8.0)}
BIAS = -0.5
POSITIONS = 64
OPSET = 17

Array = NDArray[Any]


def table_of(scores: Mapping[str, float] = SCORES, rows: int = len(VOCABULARY)) -> Array:
    """(v, 2): the score of each piece, and 1; rows beyond the vocabulary are padding."""
    table = np.ones((rows, 2), dtype=np.float32)
    table[:, 0] = 0.0
    for index, piece in enumerate(VOCABULARY):
        table[index, 0] = scores.get(piece, 0.0)
    return table


def kernel_of(classes: int) -> tuple[Array, Array]:
    """(2, c) and (c,): of two classes the second less the first is the score less a half."""
    if classes == 1:
        return np.array([[1.0], [0.0]], dtype=np.float32), np.array([BIAS], dtype=np.float32)
    kernel = np.zeros((2, classes), dtype=np.float32)
    kernel[0, :2] = -0.25, 0.75
    kernel[1] = np.arange(classes) / 8
    return kernel, np.array([0.25, BIAS / 2 - 0.125, *[0.5] * (classes - 2)], dtype=np.float32)


def log_odds(words: list[float], pool: str = "mean") -> float:
    """What two classes say of tokens with some scores."""
    scores = np.array(words)
    pooled = {"mean": scores.mean(), "first": scores[0], "largest": scores.max()}[pool]
    return float(pooled + BIAS)


def classifier(
    *,
    pool: str = "mean",
    classes: int = 2,
    final: str = "",
    product: str = "Gemm",
    names: tuple[str, ...] = ("input_ids", "attention_mask", "token_type_ids"),
    whole: int = TensorProto.INT64,
    sizes: tuple[Any, Any] = ("batch", "tokens"),
    table: Array | None = None,
    output: str = "logits",
) -> Any:
    """Return an onnx.ModelProto.

    Args:
        pool: "mean" (by the mask), "average" (of all), "first" or "largest".
        classes: of the answer.
        final: operator after the logits, "Softmax", "Sigmoid" or "LogSoftmax"; "" is none.
        product: that gives the logits, "Gemm", "Gemm across" (its matrix transposed), "MatMul" or
            "Neg" (twice, which nothing folds).
        names: of ids, mask and token types, as many as there are.
        whole: type of the inputs.
        sizes: batch and tokens, names or numbers.
        table: of embeddings; None is that of SCORES.
        output: name of the answer.
    """
    kernel, bias = kernel_of(classes)
    weights = {
        "table": table_of() if table is None else table,
        "position.table": np.zeros((POSITIONS, 2), dtype=np.float32),
        "kinds.table": np.array([[0.0, 0.0], [99.0, 99.0]], dtype=np.float32),
        "kernel": kernel.T.copy() if product == "Gemm across" else kernel,
        "bias": bias,
        "zero": np.array(0, dtype=np.int64),
        "one": np.array(1, dtype=np.int64),
        "axis": np.array([1], dtype=np.int64),
        "last": np.array([-1], dtype=np.int64),
        "least": np.array(1e-9, dtype=np.float32),
    }
    nodes = [
        *_embedded(names),
        *_pooled(pool, names[1:2]),
        *_product(product, f"{output}.raw" if final else output),
        *([_node(final, f"{output}.raw", out=output)] if final else []),
    ]
    used = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        nodes,
        "classifier",
        [helper.make_tensor_value_info(name, whole, list(sizes)) for name in names],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, [sizes[0], classes])],
        [numpy_helper.from_array(array, name) for name, array in weights.items() if name in used],
    )
    opsets = [helper.make_opsetid("", OPSET)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def _node(kind: str, *inputs: str, out: str, **attributes: Any) -> Any:
    return helper.make_node(kind, list(inputs), [out], name=out, **attributes)


def _embedded(names: tuple[str, ...]) -> list[Any]:
    ids = names[0]
    return [
        _node("Gather", "table", ids, out="words"),
        _node("Shape", ids, out="size"),
        _node("Gather", "size", "one", out="length"),
        _node("Range", "zero", "length", "one", out="places"),
        _node("Cast", "places", out="places.whole", to=TensorProto.INT64),
        _node("Gather", "position.table", "places.whole", out="positions"),
        _node("Add", "words", "positions", out="placed"),
        *(
            [
                _node("Gather", "kinds.table", names[2], out="kinds"),
                _node("Add", "placed", "kinds", out="hidden"),
            ]
            if len(names) > 2
            else [_node("Identity", "placed", out="hidden")]
        ),
    ]


def _pooled(pool: str, mask: tuple[str, ...]) -> list[Any]:
    if pool == "largest":
        return [_node("ReduceMax", "hidden", out="pooled", axes=[1], keepdims=0)]
    if pool == "first":
        return [_node("Gather", "hidden", "zero", out="pooled", axis=1)]
    if pool == "average":
        return [_node("ReduceMean", "hidden", out="pooled", axes=[1], keepdims=0)]
    return [
        _node("Unsqueeze", mask[0], "last", out="mask.wide"),
        _node("Cast", "mask.wide", out="mask.float", to=TensorProto.FLOAT),
        _node("Mul", "hidden", "mask.float", out="kept"),
        _node("ReduceSum", "kept", "axis", out="sum", keepdims=0),
        _node("ReduceSum", "mask.float", "axis", out="count", keepdims=0),
        _node("Clip", "count", "least", out="count.least"),
        _node("Div", "sum", "count.least", out="pooled"),
    ]


def _product(product: str, out: str) -> list[Any]:
    if product == "Gemm":
        return [_node("Gemm", "pooled", "kernel", "bias", out=out)]
    if product == "Gemm across":
        return [_node("Gemm", "pooled", "kernel", "bias", out=out, transB=1)]
    made = [_node("MatMul", "pooled", "kernel", out="product")]
    if product == "Neg":
        return [
            *made,
            _node("Add", "product", "bias", out="logits.sum"),
            _node("Neg", "logits.sum", out="logits.less"),
            _node("Neg", "logits.less", out=out),
        ]
    return [*made, _node("Add", "bias", "product", out=out)]


def tokenizer_json(words: tuple[str, ...] = VOCABULARY) -> bytes:
    """A WordPiece tokenizer.json of Hugging Face's library; skips where that is missing."""
    library = pytest.importorskip("tokenizers", reason="the extra [import] is not installed")
    made = library.Tokenizer(
        library.models.WordPiece({word: n for n, word in enumerate(words)}, unk_token="[UNK]")
    )
    made.normalizer = library.normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = library.pre_tokenizers.BertPreTokenizer()
    ends = [(name, words.index(name)) for name in ("[CLS]", "[SEP]")]
    made.post_processor = library.processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=ends
    )
    made.add_special_tokens(list(SPECIAL))
    return made.to_str().encode()


def write_classifier(folder: Path, model: Any = None, tokenizer: bytes | None = None) -> Path:
    """Write a classifier with its tokenizer beside it; return the path of the graph."""
    path = folder / "model.onnx"
    path.write_bytes((classifier() if model is None else model).SerializeToString())
    (folder / "tokenizer.json").write_bytes(tokenizer or tokenizer_json())
    return path
