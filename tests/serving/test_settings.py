"""What the server does unless told otherwise."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from winnow.serving.binding import is_loopback
from winnow.serving.settings import Limits, Settings

PAGE = (Path(__file__).resolve().parents[2] / "docs/reference/http.md").read_text("utf-8")


def test_only_this_machine_unless_told():
    """Protects the mail of an owner who gives no options."""
    assert is_loopback(Settings().host)
    assert not Settings().allow_remote
    assert not Settings().allowed_hosts


@pytest.mark.parametrize("value", [Settings(), Limits()])
def test_values_stay(value: Settings | Limits):
    """Protects agreement of the workers: what the parent decided does not change under them."""
    for field in dataclasses.fields(value):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(value, field.name, 1)


def test_bounds_fit_into_each_other():
    """Protects from limits that can never be reached, or never kept."""
    limits = Limits()
    assert 0 < limits.inline_bytes < limits.scan_bytes < limits.message_bytes
    assert limits.header_bytes < limits.json_bytes < limits.message_bytes
    assert limits.deadline_seconds < Settings().grace_seconds < Settings().stalled_seconds
    assert limits.threads <= limits.waiting
    assert all(getattr(limits, field.name) > 0 for field in dataclasses.fields(limits))


def test_the_reference_has_the_defaults():
    """Protects readers: a default that changes is changed in the table of limits."""
    limits = Limits()
    mib, kib = 1024 * 1024, 1024
    for line in (
        f"| looked at of a message | {limits.scan_bytes // mib} MiB",
        f"| message | {limits.message_bytes // mib} MiB",
        f"| JSON body | {limits.json_bytes // mib} MiB",
        f"| request line and headers | {limits.header_bytes // kib} KiB",
        f"| time to send the headers | {limits.head_seconds:g} s",
        f"| time to send the body | {limits.body_seconds:g} s",
        f"| connection without a request | {limits.idle_seconds:g} s",
        f"| connections of one worker | {limits.connections} |",
        f"| messages above {limits.inline_bytes // kib} KiB being checked or waiting, of one worker"
        f" | {limits.waiting} |",
        f"| answer | {limits.deadline_seconds:g} s",
    ):
        assert line in PAGE
