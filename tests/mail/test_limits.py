"""Every limit holds, is told by a mark, and stands on the page for users."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import fields

import pytest

from tests.docs.pages import ROOT
from winnow.features import content, pieces, stream
from winnow.mail import Limits, parse
from winnow.message import Message

PLAIN = b"Subject: x\n\n"
HTML = b"Subject: x\nContent-Type: text/html\n\n"
MIXED = b"Content-Type: multipart/mixed; boundary=b\n\n"


def nested(levels: int) -> bytes:
    """A text under so many multiparts."""
    lines = [
        b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(levels)
    ]
    return b"".join(lines) + b"\nx"


# limit -> a message that needs exactly so much of it, its mark, and how much of it was kept
CASES: dict[str, tuple[Callable[[int], bytes], str, Callable[[Message], int] | None]] = {
    "scan_bytes": (lambda n: PLAIN + b"x" * (n - len(PLAIN)), "truncated", None),
    "header_bytes": (
        lambda n: b"To: a\n" + b"X-A: b\n" * ((n - 12) // 7) + b"\nx",
        "long headers",
        None,
    ),
    "header_count": (
        lambda n: b"To: a\n" * n + b"\nx",
        "long headers",
        lambda message: len(message.headers),
    ),
    "value_chars": (
        lambda n: b"Subject: " + b"x" * n + b"\n\nx",
        "long headers",
        lambda message: len(message.subject),
    ),
    # the multipart is a part itself
    "parts": (
        lambda n: MIXED + b"--b\nContent-Type: a/b\n\nx\n" * (n - 1),
        "too many parts",
        lambda message: len(message.attachments) + 1,
    ),
    "depth": (nested, "nested too deep", None),
    "text_chars": (lambda n: PLAIN + b"x" * n, "long text", lambda message: len(message.text)),
    "html_chars": (lambda n: HTML + b"<b>" + b" " * (n - 3), "long html", None),
    "tags": (lambda n: HTML + b"<b>" * n, "too many tags", None),
    "links": (
        lambda n: PLAIN + b"http://a.example/ " * n,
        "too many links",
        lambda message: len(message.links),
    ),
    "recipients": (
        lambda n: b"To: " + b"a@b.example," * n + b"\n\nx",
        "many recipients",
        lambda message: len(message.recipients),
    ),
}
SMALL = Limits(
    scan_bytes=20_000,
    header_bytes=1_000,
    header_count=20,
    value_chars=100,
    parts=6,
    depth=3,
    text_chars=500,
    html_chars=300,
    tags=30,
    links=5,
    recipients=7,
)
ROOMY = dict.fromkeys((field.name for field in fields(Limits)), 1 << 20) | {"depth": 50}


def test_every_limit_has_its_case() -> None:
    """A new limit is tested here, or it is none."""
    assert set(CASES) == {field.name for field in fields(Limits)}


@pytest.mark.parametrize("name", CASES)
def test_a_limit_is_met_exactly_and_told(name: str) -> None:
    """What fits is whole and unmarked; what goes beyond is cut, marked and truncated."""
    make, mark, kept = CASES[name]
    bound = getattr(SMALL, name)
    limits = Limits(**{**ROOMY, name: bound})
    fits, beyond = parse(make(bound), limits), parse(make(bound * 3), limits)
    assert (mark in fits.marks, fits.truncated) == (False, False)
    assert (mark in beyond.marks, beyond.truncated) == (True, True)
    if kept is not None:
        assert kept(fits) == kept(beyond) == bound


def test_links_of_html_and_hidden_text_are_bounded_as_well() -> None:
    """The limits of links and of text hold for both kinds of body."""
    found = parse(HTML + b"<a href=//a.example>x</a>" * 6 + b"<p hidden>" + b"h" * 600, SMALL)
    assert (len(found.links), "too many links" in found.marks) == (5, True)
    found = parse(HTML + b"<p hidden>" + b"h" * 280, Limits(text_chars=200))
    assert (len(found.hidden), found.truncated) == (200, True)
    assert "long hidden text" in found.marks


def test_attached_messages_count_as_nesting() -> None:
    """Messages within messages are opened no deeper than multiparts."""
    raw = b"Content-Type: message/rfc822\n\n"
    assert "nested too deep" not in parse(raw * SMALL.depth + b"\nx", SMALL).marks
    found = parse(raw * (SMALL.depth + 1) + b"\nx", SMALL)
    assert ("nested too deep" in found.marks, found.truncated) == (True, True)


def test_size_is_that_of_the_whole_message() -> None:
    """A head of a longer message is truncated, however short the head is."""
    found = parse(PLAIN, size_bytes=5 << 20)
    assert (found.size_bytes, found.truncated) == (5 << 20, True)


def test_the_page_names_every_limit() -> None:
    """docs/reference/limits.md has the numbers of this program and no others."""
    page = (ROOT / "docs" / "reference" / "limits.md").read_text("utf-8")
    table = "\n".join(line for line in page.splitlines() if line.startswith("| "))
    found = sorted(int(number.replace(",", "")) for number in re.findall(r"\d[\d,]*", table))
    limits = Limits()
    mail = [getattr(limits, field.name) for field in fields(limits)]
    mail[0] //= 1 << 20  # the page says MiB
    mail[1] //= 1 << 10  # and KiB
    weighed = [content.TEXT_CHARS, content.HIDDEN_CHARS, content.LINKED_HOSTS]
    raw = [stream.HEADER_BYTES, stream.BODY_BYTES]
    word = [pieces.WORD_CHARS, pieces.WORD_PIECES]
    assert found == sorted(mail + weighed + raw + word)
