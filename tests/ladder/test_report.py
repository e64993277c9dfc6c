"""The report: whole, readable anywhere, and asking for nothing from outside."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.ladder.rows import found
from winnow.errors import InputError
from winnow.ladder.report import render_report, write_report

_VOID = {"meta", "rect", "line", "circle", "path", "br", "wbr"}


class _Page(HTMLParser):
    """Opens and closes what it reads, and keeps attributes and words."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.words: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def _text(page: str) -> str:
    return " ".join(" ".join(_Page(page).words).split())


@pytest.mark.parametrize("mail", [True, False])
@pytest.mark.parametrize("peers", [True, False])
def test_it_is_well_formed(mail: bool, peers: bool) -> None:
    """Every element that is opened is closed, with and without mail and peers."""
    page = _Page(render_report(found(mail=mail, peers=peers), created="today"))
    assert page.open == []
    ids = [value for name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    assert ("Beside others" in page.words) is peers


def test_it_asks_for_nothing_from_outside() -> None:
    """No script, no picture or style from elsewhere, and a policy that would refuse them."""
    text = render_report(found(), created="today")
    page = _Page(text)
    assert not {"script", "img", "link", "iframe", "object", "embed", "form", "base"} & {*page.tags}
    names = {name for name, _ in page.attributes}
    assert not {name for name in names if name.startswith("on") or name in ("src", "srcset")}
    assert not re.search(r"https?:|url\(|@import|//[a-z]", text)
    assert "default-src 'none'" in text


def test_it_fits_dark_rooms_and_telephones() -> None:
    """Colours follow the reader's setting, and wide tables scroll on their own."""
    text = render_report(found(), created="")
    assert "prefers-color-scheme: dark" in text
    assert 'name="viewport"' in text
    assert text.count('<div class="scroll"') == text.count("<table>") == 3


def test_what_is_missing_is_told() -> None:
    """Refused rows, peers that are not installed, lengths that the model does not take."""
    told = _text(render_report(found(), created="today"))
    for words in (
        "fused: it moved an output by 0.1",
        "torch: PyTorch is not installed",
        "ms at 256: the model takes 128 tokens at most",
        "estimated",
        "A processor, with instructions",
        "1,000 messages of mine",
        "today",
    ):
        assert words in told


def test_figures_and_intervals_are_in_the_tables() -> None:
    """A number without its interval says too much."""
    page = render_report(found(), created="")
    row = re.findall(r'<tr><th scope="row">quantized.*?</tr>', page)
    assert len(row) == 2
    assert "5,000,000" in row[0]
    assert "2.40<small>2.20&ndash;2.60</small>" in row[0]
    assert "97.80<small>" in row[1]
    assert "&ndash;</span>" in row[0]


def test_names_from_outside_are_text() -> None:
    """A folder's name is no markup."""
    page = render_report(found(name="<b onload=x>&\u202eevil"), created="<i>")
    assert "<b " not in page
    assert "<i>" not in page
    assert "\u202e" not in page


def test_an_older_report_is_replaced(tmp_path: Path) -> None:
    """As a compiler replaces what it wrote."""
    path = tmp_path / "ladder.html"
    path.write_text("old")
    write_report(path, found(), created="today")
    assert path.read_text("utf-8") == render_report(found(), created="today")


def test_no_place(tmp_path: Path) -> None:
    """One sentence, and which file it is about."""
    with pytest.raises(InputError, match="cannot be written"):
        write_report(tmp_path / "no" / "ladder.html", found())
