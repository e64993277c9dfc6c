"""The content view: its families, and what a message is without one thing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.features.messages import message, parsed_messages, texts
from winnow.evidence import Evidence, Hashes
from winnow.features.content import Named, Reading, Weights, read_content, without_list_footer
from winnow.features.hashing import finish, hash_bytes
from winnow.features.text import normalise, words_of
from winnow.message import Address, Link, Message

GRAM_SALT = 0x51
NOTHING = np.zeros(0, dtype=np.uint32)


def _read(**changes: object) -> tuple[Reading, Evidence]:
    reading = read_content(message(**changes))
    return reading, reading.evidence(NOTHING)


def _same(one: Hashes, two: Hashes) -> bool:
    return one.tolist() == two.tolist()


@given(texts(), texts(), texts(), texts(), st.sampled_from(["free", "a", "grüße", "report"]))
def test_without_a_word_is_the_message_without_it(
    subject: list[str], name: list[str], hidden: list[str], text: list[str], word: str
) -> None:
    """Removing a word gives the evidence of the message in which nobody had written it."""
    fields = {"subject": subject, "hidden": hidden, "text": text}
    reading = read_content(_message_of(fields, name))
    left = {k: [w for w in v if normalise(w) != word] for k, v in fields.items()}
    shorter = read_content(_message_of(left, [w for w in name if normalise(w) != word]))
    thing = Named("word", word, hash_bytes(word.encode()))
    found = reading.without(thing, reading.evidence(NOTHING))
    expected = shorter.evidence(NOTHING)
    assert _same(found.words, expected.words)
    assert _same(found.grams, expected.grams)


def _message_of(fields: dict[str, list[str]], name: list[str]) -> Message:
    joined = {key: " ".join(words) for key, words in fields.items()}
    return message(sender=Address(" ".join(name), "x@example.org"), **joined)


@given(texts(), texts(), texts(), texts(), st.integers(1, 5))
def test_an_opening_is_the_message_that_ends_there(
    subject: list[str], name: list[str], hidden: list[str], text: list[str], words: int
) -> None:
    """What is seen first, as if nothing followed or were hidden; None where that is all."""
    fields = {"subject": subject, "hidden": hidden, "text": text}
    reading = read_content(_message_of(fields, name))
    whole = reading.evidence(NOTHING)
    opening = reading.opening(words)
    first = int(np.sum(reading.families < 3))
    ends = reading.words.ends[first : first + words]
    nothing_hidden = not words_of(" ".join(hidden)).hashes.size
    if len(reading.words) - first <= words and nothing_hidden:
        assert opening is None
        return
    assert opening is not None
    start = int(reading.words.starts[first]) if len(ends) else 0
    shown = reading.words.data[start : int(ends[-1]) if len(ends) else 0].decode("utf-8", "replace")
    shorter = read_content(_message_of(fields | {"hidden": [], "text": [shown]}, name))
    found, expected = opening.within(whole), shorter.evidence(NOTHING)
    assert _same(found.words, expected.words)
    assert _same(found.grams, expected.grams)
    assert found.traits is whole.traits
    assert found.stream is whole.stream


def test_a_thing_is_removed_from_an_opening() -> None:
    """Words that follow the opening do not move up; a trait is not the opening's."""
    reading, whole = _read(text="one two three four five six")
    opening = reading.opening(3)
    assert opening is not None
    two = Named("word", "two", hash_bytes(b"two"))
    left = read_content(message(text="one three")).evidence(NOTHING)
    found = opening.within(whole, two)
    assert _same(found.grams, left.grams)
    trait = Named("trait", "x", hash_bytes(b"two"))
    assert _same(opening.within(whole, trait).grams, opening.within(whole).grams)


def test_without_a_link_or_a_trait_takes_only_that() -> None:
    """A host goes from the words' room, a trait from the traits', and all else stays."""
    links = (Link("http://a.example/x", "a.example", "x"), Link("http://b.test/", "b.test", "y"))
    reading, whole = _read(links=links)
    other = read_content(message(links=links[1:])).evidence(NOTHING)
    found = reading.without(Named("link", "a.example", int(reading.host_keys[0])), whole)
    assert _same(found.words, other.words)
    assert _same(found.traits, whole.traits)
    key = int(reading.trait_keys[0])
    found = reading.without(Named("trait", reading.traits[0], key), whole)
    assert len(found.traits) == len(whole.traits) - 1
    assert set(found.traits.tolist()) < set(whole.traits.tolist())
    assert _same(found.words, whole.words)


@settings(max_examples=30)
@given(parsed_messages())
def test_every_message_gives_evidence_in_order(parsed: Message) -> None:
    """Any message has evidence: sorted and distinct."""
    reading = read_content(parsed)
    whole = reading.evidence(NOTHING)
    for hashes in whole.kinds:
        found = hashes.tolist()
        assert hashes.dtype == np.uint32
        assert found == sorted(set(found))
    assert len(reading.families) == len(reading.words)
    assert np.all(np.diff(reading.families.astype(int)) >= 0)


