"""Labelled mail to a model and its figures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.synthetic import message, write_corpus
from winnow import recipe
from winnow.corpus import Corpus, Example, open_corpus
from winnow.errors import ArtifactError, InputError
from winnow.pipeline import Filter
from winnow.recipe import Gathered
from winnow.training.dataset import Dataset
from winnow.training.train import Options
from winnow.verdict import Label


def _corpus(name: str, mail: list[tuple[bytes, Label | None]]) -> Corpus:
    """A corpus in memory, in this order."""
    examples = [
        Example(str(n), raw, label, (n,), name, len(raw)) for n, (raw, label) in enumerate(mail)
    ]
    labelled = all(label is not None for _, label in mail)
    return Corpus(name, len(examples), labelled, lambda: iter(examples))


def _labelled(seeds: range) -> list[tuple[bytes, Label | None]]:
    return [(message(s, n), Label.SPAM if s else Label.HAM) for n in seeds for s in (True, False)]


@pytest.fixture(scope="module")
def gathered() -> Gathered:
    """Three sources of synthetic mail."""
    corpora = [_corpus(n, _labelled(range(k, k + 25))) for n, k in (("a", 0), ("b", 25), ("c", 50))]
    return recipe.gather(corpora)


@pytest.fixture(scope="module")
def dataset(gathered: Gathered) -> Dataset:
    """Its evidence."""
    return gathered.dataset


def test_repeats_are_left_out_and_conflicts_counted() -> None:
    """The same body under other headers counts once, and the first label stays."""
    body = b"\n\nthe very same body\n"
    mail = [(b"Subject: one" + body, Label.HAM), (b"Subject: two" + body, Label.SPAM)]
    found = recipe.gather([_corpus("a", [*mail, mail[0]]), _corpus("b", _labelled(range(2)))])
    assert (len(found.dataset), found.repeats, found.conflicts) == (5, 2, 1)
    assert not found.dataset.spam[0]
    assert found.dataset.names == ("a", "b")
    assert found.seconds > 0


def test_unlabelled_mail_is_refused() -> None:
    """The error names the message and the two ways to label it."""
    with pytest.raises(InputError, match=r"box: 0 has no label.*index\.tsv.*--spam"):
        recipe.gather([_corpus("box", [(b"Subject: x\n\ny", None)])])


def test_reading_tells_its_progress() -> None:
    """Messages read so far, of how many where that is known."""
    told: list[tuple[str, int, int | None]] = []
    recipe.gather([_corpus("a", _labelled(range(2)))], progress=lambda *now: told.append(now))
    assert told == [("reading", n, 4) for n in range(1, 5)]


def test_in_order_is_the_order_in_which_it_came(tmp_path: Path) -> None:
    """For the online protocol an index's order counts, not its rows."""
    folder = write_corpus(tmp_path / "mail", ham=4, spam=4)
    rows = (folder / "index.tsv").read_text().splitlines()
    (folder / "index.tsv").write_text("\n".join([rows[0], *reversed(rows[1:])]) + "\n")
    ids = recipe.gather([open_corpus(folder)], in_order=True).dataset.ids
    assert ids[0] == "ham0"
    assert ids[-1] == "spam3"


def test_corrections_are_taken_in(gathered: Gathered, tmp_path: Path) -> None:
    """What readers taught and did not take back is mail like any other, and is marked as used."""
    recipe.make(gathered, tmp_path / "a.winnow", Options())
    small = Filter.open(tmp_path / "a.winnow", store=tmp_path / "s.db")
    for n in range(3):
        small.learn(message(True, 900 + n), Label.HAM, source="test")
    small.forget(message(True, 900), source="test")
    small.learn(message(True, 901), Label.SPAM, source="test")
    assert small.store is not None
    again = recipe.gather([_corpus("a", _labelled(range(5)))], store=small.store)
    small.close()
    taught = again.dataset.sources == again.dataset.names.index("corrections")
    assert again.dataset.spam[taught].tolist() == [False, True]
    assert again.corrections_through == 6
    _, _, record = recipe.make(again, tmp_path / "b.winnow", Options())
    assert record["corrections_through"] == 6
    assert record["corrections_mark"].startswith("6 ")


