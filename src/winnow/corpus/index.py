"""index.tsv: which messages a corpus holds, what each is, and in which order they came.

Tab-separated UTF-8 with a header line. Columns `id` and `label` are needed; `order` and `date` may
be absent or empty; others (`body_hash`) are passed over.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from winnow.corpus.example import printable
from winnow.errors import InputError
from winnow.verdict import Label

INDEX_NAME = "index.tsv"
_COLUMNS = "tab-separated columns id, label, order, date, body_hash"


@dataclass(frozen=True, slots=True)
class Row:
    """One message of the index.

    Attributes:
        label: spam or ham.
        order: sort key, unique within the index.
    """

    label: Label
    order: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Line:
    id: str
    label: Label
    order: tuple[int, ...]
    date: int | None


def read_index(lines: Iterable[bytes], name: str) -> dict[str, Row]:
    """Read an index.

    The rows are ordered by `order` when every row has one, else by `date` when every row has
    one, else as they stand; ties stay as they stand.

    Args:
        lines: of the file, with or without line ends.
        name: of the file, for errors.

    Returns:
        The rows by id, in order.

    Raises:
        InputError: names the file, the line and what is wrong with it.
    """
    source = iter(lines)
    columns = _read_header(next(source, b""), name)
    found: dict[str, _Line] = {}
    for number, raw in enumerate(source, start=2):
        if not raw.strip():
            continue
        try:
            line = _read_line(raw, columns)
        except ValueError as error:
            raise InputError(f"{name}, line {number}: {error}.") from error
        if line.id in found:
            raise InputError(f"{name}, line {number}: the id {line.id!r} stands here twice.")
        found[line.id] = line
    return _in_order(list(found.values()))


def _read_header(raw: bytes, name: str) -> dict[str, int]:
    titles = raw.decode("utf-8", "replace").lstrip("\ufeff").rstrip("\r\n").split("\t")
    columns = {title.strip(): place for place, title in enumerate(titles)}
    if "id" not in columns or "label" not in columns:
        raise InputError(f"{name}, line 1: the first line must name the {_COLUMNS}.")
    return columns


def _read_line(raw: bytes, columns: dict[str, int]) -> _Line:
    """Read one row; a ValueError says what is wrong with it."""
    try:
        cells = raw.decode("utf-8").rstrip("\r\n").split("\t")
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8 text") from None
    if len(cells) < len(columns):
        raise ValueError(f"{len(cells)} columns where the first line names {len(columns)}")
    values = {title: cells[place].strip() for title, place in columns.items()}
    return _Line(
        id=_read_id(values["id"]),
        label=_read_label(values["label"]),
        order=_read_order(values.get("order", "")),
        date=_read_date(values.get("date", "")),
    )


def _read_id(text: str) -> str:
    # The id becomes a file name, so it must not lead out of the folder.
    if not text or "/" in text or "\\" in text or text.startswith("."):
        raise ValueError(f"{printable(text)!r} cannot be an id: it is the name of a file in msgs/")
    if not text.isprintable():
        raise ValueError(f"the id {printable(text)!r} holds a character that cannot be shown")
    return text


def _read_label(text: str) -> Label:
    if text not in ("spam", "ham"):
        raise ValueError(f"the label is {printable(text)[:40]!r}; it must be spam or ham")
    return Label(text)


def _read_order(text: str) -> tuple[int, ...]:
    parts = text.split(":") if text else []
    if not all(part.isascii() and part.isdigit() and len(part) < 19 for part in parts):
        raise ValueError(
            f"the order is {printable(text)[:40]!r}; it must be a number, or numbers joined by ':'"
        )
    return tuple(int(part) for part in parts)


def _read_date(text: str) -> int | None:
    if not text:
        return None
    try:
        date = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f"the date is {printable(text)[:40]!r}; it must look like 2002-08-22T11:36:16Z"
        ) from None
    aware = date if date.tzinfo else date.replace(tzinfo=UTC)
    return int((aware - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds())


def _in_order(lines: list[_Line]) -> dict[str, Row]:
    keys: list[tuple[int, ...]] = [()] * len(lines)
    dates = [line.date for line in lines if line.date is not None]
    if all(line.order for line in lines):
        keys = [line.order for line in lines]
    elif len(dates) == len(lines):
        keys = [(date,) for date in dates]
    ranks = sorted(range(len(lines)), key=lambda n: (keys[n], n))
    return {lines[n].id: Row(lines[n].label, (rank,)) for rank, n in enumerate(ranks)}
