"""When model and rules are read anew, and when not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.serving.fakes import HAM, FakeFilter, until, write_model
from winnow.errors import ArtifactError, RuleError, StoreError
from winnow.serving import swap
from winnow.serving.board import Board
from winnow.serving.engine import Engine
from winnow.serving.metrics import CELLS, SWAPS, Meters
from winnow.serving.settings import Limits
from winnow.serving.swap import Swapper, fingerprint
from winnow.verdict import Action, Label


def run(
    folder: Path,
    test: Callable[[Swapper, Engine, Board], Awaitable[Any]],
    open_filter: Callable[[], Any] | None = None,
) -> None:
    """Run a test with an engine on the fake in a folder and a swapper that watches it."""

    async def body() -> None:
        board = Board(2, CELLS)
        engine = Engine(FakeFilter(folder), limits=Limits(), meters=Meters(board.rows[1]))
        opener = open_filter or (lambda: FakeFilter(folder))
        model = folder / "model"
        await test(Swapper(engine, opener, model, fingerprint(model)), engine, board)
        await engine.close()

    asyncio.run(body())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_model(tmp_path, "first@1")
    return tmp_path


def test_fingerprint_sees_every_way_to_change_a_model(folder: Path):
    """Protects swaps: writing into a file, replacing one, adding one, replacing the folder."""
    model = folder / "model"
    seen = [fingerprint(model)]
    with (model / "manifest.json").open("a") as file:
        file.write(" ")
    seen.append(fingerprint(model))
    write_model(folder, "first@1")
    seen.append(fingerprint(model))
    (model / "weights").write_bytes(b"1")
    seen.append(fingerprint(model))
    model.rename(folder / "old")
    seen.append(fingerprint(model))
    assert seen[-1] == ()
    write_model(folder, "first@1")
    seen.append(fingerprint(model))
    assert len(set(seen)) == len(seen)
    assert fingerprint(model) == seen[-1]


def test_reload_takes_over_what_was_learnt_meanwhile(folder: Path):
    """Protects corrections made while the new model was being opened."""
    late: list[FakeFilter] = []

    def slow_open() -> FakeFilter:
        fresh = FakeFilter(folder)
        late.append(fresh)
        FakeFilter(folder).learn(HAM, Label.SPAM, source="elsewhere")
        return fresh

    async def test(swapper: Swapper, engine: Engine, board: Board) -> None:
        write_model(folder, "second@2")
        assert await swapper.reload("signal")
        verdict = await engine.door("http").check(HAM)
        assert (verdict.model, verdict.action) == ("second@2", Action.JUNK)
        assert board.total(SWAPS.cell("swapped")) == 1

    run(folder, test, slow_open)


@pytest.mark.parametrize(
    "error",
    [
        ArtifactError("bad sum"),
        RuleError("no such field", origin="r.toml", line=3, column=4),
        StoreError("locked"),
        ZeroDivisionError("a bug"),
    ],
)
def test_what_cannot_be_opened_is_refused(
    folder: Path, caplog: pytest.LogCaptureFixture, error: Exception
):
    """Protects the running server from any fault of a new model, rule file or store."""

    def fail() -> FakeFilter:
        raise error

    async def test(swapper: Swapper, engine: Engine, board: Board) -> None:
        assert not await swapper.reload("signal")
        assert engine.model == "first@1"
        assert (await engine.door("http").check(HAM)).model == "first@1"
        assert board.total(SWAPS.cell("refused")) == 1

    run(folder, test, fail)
    assert "event=swap_refused reason=signal kept=first@1" in caplog.text


def test_a_filter_that_cannot_refresh_is_closed(folder: Path):
    """Protects descriptors: what was opened in vain is closed."""
    opened: list[FakeFilter] = []

    def open_filter() -> FakeFilter:
        opened.append(FakeFilter(folder))

        def refresh() -> int:
            raise StoreError("gone")

        opened[0].refresh = refresh  # type: ignore[method-assign]
        return opened[0]

    async def test(swapper: Swapper, engine: Engine, board: Board) -> None:
        assert not await swapper.reload("signal")

    run(folder, test, open_filter)
    assert opened[0].closed == 1


def test_watching(folder: Path, monkeypatch: pytest.MonkeyPatch):
    """Protects from half-written models: one is read when it has kept still, and only once."""
    monkeypatch.setattr(swap, "POLL_SECONDS", 0.02)
    changing = False
    looks: list[int] = []
    opened: list[str] = []

    def look(model: Path) -> swap.Fingerprint:
        looks.append(len(looks))
        if changing:
            write_model(folder, f"half@{looks[-1]}")
        return fingerprint(model)

    async def looked(times: int = 10) -> None:
        end = len(looks) + times
        await until(lambda: len(looks) >= end)

    monkeypatch.setattr(swap, "fingerprint", look)

    def open_filter() -> FakeFilter:
        fresh = FakeFilter(folder)
        opened.append(fresh.model)
        return fresh

    async def test(swapper: Swapper, engine: Engine, board: Board) -> None:
        nonlocal changing
        write_model(folder, "second@2")  # after the engine has opened the first
        task = asyncio.ensure_future(swapper.run())
        await until(lambda: engine.model == "second@2")
        changing = True  # all the time: at every look it is another one
        await looked()
        assert opened == ["second@2"]
        changing = False
        last = f"half@{looks[-1]}"
        await until(lambda: engine.model == last)
        await looked()
        assert opened == ["second@2", last]
        (folder / "model").rename(folder / "away")
        await looked()
        assert opened == ["second@2", last]
        assert engine.model == last
        swapper.requested.set()
        await until(lambda: board.total(SWAPS.cell("refused")))
        assert board.total(SWAPS.cell("refused")) == 1
        task.cancel()

    run(folder, test, open_filter)