def test_a_corrected_message_counts_once(gathered: Gathered, tmp_path: Path) -> None:
    """Mail that is both in a corpus and in the store is what the reader said, and nothing else."""
    recipe.make(gathered, tmp_path / "a.winnow", Options())
    small = Filter.open(tmp_path / "a.winnow", store=tmp_path / "s.db")
    mail = _labelled(range(5))
    small.learn(mail[0][0], Label.HAM, source="test")
    again = recipe.gather([_corpus("a", mail)], store=small.store)
    small.close()
    assert len(again.dataset) == len(mail)
    taught = again.dataset.sources == again.dataset.names.index("corrections")
    assert again.dataset.spam[taught].tolist() == [False]


def test_an_empty_store_adds_nothing(gathered: Gathered, tmp_path: Path) -> None:
    """No corrections, no source of that name."""
    recipe.make(gathered, tmp_path / "a.winnow", Options())
    small = Filter.open(tmp_path / "a.winnow", store=tmp_path / "s.db")
    found = recipe.gather([_corpus("a", _labelled(range(1)))], store=small.store)
    small.close()
    assert (found.dataset.names, found.corrections_through) == (("a",), 0)


@pytest.mark.parametrize("view", ["content", "stream", "both"])
def test_what_is_made_is_what_is_loaded(gathered: Gathered, tmp_path: Path, view: str) -> None:
    """The artifact answers as the weights in memory do, to half precision; figures are in it."""
    artifact, trained, record = recipe.make(gathered, tmp_path / "a.winnow", Options(view=view))
    loaded, reflex = recipe.load(tmp_path / "a.winnow")
    assert loaded.digest == artifact.digest
    for row in range(0, len(gathered.dataset), 10):
        evidence = gathered.dataset.evidence(row)
        assert reflex.log_odds(evidence) == pytest.approx(
            trained.reflex.log_odds(evidence), abs=0.02
        )
    held_out = loaded.calibration["held_out"]
    assert held_out["one_minus_roca_percent"] < 5
    assert held_out["view"] == view
    assert json.loads(json.dumps(record)) == loaded.manifest["training"]
    assert record["sources"] == {n: {"ham": 25, "spam": 25} for n in "abc"}
    assert (record["messages"], record["spam"], record["view"]) == (150, 75, view)
    assert recipe.examine(tmp_path / "a.winnow")[1]


def test_nothing_is_trained_over_what_is_no_model(gathered: Gathered, tmp_path: Path) -> None:
    """The place is checked before the hours of training, and again when it is written."""
    (tmp_path / "mine").write_text("x")
    with pytest.raises(ArtifactError, match="no model"):
        recipe.check_place(tmp_path)
    with pytest.raises(ArtifactError, match="no model"):
        recipe.make(gathered, tmp_path, Options())
    recipe.check_place(tmp_path / "new" / "a.winnow")


@pytest.mark.parametrize("view", ["content", "stream", "both"])
def test_split_tells_the_classes_apart(dataset: Dataset, view: str) -> None:
    """A model trained on synthetic mail ranks unseen mail of the same kind rightly."""
    result = recipe.split(dataset, Options(view=view), corpus="mail")
    assert result.figures["accuracy_percent"] > 90
    assert result.figures["one_minus_roca_percent"] < 5
    assert len(result.scored.ids) == 150 - 105


def test_a_split_may_show_how_learning_grows(dataset: Dataset) -> None:
    """The same rest, answered after more and more mail; too little mail is passed over."""
    found = recipe.split(dataset, Options(view="content"), corpus="mail", growth=True)
    sizes = [learnt for learnt, _ in found.growth]
    assert sizes == sorted(set(sizes))
    assert sizes[-1] == int(0.7 * len(dataset))
    assert found.growth[-1][1] == found.scored.errors <= found.growth[0][1]
    plain = recipe.split(dataset, Options(view="content"), corpus="mail")
    assert plain.growth == []
    assert plain.scored.probability.tolist() == found.scored.probability.tolist()


