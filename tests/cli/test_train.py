"""`winnow train`: a model from labelled mail, alike for one seed, and what it says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.synthetic import message, write_corpus

FILES = ("reflex.safetensors", "calibration.json")


def contents(model: Path) -> list[bytes]:
    """Return what decides answers."""
    return [(model / name).read_bytes() for name in FILES]


def test_the_same_seed_gives_the_same_bytes(
    winnow: Run, model: Path, corpus: Path, tmp_path: Path
) -> None:
    """A model can be made again, bit by bit; another seed is another model."""
    assert winnow("train", "--out", tmp_path / "small.winnow", corpus).status == 0
    assert winnow("train", "--out", tmp_path / "b.winnow", "--seed", 1, corpus).status == 0
    assert contents(tmp_path / "small.winnow") == contents(model)
    assert contents(tmp_path / "b.winnow") != contents(model)


def test_what_it_says(winnow: Run, corpus: Path, tmp_path: Path) -> None:
    """Messages of each source, repeats and conflicts, figures, seconds, size and place."""
    other = write_corpus(tmp_path / "other", ham=30, spam=5)
    twin = message(True, 5).replace(b"From: ", b"X-Again: 1\nFrom: ")
    (tmp_path / "ham").mkdir()
    (tmp_path / "ham" / "twin.eml").write_bytes(twin)
    (tmp_path / "ham" / "new.eml").write_bytes(message(False, 900))
    out = tmp_path / "m.winnow"
    done = winnow("train", "--out", out, corpus, other, "--ham", tmp_path / "ham")
    rows = [line.split() for line in done.out.splitlines()]
    assert done.status == 0
    assert rows[0] == ["source", "ham", "spam"]
    assert rows[1:4] == [["mail", "80", "80"], ["ham", "1", "0"], ["together", "81", "80"]]
    assert "36 repeated messages were left out, 1 of them with the other label" in done.out
    for part in ("On mail it had not seen (16 ham, 16 spam)", "1-ROCA", "ECE", "Took", " MB"):
        assert part in done.out
    assert str(out) in done.out.replace("\n", "")


def test_spam_and_ham_paths_may_be_repeated(winnow: Run, tmp_path: Path) -> None:
    """Neither of two --spam options is passed over in silence."""
    words: list[object] = []
    for label in ("spam", "ham"):
        for part in range(2):
            folder = tmp_path / f"{label}{part}"
            folder.mkdir()
            for seed in range(10):
                raw = message(label == "spam", 10 * part + seed)
                (folder / f"{seed}.eml").write_bytes(raw)
            words += [f"--{label}", folder]
    done = winnow("train", "--out", tmp_path / "m.winnow", *words)
    assert ["together", "20", "20"] in [line.split() for line in done.out.splitlines()]


def test_files_named_one_by_one_are_one_source(winnow: Run, corpus: Path, tmp_path: Path) -> None:
    """`--spam junk/*.eml` is the source that `--spam junk` would be, with the same weights."""
    files = {
        label: [path for path in sorted((corpus / "msgs").iterdir()) if path.stem.startswith(label)]
        for label in ("spam", "ham")
    }
    for name, paths in files.items():
        (tmp_path / name).mkdir()
        for path in paths:
            (tmp_path / name / path.name).write_bytes(path.read_bytes())
    folders = ("--spam", tmp_path / "spam", "--ham", tmp_path / "ham")
    single = ("--spam", *sorted((tmp_path / "spam").iterdir()))
    single += ("--ham", *sorted((tmp_path / "ham").iterdir()))
    for name, words in (("a", folders), ("b", single)):
        assert winnow("train", "--out", tmp_path / name / "m.winnow", *words).status == 0
    assert contents(tmp_path / "a" / "m.winnow")[0] == contents(tmp_path / "b" / "m.winnow")[0]


@pytest.mark.parametrize("view", ["content", "stream"])
def test_views(view: str, winnow: Run, corpus: Path, mail: Path, tmp_path: Path) -> None:
    """A model of either view alone answers, and knows its view."""
    out = tmp_path / "m.winnow"
    assert winnow("train", "--out", out, "--view", view, corpus).status == 0
    assert f"view        {view}\n" in winnow("inspect", out).out
    lines = winnow("check", "--model", out, mail).out.splitlines()
    assert [line.split()[2] for line in lines[1:]] == ["deliver", "deliver", "junk"]


def test_corrections_are_taken_in(
    winnow: Run, model: Path, corpus: Path, mail: Path, store: Path, tmp_path: Path
) -> None:
    """What readers taught is a source of the next training, and is not applied to it once more."""
    assert winnow("learn", "--model", model, "--spam", mail / "a.eml").status == 0
    out = tmp_path / "m.winnow"
    done = winnow("train", "--out", out, "--corrections", corpus)
    assert "corrections    0     1" in done.out
    again = [winnow("check", "--json", "--model", out, mail / "b.eml").out for _ in range(2)]
    other = winnow("check", "--json", "--no-store", "--model", out, mail / "b.eml").out
    assert {text.partition(', "ms"')[0] for text in (*again, other)} == {
        other.partition(', "ms"')[0]
    }
    done = winnow("train", "--out", out, "--store", store, corpus)
    assert (done.status, "add --corrections" in done.err) == (2, True)


def test_faults_are_told_before_the_work(winnow: Run, corpus: Path, tmp_path: Path) -> None:
    """A place that is taken, unlabelled mail and too little mail: a sentence, and nothing made."""
    (tmp_path / "taken").mkdir()
    done = winnow("train", "--out", tmp_path / "taken", corpus)
    assert (done.status, "is no model" in done.err) == (2, True)
    out = tmp_path / "m.winnow"
    done = winnow("train", "--out", out, corpus / "msgs")
    assert (done.status, "which of this mail is spam" in done.err) == (2, True)
    done = winnow("train", "--out", out, "--spam", corpus / "msgs" / "spam1.eml")
    assert (done.status, "too little mail" in done.err) == (2, True)
    done = winnow("train", "--out", out, "--corrections", corpus)
    assert (done.status, "no store" in done.err) == (2, True)
    done = winnow("train", "--out", out, "--calibrate", "left-out", corpus)
    assert (done.status, "three" in done.err) == (2, True)
    done = winnow("train", "--out", out, "--seed", -1, corpus)
    assert (done.status, "--seed" in done.err) == (2, True)
    assert not out.exists()


@pytest.mark.slow
def test_progress_on_a_terminal(
    on_terminal: Callable[..., str], corpus: Path, tmp_path: Path
) -> None:
    """A bar for each stage with counts, a rate and the time left; it goes when the work is done."""
    shown = on_terminal(80, "train", "--out", tmp_path / "m.winnow", corpus)
    for part in ("reading", "━", "of 160", "/s"):
        assert part in shown
    assert "\x1b[2K" in shown
    assert "together" not in shown.rpartition("\x1b[2K")[0]
