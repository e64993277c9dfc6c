"""Models of two stages whose reader is a real, tiny transformer of random weights."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("jax", reason="the extra [train] is not installed")
pytest.importorskip("onnxscript", reason="the extra [compile] is not installed")

from tests.cascaded import ALWAYS, LIMIT, PIECES, corpus_of
from tests.model.tiny import random_weights, small_shape
from tests.synthetic import message
from winnow import recipe
from winnow.answering import READER_FILE, TOKENIZER_FILE
from winnow.artifact import Artifact
from winnow.compiler.graph import serialised
from winnow.compiler.quantize import quantize
from winnow.corpus import Corpus
from winnow.features import Tokenizer
from winnow.model.export import export
from winnow.reading import text_form
from winnow.recipe import SecondStage
from winnow.training.train import Options
from winnow.verdict import Label

SHAPE = small_shape(pieces=len(PIECES), positions=LIMIT, width=32, heads=4, inner=64)
WEIGHTS = random_weights(SHAPE)


def mail_of(count: int, first: int = 0) -> Corpus:
    """A labelled corpus of both classes."""
    kinds = [(n % 2 == 0, n) for n in range(first, first + count)]
    return corpus_of([(message(s, n), Label.SPAM if s else Label.HAM) for s, n in kinds])


def write_narrow(out: Path, *, rounded: bool = False) -> Artifact:
    """Write a model; its reader is in floats or, rounded, in 8-bit integers."""
    graph = export(WEIGHTS, SHAPE)
    files = {
        READER_FILE: serialised(quantize(graph)[0] if rounded else graph),
        TOKENIZER_FILE: Tokenizer(PIECES, LIMIT, text_form()).to_json(),
    }
    stage = SecondStage(files, ALWAYS.to_json(), {})
    return recipe.make(recipe.gather([mail_of(40)]), out, Options(), second=stage)[0]