def test_leaving_one_out_answers_only_that_one(dataset: Dataset) -> None:
    """Every message of the source is answered, by a model that saw neither it nor unheard mail."""
    result = recipe.leave_one_out(dataset, Options(), unheard=["c"])[1]
    assert set(result.scored.ids) == {dataset.ids[r] for r in np.flatnonzero(dataset.sources == 1)}
    assert len(result.scored.ids) == 50
    assert result.figures["corpus"] == "b"
    assert result.figures["accuracy_percent"] > 80
    only_a = dataset.subset(np.flatnonzero(dataset.sources == 0))
    alone = recipe.leave_one_out(dataset.subset(np.flatnonzero(dataset.sources < 2)), Options())[1]
    assert only_a.names == ("a",)
    assert result.scored.probability.tolist() == alone.scored.probability.tolist()


def test_leaving_out_is_the_same_in_rounds(dataset: Dataset) -> None:
    """Calibrated left-out: experts once a source, each judged by the answers for the others."""
    options = Options(view="content", calibrate="left-out")
    told: list[tuple[str, int, int | None]] = []
    results = recipe.leave_one_out(
        dataset, options, unheard=["c"], progress=lambda *state: told.append(state)
    )
    assert [result.figures["corpus"] for result in results] == ["a", "b", "c"]
    assert [done for _, done, _ in told] == [1, 2, 3]
    rounds = {
        left: recipe.answer_left_out(dataset, left, options, unheard=["c"]) for left in (0, 1, 2)
    }
    rounds[1].scores[:] = 0.0  # what is said of b is not what b is judged by, but a and c are
    again = recipe.judge_left_out(dataset, rounds, options, unheard=["c"])
    assert set(again[1].scored.probability.tolist()) == {again[1].scored.probability[0]}
    assert again[0].scored.probability.tolist() != results[0].scored.probability.tolist()
    rounds[2].scores[:] = 0.0
    unmoved = recipe.judge_left_out(dataset, rounds, options, unheard=["c"])
    assert unmoved[0].scored.probability.tolist() == again[0].scored.probability.tolist()


def test_nothing_to_calibrate_on_is_refused(dataset: Dataset) -> None:
    """Without a third source there are no answers to fit on; without a second no mail to learn."""
    two = dataset.subset(np.flatnonzero(dataset.sources < 2))
    options = Options(view="content", calibrate="left-out")
    with pytest.raises(InputError, match="too little mail"):
        recipe.leave_one_out(two, options, unheard=["b"])
    alone = {0: recipe.answer_left_out(dataset, 0, options)}
    with pytest.raises(InputError, match="three corpora or more"):
        recipe.judge_left_out(dataset, alone, options)


def test_the_same_seed_gives_the_same_weights(gathered: Gathered, tmp_path: Path) -> None:
    """Training is deterministic for a seed, to the byte, and another seed is another model."""
    digests = [
        recipe.make(gathered, tmp_path / f"{n}.winnow", Options(seed=seed))[0].digest
        for n, seed in enumerate((3, 3, 4))
    ]
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.parametrize("view", ["content", "stream", "both"])
def test_online_learns(dataset: Dataset, view: str) -> None:
    """From nothing, the second half of a stream has fewer errors than the first."""
    result = recipe.online(dataset, recipe.blank(), corpus="mail", view=view, shuffle=1)
    assert result.scored.probability[0] == 0.5
    half = result.curve[len(result.curve) // 2 - 1][1]
    assert result.curve[-1][0] == len(dataset)
    assert result.curve[-1][1] - half < half
    assert result.figures["protocol"] == "online"


def test_online_answers_before_it_learns() -> None:
    """Labels without any pattern cannot be known: the same message always surprises."""
    mail = [(b"Subject: same\n\nsame %d\n" % n, (Label.SPAM, Label.HAM)[n % 2]) for n in range(60)]
    stream = recipe.gather([_corpus("a", mail)]).dataset  # type: ignore[arg-type]
    result = recipe.online(stream, recipe.blank(), corpus="a", view="content")
    assert result.figures["accuracy_percent"] < 60
    assert result.scored.ids == stream.ids


def test_one_class_is_refused(tmp_path: Path) -> None:
    """Without ham there is nothing to tell apart, and the error says so."""
    found = recipe.gather([open_corpus(write_corpus(tmp_path / "mail", ham=0))])
    with pytest.raises(InputError, match="at least 5 of each"):
        recipe.split(found.dataset, Options(), corpus="mail")
    with pytest.raises(InputError, match="at least 5 of each"):
        recipe.make(found, tmp_path / "a.winnow", Options())
    assert not (tmp_path / "a.winnow").exists()
