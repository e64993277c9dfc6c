"""`winnow evaluate`: four protocols, for people, for programs and as a report."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.synthetic import message, write_corpus
from winnow.corpus.evasion import EVASIONS

FIGURES = [
    *("one_minus_roca_percent", "accuracy_percent", "ham_at_0.5_percent", "ham_at_0.9_percent"),
    *("spam_missed_at_0.5_percent", "spam_missed_at_0.9_percent", "precision_at_0.9_percent"),
    *("ece_percent", "brier"),
]


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a second corpus, of other messages."""
    folder = tmp_path_factory.mktemp("other") / "other"
    write_corpus(folder, ham=30, spam=30)
    for path in (folder / "msgs").iterdir():
        seed = int(path.stem[4:] if path.stem.startswith("spam") else path.stem[3:])
        path.write_bytes(message(path.stem.startswith("spam"), 700 + seed))
    return folder


@pytest.mark.parametrize("protocol", ["apply", "split", "leave-one-out", "online"])
def test_json(protocol: str, winnow: Run, model: Path, corpus: Path, other: Path) -> None:
    """Every protocol gives a list of objects with the documented keys, one for each corpus."""
    named = ("--model", model) if protocol == "apply" else ()
    done = winnow("evaluate", "--json", "--protocol", protocol, *named, corpus, other)
    found = json.loads(done.out)
    assert done.status == 0
    assert [figures["corpus"] for figures in found] == ["mail", "other"]
    for figures in found:
        expected = {key + end for key in FIGURES for end in ("", "_low", "_high")}
        expected |= {"corpus", "protocol", "view", "n_ham", "n_spam"}
        if protocol == "apply":
            expected |= {"answered_by_reader_percent", "milliseconds"}
        extra = {key for key in figures if key.endswith("_count")}
        assert set(figures) - extra == expected
        assert (figures["protocol"], figures["view"]) == (protocol, "both")
    tested = {"split": [48, 18]}.get(protocol, [160, 60])
    assert [figures["n_ham"] + figures["n_spam"] for figures in found] == tested


def test_apply_answers_as_check_does(
    winnow: Run, model: Path, corpus: Path, tmp_path: Path
) -> None:
    """The figures are of the answers that a user gets: ham at 0.5 as `check` counts it."""
    words = ("--ham", corpus / "msgs" / "spam1.eml", corpus / "msgs" / "ham1.eml")
    done = winnow("evaluate", "--json", "--model", model, *words)
    (figures,) = json.loads(done.out)
    assert (figures["n_ham"], figures["n_spam"], figures["ham_at_0.5_count"]) == (2, 0, 1)
    assert figures["one_minus_roca_percent"] is None


def test_split_prints_the_mean_of_its_seeds(winnow: Run, corpus: Path) -> None:
    """Several seeds are several lines and their mean; the same seed gives the same figures."""
    done = winnow("evaluate", "--protocol", "split", "--seeds", 2, "--seed", 3, corpus)
    names = [line.partition("  ")[0] for line in done.out.splitlines()]
    assert [n for n in names if n.startswith("mail")] == [
        "mail, seed 3", "mail, seed 4", "mail, mean",
    ]  # fmt: skip
    again = winnow("evaluate", "--protocol", "split", "--seeds", 2, "--seed", 3, corpus)
    assert again.out == done.out


def test_leave_one_out_of_sources_with_one_class(
    winnow: Run, corpus: Path, other: Path, mail: Path
) -> None:
    """A source of ham alone is judged like the others, by models that saw the others."""
    words = ("evaluate", "--json", "--protocol", "leave-one-out")
    found = json.loads(winnow(*words, corpus, other, "--ham", mail / "a.eml", mail / "b.eml").out)
    assert [(f["corpus"], f["n_ham"], f["n_spam"]) for f in found] == [
        ("mail", 80, 80), ("other", 30, 30), ("some", 2, 0),
    ]  # fmt: skip
    assert found[2]["one_minus_roca_percent"] is None
    assert found[0]["accuracy_percent"] > 90


def test_split_names_the_corpus_that_is_too_small(winnow: Run, corpus: Path, mail: Path) -> None:
    """Of several corpora the one that cannot be split is named."""
    words = ("evaluate", "--protocol", "split", corpus, "--ham", mail / "a.eml", mail / "b.eml")
    done = winnow(*words)
    assert (done.status, done.out) == (2, "")
    assert "winnow: some: there is too little mail" in done.err


def test_validation_is_never_trained_on(winnow: Run, corpus: Path, other: Path) -> None:
    """With the only other source barred there is nothing to train on, which is told."""
    words = ("evaluate", "--protocol", "leave-one-out", corpus, other)
    done = winnow(*words, "--validation", "other")
    assert (done.status, "too little mail" in done.err) == (2, True)
    done = winnow(*words, "--validation", "nobody")
    assert (done.status, "the corpora are mail, other" in done.err) == (2, True)


def test_online_order_and_start(winnow: Run, model: Path, corpus: Path) -> None:
    """From nothing the first answers are poor, from a model not; the order can be drawn."""

    def brier(*options: object) -> float:
        done = winnow("evaluate", "--json", "--protocol", "online", *options, corpus)
        return float(json.loads(done.out)[0]["brier"])

    in_order = brier()
    assert brier("--model", model) < in_order
    assert brier("--shuffle", 1) != in_order
    assert brier("--shuffle", 1) == brier("--shuffle", 1) != brier("--shuffle", 2)


