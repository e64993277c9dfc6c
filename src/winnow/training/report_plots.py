"""The four plots of a report, each a function from answers to one SVG image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from winnow.drawing import (
    Axis,
    Frame,
    Point,
    axes,
    bar,
    count,
    decades,
    dot,
    line,
    linear,
    logarithmic,
    path,
    round_ticks,
    svg,
    text,
)
from winnow.training.metrics import (
    FLAG,
    JUNK,
    Bin,
    Floats,
    Scored,
    calibration_bins,
    ham_at,
    one_minus_roca_percent,
    recall_at,
    roc_points,
)

_WIDTH, _HEIGHT = 440.0, 330.0
_FRAME = Frame(left=46, top=34, right=418, bottom=282)
_ROC_FLOORS = (99.0, 98.0, 95.0, 90.0, 80.0, 50.0, 0.0)
_ROC_LOW_PERCENT = 0.01
_ZERO_GAP = 44.0  # a logarithmic axis has no zero: it gets a place of its own at the left
_RUNNING_POINTS = 80
_NAME_WIDTH = 54.0  # of "at 0.50"


def roc_plot(scored: Scored, key: str) -> str:
    """Spam caught against ham taken for spam, the latter on a logarithmic axis.

    Most filters differ only above 90% and below 1%, so the axis of ham is logarithmic, and that
    of spam begins at a round number below the part that the shipped rule uses.
    """
    false, true, _ = roc_points(scored)
    x, zero = _roc_x()
    floor = _roc_floor(scored, false, true)
    y_place = linear(floor, 100, _FRAME.bottom, _FRAME.top)
    y = Axis(y_place, [(v, f"{v:g}") for v in np.linspace(floor, 100, 6).round(1).tolist()])
    corners: list[Point] = []
    for before, after in pairwise(zip(100 * false, 100 * true, strict=True)):
        corners += [(_roc_place(x, zero, v[0]), y_place(v[1])) for v in (before, after)]
    marks, told = _operating_points(scored, x, zero, y, corners)
    body = (
        axes(_FRAME, x, y, x_title="ham taken for spam, %", y_title="spam caught, %")
        + line((zero, _FRAME.bottom), (zero, _FRAME.bottom + 4), "axis")
        + text(zero, _FRAME.bottom + 18, "0")
        + line((x.place(0.1), _FRAME.top), (x.place(0.1), _FRAME.bottom), "guide")
        + path(corners, "curve")
        + marks
    )
    return svg(_WIDTH, _HEIGHT, body, key=key, title="ROC curve", summary=told)


def _roc_x() -> tuple[Axis, float]:
    left = _FRAME.left + _ZERO_GAP
    place = logarithmic(_ROC_LOW_PERCENT, 100, left, _FRAME.right)
    return Axis(place, decades(_ROC_LOW_PERCENT, 100)), _FRAME.left + 6


def _roc_place(x: Axis, zero: float, percent: float) -> float:
    return zero if percent == 0 else x.place(percent)


def _roc_floor(scored: Scored, false: Floats, true: Floats) -> float:
    """Return where the axis of spam begins: below the curve at 0.1% and below the rule's points."""
    at_tenth = 100 * float(true[np.searchsorted(false, 0.001, side="right") - 1])
    lowest = min(at_tenth, 100 * (recall_at(scored, JUNK) or 0.0))
    return next(
        floor for floor in _ROC_FLOORS if lowest - 0.1 * (100 - floor) >= floor or not floor
    )


def _operating_points(
    scored: Scored, x: Axis, zero: float, y: Axis, curve: Sequence[Point]
) -> tuple[str, str]:
    """Mark where the two thresholds of the shipped rule lie on the curve, and say it in words."""
    drawn, told, above = [], [], -math.inf
    for threshold in (FLAG, JUNK):
        lost = 100 * ham_at(scored, threshold) / scored.ham.size
        caught = 100 * (recall_at(scored, threshold) or 0.0)
        at_x, at_y = _roc_place(x, zero, lost), y.place(caught)
        drawn.append(dot(at_x, at_y, "point"))
        # The curve runs down to the left, so names have room at the lower right; the point of
        # the lower threshold lies higher, and the other's name makes way downwards.
        name_x, anchor = at_x + 7, "start"
        if at_x > _FRAME.right - _NAME_WIDTH - 7:
            name_x, anchor = _FRAME.right, "end"
            at_y = max([at_y, *(b for a, b in curve if a >= name_x - _NAME_WIDTH)])
        name_y = max(at_y + 17, above + 15)
        above = name_y
        drawn.append(text(name_x, name_y, f"at {threshold:.2f}", style="name", anchor=anchor))
        told.append(f"At {threshold:.2f}: {caught:.2f}% of spam caught, {lost:.2f}% of ham lost.")
    return "".join(drawn), " ".join(told)


