"""Message -> content view: words, word pairs and traits, and what a message would be without one.

The content view is portable from site to site. Each family of words has a salt of its own, so
that "free" in a subject and "free" in hidden text are two features.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from winnow.evidence import Buckets, Evidence
from winnow.features.domains import organisation
from winnow.features.hashing import (
    GRAM_ROOM,
    TRAIT_BITS,
    TRAIT_ROOM,
    U64,
    hash_bytes,
    pair,
    sorted_unique,
    to_buckets,
)
from winnow.features.text import Words, words_of
from winnow.features.traits import traits_of
from winnow.message import Message

TEXT_BYTES = 24_000
SUBJECT_BYTES = 1_000
NAME_BYTES = 300
HIDDEN_BYTES = 6_000
LINKED_HOSTS = 30
GRAM = 5
GRAM_WORDS = 700

# (family, salt of single words, salt of pairs or None)
_FAMILIES: tuple[tuple[str, int, int | None], ...] = (
    ("text", 0x11, 0x12),
    ("subject", 0x21, 0x22),
    ("name", 0x31, None),
    ("hidden", 0x41, None),
)
_GRAM_SALT = 0x51
_LINK_SALT = 0x61
_TRAIT_SALT = 0x71
_KINDS = {"text": "word", "subject": "word", "name": "word", "hidden": "hidden word"}


# What a mailing list adds to everybody's mail says nothing of the one who wrote it.
_LIST_TAG = re.compile(r"\[[^\]]{1,40}\]\s*")
_LIST_RULE = re.compile(r"\n[ \t]*[_-]{30,}[ \t]*\n")
_FOOTER_CHARS = 700


def without_list_footer(text: str) -> str:
    """Cut the footer of a mailing list: what follows a long rule close to the end of the text."""
    start = max(0, len(text) - _FOOTER_CHARS)
    rule = _LIST_RULE.search(text, start)
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
    """The content view of one message, before it is reduced to buckets.

    Attributes:
        families: words of text, subject, sender's name and hidden text.
        hosts: organisations that the links lead to.
        host_keys: (h,) their hashes.
        traits: traits of form.
        trait_keys: (t,) their hashes.
    """

    families: dict[str, Words]
    hosts: tuple[str, ...]
    host_keys: U64
    traits: tuple[str, ...]
    trait_keys: U64

    def evidence(self, stream: Buckets) -> Evidence:
        """Reduce to buckets."""
        words, grams = self._word_buckets(None), self._gram_buckets(None)
        return Evidence(words, grams, self._trait_buckets(None), stream)

    def without(self, thing: Named, whole: Evidence) -> Evidence:
        """Return the evidence that is left when every occurrence of one thing is removed.

        Words that stood around a removed word become neighbours, as they would in the text.
        """
        key = np.uint64(thing.key)
        if thing.kind == "trait":
            return replace(whole, traits=self._trait_buckets(key))
        return replace(whole, words=self._word_buckets(key), grams=self._gram_buckets(key))

    def strongest(self, weights: NDArray[np.float32], gain: float, limit: int) -> list[Named]:
        """Return the words and linked hosts whose own weights point most one way.

        Args:
            weights: (CONTENT_BUCKETS,) of the words' expert.
            gain: sign and scale; the largest gain * weight come first, those above 0 only.
            limit: how many at most.
        """
        keys, pull, places = [], [], []
        for family, salt, _ in _FAMILIES:
            hashes = self.families[family].hashes
            keys.append(hashes)
            pull.append(weights[to_buckets(hashes, salt)])
            places += [(family, len(hashes))]
        joined, pulls = np.concatenate(keys), gain * np.concatenate(pull)
        found: dict[int, Named] = {}
        for index in np.argsort(-pulls, kind="stable")[: limit * 8].tolist():
            if pulls[index] <= 0 or len(found) == limit:
                break
            key = int(joined[index])
            if key not in found:
                found[key] = Named(*self._name(index, places), key)
        return list(found.values()) + self._strong_hosts(weights, gain, limit)

    def _name(self, index: int, places: list[tuple[str, int]]) -> tuple[str, str]:
        for family, count in places:
            if index < count:
                return _KINDS[family], self.families[family][index]
            index -= count
        raise IndexError(index)

    def _strong_hosts(
        self, weights: NDArray[np.float32], gain: float, limit: int
    ) -> list[Named]:
        pulls = gain * weights[to_buckets(self.host_keys, _LINK_SALT)]
        order = [i for i in np.argsort(-pulls).tolist() if pulls[i] > 0][:limit]
        return [Named("link", self.hosts[i], int(self.host_keys[i])) for i in order]

    def strongest_traits(
        self, weights: NDArray[np.float32], gain: float, limit: int
    ) -> list[Named]:
        """As `strongest`, for traits."""
        pulls = gain * weights[_trait_room(self.trait_keys)]
        order = [i for i in np.argsort(-pulls).tolist() if pulls[i] > 0][:limit]
        return [Named("trait", self.traits[i], int(self.trait_keys[i])) for i in order]

    def _word_buckets(self, drop: np.uint64 | None) -> Buckets:
        found = []
        for family, salt, pair_salt in _FAMILIES:
            hashes = self.families[family].hashes
            if drop is not None:
                hashes = hashes[hashes != drop]
            found.append(to_buckets(hashes, salt))
            if pair_salt is not None and len(hashes) > 1:
                found.append(to_buckets(pair(hashes[:-1], hashes[1:]), pair_salt))
        hosts = self.host_keys if drop is None else self.host_keys[self.host_keys != drop]
        found.append(to_buckets(hosts, _LINK_SALT))
        return sorted_unique(np.concatenate(found))

    def _gram_buckets(self, drop: np.uint64 | None) -> Buckets:
        """n-grams of the text's words, with one space between words, whatever stood there."""
        words = self.families["text"]
        return sorted_unique(to_buckets(words.grams(GRAM, GRAM_WORDS, drop), _GRAM_SALT, room=GRAM_ROOM))

    def _trait_buckets(self, drop: np.uint64 | None) -> Buckets:
        keys = self.trait_keys if drop is None else self.trait_keys[self.trait_keys != drop]
        return sorted_unique(_trait_room(keys))



def read_content(message: Message) -> Reading:
    """Read the content view of a parsed message."""
    families = {
        "text": words_of(without_list_footer(message.text[:TEXT_BYTES]), TEXT_BYTES),
        "subject": words_of(_LIST_TAG.sub("", message.subject), SUBJECT_BYTES),
        "name": words_of(message.sender.name, NAME_BYTES),
        "hidden": words_of(message.hidden, HIDDEN_BYTES),
    }
    hosts = dict.fromkeys(organisation(link.host) for link in message.links if link.host)
    kept = tuple(hosts)[:LINKED_HOSTS]
    traits = tuple(traits_of(message, families["text"]))
    return Reading(families, kept, _host_keys(kept), traits, _trait_keys(traits))


def _trait_room(keys: U64) -> Buckets:
    return to_buckets(keys, _TRAIT_SALT, room=TRAIT_ROOM, bits=TRAIT_BITS)


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
    return np.array([hash_bytes(b"host " + h.encode("utf-8", "replace")) for h in hosts], np.uint64)
