from __future__ import annotations

from collections.abc import Iterator

import pytest

from winnow.corpus import Bounds, Corpus, Example
from winnow.corpus.example import printable
from winnow.errors import InputError


def examples() -> Iterator[Example]:
    for place in (3, 1, 2):
        yield Example(str(place), b"x" * 10, None, (place,), "here", 10)


def test_corpus_can_be_read_again_and_in_order() -> None:
    """Training makes several passes; the online protocol needs the order in which mail came."""
    corpus = Corpus("here", 3, labelled=False, read=examples, stored_in_order=False)
    assert [e.id for e in corpus] == [e.id for e in corpus] == ["3", "1", "2"]
    assert [e.id for e in corpus.in_order()] == ["1", "2", "3"]


def test_corpus_stored_in_order_is_not_held() -> None:
    """A folder is streamed: the first message comes before the second is read."""
    corpus = Corpus("here", 3, labelled=False, read=examples, bounds=Bounds(max_held_bytes=0))
    assert next(corpus.in_order()).id == "3"


def test_bounds_end_with_a_sentence() -> None:
    """Too many messages, or too much to hold."""
    few = Corpus("here", None, labelled=False, read=examples, bounds=Bounds(max_messages=2))
    with pytest.raises(InputError, match="here: more than 2 messages"):
        list(few)
    small = Bounds(max_held_bytes=29)
    held = Corpus("here", 3, labelled=False, read=examples, stored_in_order=False, bounds=small)
    with pytest.raises(InputError, match="here: too large"):
        held.in_order()


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Grüße 1.eml", "Grüße 1.eml"),
        ("a\r\nb", r"a\r\nb"),
        (b"\xff", r"\xff"),
        ("\udcff", r"\udcff"),
    ],
)
def test_names_become_printable(name: str | bytes, shown: str) -> None:
    """Ids are safe for one line of a terminal, a table and JSON."""
    assert printable(name) == shown
