"""Message -> traits: small facts of form that mean the same at every site.

A trait is a short English phrase; it is the feature's name, its hash key and what a reader is
shown as a reason. Only categories enter, never the text of a header, so that nothing here can
name a site, a person or a corpus (DESIGN section 2).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from winnow.features.domains import (
    hosting_class,
    is_free_mail,
    organisation,
    shape_traits,
    top_level_class,
)
from winnow.features.text import FAR, INVISIBLE, Words
from winnow.message import Link, Message

_DOMAIN_IN_TEXT = re.compile(r"\b([a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]{2,12})\b")
_DKIM_DOMAIN = re.compile(r"[;\s]d\s*=\s*([A-Za-z0-9._-]+)")
_AT_DOMAIN = re.compile(r"@([A-Za-z0-9.-]+)")
_NAME_WORD = re.compile(r"[a-z0-9]{3,}")
_ROBOT = re.compile(r"no-?_?reply|do-?not-?reply|mailer-daemon|postmaster|bounce|notif|alert|auto")
_ROLE = re.compile(
    r"info|support|admin|service|sales|news|contact|help|team|office|account|billing"
    r"|security|customer|offer|deal|promo|market"
)
_MONEY = ("$", "€", "£", "¥", " usd", " eur", " gbp", "dollar", "million")
_CODE_AT_END = re.compile(r"\s[a-z0-9]*\d[a-z0-9]{4,}$", re.IGNORECASE)
_SCRIPTS = (
    ("cyrillic", re.compile("[\u0400-\u052f]")),
    ("greek", re.compile("[\u0370-\u03ff]")),
    ("arabic or hebrew", re.compile("[\u0590-\u08ff]")),
    ("chinese, japanese or korean", re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")),
)
_LOOK_ALIKE = re.compile("[\u0370-\u052f]")
_MIXED_SCRIPT = re.compile("[a-zA-Z][\u0370-\u052f]|[\u0370-\u052f][a-zA-Z]")
_EMOJI = re.compile("[\u2600-\u27bf\U0001f300-\U0001faff]")
_SAMPLE = 6_000
_PROGRAMS = frozenset(
    [
        "exe",
        "scr",
        "com",
        "bat",
        "cmd",
        "js",
        "jse",
        "vbs",
        "wsf",
        "hta",
        "jar",
        "msi",
        "lnk",
        "iso",
        "img",
        "ps1",
        "apk",
    ]
)
_ARCHIVES = frozenset(["zip", "rar", "7z", "gz", "tar", "ace", "cab", "arj", "xz"])
_MACROS = frozenset(["docm", "xlsm", "pptm", "xlsb", "dotm", "one"])
_PAGES = frozenset(["html", "htm", "shtml", "xhtml", "svg"])

_ATTACHED = {
    "program": _PROGRAMS,
    "archive": _ARCHIVES,
    "document with macros": _MACROS,
    "web page": _PAGES,
}
_TELLING_MARKS = frozenset(
    {
        "html form",
        "iframe",
        "script",
        "image map",
        "base href",
        "embedded object",
        "hidden text",
        "broken base64",
        "broken multipart",
        "unknown charset",
        "wrong charset",
        "attached message",
    }
)


def traits_of(message: Message, words: Words) -> list[str]:
    """Return the traits of a message, without repeats, in a fixed order.

    Left out on purpose, because on mail of other years or sites they mislead (measured by leaving
    out one source at a time, docs/decisions/0006): whether a signature is present, encryption of
    links, list tags, unsubscribe headers alone, the recipient's address, plain counts of headers.

    Args:
        message: the parsed message.
        words: the words of its visible text.
    """
    found: dict[str, None] = {}
    for family in (_sender, _envelope, _bulk, _subject, _links, _parts):
        for trait in family(message):
            found[trait] = None
    for trait in _body(message, words):
        found[trait] = None
    return list(found)


def _bucket(value: int, edges: tuple[int, ...]) -> str:
    """Name the step of a scale that a count falls on: "0", "1-4", "5+"."""
    low = 0
    for edge in edges:
        if value < edge:
            return str(low) if edge - low == 1 else f"{low}-{edge - 1}"
        low = edge
    return f"{low}+"


def _sender(message: Message) -> Iterator[str]:
    domain, name = message.sender.domain, message.sender.name.lower()
    if not message.sender.address and not name:
        if message.headers:
            yield "sender: missing"
        return
    if not domain:
        yield "sender: no address"
        return
    yield f"sender domain: {top_level_class(domain)}"
    if is_free_mail(domain):
        yield "sender domain: free mail"
    for odd in shape_traits(domain):
        yield f"sender domain: {odd}"
    yield from _local_part(message.sender.address.rpartition("@")[0][:64])
    yield from _display_name(name, message.sender.address, domain)


@lru_cache(maxsize=4096)
def _local_part(local: str) -> tuple[str, ...]:
    found = []
    if _ROBOT.search(local):
        found.append("sender address: robot")
    elif _ROLE.search(local):
        found.append("sender address: role")
    if sum([c.isdigit() for c in local]) >= 3:
        found.append("sender address: many digits")
    if len(local) >= 20:
        found.append("sender address: long")
    return tuple(found)


def _display_name(name: str, address: str, domain: str) -> Iterator[str]:
    if not name:
        return
    if "@" in name:
        yield "sender name: is the address" if address in name else "sender name: another address"
        return
    claimed = _DOMAIN_IN_TEXT.search(name)
    if claimed and organisation(claimed[1]) != organisation(domain):
        yield "sender name: another domain"
    words = _NAME_WORD.findall(name)
    squeezed = "".join(words)
    known = any(word in domain for word in words) or (squeezed and squeezed in domain)
    in_local = any(word in address.partition("@")[0] for word in words)
    if known:
        yield "sender name: fits its domain"
    elif in_local:
        yield "sender name: fits its address"
    else:
        yield "sender name: fits nothing in its address"
        if not is_free_mail(domain):
            yield "sender name: fits nothing, own domain"


def _relation(domain: str, other: str) -> str:
    if not other:
        return "no domain"
    if other == domain:
        return "same"
    return "same organisation" if organisation(other) == organisation(domain) else "elsewhere"


def _envelope(message: Message) -> Iterator[str]:
    domain = message.sender.domain
    if not message.headers or not domain:
        return
    message_id = message.header("message-id")
    if message_id is None:
        yield "message id: missing"
    else:
        host = message_id.rpartition("@")[2].strip("<> \t").lower()
        yield f"message id: {_relation(domain, host if '.' in host else '')}"
    return_path = message.header("return-path")
    if return_path is not None:
        bounce = _AT_DOMAIN.search(return_path)
        yield f"return path: {_relation(domain, bounce[1].lower() if bounce else '')}"
    if is_free_mail(message.reply_to.domain) and not is_free_mail(domain):
        yield "replies go: to free mail"


def _signs_for(message: Message) -> bool:
    """Whether some DKIM signature names the domain of From (the signature is not verified)."""
    domain = message.sender.domain
    for name, value in message.headers:
        if name == "dkim-signature" and domain:
            signer = _DKIM_DOMAIN.search(value)
            if signer and _relation(domain, signer[1].lower()).startswith("same"):
                return True
    return False


def _bulk(message: Message) -> Iterator[str]:
    names = {name for name, _ in message.headers}
    if not names:
        return
    if "list-unsubscribe" in names and _signs_for(message):
        yield "bulk mail: signed by its sender, can be unsubscribed"
    threaded = "in-reply-to" in names or "references" in names
    answering = message.subject[:4].lower().startswith(("re:", "aw:", "sv:"))
    if threaded:
        yield "thread: answer" if answering else "thread: refers to mail"
    elif answering:
        yield "thread: claims to answer, refers to nothing"
    count = len(message.recipients)
    if count == 0 or count >= 6:
        yield f"recipients: {_bucket(count, (1, 6, 20))}"
    if message.sender.address and message.sender.address in message.recipients:
        yield "recipients: the sender"
    if "cc" in names:
        yield "recipients: copies"


def _subject(message: Message) -> Iterator[str]:
    subject = message.subject.strip()
    if not subject:
        if message.headers:
            yield "subject: empty"
        return
    if len(subject) >= 6 and subject.isupper():
        yield "subject: capitals"
    if "!" in subject:
        yield "subject: exclamation"
    if _mentions_money(subject):
        yield "subject: money"
    if _EMOJI.search(subject):
        yield "subject: emoji"
    if _CODE_AT_END.search(subject[-60:]):
        yield "subject: ends in a code"


def _mentions_money(text: str) -> int:
    lowered = text.lower()
    return sum([lowered.count(sign) for sign in _MONEY])


def _body(message: Message, words: Words) -> Iterator[str]:
    text = message.text[:_SAMPLE]
    yield f"body words: {_bucket(len(words), (1, 10, 30, 100, 300, 1000))}"
    signs = np.frombuffer(text.encode("latin-1", "replace"), dtype=np.uint8)
    capitals = int(np.count_nonzero((signs >= 65) & (signs <= 90)))
    letters = capitals + int(np.count_nonzero((signs >= 97) & (signs <= 122)))
    if letters >= 20 and 100 * capitals >= 12 * letters:
        yield f"capitals percent: {_bucket(100 * capitals // letters, (12, 30))}"
    yield f"exclamation marks: {_bucket(text.count('!'), (1, 2, 5, 15))}"
    money = _mentions_money(text)
    if money:
        yield f"money: {_bucket(money, (1, 2, 5))}"
    if _spaced_out(words):
        yield "words: spaced out"
    if not text.isascii():
        yield from _scripts(message.subject + "\n" + text)
    if message.hidden.strip():
        yield f"hidden words: {_bucket(len(message.hidden.split()), (1, 5, 30, 100))}"
    if text.startswith(">") or "\n>" in text:
        yield "body: quotes"


def _spaced_out(words: Words) -> bool:
    """Whether some word is written letter by letter: five single letters in a row."""
    single = (words.ends[:800] - words.starts[:800]) == 1
    if len(single) < 5:
        return False
    run = single[4:] & single[3:-1] & single[2:-2] & single[1:-3] & single[:-4]
    if not run.any():
        return False
    first = int(np.flatnonzero(run)[0])
    return all(words[first + k].isalpha() for k in range(5))


def _scripts(text: str) -> Iterator[str]:
    if not FAR.search(text):
        return
    head = "".join(FAR.findall(text, 0, 2_000))
    for name, pattern in _SCRIPTS:
        if len(pattern.findall(head)) >= 5:
            yield f"script: {name}"
    far = "".join(FAR.findall(text))
    if _LOOK_ALIKE.search(far) and _MIXED_SCRIPT.search(text):
        yield "words: mixed alphabets"
    if INVISIBLE.search(far):
        yield "words: invisible signs"
    if _EMOJI.search(far):
        yield "body: emoji"


def _links(message: Message) -> Iterator[str]:
    links = [link for link in message.links if link.host]
    yield f"links: {_bucket(len(links), (1, 2, 4, 10, 30))}"
    if not links:
        return
    hosts = {link.host for link in links}
    yield from _link_hosts(hosts)
    domain = message.sender.domain
    if domain:
        own = organisation(domain)
        share = sum(organisation(link.host) == own for link in links) / len(links)
        part = "all" if share == 1 else "most" if share >= 0.5 else "some" if share else "none"
        yield f"links to the sender's domain: {part}"
    if any(_misleads(link) for link in links):
        yield "link: shows another domain"
    if any("@" in link.url.partition("?")[0] for link in links):
        yield "link: hides its host"
    if any(len(link.url) > 200 for link in links):
        yield "link: very long"


def _link_hosts(hosts: set[str]) -> Iterator[str]:
    for kind in sorted({top_level_class(host) for host in hosts}):
        yield f"link domain: {kind}"
    for odd in sorted({odd for host in hosts for odd in shape_traits(host)}):
        yield f"link domain: {odd}"
    for hosting in sorted({hosting_class(host) for host in hosts} - {""}):
        yield f"link: {hosting}"


def _misleads(link: Link) -> bool:
    shown = _DOMAIN_IN_TEXT.search(link.text.lower()[:200])
    if shown is None or "@" in link.text or "." not in link.host:
        return False
    looks_web = link.text.lower().startswith(("http", "www.")) or shown[0] == link.text.lower()
    return looks_web and organisation(shown[1]) != organisation(link.host)


def _parts(message: Message) -> Iterator[str]:
    marks = message.marks
    for mark in sorted(marks & _TELLING_MARKS):
        yield f"form: {mark}"
    if "html" in marks:
        plain = "has plain alternative" in marks or "plain text" in marks
        yield "form: html and plain" if plain else "form: html only"
        if marks & {"images", "many images"} and len(message.text.split()) < 30:
            yield "form: image instead of text"
    for attachment in message.attachments:
        extension = attachment.filename.rpartition(".")[2].lower()
        for kind, extensions in _ATTACHED.items():
            if extension in extensions:
                yield f"attachment: {kind}"
