"""Message -> content view: words, word pairs and traits, and what a message would be without one.

The content view is portable from site to site. Each family of words has a salt of its own, so
that "free" in a subject and "free" in hidden text are two features.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from winnow.evidence import Evidence, Hashes
from winnow.features.domains import organisation
from winnow.features.hashing import (
    U8,
    U64,
    finish,
    hash_bytes,
    pair,
    sorted_unique,
)
from winnow.features.text import Words, words_of
from winnow.features.traits import traits_of
from winnow.message import Message

# What an expert says of hashes: (w,) -> (w,) weights.
Weights = Callable[[Hashes], NDArray[np.float32]]

SUBJECT_CHARS = 1_000
NAME_CHARS = 300
HIDDEN_CHARS = 6_000
TEXT_CHARS = 24_000
LINKED_HOSTS = 30
GRAM = 5
GRAM_WORDS = 700

# Families in the order in which their texts are joined: the visible text is last, so that what is
# cut, where expansion of odd signs makes the whole too long, is its end.
_SUBJECT, _NAME, _HIDDEN, _TEXT = range(4)
_KINDS = ("word", "word", "hidden word", "word")
_SALTS = np.array([0x21, 0x31, 0x41, 0x11], dtype=np.uint64)
_PAIR_SALTS = np.array([0x22, 0, 0, 0x12], dtype=np.uint64)
_HAS_PAIRS = np.array([True, False, False, True])
_GRAM_SALT = np.uint64(0x51)
_LINK_SALT = np.uint64(0x61)
_TRAIT_SALT = np.uint64(0x71)

# What a mailing list adds to everybody's mail says nothing of the one who wrote it.
_LIST_TAG = re.compile(r"\[[^\]]{1,40}\]\s*")
_LIST_RULE = re.compile(r"\n[ \t]{0,8}[_-]{30,200}[ \t]{0,8}\n")
_FOOTER_CHARS = 700


def without_list_tag(subject: str) -> str:
    """Drop "[list-name]" from a subject."""
    return _LIST_TAG.sub("", subject)


def without_list_footer(text: str) -> str:
    """Cut the footer of a mailing list: what follows a long rule close to the end of the text."""
    rule = _LIST_RULE.search(text, max(0, len(text) - _FOOTER_CHARS))
    return text[: rule.start()] if rule else text


@dataclass(frozen=True, slots=True)
class Named:
    """One thing of a message that can be named to a person and taken away.

    Attributes:
        kind: "word", "hidden word", "link" or "trait".
        text: as a person would say it.
        key: 64-bit hash of the word, the host or the trait.
    """

    kind: str
    text: str
    key: int


@dataclass(frozen=True, slots=True)
class Reading:
    """The content view of one message, before it is reduced to evidence.

    Attributes:
        words: words of subject, sender's name, hidden text and visible text, in that order.
        families: (w,) which of these each word is of.
        hosts: organisations that the links lead to.
        host_keys: (h,) their hashes.
        traits: traits of form.
        trait_keys: (t,) their hashes.
    """

    words: Words
    families: U8
    hosts: tuple[str, ...]
    host_keys: U64
    traits: tuple[str, ...]
    trait_keys: U64

    def evidence(self, stream: Hashes) -> Evidence:
        """Reduce to hashes."""
        words, grams = self._word_evidence(None), self._gram_evidence(None)
        return Evidence(words, grams, self._trait_evidence(None), stream)

    def opening(self, words: int) -> Reading | None:
        """What a person sees first: subject, sender's name, links and the first words of the text.

        Args:
            words: how many of the visible text.

        Returns:
            None where that is all that the message says.
        """
        seen = self.families != _HIDDEN
        seen[int(np.searchsorted(self.families, _TEXT)) + words :] = False
        if seen.all():
            return None
        return replace(self, words=self.words.only(seen), families=self.families[seen])

    def within(self, whole: Evidence, gone: Named | None = None) -> Evidence:
        """Evidence whose words are these only, and all else that of the whole.

        Of an opening, what follows does not move up into the place of what is removed: what is
        asked is what the thing did in the answer that was given.

        Args:
            whole: evidence of the whole message.
            gone: a thing that is removed, unless it is a trait.
        """
        drop = None if gone is None or gone.kind == "trait" else np.uint64(gone.key)
        return replace(whole, words=self._word_evidence(drop), grams=self._gram_evidence(drop))

    def without(self, thing: Named, whole: Evidence) -> Evidence:
        """Return the evidence that is left when every occurrence of one thing is removed.

        Words that stood around a removed word become neighbours, as they would in the text.
        """
        if thing.kind == "trait":
            return replace(whole, traits=self._trait_evidence(np.uint64(thing.key)))
        return self.within(whole, thing)

    def strongest(self, weights: Weights, side: float, limit: int) -> list[Named]:
        """Return the words and linked hosts whose own weights point most one way.

        Args:
            weights: the words' expert: hashes, (w,) -> their weights, (w,).
            side: 1 or -1; the largest side * weight come first, those above 0 only.
            limit: how many words at most; half as many hosts.
        """
        hashes = self.words.hashes
        pulls = side * weights(finish(hashes ^ _SALTS[self.families]))
        found: dict[int, Named] = {}
        for index in _leading(pulls, limit * 8):
            key = int(hashes[index])
            if key not in found and len(found) < limit:
                found[key] = Named(_KINDS[self.families[index]], self.words[index], key)
        pulls = side * weights(finish(self.host_keys ^ _LINK_SALT))
        leading = _leading(pulls, (limit + 1) // 2)
        hosts = [_named("link", self.hosts, self.host_keys, i) for i in leading]
        return [*found.values(), *hosts]

    def strongest_traits(self, weights: Weights, side: float, limit: int) -> list[Named]:
        """As `strongest`, for traits and their expert."""
        pulls = side * weights(finish(self.trait_keys ^ _TRAIT_SALT))
        return [_named("trait", self.traits, self.trait_keys, i) for i in _leading(pulls, limit)]

    def find(self, wanted: Sequence[str], normal: Callable[[str], str], most: int) -> list[Named]:
        """The words of the message that have some normal form.

        Args:
            wanted: words in that form.
            normal: brings a word of this message into it.
            most: words of the message to look at.
        """
        missing = set(wanted)
        found: list[Named] = []
        for index in range(min(most, len(self.words))):
            word = self.words[index]
            form = normal(word)
            if form in missing:
                missing.discard(form)
                kind = _KINDS[self.families[index]]
                found.append(Named(kind, word, int(self.words.hashes[index])))
        return found

    def _word_evidence(self, drop: np.uint64 | None) -> Hashes:
        hashes, families, hosts = self.words.hashes, self.families, self.host_keys
        if drop is not None:
            kept = hashes != drop
            hashes, families, hosts = hashes[kept], families[kept], hosts[hosts != drop]
        before = families[:-1]
        together = (before == families[1:]) & _HAS_PAIRS[before]
        pairs = pair(hashes[:-1], hashes[1:]) ^ _PAIR_SALTS[before]
        salted = (hashes ^ _SALTS[families], pairs[together], hosts ^ _LINK_SALT)
        return sorted_unique(finish(np.concatenate(salted)))

    def _gram_evidence(self, drop: np.uint64 | None) -> Hashes:
        """n-grams of the text's words, with one space between words, whatever stood there."""
        first = int(np.searchsorted(self.families, _TEXT))
        chosen: slice | NDArray[np.int64] = slice(first, first + GRAM_WORDS)
        if drop is not None:
            chosen = np.flatnonzero(self.words.hashes[chosen] != drop) + first
        grams = self.words.grams(chosen, GRAM) ^ _GRAM_SALT
        return sorted_unique(finish(grams))

    def _trait_evidence(self, drop: np.uint64 | None) -> Hashes:
        keys = self.trait_keys if drop is None else self.trait_keys[self.trait_keys != drop]
        return sorted_unique(finish(keys ^ _TRAIT_SALT))


