"""Labelled evidence of many messages, packed: what the trainers read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from winnow.evidence import Buckets, Evidence

I64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Rows:
    """Bucket lists of n messages, one after another.

    Attributes:
        buckets: all lists joined.
        ends: (n + 1,) list i is buckets[ends[i]:ends[i + 1]].
    """

    buckets: Buckets
    ends: I64

    def __getitem__(self, row: int) -> Buckets:
        """Buckets of one message."""
        return self.buckets[self.ends[row] : self.ends[row + 1]]


@dataclass(frozen=True, slots=True)
class Dataset:
    """Evidence, labels and origin of n messages.

    Attributes:
        experts: rows of words, grams, traits and stream, in the order of runtime.EXPERTS.
        spam: (n,) labels.
        ids: (n,) ids within their source.
        sources: (n,) index into `names`.
        names: names of the sources.
        spaces: number of buckets of each expert's space.
    """

    experts: tuple[Rows, Rows, Rows, Rows]
    spam: NDArray[np.bool_]
    ids: tuple[str, ...]
    sources: I64
    names: tuple[str, ...]
    spaces: tuple[int, int, int, int]

    def __len__(self) -> int:
        return len(self.spam)

    def evidence(self, row: int) -> Evidence:
        """Evidence of one message."""
        words, grams, traits, stream = (rows[row] for rows in self.experts)
        return Evidence(words, grams, traits, stream)


class DatasetBuilder:
    """Gathers evidence message by message; `build` packs it."""

    def __init__(self, *, content_buckets: int, stream_buckets: int) -> None:
        self._spaces = (content_buckets, content_buckets, content_buckets, stream_buckets)
        self._lists: tuple[list[Buckets], ...] = ([], [], [], [])
        self._spam: list[bool] = []
        self._ids: list[str] = []
        self._sources: list[int] = []
        self._names: dict[str, int] = {}

    def add(self, evidence: Evidence, *, spam: bool, id: str, source: str) -> None:
        """Add one message."""
        arrays = (evidence.words, evidence.grams, evidence.traits, evidence.stream)
        for gathered, buckets in zip(self._lists, arrays, strict=True):
            gathered.append(buckets)
        self._spam.append(spam)
        self._ids.append(id)
        self._sources.append(self._names.setdefault(source, len(self._names)))

    def __len__(self) -> int:
        return len(self._spam)

    def build(self) -> Dataset:
        """Pack what was gathered."""
        words, grams, traits, stream = (_pack(lists) for lists in self._lists)
        return Dataset(
            (words, grams, traits, stream),
            np.array(self._spam, dtype=np.bool_),
            tuple(self._ids),
            np.array(self._sources, dtype=np.int64),
            tuple(self._names),
            self._spaces,
        )


def _pack(lists: list[Buckets]) -> Rows:
    ends = np.zeros(len(lists) + 1, dtype=np.int64)
    np.cumsum([len(one) for one in lists], out=ends[1:])
    joined = np.concatenate(lists) if lists else np.zeros(0, dtype=np.uint32)
    return Rows(joined, ends)
