"""The reader as it runs: what a graph says of tokens, and what is no graph of a reader."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest

from tests.runtime.graphs import table_graph
from tests.runtime.hardware import PROCESSOR, Stand, stand
from winnow.errors import ArtifactError, DeviceError, ReaderError
from winnow.runtime import Cascade, Opening, Reader
from winnow.runtime.devices import load
from winnow.tokens import Tokens

TABLE = (0.5, -1.0, 2.0, float("nan"), float("inf"))
KINDS = (0.0, 0.25, -4.0, 8.0, 16.0)
GRAPH = table_graph(TABLE, kinds=KINDS, limit=48)


def _tokens(*ids: int, fields: tuple[int, ...] = ()) -> Tokens:
    return Tokens(np.array(ids, dtype=np.int64), np.array(fields or [0] * len(ids), dtype=np.int64))


@pytest.fixture(scope="module")
def reader() -> Reader:
    """A reader whose answers can be added up by hand."""
    return Reader(GRAPH)


def test_a_message_has_its_answer_and_what_each_token_added(reader: Reader) -> None:
    """Pieces and fields reach the graph as what they are; the mean of the shares is the answer."""
    value, shares = reader.read(_tokens(0, 1, 2, 2, fields=(0, 1, 2, 4)))
    assert shares.tolist() == [0.5, -0.75, -2.0, 18.0]
    assert value == pytest.approx(15.75 / 4, abs=1e-6)
    assert isinstance(value, float)


def test_a_graph_need_not_tell_what_each_token_added() -> None:
    """An imported classifier seldom does; the answer is the same."""
    value, shares = Reader(table_graph(TABLE, kinds=KINDS, shares=False)).read(_tokens(0, 1, 2, 2))
    assert value == pytest.approx(3.5 / 4, abs=1e-6)
    assert shares.shape == (0,)


def test_it_knows_what_it_is_for(reader: Reader) -> None:
    """A tokenizer is compared with these before any mail is read."""
    assert (reader.pieces, reader.limit) == (len(TABLE), 48)


@pytest.mark.parametrize("length", [1, 2, 47, 48])
def test_any_length_is_read_as_it_is(reader: Reader, length: int) -> None:
    """Nothing is padded: a share for each token and no more."""
    value, shares = reader.read(_tokens(*[1] * length))
    assert (len(shares), value) == (length, -1.0)


@pytest.mark.parametrize(
    ("tokens", "told"),
    [
        (_tokens(3), "its answer is no number"),
        (_tokens(0, 4), "its answer is no number"),
        (_tokens(len(TABLE)), "the reader failed: .+"),
        (_tokens(0, fields=(9,)), "the reader failed: .+"),
    ],
    ids=["nan", "infinite", "unknown piece", "unknown field"],
)
def test_what_cannot_be_answered_is_one_kind_of_error(
    reader: Reader, tokens: Tokens, told: str
) -> None:
    """The reflex's answer stands then; NaN never reaches a rule."""
    with pytest.raises(ReaderError, match=told) as found:
        reader.read(tokens)
    assert "\n" not in str(found.value)
    assert len(str(found.value)) < 300


def test_an_error_leaves_it_able_to_answer(reader: Reader) -> None:
    """One odd message does not cost the next its answer."""
    with pytest.raises(ReaderError):
        reader.read(_tokens(99))
    assert reader.read(_tokens(2))[0] == 2.0


def test_several_threads_may_ask(reader: Reader) -> None:
    """Each gets the answer to its own message."""
    messages = [_tokens(*[n % 3] * (1 + n % 40)) for n in range(400)]
    with ThreadPoolExecutor(4) as pool:
        found = [value for value, _ in pool.map(reader.read, messages)]
    assert found == [TABLE[n % 3] for n in range(400)]


@pytest.mark.parametrize(
    "data",
    [b"", b"no graph", GRAPH[:-60], GRAPH.replace(b"ReduceMean", b"ReduceMain")],
    ids=["empty", "text", "cut off", "unknown operator"],
)
def test_what_is_no_graph_is_refused(data: bytes) -> None:
    """A damaged file is told when the model is opened, in one line."""
    with pytest.raises(ArtifactError, match=r"^reader\.onnx ") as found:
        Reader(data)
    assert "\n" not in str(found.value)


@pytest.mark.parametrize(
    ("old", "new"), [(b"log_odds", b"log_oddz"), (b"shares", b"sharez"), (b"fields", b"fieldz")]
)
def test_a_graph_of_something_else_is_refused(old: bytes, new: bytes) -> None:
    """Another network under our file's name would answer nonsense, or fail on every message."""
    with pytest.raises(ArtifactError, match="something else than Winnow's reader"):
        Reader(GRAPH.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new"), [(b"pieces\x12", b"piecez\x12"), (b"positions", b"positionz"), (b"48", b"4x")]
)
def test_a_graph_that_does_not_say_its_sizes_is_refused(old: bytes, new: bytes) -> None:
    """Without them nobody could tell whether the tokenizer is the right one."""
    assert GRAPH.count(old) == 1
    with pytest.raises(ArtifactError, match="does not say for how many pieces"):
        Reader(GRAPH.replace(old, new))


def test_without_the_runtime_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken installation is a sentence, and the reflex goes on answering."""
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ArtifactError, match="needs onnxruntime"):
        Reader(GRAPH)


def test_it_runs_on_the_device_that_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """And not before the device has answered as the processor does."""
    whole = table_graph(TABLE[:3], limit=48)
    table = (PROCESSOR, stand("good", Stand()), stand("odd", Stand(times=9.0)))
    monkeypatch.setattr("winnow.runtime.reader.load", partial(load, table=table))
    assert [Reader(whole, name).device for name in ("cpu", "good")] == ["cpu", "good"]
    with pytest.raises(DeviceError, match=r"odd does not take reader\.onnx: its answers are up to"):
        Reader(whole, "odd")
    with pytest.raises(DeviceError, match="no device 'other'"):
        Reader(whole, "other")


def test_a_graph_may_give_the_answer_of_both_stages() -> None:
    """One call: the cascade's sum, the reader's own answer, and what each token added."""
    graph = pytest.importorskip("winnow.compiler.graph", reason="the extra [compile] is missing")
    answer = pytest.importorskip("winnow.compiler.answer")
    cascade = Cascade(0.5, 2.0, -1.0, -1.0, 2.0, Opening(60, 0.1, 0.5, 0.6, 1.2))
    made = answer.with_answer(graph.parsed(table_graph(TABLE[:3], limit=48), "test"), cascade)
    reader = Reader(graph.serialised(made))
    assert reader.cascade == cascade.spelt()
    for reflex, opening in ((3.0, None), (-6.0, 4.0)):
        value, second, shares = reader.answer(_tokens(0, 1), reflex, opening)
        assert second == -0.25
        assert shares.tolist() == [0.5, -1.0]
        assert value == pytest.approx(cascade.log_odds(reflex, second, opening), abs=1e-6)
    assert reader.read(_tokens(0, 1))[0] == -0.25  # as a reader that is asked alone


def test_a_graph_without_it_names_no_cascade(reader: Reader) -> None:
    """So that whoever asks adds up the stages by itself."""
    assert reader.cascade == ""
