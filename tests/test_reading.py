"""Bytes to evidence, and the digest of what that way does."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.strategies import raw_messages
from winnow.features import content, hashing, pieces, stream, text, traits
from winnow.mail.html import HtmlText
from winnow.reading import fingerprint, read_evidence, text_form


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    """Compute anew in each test, and leave the true one behind."""
    for digest in (fingerprint, text_form):
        digest.cache_clear()
    yield
    for digest in (fingerprint, text_form):
        digest.cache_clear()


def test_it_is_the_same_everywhere() -> None:
    """Another process, with another hash seed, has the same fingerprint."""
    program = "from winnow.reading import fingerprint; print(fingerprint())"
    found = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONHASHSEED": "77"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == fingerprint()
    assert re.fullmatch("[0-9a-f]{16}", fingerprint())


@pytest.mark.parametrize(
    ("module", "name", "value"),
    [
        (content, "_SALTS", np.array([0x21, 0x31, 0x41, 0x12], dtype=np.uint64)),
        (content, "_SALTS", np.array([0x21, 0x32, 0x41, 0x11], dtype=np.uint64)),
        (content, "_SALTS", np.array([0x21, 0x31, 0x42, 0x11], dtype=np.uint64)),
        (content, "_PAIR_SALTS", np.array([0x22, 0, 0, 0x13], dtype=np.uint64)),
        (content, "_GRAM_SALT", np.uint64(0x52)),
        (content, "_LINK_SALT", np.uint64(0x62)),
        (content, "_TRAIT_SALT", np.uint64(0x72)),
        (content, "GRAM", 4),
        (content, "HIDDEN_CHARS", 3),
        (hashing, "_MIX", np.uint64(3)),
        (hashing, "_SPREAD", np.uint64(5)),
        (hashing, "_PAIR", np.uint64(7)),
        (stream, "_SPREAD", np.uint32(3)),
        (stream, "BODY_BYTES", 4),
        (text, "_SHAPE", np.arange(256, dtype=np.uint8)),
        (traits, "_MONEY", ()),
        (traits, "_TELLING_MARKS", frozenset()),
        ("winnow.mail.parse", "decode_words", str),
        ("winnow.mail.parse", "read_html", lambda source, limits: HtmlText(text=source)),
    ],
)
def test_a_change_that_matters_moves_it(
    monkeypatch: pytest.MonkeyPatch, module: ModuleType | str, name: str, value: object
) -> None:
    """Weights of the features as they were are refused by the features as they are."""
    before = fingerprint()
    fingerprint.cache_clear()
    place = sys.modules[module] if isinstance(module, str) else module
    monkeypatch.setattr(place, name, value)
    assert fingerprint() != before


@pytest.mark.parametrize(
    "family", ["_sender", "_envelope", "_bulk", "_subject", "_links", "_parts"]
)
def test_a_family_of_traits_that_goes_moves_it(
    monkeypatch: pytest.MonkeyPatch, family: str
) -> None:
    """Every family has a trait in the probe."""
    before = fingerprint()
    fingerprint.cache_clear()
    monkeypatch.setattr(traits, family, lambda message: iter(()))
    assert fingerprint() != before


@settings(max_examples=30)
@given(st.one_of(st.binary(max_size=500), raw_messages()))
def test_any_bytes_have_evidence(raw: bytes) -> None:
    """The same message has the same evidence, in order, and its size may be told."""
    message, _, evidence = read_evidence(raw, size_bytes=10**9)
    assert message.size_bytes == 10**9
    assert evidence.to_bytes() == read_evidence(raw)[2].to_bytes()
    without = read_evidence(raw, stream=False)[2]
    assert not len(without.stream)
    assert without.to_bytes() == replace(evidence, stream=without.stream).to_bytes()


@pytest.mark.parametrize(
    "name", ["_SPACED", "_LEET", "_FOLDABLE", "_REPEATED_SIGN", "_LONG_NUMBER"]
)
def test_a_trick_that_is_undone_no_more_moves_the_form_of_texts(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader never meets texts that are normalised otherwise than those it was trained on."""
    form, evidence = text_form(), fingerprint()
    monkeypatch.setattr(pieces, name, re.compile("(?!)()"))
    text_form.cache_clear()
    fingerprint.cache_clear()
    assert text_form() != form
    assert fingerprint() == evidence


def test_digits_in_spaced_words_are_of_the_form_of_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    """So it was before: a reader of that time is told to be trained again."""
    form = text_form()
    letters = r"(?<![^\W_])[^\W\d_](?:([ .*_-])[^\W\d_])(?:\1[^\W\d_]){2,40}(?![^\W_])"
    monkeypatch.setattr(pieces, "_SPACED", re.compile(letters))
    text_form.cache_clear()
    assert text_form() != form
