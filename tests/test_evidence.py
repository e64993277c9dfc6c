"""Evidence is packed for the store and comes back."""

from __future__ import annotations

import numpy as np
import pytest

from winnow.evidence import Evidence


def test_packing_round_trips() -> None:
    """What the store keeps is what was learnt."""
    arrays = [np.array(x, dtype=np.uint32) for x in ([1, 5, 9], [], [7], [0, 2**21])]
    back = Evidence.from_bytes(Evidence(*arrays).to_bytes())
    assert [a.tolist() for a in (back.words, back.grams, back.traits, back.stream)] == [
        a.tolist() for a in arrays
    ]


@pytest.mark.parametrize("data", [b"", b"x", b"x\x9c\x03\x00\x00\x00\x00\x01"])
def test_damage_is_refused(data: bytes) -> None:
    """A damaged row is a ValueError, never a wrong correction."""
    with pytest.raises(ValueError, match="packed evidence"):
        Evidence.from_bytes(data)
