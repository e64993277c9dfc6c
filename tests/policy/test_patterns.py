"""Patterns: what `*` means, which address pattern is the most specific, and that time is linear."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from winnow.policy.patterns import MAX_GLOBS, AddressTable, Glob, address_pattern


def find(address: str, *patterns: str) -> str | None:
    """Return the pattern that answers for an address."""
    found = AddressTable.of((address_pattern(p), None) for p in patterns).find(address)
    return found[0] if found else None


@given(st.text("ab*", min_size=1, max_size=8), st.text("ab", max_size=8))
@example("a*a", "a")
@example("*ab*ba*", "abab")
@example("*ab*ba*", "abaa")
def test_a_glob_matches_what_its_regular_expression_matches(pattern: str, text: str):
    """The linear matcher agrees with the oracle that backtracks."""
    if "**" in pattern:
        return
    oracle = re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), text)
    assert Glob.parse(pattern).matches(text) == bool(oracle)


def test_a_glob_is_in_lower_case():
    """Case never decides over a mail."""
    assert Glob.parse("*URGENT*").matches("very urgent indeed")


@pytest.mark.parametrize("text", ["", "a**b", "*a" * 17, "a" * 1001])
def test_a_bad_glob_is_refused(text: str):
    """Nothing that costs too much, or says nothing, gets into a rule."""
    with pytest.raises(ValueError, match="pattern"):
        Glob.parse(text)


def test_hostile_text_takes_linear_time():
    """The classic of catastrophic expressions is over at once."""
    glob = Glob.parse("*a" * 16)
    start = time.process_time()
    assert not glob.matches("a" * 10_000 + "b")
    assert not AddressTable.of([("@x.y", None)]).find("a@" + "a." * 499)
    assert time.process_time() - start < 0.5


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("Anna@Example.ORG", "anna@example.org"),
        ("@example.org", "@example.org"),
        ("*@example.org", "@example.org"),
        ("*.example.org", "*.example.org"),
        ("@*.example.org", "*.example.org"),
        ("*@*.example.org", "*.example.org"),
        ("news-*@example.org", "news-*@example.org"),
        ("@exam*.org", "*@exam*.org"),
        ("*.exam*.org", "*@*.exam*.org"),
        ("postmaster@*", "postmaster@*"),
    ],
)
def test_an_address_pattern_has_one_form(written: str, canonical: str):
    """Two spellings of one pattern are one entry, so none shadows the other."""
    assert address_pattern(written) == canonical
    assert address_pattern(canonical) == canonical


@pytest.mark.parametrize(
    "text",
    [
        *("", "anna", "example.org", "*", "@", "*@*", "a@", "a@b@c", "a b@c.d", "<a@b.c>"),
        *("a?@b.c", "{a,b}@c.d", "a@b.c,d@e.f", "a\x00@b.c", "**@b.c", "a@\ud800"),
    ],
)
def test_what_is_no_address_pattern_is_refused(text: str):
    """A slip does not become a pattern that silently never matches."""
    with pytest.raises(ValueError, match="pattern"):
        address_pattern(text)


def test_a_bare_domain_is_told_what_to_write():
    """The commonest slip gets its remedy."""
    with pytest.raises(ValueError, match=r'write "@example\.com" .* or "\*\.example\.com"'):
        address_pattern("example.com")


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("a@b.c", ["a@b.c"], ["aa@b.c", "a@b.cc", "a@x.b.c", ""]),
        ("@b.c", ["a@b.c", "x@b.c"], ["a@x.b.c", "a@xb.c", "@b.c", "b.c", ""]),
        ("*.b.c", ["a@x.b.c", "a@y.x.b.c"], ["a@b.c", "a@xb.c", "x.b.c", "*.b.c"]),
        ("n-*@b.c", ["n-1@b.c", "n-@b.c"], ["m-1@b.c", "n-1@b.cc"]),
        ("@b*.c", ["a@b.c", "a@bx.c"], ["a@xb.c"]),
        ("root@*", ["root@b.c"], ["toor@b.c", "root"]),
    ],
)
def test_what_each_form_matches(pattern: str, yes: list[str], no: list[str]):
    """A domain is not its subdomains, and a look-alike is neither."""
    assert [a for a in yes if not find(a, pattern)] == []
    assert [a for a in no if find(a, pattern)] == []


def test_the_most_specific_pattern_answers():
    """Exact, then domain, then the longest parent, then other globs by letters, in any order."""
    patterns = ["*@*.c", "a*@x.b.c", "ab*@x.b.c", "*.c", "*.b.c", "@x.b.c", "ab@x.b.c"]
    expected = ["ab@x.b.c", "@x.b.c", "*.b.c", "*.c", "ab*@x.b.c", "a*@x.b.c"]
    for order in (patterns, patterns[::-1]):
        left = list(order)
        for wanted in expected:
            assert find("ab@x.b.c", *left) == wanted
            left = [p for p in left if address_pattern(p) != wanted]
        assert left == []


def test_many_odd_patterns_are_refused_but_many_plain_ones_are_not():
    """What must be tried one by one is bounded; what a dictionary finds is not."""
    assert len(AddressTable.of((f"@d{i}.c", None) for i in range(MAX_GLOBS + 1))) == MAX_GLOBS + 1
    with pytest.raises(ValueError, match="1,000 patterns"):
        AddressTable.of((f"a*@d{i}.c", None) for i in range(MAX_GLOBS + 1))
