from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.corpus.builders import FROM_LINE, HAM, SPAM
from tests.strategies import raw_messages
from winnow.corpus import Deduplicated, Example, body_key, deduplicate
from winnow.verdict import Label


def example(id_: str, raw: bytes, label: Label | None = Label.HAM) -> Example:
    return Example(id_, raw, label, (0,), "here", len(raw))


def test_headers_do_not_count_and_the_body_does() -> None:
    """The same mailing to two mailboxes is one; two mailings are two."""
    assert body_key(HAM) == body_key(b"Received: by mx2.example\n folded\n" + HAM)
    assert body_key(HAM) != body_key(HAM.replace(b"one", b"two"))


@given(raw_messages())
def test_line_endings_and_blanks_do_not_count(raw: bytes) -> None:
    """What servers change on the way leaves the key as it is."""
    plain = raw.replace(b"\r\n", b"\n").replace(b"\r", b"")
    assert body_key(plain) == body_key(plain.replace(b"\n", b"\r\n"))
    assert body_key(plain) == body_key(plain + b"\n  \n")


def test_mark_of_an_mbox_does_not_count() -> None:
    """A message copied out of an mbox is the same message."""
    assert body_key(FROM_LINE + HAM) == body_key(HAM)


def test_mail_without_body_is_not_all_the_same() -> None:
    """Hundreds of Enron mails are a subject and nothing else; they differ."""
    assert body_key(b"Subject: christmas pictures\n") != body_key(b"Subject: nominations\n")
    assert body_key(b"Subject: one\n\n  \n") != body_key(b"Subject: two\n\n  \n")
    assert body_key(b"") == body_key(b"\n")


def test_text_below_headers_without_blank_line_is_body() -> None:
    """Enron's form: fields quoted in the text are text."""
    first = b"Subject: a\nplease look\nto : bob\nsubject : x\nsame end\n"
    second = b"Subject: b\nnever mind\nto : bob\nsubject : x\nsame end\n"
    assert body_key(first) != body_key(second)
    assert body_key(first) == body_key(first.replace(b"Subject: a", b"Subject: c"))


def test_text_without_headers_is_body() -> None:
    """Text messages: the same text is the same, another is not."""
    assert body_key(b"Ok lar...\n") == body_key(b"Ok lar...")
    assert body_key(b"Ok lar...") != body_key(b"Not ok")


def test_first_is_kept_and_the_rest_counted() -> None:
    """Order is kept; counts are of what was passed on and left out."""
    many = deduplicate([example("1", HAM), example("2", SPAM), example("3", b"X-Y: 1\n" + HAM)])
    assert [e.id for e in many] == ["1", "2"]
    assert (many.kept, many.dropped, many.conflicts) == (2, 1, 0)


def test_reading_twice_gives_the_same() -> None:
    """A second pass of training sees the same mail and the same counts."""
    many = deduplicate([example("1", HAM), example("2", HAM, Label.SPAM)])
    assert [e.id for e in many] == [e.id for e in many] == ["1"]
    assert (many.kept, many.dropped, many.conflicts) == (1, 1, 1)


def test_contradicting_labels_are_named() -> None:
    """A body that is both spam and ham keeps its first label and is reported."""
    many = deduplicate([example("1", HAM, Label.SPAM), example("2", HAM), example("3", HAM, None)])
    assert [e.label for e in many] == [Label.SPAM]
    assert many.conflicts == 1
    assert many.conflicting_ids == [("here", "2")]


@given(st.lists(st.sampled_from([HAM, SPAM, b"", b"Subject: x\n"])))
def test_nothing_is_lost(raws: list[bytes]) -> None:
    """Every example is either kept or counted as dropped, and the kept ones are all different."""
    many = Deduplicated([example(str(n), raw) for n, raw in enumerate(raws)])
    kept = [e.raw for e in many]
    assert len(set(kept)) == len(kept) == many.kept
    assert many.kept + many.dropped == len(raws)
