from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.corpus.builders import FROM_LINE, HAM, INDEXED, SPAM, write_tree
from winnow.corpus import Bounds, Corpus
from winnow.corpus.folder import open_folder
from winnow.errors import InputError
from winnow.verdict import Label


def opened(path: Path, label: Label | None = None) -> Corpus:
    return open_folder(path, label, Bounds())


@pytest.mark.parametrize("below", ["", "demo"])
def test_indexed_folder_is_read_in_order(tmp_path: Path, below: str) -> None:
    """The folder itself or the one above it; order comes from the index without holding it all."""
    write_tree(tmp_path, INDEXED)
    corpus = opened(tmp_path / below)
    assert (corpus.name, corpus.len_hint, corpus.labelled) == ("demo", 2, True)
    assert [(e.id, e.raw, e.label) for e in corpus] == [
        ("a", HAM, Label.HAM),
        ("b", SPAM, Label.SPAM),
    ]
    assert corpus.stored_in_order


def test_indexed_folder_refusals(tmp_path: Path) -> None:
    """A label on top, a missing message and several corpora are each a sentence."""
    write_tree(tmp_path, INDEXED)
    with pytest.raises(InputError, match="name it without --spam or --ham"):
        opened(tmp_path, Label.SPAM)
    write_tree(tmp_path, {"other/index.tsv": b""})
    with pytest.raises(InputError, match=r"2 corpora \(demo, other"):
        opened(tmp_path)
    (tmp_path / "demo/msgs/b.eml").unlink()
    with pytest.raises(InputError, match="lists 1 message"):
        opened(tmp_path / "demo")
    with pytest.raises(InputError, match=r"index\.tsv, line 1"):
        opened(tmp_path / "other")


def test_indexed_folder_without_messages(tmp_path: Path) -> None:
    """An index alone is not a corpus."""
    write_tree(tmp_path, {"index.tsv": INDEXED["demo/index.tsv"]})
    with pytest.raises(InputError, match="msgs: cannot be read"):
        opened(tmp_path)


def test_maildir(tmp_path: Path) -> None:
    """Oldest first over cur and new; trashed mail, drafts and dot files are left out."""
    write_tree(
        tmp_path / "Maildir",
        {
            "cur/1700000300.M1.host:2,S": HAM,
            "cur/1700000100.M2.host,S=12:2,FS": SPAM,
            "cur/1700000150.M3.host:2,ST": b"trashed",
            "cur/1700000151.M4.host:2,D": b"draft",
            "cur/.nfs001": b"hidden",
            "new/1700000200.M5.host": b"Subject: new\n\nx",
            "tmp/1700000000.M6.host": b"unfinished",
            ".Junk/cur/1700000001.M7.host:2,": b"another folder",
            "dovecot.index": b"index",
        },
    )
    corpus = opened(tmp_path / "Maildir", Label.HAM)
    assert (corpus.name, corpus.len_hint) == ("Maildir", 3)
    assert [(e.id, e.raw) for e in corpus] == [
        ("cur/1700000100.M2.host,S=12:2,FS", SPAM),
        ("new/1700000200.M5.host", b"Subject: new\n\nx"),
        ("cur/1700000300.M1.host:2,S", HAM),
    ]


def test_maildir_in_use(tmp_path: Path) -> None:
    """A message that the mail program moves while we read is passed over."""
    write_tree(tmp_path, {"cur/1.a:2,S": HAM, "cur/2.b:2,": SPAM, "new/3.c": HAM})
    corpus = iter(opened(tmp_path))
    assert next(corpus).id == "cur/1.a:2,S"
    (tmp_path / "cur/2.b:2,").rename(tmp_path / "cur/2.b:2,S")
    assert [e.id for e in corpus] == ["new/3.c"]


def test_empty_maildir(tmp_path: Path) -> None:
    """A Maildir without mail is a corpus of none: whoever needs some sees it beforehand."""
    (tmp_path / "cur").mkdir()
    (tmp_path / "new").mkdir()
    corpus = opened(tmp_path)
    assert (corpus.len_hint, list(corpus)) == (0, [])


