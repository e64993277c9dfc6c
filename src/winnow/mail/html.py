"""HTML source -> what a reader sees, what a reader does not see, links and marks.

One cut at the tags, then one walk over the pieces with a stack of open elements: as much of
HTML's parsing rules (WHATWG, 13.2) as decides which text is shown. Cost is linear in the source
whatever it holds: the pattern never goes back, and searches down the stack have a budget.
"""

from __future__ import annotations

import html as entities
import re
from dataclasses import dataclass, field

from winnow.mail.limits import Limits
from winnow.mail.visibility import ATTRIBUTE, NO_EFFECT, SHOWN, Effect, effect_of, under
from winnow.message import Link

# An attribute's value may hold ">" in quotes; a quote that is not after "=" means nothing.
_ATTRIBUTES = r"(?>(?:[^>=]++|=\s*+(?>(?:\"[^\"]*+\"|'[^']*+')?))*)"
# Elements whose content is no text of the page; it ends at their own end tag only. (A reader's
# program runs no scripts, so what <noscript> holds is shown.)
_UNSHOWN = (
    r"[sS](?:[tT][yY][lL][eE]|[cC][rR][iI][pP][tT])|[tT][iI][tT][lL][eE]|[iI][fF][rR][aA][mM][eE]"
    r"|[nN][oO](?:[eE][mM][bB][eE][dD]|[fF][rR][aA][mM][eE][sS])|[tT][eE][mM][pP][lL][aA][tT][eE]"
)
_TAG = re.compile(
    r"<(?:"
    # "<!-->" is a whole comment, and "--!>" ends one too
    r"!--(?:-?>|[^-]*+(?>(?:-(?!-!?>)[^-]*+)*)(?>(?:--!?>)?))"
    rf"|({_UNSHOWN})(?=[\s/>]){_ATTRIBUTES}>?+[^<]*+(?>(?:<(?!/(?i:\1)[\s/>])[^<]*+)*)"
    rf"|(/?)([a-zA-Z][^\s/>]{{0,30}}+)({_ATTRIBUTES})>?+"
    r"|[!?/][^>]*+>?+)"
)
_GROUPS = 4
_HOST = re.compile(
    r"(?:(?:https?|ftp):[/\\]*+|(?>(?:[a-z][a-z0-9+.\-]{0,20}:)?)(?://|\\\\|/\\|\\/))"
    r"(?:[^/\\?#\s]*@)?(\[[^\]/]*+\]|[^/\\?#:\s]++)",
    re.IGNORECASE,
)
_PERCENT = re.compile(r"%([0-7][0-9a-fA-F])")
# int() refuses more than 4,300 digits (CPython, "integer string conversion length limitation").
_ABSURD_NUMBER = re.compile(r"&#[xX]?[0-9a-fA-F]{100,};?")

