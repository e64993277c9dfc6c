"""Replies as bytes, as spamd 4.0 writes them for the version that the client speaks.

    score = 5 + 5/ln 9 * (logit(probability) - logit(junk threshold))

so that 5.0 points are the junk threshold of the rule, and every 5 points multiply the odds of
spam by nine. With the default threshold of 0.90 an even chance is 0 points, 0.99 is 10.5.
"""

from __future__ import annotations

import re
from math import log

from winnow.protocols.spamd_events import Command, Failed, Scored, Status
from winnow.protocols.spamd_mark import ascii_words, mark, printable

THRESHOLD_POINTS = 5.0
_POINTS_PER_LOGIT = 5.0 / log(9.0)
_LEAST_DOUBT = 1e-6  # the resolution of a printed probability; keeps scores within 63 of 5.0
_MOST_REASONS = 10
_NOT_SYMBOL = re.compile(r"[^A-Z0-9]+")

Piece = bytes | memoryview


def points(scored: Scored) -> float:
    """Return the score of a verdict, to one decimal, at least 5.0 exactly when it is spam.

    Clients compare the score with the threshold on their own, so it never contradicts the rule:
    a trusted sender's mail stays below 5.0, a blocked sender's reaches it.
    """
    raw = THRESHOLD_POINTS + _POINTS_PER_LOGIT * (
        _logit(scored.probability) - _logit(scored.junk_threshold)
    )
    rounded = round(raw, 1) + 0.0  # + 0.0: no minus zero
    if scored.is_spam:
        return max(rounded, THRESHOLD_POINTS)
    return min(rounded, THRESHOLD_POINTS - 0.1)


def _logit(probability: float) -> float:
    inside = min(max(probability, _LEAST_DOUBT), 1.0 - _LEAST_DOUBT)
    return log(inside / (1.0 - inside))


def symbols(scored: Scored) -> list[str]:
    """Return names in the form of SpamAssassin's rules: action, percent, then the reasons."""
    percent = min(int(scored.probability * 100), 99)
    names = [f"WINNOW_{scored.action.upper()}", f"WINNOW_P{percent:02}"]
    names += [_symbol(kind, text) for kind, text, _ in scored.reasons[:_MOST_REASONS]]
    return list(dict.fromkeys(name for name in names if name))


def _symbol(kind: str, text: str) -> str:
    """Return the name of a reason, "" when ASCII letters and digits cannot tell what it is."""
    word = _ascii_word(text)
    return f"{_ascii_word(kind)}_{word}"[:40] if word else ""


def _ascii_word(text: str) -> str:
    return _NOT_SYMBOL.sub("_", text[:160].upper()).strip("_")


def report(scored: Scored) -> str:
    """Return the text of a REPORT, for people: UTF-8, lines ended by LF."""
    head = (
        f"Winnow: probability of spam {scored.probability:.6f}, action {scored.action}\n"
        f"Rule: {printable(scored.rule)}; model: {printable(scored.model)}\n"
    )
    if not scored.reasons:
        return head
    lines = [
        f"{share:+.4f}  {printable(kind)}: {printable(text)}\n"
        for kind, text, share in scored.reasons[:_MOST_REASONS]
    ]
    return head + "\n share   reason\n" + "".join(lines)


def fields(scored: Scored) -> list[tuple[str, str]]:
    """Return the header fields that PROCESS and HEADERS add."""
    score = points(scored)
    stars = "*" * max(0, min(50, int(score)))
    answer, flag = ("Yes", "YES") if scored.is_spam else ("No", "NO")
    status = f"{answer}, score={score:.1f} required={THRESHOLD_POINTS:.1f}"
    reasons = "; ".join(
        f"{ascii_words(kind)}: {ascii_words(text)} ({share:+.4f})"
        for kind, text, share in scored.reasons[:_MOST_REASONS]
    )
    found = [
        ("X-Spam-Flag", flag),
        ("X-Spam-Level", stars),
        ("X-Spam-Status", f"{status} tests={','.join(symbols(scored))}"),
        ("X-Winnow-Probability", f"{scored.probability:.6f}"),
        ("X-Winnow-Action", scored.action),
        # Last, as a message that begins with a continuation line adds to the field above it.
        ("X-Winnow-Reasons", reasons),
    ]
    return [(name, value) for name, value in found if value]


def scored_reply(scored: Scored, command: Command, minor: int, message: bytearray) -> list[Piece]:
    """Return the pieces of the reply to a check.

    Args:
        scored: the verdict.
        command: what the client sent.
        minor: N of the client's version 1.N; before 1.3 one header line was all it could read.
        message: the whole message for PROCESS and HEADERS, which is edited.
    """
    words = ("Yes", "No") if command is Command.REPORT_IFSPAM else ("True", "False")
    said = words[0] if scored.is_spam else words[1]
    spam_line = f"Spam: {said} ; {points(scored):.1f} / {THRESHOLD_POINTS:.1f}\r\n"
    ok = "SPAMD/1.1 0 EX_OK\r\n"
    match command:
        case Command.CHECK:
            return [f"{ok}{spam_line}\r\n".encode()]
        case Command.PROCESS | Command.HEADERS:
            pieces = mark(message, fields(scored), headers_only=command is Command.HEADERS)
            length = f"Content-length: {sum(map(len, pieces))}\r\n"
            head = f"{ok}{length}{spam_line if minor >= 3 else ''}\r\n"
            return [head.encode(), *pieces]
        case _:
            text = _text(scored, command, minor).encode("utf-8", "replace")
            length = f"Content-length: {len(text)}\r\n" if minor >= 3 else ""
            return [f"{ok}{length}{spam_line}\r\n".encode() + text]


def _text(scored: Scored, command: Command, minor: int) -> str:
    if command is Command.SYMBOLS:
        return ",".join(symbols(scored)) + ("\r\n" if minor < 3 else "")
    if command is Command.REPORT_IFSPAM and not scored.is_spam:
        return ""
    return report(scored)


def told_reply(*, done: str) -> bytes:
    """Return the reply to a TELL; `done` is "DidSet", "DidRemove" or "" for nothing."""
    did = f"{done}: local\r\n" if done else ""
    return f"SPAMD/1.1 0 EX_OK\r\n{did}Content-length: 0\r\n\r\n".encode()


def pong_reply() -> bytes:
    """Return the reply to a PING."""
    return b"SPAMD/1.5 0 PONG\r\n"


def failed_reply(failed: Failed) -> bytes:
    """Return a reply that makes the client pass its message on unmarked.

    One line and no blank line after it: libspamc ignores the status, and what makes it fall back
    is that the headers never end.
    """
    kind = _KINDS.get(failed.status, "Failed")
    reason = printable(failed.reason, 200).encode("ascii", "replace").decode("ascii")
    return f"SPAMD/1.0 {int(failed.status)} {kind}: {reason}\r\n".encode()


_KINDS: dict[int, str] = {
    Status.DATAERR: "Data Error",
    Status.UNAVAILABLE: "Service Unavailable",
    Status.TEMPFAIL: "Temporary Failure",
    Status.PROTOCOL: "Bad header line",
    Status.TIMEOUT: "Timeout",
}
