"""Mail that nobody careful would send, and what answering it costs.

Each message aims at one loop, one table or one promise; none holds anything of a real one.
"""

from __future__ import annotations

import json
import random
import tracemalloc
import zlib
from base64 import b64encode
from collections.abc import Callable

_MIB = 1 << 20
_MIXED = b"Content-Type: multipart/mixed; boundary=b\n\n"


def _html(body: bytes) -> bytes:
    return b"Subject: x\nContent-Type: text/html\n\n" + body


def _part(kind: bytes, body: bytes, encoding: bytes = b"7bit") -> bytes:
    return b"Content-Type: %s\nContent-Transfer-Encoding: %s\n\n%s" % (kind, encoding, body)


def _parts(count: int, part: bytes) -> bytes:
    return _MIXED + (b"--b\n" + part + b"\n") * count


HOSTILE: dict[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "one byte": lambda: b"x",
    "NULs": lambda: b"\0" * _MIB,
    "binary": lambda: random.Random(1).randbytes(_MIB),
    "line ends": lambda: b"\r\n" * (_MIB // 2),
    "carriage returns": lambda: b"\r" * _MIB,
    "50 MB": lambda: b"Subject: x\n\n" + b"word " * 10_000_000,
    "lone surrogates": lambda: (
        "Subject: \udcff \ud800\n\n\udfff".encode("utf-8", "surrogatepass") * 9_000
    ),
    # parts
    "10,000 parts": lambda: _parts(10_000, b"\nx"),
    "1,000 levels": lambda: b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(1000)
    ),
    "1,000 messages in each other": lambda: b"Content-Type: message/rfc822\n\n" * 1000,
    "levels of one boundary": lambda: _MIXED + (b"--b\n" + _MIXED) * 10_000,
    "boundaries that begin alike": lambda: (
        _MIXED + b"".join(b"--b%d\n\nx\n" % n for n in range(50_000))
    ),
    "a boundary of dashes": lambda: (
        b"Content-Type: multipart/mixed; boundary=-\n\n" + b"\n---" * 250_000
    ),
    "a boundary of blanks": lambda: (
        b'Content-Type: multipart/mixed; boundary="  "\n\n' + b"\n--  " * 200_000
    ),
    "parts of fields without a colon": lambda: _parts(60, b"X-a: y\nx\n" * 2_000),
    "parts of tags": lambda: _parts(60, _part(b"text/html", b"<p>" * 5_000)),
    "parts of hidden tags": lambda: _parts(60, _part(b"text/html", b"<p hidden>" * 1_700)),
    # headers
    "a megabyte header": lambda: b"Subject: " + b"x" * _MIB + b"\n\nbody",
    "100,000 header lines": lambda: b"X-A: b\n" * 100_000 + b"\nbody",
    "a header in 300,000 folds": lambda: b"Subject: x\n" + b" x\n" * 300_000 + b"\nx",
    "no colon": lambda: b"From: a@b.example\nno colon here\nSubject: x\n\nbody",
    "every second line no field": lambda: b"From: a@b.example\n" + b"x\nTo:\n" * 10_000 + b"\nx",
    "100,000 encoded words": lambda: b"Subject:" + b" =?utf-8?q?a?=" * 100_000 + b"\n\nx",
    "headers of encoded words": lambda: (
        b"".join(b"Subject: =?x%d?b?YQ?=\n" % n for n in range(60_000)) + b"\nx"
    ),
    "1 MB of =?": lambda: b"Subject: " + b"=?" * (_MIB // 2) + b"\n\nbody",
    "encoded words that do not end": lambda: b"Subject: " + b"=?a?b?" * 170_000 + b"\n\nbody",
    "a million ( in From": lambda: b"From: " + b"(" * 1_000_000 + b"\n\nx",
    "a million < in From": lambda: b"From: " + b"<" * 1_000_000 + b"\n\nx",
    "quoted pairs in From": lambda: b'From: "' + b'\\"' * 500_000 + b"<a@b.example>\n\nx",
    "blanks in From": lambda: b"From: a" + b" " * 3_900 + b"(\n\nx",
    "16 headers of recipients": lambda: (b"To: " + b"(<," * 1_300 + b"\n") * 500 + b"\nx",
    "a million recipients": lambda: b"To: " + b"a@b.example, " * 80_000 + b"\n\nx",
    "20,000 parameters": lambda: b"Content-Type: text/plain" + b"; a=b" * 20_000 + b"\n\nx",
    "parameters in pieces": lambda: (
        b"Content-Type: text/plain"
        + b"".join(b"; name*%d*=%%41" % n for n in range(999))
        + b"\n\nx"
    ),
    "open quotes": lambda: b'Content-Type: text/plain; name="' + b"a" * 60_000 + b"\n\nx",
    "30,000 envelope lines": lambda: b"From a@b.example Sun Nov 28 21:36:46 2004\n" * 30_000,
    "slow envelope lines": lambda: (
        (b"From " + b"a" * 230 + b"00:00" + b"b" * 80 + b"\n") * 3_000 + b"Subject: x\n\nx"
    ),
    # charsets and transfer encodings
    "unknown charset": lambda: _part(b"text/plain; charset=no-such", b"\xff\xfe" * 500_000),
    "10,000 unknown charsets": lambda: (
        b"".join(b"To: =?y%d?q?a?=@b.example\n" % n for n in range(2_500)) + b"\nx"
    ),
    "lying utf-7": lambda: _part(b"text/plain; charset=utf-7", b"\xff+2AA-" * 150_000),
    "lying utf-16": lambda: _part(b"text/plain; charset=utf-16", b"\xd8\x00" * 500_000),
    "lying utf-8": lambda: _part(b"text/plain; charset=utf-8", b"\xe4 " * 500_000),
    "combining marks out of order": lambda: _part(
        b"text/plain; charset=utf-8", ("a" + "\u0315" * 12_000 + "\u0300" * 12_000).encode() * 8
    ),
    "escapes of iso-2022-jp": lambda: _part(
        b"text/plain; charset=iso-2022-jp", b"\x1b$B" * 350_000
    ),
    "unicode_escape": lambda: _part(b"text/plain; charset=unicode_escape", b"\\N{SPACE}" * 100_000),
    "punycode": lambda: _part(
        b"text/plain; charset=punycode", b"a" * 20_000 + b"-" + b"z" * 20_000
    ),
    "broken base64": lambda: _part(b"text/plain", b"=a=b==c!" * 1000, b"base64"),
    "base64 and junk": lambda: _part(b"text/plain", b"A!" * 500_000, b"base64"),
    "base64 of tags": lambda: _part(b"text/html", b64encode(b"<b>" * 250_000), b"base64"),
    "soft line breaks": lambda: _part(b"text/html", b"=\n" * 500_000, b"quoted-printable"),
    "blanks in quoted-printable": lambda: _part(b"text/plain", b" " * _MIB, b"quoted-printable"),
    "a zip bomb in base64": lambda: _parts(
        40, _part(b"application/gzip", b64encode(zlib.compress(b"\0" * 10_000_000)), b"base64")
    ),
    "references that grow": lambda: _html(b"&NotEqualTilde;" * 70_000),
    "a reference of 200,000 digits": lambda: _html(b"&#" + b"9" * 190_000 + b"; &#x41;"),
    # HTML
    "a million tags": lambda: _html(b"<b>" * 1_000_000),
    "a million <": lambda: _html(b"<" * 1_000_000),
    "a million links": lambda: _html(b"<a href=//x.example>y</a>" * 1_000_000),
    "a million links in text": lambda: b"Subject: x\n\n" + b"http://x.example/ " * 1_000_000,
    "one long link": lambda: b"Subject: x\n\nhttp://" + b"a" * _MIB,
    "comments that do not end": lambda: _html(b"<!--" * 200_000),
    "comments that nearly end": lambda: _html(b"<!--" + b"--!-" * 200_000),
    "styles that do not end": lambda: _html(b"<style>" * 100_000),
    "styles that nearly end": lambda: _html(b"<style>" + b"</styl" * 100_000),
    "attributes that do not end": lambda: _html(b'<a href="x' * 90_000),
    "quotes that do not end": lambda: _html(b"<a x='\"" * 90_000),
    "hiding divs": lambda: _html(b"<div style='display:none'>" * 40_000),
    "end tags of nothing": lambda: _html(b"<div>" * 4_000 + b"</p></b>" * 20_000),
    "paragraphs in hidden cells": lambda: _html(b"<td hidden>" + b"<b><p>" * 30_000),
    "styles of blanks": lambda: _html(b"<p style='" + b"font-size: " * 18_000 + b"'>"),
    "styles of digits": lambda: _html(b"<p style='font-size:1." + b"1" * 190_000 + b"'>"),
    "10,000 styles": lambda: _html(b"".join(b"<b style='width:0;z:%d'>" % n for n in range(9_000))),
}


def peaks() -> dict[str, int]:
    """Return the most bytes that were held beyond the message and the model, for each message."""
    from winnow.pipeline import Filter  # what it holds is the base

    answering = Filter.open()
    answering.check(b"Subject: x\n\nhello")
    found = {}
    tracemalloc.start()
    for name, make in HOSTILE.items():
        raw = make()
        base, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        answering.check(raw)
        found[name] = tracemalloc.get_traced_memory()[1] - base
    return found


if __name__ == "__main__":
    print(json.dumps(peaks()))