def reliability_plot(scored: Scored, key: str) -> str:
    """Share that was spam against the probability given, with the messages of each bin below."""
    bins = calibration_bins(scored)
    frame = Frame(_FRAME.left, _FRAME.top, _FRAME.right, 208)
    x_place = linear(0, 1, frame.left, frame.right)
    x = Axis(x_place, [(v / 5, f"{v / 5:g}") for v in range(6)])
    y = Axis(linear(0, 100, frame.bottom, frame.top), [(v, f"{v}") for v in (0, 25, 50, 75, 100)])
    parts = [
        axes(frame, Axis(x_place, []), y, x_title="", y_title="share that was spam, %"),
        line((x_place(0), y.place(0)), (x_place(1), y.place(100)), "ideal"),
    ]
    for found in bins:
        if found.count:
            low, high = _wilson(found.spam, found.count)
            at = x_place(found.mean)
            parts.append(line((at, y.place(100 * low)), (at, y.place(100 * high)), "whisker"))
            parts.append(dot(at, y.place(100 * found.spam / found.count), "point"))
    parts.append(_histogram(bins, Frame(frame.left, 232, frame.right, _FRAME.bottom), x))
    worst = max((b for b in bins if b.count), key=lambda b: abs(b.mean * b.count - b.spam))
    told = (
        f"The bin that adds most to the error: {worst.count} messages given "
        f"{worst.mean:.2f} on average, {100 * worst.spam / worst.count:.1f}% of them spam."
    )
    return svg(_WIDTH, _HEIGHT, "".join(parts), key=key, title="Reliability", summary=told)


def _histogram(bins: Sequence[Bin], frame: Frame, x: Axis) -> str:
    most = max(b.count for b in bins)
    height = logarithmic(0.5, max(most, 2), frame.bottom, frame.top)
    parts = [axes(frame, x, Axis(height, []), x_title="probability given", y_title="")]
    for place, found in enumerate(bins):
        left, right = x.place(place / len(bins)) + 1, x.place((place + 1) / len(bins)) - 1
        if found.count:
            top = height(found.count)
            parts.append(bar(left, top, right, frame.bottom, "bar"))
            parts.append(text((left + right) / 2, top - 4, count(found.count), style="small"))
    return "".join(parts)


def _wilson(part: int, whole: int) -> tuple[float, float]:
    """Return Wilson's 95% interval of a share (Wilson 1927): sane for shares near 0 and 1."""
    z = 1.96
    share = part / whole
    centre = share + z * z / (2 * whole)
    spread = z * math.sqrt(share * (1 - share) / whole + z * z / (4 * whole * whole))
    scale = 1 + z * z / whole
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


def errors_plot(curve: Sequence[tuple[int, int]], key: str) -> str:
    """Errors so far against messages seen: where it grows flat, the filter has learnt."""
    seen, errors = curve[-1]
    x, y = _count_axis(seen, along=True), _count_axis(errors, along=False)
    points = [(x.place(0), y.place(0))]
    for n_seen, n_errors in curve:
        points += [(x.place(n_seen), points[-1][1]), (x.place(n_seen), y.place(n_errors))]
    body = axes(_FRAME, x, y, x_title="messages seen", y_title="errors so far")
    told = f"{errors:,} errors in {seen:,} messages, half of them within the first "
    half = next(n_seen for n_seen, n_errors in curve if 2 * n_errors >= errors)
    return svg(
        _WIDTH, _HEIGHT, body + path(points, "curve"), key=key, title="Errors so far",
        summary=f"{told}{half:,}.",
    )  # fmt: skip


def growth_plot(growth: Sequence[tuple[int, int]], tested: int, key: str) -> str:
    """Errors in percent of the tested messages against messages learnt from."""
    shares = [(learnt, 100 * errors / max(1, tested)) for learnt, errors in growth]
    most = max(share for _, share in shares)
    ticks = round_ticks(most, 5)
    y = Axis(linear(0, ticks[-1], _FRAME.bottom, _FRAME.top), [(v, f"{v:,.10g}") for v in ticks])
    x = _count_axis(shares[-1][0], along=True)
    points = [(x.place(learnt), y.place(share)) for learnt, share in shares]
    body = axes(_FRAME, x, y, x_title="messages learnt from", y_title="errors at 0.50, %")
    body += path(points, "curve") + "".join(dot(*point, "point") for point in points)
    (least, first), (whole, last) = shares[0], shares[-1]
    return svg(
        _WIDTH, _HEIGHT, body, key=key, title="Errors by training mail",
        summary=f"{first:.2f}% after {least:,} messages, {last:.2f}% after {whole:,}.",
    )  # fmt: skip


def running_plot(scored: Scored, key: str) -> str:
    """1-ROCA of all answers so far against messages seen, on a logarithmic axis."""
    size = scored.label.size
    steps = np.unique(np.linspace(1, size, min(size, _RUNNING_POINTS)).astype(int)).tolist()
    running = []
    for n in steps:
        so_far = Scored(scored.probability[:n], scored.label[:n], scored.ids[:n])
        value = one_minus_roca_percent(so_far)
        if value is not None:
            running.append((n, value))
    positive = [value for _, value in running if value > 0]
    low = 10.0 ** math.floor(math.log10(min([*positive, 10.0]) * 0.999))
    y = Axis(logarithmic(low, 100, _FRAME.bottom, _FRAME.top), decades(low, 100))
    x = _count_axis(size, along=True)
    points = [(x.place(n), y.place(value)) for n, value in running]
    body = axes(_FRAME, x, y, x_title="messages seen", y_title="1-ROCA so far, %")
    told = f"{running[-1][1]:.3f}% after {size:,} messages." if running else "Not defined."
    return svg(
        _WIDTH, _HEIGHT, body + path(points, "curve"), key=key, title="1-ROCA so far", summary=told
    )


def _count_axis(high: float, *, along: bool) -> Axis:
    ticks = round_ticks(high, 5)
    start, end = (_FRAME.left, _FRAME.right) if along else (_FRAME.bottom, _FRAME.top)
    limit = max(high, 1) if along else ticks[-1]
    named = [(v, f"{v:,.10g}") for v in ticks if v <= limit]
    return Axis(linear(0, limit, start, end), named)
