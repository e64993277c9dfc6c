"""The attributes of an HTML element -> whether they take its text out of a reader's sight.

Only what an element says of itself and leaves to those within: style sheets, inherited
backgrounds and the sizes of boxes are not followed.
"""

from __future__ import annotations

import html as entities
import re
from typing import NamedTuple

ATTRIBUTE = re.compile(r"([^\s=\"'/>]++)(?>(?:\s*+=\s*+(?:\"([^\"]*+)\"|'([^']*+)'|([^\s>]++)))?)")
_STYLE_CHARS = 2_000  # of one element; longer ones were not met
_GONE = re.compile(
    r"display\s*+:\s*+none|visibility\s*+:\s*+(?:hidden|collapse)"
    r"|(?<![-\w])opacity\s*+:\s*+0?(?:\.0{1,9})?(?![.\d])"
    r"|(?<![-\w])(?:left|top|text-indent|margin-left|margin-top)\s*+:\s*+-\d{3}"
)
_NO_ROOM = re.compile(r"(?<![-\w])(?:max-)?(?:height|width)\s*+:\s*+0(?![.\d])")
_OVERFLOW_CUT = re.compile(r"overflow\s*+:\s*+hidden")
_SIZE = re.compile(
    r"(?<![-\w])font-size\s*+:\s*+(\d{0,4}(?:\.\d{1,9})?)\s*+(px|pt|pc|cm|mm|in|r?em|vw|%|(?![\w.]))"
    r"|(?<![-\w])font-size\s*+:\s*+(?:xx?-)?(?:small|medium|large)"
    r"|(?<![-\w])font\s*+:[^;]{0,60}?(?<![\w.#])(\d{1,4})(?:px|pt)?(?=[/\s])"
)
_LEGIBLE = {"px": 3.0, "pt": 3.0, "%": 3.0, "": 3.0}  # less cannot be read
_LEGIBLE_ELSE = 0.1  # of the larger units: em, cm, in
_RELATIVE = frozenset(("em", "%"))
_COLOUR = re.compile(
    r"(?<![-\w])(background(?:-color)?|color)\s*+:\s*+"
    r"(#[0-9a-f]{3,8}+|rgba?\([^()]{5,40}\)|[a-z]++(?!\())"
)
_WHITE = {"white": "#ffffff", "black": "#000000"}


class Effect(NamedTuple):
    """What an element does to the text within; None leaves it as it was.

    Attributes:
        gone: nothing within can be seen.
        small: the text is too small to be read; an element within may make it larger.
        pale: the text has the colour of its ground; an element within may change it.
    """

    gone: bool
    small: bool | None
    pale: bool | None


NO_EFFECT = Effect(False, None, None)
SHOWN = Effect(False, False, False)


def effect_of(attributes: str) -> Effect:
    """Return what the attributes of an element, as written, do to the text within."""
    lowered = attributes.lower()
    if "style" not in lowered and "hidden" not in lowered and "size" not in lowered:
        return NO_EFFECT
    values = {match[1]: match[2] or match[3] or match[4] or "" for match in _pairs(lowered)}
    style = entities.unescape(values.get("style", "")[:_STYLE_CHARS])
    gone = "hidden" in values or _GONE.search(style) is not None
    if not gone and _NO_ROOM.search(style) and _OVERFLOW_CUT.search(style):
        gone = True
    small = _is_small(style)
    if small is None and "size" in values:
        small = False  # of <font>: the least one is 10 pixels (WHATWG 15.3.4)
    effect = Effect(gone, small, _is_pale(style, values))
    return NO_EFFECT if effect == NO_EFFECT else effect


def under(now: Effect, effect: Effect) -> Effect:
    """Return what holds within an element, from what holds around it and what it does."""
    return Effect(
        now.gone or effect.gone,
        now.small if effect.small is None else effect.small,
        now.pale if effect.pale is None else effect.pale,
    )


def _pairs(lowered: str) -> list[re.Match[str]]:
    """The attributes of an element; of one that is given twice the first counts, so backwards."""
    return list(ATTRIBUTE.finditer(lowered))[::-1]


def _is_small(style: str) -> bool | None:
    """Whether the last size of the style is too small to be read; None when it sets none."""
    small = None
    for match in _SIZE.finditer(style):
        number, unit, short = match[1], match[2], match[3]
        if short is not None:
            small = int(short) < 3
        elif number is None:
            small = False
        elif number:
            small = float(number) < _LEGIBLE.get(unit, _LEGIBLE_ELSE)
            if not small and unit in _RELATIVE:
                small = None  # as large as what is around it
    return small


def _is_pale(style: str, values: dict[str, str]) -> bool | None:
    """Whether text and ground have one colour; None when the text's is not set."""
    text, ground = values.get("color"), values.get("bgcolor")
    for match in _COLOUR.finditer(style):
        if match[1] == "color":
            text = match[2]
        else:
            ground = match[2]
    if text is None:
        return None
    if text == "transparent":
        return True
    return ground is not None and _full(text) == _full(ground)


def _full(colour: str) -> str:
    bare = "".join(colour.split())
    bare = _WHITE.get(bare, bare)
    if len(bare) == 4 and bare[0] == "#":
        return "#" + "".join(c + c for c in bare[1:])
    return bare
