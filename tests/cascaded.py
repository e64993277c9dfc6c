"""Models of two stages whose second is a table, for tests of what answers: no trainer is needed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tests.features.vocabulary import PIECES as OTHERS
from tests.runtime.graphs import table_graph, table_of
from tests.synthetic import BOTH, HAM, SPAM
from winnow import recipe
from winnow.answering import READER_FILE, TOKENIZER_FILE
from winnow.artifact import Artifact
from winnow.corpus import Corpus, Example
from winnow.errors import ReaderError
from winnow.features import Tokenizer
from winnow.reading import text_form
from winnow.recipe import SecondStage
from winnow.runtime import Cascade
from winnow.tokens import Tokens
from winnow.training.train import Options
from winnow.verdict import Label

PIECES = tuple(dict.fromkeys([*OTHERS, *SPAM, *HAM, *BOTH]))
LIMIT = 64
# What the table says of words: of the mail of tests.synthetic it knows both kinds.
SCORES = {**dict.fromkeys(SPAM, 8.0), **dict.fromkeys(HAM, -8.0)}
ALWAYS = Cascade(reflex=0.5, reader=1.0, intercept=-0.25, low=-1e6, high=1e6)


def corpus_of(mail: list[tuple[bytes, Label]], name: str = "mail") -> Corpus:
    """A labelled corpus in memory."""
    examples = [
        Example(str(n), raw, label, (n,), name, len(raw)) for n, (raw, label) in enumerate(mail)
    ]
    return Corpus(name, len(examples), True, lambda: iter(examples))


def second_stage(
    scores: Mapping[str, float] = SCORES, cascade: Cascade = ALWAYS, *, limit: int = LIMIT
) -> SecondStage:
    """A table with a score for some words, and a cascade."""
    files = {
        READER_FILE: table_graph(table_of(scores, PIECES), limit=limit),
        TOKENIZER_FILE: Tokenizer(PIECES, limit, text_form()).to_json(),
    }
    return SecondStage(files, cascade.to_json(), {})


def with_reader(
    first: Artifact,
    scores: Mapping[str, float] = SCORES,
    cascade: Cascade = ALWAYS,
) -> Artifact:
    """A model of one stage with a second one, as if it had been read."""
    second = second_stage(scores, cascade)
    return replace(
        first,
        manifest=first.manifest | {"stages": ["reflex", "reader"]},
        calibration=first.calibration | {"cascade": dict(second.cascade)},
        files=dict(second.files),
    )


def write_reflex(out: Path, corpus: Corpus) -> Artifact:
    """Train a model of one stage."""
    return recipe.make(recipe.gather([corpus]), out, Options())[0]


def write_two_stages(out: Path, corpus: Corpus, cascade: Cascade = ALWAYS) -> Artifact:
    """Train a reflex and write it with a table beside it."""
    second = second_stage(cascade=cascade)
    return recipe.make(recipe.gather([corpus]), out, Options(), second=second)[0]


def without_file(artifact: Artifact, name: str) -> Artifact:
    """The same model, a file of which was lost."""
    files = {other: data for other, data in artifact.files.items() if other != name}
    return replace(artifact, files=files)


def with_files(artifact: Artifact, files: dict[str, bytes]) -> Artifact:
    """The same model with other files."""
    return replace(artifact, files=artifact.files | files)


class Counted:
    """A reader that says one thing of everything, and takes its time on a clock of our own."""

    def __init__(self, value: float = 0.0, *, seconds: float = 0.0, fails: bool = False) -> None:
        self.value = value
        self.seconds = seconds
        self.fails = fails
        self.now = 1_000.0
        self.asked = 0
        self.pieces, self.limit = len(PIECES), LIMIT
        self.cascade = ""  # its graph gives no answer of both stages

    def read(self, tokens: Tokens) -> tuple[float, Any]:
        """Answer, later."""
        self.asked += 1
        self.now += self.seconds
        if self.fails:
            raise ReaderError("the reader failed: out of order")
        return self.value, np.full(len(tokens.ids), self.value, dtype=np.float32)
