"""What the server needs of the pipeline: a filter, its rules and its store.

Structural, so that the server imports no model and its tests put a small filter in the place of
`winnow.pipeline.Filter`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from winnow.store import VerdictRow
from winnow.verdict import Envelope, Label, Learnt, Verdict


class AbstractRules(Protocol):
    """What the server needs to know of the owner's rules."""

    @property
    def junk_threshold(self) -> float:
        """Probability from which the general rule says junk."""

    @property
    def flag_threshold(self) -> float:
        """Probability from which the general rule says flag."""

    @property
    def rules(self) -> Sequence[object]:
        """The rules that come before the general one."""


class AbstractStore(Protocol):
    """`winnow.store.Store` as the server sees it."""

    @property
    def lost(self) -> int:
        """Verdicts that could not be written since the store was opened."""

    @property
    def last_error(self) -> str:
        """What the database said when it last failed to take verdicts, "" if it never did."""

    def record(self, verdict: Verdict, *, door: str, at: float) -> None:
        """Queue a verdict for the log. Never blocks, never raises."""

    def find(self, message_id: str) -> Sequence[VerdictRow]:
        """Return the logged verdicts on a message, the newest first. Raises StoreError."""

    def flush(self, timeout_seconds: float = ...) -> bool:
        """Wait until what is queued is written."""


class AbstractFilter(Protocol):
    """`winnow.pipeline.Filter` as the server sees it; tests put a small one in its place."""

    @property
    def model(self) -> str:
        """Name and short digest."""

    @property
    def device(self) -> str:
        """Name of the device that the model runs on."""

    @property
    def rules(self) -> AbstractRules:
        """The owner's rules."""

    @property
    def store(self) -> AbstractStore | None:
        """The database, or None when nothing is kept."""

    def check(
        self,
        raw: bytes,
        envelope: Envelope = ...,
        *,
        size_bytes: int | None = None,
        explain: bool = True,
        by: float | None = None,
    ) -> Verdict:
        """Answer for a message; thread-safe, also while `close` runs elsewhere."""

    def learn(self, raw: bytes, label: Label, *, source: str) -> Learnt:
        """Correct the weights. Raises StoreError."""

    def forget(self, raw: bytes, *, source: str) -> Learnt:
        """Take a correction back. Raises StoreError."""

    def refresh(self) -> int:
        """Take over the corrections that other processes wrote."""

    def close(self) -> None:
        """Flush and close the store."""
