"""Who waits for whom inside one worker."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.serving.fakes import HAM, SPAM, FakeFilter, pass_time, settle, until
from winnow.errors import StoreError
from winnow.serving.board import Board
from winnow.serving.engine import Engine, OverloadedError
from winnow.serving.metrics import CELLS, ERRORS, LOST_ROWS, RECEIVED, VERDICTS, Meters
from winnow.serving.settings import Limits
from winnow.verdict import Action, Envelope, Label, Learnt

LARGE = b"x" * 2000


def run(
    test: Callable[[Engine, Board], Awaitable[Any]],
    filter_: FakeFilter | None = None,
    **limits: Any,
) -> Any:
    """Run a test with an engine in a loop; close the engine after it."""

    async def body() -> Any:
        board = Board(2, CELLS)
        bounds = Limits(**{"inline_bytes": 1000, "deadline_seconds": 20.0, **limits})
        engine = Engine(filter_ or FakeFilter(), limits=bounds, meters=Meters(board.rows[1]))
        try:
            return await test(engine, board)
        finally:
            await engine.close()

    return asyncio.run(body())


def test_the_question_arrives_whole():
    """Protects verdicts: envelope, true size and the wish for reasons reach the filter."""

    async def test(engine: Engine, board: Board) -> None:
        door = engine.door("http")
        for raw in (SPAM, SPAM + LARGE):
            verdict = await door.check(raw, Envelope("a@b"), size_bytes=9999)
            assert verdict.action is Action.JUNK
            assert verdict.size_bytes == 9999
            assert verdict.reasons[1].text == "a@b"
            assert not (await door.check(raw, explain=False)).reasons
        assert board.total(VERDICTS.cell("junk", "reflex")) == 4

    run(test)


def test_small_messages_need_no_thread():
    """Protects the speed of small mail, which is nearly all mail."""
    threads = []
    fake = FakeFilter()
    check = fake.check

    def spy(*args: Any, **options: Any) -> Any:
        threads.append(threading.current_thread())
        return check(*args, **options)

    fake.check = spy  # type: ignore[method-assign]

    async def test(engine: Engine, board: Board) -> None:
        await engine.door("http").check(HAM)
        await engine.door("http").check(HAM + LARGE)

    run(test, fake)
    assert threads[0] is threading.main_thread()
    assert threads[1] is not threading.main_thread()


def test_small_messages_can_be_asked_about_without_waiting():
    """Protects the cheap way of the spamd door: the same answer, counted and kept the same."""

    async def test(engine: Engine, board: Board) -> None:
        door = engine.door("spamd")
        verdict = door.check_now(SPAM, Envelope("a@b"), size_bytes=77, explain=True)
        assert verdict == await door.check(SPAM, Envelope("a@b"), size_bytes=77)
        assert door.check_now(SPAM + LARGE) is None
        assert board.total(VERDICTS.cell("junk", "reflex")) == 2
        assert len(await engine.find("spam@example.org")) == 2

    run(test)


def test_large_messages_do_not_stop_the_loop():
    """Protects everybody else while a hostile message is being looked at."""
    fake = FakeFilter()

    async def test(engine: Engine, board: Board) -> None:
        door = engine.door("http")
        slow = asyncio.ensure_future(door.check(b"WAIT " + LARGE))
        await settle()
        await door.check(HAM)
        assert not slow.done()
        fake.let_go.set()
        await slow

    run(test, fake)


def test_deadline():
    """Protects callers: no answer in time is an error, and the thread is free again at its end."""
    fake = FakeFilter()

    async def test(engine: Engine, board: Board) -> None:
        door = engine.door("spamd")
        for raw in (b"WAIT " + LARGE, LARGE):  # the only thread is taken by the first
            asked = asyncio.ensure_future(door.check(raw))
            await settle()
            pass_time(15)
            await settle()
            assert not asked.done()
            pass_time(10)
            with pytest.raises(TimeoutError):
                await asked
        assert board.total(ERRORS.cell("spamd", "deadline")) == 2
        fake.let_go.set()
        assert await door.check(LARGE)

    run(test, fake, threads=1)


def test_only_so_many_may_wait():
    """Protects memory: when too many large messages wait, a further one is told at once."""

    async def test(engine: Engine, board: Board) -> None:
        door = engine.door("http")
        slow = [asyncio.ensure_future(door.check(b"SLEEP 50 " + LARGE)) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(OverloadedError):
            await door.check(LARGE)
        assert len(await asyncio.gather(*slow)) == 3
        assert await door.check(LARGE)
        assert board.total(ERRORS.cell("http", "busy")) == 1

    run(test, threads=1, waiting=3)


def test_corrections_count_and_act_at_once():
    """Protects the promise that the next answer knows of a correction."""

    async def test(engine: Engine, board: Board) -> None:
        door = engine.door("http")
        assert await door.learn(HAM, Label.SPAM, source="test") is Learnt.LEARNT
        assert (await door.check(HAM)).action is Action.JUNK
        assert await door.learn(HAM, Label.HAM, source="test") is Learnt.RELABELLED
        assert (await door.check(HAM)).action is Action.DELIVER
        assert await door.forget(HAM, source="test") is Learnt.FORGOTTEN
        assert board.total(RECEIVED.cell("spam", str(Learnt.LEARNT))) == 1
        assert board.total(RECEIVED.cell("ham", str(Learnt.RELABELLED))) == 1
        assert board.total(RECEIVED.cell("forget", str(Learnt.FORGOTTEN))) == 1

    run(test)


def test_a_locked_database_stops_no_answer():
    """Protects answers: corrections fail or wait alone."""
    fake = FakeFilter()

    async def test(engine: Engine, board: Board) -> None:
        door = engine.door("http")
        with pytest.raises(StoreError):
            await door.learn(b"LOCKED", Label.SPAM, source="test")
        assert board.total(ERRORS.cell("http", "store")) == 1
        slow = asyncio.ensure_future(door.learn(b"WAIT", Label.SPAM, source="test"))
        await settle()
        assert await door.check(HAM)
        assert await door.check(LARGE)
        assert not slow.done()
        pass_time(21)
        with pytest.raises(TimeoutError):
            await slow
        assert board.total(ERRORS.cell("http", "deadline")) == 1
        fake.let_go.set()

    run(test, fake)


def test_corrections_of_others(tmp_path: Path):
    """Protects agreement between workers: what one learns, the other knows soon."""
    fake = FakeFilter(_folder(tmp_path))
    other = FakeFilter(tmp_path)

    async def test(engine: Engine, board: Board) -> None:
        task = asyncio.ensure_future(engine.keep_fresh())
        other.learn(HAM, Label.SPAM, source="elsewhere")
        await until(lambda: engine.applied)
        assert (await engine.door("http").check(HAM)).action is Action.JUNK
        assert engine.applied == 1
        task.cancel()

    run(test, fake)


def test_a_failing_refresh_is_reported_once_and_tried_again(caplog: pytest.LogCaptureFixture):
    """Protects the log from a database that fails for hours, and us from giving up on it."""
    fake = FakeFilter()
    calls: list[int] = []

    def refresh() -> int:
        calls.append(1)
        if len(calls) < 3:
            raise StoreError("disk full")
        return 7

    fake.refresh = refresh  # type: ignore[method-assign]

    async def test(engine: Engine, board: Board) -> None:
        task = asyncio.ensure_future(engine.keep_fresh())
        await until(lambda: engine.applied == 7)
        task.cancel()

    run(test, fake)
    assert caplog.text.count("event=refresh_failed") == 1


def test_verdicts_are_kept_and_found():
    """Protects the look-up by message id."""

    async def test(engine: Engine, board: Board) -> None:
        await engine.door("http").check(SPAM)
        await engine.door("spamd").check(SPAM)
        found = await engine.find("spam@example.org")
        assert [row.door for row in found] == ["spamd", "http"]
        assert found[0].action is Action.JUNK
        assert abs(found[0].at - time.time()) < 60
        assert await engine.find("nobody@example.org") == []

    run(test)


def test_without_a_store():
    """Protects `--no-store`: answers go on, what needs the store says so."""

    async def test(engine: Engine, board: Board) -> None:
        assert not engine.has_store
        assert await engine.door("http").check(SPAM)
        with pytest.raises(StoreError, match="without a store"):
            await engine.find("spam@example.org")
        with pytest.raises(StoreError):
            await engine.door("http").learn(SPAM, Label.SPAM, source="test")

    run(test, FakeFilter(store=False))


def test_lost_rows_are_counted_once():
    """Protects the count of lost rows, over a swap of the filter and at the end, too."""
    board = Board(2, CELLS)

    async def body() -> None:
        engine = Engine(FakeFilter(), limits=Limits(), meters=Meters(board.rows[1]))
        door = engine.door("http")
        lost = b"Message-ID: <lose-it@x>\r\n\r\n"
        await door.check(lost)
        await engine.refresh()
        await engine.refresh()
        assert board.total(LOST_ROWS.start) == 1
        assert engine.log_error == "the disk is full"
        await door.check(lost)
        await engine.replace(FakeFilter())
        assert board.total(LOST_ROWS.start) == 2
        await door.check(lost)
        await engine.close()

    asyncio.run(body())
    assert board.total(LOST_ROWS.start) == 3


def test_a_loss_is_told_but_not_again_and_again(caplog: pytest.LogCaptureFixture):
    """Protects the owner: the log says that rows are lost, and why, and is not filled by it."""

    async def test(engine: Engine, board: Board) -> None:
        for _ in range(3):
            await engine.door("http").check(b"Message-ID: <lose-it@x>\r\n\r\n")
            await engine.refresh()

    run(test)
    assert caplog.text.count('event=log_rows_lost rows=1 error="the disk is full"') == 1


def test_what_the_database_said_outlives_a_swap():
    """Protects the owner: rows were lost, and health still says why after a new model came."""

    async def test(engine: Engine, board: Board) -> None:
        await engine.door("http").check(b"Message-ID: <lose-it@x>\r\n\r\n")
        await engine.replace(FakeFilter())
        assert engine.log_error == "the disk is full"

    run(test)


def test_replacing_closes_the_old_filter_after_its_corrections(tmp_path: Path):
    """Protects a correction on its way while the model is swapped."""
    old, new = FakeFilter(), FakeFilter(_folder(tmp_path))

    async def test(engine: Engine, board: Board) -> None:
        door = engine.door("http")
        learning = asyncio.ensure_future(door.learn(b"SLEEP 50", Label.SPAM, source="test"))
        checking = asyncio.ensure_future(door.check(b"SLEEP 50" + LARGE))
        await settle()
        await engine.replace(new)
        assert learning.done()
        assert await learning is Learnt.LEARNT
        assert (await checking).model == "fake@00000000"
        assert old.closed == 1
        assert engine.model == "m@1"
        assert (await door.check(HAM)).model == "m@1"

    run(test, old)
    assert new.closed == 1


def test_log_lines_cannot_be_forged(caplog: pytest.LogCaptureFixture):
    """Protects the log: ids and addresses come from the mail, its text never appears."""
    caplog.set_level(logging.INFO)

    async def test(engine: Engine, board: Board) -> None:
        envelope = Envelope(client_address="1.2.3.4\nevent=verdict")
        raw = b"Message-ID: <a\n\revent=x \xff" + b"y" * 500 + b">\r\n\r\nSECRET CHEAP"
        raw = raw.replace(b"\n\r", b"\t")
        await engine.door("http").check(raw, envelope)

    run(test)
    (line,) = [record.getMessage() for record in caplog.records if "verdict" in record.msg]
    assert "\n" not in line
    assert "\t" not in line
    assert "SECRET" not in line
    assert len(line) < 600
    assert "action=junk probability=0.9700" in line


def _folder(path: Path) -> Path:
    (path / "model").mkdir()
    (path / "model" / "manifest.json").write_text('{"name": "m@1"}')
    return path
