"""Tables for a person, on terminals of any width: a text may be shortened, a number never.

Half a number is another number, so a table that does not fit even with its texts shortened is
printed as lines, one for each cell.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Column, Table

_LEAST_TEXT = 12  # columns that a shortened text keeps


def table(*heads: str) -> Table:
    """Return an empty table without lines; a head that ends in a blank is of a text column.

    Columns of numbers are right-aligned. To be printed by `print_table`.
    """
    from rich.table import Table

    made = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for head in heads:
        words = head.endswith(" ")
        made.add_column(
            head.rstrip(),
            justify="left" if words else "right",
            no_wrap=True,
            overflow="ellipsis" if words else "fold",
        )
    return made


def print_table(out: Console, shown: Table) -> None:
    """Print a table: as it is, with its last texts shortened, or else as lines."""
    columns = [[column.header, *column.cells] for column in shown.columns]
    widths = [_width(cells) for cells in columns]
    spare = sum(widths) + shown.padding[1] * (len(widths) - 1) - out.width
    for place in reversed(range(len(widths))):
        if spare > 0 and _is_text(shown.columns[place]):
            cut = min(spare, max(0, widths[place] - _LEAST_TEXT))
            widths[place] -= cut
            spare -= cut
    if spare > 0:
        _print_lines(out, columns)
        return
    for column, width in zip(shown.columns, widths, strict=True):
        column.width = width
    out.print(shown)


def _is_text(column: Column) -> bool:
    return column.overflow == "ellipsis"


def _width(cells: Iterable[RenderableType]) -> int:
    from rich.cells import cell_len

    return max(cell_len(line) for cell in cells for line in str(cell).split("\n"))


def _print_lines(out: Console, columns: list[list[RenderableType]]) -> None:
    heads, *rows = zip(*columns, strict=True)
    for first, *rest in rows:
        out.print(first)
        for head, cell in zip(heads[1:], rest, strict=True):
            if str(cell):
                out.print(f"  {' '.join(str(head).split())}: {cell}")
