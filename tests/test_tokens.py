"""The reader's input as a value."""

from __future__ import annotations

import numpy as np
import pytest

from winnow.tokens import FIELDS, HIDDEN, LINKS, NAME, SUBJECT, TEXT, Tokens, same


def _tokens(ids: list[int], fields: list[int]) -> Tokens:
    return Tokens(np.array(ids, dtype=np.int64), np.array(fields, dtype=np.int64))


def test_each_field_has_its_place_in_the_names() -> None:
    """Hidden text is told as hidden, not as what stands beside it in the list."""
    named = {"subject": SUBJECT, "name": NAME, "links": LINKS, "text": TEXT, "hidden": HIDDEN}
    assert {name: FIELDS.index(name) for name in FIELDS} == named


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (([1, 2], [0, 3]), True),
        (([1, 3], [0, 3]), False),
        (([1, 2], [0, 4]), False),
        (([1], [0]), False),
        (([], []), False),
    ],
)
def test_same_is_of_pieces_and_fields(other: tuple[list[int], list[int]], expected: bool) -> None:
    """The reader is asked again where one piece or its field differs, and only there."""
    assert same(_tokens([1, 2], [0, 3]), _tokens(*other)) is expected


def test_what_is_marked_is_kept_with_its_place_in_the_text() -> None:
    """Pieces, fields and spans go together; without a text there are no spans."""
    whole = Tokens(
        np.array([7, 8, 9]), np.array([0, 0, 3]), "a b", np.array([[0, 1], [2, 3], [0, 0]])
    )
    left = whole.only(np.array([True, False, True]))
    assert (left.ids.tolist(), left.fields.tolist(), left.text) == ([7, 9], [0, 3], "a b")
    assert left.spans.tolist() == [[0, 1], [0, 0]]
    bare = _tokens([7, 8], [0, 3]).only(np.array([False, True]))
    assert (bare.ids.tolist(), bare.fields.tolist(), bare.spans.shape) == ([8], [3], (0, 2))
