from __future__ import annotations

import pytest

from tests.corpus.builders import INDEX
from winnow.corpus.index import read_index
from winnow.errors import InputError
from winnow.verdict import Label

HEADER = b"id\tlabel\torder\tdate\tbody_hash\n"


def ids(*rows: bytes, header: bytes = HEADER) -> list[str]:
    return list(read_index([header, *rows], "demo/index.tsv"))


def test_rows_come_in_order_with_their_labels() -> None:
    """The online protocol sees the messages as they came, not as they are listed."""
    rows = read_index(INDEX.splitlines(), "index.tsv")
    assert [(id_, row.label) for id_, row in rows.items()] == [("a", Label.HAM), ("b", Label.SPAM)]
    assert rows["a"].order < rows["b"].order


def test_order_is_by_number_not_by_text() -> None:
    """10 comes after 9; 2:0001 after 1:0999; ties stay as they stand."""
    assert ids(b"x\tham\t10\t\t\n", b"y\tham\t9\t\t\n", b"z\tham\t9\t\t\n") == ["y", "z", "x"]
    assert ids(b"x\tham\t2:0001\t\t\n", b"y\tham\t1:0999\t\t\n") == ["y", "x"]


def test_date_orders_where_the_order_is_missing() -> None:
    """Days and moments with and without zone compare."""
    rows = (
        b"x\tham\t\t2002-08-22T11:36:16Z\tEMPTY\n",
        b"y\tham\t\t2002-08-22T12:00:00+02:00\t\n",
        b"z\tham\t7\t1999-12-10\t\n",
    )
    assert ids(*rows) == ["z", "y", "x"]


def test_rows_stand_as_they_are_without_order_and_date() -> None:
    """The text-message corpus has neither; a date on some rows only does not tear it apart."""
    assert ids(b"b\tham\t\t\t\n", b"a\tspam\t\t1999-01-01\t\n", b"\n") == ["b", "a"]


def test_only_id_and_label_are_needed() -> None:
    """A hand-made index has two columns, in any place, maybe with a byte order mark."""
    rows = read_index([b"\xef\xbb\xbflabel\tid\r\n", b"spam\tm1\r\n"], "index.tsv")
    assert rows["m1"].label is Label.SPAM


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (b"a\tmaybe\t1\t\t", "must be spam or ham"),
        (b"a\t\t1\t\t", "must be spam or ham"),
        (b"a\tham\tlast\t\t", "the order is 'last'"),
        (b"a\tham\t-1\t\t", "the order is '-1'"),
        (b"a\tham\t1\tyesterday\t", "the date is 'yesterday'"),
        (b"a\tham", "2 columns"),
        (b"\tham\t1\t\t", "cannot be an id"),
        (b"../../etc/passwd\tham\t1\t\t", "cannot be an id"),
        (b"..\tham\t1\t\t", "cannot be an id"),
        (b"a/b\tham\t1\t\t", "cannot be an id"),
        (b"/etc/passwd\tham\t1\t\t", "cannot be an id"),
        (b"a\\b\tham\t1\t\t", "cannot be an id"),
        (b"a\x1b[2J\tham\t1\t\t", "cannot be shown"),
        (b"a\xff\tham\t1\t\t", "not UTF-8"),
        (b"ok\tham\t1\t\t", "stands here twice"),
    ],
)
def test_bad_row_is_named_with_file_and_line(row: bytes, reason: str) -> None:
    """The person who wrote the index finds the row; no id leads out of the folder."""
    with pytest.raises(InputError, match=r"demo/index\.tsv, line 3: ") as caught:
        ids(b"ok\tham\t1\t\t\n", row + b"\n")
    assert reason in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("header", [b"", b"\n", b"name\tclass\n", b"id,label\n", b"\xff\xfe"])
def test_foreign_first_line_is_refused(header: bytes) -> None:
    """Some other table is not read as an index."""
    with pytest.raises(InputError, match=r"demo/index\.tsv, line 1: .* id, label"):
        ids(header=header)
