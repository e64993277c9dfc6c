"""What figures belong to: a processor, and whether it multiplies integers."""

from __future__ import annotations

from pathlib import Path

import pytest

from winnow.ladder.machine import in_words, machine


def _cpuinfo(folder: Path, text: str) -> Path:
    path = folder / "cpuinfo"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("flags", "integers"),
    [
        ("flags : fpu avx2 fma", False),
        ("flags : avx2 avx512f avx512_vnni", True),
        ("Features : fp asimd asimddp", True),
        ("Features : fp asimd", False),
    ],
)
def test_integer_products(tmp_path: Path, flags: str, integers: bool) -> None:
    """Intel's, AMD's and ARM's ways to say it."""
    found = machine(_cpuinfo(tmp_path, f"model name : A processor\n{flags}\n"))
    assert found["processor"] == "A processor"
    assert found["integer_products"] is integers
    assert ("hardly time" in in_words(found)) is not integers


def test_where_nothing_tells(tmp_path: Path) -> None:
    """Another system: not known is not no."""
    found = machine(tmp_path / "missing")
    assert found["integer_products"] is None
    assert "not known" in in_words(found)


def test_a_huge_file_is_read_in_part(tmp_path: Path) -> None:
    """A machine of a thousand cores is described a thousand times; the first is enough."""
    text = "model name : Big\nflags : avx2\n" + "x : y\n" * 400_000
    assert machine(_cpuinfo(tmp_path, text))["processor"] == "Big"


def test_versions() -> None:
    """Figures of another runtime are other figures."""
    assert machine()["versions"]["numpy"]
