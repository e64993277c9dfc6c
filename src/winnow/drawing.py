"""Pieces of a hand-drawn SVG picture: escaping, scales, axes, lines. Whoever draws uses them.

Colours and type come from the page's style sheet by class name, so that a plot follows the
reader's light or dark setting. All coordinates are user units of the viewBox (one CSS pixel at
full width); all text passes through `escape`.
"""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Point = tuple[float, float]

_SHOWN_CHARS = 160


def escape(text: object) -> str:
    """Make any text safe and legible in HTML.

    Ids come from hostile mail: markup is escaped, and what cannot be shown (control characters,
    marks that reverse the text around them, lone surrogates) becomes a backslash escape.
    """
    shown = str(text)
    if len(shown) > _SHOWN_CHARS:
        shown = shown[: _SHOWN_CHARS - 1] + "…"
    shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in shown)
    return html.escape(shown, quote=True)


@dataclass(frozen=True, slots=True)
class Frame:
    """The rectangle that data is drawn in, in user units."""

    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True, slots=True)
class Axis:
    """Where values lie along one direction, and which of them are named.

    Attributes:
        place: value -> user units.
        ticks: (value, its name).
    """

    place: Callable[[float], float]
    ticks: Sequence[tuple[float, str]]


def linear(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    """Return the map of low..high onto start..end, clamped."""

    def place(value: float) -> float:
        share = (value - low) / (high - low)
        return start + (end - start) * min(1.0, max(0.0, share))

    return place


def logarithmic(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    """Return the map of low..high onto start..end by logarithm; what is lower lies at start."""
    along = linear(math.log10(low), math.log10(high), start, end)
    return lambda value: along(math.log10(max(value, low)))


def decades(low: float, high: float) -> list[tuple[float, str]]:
    """Name the powers of ten from low to high."""
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    return [(10.0**power, f"{10.0**power:g}") for power in range(first, last + 1)]


def round_ticks(high: float, most: int = 5) -> list[float]:
    """Return 2 to `most` + 1 round whole numbers from 0 that reach `high` or just over it."""
    step = 1.0
    while math.ceil(high / step) > most:
        step *= 2.5 if f"{step:e}".startswith("2") else 2  # 1, 2, 5, 10, 20, 50 ...
    return [step * n for n in range(max(1, math.ceil(high / step)) + 1)]


def count(number: float) -> str:
    """Write a count in at most four characters: 812, 2.3k, 15k, 1.2M."""
    for size, unit in ((1_000_000, "M"), (1_000, "k")):
        if number >= size * 0.9995:
            return (
                f"{number / size:.1f}{unit}"
                if number < size * 9.95
                else f"{number / size:.0f}{unit}"
            )
    return f"{number:.0f}"


def text(x: float, y: float, words: str, *, style: str = "tick", anchor: str = "middle") -> str:
    """Return a line of text; y is its baseline."""
    return (
        f'<text class="{style}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">'
        f"{escape(words)}</text>"
    )


def line(a: Point, b: Point, style: str) -> str:
    """Return a straight line."""
    return (
        f'<line class="{style}" x1="{a[0]:.1f}" y1="{a[1]:.1f}" x2="{b[0]:.1f}" y2="{b[1]:.1f}"/>'
    )


def dot(x: float, y: float, style: str, radius: float = 4) -> str:
    """Return a filled circle."""
    return f'<circle class="{style}" cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}"/>'


def bar(left: float, top: float, right: float, bottom: float, style: str) -> str:
    """Return a filled rectangle."""
    return (
        f'<rect class="{style}" x="{left:.1f}" y="{top:.1f}" width="{right - left:.1f}" '
        f'height="{max(0.0, bottom - top):.1f}"/>'
    )


def path(points: Sequence[Point], style: str) -> str:
    """Return a line through points; those closer together than half a unit are left out."""
    kept: list[Point] = []
    for x, y in points:
        if not kept or abs(x - kept[-1][0]) + abs(y - kept[-1][1]) >= 0.5:
            kept.append((x, y))
    if points and kept[-1] != points[-1]:
        kept.append(points[-1])
    steps = " L".join(f"{x:.1f} {y:.1f}" for x, y in kept)
    return f'<path class="{style}" d="M{steps}"/>' if kept else ""


def axes(frame: Frame, x: Axis, y: Axis, *, x_title: str, y_title: str) -> str:
    """Return grid lines, ticks and titles; the title of y stands level above its axis."""
    parts = []
    for value, name in y.ticks:
        at = y.place(value)
        parts.append(line((frame.left, at), (frame.right, at), "grid"))
        parts.append(text(frame.left - 7, at + 4, name, anchor="end"))
    for value, name in x.ticks:
        at = x.place(value)
        parts.append(line((at, frame.bottom), (at, frame.bottom + 4), "axis"))
        parts.append(text(at, frame.bottom + 18, name))
    parts.append(line((frame.left, frame.bottom), (frame.right, frame.bottom), "axis"))
    parts.append(text(frame.right, frame.bottom + 37, x_title, style="title", anchor="end"))
    parts.append(text(0, frame.top - 12, y_title, style="title", anchor="start"))
    return "".join(parts)


def svg(width: float, height: float, body: str, *, key: str, title: str, summary: str) -> str:
    """Return a whole image that a screen reader can tell: its title and what it shows in words."""
    return (
        f'<svg viewBox="0 0 {width:g} {height:g}" role="img" '
        f'aria-labelledby="{key}-title {key}-summary">'
        f'<title id="{key}-title">{escape(title)}</title>'
        f'<desc id="{key}-summary">{html.escape(summary)}</desc>{body}</svg>'
    )
