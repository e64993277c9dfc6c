"""Header blocks, encoded words, addresses and parameters, as a reader's program takes them."""

from __future__ import annotations

import base64
from email.header import Header

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import addresses, mailboxes, raw_messages, words
from winnow.mail.headers import (
    decode_words,
    parse_address,
    parse_parameters,
    parse_recipients,
    read_block,
    split_block,
)
from winnow.mail.limits import Limits
from winnow.message import Address

LIMITS = Limits()


def block(data: bytes, *, strict: bool = False) -> tuple[dict[str, str], bytes]:
    """The first value of each field, and the body."""
    headers, start = split_block(data, LIMITS, strict=strict)
    return dict(reversed(headers)), data[start:]


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_fields_are_unfolded_and_end_at_the_blank_line(end: bytes) -> None:
    """Names in lower case, folds as one blank, the body untouched (RFC 5322 2.2.3)."""
    raw = b"Subject: one\n two\n\tthree\nX-A:b\n\nbody: no\n\nfield".replace(b"\n", end)
    fields, body = block(raw)
    assert fields == {"subject": "one two three", "x-a": "b"}
    assert body == b"body: no\n\nfield".replace(b"\n", end)


@given(raw_messages())
def test_the_body_is_what_follows_the_block(raw: bytes) -> None:
    """Any bytes have a split, and it lies within them."""
    headers, start = split_block(raw, LIMITS)
    assert 0 <= start <= len(raw)
    assert all(name == name.lower() and "\n" not in value for name, value in headers)
    assert start == 0 or headers or raw[:1] in (b"\n", b"\r")


def test_text_that_follows_without_a_blank_line_is_the_body() -> None:
    """Also when it begins like a field before it, or when fields before it are folded."""
    assert block(b"Subject: a\nhello\nX: y\n") == ({"subject": "a"}, b"hello\nX: y\n")
    assert block(b"Subject: a\nX-Long: b\nX-\ntext") == (
        {"subject": "a", "x-long": "b"},
        b"X-\ntext",
    )
    folded = b"Subject: a\r\n b\r\nnow text\r\n with a fold\r\n\r\nmore"
    assert block(folded) == ({"subject": "a b"}, b"now text\r\n with a fold\r\n\r\nmore")


def test_headers_alone_have_an_empty_body() -> None:
    """A message that ends with its headers does not show them as text."""
    assert block(b"Subject: a\nTo: b@c.example\n")[1] == b""
    assert block(b"Subject: a\r\nTo: b@c.example\r\n")[1] == b""


def test_a_line_without_a_colon_amid_known_fields_is_passed_over() -> None:
    """A broken line must not turn the fields after it into text."""
    fields, body = block(b"From: a@b.example\nbroken\nSubject: x\n\nbody")
    assert (fields["subject"], body) == ("x", b"body")


def test_parts_need_no_known_field_and_messages_do() -> None:
    """What heads a part, "hello: world" say, may be the text of a message."""
    assert block(b"hello: world\n\nx", strict=True) == ({"hello": "world"}, b"x")
    assert block(b"hello: world\n\nx") == ({}, b"hello: world\n\nx")
    assert block(b"no field\n\nx", strict=True) == ({}, b"no field\n\nx")


def test_a_block_is_bounded_and_says_so() -> None:
    """Size, number and length of fields have limits; the body begins where it does all the same."""
    small = Limits(header_bytes=100, header_count=5, value_chars=10)
    long_value = b"Subject: " + b"x" * 500 + b"\n\nbody"
    headers, start, cut = read_block(long_value, small)
    assert (headers, long_value[start:], cut) == ((("subject", "x" * 10),), b"body", True)
    many = b"To: a\n" * 8 + b"\nbody"
    headers, start, cut = read_block(many, small)
    assert (len(headers), many[start:], cut) == (5, b"body", True)
    far = b"To: a\n" * 40 + b"\nbody"
    assert read_block(far, small)[1:] == (241, True)
    assert read_block(b"To: abcdefghij\n\nx", small)[2] is False
    assert read_block(b"To: abcdefghijk\n\nx", small)[2] is True


@given(words(0, 12))
def test_encoded_words_come_back(text: str) -> None:
    """What another program encoded, in as many words as it needs, is read as it was."""
    header = Header(text, "utf-8", maxlinelen=76).encode(linesep="\n")
    assert decode_words(header.replace("\n", "")) == text


def test_a_sign_cut_between_two_words_is_one_sign() -> None:
    """Mailers cut by bytes, against RFC 2047 5, and readers put the bytes together."""
    data = "Grüße 漢字".encode()
    for at in range(len(data) + 1):
        halves = [base64.b64encode(part).decode() for part in (data[:at], data[at:])]
        assert decode_words(" ".join(f"=?utf-8?B?{half}?=" for half in halves)) == "Grüße 漢字"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a =?x?q?b?= c", "a b c"),
        ("=?utf-8?q?a?=  =?utf-8?q?b?=", "ab"),  # RFC 2047 6.2
        ("=?utf-8?q?a?= and =?utf-8?q?b?=", "a and b"),
        ("=?utf-8?q?a=5Fb_c?=", "a_b c"),
        ("=?utf-8*en?q?a?=", "a"),  # RFC 2231 5
        ("=?utf-8?q?who?? you??=", "who?? you?"),
        ("=?utf-8?b?YWJ?=", "ab"),
        ("=?utf-8?b?YWJjZ?=", "abc"),
        ("=?utf-8?x?a?=", "=?utf-8?x?a?="),
        ("caf\xc3\xa9 =?iso-8859-1?q?=E9?=", "café é"),
        ("=?utf-8?q?open", "=?utf-8?q?open"),
        ("=?utf-7?q?+2AA-?=", "\ufffd"),
    ],
)
def test_encoded_words_as_they_are_met(value: str, text: str) -> None:
    """Broken, mixed with raw bytes, or in the form of a later standard."""
    assert decode_words(value) == text


