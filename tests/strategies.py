"""Hypothesis strategies for mail, shared by every test that takes a message.

`messages()` makes mail that a careful sender could have sent, `hostile_messages()` mail that
nobody careful would, `raw_messages()` either. All return raw bytes of at most some ten kilobytes;
tests of the size limits make their own. A feature that reads a new part of a message adds that
part here, so that the tests of every other feature meet it as well.
"""

from __future__ import annotations

import base64
import quopri
import re
from email.header import Header

from hypothesis import strategies as st

CHARSETS = ("us-ascii", "utf-8", "iso-8859-1", "iso-8859-15", "windows-1252", "koi8-r")
LYING_CHARSETS = ("utf-7", "utf-16", "x-unknown", "", "ascii\x00", "8bit", "gb18030", "a" * 300)

WORDS = (
    *("offer", "meeting", "invoice", "winner", "free", "account", "verify", "please", "regards"),
    *("Angebot", "Rechnung", "Grüße", "Überweisung", "gratis", "señor", "factura", "reunión"),
    *("бесплатно", "発票", "🎁", "100%", "$9.99", "the", "a", "and"),
)
LABELS = ("shop", "mail", "a", "news-24", "x1", "paypa1", "xn--80ak6aa92e", "b" * 63)
TOPS = ("example", "test", "example.org", "invalid", "xn--p1ai.test")
LOCALS = ("anna", "no-reply", "k.m", "info+tag", "x_1", "0")


def words(minimum: int = 0, maximum: int = 40) -> st.SearchStrategy[str]:
    """Return text of words in several languages, one space apart.

    Three numbers choose the words, not one draw each: drawing is most of what a test costs.
    """
    numbers = st.tuples(
        st.integers(minimum, maximum), st.integers(0, len(WORDS) - 1), st.integers(1, 9)
    )
    return numbers.map(
        lambda chosen: " ".join(
            WORDS[(chosen[1] + chosen[2] * i) % len(WORDS)] for i in range(chosen[0])
        )
    )


def domains() -> st.SearchStrategy[str]:
    """Return host names, plain and odd, none of which can exist."""
    return st.tuples(st.sampled_from(LABELS), st.sampled_from(TOPS)).map(".".join)


def addresses() -> st.SearchStrategy[str]:
    """Return addr-specs such as "anna.k@shop.example"."""
    return st.tuples(st.sampled_from(LOCALS), domains()).map("@".join)


@st.composite
def mailboxes(draw: st.DrawFn) -> str:
    """Return the value of a From or To header, with or without a display name."""
    name, address = draw(words(0, 3)), draw(addresses())
    if not name:
        return address
    shown = name if name.isascii() else Header(name, "utf-8").encode(maxlinelen=900)
    return f'"{shown}" <{address}>' if name.isascii() else f"{shown} <{address}>"


@st.composite
def html_bodies(draw: st.DrawFn) -> str:
    """Return an HTML body with visible text, hidden text and a link."""
    visible, hidden, shown = draw(words(1)), draw(words(0, 8)), draw(words(0, 3))
    style = draw(st.sampled_from(("display:none", "font-size:0", "color:#fff;background:#fff", "")))
    target = draw(domains())
    return (
        f"<html><head><style>p {{color: red}}</style></head><body><p>{visible}</p>"
        f'<div style="{style}">{hidden}</div><a href="https://{target}/x?y=1">{shown}</a>'
        "</body></html>"
    )


@st.composite
def parts(draw: st.DrawFn) -> bytes:
    """Return one text part with its own headers: any charset, any transfer encoding."""
    subtype = draw(st.sampled_from(("plain", "html")))
    charset = draw(st.sampled_from(CHARSETS))
    text = draw(html_bodies() if subtype == "html" else words())
    body = text.encode(charset, errors="replace")
    encoding = draw(st.sampled_from(("8bit", "base64", "quoted-printable")))
    if encoding == "base64":
        body = base64.encodebytes(body)
    elif encoding == "quoted-printable":
        body = quopri.encodestring(body)
    head = f"Content-Type: text/{subtype}; charset={charset}\nContent-Transfer-Encoding: {encoding}"
    return head.encode() + b"\n\n" + body


@st.composite
def attachments(draw: st.DrawFn) -> bytes:
    """Return one attachment part with its own headers."""
    kind = draw(st.sampled_from(("application/pdf", "image/png", "application/zip", "text/x-sh")))
    name = draw(st.sampled_from(("invoice.pdf", "Rechnung Grün.pdf", "a.pdf.exe", "")))
    content = base64.encodebytes(draw(st.binary(max_size=200)))
    disposition = f'Content-Disposition: attachment; filename="{name}"'
    head = f"Content-Type: {kind}\nContent-Transfer-Encoding: base64\n{disposition}"
    return head.encode() + b"\n\n" + content


