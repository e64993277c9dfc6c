"""Which recipe is taken, on figures of our own: least loss at a speed, most speed at a loss."""

from __future__ import annotations

import pytest

from winnow.errors import InputError
from winnow.ladder.choose import BYTES, SPEED, Wish, choose, gain_of
from winnow.ladder.quality import Figure
from winnow.ladder.rung import Rung

BASELINE = ("baseline", 1.0, 100, 0.0, 0.0)


def _rows(*recipes: tuple[str, float, int, float | None, float]) -> list[Rung]:
    """Rows of (name, times faster, bytes, points lost, mean difference)."""
    return [
        Rung(
            name,
            "",
            {
                "times_faster": Figure(faster),
                "bytes": Figure(size),
                "accuracy_loss_points": Figure(lost),
                "mean_abs_error": Figure(apart),
            },
        )
        for name, faster, size, lost, apart in (BASELINE, *recipes)
    ]


ROWS = _rows(
    ("fused", 1.1, 100, 0.0, 1e-6),
    ("int8", 1.5, 25, 0.05, 0.01),
    ("4 bit", 0.8, 14, 0.3, 0.2),
    ("cut 25% + int8", 2.1, 20, 0.09, 0.1),
    ("cut 50%", 1.9, 65, 0.4, 0.3),
    ("cut 50% + int8", 2.8, 16, 0.45, 0.31),
)


def _taken(rows: list[Rung], of: str, **wish: str) -> str | None:
    parsed = Wish.parse(of, wish.get("target"), wish.get("max_loss"))
    chosen = choose(rows, parsed).rung
    return None if chosen is None else chosen.name


@pytest.mark.parametrize(
    ("target", "taken"),
    [
        ("1.05x", "fused"),
        ("1.2x", "int8"),
        ("1.6x", "cut 25% + int8"),
        ("2x", "cut 25% + int8"),
        ("2.8x", "cut 50% + int8"),
        ("3x", None),
    ],
)
def test_least_loss_at_a_speed(target: str, taken: str | None) -> None:
    """Not the fastest: of those that are fast enough, the one that loses least."""
    assert _taken(ROWS, SPEED, target=target) == taken


@pytest.mark.parametrize(
    ("target", "taken"),
    [("3.9x", "int8"), ("4x", "int8"), ("4.5x", "cut 25% + int8"), ("6.5x", "4 bit"), ("8x", None)],
)
def test_least_loss_at_a_size(target: str, taken: str | None) -> None:
    """Smaller is another wish than faster: 4 bits are slower here."""
    assert _taken(ROWS, BYTES, target=target) == taken


@pytest.mark.parametrize(
    ("points", "speed", "size"),
    [
        ("0pp", "fused", None),
        ("0.05pp", "int8", "int8"),
        ("0.1pp", "cut 25% + int8", "cut 25% + int8"),
        ("0.35pp", "cut 25% + int8", "4 bit"),
        ("1 pp", "cut 50% + int8", "4 bit"),
    ],
)
def test_most_gain_at_a_loss(points: str, speed: str, size: str | None) -> None:
    """The fastest, or the smallest, of those that lose no more."""
    assert _taken(ROWS, SPEED, max_loss=points) == speed
    assert _taken(ROWS, BYTES, max_loss=points) == size


def test_equals_are_parted_by_their_answers() -> None:
    """On little mail two recipes lose the same; the one whose answers moved less is taken."""
    rows = _rows(("far", 2.0, 20, 0.1, 0.5), ("near", 2.0, 20, 0.1, 0.1))
    assert _taken(rows, SPEED, target="2x") == "near"
    assert _taken(rows, SPEED, max_loss="0.1pp") == "near"


def test_without_labels_answers_decide() -> None:
    """A target can be had without mail; what a loss is nobody knows then."""
    rows = [
        Rung(row.name, "", {k: v for k, v in row.figures.items() if k != "accuracy_loss_points"})
        for row in ROWS
    ]
    assert _taken(rows, SPEED, target="1.8x") == "cut 25% + int8"
    with pytest.raises(InputError, match="--mail CORPUS"):
        choose(rows, Wish.parse(SPEED, None, "0.1pp"))


def test_nothing_fits() -> None:
    """What came nearest is told: the fastest, or the one that loses least."""
    assert choose(ROWS, Wish.parse(SPEED, "9x", None)).nearest == ROWS[-1]
    worse = _rows(("a", 3.0, 9, 2.0, 0.1), ("b", 2.0, 9, 1.0, 0.1))
    found = choose(worse, Wish.parse(SPEED, None, "0.5pp"))
    assert (found.rung, found.nearest) == (None, worse[2])


def test_what_is_no_better_is_never_taken() -> None:
    """Neither the baseline nor what is slower: it would be written as if something were gained."""
    rows = _rows(("slow", 0.5, 200, 0.0, 0.0))
    for wish in ({"max_loss": "5pp"}, {"target": "1.01x"}):
        assert _taken(rows, SPEED, **wish) is None
        assert _taken(rows, BYTES, **wish) is None


def test_what_was_not_measured_is_not_taken() -> None:
    """A refused recipe, one without a time, one without accuracy."""
    good = ROWS[0]
    refused = Rung("refused", "", ROWS[-1].figures, "it failed")
    untimed = Rung("untimed", "", {"bytes": Figure(1)})
    rows = [good, refused, untimed]
    assert choose(rows, Wish.parse(SPEED, "1.01x", None)).rung is None
    assert choose(rows, Wish.parse(SPEED, None, "5pp")).rung is None
    assert gain_of(refused, good, SPEED) is None
    assert choose([good, refused], Wish.parse(SPEED, "2x", None)).nearest is None


@pytest.mark.parametrize(
    ("target", "max_loss", "told"),
    [
        (None, None, "--target 4x and --max-loss"),
        ("2x", "1pp", "--target 4x and --max-loss"),
        ("fast", None, "as 4x"),
        ("2", None, "as 4x"),
        ("0x", None, "more than 1x"),
        ("1x", None, "more than 1x"),
        ("9999x", None, "as 4x"),
        ("nanx", None, "as 4x"),
        (None, "1%", "as 0.1pp"),
        (None, "-1pp", "as 0.1pp"),
        (None, "101pp", "as 0.1pp"),
    ],
)
def test_what_is_no_wish(target: str | None, max_loss: str | None, told: str) -> None:
    """It says how one is written."""
    with pytest.raises(InputError, match=told):
        Wish.parse(SPEED, target, max_loss)


def test_a_wish_in_words() -> None:
    """What follows "no recipe is"."""
    assert Wish.parse(SPEED, "2.5x", None).text == "2.5 times as fast"
    assert Wish.parse(BYTES, "4x", None).text == "4 times as small"
    assert Wish.parse(SPEED, None, "0.1pp").text == "within 0.1 points of accuracy"
