"""A rule file's text cut into tokens, and the limits that keep reading it cheap.

`tomllib` says where a syntax error is and nothing about where a key stands; it also takes quadratic
time for a key of many dots and overflows the stack on deep brackets. The tokens serve both: `check`
refuses such texts before tomllib sees them, and `places` finds keys and values in them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

MAX_DEPTH = 16
MAX_DOTS = 16
MAX_WORD = 1000

_TOKEN = re.compile(
    r"""
      (?P<space>[ \t]+|\#[^\n]*)
    | (?P<newline>\n)
    | (?P<mark>[][{}=,.])
    | (?P<quote>\"{3}|'{3}|"|')
    | (?P<word>[^][{}=,.\s"'\#]+|[^\n])
    """,
    re.VERBOSE,
)
# How a string goes on after its opening quotes. Possessive, so that a string that does not end
# costs one pass and no memory.
_STRING_ENDS = {
    '"': re.compile(r'(?>(?:[^"\\\n]++|\\.)*)"'),
    "'": re.compile(r"[^'\n]*+'"),
    '"""': re.compile(r'(?>(?:[^"\\]++|\\.|"(?!""))*)"{3,5}', re.DOTALL),
    "'''": re.compile(r"(?>(?:[^']++|'(?!''))*)'{3,5}"),
}


class Token(NamedTuple):
    """One piece of the text; a tuple, because there may be a million.

    Attributes:
        kind: "newline", "mark" (one of []{}=,.), "string", "word" (a bare key or any other run)
            or "end".
        start: offset in the text.
        text: as written, with its quotes.
    """

    kind: str
    start: int
    text: str


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong at an offset of the text."""

    offset: int
    reason: str


def tokenize(text: str) -> tuple[list[Token], Fault | None]:
    """Cut a text into tokens, leaving out blanks and comments.

    Returns:
        The tokens, the last one of kind "end", and the fault of a string that does not end, where
        the tokens stop.
    """
    tokens: list[Token] = []
    position = 0
    fault = None
    while position < len(text) and fault is None:
        match = _TOKEN.match(text, position)
        assert match is not None, "the last alternative takes any character"
        kind, end = str(match.lastgroup), match.end()
        if kind == "quote":
            rest = _STRING_ENDS[match.group()].match(text, end)
            kind, end = "string", rest.end() if rest else end
            fault = None if rest else Fault(position, "this string does not end")
        if kind != "space" and fault is None:
            tokens.append(Token(kind, position, text[position:end]))
        position = end
    tokens.append(Token("end", len(text), ""))
    return tokens, fault


def check(tokens: list[Token]) -> Fault | None:
    """Return the first thing that would make a text too costly to read."""
    depth = dots = 0
    for token in tokens:
        if token.kind == "word" and len(token.text) > MAX_WORD:
            return Fault(token.start, f"a word has at most {MAX_WORD:,} characters")
        if token.kind in ("word", "string"):
            continue
        dots = dots + 1 if token.text == "." else 0
        depth += (token.text in ("[", "{")) - (token.text in ("]", "}"))
        if dots > MAX_DOTS:
            return Fault(token.start, f"a key has at most {MAX_DOTS} dots")
        if depth > MAX_DEPTH:
            return Fault(token.start, f"brackets nest at most {MAX_DEPTH} deep")
    return None


def unclosed(tokens: list[Token]) -> int | None:
    """Return the offset of the innermost bracket that is open at the end."""
    opened: list[int] = []
    for token in tokens:
        if token.kind == "mark" and token.text in "[{":
            opened.append(token.start)
        elif token.kind == "mark" and token.text in "]}" and opened:
            opened.pop()
    return opened[-1] if opened else None