@pytest.mark.parametrize("part", ["cur", "new"])
def test_half_a_maildir(tmp_path: Path, part: str) -> None:
    """The folder cur or new is read by the same rules, not as a tree of files."""
    write_tree(
        tmp_path / "Maildir",
        {
            "cur/1.a:2,S": HAM,
            "cur/2.b:2,T": b"Subject: trashed",
            "cur/3.c:2,": b"no header here",
            "new/4.d": b"no header here",
        },
    )
    corpus = opened(tmp_path / "Maildir" / part)
    expected = {"cur": ["cur/1.a:2,S", "cur/3.c:2,"], "new": ["new/4.d"]}
    assert (corpus.name, [e.id for e in corpus]) == ("Maildir", expected[part])
    (tmp_path / "Maildir" / "new" / "4.d").unlink()
    (tmp_path / "Maildir" / "new").rmdir()
    assert [e.id for e in opened(tmp_path / "Maildir" / "cur")] == ["1.a:2,S", "2.b:2,T"]


def test_a_file_of_a_maildir_is_one_message(tmp_path: Path) -> None:
    """A sender who writes an mbox into his text does not make two messages of one."""
    two = FROM_LINE + HAM + b"\n" + FROM_LINE + SPAM
    write_tree(tmp_path, {"cur/1.a:2,S": two, "new/2.b": SPAM})
    found = [(e.id, e.raw) for e in opened(tmp_path)]
    assert found == [("cur/1.a:2,S", two.removeprefix(FROM_LINE)), ("new/2.b", SPAM)]


def test_tree_of_eml(tmp_path: Path) -> None:
    """All .eml files at any depth in a fixed order, nothing else."""
    write_tree(
        tmp_path / "mail",
        {"b.eml": HAM, "a/2.eml": SPAM, "a/1.EML": HAM, "notes": HAM, ".trash/3.eml": HAM},
    )
    corpus = opened(tmp_path / "mail", Label.SPAM)
    assert [(e.id, e.label) for e in corpus] == [
        ("b.eml", Label.SPAM),
        ("a/1.EML", Label.SPAM),
        ("a/2.eml", Label.SPAM),
    ]
    assert [e.order for e in corpus] == [e.order for e in corpus]


def test_tree_without_names(tmp_path: Path) -> None:
    """MH folders and mbox files: what begins like mail is mail."""
    write_tree(tmp_path, {"1": HAM, "2": SPAM, "cmds": b"mv", "box": FROM_LINE + HAM + FROM_LINE})
    assert [e.id for e in opened(tmp_path)] == ["1", "2", "box#1", "box#2"]


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({}, "no mail found in this folder; expected .eml files, a Maildir"),
        ({"a.txt": b"hello"}, "no mail found in this folder; expected .eml files, a Maildir"),
        ({"a.tar.xz": b"hello"}, "name them one by one"),
    ],
)
def test_folder_without_mail(tmp_path: Path, files: dict[str, bytes], reason: str) -> None:
    """The error says what would have been read."""
    with pytest.raises(InputError) as caught:
        opened(write_tree(tmp_path, files))
    assert reason in str(caught.value)


def test_links_to_folders_and_pipes_are_not_followed(tmp_path: Path) -> None:
    """A link to the folder above does not read for ever; a pipe does not hang."""
    write_tree(tmp_path, {"a.eml": HAM})
    (tmp_path / "loop").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "pipe.eml")
    assert [e.id for e in opened(tmp_path)] == ["a.eml"]


def test_number_of_files_is_bounded(tmp_path: Path) -> None:
    """Pointing at the root of a disk ends with a sentence."""
    write_tree(tmp_path, {f"{n}.eml": HAM for n in range(3)})
    with pytest.raises(InputError, match="more than 2 files"):
        open_folder(tmp_path, None, Bounds(max_messages=2))


def test_unreadable_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refusal of the system names the folder."""

    def refuse(path: object) -> None:
        raise PermissionError(13, "Permission denied", str(tmp_path / "x"))

    write_tree(tmp_path, {"a.eml": HAM})
    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(InputError, match="cannot be read: Permission denied"):
        opened(tmp_path)
