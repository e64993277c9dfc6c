"""Where each key and value of a rule file stands, which tomllib does not tell.

The walk below takes the text for valid TOML, because tomllib has read it before; it knows only as
much of the grammar as it takes to name every key and value by its path.
"""

from __future__ import annotations

import tomllib

from winnow.policy.tokens import Token

Path = tuple[str | int, ...]


class Places:
    """Offsets of keys and values by their path, as ("rule", 0, "header", "name").

    Attributes:
        keys: offset of a key, of a table's name in its header, or of an array's element.
        values: offset of a value, or of the bracket that opens a table's header.
        repeated: offset of the first key that sets what was set before, else of the last key.
    """

    def __init__(self, tokens: list[Token]) -> None:
        self.keys: dict[Path, int] = {}
        self.values: dict[Path, int] = {}
        self.repeated = 0
        self._found_repetition = False
        self._lengths: dict[Path, int] = {}  # of arrays of tables
        self._tokens = tokens
        self._next = 0
        self._statements()

    def key(self, path: Path) -> int:
        """Return where the key stands, or the nearest place around it."""
        return _nearest(self.keys, path)

    def value(self, path: Path) -> int:
        """Return where the value stands, or the nearest place around it."""
        return _nearest(self.values, path)

    def _peek(self) -> Token:
        return self._tokens[self._next]

    def _take(self) -> Token:
        token = self._tokens[self._next]
        self._next += token.kind != "end"
        return token

    def _at(self, marks: str) -> bool:
        token = self._peek()
        return token.kind == "mark" and token.text in marks

    def _statements(self) -> None:
        base: Path = ()
        while self._peek().kind != "end":
            if self._peek().kind == "newline":
                self._take()
            elif self._at("["):
                base = self._header()
            else:
                self._pair(base)

    def _header(self) -> Path:
        start = self._take().start
        is_array = self._at("[")
        if is_array:
            self._take()
        *parents, (offset, name) = self._key()
        path = (*self._step((), parents), name)
        self.keys.setdefault(path, offset)
        while self._at("]"):
            self._take()
        if not is_array:
            self._note(path, offset, start)
            return path
        self.repeated = self.repeated if self._found_repetition else offset
        index = self._lengths.get(path, 0)
        self._lengths[path] = index + 1
        self.values.setdefault(path, start)
        element = (*path, index)
        self.keys[element] = offset
        self.values[element] = start
        return element

    def _step(self, base: Path, parents: list[tuple[int, str]]) -> Path:
        """Go down from a table along the first parts of a dotted key."""
        for offset, name in parents:
            base = (*base, name)
            self.keys.setdefault(base, offset)
            if base in self._lengths:
                base = (*base, self._lengths[base] - 1)
        return base

    def _pair(self, base: Path) -> None:
        *parents, (offset, name) = self._key()
        path = (*self._step(base, parents), name)
        self.keys.setdefault(path, offset)
        self._take()  # the "="
        self._note(path, offset, self._peek().start)
        self._value(path)

    def _note(self, path: Path, key_offset: int, value_offset: int) -> None:
        if not self._found_repetition:
            self.repeated = key_offset
            self._found_repetition = path in self.values
        self.values.setdefault(path, value_offset)

    def _key(self) -> list[tuple[int, str]]:
        parts = [self._part()]
        while self._at("."):
            self._take()
            parts.append(self._part())
        return parts

    def _part(self) -> tuple[int, str]:
        token = self._take()
        if token.kind != "string":
            return token.start, token.text
        return token.start, str(tomllib.loads(f"k={token.text}")["k"])

    def _value(self, path: Path) -> None:
        if self._at("["):
            self._array(path)
        elif self._at("{"):
            self._inline_table(path)
        else:
            while not self._at(",]}") and self._peek().kind not in ("newline", "end"):
                self._take()

    def _array(self, path: Path) -> None:
        self._take()
        index = 0
        while not self._at("]") and self._peek().kind != "end":
            if self._at(",") or self._peek().kind == "newline":
                self._take()
                continue
            element = (*path, index)
            self.keys[element] = self.values[element] = self._peek().start
            self._value(element)
            index += 1
        self._take()

    def _inline_table(self, path: Path) -> None:
        self._take()
        while not self._at("}") and self._peek().kind != "end":
            if self._at(",") or self._peek().kind == "newline":
                self._take()
            else:
                self._pair(path)
        self._take()


def _nearest(places: dict[Path, int], path: Path) -> int:
    while path and path not in places:
        path = path[:-1]
    return places.get(path, 0)
