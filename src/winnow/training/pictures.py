"""Pictures that lie in an artifact: how the reader learnt, and what its budget buys.

Each is one SVG file that any browser or image viewer shows, in the reader's light or dark setting.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from winnow.drawing import (
    Axis,
    Frame,
    axes,
    decades,
    dot,
    linear,
    logarithmic,
    path,
    round_ticks,
    svg,
    text,
)
from winnow.training.cascade import Point

_WIDTH, _HEIGHT = 560.0, 360.0
_FRAME = Frame(left=52, top=40, right=536, bottom=308)
_STYLE = """<style>
svg { background: #fff; font: 13px system-ui, sans-serif; color-scheme: light dark; }
text { fill: #5d656e; } .title, .name { fill: #1b1e22; }
.grid { stroke: #eceff1; } .axis { stroke: #aab2ba; }
.curve { fill: none; stroke: #2754a8; stroke-width: 2; }
.other { fill: none; stroke: #b23a12; stroke-width: 2; }
.point { fill: #2754a8; } .chosen { fill: #b23a12; }
@media (prefers-color-scheme: dark) {
  svg { background: #14171a; } text { fill: #a2abb4; } .title, .name { fill: #e8eaed; }
  .grid { stroke: #24292e; } .axis { stroke: #5d656e; }
  .curve { stroke: #8db2ff; } .point { fill: #8db2ff; }
  .other { stroke: #ff9a70; } .chosen { fill: #ff9a70; }
}
</style>"""


def frontier_picture(points: Sequence[Point], chosen: Point) -> str:
    """Errors of the cascade against its mean cost; the chosen band is marked."""
    costs = [1e3 * point.seconds for point in points]
    low = 10.0 ** math.floor(math.log10(min(costs)) - 1e-9)
    high = max(10.0 ** math.ceil(math.log10(max(costs)) + 1e-9), 10 * low)
    x = Axis(logarithmic(low, high, _FRAME.left, _FRAME.right), decades(low, high))
    y = _percent_axis(max(point.errors_percent for point in points))
    steps = [(x.place(1e3 * p.seconds), y.place(p.errors_percent)) for p in points]
    at = (x.place(1e3 * chosen.seconds), y.place(chosen.errors_percent))
    body = axes(_FRAME, x, y, x_title="mean cost of an answer, ms", y_title="errors at 0.50, %")
    body += path(steps, "curve") + "".join(dot(*step, "point", 3) for step in steps)
    body += dot(*at, "chosen", 5) + text(
        at[0] + 8, at[1] - 8, "chosen", style="name", anchor="start"
    )
    told = (
        f"{points[0].errors_percent:.2f}% errors at {costs[0]:.2f} ms with the reflex alone, "
        f"{points[-1].errors_percent:.2f}% at {costs[-1]:.2f} ms; chosen: "
        f"{chosen.errors_percent:.2f}% at {1e3 * chosen.seconds:.2f} ms."
    )
    return _file(body, "frontier", "What a budget buys", told)


def learning_picture(curve: Sequence[tuple[int, float, float]]) -> str:
    """Loss of the reader against steps of training, on mail it learnt and on held-out mail."""
    last = max(1, curve[-1][0]) if curve else 1
    seen = [(step, loss) for step, loss, _ in curve if math.isfinite(loss)]
    unseen = [(step, loss) for step, _, loss in curve if math.isfinite(loss)]
    most = max([loss for _, loss in [*seen, *unseen]], default=1.0) or 1.0
    ticks = [most * part / 4 for part in range(5)]
    y = Axis(
        linear(0, most, _FRAME.bottom, _FRAME.top), [(value, f"{value:.2f}") for value in ticks]
    )
    steps = [tick for tick in round_ticks(last, 5) if tick <= last]
    x = Axis(linear(0, last, _FRAME.left, _FRAME.right), [(tick, f"{tick:,.0f}") for tick in steps])
    body = axes(_FRAME, x, y, x_title="steps", y_title="logistic loss, nats")
    told = []
    for points, style, name in ((seen, "curve", "learnt"), (unseen, "other", "held-out")):
        if points:
            body += path([(x.place(step), y.place(loss)) for step, loss in points], style)
            step, loss = points[-1]
            place = (x.place(step) - 4, y.place(loss) - 6)
            body += text(*place, name, style="name", anchor="end")
            told.append(f"{name} mail: {loss:.3f} at the end.")
    return _file(body, "learning", "How the reader learnt", " ".join(told))


def _percent_axis(most: float) -> Axis:
    if most < 1e-6:
        most = 1.0
    step = 10.0 ** math.floor(math.log10(most))
    top = math.ceil(most / step) * step
    ticks = [top * part / 4 for part in range(5)]
    place = linear(0, top, _FRAME.bottom, _FRAME.top)
    return Axis(place, [(value, f"{value:.3g}") for value in ticks])


def _file(body: str, key: str, title: str, summary: str) -> str:
    image = svg(_WIDTH, _HEIGHT, _STYLE + body, key=key, title=title, summary=summary)
    return image.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1) + "\n"