@st.composite
def _multiparts(draw: st.DrawFn) -> bytes:
    """Return a multipart entity with its own Content-Type header."""
    kind = draw(st.sampled_from(("alternative", "mixed", "related")))
    children = draw(st.lists(st.one_of(parts(), attachments()), min_size=1, max_size=3))
    boundary = draw(st.sampled_from(("b1", "=_part 7", "----=_NextPart_000_0001")))
    separator = b"\n--" + boundary.encode()
    head = f'Content-Type: multipart/{kind}; boundary="{boundary}"\n\n'.encode()
    return head + b"".join(separator + b"\n" + child for child in children) + separator + b"--\n"


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """Return a message in good form, with LF or CRLF line ends."""
    subject = draw(words(0, 8))
    day, hour = draw(st.integers(1, 28)), draw(st.integers(0, 23))
    headers = [
        f"Return-Path: <{draw(addresses())}>",
        f"From: {draw(mailboxes())}",
        f"To: {', '.join(draw(st.lists(mailboxes(), min_size=1, max_size=3)))}",
        f"Subject: {Header(subject, None if subject.isascii() else 'utf-8').encode()}",
        f"Date: {day} Mar 2024 {hour:02}:15:00 +0100",
        f"Message-ID: <{draw(st.uuids())}@{draw(domains())}>",
        "MIME-Version: 1.0",
    ]
    if draw(st.booleans()):
        headers.append(f"Reply-To: {draw(mailboxes())}")
    if draw(st.booleans()):
        headers.append(f"List-Unsubscribe: <https://{draw(domains())}/u>")
    entity = draw(st.one_of(parts(), _multiparts()))
    raw = "\n".join(headers).encode("utf-8") + b"\n" + entity
    return raw.replace(b"\n", b"\r\n") if draw(st.booleans()) else raw


HOSTILE_SHAPES = (
    b"",
    b"\n",
    b"\r\n\r\n",
    b"\x00",
    b"no header at all",
    b"Subject",
    b": no name\n\nbody",
    b" folded before any header\nSubject: x\n\nbody",
    b"From \nFrom: <>\nTo: @\nSubject: =?utf-8?b?!!!!?= =?x?q?=FF?= =?\n\n",
    b"Content-Type: multipart/mixed\n\n--\n--\n",
    b'Content-Type: multipart/mixed; boundary=""\n\n--\n\nx\n----\n',
    b'Content-Type: multipart/mixed; boundary="b"\n\n--b\n--b\n--b--\n--b\n',
    b"Content-Type: message/rfc822\n\n" * 20,
    b"Content-Type: text/html\n\n<a href='http://[::1'>x</a><a href=//>y</a>" + b"<div>" * 200,
    b"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n\n====A\x00==",
    b"Content-Transfer-Encoding: quoted-printable\n\n=\n==\n=4\n=ZZ=C3\n",
    b"Content-Type: text/plain; charset=utf-7\n\n+AGEAY-+//8-",
    b"Subject: \xed\xa0\x80\xff\xfe\n\n\xed\xa0\x80",
    b"Content-Type: text/html; charset*0*=utf-8'en'%; charset*1=\n\n&#xD800;&#0;&#99999999;&bogus;",
    b"Content-Type: message/rfc822\n\n" * 3 + b"Subject: within\n\ntext",
    b"Subject: x\nContent-Type: message/rfc822\n\nContent-Type: message/rfc822\n\nSubject: y\n\nz",
    b'From: "x <a@b.example>" (<c@d.example>) <e@f.example>\nSubject: =?utf-7?q?+2AA-?=\n\n',
    b"Content-Type: multipart/mixed; boundary=b\n\n--b1\n--b\n\nx\n--b1--\n--b--\n",
    b"Content-Type: text/html\n\n<td hidden>x<td style='font-size:0'>y<b style='font-size:9px'>z",
    b"Content-Type: a/b; name*1=b; name*0*=x'y'%FF; name*9999=c; name=\"\n\nx",
)


@st.composite
def _lying_messages(draw: st.DrawFn) -> bytes:
    """Return a message whose charsets are not what its bytes are in."""
    lie = draw(st.sampled_from(LYING_CHARSETS)).encode()
    return re.sub(rb"charset=[\w-]+", b"charset=" + lie, draw(messages()))


@st.composite
def hostile_messages(draw: st.DrawFn) -> bytes:
    """Return bytes that break one or more rules of mail: damaged, truncated, lying or binary."""
    shapes = st.sampled_from(HOSTILE_SHAPES)
    raw = draw(st.one_of(shapes, messages(), _lying_messages(), st.binary(max_size=400)))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(raw)))
        damage = draw(st.sampled_from(("cut", "insert", "drop", "repeat")))
        if damage == "cut":
            raw = raw[:at]
        elif damage == "insert":
            raw = raw[:at] + draw(st.binary(min_size=1, max_size=8)) + raw[at:]
        elif damage == "drop":
            raw = raw[:at] + raw[at + draw(st.integers(1, 40)) :]
        else:
            raw = raw[:at] * draw(st.integers(1, 3)) + raw[at:]
    return raw


def raw_messages() -> st.SearchStrategy[bytes]:
    """Return any message, careful or hostile."""
    return st.one_of(messages(), hostile_messages())
