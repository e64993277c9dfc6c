"""Labelled evidence of many messages, packed: what the trainers read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from winnow.evidence import Evidence, Hashes

I64 = NDArray[np.int64]


@dataclass(frozen=True)
class Rows:
    """Evidence of one kind of n messages, one list after another.

    Attributes:
        hashes: all lists joined.
        ends: (n + 1,) list i is hashes[ends[i]:ends[i + 1]].
    """

    hashes: Hashes
    ends: I64

    def __getitem__(self, row: int) -> Hashes:
        """Hashes of one message."""
        return self.hashes[self.ends[row] : self.ends[row + 1]]

    def without(self, emptied: NDArray[np.bool_]) -> Rows:
        """The same lists, but for the marked messages, (n,), whose lists are empty."""
        lengths = np.diff(self.ends)
        kept = self.hashes[np.repeat(~emptied, lengths)]
        ends = np.zeros_like(self.ends)
        np.cumsum(np.where(emptied, 0, lengths), out=ends[1:])
        return Rows(kept, ends)

    @cached_property
    def kinds(self) -> NDArray[np.int32]:
        """Which distinct hash each one is, numbered from 0; kept, since sorting them takes long."""
        return np.unique(self.hashes, return_inverse=True)[1].astype(np.int32)


@dataclass(frozen=True, slots=True)
class Dataset:
    """Evidence, labels and origin of n messages.

    Attributes:
        experts: rows of words, grams, traits and stream, in the order of runtime.EXPERTS.
        spam: (n,) labels.
        ids: (n,) ids within their source.
        sources: (n,) index into `names`.
        names: names of the sources.
    """

    experts: tuple[Rows, Rows, Rows, Rows]
    spam: NDArray[np.bool_]
    ids: tuple[str, ...]
    sources: I64
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.spam)

    def evidence(self, row: int) -> Evidence:
        """Evidence of one message."""
        words, grams, traits, stream = (rows[row] for rows in self.experts)
        return Evidence(words, grams, traits, stream)

    def subset(self, members: Sequence[int] | I64) -> Dataset:
        """Some rows in their order, (m,) indices; sources without rows are dropped."""
        builder = DatasetBuilder()
        for row in np.sort(np.asarray(members, dtype=np.int64)).tolist():
            builder.add(
                self.evidence(row),
                spam=bool(self.spam[row]),
                id=self.ids[row],
                source=self.names[int(self.sources[row])],
            )
        return builder.build()


class DatasetBuilder:
    """Gathers evidence message by message; `build` packs it."""

    def __init__(self) -> None:
        self._lists: tuple[list[Hashes], ...] = ([], [], [], [])
        self._spam: list[bool] = []
        self._ids: list[str] = []
        self._sources: list[int] = []
        self._names: dict[str, int] = {}

    def add(self, evidence: Evidence, *, spam: bool, id: str, source: str) -> None:
        """Add one message."""
        for gathered, hashes in zip(self._lists, evidence.kinds, strict=True):
            gathered.append(hashes)
        self._spam.append(spam)
        self._ids.append(id)
        self._sources.append(self._names.setdefault(source, len(self._names)))

    def __len__(self) -> int:
        return len(self._spam)

    def build(self) -> Dataset:
        """Pack what was gathered."""
        words, grams, traits, stream = (packed(lists) for lists in self._lists)
        return Dataset(
            (words, grams, traits, stream),
            np.array(self._spam, dtype=np.bool_),
            tuple(self._ids),
            np.array(self._sources, dtype=np.int64),
            tuple(self._names),
        )


def packed(lists: Sequence[Hashes]) -> Rows:
    """Join the lists of n messages."""
    ends = np.zeros(len(lists) + 1, dtype=np.int64)
    np.cumsum([len(one) for one in lists], out=ends[1:])
    joined = np.concatenate(lists) if lists else np.zeros(0, dtype=np.uint32)
    return Rows(joined, ends)
