from __future__ import annotations

import gzip
import lzma
from pathlib import Path

import pytest

from tests.corpus.builders import FROM_LINE, HAM, INDEX, INDEXED, SPAM, tar_bytes
from winnow.corpus import Bounds, Corpus, open_corpus
from winnow.corpus.archive import corpus_name, open_archive
from winnow.errors import InputError
from winnow.verdict import Label


def archive(tmp_path: Path, files: dict[str, bytes], *, label: Label | None = None) -> Corpus:
    path = tmp_path / "x.tar.xz"
    path.write_bytes(tar_bytes(files, compression="xz"))
    return open_archive(path, label, Bounds())


def test_indexed_archive(tmp_path: Path) -> None:
    """Labels, names and count come from the index; messages come as stored, or in order."""
    corpus = archive(tmp_path, INDEXED)
    assert (corpus.name, corpus.len_hint, corpus.labelled) == ("demo", 2, True)
    assert [(e.id, e.raw, e.label, e.source) for e in corpus] == [
        ("b", SPAM, Label.SPAM, "demo"),
        ("a", HAM, Label.HAM, "demo"),
    ]
    assert [e.id for e in corpus.in_order()] == ["a", "b"]
    assert [e.id for e in corpus.in_order()] == ["a", "b"]


def test_index_may_stand_anywhere(tmp_path: Path) -> None:
    """An archive that was made again has its members in another order."""
    files = dict(reversed(list(INDEXED.items())))
    assert [e.id for e in archive(tmp_path, files)] == ["a", "b"]


def test_index_at_the_top(tmp_path: Path) -> None:
    """An archive made inside the folder is named by its file."""
    files = {name.replace("demo/", "./"): data for name, data in INDEXED.items()}
    corpus = archive(tmp_path, files)
    assert corpus.name == "x"
    assert len(list(corpus)) == 2


def test_files_beside_the_index_are_not_mail(tmp_path: Path) -> None:
    """Only msgs/ID.eml counts, and it counts once."""
    more = {"demo/README": b"Subject: no\n\n", "demo/msgs/sub/a.eml": b"x", "msgs/a.eml": b"x"}
    assert len(list(archive(tmp_path, {**more, **INDEXED}))) == 2


def test_mark_is_not_part_of_the_message(tmp_path: Path) -> None:
    """SpamAssassin's corpus keeps the mbox line; the model must not learn from it."""
    files = {**INDEXED, "demo/msgs/b.eml": FROM_LINE + SPAM}
    first = next(iter(archive(tmp_path, files)))
    assert (first.raw, first.size_bytes) == (SPAM, len(SPAM))


def test_listed_but_missing_message_is_an_error(tmp_path: Path) -> None:
    """A partial copy is not taken for the corpus."""
    files = {name: data for name, data in INDEXED.items() if "b.eml" not in name}
    with pytest.raises(InputError, match=r"lists 1 message.* the first 'b'"):
        list(archive(tmp_path, files))


def test_two_corpora_in_one_archive_are_refused(tmp_path: Path) -> None:
    """Half of them would be dropped without a word otherwise."""
    with pytest.raises(InputError, match="2 corpora"):
        list(archive(tmp_path, {**INDEXED, "other/index.tsv": INDEX}))


def test_label_on_top_of_an_index_is_refused(tmp_path: Path) -> None:
    """--ham on a labelled corpus would teach its spam as ham."""
    with pytest.raises(InputError, match=r"index\.tsv; name it without --spam or --ham"):
        archive(tmp_path, INDEXED, label=Label.HAM)


@pytest.mark.parametrize("index", [b"id\tlabel\n", INDEX.replace(b"ham", b"mah")])
def test_bad_index_is_named_with_its_place(tmp_path: Path, index: bytes) -> None:
    """Archive, member and line are in the error."""
    with pytest.raises(InputError, match=r"x\.tar\.xz/demo/index\.tsv"):
        archive(tmp_path, {**INDEXED, "demo/index.tsv": index})


def test_plain_archive_of_eml(tmp_path: Path) -> None:
    """Messages named .eml are read, the rest and hidden copies are not; the label is the given."""
    files = {"m/2.eml": SPAM, "m/1.eml": HAM, "m/._1.eml": b"fork", "m/notes": HAM}
    corpus = archive(tmp_path, files, label=Label.SPAM)
    assert (corpus.name, corpus.len_hint, corpus.labelled) == ("x", 2, True)
    assert [(e.id, e.label) for e in corpus] == [("m/2.eml", Label.SPAM), ("m/1.eml", Label.SPAM)]