def read_content(message: Message) -> Reading:
    """Read the content view of a parsed message."""
    texts = (
        without_list_tag(message.subject[:SUBJECT_CHARS]),
        message.sender.name[:NAME_CHARS],
        message.hidden[:HIDDEN_CHARS],
        without_list_footer(message.text[:TEXT_CHARS]),
    )
    words = words_of("\0".join([text.replace("\0", " ") for text in texts]))
    ends = np.flatnonzero(np.frombuffer(words.data, dtype=np.uint8) == 0)
    families = np.searchsorted(ends, words.starts).astype(np.uint8)
    hosts = dict.fromkeys([organisation(link.host) for link in message.links if link.host])
    kept = tuple(hosts)[:LINKED_HOSTS]
    traits = tuple(traits_of(message, words.part(int(np.searchsorted(families, _TEXT)))))
    return Reading(words, families, kept, _host_keys(kept), traits, _trait_keys(traits))


def _leading(pulls: NDArray[np.float32], limit: int) -> list[int]:
    """Indices of the largest values above 0, the largest first."""
    order = np.argsort(-pulls, kind="stable")[:limit].tolist()
    return [index for index in order if pulls[index] > 0]


def _named(kind: str, texts: tuple[str, ...], keys: U64, index: int) -> Named:
    return Named(kind, texts[index], int(keys[index]))


_TRAIT_KEYS: dict[str, int] = {}


def _trait_keys(traits: tuple[str, ...]) -> U64:
    """Hash traits; their texts are few, so that a table saves the work."""
    keys = []
    for trait in traits:
        key = _TRAIT_KEYS.get(trait)
        if key is None:
            key = hash_bytes(trait.encode())
            if len(_TRAIT_KEYS) < 4096:
                _TRAIT_KEYS[trait] = key
        keys.append(key)
    return np.array(keys, dtype=np.uint64)


def _host_keys(hosts: tuple[str, ...]) -> U64:
    return np.array([_host_key(host) for host in hosts], dtype=np.uint64)


@lru_cache(maxsize=4096)
def _host_key(host: str) -> int:
    return hash_bytes(b"host " + host[:80].encode("utf-8", "replace"))
