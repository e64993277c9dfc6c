"""Classes of domain names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winnow.features import domains


@pytest.mark.parametrize(
    ("host", "owner"),
    [
        ("mail.shop.example.com", "example.com"),
        ("shop.example.co.uk", "example.co.uk"),
        ("example.co.uk", "example.co.uk"),
        ("example.org.", "example.org"),
        ("localhost", "localhost"),
        ("co.uk", "co.uk"),
        ("", ""),
    ],
)
def test_the_organisation_behind_a_host(host: str, owner: str) -> None:
    """What somebody registered, also below a country's second level."""
    assert domains.organisation(host) == owner


@pytest.mark.parametrize(
    ("host", "kind"),
    [
        ("example.com", "com, net or org"),
        ("example.top", "cheap top-level domain"),
        ("example.de", "country domain"),
        ("x.ac.uk", "government or university"),
        ("mit.edu", "government or university"),
        ("10.0.0.1", "numeric address"),
        ("localhost", "no top-level domain"),
        ("example.museum", "other top-level domain"),
    ],
)
def test_top_level_classes(host: str, kind: str) -> None:
    """Each class has an example."""
    assert domains.top_level_class(host) == kind


@pytest.mark.parametrize(
    ("host", "odd"),
    [
        ("example.com", ()),
        ("shop24.example", ("digits in the name",)),
        ("my-best-shop.com", ("many hyphens",)),
        ("averyveryverylongname.com", ("long name",)),
        ("a.b.c.d.example.com", ("many labels",)),
        ("xn--80ak6.com", ("digits in the name", "punycode")),
        ("xkcdqwrt.com", ("unpronounceable name",)),
    ],
)
def test_odd_spellings(host: str, odd: tuple[str, ...]) -> None:
    """Each oddity has an example, and a plain name has none."""
    found = domains.shape_traits(host)
    assert set(odd) <= set(found)
    assert bool(odd) == bool(found)


@pytest.mark.parametrize(
    ("host", "kind"),
    [("bit.ly", "shortener"), ("x.github.io", "free hosting"), ("example.com", "")],
)
def test_hosting(host: str, kind: str) -> None:
    """Links that hide their target, and pages that anybody can have."""
    assert domains.hosting_class(host) == kind


def test_free_mail() -> None:
    """In every country's domain, and not by a name that only begins alike."""
    assert domains.is_free_mail("gmail.com")
    assert domains.is_free_mail("yahoo.co.uk")
    assert not domains.is_free_mail("gmail-support.com")


@given(st.text(max_size=80))
def test_any_host_has_classes(host: str) -> None:
    """No spelling raises, and the answers are of a small set."""
    assert len(domains.shape_traits(host)) <= 6
    assert domains.top_level_class(host)
    assert domains.hosting_class(host) in {"", "shortener", "free hosting"}
    assert domains.organisation(host).count(".") <= 2
    assert domains.name_of(host) is not None
