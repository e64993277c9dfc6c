"""From one [[rule]] table to a Rule, or a RuleError with line and column."""

from __future__ import annotations

import re

from winnow.policy.conditions import (
    Aligned,
    Condition,
    HeaderMatches,
    InRange,
    RecipientMatches,
    SenderMatches,
)
from winnow.policy.patterns import MAX_GLOBS, MAX_PATTERN, AddressTable, Glob, address_pattern
from winnow.policy.rule import Rule
from winnow.policy.table import Table
from winnow.verdict import Action

MAX_SIZE = 1 << 50

Lists = dict[str, AddressTable[None]]

_SENDER_KEYS = ("sender", "from", "envelope_sender")
_RULE_KEYS = (
    "name",
    "action",
    *_SENDER_KEYS,
    "sender_in",
    "aligned",
    "recipient",
    "header",
    "size_bytes",
    "probability",
)


def read_rule(table: Table, lists: Lists, *, position: int) -> Rule:
    """Read one [[rule]].

    Args:
        table: the rule's table.
        lists: what `sender_in` may name.
        position: from 1; names a rule that has no name.

    Raises:
        RuleError: it cannot be read; carries line and column.
    """
    table.allow_only(*_RULE_KEYS)
    name = table.text("name", _rule_name) if "name" in table else f"rule {position}"
    if "action" not in table:
        raise table.at_value('a rule needs action = "junk", "flag" or "deliver"')
    action = table.text("action", _action)
    conditions = [
        *_sender_conditions(table, lists, action),
        *_recipient_conditions(table),
        *_ranges(table),
        *(_header(one) for one in table.tables("header", or_one=True)),
    ]
    if not conditions:
        raise table.at_value(
            "a rule needs a condition; for all mail write probability = { at_least = 0 }"
        )
    return Rule(name, action, tuple(conditions))


def _sender_conditions(table: Table, lists: Lists, action: Action) -> list[Condition]:
    found: list[Condition] = [
        SenderMatches(key, (("", _addresses(table, key)),)) for key in _SENDER_KEYS if key in table
    ]
    if "sender_in" in table:

        def known(name: str) -> str:
            if name not in lists:
                raise ValueError(f"there is no list {name[:40]!r} in [lists]")
            return name

        names = table.texts("sender_in", known)
        found.append(SenderMatches("sender", tuple((name, lists[name]) for name in names)))
    aligned = table.flag("aligned")
    # Trust that rests on a sender alone is trust in whoever writes that name; see rules.md.
    if aligned or (aligned is None and found and action is Action.DELIVER):
        found.append(Aligned())
    return found


def _recipient_conditions(table: Table) -> list[Condition]:
    if "recipient" not in table:
        return []
    return [RecipientMatches(_addresses(table, "recipient"))]


def _addresses(table: Table, key: str) -> AddressTable[None]:
    entries = table.texts(key, address_pattern)
    try:
        return AddressTable.of((entry, None) for entry in entries)
    except ValueError as error:
        raise table.at_value(str(error), key) from None


def _ranges(table: Table) -> list[Condition]:
    found: list[Condition] = []
    for key, most in (("probability", 1), ("size_bytes", MAX_SIZE)):
        if key not in table:
            continue
        limits = table.table(key)
        limits.allow_only("at_least", "below")
        whole = key == "size_bytes"
        low = limits.number("at_least", most=most, whole=whole)
        high = limits.number("below", most=most, whole=whole)
        if low is None and high is None:
            raise table.at_value(f'{key} needs "at_least", "below" or both', key)
        if low is not None and high is not None and low >= high:
            raise limits.at_value("nothing is at least at_least and below below", "below")
        found.append(InRange(key, low, high))
    return found


def _header(table: Table) -> Condition:
    verbs = ("equals", "contains", "matches")
    table.allow_only("name", *verbs)
    if "name" not in table:
        raise table.at_value('a header condition needs "name"')
    name = table.text("name", _header_name)
    used = [verb for verb in verbs if verb in table]
    if len(used) != 1:
        raise table.at_value('a header condition needs one of "equals", "contains", "matches"')
    verb = used[0]
    texts = table.texts(verb, _glob_text if verb == "matches" else _plain_text)
    if len(texts) > MAX_GLOBS:
        raise table.at_value(f"{verb} takes at most {MAX_GLOBS:,} texts", verb)
    return HeaderMatches(name, verb, tuple(texts), tuple(_header_glob(verb, t) for t in texts))


def _header_glob(verb: str, text: str) -> Glob:
    lowered = text.lower()
    if verb == "equals":
        return Glob((lowered.strip(),))
    return Glob(("", lowered, "")) if verb == "contains" else Glob.parse(lowered)


def _glob_text(text: str) -> str:
    Glob.parse(text)
    return text


def _plain_text(text: str) -> str:
    if not text.strip() or len(text) > MAX_PATTERN:
        raise ValueError(f"a text has from 1 to {MAX_PATTERN:,} characters")
    return text


def _header_name(text: str) -> str:
    # RFC 5322, 2.2: printable ASCII except the colon.
    if not re.fullmatch(r"[!-9;-~]{1,200}", text):
        raise ValueError(f'{text[:40]!r} is no name of a header, as "List-Id"')
    return text


def _rule_name(text: str) -> str:
    if not text.strip() or len(text) > 64 or not text.isprintable() or '"' in text:
        raise ValueError("a name has from 1 to 64 printable characters and no quotes")
    if text == "default" or text.startswith("recipient "):
        raise ValueError('the name "default" and names from "recipient " on belong to thresholds')
    return text


def _action(text: str) -> Action:
    if text not in set(Action):
        raise ValueError(f'{text[:40]!r} is no action; known are "junk", "flag", "deliver"')
    return Action(text)