def test_online_is_never_all_spam_before_all_ham(winnow: Run, mail: Path) -> None:
    """Mail of two places has no order, and answers that are right by it alone are no figures."""
    words = ("evaluate", "--protocol", "online", "--spam", mail / "c.eml", "--ham", mail / "a.eml")
    done = winnow(*words)
    assert (done.status, done.out, "add --shuffle SEED" in done.err) == (2, "", True)
    assert winnow(*words, "--shuffle", 1).status == 0


def test_online_takes_mail_as_it_came(winnow: Run, corpus: Path, tmp_path: Path) -> None:
    """An archive that is stored the other way round gives the figures that its folder gives."""
    archive = tmp_path / "mail.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(corpus / "index.tsv", "mail/index.tsv")
        for path in sorted((corpus / "msgs").iterdir(), reverse=True):
            tar.add(path, f"mail/msgs/{path.name}")
    words = ("evaluate", "--json", "--protocol", "online")
    assert winnow(*words, archive).out == winnow(*words, corpus).out


def test_a_single_result_for_a_person(winnow: Run, model: Path, corpus: Path) -> None:
    """Each figure with its interval, and counts where it is of messages."""
    out = winnow("evaluate", "--model", model, corpus).out
    lines = {line[:26].strip(): line[26:].split() for line in out.splitlines()}
    assert out.startswith("protocol apply, view both, model small@")
    assert lines["ham"] == ["80"]
    assert lines["ham given 0.90 or more"] == ["0.00", "0.00", "to", "0.00", "0", "of", "80"]
    assert lines["1-ROCA"][2] == "to"
    low, to, high = lines["Brier score, 0 to 1"][1:]
    assert (to, 0 <= float(low) <= float(high) <= 1) == ("to", True)


def test_report(winnow: Run, corpus: Path, tmp_path: Path) -> None:
    """The report has the curve of the online protocol; a place that is not there is told first."""
    report = tmp_path / "r.html"
    assert winnow("evaluate", "--protocol", "online", "--report", report, corpus).status == 0
    assert "Learning curve: errors" in report.read_text("utf-8")
    for place, said in ((tmp_path / "none" / "r.html", "no folder"), (tmp_path, "is a folder")):
        done = winnow("evaluate", "--report", place, corpus)
        assert (done.status, said in done.err, "reading" in done.err) == (2, True, False)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--view both", "--view"),
        ("--seeds 2", "--seeds"),
        ("--shuffle 1", "--shuffle"),
        ("--validation x", "--validation"),
        ("--protocol split --model m", "--model"),
        ("--protocol split --device cpu", "--device"),
        ("--device fast", "no device 'fast'"),
        ("--protocol split --seeds 0", "--seeds"),
        ("--protocol split --seed -1", "--seed"),
        ("--protocol leave-one-out", "two corpora"),
    ],
)
def test_options_that_would_do_nothing(words: str, said: str, winnow: Run, corpus: Path) -> None:
    """An option is obeyed or refused, never passed over."""
    done = winnow("evaluate", *words.split(), corpus)
    assert (done.status, done.out) == (2, "")
    assert said in done.err


@pytest.mark.slow
@pytest.mark.parametrize("columns", [40, 60, 80])
def test_figures_are_whole_on_any_terminal(
    columns: int,
    on_terminal: Callable[..., str],
    winnow: Run,
    model: Path,
    corpus: Path,
    other: Path,
) -> None:
    """A narrow terminal does not make 2.40 of 12.40, for one corpus or for several."""
    (true,) = json.loads(winnow("evaluate", "--json", "--model", model, other).out)
    for corpora in ([other], [corpus, other]):
        shown = on_terminal(columns, "evaluate", "--model", model, *corpora)
        assert f"{true['ece_percent']:.2f}" in shown
        assert f"{true['accuracy_percent']:.2f}" in shown


def test_an_empty_maildir_is_told(winnow: Run, corpus: Path, tmp_path: Path) -> None:
    """What should have been learnt from and holds nothing is a mistake at the command line."""
    for part in ("cur", "new"):
        (tmp_path / "Sent" / part).mkdir(parents=True)
    done = winnow("evaluate", corpus, "--ham", tmp_path / "Sent")
    assert (done.status, "Sent: the Maildir holds no messages" in done.err) == (2, True)


def test_evasions(winnow: Run, model: Path, corpus: Path) -> None:
    """Each way of writing around the filter is a row, against the mail as it came."""
    done = winnow("evaluate", "--evasions", "--json", "--model", model, corpus)
    found = json.loads(done.out)
    assert [one["evasion"] for one in found] == ["clean", *EVASIONS]
    assert {one["spam"] for one in found} == {80}
    assert found[0]["caught_at_half"] >= 78
    assert all(0 <= one["caught_at_junk"] <= one["caught_at_half"] <= 80 for one in found)
    for one in found:
        kept = 100 * one["caught_at_half"] / found[0]["caught_at_half"]
        assert one["kept_percent"] == pytest.approx(kept)
    assert "image-only" in winnow("evaluate", "--evasions", "--model", model, corpus).out


@pytest.mark.parametrize(
    ("options", "match"),
    [
        (("--evasions", "--protocol", "split"), "apply"),
        (("--stage", "reader"), "split"),
        (("--stage", "reader", "--protocol", "split", "--seeds", "2"), "one --seed"),
    ],
)
def test_what_would_be_passed_over_is_refused(
    winnow: Run, corpus: Path, options: tuple[str, ...], match: str
) -> None:
    """Minutes of work are not begun for options that do not go together."""
    done = winnow("evaluate", *options, corpus)
    assert done.status == 2
    assert match in done.err
