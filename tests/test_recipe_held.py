"""Held-out mail: what the reader gets, what the whole model answers, how much of it is taken."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.cascaded import ALWAYS, corpus_of, write_reflex, write_two_stages
from tests.compiler.exports import Spelling, bert
from tests.synthetic import HAM, message
from winnow.answering import READER_FILE, Model
from winnow.artifact import Artifact, read_artifact
from winnow.compiler.graph import parsed
from winnow.corpus import Corpus
from winnow.errors import ArtifactError, InputError
from winnow.reading import read_evidence
from winnow.recipe_held import held_out, seeded
from winnow.runtime import Opening
from winnow.tokens import Tokens
from winnow.verdict import Label

LEARNT = [(message(n % 2 == 0, n), Label.SPAM if n % 2 == 0 else Label.HAM) for n in range(300)]
# Longer than its opening, so that how it begins counts, too.
LONG = b"Subject: hello\n\ncheap pills casino winner prize " + b" ".join(
    [w.encode() for w in HAM] * 9
)
MAIL = [
    *((message(n % 3 == 0, 900 + n), Label.SPAM if n % 3 == 0 else Label.HAM) for n in range(40)),
    (LONG, Label.SPAM),
]
NARROW = replace(ALWAYS, low=-1.0, high=1.0)
OPENING = replace(NARROW, opening=Opening(words=5, whole=0.1, opening=0.6, reader=0.2, intercept=1))
CASCADES = {"always": ALWAYS, "narrow": NARROW, "opening": OPENING}


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Artifact]:
    """Models of two stages: one asks its reader always, one seldom, one looks at openings."""
    folder = tmp_path_factory.mktemp("models")
    learnt = corpus_of(LEARNT)
    return {
        name: write_two_stages(folder / f"{name}.winnow", learnt, cascade)
        for name, cascade in CASCADES.items()
    }


def _held(artifact: Artifact, corpus: Corpus, most: int = 1_000, fitting: int = 0, seed: int = 0):
    graph = parsed(artifact.files[READER_FILE], "it")
    return held_out(artifact, graph, [corpus], most=most, fitting=fitting, seed=seed)


@pytest.mark.parametrize("name", CASCADES)
def test_it_answers_as_the_model_does(artifacts: dict[str, Artifact], name: str) -> None:
    """Given the reader's own log-odds, every message gets what serving would give it."""
    artifact = artifacts[name]
    model = Model.of(artifact)
    assert model.reader is not None
    held, _ = _held(artifact, corpus_of(MAIL))
    assert held.served is not None
    given = (Tokens(feeds["ids"][0], feeds["fields"][0]) for feeds in held.feeds)
    reader = np.array([model.reader.read(tokens)[0] for tokens in given])
    served = np.sort(held.served(reader))
    wanted = []
    for raw, _ in MAIL:
        parts = read_evidence(raw, stream=model.reflex.hears_stream)
        wanted.append(model.answer(*parts).log_odds)
    assert served == pytest.approx(np.sort(wanted), abs=1e-6)
    assert (held.handed_over_percent == 100.0) is (name == "always")


def test_an_opening_hands_over(artifacts: dict[str, Artifact]) -> None:
    """Spam with a page of innocent words below it is given to the reader only for how it begins."""
    handed = [_held(artifacts[name], corpus_of(MAIL))[0].handed_over_percent for name in CASCADES]
    assert handed[1] is not None
    assert handed[2] is not None
    assert handed[2] > handed[1]


def test_labels_and_inputs_belong_together(artifacts: dict[str, Artifact]) -> None:
    """They are shuffled as one."""
    held, _ = _held(artifacts["always"], corpus_of(MAIL))
    assert held.labels is not None
    assert held.served is not None
    assert held.labels.sum() == 15
    table = np.where(held.labels, 8.0, -8.0)
    right = (held.served(table) > 0) == held.labels
    assert right.mean() > 0.9


def test_a_random_part_is_taken(artifacts: dict[str, Artifact]) -> None:
    """At most so many, the same for the same seed, others for another."""

    def chosen(seed: int) -> list[bytes]:
        held, _ = _held(artifacts["always"], corpus_of(MAIL), most=8, seed=seed)
        return [feeds["ids"].tobytes() for feeds in held.feeds]

    assert len(chosen(1)) == 8
    assert chosen(1) == chosen(1)
    assert chosen(1) != chosen(2)


def test_what_is_fitted_on_is_not_measured_on(artifacts: dict[str, Artifact]) -> None:
    """Else pruning would look better than it is."""
    held, fitting = _held(artifacts["always"], corpus_of(MAIL), most=20, fitting=5)
    assert (len(held.feeds), len(fitting)) == (20, 5)
    measured = {feeds["ids"].tobytes() for feeds in held.feeds}
    assert not measured & {feeds["ids"].tobytes() for feeds in fitting}
    few, little = _held(artifacts["always"], corpus_of(MAIL[:8]), fitting=256)
    assert (len(few.feeds), len(little)) == (6, 2)


def test_every_message_has_the_same_chance(artifacts: dict[str, Artifact]) -> None:
    """Spam that comes first is not taken first."""
    ordered = sorted(MAIL[:40], key=lambda pair: pair[1] == Label.HAM)
    shares = []
    for seed in range(30):
        held, _ = _held(artifacts["always"], corpus_of(ordered), most=6, seed=seed)
        assert held.labels is not None
        shares.append(held.labels.mean())
    assert 0.2 < np.mean(shares) < 0.5  # 14 of 40


def test_repeated_bodies_count_once(artifacts: dict[str, Artifact]) -> None:
    """As everywhere."""
    held, _ = _held(artifacts["always"], corpus_of([*MAIL, *MAIL]))
    assert len(held.feeds) == len(MAIL)


def test_no_mail(artifacts: dict[str, Artifact]) -> None:
    """An empty corpus is told."""
    with pytest.raises(InputError, match="no message"):
        _held(artifacts["always"], corpus_of([]))


def test_a_model_without_reader(tmp_path: Path) -> None:
    """There is nothing to compare."""
    write_reflex(tmp_path / "one.winnow", corpus_of(LEARNT))
    with pytest.raises(ArtifactError, match="no reader"):
        held_out(
            read_artifact(tmp_path / "one.winnow"), bert(), [corpus_of(MAIL)],
            most=9, fitting=0, seed=0,
        )  # fmt: skip


def test_seeded_inputs() -> None:
    """Where there is no mail: the same for the same seed, of all lengths, within the vocabulary."""
    model = bert(Spelling(kinds="input"))
    one, same, other = (seeded(model, seed) for seed in (0, 0, 1))
    assert [f["input_ids"].tobytes() for f in one.feeds] == [
        f["input_ids"].tobytes() for f in same.feeds
    ]
    assert one.lengths.tolist() != other.lengths.tolist()
    assert 1 <= one.lengths.min() < 6 < 18 < one.lengths.max() <= 24
    assert (one.labels, one.served) == (None, None)
    assert "random" in one.about
