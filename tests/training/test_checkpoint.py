"""A training that is stopped ends as one that was not, or says why it cannot go on."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("optax", reason="the extra [train] is not installed")

import jax
from safetensors import SafetensorError
from safetensors.numpy import save_file

from tests.model.tiny import random_weights
from tests.training.toys import SCHEDULE, SHAPE, as_bytes, toy_rows, training_of
from winnow.errors import InputError
from winnow.training.checkpoint import load_checkpoint, mark_of, save_checkpoint
from winnow.training.reader import State, Training
from winnow.training.reader_data import TokenRows

ROWS = toy_rows(64)
HELD_OUT = toy_rows(16, seed=1)


def _training(**changes: Any) -> Training:
    return training_of(ROWS, replace(SCHEDULE, **changes), HELD_OUT)


def _left(training: Training, seed: int = 0) -> State:
    """Give a training a state as it has in the middle, without training."""
    state = training.state
    state.weights = jax.tree.map(lambda w: w + 0.5, state.weights)
    state.memory = jax.tree.map(lambda leaf: leaf + 3, state.memory)
    state.step, state.seconds = 15, 12.5
    state.mean = {name: value * 2 for name, value in state.weights.items()}
    state.best = (10, 0.1 + 0.2, {name: value * 3 for name, value in state.weights.items()})
    state.curve = [(5, 0.7, 0.6), (10, 0.5, 0.1 + 0.2), (15, 1 / 3, float("inf"))]
    return state


def _same(one: State, other: State) -> bool:
    """Whether two states are the same to the last bit."""
    parts = [(one.weights, other.weights), (one.mean, other.mean)]
    if one.best is not None and other.best is not None:
        parts.append((one.best[2], other.best[2]))
    leaves = [
        [np.asarray(leaf) for leaf in jax.tree.leaves(state.memory)] for state in (one, other)
    ]
    return (
        all(as_bytes(mine or {}) == as_bytes(theirs or {}) for mine, theirs in parts)
        and [(a.tobytes(), a.dtype, a.shape) for a in leaves[0]]
        == [(a.tobytes(), a.dtype, a.shape) for a in leaves[1]]
        and (one.step, one.best and one.best[:2], repr(one.curve))
        == (other.step, other.best and other.best[:2], repr(other.curve))
    )


@pytest.mark.slow
def test_a_training_that_was_stopped_ends_as_one_that_was_not(tmp_path: Path) -> None:
    """After a power cut nothing but the steps since the last look is done again, bit by bit."""
    path = tmp_path / "reader.safetensors"
    whole = _training()
    whole.run()
    stopped = _training()
    stopped.run(until=SCHEDULE.look + 3, save=partial(save_checkpoint, path, mark=mark_of(stopped)))
    resumed = _training()
    load_checkpoint(path, resumed, mark_of(resumed))
    assert resumed.state.step == SCHEDULE.look
    assert resumed.state.seconds == stopped.state.seconds > 0
    resumed.run(save=partial(save_checkpoint, path, mark=mark_of(resumed)))
    assert _same(resumed.state, whole.state)
    assert as_bytes(resumed.weights) == as_bytes(whole.weights)
    assert as_bytes(whole.state.weights) != as_bytes(stopped.state.weights)
    assert resumed.state.seconds > stopped.state.seconds  # what was spent before the stop counts
    ended = _training()
    load_checkpoint(path, ended, mark_of(ended))
    ended.run(progress=lambda *_: pytest.fail("it had ended"))
    assert as_bytes(ended.weights) == as_bytes(whole.weights)


def test_everything_comes_back(tmp_path: Path) -> None:
    """Weights, the optimiser's memory, mean, best and curve, each to the last bit."""
    first, second = _training(), _training()
    _left(first)
    save_checkpoint(tmp_path / "a" / "b", first.state, mark_of(first))
    load_checkpoint(tmp_path / "a" / "b", second, mark_of(second))
    assert _same(first.state, second.state)
    assert second.state.weights.keys() == first.state.weights.keys()
    assert second.state.seconds == 12.5
    assert not _same(first.state, _training().state)
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b"]


def test_a_training_that_has_no_best_yet_comes_back(tmp_path: Path) -> None:
    """Without held-out mail, and before the mean begins, there is nothing more to restore."""
    first, second = training_of(ROWS), training_of(ROWS)
    first.state.step = 5
    first.state.curve = [(5, 0.7, float("nan"))]
    save_checkpoint(tmp_path / "a", first.state, mark_of(first))
    load_checkpoint(tmp_path / "a", second, mark_of(second))
    assert (second.state.mean, second.state.best, second.state.step) == (None, None, 5)
    assert _same(first.state, second.state)


def _changed(rows: TokenRows, **changes: Any) -> TokenRows:
    """Rows that differ in the last message."""
    last = rows.tokens[-1]
    ids = last.ids.copy()
    ids[-1] = (ids[-1] + 1) % SHAPE.pieces
    if "tokens" in changes:
        return replace(rows, tokens=[*rows.tokens[:-1], replace(last, **{changes["tokens"]: ids})])
    return replace(rows, **changes)


