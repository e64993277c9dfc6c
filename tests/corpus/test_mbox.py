from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.corpus.builders import FROM_LINE, HAM, SPAM
from winnow.corpus.mbox import split_mbox


def split(data: bytes, max_bytes: int = 1 << 20) -> list[tuple[bytes, int]]:
    return list(split_mbox(io.BufferedReader(io.BytesIO(data)), max_bytes))


def mboxrd(messages: list[bytes]) -> bytes:
    """Write an mbox as mboxrd says: mark, quoted message, blank line."""
    out = b""
    for message in messages:
        lines = [b">" + x if x.lstrip(b">")[:5] == b"From " else x for x in message.split(b"\n")]
        out += FROM_LINE + b"\n".join(lines) + b"\n\n"
    return out


def test_messages_come_apart_without_mark_and_quote() -> None:
    """Two messages, their bytes as they were before they were stored."""
    quoting = HAM + b"From here on\n>From there\n"
    data = mboxrd([quoting[:-1], SPAM[:-1]])
    assert [raw for raw, _ in split(data)] == [quoting, SPAM]


@given(
    st.lists(
        st.lists(st.sampled_from([b"From me", b">From me", b">>From", b"text", b"", b">"])).map(
            lambda lines: b"Subject: x\n\n" + b"\n".join(lines) + b"\nend"
        ),
        max_size=5,
    )
)
def test_mboxrd_is_undone_exactly(messages: list[bytes]) -> None:
    """Storing and reading gives every message back."""
    assert [raw for raw, _ in split(mboxrd(messages))] == [m + b"\n" for m in messages]


def test_crlf_and_missing_blank_lines() -> None:
    """Files from Windows and from writers that forget the blank line are split too."""
    crlf = (FROM_LINE + HAM + b"\n" + FROM_LINE + SPAM).replace(b"\n", b"\r\n")
    assert [raw for raw, _ in split(crlf)] == [m.replace(b"\n", b"\r\n") for m in (HAM, SPAM)]
    assert [raw for raw, _ in split(FROM_LINE + HAM + FROM_LINE + SPAM)] == [HAM, SPAM]


def test_line_of_text_does_not_split() -> None:
    """A body line that begins with From and carries no date stays in the message."""
    data = FROM_LINE + HAM + b"\nFrom tomorrow on at six\n"
    assert [raw for raw, _ in split(data)] == [HAM + b"\nFrom tomorrow on at six\n"]


@pytest.mark.parametrize("length", [65_535, 65_536, 65_537, 200_000])
def test_mark_in_the_middle_of_a_long_line_does_not_split(length: int) -> None:
    """Lines longer than the read step are still one line, whatever stands at the step."""
    body = b"x" * length + FROM_LINE
    assert split(FROM_LINE + b"Subject: a\n\n" + body) == [
        (b"Subject: a\n\n" + body, 12 + len(body))
    ]


def test_long_message_is_cut_and_its_size_told() -> None:
    """Memory stays bounded; the next message is whole."""
    long = b"Subject: a\n\n" + b"0123456789\n" * 1000
    cut, whole = split(FROM_LINE + long + FROM_LINE + HAM, max_bytes=100)
    assert cut == (long[:100], len(long))
    assert whole == (HAM, len(HAM))


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_an_mbox_of_thunderbird(end: bytes) -> None:
    """Marks without sender and date part its messages; the word alone in a text does not."""
    texts = [HAM + b"\nFrom \nhere on it is text\n", SPAM, HAM]
    raws = [text.replace(b"\n", end) for text in texts]
    data = b"".join(b"From " + end + raw + end for raw in raws)
    assert [raw for raw, _ in split(data)] == raws
    assert [raw for raw, _ in split(data + b"From ")] == [*raws[:2], raws[2] + end + b"From "]
