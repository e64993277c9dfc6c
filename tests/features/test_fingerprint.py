"""The digest of what the features do."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest

from winnow.features import content, fingerprint, hashing, stream, text, traits


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    """Compute anew in each test, and leave the true one behind."""
    fingerprint.cache_clear()
    yield
    fingerprint.cache_clear()


def test_it_is_the_same_everywhere() -> None:
    """Another process, with another hash seed, has the same fingerprint."""
    program = "from winnow.features import fingerprint; print(fingerprint())"
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
    ],
)
def test_a_change_that_matters_moves_it(
    monkeypatch: pytest.MonkeyPatch, module: object, name: str, value: object
) -> None:
    """Weights of the features as they were are refused by the features as they are."""
    before = fingerprint()
    fingerprint.cache_clear()
    monkeypatch.setattr(module, name, value)
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
