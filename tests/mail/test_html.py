"""HTML is read as its reader sees it: what is shown, what is not, and where links lead."""

from __future__ import annotations

import html
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import html_bodies, words
from winnow.mail.html import host_of, read_html, unescape
from winnow.mail.limits import Limits

LIMITS = Limits()
HIDE = "<div style='display:none'>"


def seen(source: str) -> tuple[str, str]:
    """The visible and the hidden words."""
    found = read_html(source, LIMITS)
    return " ".join(found.text.split()), " ".join(found.hidden.split())


class _Oracle(HTMLParser):
    """The standard library's reader of tags, which knows no hidden text."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self.skipped = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.skipped += tag == "style"

    def handle_endtag(self, tag: str) -> None:
        self.skipped -= tag == "style"

    def handle_data(self, data: str) -> None:
        self.words += [] if self.skipped else data.split()


@given(html_bodies())
def test_no_word_is_lost_or_made_up(source: str) -> None:
    """An independent parser finds the same words, taken both kinds together."""
    oracle = _Oracle()
    oracle.feed(source)
    oracle.close()
    found = read_html(source, LIMITS)
    assert sorted(found.text.split() + found.hidden.split()) == sorted(oracle.words)


@given(words(1, 8), words(1, 8), words(1, 8))
def test_text_is_parted_at_a_hidden_element(before: str, within: str, after: str) -> None:
    """Hidden text never mixes with what is read before and after it."""
    before, within, after = (html.escape(text) for text in (before, within, after))
    shown, hidden = seen(f"<p>{before}</p>{HIDE}<b>{within}</b></div><p>{after}</p>")
    assert shown == html.unescape(f"{before} {after}")
    assert hidden == html.unescape(within)


@pytest.mark.parametrize(
    ("source", "shown", "hidden"),
    [
        # tags, comments and what is no text
        ('a<img alt="x>y">b', "a b", ""),
        ("<p title='>' style=\"display:none\">h</p>s", "s", "h"),
        ("<p title=don't>s</p>", "s", ""),
        ("a < b <3 c", "a < b <3 c", ""),
        ("a</ bogus>b</>c<?x y>d<!DOCTYPE z>e", "abcde", ""),
        ("a<!-- x -- y > z -->b", "ab", ""),
        ("a<!-->b<!-- c -->d", "abd", ""),
        ("a<!--->b", "ab", ""),
        ("a<!-- x --!>b<!-- c -->", "ab", ""),
        ("a<!-- open", "a", ""),
        ("a<b", "a", ""),
        ("<STYLE>x</b></STYLE >s", "s", ""),
        ("<script>'</p>' < x</script>s", "s", ""),
        ("<title>x</title>s", "s", ""),
        ("<iframe>x</iframe>s<template><p>y</template>", "s", ""),
        ("<styles>s</styles>", "s", ""),
        ("\u0130\u0130\u0130<style>x</style>s", "\u0130\u0130\u0130s", ""),
        ("<noscript>s</noscript><xml>t</xml><textarea>u</textarea>", "stu", ""),
        # the space that layout makes
        ("a<b>b</b>c", "abc", ""),
        ("a<br>b<td>c<p>d", "a b c d", ""),
        # character references
        ("&lt;b&gt; &#65;&#x42; &amp;amp; &bogus;", "<b> AB &amp; &bogus;", ""),
        # how long hidden elements last
        (f"{HIDE}h<div>i</div>j</div>s", "s", "h i j"),
        (f"{HIDE}h", "", "h"),
        ("<p hidden>h<p>s", "s", "h"),
        ("<p hidden>h<b>i<div>s</div>", "s", "hi"),
        ("<ul><li hidden>h<li>s</ul>", "s", "h"),
        ("<ul><li hidden>h<ul><li>i</ul>j</ul>s", "s", "h i j"),
        ("<table><tr><td hidden>h<td>s</table>", "s", "h"),
        ("<table><tr><td hidden>h<table><td>i</table>j</td><td>s", "s", "h i j"),
        (f"<td>{HIDE}h</td><td>s", "s", "h"),
        (f"<td>{HIDE}h</b></p></td>s", "s", "h"),
        (f"{HIDE}h</td></table></section>i</div>s", "s", "h i"),
        (f"<b>{HIDE}h</b>i</div>s", "s", "hi"),
        (f"<div><td>{HIDE}h<table><td></div>i</table>j</div>s", "s", "h i j"),
        ("<img hidden>s<br hidden>t", "s t", ""),
        ("<body style='display:none'>s", "s", ""),
        # what undoes hiding and what does not
        ("<td style='font-size:0'>h<b style='font-size:14px'>s</b>i</td>t", "st", "hi"),
        ("<td style='font-size:0'>h<font size=2>s</font>i", "s", "hi"),
        (f"{HIDE}h<b style='font-size:14px'>i</b>", "", "hi"),
        ("<p style='color:#fff;background:#fff'>h<a style='color:red'>s</a>", "s", "h"),
    ],
)
def test_what_a_reader_sees(source: str, shown: str, hidden: str) -> None:
    """Each line is a way in which a filter and a reader could see two different messages."""
    assert seen(source) == (shown, hidden)


@pytest.mark.parametrize(
    ("source", "url", "host", "text"),
    [
        ("<a href='http://A.example/x'>go</a>", "http://A.example/x", "a.example", "go"),
        ("<A HREF=http://a.example>x", "http://a.example", "a.example", "x"),
        ("<a data-href=http://b.example href=//a.example>x</a>", "//a.example", "a.example", "x"),
        ("<a title=' href=//b.example' href='//a.example'></a>", "//a.example", "a.example", ""),
        ("<a href='ht\ntp://a.ex\tample'>x</a>", "http://a.example", "a.example", "x"),
        ("<a href=' http://a.example?a&amp;b '>x</a>", "http://a.example?a&b", "a.example", "x"),
        (
            "<a href=//a.example>w<b>ww.</b><img>b.example</a>",
            "//a.example",
            "a.example",
            "www. b.example",
        ),
        ("<a href=//a.example>x<a>y</a>", "//a.example", "a.example", "x"),
        (f"{HIDE}<a href=//a.example>x</a>", "//a.example", "a.example", "x"),
        ("<form action=//a.example>", "//a.example", "a.example", ""),
        ("<area href=//a.example>", "//a.example", "a.example", ""),
        ("<a href=/page>x</a>", "/page", "", "x"),
    ],
)
def test_links_as_a_browser_takes_them(source: str, url: str, host: str, text: str) -> None:
    """Where a link leads, and what its reader sees in its place."""
    (link,) = read_html(source, LIMITS).links
    assert (link.url, link.host, link.text) == (url, host, text)


@pytest.mark.parametrize("source", ["<a>x</a>", "<a href=''>x", "<a href=#top>x", "<b href=//a>"])
def test_what_is_no_link(source: str) -> None:
    """Anchors within the message and empty targets lead nowhere."""
    assert read_html(source, LIMITS).links == []


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://A.B.example:80/x@y", "a.b.example"),
        ("http://bank.example@evil.example/", "evil.example"),
        ("http://a@b@evil.example", "evil.example"),
        ("http:\\\\evil.example\\x", "evil.example"),
        ("http:/\\evil.example", "evil.example"),
        ("http:evil.example", "evil.example"),
        ("//evil.example", "evil.example"),
        ("http://%65vil.example", "evil.example"),
        ("http://[::1]:8/x", "[::1]"),
        ("http://evil.example.", "evil.example"),
        ("http://evil.example?a/b", "evil.example"),
        ("ftp://a.example", "a.example"),
        ("mailto:a@b.example", ""),
        ("tel:123", ""),
        ("cid:a@b.example", ""),
        ("javascript:alert(1)", ""),
        ("data:text/html,x", ""),
        ("page.html", ""),
        ("http://", ""),
        ("", ""),
    ],
)
def test_hosts_as_a_browser_takes_them(url: str, host: str) -> None:
    """The host that is asked, not the one that is shown before an "@" or behind a "%"."""
    assert host_of(url) == host


def test_marks_and_images() -> None:
    """Facts of structure, each of them once, whatever the case of the tags."""
    found = read_html(
        "<FORM><input><iframe></iframe><script></script><map><object><img><IMG>", LIMITS
    )
    assert found.marks == {"html form", "iframe", "script", "image map", "embedded object"}
    assert found.images == 2
    assert read_html("<base href=//a.example>", LIMITS).marks == {"base href"}
    assert read_html("<p>x</p>", LIMITS).marks == set()


def test_bounds_are_marked_and_what_is_before_them_is_read() -> None:
    """Text before the limit of source, tags or links counts, markup after it does not."""
    small = Limits(html_chars=40, tags=3, links=2)
    found = read_html("<b>a</b><i>b</i>c<u>d", small)
    assert (found.text, found.marks) == ("ab", {"too many tags"})
    assert read_html("<b>a</b><i>b", small).marks == set()
    found = read_html("a" * 50, small)
    assert (found.text, found.marks) == ("a" * 40, {"long html"})
    found = read_html("<a href=//a>" * 3, small)
    assert (len(found.links), found.marks) == (2, {"too many links"})


def test_absurd_references_do_not_raise() -> None:
    """Python refuses to read numbers of more than 4,300 digits; a sender must not reach that."""
    assert unescape("&#" + "9" * 5000 + "; &#65;") == "\ufffd A"
    assert unescape("&#xD800;&#0;&#x110000;") == "\ufffd" * 3
    assert unescape("no reference") == "no reference"


TOKENS = (
    *("<b", "<p hidden", "<div style='font-size:0'", "<td", ">", "</td>", "</div>", "</p>", "<!--"),
    *(
        "-->",
        "--!>",
        "<style>",
        "</style>",
        "<a href=",
        "'",
        '"',
        "=",
        "//a.example",
        " ",
        "x",
        "&#65;",
    ),
)


@given(st.lists(st.sampled_from(TOKENS), max_size=60).map("".join))
def test_any_source_is_read(source: str) -> None:
    """Tags broken in any way: no exception, and no text that is not in the source."""
    found = read_html(source, LIMITS)
    assert set(found.text + found.hidden) <= set(source) | set("\n A")
    assert len(found.text) + len(found.hidden) <= 2 * len(source) + 2
