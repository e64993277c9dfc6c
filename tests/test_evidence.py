"""Evidence is packed for the store and comes back."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from winnow.evidence import Evidence

HASHES = st.lists(st.integers(0, 2**32 - 1), max_size=30, unique=True).map(
    lambda found: np.array(sorted(found), dtype=np.uint32)
)
EVIDENCE = st.builds(Evidence, HASHES, HASHES, HASHES, HASHES)


def _lists(evidence: Evidence) -> list[list[int]]:
    return [hashes.tolist() for hashes in evidence.kinds]


@given(EVIDENCE)
def test_packing_round_trips(evidence: Evidence) -> None:
    """What the store keeps is what was learnt, to the largest bucket."""
    back = Evidence.from_bytes(evidence.to_bytes())
    assert _lists(back) == _lists(evidence)
    assert all(array.dtype == np.uint32 for array in (back.words, back.stream))


def test_packing_is_small() -> None:
    """A long message takes less than three bytes a hash in the store, not four."""
    hashes = np.unique(np.random.default_rng(0).integers(0, 1 << 32, 4000)).astype(np.uint32)
    packed = Evidence(hashes, hashes, hashes, hashes).to_bytes()
    assert len(packed) < 3 * 4 * len(hashes)


@pytest.mark.parametrize("data", [b"", b"x", b"x\x9c\x03\x00\x00\x00\x00\x01"])
def test_damage_is_refused(data: bytes) -> None:
    """A damaged row is a ValueError, never a wrong correction."""
    with pytest.raises(ValueError, match="packed evidence"):
        Evidence.from_bytes(data)


@given(EVIDENCE, st.data())
def test_any_damage_is_refused_or_makes_evidence(evidence: Evidence, data: st.DataObject) -> None:
    """Cut or altered bytes are a ValueError, or evidence in order; never another exception."""
    packed = bytearray(evidence.to_bytes())
    at = data.draw(st.integers(0, len(packed) - 1))
    packed[at] ^= data.draw(st.integers(1, 255))
    for damaged in (bytes(packed), bytes(packed[:at])):
        try:
            back = Evidence.from_bytes(damaged)
        except ValueError:
            continue
        assert all(found == sorted(set(found)) for found in _lists(back))


@pytest.mark.parametrize(
    "flat",
    [
        [],
        [1, 0, 0],
        [1, 0, 0, 0],
        [1, 0, 0, 0, 5, 6],
        [2, 0, 0, 0, 5, 0],  # a bucket twice
        [2, 0, 0, 0, 2**32 - 1, 1],  # beyond 32 bits
        [2**32 - 1, 2**32 - 1, 2, 0, 5],
    ],
)
def test_wrong_counts_are_refused(flat: list[int]) -> None:
    """Well-formed compression of nonsense is nonsense."""
    with pytest.raises(ValueError, match="packed evidence"):
        Evidence.from_bytes(zlib.compress(np.array(flat, dtype="<u4").tobytes()))
