"""Colours that everybody tells apart and that leave text legible, in both settings."""

from __future__ import annotations

import re
from itertools import combinations

import pytest

pytest.importorskip("onnx_ir", reason="the extra [compile] is not installed")

from winnow.compiler.picture.colours import style_sheet
from winnow.compiler.picture.nodes import Kind


def _settings() -> dict[str, str]:
    light, _, dark = style_sheet().partition("@media (prefers-color-scheme: dark)")
    return {"light": light, "dark": dark}


def _luminance(colour: str) -> float:
    """Relative luminance of WCAG 2.2, 0 to 1."""
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    line = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * line[0] + 0.7152 * line[1] + 0.0722 * line[2]


def _contrast(one: str, other: str) -> float:
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _found(sheet: str, pattern: str) -> str:
    match = re.search(pattern, sheet)
    assert match
    return match[1]


@pytest.mark.parametrize("setting", ["light", "dark"])
@pytest.mark.parametrize("kind", Kind)
def test_text_is_legible(setting: str, kind: Kind) -> None:
    """Words on a node, the small ones too, and numbers on a badge have WCAG's contrast for text."""
    sheet, name = _settings()[setting], kind.name.lower()
    pale = _found(sheet, rf"\.{name} > rect \{{ fill: (#\w{{6}})")
    strong = _found(sheet, rf"\.{name} > \.badge \{{ fill: (#\w{{6}})")
    ink = _found(sheet, r"\.graph text \{ fill: (#\w{6})")
    soft = _found(sheet, r"\.graph \.words, \.graph \.small \{ fill: (#\w{6})")
    paper = _found(sheet, r"\.graph \{ background: (#\w{6})")
    assert _contrast(pale, ink) >= 7
    assert _contrast(pale, soft) >= 4.4
    assert _contrast(strong, paper) >= 3  # large or bold text, and lines


@pytest.mark.parametrize("setting", ["light", "dark"])
def test_no_two_kinds_have_one_colour(setting: str) -> None:
    """The pale and the strong colours of any two kinds differ."""
    sheet = _settings()[setting]
    pairs = {
        kind: re.findall(rf"\.{kind.name.lower()} > rect \{{ fill: (\S+); stroke: (\S+);", sheet)
        for kind in Kind
    }
    for one, other in combinations(Kind, 2):
        assert all(a != b for a, b in zip(*pairs[one], *pairs[other], strict=True))


def test_no_variables() -> None:
    """Image viewers that are no browsers show the colours, too."""
    assert "var(" not in style_sheet()
    assert "--" not in style_sheet()
