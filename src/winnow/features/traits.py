"""Message -> traits: small facts of form that mean the same at every site.

A trait is a short English phrase; it is the feature's name, its hash key and what a reader is
shown as a reason. Only categories enter, never the text of a header, so that nothing here can
name a site, a person or a corpus (DESIGN section 2).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from winnow.features.domains import (
    hosting_class,
    is_free_mail,
    organisation,
    shape_traits,
    top_level_class,
)
from winnow.features.text import INVISIBLE
from winnow.message import Link, Message

_DOMAIN_IN_TEXT = re.compile(r"\b([a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]{2,12})\b")
_AT_DOMAIN = re.compile(r"@([A-Za-z0-9.-]+)")
_DKIM_DOMAIN = re.compile(r"[;\s]d\s*=\s*([A-Za-z0-9._-]+)")
_NAME_WORD = re.compile(r"[a-z0-9]{3,}")
_ROBOT = re.compile(r"no-?_?reply|do-?not-?reply|mailer-daemon|postmaster|bounce|notif|alert|auto")
_ROLE = re.compile(r"info|support|admin|service|sales|news|contact|help|team|office|account|billing"
                   r"|security|customer|offer|deal|promo|market")
_MONEY = re.compile(r"[$€£¥]\s?\d|\d\s?(?:[$€£¥]|usd|eur|gbp|dollars?|euros?|pounds?)\b|million",
                    re.IGNORECASE)
_SPACED = re.compile(r"(?<!\w)(?:\w[ .\-_*]){4,}\w(?!\w)")
_LEET = re.compile(r"[a-z][0-9@$|!][a-z]", re.IGNORECASE)
_SCRIPTS = (
    ("cyrillic", re.compile("[\u0400-\u052f]")),
    ("greek", re.compile("[\u0370-\u03ff]")),
    ("arabic or hebrew", re.compile("[\u0590-\u08ff]")),
    ("chinese, japanese or korean", re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")),
)
_MIXED_SCRIPT = re.compile("[a-zA-Z][\u0370-\u052f]|[\u0370-\u052f][a-zA-Z]")
_EMOJI = re.compile("[\u2600-\u27bf\U0001f300-\U0001faff]")
_SAMPLE = 8_000


def traits_of(message: Message) -> list[str]:
    """Return the traits of a message, without repeats, in a fixed order."""
    found: dict[str, None] = {}
    for family in (_sender, _envelope, _bulk, _subject, _body, _links, _parts):
        for trait in family(message):
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
    yield from _local_part(message.sender.address.rpartition("@")[0])
    yield from _display_name(name, message.sender.address, domain)


def _local_part(local: str) -> Iterator[str]:
    digits = sum(c.isdigit() for c in local)
    if _ROBOT.search(local):
        yield "sender address: robot"
    elif _ROLE.search(local):
        yield "sender address: role"
    if digits >= 3:
        yield "sender address: many digits"
    if len(local) >= 20:
        yield "sender address: long"


def _display_name(name: str, address: str, domain: str) -> Iterator[str]:
    if not name:
        yield "sender name: none"
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
    signature = message.header("dkim-signature")
    if signature is not None:
        signer = _DKIM_DOMAIN.search(signature)
        relation = _relation(domain, signer[1].lower() if signer else "")
        yield f"signature: {'aligned' if relation.startswith('same') else 'of another domain'}"
    if message.reply_to.address:
        relation = _relation(domain, message.reply_to.domain)
        if message.reply_to.address == message.sender.address:
            relation = "the sender"
        yield f"replies go: {relation}"
        if is_free_mail(message.reply_to.domain) and not is_free_mail(domain):
            yield "replies go: to free mail"


def _bulk(message: Message) -> Iterator[str]:
    names = {name for name, _ in message.headers}
    if not names:
        return
    if "list-unsubscribe-post" in names:
        yield "unsubscribe: one click"
    elif "list-unsubscribe" in names:
        yield "unsubscribe: offered"
    threaded = "in-reply-to" in names or "references" in names
    answering = message.subject[:4].lower().startswith(("re:", "aw:", "sv:"))
    if threaded:
        yield "thread: answer" if answering else "thread: refers to mail"
    elif answering:
        yield "thread: claims to answer, refers to nothing"
    count = len(message.recipients)
    yield f"recipients: {_bucket(count, (1, 2, 6, 20))}"
    if message.sender.address and message.sender.address in message.recipients:
        yield "recipients: the sender"
    if "date" not in names:
        yield "date: missing"
    if "cc" in names:
        yield "recipients: copies"


def _subject(message: Message) -> Iterator[str]:
    subject = message.subject.strip()
    if not subject:
        if message.headers:
            yield "subject: empty"
        return
    yield f"subject length: {_bucket(len(subject), (15, 40, 80))}"
    letters = [c for c in subject if c.isalpha()]
    if len(letters) >= 6 and sum(c.isupper() for c in letters) * 10 >= len(letters) * 8:
        yield "subject: capitals"
    if "!" in subject:
        yield "subject: exclamation"
    if _MONEY.search(subject):
        yield "subject: money"
    if _EMOJI.search(subject):
        yield "subject: emoji"
    if subject.startswith("["):
        yield "subject: list tag"
    if re.search(r"\s[a-z0-9]*\d[a-z0-9]{4,}$", subject, re.IGNORECASE):
        yield "subject: ends in a code"
    names = {r.partition("@")[0] for r in message.recipients if len(r) > 5}
    if any(len(n) >= 4 and n in subject.lower() for n in names):
        yield "subject: recipient's address"


def _body(message: Message) -> Iterator[str]:
    text = message.text[:_SAMPLE]
    words = text.split()
    yield f"body words: {_bucket(len(words), (1, 10, 30, 100, 300, 1000))}"
    letters = sum(map(str.isalpha, text))
    if letters >= 20:
        capitals = 100 * sum(map(str.isupper, text)) // letters
        yield f"capitals percent: {_bucket(capitals, (2, 6, 12, 30))}"
    exclamations = text.count("!")
    yield f"exclamation marks: {_bucket(exclamations, (1, 2, 5, 15))}"
    if _MONEY.search(text):
        yield f"money: {_bucket(len(_MONEY.findall(text)), (1, 2, 5))}"
    if _SPACED.search(text):
        yield "words: spaced out"
    if len(_LEET.findall(text)) * 20 > len(words) + 20:
        yield "words: digits inside"
    if not text.isascii():
        yield from _scripts(message.subject + "\n" + text)
    if message.hidden.strip():
        yield f"hidden words: {_bucket(len(message.hidden.split()), (1, 5, 30, 100))}"
    for recipient in message.recipients[:3]:
        if len(recipient) > 6 and recipient in text.lower():
            yield "body: recipient's address"
            break
    if re.search(r"^>", text, re.MULTILINE):
        yield "body: quotes"


def _scripts(text: str) -> Iterator[str]:
    for name, pattern in _SCRIPTS:
        if len(pattern.findall(text, 0, 2_000)) >= 5:
            yield f"script: {name}"
    if _MIXED_SCRIPT.search(text):
        yield "words: mixed alphabets"
    if INVISIBLE.search(text):
        yield "words: invisible signs"
    if _EMOJI.search(text):
        yield "body: emoji"


def _links(message: Message) -> Iterator[str]:
    links = [link for link in message.links if link.host]
    yield f"links: {_bucket(len(links), (1, 2, 4, 10, 30))}"
    if not links:
        return
    hosts = {link.host for link in links}
    organisations = {organisation(host) for host in hosts}
    yield f"linked organisations: {_bucket(len(organisations), (1, 2, 4, 10))}"
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
    if all(link.url[:5].lower() == "http:" for link in links):
        yield "links: none encrypted"
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
    for mark in sorted(marks - {"plain text", "html", "has plain alternative"}):
        yield f"form: {mark}"
    if "html" in marks:
        plain = "has plain alternative" in marks or "plain text" in marks
        yield "form: html and plain" if plain else "form: html only"
        if marks & {"images", "many images"} and len(message.text.split()) < 30:
            yield "form: image instead of text"
    for attachment in message.attachments:
        major, _, minor = attachment.content_type.partition("/")
        extension = attachment.filename.rpartition(".")[2].lower()
        yield f"attachment: {major}"
        if major in ("application", "text") and extension.isalnum() and len(extension) <= 5:
            yield f"attachment name: .{extension}"
        elif minor:
            yield f"attachment type: {minor[:30]}"
