"""Reading a rule file's tables: typed access, and a fault with its exact place."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from winnow.errors import RuleError
from winnow.policy.places import Path, Places
from winnow.policy.tokens import Token

T = TypeVar("T")


class Source:
    """The text of a rule file, for naming a place in it."""

    def __init__(self, text: str, origin: str, tokens: list[Token]) -> None:
        self.text = text
        self.origin = origin
        self._tokens = tokens

    def error(self, offset: int, reason: str) -> RuleError:
        """Return the error for a fault at an offset of the text."""
        return error_at(self.text, offset, reason, origin=self.origin)

    def up_to(self, offset: int) -> Source:
        """Return the text before an offset."""
        return Source(
            self.text[:offset],
            self.origin,
            [*(t for t in self._tokens if t.start < offset), Token("end", offset, "")],
        )

    def places(self) -> Places:
        """Find every key; done only when there is a fault to place."""
        return Places(self._tokens)


class Table:
    """One table of a rule file, its path, and where the two come from."""

    def __init__(self, source: Source, path: Path, data: dict[str, Any]) -> None:
        self.source = source
        self.path = path
        self.data = data

    def __contains__(self, key: str) -> bool:
        return key in self.data

    def at_key(self, key: str, reason: str) -> RuleError:
        """Return the error for a key that should not be there, or be called so."""
        return self.source.error(self.source.places().key((*self.path, key)), reason)

    def at_value(self, reason: str, *path: str | int) -> RuleError:
        """Return the error for a value below this table, or for the table itself."""
        return self.source.error(self.source.places().value((*self.path, *path)), reason)

    def allow_only(self, *known: str) -> None:
        """Refuse keys that nothing reads.

        Raises:
            RuleError: at the first such key, with the name it may be a slip of.
        """
        for key in self.data:
            if key not in known:
                close = difflib.get_close_matches(key[:40], known, n=1)
                hint = f'did you mean "{close[0]}"?' if close else f"known are {', '.join(known)}"
                raise self.at_key(key, f"unknown key {key[:40]!r}; {hint}")

    def table(self, key: str) -> Table:
        """Return the table under a key, an empty one when there is none."""
        value = self.data.get(key, {})
        if not isinstance(value, dict):
            raise self._wrong_type(value, "a table", key)
        return Table(self.source, (*self.path, key), value)

    def tables(self, key: str, *, or_one: bool = False) -> Iterator[Table]:
        """Yield the tables of an array under a key, with `or_one` also a lone table."""
        value = self.data.get(key, [])
        if or_one and isinstance(value, dict):
            yield self.table(key)
            return
        if not isinstance(value, list):
            raise self._wrong_type(value, "an array of tables, as [[rule]]", key)
        for index, item in enumerate(value):
            if not isinstance(item, dict):
                raise self._wrong_type(item, "a table", key, index)
            yield Table(self.source, (*self.path, key, index), item)

    def number(self, key: str, *, most: float, whole: bool = False) -> float | None:
        """Return a number in 0..most, or None when the key is not there."""
        value = self.data.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
            raise self._wrong_type(value, "a whole number" if whole else "a number", key)
        if not 0 <= value <= most:  # also true of NaN
            raise self.at_value(f"{key} must be a number from 0 to {most:,}", key)
        return value

    def flag(self, key: str) -> bool | None:
        """Return true or false, or None when the key is not there."""
        value = self.data.get(key)
        if value is not None and not isinstance(value, bool):
            raise self._wrong_type(value, "true or false", key)
        return value

    def text(self, key: str, convert: Callable[[str], T]) -> T:
        """Return the text under a key through a function that may refuse it with ValueError."""
        return self._convert(self.data[key], convert, key)

    def texts(self, key: str, convert: Callable[[str], T]) -> list[T]:
        """Return a text, or each of an array's, through a function that may refuse it."""
        value = self.data.get(key)
        if not isinstance(value, list):
            return [self._convert(value, convert, key)]
        if not value:
            raise self.at_value(f"{key} must not be empty", key)
        return [self._convert(item, convert, key, index) for index, item in enumerate(value)]

    def _convert(self, value: object, convert: Callable[[str], T], *path: str | int) -> T:
        if not isinstance(value, str):
            raise self._wrong_type(value, "a text in quotes", *path)
        try:
            return convert(value)
        except ValueError as error:
            raise self.at_value(str(error), *path) from None

    def _wrong_type(self, value: object, wanted: str, *path: str | int) -> RuleError:
        kinds = {dict: "a table", list: "an array", str: "a text", bool: "true or false"}
        kind = kinds.get(type(value), "a number" if isinstance(value, (int, float)) else "a date")
        names = [str(part) for part in path if isinstance(part, str)]
        return self.at_value(f"{names[-1][:40]} must be {wanted}, not {kind}", *path)


def error_at(text: str, offset: int, reason: str, *, origin: str) -> RuleError:
    """Return a rule error whose line and column, from 1, are those of an offset in a text."""
    line = text.count("\n", 0, offset) + 1
    column = offset - text.rfind("\n", 0, offset)
    return RuleError(reason, origin=origin, line=line, column=column)
