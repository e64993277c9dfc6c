"""Mail -> the same mail, written around a filter: what spammers do, done to labelled mail.

Each evasion keeps who sent the message and what it asks for, and changes how that is written. With
them training learns not to be fooled, and `winnow evaluate --evasions` measures how much is missed.
"""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from winnow.mail import parse
from winnow.message import Message, strip_envelope_line

_HEADERS_REPLACED = re.compile(
    rb"(?im)^(?:subject|content-[a-z-]+|mime-version)[ \t]*:[^\n]*\n(?:[ \t][^\n]*\n)*"
)
_WORD = re.compile(r"[^\W\d_]{4,}")
_MOST_CHARS = 20_000
_MOST_SUBJECT_BYTES = 2_900  # in base64 they fit into what `mail` reads of one header
_LINKS = 5

_TWINS = str.maketrans("aceopxyiABCEHKMOPTX", "асеорхуіАВСЕНКМОРТХ")  # noqa: RUF001
_INVISIBLE = "\u200b\u200c\u200d\u2060\u00ad"
_PIXEL = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(600)).decode()

Random = np.random.Generator


@dataclass(frozen=True, slots=True)
class _Body:
    """What is sent: a subject, parts of a body and their MIME headers."""

    subject: str
    content: str
    headers: str = "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n"


def evade(raw: bytes, name: str, random: Random, good: Sequence[str]) -> bytes:
    """Write a message anew.

    Args:
        raw: the message.
        name: one of EVASIONS.
        random: chance.
        good: texts of ham, from which innocent words are taken.
    """
    message = parse(raw)
    body = EVASIONS[name](message, random, good)
    # Not up to a blank line: text may follow the fields without one, as in the Enron corpus.
    head = strip_envelope_line(raw)[: message.body_start].replace(b"\r\n", b"\n").strip(b"\n")
    kept = _HEADERS_REPLACED.sub(b"", head + b"\n") if head else b""
    encoded = body.subject.encode("utf-8", "replace")[:_MOST_SUBJECT_BYTES]
    subject = base64.b64encode(encoded).decode()
    lines = f"Subject: =?utf-8?b?{subject}?=\nMIME-Version: 1.0\n{body.headers}\n{body.content}\n"
    return kept + lines.encode("utf-8", "replace")


def _text(message: Message) -> str:
    """What the message says, and where it leads."""
    text = message.text[:_MOST_CHARS]
    links = [link.url for link in message.links[:_LINKS] if link.url not in text]
    return "\n".join([text, *links])


def _each_word(text: str, random: Random, share: float, change: Callable[[str], str]) -> str:
    """Change a share of the words, but none of links."""

    def changed(found: re.Match[str]) -> str:
        return change(found[0]) if random.random() < share else found[0]

    lines = text.split("\n")
    return "\n".join(line if "://" in line else _WORD.sub(changed, line) for line in lines)


def _spacing(message: Message, random: Random, good: Sequence[str]) -> _Body:
    """A third of the words, letter by letter: "v i a g r a"."""
    sign = str(random.choice([" ", ".", "-", "_"]))

    def both(text: str) -> str:
        return _each_word(text, random, 0.35, sign.join)

    return _Body(both(message.subject), both(_text(message)))


def _homoglyphs(message: Message, random: Random, good: Sequence[str]) -> _Body:
    """Letters of other alphabets that look the same, in half of the words."""

    def both(text: str) -> str:
        return _each_word(text, random, 0.5, lambda word: word.translate(_TWINS))

    return _Body(both(message.subject), both(_text(message)))


def _zero_width(message: Message, random: Random, good: Sequence[str]) -> _Body:
    """Signs that nobody sees, inside half of the words."""

    def split(word: str) -> str:
        at = int(random.integers(1, len(word)))
        return word[:at] + _INVISIBLE[int(random.integers(len(_INVISIBLE)))] + word[at:]

    def both(text: str) -> str:
        return _each_word(text, random, 0.5, split)

    return _Body(both(message.subject), both(_text(message)))


def _html_tricks(message: Message, random: Random, good: Sequence[str]) -> _Body:
    """Words cut by comments and empty tags, and innocent words that are not shown."""
    cuts = ("<!-- x -->", "<b></b>", "<span style='font-size:0'>q</span>", "&#8203;")

    def split(word: str) -> str:
        at = int(random.integers(1, len(word)))
        return word[:at] + cuts[int(random.integers(len(cuts)))] + word[at:]

    shown = _each_word(html.escape(_text(message), quote=False), random, 0.4, split)
    hidden = html.escape(_innocent(good, random, 60), quote=False)
    links = "".join(
        f'<a href="{html.escape(link.url)}">here</a>' for link in message.links[:_LINKS]
    )
    content = (
        f'<html><body><div style="display:none">{hidden}</div>'
        f"<p>{shown.replace(chr(10), '<br>')}</p>{links}</body></html>"
    )
    return _Body(message.subject, content, "Content-Type: text/html; charset=utf-8\n")


def _good_words(message: Message, random: Random, good: Sequence[str]) -> _Body:
    """Innocent text below the message, as long as the message again and more."""
    count = max(80, min(600, len(message.text.split()) * 3 // 2))
    return _Body(message.subject, f"{_text(message)}\n\n\n{_innocent(good, random, count)}")


def _base64(message: Message, random: Random, good: Sequence[str]) -> _Body:
    """The text is there, but not for who reads bytes."""
    content = base64.encodebytes(_text(message).encode("utf-8", "replace")).decode()
    return _Body(
        message.subject,
        content,
        "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n",
    )


def _image_only(message: Message, random: Random, good: Sequence[str]) -> _Body:
    """A picture says it all; what is left is subject, sender and link."""
    url = html.escape(message.links[0].url) if message.links else "http://203.0.113.9/go"
    content = (
        '--b\nContent-Type: text/html; charset=utf-8\n\n<html><body><a href="'
        f'{url}"><img src="cid:1"></a></body></html>\n--b\nContent-Type: image/png\n'
        f"Content-ID: <1>\nContent-Transfer-Encoding: base64\n\n{_PIXEL}\n--b--\n"
    )
    return _Body(message.subject, content, 'Content-Type: multipart/related; boundary="b"\n')


def _innocent(good: Sequence[str], random: Random, count: int) -> str:
    """Words of ham, in their order."""
    words: list[str] = []
    while good and len(words) < count:
        taken = good[int(random.integers(len(good)))].split()
        start = int(random.integers(max(1, len(taken) - count)))
        words += taken[start : start + count] or ["thanks"]
    return " ".join(words[:count])


EVASIONS: dict[str, Callable[[Message, Random, Sequence[str]], _Body]] = {
    "spacing": _spacing,
    "homoglyphs": _homoglyphs,
    "zero-width": _zero_width,
    "html-tricks": _html_tricks,
    "good-words": _good_words,
    "base64": _base64,
    "image-only": _image_only,
}
