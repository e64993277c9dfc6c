"""Safe text, sizes, times and progress."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cli.conftest import Run
from winnow.cli.terminal import (
    _Meter,
    _PlainProgress,
    a_path,
    add_labelled,
    console,
    listed,
    printable,
    progress_bar,
    read_stdin_once,
    seconds,
    size,
)
from winnow.errors import InputError


@given(st.text(st.characters(codec=None), max_size=80), st.integers(8, 60), st.booleans())
def test_text_from_mail_is_one_short_line(text: str, width: int, keep_end: bool) -> None:
    """No control sign, line break, lone surrogate or turn of direction reaches the terminal."""
    shown = printable(text, width, keep_end=keep_end)
    assert shown.isprintable()
    assert len(shown) <= width
    shown.encode()


def test_where_text_is_cut() -> None:
    """Names keep both ends, sentences their beginning; what fits is left alone."""
    assert printable("abcdefghij", 10) == "abcdefghij"
    assert printable("abcdefghijk", 8) == "abc…hijk"
    assert printable("abcdefghijk", 8, keep_end=False) == "abcdefg…"
    assert printable("a\x1b[2J\nb") == r"a\x1b[2J\nb"


def test_the_console_obeys_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    """Brackets and colons of mail are text."""
    console().print("[bold]y[/bold] :smile: [/]")
    assert capsys.readouterr().out == "[bold]y[/bold] :smile: [/]\n"


def test_numbers_for_people() -> None:
    """Times, sizes and lists as one would say them."""
    assert [seconds(0.04), seconds(99.9), seconds(125)] == ["0.0 s", "99.9 s", "2 min 5 s"]
    assert [size(99_999), size(4_230_000)] == ["99,999 bytes", "4.2 MB"]
    assert [listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"])] == [
        "a", "a and b", "a, b and c",
    ]  # fmt: skip


def clock(*times: float) -> Iterator[float]:
    """Return a clock that shows these times."""
    return iter(times)


def test_the_rate_is_that_of_one_stretch() -> None:
    """A second corpus begins anew; its rate is not that of the first."""
    ticks = clock(0.0, 2.0, 10.0, 11.0, 20.0, 22.0)
    meter = _Meter(lambda: next(ticks))
    assert [meter.update(0, 100), meter.update(50, 100)] == [True, False]
    assert meter.rate == 25
    assert [meter.update(1, 100), meter.update(5, 100)] == [True, False]
    assert meter.rate == 5
    assert meter.update(6, 300)
    assert not meter.update(106, 300)
    assert meter.rate == 53


def test_the_rate_is_of_work_done_now() -> None:
    """A training that goes on from a checkpoint was not as fast as its count says."""
    ticks = clock(0.0, 2.0)
    meter = _Meter(lambda: next(ticks))
    assert [meter.update(500, 1000), meter.update(520, 1000)] == [True, False]
    assert meter.rate == 10


def test_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """Where there is no terminal, a line every five seconds with rate and time left."""
    now = [0.0]
    show = _PlainProgress(lambda: now[0])
    for second in range(13):
        now[0] = float(second)
        show("reading", 100 * second, 2000)
    show("reading", 1200, None)
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "reading: 500 of 2,000, 100/s, 15.0 s left",
        "reading: 1,000 of 2,000, 100/s, 10.0 s left",
    ]


def test_progress_without_a_terminal_is_quiet_at_first(capsys: pytest.CaptureFixture[str]) -> None:
    """Short work leaves nothing in a log."""
    with progress_bar() as show:
        show("reading", 1, None)
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "")


def test_paths_add_up() -> None:
    """--spam a --spam b c names three places."""
    parser = argparse.ArgumentParser()
    add_labelled(parser)
    args = parser.parse_args(["--spam", "a", "--spam", "b", "c", "--ham", "d"])
    assert [str(path) for path in args.spam] == ["a", "b", "c"]
    assert [str(path) for path in args.ham] == ["d"]
    assert parser.parse_args([]).spam == []


@pytest.mark.parametrize("words", ["check", "learn --spam", "evaluate", "inspect"])
def test_an_empty_path_is_no_path(
    words: str, winnow: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    """`learn --spam "$FILE"` without FILE does not learn the current folder."""
    with pytest.raises(SystemExit) as stopped:
        winnow(*words.split(), "")
    assert stopped.value.code == 2
    assert "the path is empty" in capsys.readouterr().err
    assert a_path("x") == Path("x")


def test_standard_input_is_read_once() -> None:
    """The second "-" would be an empty message, answered or even learnt."""
    read_stdin_once([Path("-"), Path("a"), Path("b-")])
    with pytest.raises(InputError, match="only once"):
        read_stdin_once([Path("-"), Path("a"), Path("-")])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("columns", "count"), [(100, "\u2501+ \\S+ of \\S+"), (50, "\\S+ of \\S+"), (32, "\\d+%")]
)
def test_progress_on_a_terminal(
    columns: int, count: str, on_terminal: Callable[..., str], corpus: Path, tmp_path: Path
) -> None:
    """A bar where there is room, else the numbers alone; rate and time left are never cut."""
    shown = on_terminal(columns, "train", "--out", tmp_path / "m.winnow", corpus)
    flat = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown).replace("\u2578", "").replace("\u257a", "")
    assert re.search(rf"reading +{count} [0-9,]+/s (?:\d\d|--):(?:\d\d|--)", flat)


@pytest.mark.slow
def test_a_terminal_that_cannot_draw(
    on_terminal: Callable[..., str], corpus: Path, tmp_path: Path
) -> None:
    """TERM=dumb (the shell of an editor) gets plain lines, and no empty one for a bar."""
    shown = on_terminal(80, "train", "--out", tmp_path / "m.winnow", corpus, term="dumb")
    assert "\x1b" not in shown
    assert shown.startswith("source")
