"""The pictures of a ladder's report, each a function from rows of `--json` to one SVG."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from winnow.drawing import (
    Axis,
    Frame,
    axes,
    bar,
    dot,
    line,
    linear,
    svg,
    text,
)

Row = Mapping[str, Any]

_WIDTH, _HEIGHT = 440.0, 300.0
_FRAME = Frame(left=50, top=36, right=432, bottom=258)
_NAMES = 176.0  # width that names of horizontal bars take
_ROW = 22.0
_TICKS = 5


def bars_plot(rows: Sequence[Row], figure: str, key: str, title: str, unit: str) -> str:
    """One bar for each row that has the figure, from 0, with its number above it."""
    there = [row for row in rows if row.get(figure) is not None]
    if not there:
        return ""
    scale = 1e-6 if figure == "bytes" else 1.0
    values = [scale * float(row[figure]) for row in there]
    place, ticks = _scale(max(values), _FRAME.bottom, _FRAME.top)
    body = [_empty_axes(ticks, place, unit)]
    for row, value, (left, right) in zip(there, values, _columns(len(there)), strict=True):
        body.append(bar(left, place(value), right, _FRAME.bottom, "bar"))
        body.append(text((left + right) / 2, place(value) - 5, short(value), style="name"))
        body.append(text((left + right) / 2, _FRAME.bottom + 17, row["name"]))
    told = ", ".join(f"{r['name']} {short(v)}" for r, v in zip(there, values, strict=True))
    return svg(_WIDTH, _HEIGHT, "".join(body), key=key, title=title, summary=f"{unit}: {told}.")


def latency_plot(rows: Sequence[Row], key: str) -> str:
    """Three bars for each row: a message of 32, 128 and 256 tokens."""
    lengths = [n for n in (32, 128, 256) if any(row.get(f"ms_{n}") is not None for row in rows)]
    there = [row for row in rows if any(row.get(f"ms_{n}") is not None for n in lengths)]
    if not there:
        return ""
    most = max(row[f"ms_{n}"] for row in there for n in lengths if row.get(f"ms_{n}") is not None)
    place, ticks = _scale(most, _FRAME.bottom, _FRAME.top)
    body, told = [_empty_axes(ticks, place, "ms a message, median")], []
    for row, (left, right) in zip(there, _columns(len(there)), strict=True):
        each = (right - left) / len(lengths)
        for step, length in enumerate(lengths):
            value = row.get(f"ms_{length}")
            if value is None:
                continue
            start = left + step * each
            body.append(bar(start + 1, place(value), start + each - 1, _FRAME.bottom, f"b{length}"))
            body.append(text(start + each / 2, place(value) - 4, short(value), style="small"))
            told.append(f"{row['name']} {short(value)} ms at {length} tokens")
        body.append(text((left + right) / 2, _FRAME.bottom + 17, row["name"]))
    body.append(_legend(lengths))
    summary = "; ".join(told) + "."
    return svg(_WIDTH, _HEIGHT, "".join(body), key=key, title="Latency", summary=summary)


def worth_plot(rows: Sequence[Row], key: str) -> str:
    """Accuracy with its interval against the processor's time for a message."""
    figure, cost = "accuracy_percent", "cpu_ms_message"
    there = [row for row in rows if row.get(figure) is not None and row.get(cost) is not None]
    if not there:
        return ""
    bounds = [row["intervals"].get(figure, [row[figure]] * 2) for row in there]
    low = min(bound[0] for bound in bounds)
    high = max(bound[1] for bound in bounds)
    space = max(high - low, 0.2) * 0.1
    low, high = max(0.0, low - space), min(100.0, high + space)
    x_place, x_ticks = _scale(max(row[cost] for row in there) * 1.1, _FRAME.left, _FRAME.right)
    y_place = linear(low, high, _FRAME.bottom, _FRAME.top)
    y_ticks = [low + (high - low) * step / _TICKS for step in range(_TICKS + 1)]
    body = [
        axes(
            _FRAME,
            Axis(x_place, [(v, f"{v:g}") for v in x_ticks]),
            Axis(y_place, [(v, f"{v:.1f}") for v in y_ticks]),
            x_title="ms of the processor, a message",
            y_title="right at 0.50, %",
        )
    ]
    taken: list[float] = []
    told = []
    for row, (under, over) in zip(there, bounds, strict=True):
        x, y = x_place(row[cost]), y_place(row[figure])
        body.append(line((x, y_place(under)), (x, y_place(over)), "whisker"))
        body.append(dot(x, y, "point"))
        side = "end" if x > _FRAME.right - 80 else "start"
        at = _free(y + 4, taken)
        body.append(
            text(x + (-8 if side == "end" else 8), at, row["name"], style="name", anchor=side)
        )
        told.append(f"{row['name']} {row[figure]:.2f}% at {short(row[cost])} ms")
    return svg(
        _WIDTH, _HEIGHT, "".join(body), key=key, title="Accuracy against cost",
        summary="; ".join(told) + ".",
    )  # fmt: skip