@settings(max_examples=30)
@given(parsed_messages(), st.integers(0, 10**9))
def test_removal_adds_no_evidence_but_neighbours(parsed: Message, seed: int) -> None:
    """Without a word there are never traits or links that were not there before."""
    reading = read_content(parsed)
    whole = reading.evidence(NOTHING)
    if not len(reading.words):
        return
    index = seed % len(reading.words)
    thing = Named("word", reading.words[index], int(reading.words.hashes[index]))
    left = reading.without(thing, whole)
    assert _same(left.traits, whole.traits)
    assert len(left.words) < len(whole.words) + len(reading.words)
    again = reading.without(thing, left)
    assert _same(again.words, left.words)


@pytest.mark.parametrize("field", ["subject", "text", "hidden"])
def test_each_place_has_its_own_features(field: str) -> None:
    """The same word in the subject, the text and hidden text are different features."""
    places = {
        place: set(_read(**{"subject": "", "text": "", "hidden": "", place: "zebra"})[1].words)
        for place in ("subject", "text", "hidden")
    }
    common = set(_read(subject="", text="", hidden="")[1].words)
    own = {place: found - common for place, found in places.items()}
    assert len(own[field]) == 1
    assert not any(own[field] & found for place, found in own.items() if place != field)


def test_the_order_of_words_counts_within_a_place() -> None:
    """Pairs tell "not free" from "free not"; no pair reaches from one place into the next."""
    assert not _same(_read(text="not free")[1].words, _read(text="free not")[1].words)
    joined = set(_read(subject="one", text="two")[1].words)
    apart = set(_read(subject="one", text="")[1].words) | set(
        _read(subject="", text="two")[1].words
    )
    assert joined == apart


def test_layout_does_not_count() -> None:
    """Line breaks, blanks and capitals are not evidence of words or grams."""
    one, two = _read(text="One  two\n\nTHREE")[1], _read(text="one two three")[1]
    assert _same(one.words, two.words)
    assert _same(one.grams, two.grams)


def _grams(text: str) -> set[int]:
    """5-grams of a normal form, hashed as documented, without numpy."""
    data = (text + " ").encode()
    keys = [int.from_bytes(data[i : i + 5], "little") ^ GRAM_SALT for i in range(len(data) - 4)]
    return set(finish(np.array(keys, dtype=np.uint64)).tolist())


@given(texts())
def test_grams_are_the_windows_of_the_joined_words(text: list[str]) -> None:
    """Oracle: every window of five bytes of the words joined by single spaces, digits by shape."""
    plain = " ".join(normalise(word) for word in text).replace("1", "0")
    expected = _grams(plain) if plain else set()
    assert set(_read(text="  ".join(text))[1].grams.tolist()) == expected


def test_list_tags_and_footers_do_not_count() -> None:
    """What a list adds to everybody's mail says nothing of the writer."""
    assert _same(_read(subject="[dev] hello")[1].words, _read(subject="hello")[1].words)
    text = "the text\n" + "_" * 40 + "\nlist mailing list\nhttp://list.example\n"
    assert without_list_footer(text) == "the text"
    assert without_list_footer("_" * 40 + "\n" + "x" * 2000) == "_" * 40 + "\n" + "x" * 2000


def _weights(known: Hashes, weight: float) -> Weights:
    """An expert to which some hashes mean something."""
    return lambda hashes: np.where(np.isin(hashes, known), weight, 0.0).astype(np.float32)


def test_names_come_back_from_weights() -> None:
    """The strongest word, host and trait are named as a person would, without repeats."""
    links = (Link("http://www.pills.test/x", "www.pills.test", "here"),)
    reading, whole = _read(subject="Zebra", text="zebra zebra hill", links=links)
    hill = _read(subject="", text="hill")[1].words
    plain = _read(subject="", text="")[1].words
    only_hill = _weights(np.setdiff1d(hill, plain), 5.0)
    found = reading.strongest(only_hill, 1.0, 4)
    assert [(thing.kind, thing.text) for thing in found] == [("word", "hill")]
    assert reading.strongest(only_hill, -1.0, 4) == []
    named = reading.strongest(_weights(whole.words, 1.0), 1.0, 9)
    assert [thing.text for thing in named].count("zebra") == 1
    assert ("link", "pills.test") in [(thing.kind, thing.text) for thing in named]
    traits = reading.strongest_traits(_weights(whole.traits, 1.0), 1.0, 99)
    assert {trait.text for trait in traits} == set(reading.traits)


def test_a_long_message_is_bounded() -> None:
    """A megabyte of text gives no more evidence than its first part."""
    words = " ".join(f"w{chr(97 + n % 26)}{chr(97 + n // 26 % 26)}x{n}" for n in range(100_000))
    _, whole = _read(text=words, hidden=words, subject=words)
    assert len(whole.words) < 20_000
    assert len(whole.grams) < 10_000
