"""Files of addresses, one a line, that a rule file names."""

from __future__ import annotations

from pathlib import Path

from winnow.policy.patterns import address_pattern
from winnow.policy.table import error_at

# A million addresses, more than anyone keeps by hand, and read in a few seconds.
MAX_FILE = 16 << 20


def read_bounded(path: Path, limit_bytes: int) -> str:
    """Return the text of a regular file of UTF-8, without a byte order mark.

    Raises:
        ValueError: it is no such file, or longer than the limit; the text says so.
        RuleError: it is not UTF-8; carries line and column of the byte.
    """
    try:
        # A pipe or a device might never end, so only what has a size is opened.
        if path.exists() and not path.is_file():
            raise ValueError("cannot be read: it is not a regular file")
        with path.open("rb") as file:
            data = file.read(limit_bytes + 1)
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror or error}") from None
    if len(data) > limit_bytes:
        raise ValueError(f"cannot be read: it has more than {limit_bytes:,} bytes")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8-sig", "replace")
        raise error_at(before, len(before), "a byte that is not UTF-8", origin=str(path)) from None


def read_senders(name: str, folder: Path | None) -> list[str]:
    """Return the address patterns of a list file.

    Blank lines and what follows a `#` at the start of a line or after a blank are left out.

    Args:
        name: path of the file, relative to the folder.
        folder: None refuses every file.

    Raises:
        ValueError: the file cannot be read; the caller knows the place that names it.
        RuleError: a line of it is no address pattern; carries its line and column.
    """
    if folder is None:
        raise ValueError("a list file needs a rule file to stand beside")
    path = folder / name
    try:
        text = read_bounded(path, MAX_FILE)
    except ValueError as error:
        raise ValueError(f"the list file {str(path)[:200]!r} {error}") from None
    entries = []
    offset = 0
    for line in text.split("\n"):
        entry = _without_comment(line)
        try:
            entries += [address_pattern(entry)] if entry else []
        except ValueError as error:
            start = offset + line.index(entry)
            raise error_at(text, start, str(error), origin=str(path)) from None
        offset += len(line) + 1
    return entries


def _without_comment(line: str) -> str:
    text = line.strip()
    return "" if text.startswith("#") else text.partition(" #")[0].partition("\t#")[0].strip()
