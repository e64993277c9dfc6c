from __future__ import annotations

import ctypes
from dataclasses import replace
from email.parser import BytesParser
from email.policy import compat32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.protocols.spamd_samples import MESSAGE, SCORED, answer, request
from winnow.protocols.spamd_events import Failed, Scored
from winnow.protocols.spamd_reply import (
    failed_reply,
    fields,
    points,
    pong_reply,
    report,
    symbols,
    told_reply,
)

HAM = replace(SCORED, is_spam=False, probability=0.02, action="deliver")
probabilities = st.floats(0, 1)
hostile = st.one_of(
    st.text(), st.sampled_from(["a\r\nX-Evil: 1", "\0", "=?utf-8?q?=0D?=", "é\n\n"])
)


def with_probability(probability: float, *, threshold: float = 0.9) -> Scored:
    """Return what a rule that follows the threshold says."""
    return replace(
        SCORED,
        probability=probability,
        junk_threshold=threshold,
        is_spam=probability >= threshold,
    )


@pytest.mark.parametrize(
    ("probability", "score"),
    [(0.9, 5.0), (0.5, 0.0), (0.1, -5.0), (0.99, 10.5), (0.999, 15.7), (1.0, 31.4), (0.0, -31.4)],
)
def test_scale(probability: float, score: float) -> None:
    """5.0 is the junk threshold, 0 an even chance, and the ends are finite."""
    assert points(with_probability(probability)) == score


@given(pair=st.tuples(probabilities, probabilities).map(sorted), threshold=probabilities)
def test_scale_is_monotone(pair: list[float], threshold: float) -> None:
    """More probable is never fewer points, and 5.0 parts spam from ham for any threshold."""
    low, high = (with_probability(p, threshold=threshold) for p in pair)
    assert -60 < points(low) <= points(high) < 70
    assert (points(low) >= 5.0) == low.is_spam


@given(probability=probabilities, is_spam=st.booleans())
def test_score_never_contradicts_the_rule(probability: float, is_spam: bool) -> None:
    """A trusted sender's spam stays below 5.0, a blocked sender's ham reaches it."""
    scored = replace(SCORED, probability=probability, is_spam=is_spam)
    assert (points(scored) >= 5.0) == is_spam
    assert f"{points(scored):.1f}" != "-0.0"


OK = b"SPAMD/1.1 0 EX_OK\r\n"
SPAM, NOT_SPAM = b"Spam: True ; 7.9 / 5.0\r\n", b"Spam: False ; -8.9 / 5.0\r\n"
REPORT = report(SCORED).encode()
LENGTH = b"Content-length: %d\r\n" % len(REPORT)
SYMBOLS = b"WINNOW_JUNK,WINNOW_P97,WORD_LOTTERY,TRAIT_NO_DATE"


@pytest.mark.parametrize(
    ("command", "minor", "scored", "expected"),
    [
        ("CHECK", 2, SCORED, OK + SPAM + b"\r\n"),
        ("CHECK", 5, HAM, OK + NOT_SPAM + b"\r\n"),
        ("SYMBOLS", 2, SCORED, OK + SPAM + b"\r\n" + SYMBOLS + b"\r\n"),
        ("SYMBOLS", 5, SCORED, OK + b"Content-length: 49\r\n" + SPAM + b"\r\n" + SYMBOLS),
        ("REPORT", 2, SCORED, OK + SPAM + b"\r\n" + REPORT),
        ("REPORT_IFSPAM", 2, HAM, OK + b"Spam: No ; -8.9 / 5.0\r\n\r\n"),
        ("REPORT_IFSPAM", 5, HAM, OK + b"Content-length: 0\r\nSpam: No ; -8.9 / 5.0\r\n\r\n"),
        (
            "REPORT_IFSPAM", 5, SCORED,
            OK + LENGTH + b"Spam: Yes ; 7.9 / 5.0\r\n\r\n" + REPORT,
        ),
    ],
)  # fmt: skip
def test_replies_as_of_spamd(command: str, minor: int, scored: Scored, expected: bytes) -> None:
    """Each reply is framed as SpamAssassin 4.0.1 framed it for the same request."""
    assert answer(request(command, minor=minor), scored) == expected


@pytest.mark.parametrize(
    ("minor", "head"),
    [(2, OK + b"Content-length: %d\r\n\r\n"), (3, OK + b"Content-length: %d\r\n" + SPAM + b"\r\n")],
)
@pytest.mark.parametrize(("command", "rest"), [("PROCESS", MESSAGE), ("HEADERS", MESSAGE[:31])])
def test_echo(command: str, rest: bytes, minor: int, head: bytes) -> None:
    """PROCESS sends the message back with the verdict on top, HEADERS its headers alone."""
    sent = (
        b"X-Spam-Flag: YES\nX-Spam-Level: *******\n"
        b"X-Spam-Status: Yes, score=7.9 required=5.0\n tests=" + SYMBOLS + b"\n"
        b"X-Winnow-Probability: 0.970000\nX-Winnow-Action: junk\n"
        b"X-Winnow-Reasons: word: lottery (+0.3100); trait: no date (-0.1000)\n" + rest
    )
    assert answer(request(command, minor=minor)) == head % len(sent) + sent


