"""News of every change reach the changelog, in order and once."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.changelog import FragmentError, fragments, release
from tests.docs.pages import ROOT


def _write(root: Path, **news: str) -> None:
    (root / "changelog.d").mkdir(exist_ok=True)
    for name, text in news.items():
        (root / "changelog.d" / f"{name.replace('__', '.')}.md").write_text(text, "utf-8")


def test_our_fragments_are_in_form() -> None:
    """A fragment with a wrong name would be lost at the release; here it fails the day it comes."""
    assert fragments(ROOT / "changelog.d").keys() == {"breaking", "added", "changed", "fixed"}


def test_a_release_moves_the_news(tmp_path: Path) -> None:
    """Two releases: the newer on top, kinds in order, nothing twice, the guide stays."""
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\nHead.\n", "utf-8")
    _write(tmp_path, README="guide", a__fixed="A is\nmended.", b__breaking="B is gone.")
    release(tmp_path, "0.1.0", "2026-01-01")
    _write(tmp_path, c__added="C is new.")
    release(tmp_path, "0.2.0", "2026-02-01")
    assert (tmp_path / "CHANGELOG.md").read_text("utf-8") == (
        "# Changelog\n\nHead.\n\n"
        "## 0.2.0 (2026-02-01)\n\n### Added\n\n- C is new.\n\n"
        "## 0.1.0 (2026-01-01)\n\n### Breaking\n\n- B is gone.\n\n### Fixed\n\n- A is mended.\n"
    )
    assert [path.name for path in (tmp_path / "changelog.d").iterdir()] == ["README.md"]


@pytest.mark.parametrize("name", ["x__news", "X__added", "added"])
def test_a_wrong_name_stops_the_release(tmp_path: Path, name: str) -> None:
    """A release with a fragment that it cannot place changes nothing."""
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n", "utf-8")
    _write(tmp_path, a__added="A.", **{name: "text"})
    with pytest.raises(FragmentError, match="README"):
        release(tmp_path, "0.1.0", "2026-01-01")
    assert (tmp_path / "CHANGELOG.md").read_text("utf-8") == "# Changelog\n"
    assert len(list((tmp_path / "changelog.d").iterdir())) == 2