@given(mailboxes())
def test_mailboxes_are_read_apart(value: str) -> None:
    """The address is found in lower case whatever name stands before it."""
    found = parse_address(value)
    assert "@" in found.address
    assert found.address == found.address.lower()
    assert "<" not in found.address
    assert "=?" not in found.name


@pytest.mark.parametrize(
    ("value", "name", "address"),
    [
        ("A@B.example", "", "a@b.example"),
        ("a@b.example (Ann B)", "Ann B", "a@b.example"),
        ("<a@b.example> (Ann)", "Ann", "a@b.example"),
        ("Doe, Ann <a@b.example>", "Doe, Ann", "a@b.example"),
        (r'"Ann \"B\" \\ C" <a@b.example>', r'Ann "B" \ C', "a@b.example"),
        ('"safe@bank.example" <a@b.example>', "safe@bank.example", "a@b.example"),
        # what stands in quotes, comments and encoded words is shown, not written to
        ('"Bank <safe@bank.example>" <a@b.example>', "Bank <safe@bank.example>", "a@b.example"),
        ("Bank (<safe@bank.example>) <a@b.example>", "Bank (<safe@bank.example>)", "a@b.example"),
        (
            "=?utf-8?q?Bank_<safe@bank.example>?= <a@b.example>",
            "Bank <safe@bank.example>",
            "a@b.example",
        ),
        ("=?utf-8?q?Ann=0Ab?= <a@b.example>", "Ann b", "a@b.example"),
        ('"open <a@b.example>', "open", "a@b.example"),
        ("friends: a@b.example, c@d.example;", "", "a@b.example"),
        ("undisclosed-recipients:;", "undisclosed-recipients:;", ""),
        ("mailto:a@b.example", "", "a@b.example"),
        ("Ann", "Ann", ""),
        ("", "", ""),
        ("<>", "", ""),
        ("J\xc3\xb6rg <j\xc3\xb6@b.example>", "Jörg", "jö@b.example"),  # RFC 6532
    ],
)
def test_addresses_as_they_are_met(value: str, name: str, address: str) -> None:
    """The address is where an answer would go; the name is what a reader is shown."""
    assert parse_address(value) == Address(name, address)


@given(st.text(st.characters(max_codepoint=255), max_size=200))
def test_any_value_has_an_address(value: str) -> None:
    """No value of a header raises, and what comes out is bounded and on one line."""
    found = parse_address(value)
    assert len(found.name) <= 200
    assert len(found.address) <= 320
    assert len(found.name.splitlines()) <= 1


@given(st.lists(addresses(), max_size=12))
def test_recipients_are_found_in_order(given_addresses: list[str]) -> None:
    """Every recipient counts, however they are spread over headers, up to the limit."""
    lower = [address.lower() for address in given_addresses]
    value = ", ".join(f'"x" <{address}>' for address in given_addresses)
    assert parse_recipients([value]) == tuple(lower)
    assert parse_recipients(given_addresses) == tuple(lower)
    assert parse_recipients(given_addresses, limit=3) == tuple(lower[:3])


@pytest.mark.parametrize(
    ("value", "token", "parameters"),
    [
        ("Text/HTML; Charset=UTF-8", "text/html", {"charset": "UTF-8"}),
        ('a/b; x="q;\\"=" ; y = 2', "a/b", {"x": 'q;"=', "y": "2"}),
        ("text/html charset=utf-8", "text/html", {}),
        ("text/html (page); charset=utf-8 (x)", "text/html", {"charset": "utf-8"}),
        ("text / plain; x=1", "text/plain", {"x": "1"}),
        ('"text/html"', "text/html", {}),
        ('a/b; boundary="abc', "a/b", {"boundary": "abc"}),
        ("a/b; filename=my invoice.exe", "a/b", {"filename": "my invoice.exe"}),
        ("a/b; x=1; x=2", "a/b", {"x": "1"}),
        ("", "", {}),
        (";;=;a=", "", {"a": ""}),
        # RFC 2231: in pieces, out of order, encoded, in another charset, and over the plain one
        ("a/b; name*1=c.e; name*0=ab; name*2=xe", "a/b", {"name": "abc.exe"}),
        ("a/b; name*0*=utf-8''%e2%82%ac; name*1=%41; name*2*=%41", "a/b", {"name": "€%41A"}),
        (
            "a/b; name=x; filename=y; filename*=iso-8859-1'de'%E4",
            "a/b",
            {"name": "x", "filename": "ä"},
        ),
        ("a/b; filename*=a%2Eexe", "a/b", {"filename": "a.exe"}),
    ],
)
def test_parameters_as_they_are_met(value: str, token: str, parameters: dict[str, str]) -> None:
    """A broken or clever value must not hide what kind of part it is."""
    assert parse_parameters(value) == (token, parameters)


@given(st.text(st.characters(max_codepoint=255), max_size=200))
def test_any_value_has_parameters(value: str) -> None:
    """No value raises; the token is bounded and in lower case."""
    token, _ = parse_parameters("a/b;" + value)
    assert token == "a/b"
    assert len(parse_parameters(value)[0]) <= 80
