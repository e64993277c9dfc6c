"""Colours and type of pictures: one style sheet for SVG files and for pages.

Hues are those of Okabe and Ito (2008), which colour-blind readers tell apart, each pale below text
and strong for lines; every colour has its word beside it, too. Written out without variables, since
viewers of images know none.
"""

from __future__ import annotations

from winnow.compiler.picture.nodes import Kind

# Of each kind: pale and strong in a light setting, pale and strong in a dark one.
_KINDS = {
    Kind.PRODUCT: ("#cfe2f5", "#0072b2", "#11344f", "#5cb3ee"),
    Kind.ATTENTION: ("#fbd9c3", "#c44f00", "#552a10", "#ff9a5c"),
    Kind.NORM: ("#c9ecdf", "#00805c", "#0c3d30", "#45cfa3"),
    Kind.ACTIVATION: ("#fbeab8", "#9a6b00", "#453507", "#e5b93c"),
    Kind.LOOK_UP: ("#e3ddf5", "#6a51a3", "#31284f", "#ab97ea"),
    Kind.INTEGER: ("#f6d8e8", "#b0427f", "#4b1f38", "#ee86bf"),
    Kind.ARITHMETIC: ("#e9edf0", "#68737d", "#2a3036", "#8b959f"),
    Kind.SHAPE: ("#f7f7f4", "#8f9088", "#1d2124", "#767d81"),
}
_PAPER, _INK, _SOFT, _RULE, _WIRE = range(5)
_LIGHT = ("#ffffff", "#1b1e22", "#5d656e", "#dfe3e7", "#8b949e")
_DARK = ("#14171a", "#e8eaed", "#a2abb4", "#343a41", "#6d7680")
_TYPE = """
.graph { font: 11px system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
.graph .heading { font-size: 18px; font-weight: 600; }
.graph .column { font-size: 14px; font-weight: 600; }
.graph .stage-name { font-size: 13px; font-weight: 600; }
.graph .op, .graph .frame .words { font-weight: 600; }
.graph .small { font-size: 9px; }
.graph .number { font-size: 9.5px; font-weight: 700; }
.graph .frame .words {
  paint-order: stroke; stroke-width: 3px; stroke-opacity: 0.7; stroke-linejoin: round;
}
.graph .frame > rect { fill-opacity: 0.45; stroke-width: 1.5; }
.graph .band { fill-opacity: 0.5; }
.graph .stage > rect { fill: none; stroke-width: 1.5; }
.graph .wire { fill: none; }
.graph .frame.gone > rect, .graph .frame.new > rect { fill: none; stroke-dasharray: 5 4; }
.graph .tag > rect { stroke-dasharray: 2 2; }
"""


def style_sheet() -> str:
    """The style sheet, for light and dark settings."""
    dark = _settings(_DARK, {kind: colours[2:] for kind, colours in _KINDS.items()})
    light = _settings(_LIGHT, {kind: colours[:2] for kind, colours in _KINDS.items()})
    return (
        f".graph {{ color-scheme: light dark; }}{_TYPE}{light}\n"
        f"@media (prefers-color-scheme: dark) {{\n{dark}\n}}\n"
    )


def _settings(tones: tuple[str, ...], kinds: dict[Kind, tuple[str, ...]]) -> str:
    paper, ink, soft, rule, wire = tones
    rules = [
        f".graph {{ background: {paper}; }}",
        f".graph text {{ fill: {ink}; }}",
        f".graph .words, .graph .small {{ fill: {soft}; }}",
        f".graph .frame .words {{ fill: {ink}; stroke: {paper}; }}",
        f".graph .number {{ fill: {paper}; }}",
        f".graph .stage > rect {{ stroke: {rule}; }}",
        f".graph .wire {{ stroke: {wire}; }}",
        f".graph .tag > rect {{ fill: {paper}; stroke: {wire}; }}",
        f".graph .frame.gone > rect, .graph .frame.new > rect {{ stroke: {soft}; }}",
    ]
    for kind, (pale, strong) in kinds.items():
        name = kind.name.lower()
        rules += [
            f".{name} > rect {{ fill: {pale}; stroke: {strong}; }}",
            f".{name} > .badge {{ fill: {strong}; background: {strong}; }}",
            f".band.{name} {{ fill: {pale}; }}",
            f".{name} > .swatch {{ background: {pale}; border: 1px solid {strong}; }}",
        ]
    return "\n".join(rules)
