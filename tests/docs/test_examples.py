"""The examples are complete, described, ours, and as odd as they say."""

from __future__ import annotations

import re

import pytest

from scripts.demo import EXAMPLES, expected
from tests.docs.pages import read

SET_ASIDE = re.compile(r"(?:^|\.)(?:example|test|example\.(?:org|com|net))$")  # RFC 2606


def _text(name: str) -> str:
    return (EXAMPLES / name).read_bytes().decode("utf-8", "replace")


def test_every_example_has_its_hope() -> None:
    """expected.tsv names each message once, with "spam" or "ham", and no other."""
    hopes = expected(EXAMPLES)
    names = [name for name, _ in hopes]
    assert sorted(names) == sorted(path.name for path in EXAMPLES.glob("*.eml"))
    assert len(names) >= 12
    assert {hope for _, hope in hopes} == {"spam", "ham"}


def test_the_readme_says_the_same() -> None:
    """The table for people agrees with the table for the demo."""
    rows = re.findall(r"^\| `(.+?)` \| (\w+) \|", read(EXAMPLES / "README.md").prose, re.MULTILINE)
    assert rows == expected(EXAMPLES)


@pytest.mark.parametrize("name", [name for name, _ in expected(EXAMPLES)])
def test_no_example_names_a_real_place(name: str) -> None:
    """Every address and link of an example is under a name that nobody can own."""
    text = re.sub(r"=\n", "", _text(name)).replace("=3D", "=")
    found = re.findall(r"(?:@|https?://)([\w-]+(?:\.[\w-]+)+)", text)
    real = [host for host in found if not SET_ASIDE.search(host.lower())]
    assert not real


@pytest.mark.parametrize("name", [name for name, _ in expected(EXAMPLES)])
def test_an_example_is_of_a_real_size(name: str) -> None:
    """A message is as long as such mail is, and its lines as short as SMTP wants them."""
    raw = (EXAMPLES / name).read_bytes()
    assert len(raw) < 6_500
    assert len(raw) > 1_000 or name == "empty.eml"
    assert max(map(len, raw.split(b"\n"))) < 998  # RFC 5322 2.1.1


def test_the_odd_ones_are_odd() -> None:
    """No editor or checkout has mended the empty and the malformed message."""
    assert (EXAMPLES / "empty.eml").read_bytes() == b""
    broken = (EXAMPLES / "malformed.eml").read_bytes()
    assert b"\x00" in broken
    assert b"\xff\xfe" in broken
    assert b"charset=utf-16" in broken
    assert b"outer--" not in broken
