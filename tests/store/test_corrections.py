"""The correction log: rows come back as they went in, and a retraction ends what it takes back."""

from __future__ import annotations

from pathlib import Path

import pytest

from store.samples import append, opened
from winnow.errors import StoreError
from winnow.store import CorrectionRow
from winnow.verdict import Label


def test_a_row_comes_back_as_it_went_in(tmp_path: Path):
    """Weights that are computed anew from the log are the same weights."""
    with opened(tmp_path / "w.db") as store:
        with store.correction() as log:
            assert append(log, "ab12", label=Label.HAM) == 1
        expected = CorrectionRow(
            *(1, "ab12", Label.HAM, "learn", None, 1.5, "cli", "f1", "m@1", b"\x00f", b"\xffs")
        )
        assert store.corrections() == [expected]
        assert store.corrections()[0].label is Label.HAM


def test_the_active_row_of_a_message(tmp_path: Path):
    """Learnt, taken back, learnt with the other label: always the one that counts."""
    with opened(tmp_path / "w.db") as store:
        with store.correction() as log:
            assert log.active("ab12") is None
            first = append(log)
            append(log, "other")
            assert log.active("ab12").seq == first
            append(log, kind="retract", of_seq=first)
            assert log.active("ab12") is None
        with store.correction() as log:
            second = append(log, label=Label.HAM)
            assert log.active("ab12").seq == second
            assert log.active("ab12").label is Label.HAM
            assert log.active("other").seq == 2
        rows = store.corrections(after=2)
        assert [(r.seq, r.kind, r.of_seq) for r in rows] == [(3, "retract", 1), (4, "learn", None)]


def test_of_two_active_rows_the_later_counts(tmp_path: Path):
    """Should a message ever be learnt twice, both can be taken back, one after the other."""
    with opened(tmp_path / "w.db") as store, store.correction() as log:
        first, second = append(log), append(log, label=Label.HAM)
        assert log.active("ab12").seq == second
        append(log, kind="retract", of_seq=second)
        assert log.active("ab12").seq == first


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "retract", "of_seq": 1},
        {"kind": "retract"},
        {"kind": "learn", "of_seq": 2},
        {"kind": "retract", "of_seq": 99},
        {"label": "maybe"},
    ],
)
def test_rows_that_make_no_sense_are_refused(tmp_path: Path, fields: dict[str, object]):
    """A row retracted twice, or a retraction of nothing, never gets into the sum."""
    with opened(tmp_path / "w.db") as store:
        with store.correction() as log:
            append(log)
            append(log, "other")
            append(log, kind="retract", of_seq=1)
        with pytest.raises(StoreError, match="constraint"), store.correction() as log:
            append(log, **fields)
        assert store.latest_correction() == 3


def test_a_seq_is_never_used_twice(tmp_path: Path):
    """A process that has applied row 2 never meets another row 2."""
    with opened(tmp_path / "w.db") as store:
        with store.correction() as log:
            append(log)
        store._corrector.execute("DELETE FROM correction")
        with store.correction() as log:
            assert append(log) == 2
