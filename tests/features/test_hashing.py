"""Hashes of spans, and distinct buckets."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from winnow.features.hashing import hash_bytes, hash_spans, sorted_unique


@given(st.lists(st.binary(min_size=1, max_size=12), min_size=1, max_size=20))
def test_a_span_hashes_as_its_bytes_do(pieces: list[bytes]) -> None:
    """The same word has the same hash wherever it stands."""
    data = np.frombuffer(b"".join(pieces), dtype=np.uint8)
    ends = np.cumsum([len(piece) for piece in pieces])
    starts = ends - [len(piece) for piece in pieces]
    assert hash_spans(data, starts, ends).tolist() == [hash_bytes(piece) for piece in pieces]


@given(st.lists(st.integers(0, 50)))
def test_distinct_and_in_order(values: list[int]) -> None:
    """Each bucket once, in order."""
    found = sorted_unique(np.array(values, dtype=np.uint32))
    assert found.tolist() == sorted(set(values))
