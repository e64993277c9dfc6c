"""Attributes that take text out of sight are told from those that only look like it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winnow.mail.visibility import NO_EFFECT, SHOWN, Effect, effect_of, under


@pytest.mark.parametrize(
    "attributes",
    [
        "style='display:none'",
        'STYLE="Display : NONE !important"',
        "style='color:red;visibility:hidden'",
        "style='opacity:0'",
        "style='opacity:0.00;'",
        "style='max-height:0;overflow:hidden'",
        "style='overflow: hidden; width: 0px'",
        "style='position:absolute;left:-9999px'",
        "style='text-indent:-5000px'",
        "style='display&#58;none'",
        "class=x hidden",
        'hidden=""',
    ],
)
def test_what_is_gone(attributes: str) -> None:
    """Each of these hides its element from everybody, and all that is within."""
    assert effect_of(attributes).gone


@pytest.mark.parametrize(
    "attributes",
    [
        "",
        "style='display:block'",
        "title='display:none'",
        "class='hidden'",
        "style='opacity:0.5'",
        "style='opacity:.9'",
        "style='max-height:0.5em;overflow:hidden'",
        "style='max-height:0'",  # what does not fit is shown beyond the box
        "style='border-width:0;overflow:hidden'",
        "style='left:-5px'",
        "style='mso-hide:all'",  # by one program only, which is shown another copy
        "style='display:block' style='display:none'",
        "data-hidden=1",
    ],
)
def test_what_stays(attributes: str) -> None:
    """Each of these is met on text that is read."""
    assert not any(effect_of(attributes))


@pytest.mark.parametrize(
    ("attributes", "small"),
    [
        ("style='font-size:0'", True),
        ("style='font-size: 1px; color:red'", True),
        ("style='font-size:0.5pt'", True),
        ("style='font-size:.01em'", True),
        ("style='font:0/0 a'", True),
        ("style='font-size:14px'", False),
        ("style='font-size:small'", False),
        ("style='font: bold 12px/1.5 Arial'", False),
        ("style='font-size:0;font-size:12px'", False),
        ("size=2", False),
        ("size='+0'", False),
        ("style='font-size:90%'", None),
        ("style='font-size:1.5em'", None),
        ("style='mso-font-size:0px'", None),
    ],
)
def test_sizes(attributes: str, small: bool | None) -> None:
    """Too small to read, of a size of its own, or as large as what is around it."""
    assert effect_of(attributes).small is small


@pytest.mark.parametrize(
    ("attributes", "pale"),
    [
        ("style='color:#fff;background:#FFFFFF'", True),
        ("style='background-color:white; color: #fff'", True),
        ("bgcolor=#ffffff style='color:#fff'", True),
        ("style='color:rgb(1,2,3);background-color:rgb(1, 2, 3)'", True),
        ("style='color:transparent'", True),
        ("style='color:rgb(0,0,0);background-color:rgb(255,255,255)'", False),
        ("style='color:#fff'", False),
        ("style='background:#fff'", None),
        ("style='border-color:#fff;background:#fff'", None),
    ],
)
def test_colours(attributes: str, pale: bool | None) -> None:
    """Text in the colour of its own ground is not seen; of other grounds nothing is known."""
    assert effect_of(attributes).pale is pale


def test_what_an_element_within_can_undo() -> None:
    """A size and a colour can be set again further in; what is gone stays gone."""
    small = under(SHOWN, Effect(False, True, None))
    assert under(small, NO_EFFECT) == small
    assert under(small, Effect(False, False, None)) == SHOWN
    gone = under(SHOWN, Effect(True, None, None))
    assert under(gone, Effect(False, False, False)) == gone


@given(st.text("style=hidden:0px;font-size \"'>&#%.()", max_size=80))
def test_any_attributes_have_an_effect(attributes: str) -> None:
    """Nothing in a tag raises."""
    assert isinstance(effect_of(attributes), Effect)
