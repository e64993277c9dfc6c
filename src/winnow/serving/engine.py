"""One worker's access to its filter: what runs in the event loop, what does not, and how long.

Law: small messages are checked in the event loop, because a hop to a thread costs as much as their
check; large ones in a few threads; everything that touches the database in one thread of its own,
so that a locked database delays corrections but never an answer. The filter is replaced by
replacing one reference; whoever holds the old one finishes with the old one.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from winnow.errors import StoreError, WinnowError
from winnow.serving.filter import AbstractFilter, AbstractRules
from winnow.serving.metrics import DOORS, Meters
from winnow.serving.settings import Limits
from winnow.store import VerdictRow
from winnow.verdict import Envelope, Label, Learnt, Verdict

REFRESH_SECONDS = 0.15
_FLUSH_SECONDS = 0.5
_LOST_LINE_SECONDS = 60.0
_LONGEST_LOGGED_ID = 200

logger = logging.getLogger("winnow.serving")
_T = TypeVar("_T")
_NO_ENVELOPE = Envelope()


@dataclass(slots=True)
class _Held:
    """A filter and how many of its lost rows have been counted."""

    filter: AbstractFilter
    lost_rows_counted: int = 0

    def newly_lost_rows(self) -> int:
        """Return how many rows its store has lost since the last call."""
        store = self.filter.store
        lost = store.lost if store is not None else 0
        newly, self.lost_rows_counted = lost - self.lost_rows_counted, lost
        return newly


class OverloadedError(TimeoutError):
    """So many large messages wait that a new one would not be answered in time."""


class Engine:
    """The filter of one worker process, shared by its doors.

    Attributes:
        limits: bounds of this worker.
        meters: where it counts.
    """

    def __init__(self, filter_: AbstractFilter, *, limits: Limits, meters: Meters) -> None:
        self.limits = limits
        self.meters = meters
        self._held = _Held(filter_)
        self._checkers = ThreadPoolExecutor(limits.threads, thread_name_prefix="check")
        self._keeper = ThreadPoolExecutor(1, thread_name_prefix="store")
        self._free_threads = asyncio.Semaphore(limits.threads)
        self._waiting = 0
        self._applied = 0
        self._log_error = ""
        self._next_lost_line = 0.0

    @property
    def model(self) -> str:
        """Name and short digest of the model that answers now."""
        return self._held.filter.model

    @property
    def device(self) -> str:
        """Name of the device that it runs on."""
        return self._held.filter.device

    @property
    def junk_threshold(self) -> float:
        """Probability from which the general rule says junk."""
        return self._held.filter.rules.junk_threshold

    @property
    def rules(self) -> AbstractRules:
        """The owner's rules that act now."""
        return self._held.filter.rules

    @property
    def applied(self) -> int:
        """Corrections of other processes that this worker has taken over."""
        return self._applied

    @property
    def log_error(self) -> str:
        """What the database said when it last failed to take verdicts, "" if it never did."""
        store = self._held.filter.store
        return (store.last_error if store is not None else "") or self._log_error

    @property
    def has_store(self) -> bool:
        """Whether verdicts and corrections are kept."""
        return self._held.filter.store is not None

    def door(self, name: str) -> Door:
        """Return the engine as one door uses it; `name` is one of `metrics.DOORS`."""
        return Door(self, name)

    def check(
        self, raw: bytes, envelope: Envelope, size_bytes: int | None, explain: bool
    ) -> Verdict:
        """Answer in this thread; for messages up to `limits.inline_bytes`."""
        by = time.perf_counter() + self.limits.deadline_seconds
        return self._held.filter.check(raw, envelope, size_bytes=size_bytes, explain=explain, by=by)

    async def check_in_thread(
        self, raw: bytes, envelope: Envelope, size_bytes: int | None, explain: bool
    ) -> Verdict:
        """Answer in one of a few threads, before the deadline; see `Door.check`."""
        if self._waiting >= self.limits.waiting:
            raise OverloadedError("too many large messages wait for an answer")
        ask = partial(
            self._held.filter.check,
            raw,
            envelope,
            size_bytes=size_bytes,
            explain=explain,
            by=time.perf_counter() + self.limits.deadline_seconds,
        )
        self._waiting += 1
        try:
            async with asyncio.timeout(self.limits.deadline_seconds):
                await self._free_threads.acquire()
                answer = _submit(self._checkers, ask)
                answer.add_done_callback(self._thread_is_free)
                # A thread cannot be stopped: on time-out it runs on, and only its end frees it.
                return await asyncio.shield(answer)
        finally:
            self._waiting -= 1

    def _thread_is_free(self, answer: asyncio.Future[Verdict]) -> None:
        self._free_threads.release()
        if not answer.cancelled():
            answer.exception()  # fetched, so that asyncio does not report it as forgotten

    def record(self, verdict: Verdict, door: str) -> None:
        """Queue a verdict for the log of the store, if there is one."""
        store = self._held.filter.store
        if store is not None:
            store.record(verdict, door=door, at=time.time())

    async def correct(self, raw: bytes, label: Label | None, source: str) -> Learnt:
        """Learn a message with a label, or forget it for None; see `Door.learn`."""
        async with asyncio.timeout(self.limits.deadline_seconds):
            return await self._in_keeper(partial(self._correct, raw, label, source))

    def _correct(self, raw: bytes, label: Label | None, source: str) -> Learnt:
        # Read here and not by the caller: this thread also closes a replaced filter.
        current = self._held.filter
        if label is None:
            return current.forget(raw, source=source)
        return current.learn(raw, label, source=source)

    async def find(self, message_id: str) -> Sequence[VerdictRow]:
        """Return the logged verdicts on a message, the newest first.

        Args:
            message_id: Message-ID with or without angle brackets, or the identity.

        Raises:
            StoreError: there is no store, or it cannot be read.
            TimeoutError: it did not answer before the deadline.
        """
        async with asyncio.timeout(self.limits.deadline_seconds):
            return await self._in_keeper(partial(self._find, message_id))

    def _find(self, message_id: str) -> Sequence[VerdictRow]:
        store = self._held.filter.store
        if store is None:
            raise StoreError("this server keeps no log: it was started without a store")
        store.flush(_FLUSH_SECONDS)  # so that one's own verdict is there at once
        return store.find(message_id)

    async def refresh(self) -> int:
        """Take over corrections of other processes; return how many."""
        taken = await self._in_keeper(lambda: self._held.filter.refresh())
        self._applied += taken
        self._count_lost(self._held)
        return taken

    async def keep_fresh(self) -> None:
        """Refresh for ever; a database that fails is reported once until it works again."""
        failing = False
        while True:
            await asyncio.sleep(REFRESH_SECONDS)
            try:
                await self.refresh()
            except WinnowError as error:
                if not failing:
                    logger.warning("event=refresh_failed error=%s", json.dumps(str(error)))
                failing = True
            else:
                failing = False

    async def replace(self, filter_: AbstractFilter) -> None:
        """Answer with another filter from now on, and close the one before."""
        self._log_error = self.log_error  # of the store that goes
        before, self._held = self._held, _Held(filter_)
        await self._in_keeper(before.filter.close)
        self._count_lost(before)

    async def close(self) -> None:
        """Flush the store and end the threads; those that still check are not waited for."""
        await self._in_keeper(lambda: self._held.filter.close())
        self._count_lost(self._held)
        self._keeper.shutdown()
        self._checkers.shutdown(wait=False, cancel_futures=True)

    def _count_lost(self, held: _Held) -> None:
        """Count log rows that were lost, and say so, but not for each of many."""
        rows, now_seconds = held.newly_lost_rows(), time.monotonic()
        self.meters.lost(rows, now_seconds)
        if rows and now_seconds >= self._next_lost_line:
            self._next_lost_line = now_seconds + _LOST_LINE_SECONDS
            error = json.dumps(self.log_error)
            logger.warning("event=log_rows_lost rows=%d error=%s", rows, error)

    async def _in_keeper(self, work: Callable[[], _T]) -> _T:
        return await _submit(self._keeper, work)


