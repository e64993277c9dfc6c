"""Raw message to verdict, and corrections back."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.synthetic import message, write_corpus
from winnow import recipe
from winnow.corpus import open_corpus
from winnow.errors import StoreError
from winnow.pipeline import Filter
from winnow.training.train import Options
from winnow.verdict import Action, Label, Learnt


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of synthetic mail."""
    folder = tmp_path_factory.mktemp("model")
    gathered = recipe.gather([open_corpus(write_corpus(folder / "mail"))])
    recipe.make(gathered, folder / "small.winnow", Options())
    return folder / "small.winnow"


def test_unseen_mail_is_told_apart(model: Path) -> None:
    """Mail of both kinds that training did not see lands on its side of the rule."""
    small = Filter.open(model)
    answers = [small.check(message(spam, 1000 + n)) for spam in (True, False) for n in range(10)]
    assert all(answer.probability > 0.5 for answer in answers[:10])
    assert all(answer.action is Action.DELIVER for answer in answers[10:])


@settings(max_examples=60, deadline=None)
@given(raw=st.binary(max_size=3000))
def test_any_bytes_have_an_answer(model: Path, raw: bytes) -> None:
    """Whatever comes in, a verdict comes out."""
    verdict = Filter.open(model).check(raw)
    assert 0.0 <= verdict.probability <= 1.0


@pytest.mark.parametrize("seed", range(8))
def test_removing_a_reason_lowers_the_answer(model: Path, seed: int) -> None:
    """A named word is deleted from the raw message, and the answer falls: reasons are true."""
    small = Filter.open(model)
    raw = message(True, 2000 + seed)
    verdict = small.check(raw)
    words = [reason for reason in verdict.reasons if reason.kind == "word"]
    assert words
    for reason in words:
        assert reason.share > 0
        text = raw.decode()
        head, _, body = text.partition("\n\n")
        lines = [
            line if not line.startswith("Subject:") else _without(line, reason.text)
            for line in head.split("\n")
        ]
        rest = "\n".join(lines) + "\n\n" + _without(body, reason.text)
        assert small.check(rest.encode()).probability < verdict.probability


def _without(text: str, word: str) -> str:
    return re.sub(rf"\b{re.escape(word)}\b", "", text, flags=re.IGNORECASE)


def test_a_correction_counts_at_once_and_can_be_taken_back(model: Path, tmp_path: Path) -> None:
    """Learnt, learnt twice, learnt the other way, forgotten: each moves the answer as it says."""
    small = Filter.open(model, store=tmp_path / "s.db")
    raw = message(False, 3000)
    before = small.check(raw).probability
    assert small.learn(raw, Label.SPAM, source="test") is Learnt.LEARNT
    assert small.check(raw).probability > 0.5
    assert small.learn(raw, Label.SPAM, source="test") is Learnt.ALREADY
    assert small.learn(raw, Label.HAM, source="test") is Learnt.RELABELLED
    assert small.check(raw).probability < 0.5
    assert small.forget(raw, source="test") is Learnt.FORGOTTEN
    assert small.check(raw).probability == pytest.approx(before, abs=1e-3)
    assert small.forget(raw, source="test") is Learnt.UNKNOWN
    small.close()


def test_another_process_sees_the_correction(model: Path, tmp_path: Path) -> None:
    """Two filters on one store have the same weights after a refresh, and after a restart."""
    first, second = (Filter.open(model, store=tmp_path / "s.db") for _ in range(2))
    raw = message(False, 4000)
    first.learn(raw, Label.SPAM, source="test")
    assert second.refresh() == 1
    third = Filter.open(model, store=tmp_path / "s.db")
    answers = {one.check(raw).probability for one in (first, second, third)}
    assert len(answers) == 1
    for one in (first, second, third):
        one.close()


def test_without_a_store_nothing_is_learnt(model: Path) -> None:
    """There is nowhere to keep a correction, and the error says what to do."""
    with pytest.raises(StoreError, match="--store"):
        Filter.open(model).learn(b"x", Label.SPAM, source="test")