OTHERS: dict[str, Callable[[], Training]] = {
    "seed": lambda: _training(seed=1),
    "rate": lambda: _training(rate=1e-4),
    "patience": lambda: _training(patience=9),
    "other words": lambda: training_of(_changed(ROWS, tokens="ids"), held_out=HELD_OUT),
    "other fields": lambda: training_of(_changed(ROWS, tokens="fields"), held_out=HELD_OUT),
    "other labels": lambda: training_of(_changed(ROWS, target=1 - ROWS.target), held_out=HELD_OUT),
    "other weights": lambda: training_of(_changed(ROWS, weight=2 * ROWS.weight), held_out=HELD_OUT),
    "less mail": lambda: training_of(toy_rows(63), held_out=HELD_OUT),
    "no held-out mail": lambda: training_of(ROWS),
    "other held-out mail": lambda: training_of(ROWS, held_out=_changed(HELD_OUT, tokens="ids")),
    "other layers": lambda: Training(SHAPE, random_weights(SHAPE, 1), ROWS, SCHEDULE, HELD_OUT),
    "other heads": lambda: Training(
        replace(SHAPE, heads=4), random_weights(SHAPE), ROWS, SCHEDULE, HELD_OUT
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_checkpoint_of_another_training_is_refused(tmp_path: Path, name: str) -> None:
    """Options were changed and the old file was left: half of each would be neither."""
    training, other = _training(), OTHERS[name]()
    _left(training)
    path = tmp_path / "reader.safetensors"
    save_checkpoint(path, training.state, mark_of(training))
    with pytest.raises(InputError, match=rf"other mail or options; delete {re.escape(str(path))}"):
        load_checkpoint(path, other, mark_of(other))
    assert other.state.step == 0


def test_the_mark_is_that_of_the_training_and_not_of_its_progress() -> None:
    """It can be made before the work or after it; the same training has the same one."""
    training = _training()
    mark = mark_of(training)
    _left(training)
    assert mark_of(training) == mark == mark_of(_training())
    assert re.fullmatch("[0-9a-f]{16}", mark)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A checkpoint of `_training()`."""
    training = _training()
    _left(training)
    save_checkpoint(tmp_path / "reader.safetensors", training.state, mark_of(training))
    return tmp_path / "reader.safetensors"


@pytest.mark.parametrize("part", [0.0, 1e-4, 0.02, 0.5, 0.9999])
def test_a_file_that_was_cut_off_is_told(saved: Path, part: float) -> None:
    """A full disk or a copy that broke: the file is named, and what to do with it."""
    data = saved.read_bytes()
    saved.write_bytes(data[: int(part * len(data))])
    training = _training()
    with pytest.raises(InputError, match=r"is no whole checkpoint .*; delete .* to begin"):
        load_checkpoint(saved, training, mark_of(training))
    assert _same(training.state, _training().state)


@pytest.mark.parametrize("head", [None, {}, {"winnow": "{"}, {"winnow": "[]"}, {"winnow": "{}"}])
def test_a_file_of_something_else_is_told(tmp_path: Path, head: dict[str, str] | None) -> None:
    """Any other safetensors file, such as the backbone itself, is no checkpoint."""
    save_file({"a": np.zeros(3)}, tmp_path / "a", head)
    with pytest.raises(InputError, match="is no whole checkpoint"):
        load_checkpoint(tmp_path / "a", _training(), "mark")
    with pytest.raises(InputError, match="is no whole checkpoint"):
        load_checkpoint(tmp_path, _training(), "mark")


@pytest.mark.parametrize("error", [KeyboardInterrupt, SafetensorError, OSError])
def test_a_stop_while_writing_leaves_the_last_one_whole(
    saved: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    """Ctrl-C, or a disk that is full, costs the steps since the last look, not all of them."""

    def half(arrays: dict[str, Any], path: Path, head: dict[str, str]) -> None:
        path.write_bytes(json.dumps(head).encode())
        raise error("No space left on device")

    training = _training()
    _left(training)
    training.state.step = 30
    with monkeypatch.context() as patch:
        patch.setattr("safetensors.numpy.save_file", half)
        wanted = KeyboardInterrupt if error is KeyboardInterrupt else InputError
        with pytest.raises(wanted, match="No space left on device"):
            save_checkpoint(saved, training.state, mark_of(training))
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]
    load_checkpoint(saved, training, mark_of(training))
    assert training.state.step == 15


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """The first look says so, not the end of the training."""
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match=r"cannot write the checkpoint to .*file"):
        save_checkpoint(tmp_path / "file" / "reader", _training().state, "mark")
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match=r"cannot write the checkpoint to .*folder"):
        save_checkpoint(tmp_path / "folder", _training().state, "mark")
