"""From the text of a rule file to the pieces of `Rules`, or a RuleError with line and column."""

from __future__ import annotations

from pathlib import Path

from winnow.policy.patterns import AddressTable, address_pattern
from winnow.policy.rule import Rule, Thresholds
from winnow.policy.rule_reader import Lists, read_rule
from winnow.policy.senders import read_senders
from winnow.policy.syntax import parse
from winnow.policy.table import Table

MAX_RULES = 1000

Pieces = tuple[Thresholds, AddressTable[Thresholds], tuple[Rule, ...]]


def read(text: str, *, origin: str, folder: Path | None) -> Pieces:
    """Read a rule file's text into the default thresholds, those by recipient, and the rules.

    Raises:
        RuleError: it cannot be read; carries line and column.
    """
    root = parse(text, origin=origin)
    root.allow_only("thresholds", "recipients", "lists", "rule")
    defaults = _thresholds(root.table("thresholds"), Thresholds())
    recipients = _recipients(root.table("recipients"), defaults)
    lists = _lists(root.table("lists"), folder)
    rules: list[Rule] = []
    names: set[str] = set()
    for table in root.tables("rule"):
        if len(rules) == MAX_RULES:
            raise table.at_value(f"at most {MAX_RULES:,} rules; put addresses into a list")
        rule = read_rule(table, lists, position=len(rules) + 1)
        if rule.name in names:
            raise table.at_value(f'another rule is called "{rule.name}"', "name")
        names.add(rule.name)
        rules.append(rule)
    return defaults, recipients, tuple(rules)


def _thresholds(table: Table, defaults: Thresholds) -> Thresholds:
    table.allow_only("junk", "flag")
    junk, flag = table.number("junk", most=1), table.number("flag", most=1)
    result = Thresholds(
        defaults.junk if junk is None else junk, defaults.flag if flag is None else flag
    )
    if result.flag > result.junk:
        raise table.at_value(
            f"flag, {result.flag:g}, must not be above junk, {result.junk:g}",
            "junk" if flag is None else "flag",
        )
    return result


def _recipients(table: Table, defaults: Thresholds) -> AddressTable[Thresholds]:
    found: dict[str, Thresholds] = {}
    for key in table.data:
        try:
            pattern = address_pattern(key)
        except ValueError as error:
            raise table.at_key(key, str(error)) from None
        if pattern in found:
            raise table.at_key(key, f'the recipient "{pattern}" is there twice')
        found[pattern] = _thresholds(table.table(key), defaults)
    try:
        return AddressTable.of(found.items())
    except ValueError as error:
        raise table.at_value(str(error)) from None


def _lists(table: Table, folder: Path | None) -> Lists:
    for name in table.data:
        if not name.strip() or len(name) > 64 or not name.isprintable():
            raise table.at_key(name, "a name of a list has from 1 to 64 printable characters")
    return {name: _list(table.table(name), folder) for name in table.data}


def _list(table: Table, folder: Path | None) -> AddressTable[None]:
    table.allow_only("senders", "file")
    entries = table.texts("senders", address_pattern) if "senders" in table else []
    if "file" in table:
        entries += table.text("file", lambda name: read_senders(name, folder))
    elif not entries:
        raise table.at_value('a list needs "senders", "file" or both')
    try:
        return AddressTable.of((entry, None) for entry in entries)
    except ValueError as error:
        raise table.at_value(str(error)) from None
