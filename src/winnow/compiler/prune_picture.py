"""What each layer can do without, as a picture: one SVG that any browser shows, light or dark."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from winnow.compiler.prune_sensitivity import HEADS, LAYER, NEURONS, Effect
from winnow.drawing import Axis, Frame, axes, decades, dot, linear, logarithmic, path, svg, text

_WIDTH, _HEIGHT = 720.0, 330.0
_PANELS = {
    HEADS: Frame(left=52, top=40, right=302, bottom=278),
    NEURONS: Frame(left=334, top=40, right=584, bottom=278),
    LAYER: Frame(left=616, top=40, right=706, bottom=278),
}
_TITLES = {HEADS: "heads cut, %", NEURONS: "neurons cut, %", LAYER: "layer left out"}
_LEAST = 1e-4  # below it nothing moves
_LINE = 13.0  # from one name to the next
_STYLE = """<style>
svg { background: #fff; font: 13px system-ui, sans-serif; color-scheme: light dark; }
text { fill: #5d656e; } .title, .name { fill: #1b1e22; }
.grid { stroke: #eceff1; } .axis { stroke: #aab2ba; }
.curve { fill: none; stroke: #2754a8; stroke-width: 1.5; } .point { fill: #2754a8; }
@media (prefers-color-scheme: dark) {
  svg { background: #14171a; } text { fill: #a2abb4; } .title, .name { fill: #e8eaed; }
  .grid { stroke: #24292e; } .axis { stroke: #5d656e; }
  .curve { stroke: #8db2ff; } .point { fill: #8db2ff; }
}
</style>"""


def sensitivity_picture(effects: Sequence[Effect]) -> str:
    """Root mean square of the change of log-odds against the share that is cut; numbers of layers.

    Args:
        effects: of at least one layer.
    """
    moved = [max(math.sqrt(one.moved), _LEAST) for one in effects] or [1.0]
    low = 10.0 ** math.floor(math.log10(min(moved)) - 1e-9)
    high = max(10 * low, 10.0 ** math.ceil(math.log10(max(moved)) - 1e-9))
    body, told = [], []
    for part, frame in _PANELS.items():
        some = [one for one in effects if one.part == part]
        place = logarithmic(low, high, frame.bottom, frame.top)
        y = Axis(place, decades(low, high) if part == HEADS else [])
        x = _across(frame, part)
        title = "change of log-odds, root mean square" if part == HEADS else ""
        body.append(axes(frame, x, y, x_title=_TITLES[part], y_title=title))
        ends: dict[str, tuple[float, float]] = {}
        for layer in dict.fromkeys(one.layer for one in some):
            own = [one for one in some if one.layer == layer]
            points = [(x.place(one.share), place(math.sqrt(one.moved))) for one in own]
            body += [path(points, "curve"), *(dot(*point, "point", 2.5) for point in points)]
            ends[str(layer)] = points[-1]
            told.append(f"layer {layer}, {_TITLES[part]}: {math.sqrt(own[-1].moved):.3f} at most")
        body += _names(ends)
    image = svg(
        _WIDTH, _HEIGHT, _STYLE + "".join(body), key="sensitivity",
        title="What each layer can do without", summary="; ".join(told) + ".",
    )  # fmt: skip
    return image.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1) + "\n"


def _names(ends: Mapping[str, tuple[float, float]]) -> list[str]:
    """Names beside the ends of lines, moved apart where they would lie on each other."""
    found, lowest = [], -math.inf
    for name, (x, y) in sorted(ends.items(), key=lambda end: end[1][1]):
        lowest = max(y + 4, lowest + _LINE)
        found.append(text(x + 6, lowest, name, style="name", anchor="start"))
    return found


def _across(frame: Frame, part: str) -> Axis:
    if part == LAYER:
        return Axis(lambda share: (frame.left + frame.right) / 2, [])
    place = linear(0, 1, frame.left, frame.right)
    return Axis(place, [(share / 4, str(25 * share)) for share in range(5)])
