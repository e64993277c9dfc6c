"""Errors of the HTTP door: one form, one code and one count for each status."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from winnow.serving.answers import CODES, Refusal, error_answer
from winnow.serving.metrics import ERROR_KINDS

PAGE = (Path(__file__).resolve().parents[2] / "docs/reference/http.md").read_text("utf-8")


@pytest.mark.parametrize("status", CODES)
def test_every_status_is_counted_as_something(status: int):
    """Protects the metrics: a kind that does not exist would raise while an error is answered."""
    assert CODES[status][1] in ERROR_KINDS


def test_codes_tell_statuses_apart():
    """Protects clients that look at the code only."""
    codes = [code for code, _ in CODES.values()]
    assert len(set(codes)) == len(codes)


def test_the_reference_lists_every_code():
    """Protects readers: the table of errors is the one in the code."""
    listed = re.findall(r"^\| (\d{3}) \| `(\w+)` \|", PAGE, re.MULTILINE)
    assert {int(status): code for status, code in listed} == {
        status: code for status, (code, _) in CODES.items()
    }


def test_the_form():
    """Protects clients: status, type, code, sentence and further headers arrive."""
    answer = error_answer(503, 'too "much"', {"Retry-After": "1"})
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["retry-after"] == "1"
    assert json.loads(answer.body) == {"error": {"code": "unavailable", "message": 'too "much"'}}


def test_a_status_that_is_not_ours():
    """Protects from an error in an error: what the framework answers has a code, too."""
    assert json.loads(error_answer(418, "tea").body)["error"]["code"] == "status_418"


def test_a_refusal_says_what_is_answered():
    """Protects the sentence on its way from who refuses to who answers."""
    refusal = Refusal(413, "too long")
    assert (refusal.status, refusal.message, str(refusal)) == (413, "too long", "too long")
