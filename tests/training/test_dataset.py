"""Evidence of many messages is packed and comes back."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from winnow.evidence import Evidence
from winnow.training.dataset import DatasetBuilder, Rows

HASHES = st.lists(st.integers(0, 999), max_size=6, unique=True).map(
    lambda found: np.array(sorted(found), dtype=np.uint32)
)
EVIDENCE = st.builds(Evidence, HASHES, HASHES, HASHES, HASHES)
MAIL = st.lists(st.tuples(EVIDENCE, st.booleans(), st.sampled_from("ab")), max_size=8)


@settings(max_examples=25)
@given(MAIL)
def test_what_was_added_is_found(mail: list[tuple[Evidence, bool, str]]) -> None:
    """Each message keeps its evidence, label, id and source, empty messages too."""
    builder = DatasetBuilder()
    for number, (evidence, spam, source) in enumerate(mail):
        builder.add(evidence, spam=spam, id=str(number), source=source)
    dataset = builder.build()
    assert len(dataset) == len(builder) == len(mail)
    for row, (evidence, spam, source) in enumerate(mail):
        assert dataset.evidence(row).to_bytes() == evidence.to_bytes()
        assert bool(dataset.spam[row]) is spam
        assert dataset.ids[row] == str(row)
        assert dataset.names[int(dataset.sources[row])] == source


def test_lists_are_emptied_and_hashes_numbered() -> None:
    """Marked messages lose their evidence, the others keep it; equal hashes have one number."""
    rows = Rows(np.array([5, 9, 5, 7], dtype=np.uint32), np.array([0, 2, 2, 4]))
    left = rows.without(np.array([True, False, False]))
    assert [left[row].tolist() for row in range(3)] == [[], [], [5, 7]]
    assert rows.kinds.tolist() == [0, 2, 0, 1]


@settings(max_examples=25)
@given(MAIL, st.data())
def test_a_subset_keeps_what_belongs_together(
    mail: list[tuple[Evidence, bool, str]], data: st.DataObject
) -> None:
    """Rows keep evidence, label, id and source in their order; sources without rows go."""
    builder = DatasetBuilder()
    for number, (evidence, spam, source) in enumerate(mail):
        builder.add(evidence, spam=spam, id=str(number), source=source)
    members = data.draw(st.lists(st.sampled_from(range(len(mail))), unique=True)) if mail else []
    part = builder.build().subset(members)
    assert [int(id) for id in part.ids] == sorted(members)
    for place, row in enumerate(sorted(members)):
        evidence, spam, source = mail[row]
        assert part.evidence(place).to_bytes() == evidence.to_bytes()
        assert bool(part.spam[place]) is spam
        assert part.names[int(part.sources[place])] == source
    assert set(part.names) == {mail[row][2] for row in members}
