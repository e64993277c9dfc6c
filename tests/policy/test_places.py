"""Places: every key and value that tomllib finds has the offset where it stands."""

from __future__ import annotations

import tomllib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from winnow.policy.places import Path, Places
from winnow.policy.tokens import tokenize

EXAMPLE = """\
# comment = "no"
plain = 1
"quoted key" = 'two # [x]'
dotted.a . b = 3
[table]  # x
inline = { a = 1, "b.c" = [ { d = 2 }, 3 ], e.f = 4 }
[table.sub."x\\u0041"]
many = [
  "a",  # one
  ["b", [1.5, 1979-05-27 07:32:00]],
]
text = \"\"\"
[no]
\"\"\"
[[rule]]
name = "first"
[rule.header]
name = "h"
[[rule]]
name = "second"
[[rule.deep]]
x = +1
[[rule.deep]]
x = 2
"""


def walk(data: Any, path: Path = ()) -> list[tuple[Path, Any]]:
    """Return every path of parsed TOML with its value."""
    items = data.items() if isinstance(data, dict) else enumerate(data)
    found: list[tuple[Path, Any]] = []
    for key, value in items:
        found.append(((*path, key), value))
        if isinstance(value, (dict, list)):
            found += walk(value, (*path, key))
    return found


def assert_places(text: str) -> None:
    """Assert that each path has a place, and that the place shows the key or the value."""
    places = Places(tokenize(text)[0])
    for path, value in walk(tomllib.loads(text)):
        key_at = text[places.keys[path] :]
        if isinstance(path[-1], str):
            written = key_at.split("\n")[0]
            assert tomllib.loads(f"k = [{key_name(written)}]")["k"] == [path[-1]]
        if isinstance(value, (str, int, float)):
            assert text.startswith(spelling(value), places.values[path]), path


def key_name(line: str) -> str:
    """Return the TOML string of the key that a line begins with."""
    if line[0] in "\"'":
        return line[: line.index(line[0], 1) + 1]
    return f'"{line.split("=")[0].split(".")[0].split("]")[0].split("}")[0].strip()}"'


def spelling(value: object) -> str | tuple[str, ...]:
    """Return the ways a value begins in the texts of this file."""
    if isinstance(value, str):
        return ('"', "'")
    return (f"{value}", f"+{value}")


def test_every_place_of_the_example():
    """Tables, inline tables, dotted and quoted keys, arrays and arrays of tables."""
    assert_places(EXAMPLE)


def at(path: Path, *, value: bool = False) -> tuple[int, int]:
    """Return line and column of a key or value of the example."""
    places = Places(tokenize(EXAMPLE)[0])
    offset = places.value(path) if value else places.key(path)
    return EXAMPLE.count("\n", 0, offset) + 1, offset - EXAMPLE.rfind("\n", 0, offset)


def test_some_places_by_hand():
    """The walk of the other test cannot be wrong in the same way."""
    assert at(("plain",)) == (2, 1)
    assert at(("plain",), value=True) == (2, 9)
    assert at(("dotted", "a", "b")) == (4, 12)
    assert at(("table", "inline", "b.c", 0, "d"), value=True) == (6, 35)
    assert at(("table", "inline", "b.c", 1), value=True) == (6, 40)
    assert at(("table", "sub", "xA", "many", 1, 1, 0), value=True) == (10, 10)
    assert at(("rule", 1), value=True) == (19, 1)
    assert at(("rule", 1, "deep", 1, "x"), value=True) == (24, 5)
    assert at(("rule", 0, "header"), value=True) == (17, 1)


def test_an_unknown_path_falls_back_to_what_is_around_it():
    """A place is never invented, and never missing."""
    assert at(("table", "nothing"), value=True) == at(("table",), value=True)
    assert at(("nothing",)) == (1, 1)


NAMES = st.sampled_from(["a", "b-1", '"c.d"', "'e f'", "1"])
SCALARS = st.sampled_from(["1", "-2.5", '"x ] }"', "'#'", "true", "12:30:00"])


def inline(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Return arrays and inline tables of values."""
    arrays = st.lists(values, max_size=3).map(lambda items: f"[\n{', '.join(items)} ]")
    pairs = st.dictionaries(NAMES, values, max_size=3)
    return arrays | pairs.map(lambda d: "{" + ", ".join(f"{k}={v}" for k, v in d.items()) + "}")


VALUES = st.recursive(SCALARS, inline, max_leaves=6)
PAIRS = st.dictionaries(NAMES, VALUES, max_size=3).map(
    lambda d: "".join(f"{k} = {v}\n" for k, v in d.items())
)
HEADERS = st.lists(NAMES, min_size=1, max_size=3).map(".".join)
SECTIONS = st.builds("[{}]\n{}".format, HEADERS, PAIRS) | st.builds(
    "[[{}]]\n{}".format, HEADERS, PAIRS
)


@given(PAIRS, st.lists(SECTIONS, max_size=4))
def test_any_valid_toml_has_all_its_places(top: str, sections: list[str]):
    """No shape of TOML leaves a key without its place."""
    text = top + "".join(sections)
    places = Places(tokenize(text)[0])
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    for path, value in walk(data):
        assert path in places.keys, (text, path)
        if isinstance(value, (str, bool)):
            shown = str(value).lower() if isinstance(value, bool) else ('"', "'")
            assert text.startswith(shown, places.values[path])