class Door:
    """The engine as one door uses it: the same answers, counted and logged under its name."""

    def __init__(self, engine: Engine, name: str) -> None:
        assert name in DOORS
        self._engine = engine
        self._meters = engine.meters
        self.name = name

    @property
    def junk_threshold(self) -> float:
        """Probability from which the general rule says junk."""
        return self._engine.junk_threshold

    @property
    def limits(self) -> Limits:
        """Bounds of this worker."""
        return self._engine.limits

    async def check(
        self,
        raw: bytes,
        envelope: Envelope = _NO_ENVELOPE,
        *,
        size_bytes: int | None = None,
        explain: bool = True,
    ) -> Verdict:
        """Answer for a message, and log the answer.

        Args:
            raw: the message, or its first `limits.scan_bytes`.
            envelope: what the mail server knows of it.
            size_bytes: size of the whole message; None when `raw` is whole.
            explain: whether reasons are wanted.

        Raises:
            OverloadedError: too many large messages wait (a `TimeoutError`, too).
            TimeoutError: no answer before the deadline.
        """
        verdict = self.check_now(raw, envelope, size_bytes=size_bytes, explain=explain)
        if verdict is not None:
            return verdict
        start = time.perf_counter()
        try:
            verdict = await self._engine.check_in_thread(raw, envelope, size_bytes, explain)
        except TimeoutError as error:
            self.failed("busy" if isinstance(error, OverloadedError) else "deadline")
            raise
        self._answered(verdict, envelope, time.perf_counter() - start)
        return verdict

    def check_now(
        self,
        raw: bytes,
        envelope: Envelope = _NO_ENVELOPE,
        *,
        size_bytes: int | None = None,
        explain: bool = True,
    ) -> Verdict | None:
        """Answer for a small message without waiting, as `check` does; None for a large one."""
        if len(raw) > self._engine.limits.inline_bytes:
            return None
        start = time.perf_counter()
        verdict = self._engine.check(raw, envelope, size_bytes, explain)
        self._answered(verdict, envelope, time.perf_counter() - start)
        return verdict

    def _answered(self, verdict: Verdict, envelope: Envelope, seconds: float) -> None:
        self._engine.record(verdict, self.name)
        self._meters.answered(self.name, verdict, seconds)
        if logger.isEnabledFor(logging.INFO):
            self._log(verdict, envelope)

    async def learn(self, raw: bytes, label: Label, *, source: str) -> Learnt:
        """Correct the weights with one labelled message; the next answer knows of it.

        Args:
            raw: the message, or its first `limits.scan_bytes`.
            label: what a person says it is.
            source: who says so, in a word or two for the correction log.

        Raises:
            StoreError: the correction was not taken.
            TimeoutError: not before the deadline; it may still be taken later.
        """
        return await self._correct(raw, label, source)

    async def forget(self, raw: bytes, *, source: str) -> Learnt:
        """Take back what was learnt from a message; raises as `learn` does."""
        return await self._correct(raw, None, source)

    async def _correct(self, raw: bytes, label: Label | None, source: str) -> Learnt:
        word = "forget" if label is None else str(label)
        try:
            result = await self._engine.correct(raw, label, source)
        except StoreError:
            self.failed("store")
            raise
        except TimeoutError:
            self.failed("deadline")
            raise
        self._meters.corrected(word, result)
        logger.info(
            "event=correction label=%s result=%s door=%s source=%s",
            word, json.dumps(str(result)), self.name, json.dumps(source),
        )  # fmt: skip
        return result

    def failed(self, kind: str) -> None:
        """Count a request that got no answer; `kind` is one of `metrics.ERROR_KINDS`."""
        self._meters.failed(self.name, kind)

    def _log(self, verdict: Verdict, envelope: Envelope) -> None:
        # The id and the client come from outside: as JSON they cannot forge a second line.
        logger.info(
            "event=verdict id=%s action=%s probability=%.4f rule=%s stage=%s why=%s ms=%.2f"
            " bytes=%d door=%s client=%s",
            json.dumps(verdict.id[:_LONGEST_LOGGED_ID]), verdict.action, verdict.probability,
            json.dumps(verdict.rule), verdict.stage, json.dumps(verdict.why), verdict.milliseconds,
            verdict.size_bytes,
            self.name, json.dumps(envelope.client_address[:_LONGEST_LOGGED_ID]),
        )  # fmt: skip


def _submit(executor: Executor, work: Callable[[], _T]) -> asyncio.Future[_T]:
    return asyncio.get_running_loop().run_in_executor(executor, work)
