"""The reader of Markdown that the other docs tests stand on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.pages import read

TEXT = """# A title, with `code`

See [this](a.md#part) and ![not](b.png), but `[not](c.md)`.

```console runnable
$ winnow check [x](d.md)
```

## Second part
"""


def test_a_page_is_taken_apart(tmp_path: Path) -> None:
    """Links in prose are found; those in code, and images, are not."""
    path = tmp_path / "page.md"
    path.write_text(TEXT, "utf-8")
    page = read(path)
    assert list(page.links()) == ["a.md#part"]
    assert page.anchors() == {"a-title-with-code", "second-part"}
    assert [(block.info, block.lines, block.line) for block in page.blocks] == [
        ("console runnable", ("$ winnow check [x](d.md)",), 5)
    ]


def test_an_open_block_is_an_error(tmp_path: Path) -> None:
    """A fence that nobody closes would hide the rest of a page from every test."""
    path = tmp_path / "page.md"
    path.write_text("```\nx\n", "utf-8")
    with pytest.raises(AssertionError, match=r"page\.md:1"):
        read(path)
