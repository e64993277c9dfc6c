from __future__ import annotations

import gzip
import io
import os
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.corpus.builders import FROM_LINE, HAM, INDEXED, SPAM, tar_bytes, write_tree
from winnow.corpus import Bounds, open_corpus
from winnow.corpus.framing import strip_from_line
from winnow.errors import InputError
from winnow.verdict import Label

MBOX = FROM_LINE + HAM + b"\n" + FROM_LINE + SPAM


def file(tmp_path: Path, data: bytes, name: str = "mail") -> Path:
    path = tmp_path / name
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("compression", ["", "gz", "xz", "bz2"])
def test_archives_under_any_name(tmp_path: Path, compression: str) -> None:
    """What it is, is found by looking."""
    corpus = open_corpus(file(tmp_path, tar_bytes(INDEXED, compression=compression)))
    assert {e.id: e.label for e in corpus} == {"a": Label.HAM, "b": Label.SPAM}


def test_all_forms_give_the_same_mail(tmp_path: Path) -> None:
    """Archive, folder, Maildir and mbox of the same two messages."""
    paths = [
        file(tmp_path, tar_bytes(INDEXED), "x.tar"),
        write_tree(tmp_path / "indexed", INDEXED),
        write_tree(tmp_path / "maildir", {"cur/1.a:2,": HAM, "new/2.b": SPAM}),
        write_tree(tmp_path / "tree", {"1.eml": HAM, "2.eml": SPAM}),
        file(tmp_path, MBOX, "Inbox"),
        file(tmp_path, gzip.compress(MBOX), "Inbox.gz"),
    ]
    for path in paths:
        assert {e.raw for e in open_corpus(path)} == {HAM, SPAM}, path


def test_one_message(tmp_path: Path) -> None:
    """Any file that is nothing else is one message, named as the user named it."""
    path = file(tmp_path, FROM_LINE + HAM, "a.eml")
    corpus = open_corpus(path, label=Label.SPAM)
    [example] = corpus
    assert (corpus.len_hint, corpus.labelled) == (1, True)
    assert (example.id, example.raw, example.label) == (str(path), HAM, Label.SPAM)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(raw=st.binary(max_size=200))
def test_any_bytes_are_a_message(tmp_path: Path, raw: bytes) -> None:
    """Empty, NULs, noise, what looks like an archive: in an .eml file it is one message."""
    [example] = open_corpus(file(tmp_path, raw, "odd.eml"))
    assert example.raw == strip_from_line(raw)


def test_message_that_looks_like_an_archive(tmp_path: Path) -> None:
    """A sender cannot choose bytes that keep his mail from being read."""
    for data in (gzip.compress(b"x"), tar_bytes(INDEXED), b"PK\x03\x04", b"BZh9", b"\x1f\x8b"):
        [example] = open_corpus(file(tmp_path, data, "odd.eml"))
        assert example.raw == data


def test_a_file_of_a_maildir(tmp_path: Path) -> None:
    """Named alone it is one message as well, under the name that the user gave."""
    write_tree(tmp_path, {"cur/1.a:2,S": MBOX, "new/2.b": b"PK\x03\x04"})
    for name, raw in (("cur/1.a:2,S", strip_from_line(MBOX)), ("new/2.b", b"PK\x03\x04")):
        corpus = open_corpus(tmp_path / name)
        assert corpus.len_hint == 1
        assert [(e.id, e.raw) for e in corpus] == [(str(tmp_path / name), raw)]


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a.zip", b"PK\x03\x04rest", "is a zip archive; expected a message, an mbox"),
        ("a.tar.zst", b"\x28\xb5\x2f\xfdrest", "is compressed with zstd; expected"),
        ("a.tar", b"no archive at all", "is not a tar archive, or a damaged one"),
        ("a.tar", b"", "is not a tar archive"),
        ("a.mbox", HAM, "is not an mbox"),
        ("index.tsv", INDEXED["demo/index.tsv"], "is the index of a corpus; name its folder"),
    ],
)
def test_what_cannot_be_mail_is_refused(
    tmp_path: Path, name: str, data: bytes, reason: str
) -> None:
    """A mistake at the command line is not scored as one strange message."""
    with pytest.raises(InputError) as caught:
        open_corpus(file(tmp_path, data, name))
    assert reason in str(caught.value)


def test_missing_path(tmp_path: Path) -> None:
    """The sentence names the path and the forms."""
    with pytest.raises(InputError, match=r"nowhere: there is no such .* a Maildir, a folder"):
        open_corpus(tmp_path / "nowhere")


def test_empty_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty message can be asked about, but nothing can be learnt of it."""
    for label in (None, Label.SPAM, Label.HAM):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO()))
        corpus = open_corpus(Path("-"), label=label)
        if label is None:
            assert [e.raw for e in corpus] == [b""]
        else:
            with pytest.raises(InputError, match="standard input: is empty"):
                list(corpus)


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    """A message or an mbox; once; nothing is read before it is asked for."""
    for data, expected in ((HAM, [("-", HAM)]), (MBOX, [("-#1", HAM), ("-#2", SPAM)])):
        stdin = io.TextIOWrapper(io.BytesIO(data))
        monkeypatch.setattr(sys, "stdin", stdin)
        corpus = open_corpus(Path("-"))
        assert stdin.buffer.tell() == 0
        assert [(e.id, e.raw) for e in corpus] == expected
        with pytest.raises(InputError, match="only once"):
            list(corpus)


@pytest.mark.parametrize("compression", ["", "xz"])
def test_archive_on_standard_input(monkeypatch: pytest.MonkeyPatch, compression: str) -> None:
    """It must be looked at twice, so it cannot come from a pipe; it is not scored as a message."""
    data = tar_bytes(INDEXED, compression=compression)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    with pytest.raises(InputError, match="must be named as a file"):
        list(open_corpus(Path("-")))


def test_named_pipe(tmp_path: Path) -> None:
    """The shell's <(command) works."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(HAM,))
    writer.start()
    assert [e.raw for e in open_corpus(path)] == [HAM]
    writer.join()


def test_number_of_messages_is_bounded(tmp_path: Path) -> None:
    """An endless mbox ends with a sentence."""
    path = file(tmp_path, MBOX, "Inbox")
    assert len(list(open_corpus(path, bounds=Bounds(max_messages=2)))) == 2
    with pytest.raises(InputError, match="more than 1 messages"):
        list(open_corpus(path, bounds=Bounds(max_messages=1)))