def peers_plot(rungs: Sequence[Row], peers: Sequence[Row], key: str) -> str:
    """One bar for each rung and each peer: a message of 128 tokens, or of fewer."""
    lengths = [n for n in (128, 32, 256) if rungs and rungs[0].get(f"ms_{n}") is not None]
    if not lengths:
        return ""
    figure = f"ms_{lengths[0]}"
    rows = [(row, "b128") for row in rungs if row.get(figure) is not None]
    rows += [(row, "bar") for row in peers if row.get(figure) is not None]
    rows.sort(key=lambda pair: float(pair[0][figure]))
    height = 40 + _ROW * len(rows)
    place = linear(0, max(row[figure] for row, _ in rows), _NAMES, _WIDTH - 46)
    body, told = (
        [text(0, 14, f"ms a message of {lengths[0]} tokens", style="title", anchor="start")],
        [],
    )
    for step, (row, style) in enumerate(rows):
        top = 28 + step * _ROW
        body.append(text(_NAMES - 8, top + 13, row["name"], anchor="end"))
        body.append(bar(_NAMES, top + 2, place(row[figure]), top + _ROW - 4, style))
        body.append(
            text(place(row[figure]) + 6, top + 13, short(row[figure]), style="name", anchor="start")
        )
        told.append(f"{row['name']} {short(row[figure])} ms")
    return svg(
        _WIDTH, height, "".join(body), key=key, title="Beside others", summary="; ".join(told) + "."
    )


def short(value: float) -> str:
    """A number in at most five signs."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _scale(most: float, start: float, end: float) -> tuple[Callable[[float], float], list[float]]:
    """A map from 0 to a little over the most, and round ticks within it."""
    limit = (most or 1.0) * 1.08
    power = 10.0 ** math.floor(math.log10(limit / _TICKS))
    step = next(part * power for part in (1, 2, 5, 10) if part * power * _TICKS >= limit)
    return linear(0, limit, start, end), [step * n for n in range(int(limit / step) + 1)]


def _empty_axes(ticks: Sequence[float], place: Callable[[float], float], title: str) -> str:
    x = Axis(linear(0, 1, _FRAME.left, _FRAME.right), [])
    y = Axis(place, [(value, f"{value:g}") for value in ticks])
    return axes(_FRAME, x, y, x_title="", y_title=title)


def _columns(count: int) -> list[tuple[float, float]]:
    each = (_FRAME.right - _FRAME.left) / count
    gap = 0.14 * each
    return [
        (_FRAME.left + n * each + gap, _FRAME.left + (n + 1) * each - gap) for n in range(count)
    ]


def _legend(lengths: Sequence[int]) -> str:
    parts, x = [], _FRAME.left
    for length in lengths:
        parts.append(bar(x, _HEIGHT - 14, x + 10, _HEIGHT - 4, f"b{length}"))
        parts.append(text(x + 15, _HEIGHT - 5, f"{length} tokens", anchor="start"))
        x += 92
    return "".join(parts)


def _free(y: float, taken: list[float]) -> float:
    """A place for a name that is clear of the others, downwards."""
    while any(abs(y - other) < 13 for other in taken):
        y += 13
    taken.append(y)
    return y
