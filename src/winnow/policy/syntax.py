"""From the text of a rule file to its tables; a syntax error gets the place a reader expects."""

from __future__ import annotations

import re
import tomllib

from winnow.errors import RuleError
from winnow.policy.table import Source, Table
from winnow.policy.tokens import check, tokenize, unclosed

MAX_TEXT = 1 << 20

_TOMLLIB_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)\Z")


def parse(text: str, *, origin: str) -> Table:
    """Read TOML into its outermost table.

    Raises:
        RuleError: it is longer than 1 MiB, too nested, or no TOML; carries line and column.
    """
    if len(text) > MAX_TEXT:
        raise RuleError("a rule file has at most 1 MiB", origin=origin)
    text = text.replace("\r\n", "\n")
    tokens, broken = tokenize(text)
    source = Source(text, origin, tokens)
    costly = check(tokens)
    if costly is not None:
        raise source.error(costly.offset, costly.reason)
    try:
        return Table(source, (), tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        reason, offset = _split(str(error), text)
    if reason.startswith(("Cannot", "Duplicate")):  # tomllib points behind the second value
        offset = source.up_to(offset).places().repeated
    elif offset == len(text) and broken is not None:
        offset, reason = broken.offset, broken.reason
    elif offset == len(text):
        opened = unclosed(tokens)
        offset = len(text) if opened is None else opened
    raise source.error(offset, reason)


def _split(message: str, text: str) -> tuple[str, int]:
    """Split a message of tomllib into its reason and the offset it names."""
    found = _TOMLLIB_PLACE.search(message)
    if found is None or found[1] is None:
        return message[: found.start() if found else None], len(text)
    line, column = int(found[1]), int(found[2])
    start = sum(len(one) + 1 for one in text.split("\n")[: line - 1])
    return message[: found.start()], start + column - 1
