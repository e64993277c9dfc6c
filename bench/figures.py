"""The nouns of a benchmark: where its mail is, one figure, and how figures are shown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

SHARED = Path(__file__).resolve().parents[2] / "shared"


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the mail is and how thorough to be.

    Attributes:
        shared: folder with `corpora/NAME.tar.xz` and `spamassassin_split.tsv`.
        quick: a tenth of the work: to see that it runs, not to quote.
    """

    shared: Path = SHARED
    quick: bool = False

    def corpus(self, name: str) -> Path:
        """Return the archive of a corpus, whether it is there or not."""
        return self.shared / "corpora" / f"{name}.tar.xz"

    @property
    def split(self) -> Path:
        """The table that says which message of SpamAssassin's corpus is for training."""
        return self.shared / "spamassassin_split.tsv"


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number.

    Attributes:
        command: sub-command that measures it.
        subject: what was measured: a corpus, a program, a number of clients.
        what: the quantity, with its unit.
        value: None when it could not be measured.
        target: what it is to reach, if anything.
        at_least: whether more is better.
    """

    command: str
    subject: str
    what: str
    value: float | None
    target: float | None = None
    at_least: bool = False

    @property
    def reached(self) -> bool | None:
        """Whether the target is reached; None without a target."""
        if self.target is None:
            return None
        if self.value is None:
            return False
        return self.value >= self.target if self.at_least else self.value <= self.target

    def as_json(self) -> dict[str, Any]:
        """Return the object that `--json` prints."""
        return asdict(self) | {"reached": self.reached}


def shown(value: float | None) -> str:
    """Three or four significant digits, thousands apart, without an exponent."""
    if value is None:
        return "-"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    digits = next((d for bound, d in ((100, 0), (1, 2)) if abs(value) >= bound), 3)
    return f"{value:.{digits}f}" if "." in f"{value}" else f"{value}"


def pivot(figures: Sequence[Figure]) -> str:
    """Return the table of one command: a row for each subject, a column for each quantity."""
    heads = list(dict.fromkeys(figure.what for figure in figures))
    cells = {(figure.subject, figure.what): shown(figure.value) for figure in figures}
    rows = [
        [subject, *(cells.get((subject, head), "") for head in heads)]
        for subject in dict.fromkeys(figure.subject for figure in figures)
    ]
    return aligned(["", *heads], rows)


def targets(figures: Iterable[Figure]) -> str:
    """Return the table of the figures that have something to reach."""
    rows = [
        [
            f"{figure.command}: {figure.subject}, {figure.what}",
            shown(figure.value),
            f"{'>=' if figure.at_least else '<='} {figure.target:,g}",
            "reached" if figure.reached else "MISSED",
        ]
        for figure in figures
        if figure.target is not None
    ]
    return aligned(["figure", "measured", "to reach", ""], rows)


def aligned(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lay cells out in columns: the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    lines = []
    for row in (heads, *rows):
        cells = [cell.rjust(width) for cell, width in zip(row, widths, strict=True)]
        cells[0] = row[0].ljust(widths[0])
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