def test_plain_archive_without_names(tmp_path: Path) -> None:
    """SpamAssassin's own archives: files without suffix, one of them a script."""
    files = {"easy/00001.ab": FROM_LINE + HAM, "easy/cmds": b"mv 1 2\n", "easy/00002.cd": SPAM}
    corpus = archive(tmp_path, files)
    assert (corpus.len_hint, corpus.labelled) == (None, False)
    assert [(e.id, e.raw, e.label) for e in corpus] == [
        ("easy/00001.ab#1", HAM, None),
        ("easy/00002.cd", SPAM, None),
    ]


@pytest.mark.parametrize("files", [{}, {"readme": b"hello"}, {"._a.eml": b"x"}])
def test_archive_without_mail_says_what_is_expected(
    tmp_path: Path, files: dict[str, bytes]
) -> None:
    """Nothing to read is an error, not a corpus of nothing."""
    path = tmp_path / "x.tar"
    path.write_bytes(tar_bytes(files))
    with pytest.raises(InputError, match=r"expected .*\.eml|not a tar archive"):
        list(open_corpus(path))


def test_cut_archive_is_an_error(tmp_path: Path) -> None:
    """Training on half an archive must not look like training on all of it."""
    path = tmp_path / "x.tar.xz"
    data = tar_bytes({**INDEXED, "demo/msgs/a.eml": bytes(range(256)) * 999}, compression="xz")
    path.write_bytes(data[:-60])
    with pytest.raises(InputError, match="cut off"):
        list(open_corpus(path))


def test_huge_member_is_cut_and_told(tmp_path: Path) -> None:
    """Fifty megabytes of zeros cost no memory; the true size is kept."""
    path = tmp_path / "x.tar.xz"
    path.write_bytes(lzma.compress(tar_bytes({"a.eml": HAM + bytes(50_000_000)}), preset=0))
    [example] = open_archive(path, None, Bounds(max_message_bytes=100))
    assert (example.raw[: len(HAM)], len(example.raw)) == (HAM, 100)
    assert example.size_bytes == len(HAM) + 50_000_000


def test_archive_too_large_to_sort_says_what_to_do(tmp_path: Path) -> None:
    """Putting an archive in order holds it in memory, up to a bound."""
    path = tmp_path / "x.tar"
    path.write_bytes(tar_bytes(INDEXED))
    corpus = open_archive(path, None, Bounds(max_held_bytes=60))
    with pytest.raises(InputError, match="unpack it"):
        list(corpus.in_order())


@pytest.mark.parametrize("name", ["a.tar.xz", "a.tgz", "a.mbox", "a.mbox.gz", "a"])
def test_names_are_short(name: str) -> None:
    """Tables show the name of the corpus, not of its packaging."""
    assert corpus_name(Path("/x") / name) == "a"


def test_real_corpora(corpora: Path) -> None:
    """A corpus as it lies there: every message, its label, its order."""
    examples = list(open_corpus(corpora / "lingspam.tar.xz").in_order())
    assert sum(e.label is Label.SPAM for e in examples) == 481
    assert sum(e.label is Label.HAM for e in examples) == 2412
    assert examples[0].id == "part1_3-1msg1"
    assert examples[-1].id.startswith("part10_")


def test_compressed_members(tmp_path: Path) -> None:
    """A message that is compressed in the archive is read, not scored as noise; .eml is itself."""
    packed = gzip.compress(HAM)
    files = {"a.eml.gz": packed, "b.eml": packed, "c.eml.xz": lzma.compress(SPAM)}
    assert [(e.id, e.raw) for e in archive(tmp_path, files)] == [
        ("a.eml.gz", HAM), ("b.eml", packed), ("c.eml.xz", SPAM),
    ]  # fmt: skip
    boxes = {"old.mbox.gz": gzip.compress(FROM_LINE + HAM + b"\n" + FROM_LINE + SPAM)}
    assert [e.raw for e in archive(tmp_path, boxes)] == [HAM, SPAM]
    with pytest.raises(InputError, match=r"x\.tar\.xz/a\.eml\.gz: cut off"):
        list(archive(tmp_path, {"a.eml.gz": packed[:30]}))


def test_a_bomb_in_an_archive(tmp_path: Path) -> None:
    """A member does not expand for ever either."""
    path = tmp_path / "x.tar"
    path.write_bytes(tar_bytes({"a.eml.gz": gzip.compress(bytes(3_000_000))}))
    bounds = Bounds(expansion_floor_bytes=1_000_000)
    with pytest.raises(InputError, match=r"a\.eml\.gz: expands to far more"):
        list(open_archive(path, None, bounds))


def test_an_archived_spam_folder(tmp_path: Path) -> None:
    """`tar c .Junk` is a folder that somebody named; what is hidden inside it stays so."""
    files = {".Junk/cur/1.a:2,S": HAM, ".Junk/.Old/cur/2.b": SPAM, "._1.eml": SPAM}
    assert [e.id for e in archive(tmp_path, files)] == [".Junk/cur/1.a:2,S"]