def test_ham_has_no_stars() -> None:
    """A field without a value is left out."""
    names = [name for name, _ in fields(replace(HAM, reasons=()))]
    assert "X-Spam-Level" not in names
    assert "X-Winnow-Reasons" not in names
    assert ("X-Spam-Flag", "NO") in fields(HAM)


@given(kind=hostile, text=hostile, rule=hostile, share=st.floats(-1, 1))
def test_no_header_is_injected(kind: str, text: str, rule: str, share: float) -> None:
    """Whatever a reason says, the marked message has our fields, then its own, and nothing else."""
    scored = replace(SCORED, reasons=((kind, text, share),) * 3, rule=rule, model=text)
    sent = answer(request("PROCESS"), scored).partition(b"\r\n\r\n")[2]
    parsed = BytesParser(policy=compat32).parsebytes(sent)
    assert [name for name, _ in parsed.raw_items()] == [
        *(name for name, _ in fields(scored)), "From", "Subject",
    ]  # fmt: skip
    assert parsed.get_payload() == "see you at one\n"
    assert sent.isascii()
    assert b"\0" not in sent
    assert max(map(len, sent.splitlines())) <= 998


@given(text=hostile)
def test_report_lines(text: str) -> None:
    """A reason is one line of the report."""
    scored = replace(SCORED, reasons=(("word", text, 0.5),), rule=text, model=text)
    assert len(report(scored).splitlines()) == 5
    assert "\r" not in report(scored)


@pytest.mark.parametrize("text", ["!", "%", "", "привет", "\r\n"])
def test_symbols_without_a_word(text: str) -> None:
    """A reason that ASCII cannot tell gets no name: "WORD" alone would tell nothing."""
    scored = replace(SCORED, reasons=(("word", text, 0.5), ("word", "lottery", 0.1)))
    assert symbols(scored)[2:] == ["WORD_LOTTERY"]


@given(texts=st.lists(hostile, max_size=30))
def test_symbols(texts: list[str]) -> None:
    """Symbols are names as SpamAssassin has them, each once, and not too many."""
    scored = replace(SCORED, reasons=tuple(("word", text, 0.1) for text in texts))
    found = symbols(scored)
    assert found[:2] == ["WINNOW_JUNK", "WINNOW_P97"]
    assert len(found) == len(set(found)) <= 12
    assert all(name.isascii() and name.replace("_", "").isalnum() for name in found)
    assert all(name == name.upper() and len(name) <= 40 for name in found)


@pytest.mark.parametrize(("probability", "name"), [(0, "P00"), (0.999, "P99"), (1.0, "P99")])
def test_percent_symbol(probability: float, name: str) -> None:
    """The percent is two digits, cut and not rounded up."""
    assert f"WINNOW_{name}" in symbols(replace(SCORED, probability=probability))


def test_told() -> None:
    """A TELL is answered with what was done, or with nothing."""
    assert told_reply(done="DidSet") == OK + b"DidSet: local\r\nContent-length: 0\r\n\r\n"
    assert told_reply(done="") == OK + b"Content-length: 0\r\n\r\n"


def test_pong() -> None:
    """A PING is answered as spamd 4 does."""
    assert pong_reply() == b"SPAMD/1.5 0 PONG\r\n"


@given(reason=hostile, status=st.integers(1, 99))
def test_failure_is_one_line(reason: str, status: int) -> None:
    """A failure has no blank line, which libspamc would take for a reply, and no other bytes."""
    line = failed_reply(Failed(status, reason))
    assert line.startswith(b"SPAMD/1.0 %d " % status)
    assert line.endswith(b"\r\n")
    assert len(line) < 260
    assert line[:-2].decode("ascii").isprintable()


@pytest.mark.parametrize("scored", [SCORED, HAM], ids=["spam", "ham"])
def test_exim_reads_the_report(scored: Scored) -> None:
    """Exim's own sscanf format takes score and threshold from a REPORT of version 1.2."""
    reply = answer(request("REPORT", "User: nobody", minor=2), scored)
    version = ctypes.create_string_buffer(9)
    score, threshold, offset = ctypes.c_double(), ctypes.c_double(), ctypes.c_int()
    taken = ctypes.CDLL(None).sscanf(
        reply,
        b"SPAMD/%7s 0 EX_OK\r\nSpam: %*s ; %lf / %lf\r\n\r\n%n",
        version, ctypes.byref(score), ctypes.byref(threshold), ctypes.byref(offset),
    )  # fmt: skip
    assert (taken, version.value) == (3, b"1.1")
    assert (score.value >= threshold.value) == scored.is_spam
    assert reply[offset.value :].decode() == report(scored)
