"""`winnow train`: a model from labelled mail, alike for one seed, and what it says."""

from __future__ import annotations

import subprocess
import sys
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


@pytest.fixture(scope="session")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of an encoder small enough to train; skip the test without the extra."""
    for name in ("jax", "optax", "onnx_ir"):
        pytest.importorskip(name, reason="the extra [train] is not installed")
    from tests.model.tiny import write_backbone

    return write_backbone(tmp_path_factory.mktemp("bert"))


def _small(backbone: Path) -> tuple[object, ...]:
    return (
        *("--stage", "reader", "--backbone", backbone, "--layers", "0"),
        *("--pieces", 1000, "--tokens", 32, "--draws", 64),
    )


@pytest.mark.slow
def test_both_stages(winnow: Run, corpus: Path, backbone: Path, mail: Path, tmp_path: Path) -> None:
    """A reader is trained beside the reflex, kept to go on from, and what it costs is told."""
    out, kept = tmp_path / "m.winnow", tmp_path / "kept"
    words = ("train", "--out", out, *_small(backbone), "--checkpoints", kept, "--budget", "10s")
    done = winnow(*words, corpus)
    assert done.status == 0
    for part in ("of the held-out mail", "The reflex alone:", "the most that helps:", "m@"):
        assert part in done.out
    files = {path.name for path in out.iterdir()}
    assert {"reader.onnx", "tokenizer.json", "frontier.json", "frontier.svg"} <= files
    assert "reflex, reader" in winnow("inspect", out).out
    assert '"stage": "re' in winnow("check", "--json", "--model", out, mail / "c.eml").out
    assert (kept / "reader.safetensors").is_file()
    before = (out / "reader.onnx").read_bytes()
    done = winnow(*words, "--budget", "1us", corpus)  # goes on from the end
    assert (done.status, (out / "reader.onnx").read_bytes()) == (0, before)
    assert "asked for 0.0% of the held-out mail" in done.out
    assert "1us is less than the reflex alone takes on this machine." in done.out
    # Another beginning is another training: the old one is not taken for it.
    done = winnow(*words, "--layers", "1", corpus)
    assert (done.status, "other mail or options; delete" in done.err) == (2, True)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--layers", "0,7"), "has layers 0 to 1"),
        (("--layers", "first"), "--layers first: write numbers"),
        (("--teacher", "0;1"), "--teacher 0;1: write numbers"),
        (("--teacher", "5"), "has layers 0 to 1"),
        (("--held-out", "nobody"), "--held-out nobody: the corpora are mail."),
        (("--held-out", "mail"), "left to learn from is of one class"),
        (("--tokens", "8"), "--tokens: 16 to 512"),
        (("--tokens", "200"), "made for 128 tokens"),
        (("--pieces", "10"), "--pieces begins at 1000"),
        (("--draws", "0"), "--draws at 1"),
        (("--budget", "soon"), "'soon' is no budget"),
        (("--backbone", "nowhere"), "nowhere is no backbone"),
        (("--corrections",), "train the reflex with them"),
    ],
)
def test_reader_options_that_do_not_fit_are_told(
    words: tuple[str, ...],
    told: str,
    winnow: Run,
    corpus: Path,
    backbone: Path,
    store: Path,
    tmp_path: Path,
) -> None:
    """What was mistyped is a sentence before the hours of training, and nothing is made."""
    if "--corrections" in words:
        from winnow.store import Store

        store.parent.mkdir(parents=True)
        Store.open(store).close()
    out = tmp_path / "m.winnow"
    done = winnow("train", "--out", out, *_small(backbone), *words, corpus)
    assert (done.status, done.out) == (2, "")
    assert told in done.err
    assert not out.exists()


@pytest.mark.parametrize("words", [("--layers", "0,7"), ("--teacher", "5"), ("--tokens", "200")])
def test_what_the_backbone_lacks_is_told_before_any_mail_is_read(
    words: tuple[str, str],
    winnow: Run,
    corpus: Path,
    backbone: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A large corpus takes minutes to read."""
    recipe_reader = pytest.importorskip(
        "winnow.recipe_reader", reason="the extra [train] is not installed", exc_type=ImportError
    )
    read: list[object] = []
    monkeypatch.setattr(recipe_reader, "gather_texts", lambda *_, **__: read.append(1))
    done = winnow("train", "--out", tmp_path / "m.winnow", *_small(backbone), *words, corpus)
    assert (done.status, read) == (2, [])


@pytest.mark.parametrize(
    "words",
    [
        *(("--backbone", "x"), ("--layers", "1"), ("--teacher", "0"), ("--pieces", "2000")),
        *(("--tokens", "64"), ("--draws", "9"), ("--held-out", "mail"), ("--checkpoints", "x")),
        ("--budget", "2ms"),
    ],
)
def test_reader_options_without_a_reader_are_told(
    words: tuple[str, str], winnow: Run, corpus: Path, tmp_path: Path
) -> None:
    """They are not passed over in silence: whoever names one wants a reader."""
    out = tmp_path / "m.winnow"
    done = winnow("train", "--out", out, *words, corpus)
    assert (done.status, f"{words[0]} is an option of --stage reader" in done.err) == (2, True)
    assert not out.exists()


@pytest.mark.parametrize("missing", ["jax", "optax", "onnx_ir"])
def test_without_the_extra(missing: str, corpus: Path, tmp_path: Path) -> None:
    """`pip install winnow-mail` alone trains no reader, and the error says what to install."""
    if missing != "jax":  # of several that are missing the first is named
        pytest.importorskip("optax", reason="the extra [train] is not installed")
        pytest.importorskip("onnx_ir", reason="the extra [train] is not installed")
    program = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "from winnow.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    words = ["train", "--stage", "reader", "--out", tmp_path / "m.winnow", corpus]
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, words)], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert f"training a reader needs {missing}, which is not installed" in done.stderr
    assert "pip install 'winnow-mail[train]'" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "m.winnow").exists()
