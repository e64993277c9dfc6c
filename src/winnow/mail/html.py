"""HTML source -> what a reader sees, what a reader does not see, links and marks.

One forward pass over the tags, no tree: cost is linear in the source whatever it holds, because
every search starts where the last one ended. Mail's HTML is not a page: layout is irrelevant,
only order, visibility and links matter.
"""

from __future__ import annotations

import html as entities
import re
from dataclasses import dataclass, field

from winnow.mail.limits import Limits
from winnow.message import Link

_TAG = re.compile(r"<(?:(!--)|(/?)([a-zA-Z][a-zA-Z0-9:]{0,20})([^>]*)>?|[!?][^>]*>?)")
_BLOCK = frozenset(
    [
        "address",
        "article",
        "blockquote",
        "body",
        "br",
        "center",
        "dd",
        "div",
        "dl",
        "dt",
        "footer",
        "form",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "header",
        "hr",
        "html",
        "li",
        "ol",
        "option",
        "p",
        "pre",
        "section",
        "select",
        "table",
        "tbody",
        "thead",
        "tr",
        "ul",
        "title",
    ]
)
_CELL = frozenset({"td", "th", "img", "input", "label", "button"})
_VOID = frozenset(
    [
        "area",
        "base",
        "br",
        "col",
        "embed",
        "hr",
        "img",
        "input",
        "link",
        "meta",
        "source",
        "track",
        "wbr",
    ]
)
_DROPPED = frozenset({"style", "script", "noscript", "textarea", "xml", "svg"})
_HIDING = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|mso-hide\s*:\s*all|opacity\s*:\s*0(?![.\d])"
    r"|font-size\s*:\s*[0-2](?:\.\d+)?\s*(?:px|pt|em|%|;|\"|'|$)"
    r"|max-(?:height|width)\s*:\s*0(?![.\d])|\bhidden\s*(?:=|>|$)|size\s*=\s*[\"']?0\b",
    re.IGNORECASE,
)
_FONT_SIZE_EM = re.compile(r"font-size\s*:\s*[12](?:\.\d+)?\s*em", re.IGNORECASE)
_URL = re.compile(r"(?:href|action)\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s>]+))", re.IGNORECASE)
_HOST = re.compile(r"^[a-zA-Z][a-zA-Z0-9+.\-]{0,20}:/{0,3}(?:[^/?#@\s]*@)?([^/?#:\s]+)")
_MARKED_TAGS = {
    "form": "html form",
    "iframe": "iframe",
    "script": "script",
    "map": "image map",
    "base": "base href",
    "object": "embedded object",
    "input": "html form",
}
_ANCHOR_CHARS = 300


@dataclass(slots=True)
class HtmlText:
    """What one HTML part holds.

    Attributes:
        text: visible text.
        hidden: text that no reader sees.
        links: links with their visible text.
        marks: facts of structure.
        images: number of images.
    """

    text: str = ""
    hidden: str = ""
    links: list[Link] = field(default_factory=list)
    marks: set[str] = field(default_factory=set)
    images: int = 0


def host_of(url: str) -> str:
    """Return the lower-cased host of a URL, or "" (relative, mailto, malformed)."""
    match = _HOST.match(url)
    if match is None or url[:7].lower() in ("mailto:", "cid:") or url[:4].lower() == "tel:":
        return ""
    return match[1].lower().strip(".")[:255]


def read_html(source: str, limits: Limits) -> HtmlText:
    """Read one HTML part; see the module's docstring for what is promised."""
    reader = _Reader(source[: limits.html_chars], limits)
    reader.run()
    result = reader.result
    result.text = entities.unescape("".join(reader.shown))
    result.hidden = entities.unescape("".join(reader.unseen))
    if len(source) > limits.html_chars:
        result.marks.add("long html")
    return result


class _Reader:
    """State of one pass: where we are, and whether a hiding element is open."""

    def __init__(self, source: str, limits: Limits) -> None:
        self.source = source
        self.limits = limits
        self.lower = source.lower()
        self.result = HtmlText()
        self.shown: list[str] = []
        self.unseen: list[str] = []
        self.hiding_tag = ""
        self.hiding_depth = 0

    def run(self) -> None:
        source, position = self.source, 0
        search = _TAG.search
        for _ in range(self.limits.tags):
            match = search(source, position)
            if match is None:
                break
            out = self.unseen if self.hiding_tag else self.shown
            if match.start() > position:
                out.append(source[position : match.start()])
            position = self._tag(match)
        else:
            self.result.marks.add("too many tags")
            return
        (self.unseen if self.hiding_tag else self.shown).append(source[position:])

    def _tag(self, match: re.Match[str]) -> int:
        """Take one tag; return where the text after it begins."""
        comment, closing, raw_name, attributes = match.groups()
        if comment:
            end = self.source.find("-->", match.end())
            return len(self.source) if end < 0 else end + 3
        if raw_name is None:
            return match.end()
        name = raw_name.lower()
        if name in _BLOCK:
            (self.unseen if self.hiding_tag else self.shown).append("\n")
        elif name in _CELL:
            (self.unseen if self.hiding_tag else self.shown).append(" ")
        if self.hiding_tag:
            self._count_depth(name, closing)
        if closing:
            return match.end()
        if name in _DROPPED:
            if name in _MARKED_TAGS:
                self.result.marks.add(_MARKED_TAGS[name])
            end = self.lower.find("</" + name, match.end())
            return len(self.source) if end < 0 else end
        self._open(name, attributes, match.end())
        return match.end()

    def _count_depth(self, name: str, closing: str) -> None:
        if name == self.hiding_tag:
            self.hiding_depth += -1 if closing else 1
            if self.hiding_depth == 0:
                self.hiding_tag = ""

    def _open(self, name: str, attributes: str, end: int) -> None:
        if name == "a" or name == "form" or name == "area":
            self._link(name, attributes, end)
        elif name == "img":
            self.result.images += 1
        if name in _MARKED_TAGS:
            self.result.marks.add(_MARKED_TAGS[name])
        if (
            attributes
            and not self.hiding_tag
            and name not in _VOID
            and name != "body"
            and _HIDING.search(attributes)
            and not _FONT_SIZE_EM.search(attributes)
        ):
            self.hiding_tag, self.hiding_depth = name, 1

    def _link(self, name: str, attributes: str, end: int) -> None:
        match = _URL.search(attributes)
        if match is None or len(self.result.links) >= self.limits.links:
            return
        url = entities.unescape(match[1] or match[2] or match[3] or "").strip()[:2000]
        text = ""
        if name == "a":
            close = self.lower.find("</a", end, end + _ANCHOR_CHARS)
            inner = self.source[end : close if close >= 0 else end + _ANCHOR_CHARS]
            text = entities.unescape(_TAG.sub(" ", inner)).strip()
        if url and url[0] != "#":
            self.result.links.append(Link(url, host_of(url), text))