_BLOCKS = (
    *("address", "article", "blockquote", "body", "br", "center", "dd", "div", "dl", "dt"),
    *("footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "html", "li", "ol"),
    *("option", "p", "pre", "section", "select", "table", "tbody", "thead", "tr", "ul"),
)
_CELLS = ("td", "th", "img", "input", "label", "button")
_VOID = frozenset(
    ("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source")
) | {"track", "wbr"}
_LINKING = frozenset(("a", "form", "area"))
_MARKS = {
    "form": "html form",
    "iframe": "iframe",
    "script": "script",
    "map": "image map",
    "base": "base href",
    "object": "embedded object",
    "input": "html form",
}
_ANCHOR_CHARS = 300
_ANCHOR_PIECES = 100

# Which open elements a tag ends without an end tag of their own (13.1.2.4), and which elements
# the search for them does not leave.
_TABLE = frozenset(("table",))
_CELL_ENDS = (frozenset(("td", "th")), frozenset(("table", "tr")))
_ENDS = {
    "li": (frozenset(("li",)), frozenset(("ul", "ol", "table"))),
    "dd": (frozenset(("dd", "dt")), frozenset(("dl", "table"))),
    "dt": (frozenset(("dd", "dt")), frozenset(("dl", "table"))),
    "option": (frozenset(("option",)), frozenset(("select", "table"))),
    "td": _CELL_ENDS,
    "th": _CELL_ENDS,
    "tr": (frozenset(("tr",)), _TABLE),
} | dict.fromkeys(
    set(_BLOCKS) - {"li", "dd", "dt", "option", "tr", "tbody", "thead", "br", "body", "html"},
    (frozenset(("p",)), frozenset(("td", "th", "table", "button", "object"))),
)
_TABLE_PARTS = frozenset(("td", "th", "tr", "tbody", "thead", "tfoot"))
_CELL_WALLS = frozenset(("td", "th", "table", "caption"))
_INLINE_WALLS = frozenset((*_BLOCKS, "td", "th"))
_NO_WALLS: frozenset[str] = frozenset()
_SEARCH_STEPS = 50_000


def _walls(name: str) -> frozenset[str]:
    """Elements out of which an end tag does not reach."""
    if name in _TABLE_PARTS:
        return _TABLE
    if name in ("table", "body", "html"):
        return _NO_WALLS
    return _CELL_WALLS if name in _BLOCKS else _INLINE_WALLS


def _known_names() -> dict[str, tuple[str, str, bool]]:
    """Name as written -> lower-case name, what stands for the tag in the text, special."""
    special = _LINKING | _VOID | set(_MARKS)
    table = {}
    for name in {*_BLOCKS, *_CELLS, *special, "b", "font", "i", "span", "strong", "u"}:
        gap = "\n" if name in _BLOCKS else " " if name in _CELLS else ""
        table[name] = table[name.upper()] = (name, gap, name in special)
    return table


_NAMES = _known_names()


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


def unescape(text: str) -> str:
    """Replace character references; absurd ones become the replacement sign."""
    if "&" not in text:
        return text
    try:
        return entities.unescape(text)
    except ValueError:
        return entities.unescape(_ABSURD_NUMBER.sub("\ufffd", text))


def host_of(url: str) -> str:
    """Return the lower-cased host that a browser would go to, or "" (relative, mailto, none)."""
    match = _HOST.match(url)
    if match is None:
        return ""
    host = match[1][:255]
    if "%" in host:
        host = _PERCENT.sub(lambda code: chr(int(code[1], 16)), host)
    return host.lower().strip(".")


def read_html(source: str, limits: Limits) -> HtmlText:
    """Read one HTML part; see the module's docstring for what is promised."""
    pieces = _TAG.split(source[: limits.html_chars], limits.tags)
    reader = _Reader(limits)
    reader.run(pieces)
    result = reader.result
    result.text = unescape("".join(reader.shown))
    result.hidden = unescape("".join(reader.unseen))
    if len(source) > limits.html_chars:
        result.marks.add("long html")
    return result


class _Reader:
    """State of one walk: the open elements, and from which of them on text is hidden or shown."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.result = HtmlText()
        self.shown: list[str] = []
        self.unseen: list[str] = []
        self.out = self.shown
        self.open: list[str] = []
        self.turns: list[tuple[int, Effect]] = []  # depth of the element, what holds within
        self.effects: dict[str, Effect] = {}
        self.steps_left = _SEARCH_STEPS
        self.anchor: tuple[int, list[str], int] | None = None  # link, list, first piece

    def run(self, pieces: list[str]) -> None:
        """Walk over the pieces of the source: text, then four groups of a tag, text, and so on."""
        if len(pieces) > self.limits.tags * (_GROUPS + 1):
            rest = _TAG.search(pieces[-1])
            if rest is not None:
                self.result.marks.add("too many tags")
                pieces[-1] = pieces[-1][: rest.start()]
        stack, names = self.open, _NAMES
        rest_of = iter(pieces)
        self.out.append(next(rest_of))
        for unshown, closing, written, attributes, text in zip(*[rest_of] * 5, strict=True):
            if written is not None:
                name, gap, special = names.get(written) or (written.lower(), "", False)
                if gap:
                    self.out.append(gap)
                if closing:
                    if stack and stack[-1] == name:
                        stack.pop()
                    else:
                        self._close(name, _walls(name))
                    if self.turns:
                        self._turn_back()
                    if name == "a":
                        self._end_anchor()
                else:
                    if self.turns and name in _ENDS:
                        self._end_implied(name)
                    if special:
                        self._special(name, attributes)
                    if name not in _VOID:
                        stack.append(name)
                        if attributes:
                            self._style(name, attributes)
            elif unshown is not None:
                self._mark(unshown.lower())
            if text:
                self.out.append(text)
        self._end_anchor()

    def _find_open(self, wanted: frozenset[str], walls: frozenset[str]) -> int:
        """Depth of the innermost open element of these names, or -1."""
        stack = self.open
        for depth in range(len(stack) - 1, -1, -1):
            self.steps_left -= 1
            name = stack[depth]
            if name in wanted:
                return depth
            if name in walls or self.steps_left < 0:
                break
        return -1

    def _close(self, name: str, walls: frozenset[str]) -> None:
        depth = self._find_open(frozenset((name,)), walls)
        if depth >= 0:
            del self.open[depth:]

    def _end_implied(self, name: str) -> None:
        depth = self._find_open(*_ENDS[name])
        if depth >= 0:
            del self.open[depth:]
            self._turn_back()

    def _turn_back(self) -> None:
        """Leave the turns whose elements are no longer open."""
        depth = len(self.open)
        while self.turns and self.turns[-1][0] > depth:
            self.turns.pop()
        self.out = self.unseen if self.turns and any(self.turns[-1][1]) else self.shown

    def _style(self, name: str, attributes: str) -> None:
        """Turn to hidden text, or back to shown text, where an element's attributes say so."""
        effect = self.effects.get(attributes)
        if effect is None:
            effect = self.effects[attributes] = effect_of(attributes)
        if effect is NO_EFFECT or name == "body":
            return
        now = self.turns[-1][1] if self.turns else SHOWN
        within = under(now, effect)
        if within != now:
            self.turns.append((len(self.open), within))
            self.out = self.unseen if any(within) else self.shown

    def _special(self, name: str, attributes: str) -> None:
        if name in _LINKING:
            self._link(name, attributes)
        elif name == "img":
            self.result.images += 1
        self._mark(name)

    def _mark(self, name: str) -> None:
        if name in _MARKS:
            self.result.marks.add(_MARKS[name])

    def _link(self, name: str, attributes: str) -> None:
        if name == "a":
            self._end_anchor()
        wanted = "action" if name == "form" else "href"
        url = ""
        for match in ATTRIBUTE.finditer(attributes):
            if match[1].lower() == wanted:
                url = unescape(match[2] or match[3] or match[4] or "").strip()[:2000]
                break
        if not url or url[0] == "#":
            return
        if "\n" in url or "\r" in url or "\t" in url:  # WHATWG URL 4.4 removes them
            url = url.replace("\n", "").replace("\r", "").replace("\t", "")
        if len(self.result.links) >= self.limits.links:
            self.result.marks.add("too many links")
            return
        if name == "a":
            self.anchor = len(self.result.links), self.out, len(self.out)
        self.result.links.append(Link(url, host_of(url), ""))

    def _end_anchor(self) -> None:
        """Complete the last link with what its reader sees in its place."""
        if self.anchor is None:
            return
        index, out, first = self.anchor
        self.anchor = None
        text = "".join(out[first : first + _ANCHOR_PIECES])[:_ANCHOR_CHARS]
        link = self.result.links[index]
        self.result.links[index] = Link(link.url, link.host, unescape(text).strip())
