"""The owner's rule: from a probability and the facts of a message to an action."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from winnow.errors import RuleError
from winnow.policy.conditions import number
from winnow.policy.facts import Decision, Facts, Trial, shown
from winnow.policy.patterns import AddressTable
from winnow.policy.rule import DEEDS, Rule, Thresholds
from winnow.policy.sections import read
from winnow.policy.senders import read_bounded
from winnow.policy.syntax import MAX_TEXT
from winnow.verdict import Action


@dataclass(frozen=True, slots=True)
class Rules:
    """What a rule file says, ready to decide; the first rule that applies acts.

    Attributes:
        thresholds: for recipients that have none of their own.
        recipients: thresholds by recipient pattern.
        rules: in the order of the file.
    """

    thresholds: Thresholds
    recipients: AddressTable[Thresholds]
    rules: tuple[Rule, ...]

    @classmethod
    def default(cls) -> Rules:
        """Return the two default thresholds and no rule."""
        return cls(Thresholds(), AddressTable.of(()), ())

    @classmethod
    def load(cls, path: Path) -> Rules:
        """Read a rule file; list files it names are looked for beside it.

        Raises:
            RuleError: it, or a list file, cannot be read; carries line and column.
        """
        try:
            text = read_bounded(path, MAX_TEXT)
        except ValueError as error:
            raise RuleError(str(error), origin=str(path)) from None
        return cls.parse(text, origin=str(path), folder=path.parent)

    @classmethod
    def parse(cls, text: str, *, origin: str, folder: Path | None = None) -> Rules:
        """Read the text of a rule file.

        Args:
            text: TOML, at most 1 MiB.
            origin: what to call it in errors.
            folder: where its list files are; None refuses them.

        Raises:
            RuleError: it cannot be read; carries line and column. Nothing else is raised.
        """
        return cls(*read(text, origin=origin, folder=folder))

    @property
    def junk_threshold(self) -> float:
        """Default probability from which a message is junked."""
        return self.thresholds.junk

    @property
    def flag_threshold(self) -> float:
        """Default probability from which a message is flagged."""
        return self.thresholds.flag

    def decide(self, facts: Facts) -> Decision:
        """Return what to do with a message. Never raises."""
        for rule in self.rules:
            if rule.applies(facts):
                return Decision(rule.action, rule.name, rule.why(facts))
        return self._by_thresholds(facts)

    def trials(self, facts: Facts) -> tuple[Trial, ...]:
        """Return every rule that was tried up to the one that decided, with its reason."""
        decision = self.decide(facts)
        tried = []
        for rule in self.rules:
            if rule.name == decision.rule:
                break
            tried.append(Trial(rule.name, False, rule.why_not(facts)))
        return (*tried, Trial(decision.rule, True, decision.why))

    def _by_thresholds(self, facts: Facts) -> Decision:
        p = facts.probability
        (junk, junk_of), (flag, flag_of) = self._strictest(facts.recipients)
        if p >= junk:
            action, whose = Action.JUNK, junk_of
            said = f"at or above the junk threshold {number(junk)}"
        elif p >= flag:
            action, whose = Action.FLAG, flag_of
            said = (
                f"at or above the flag threshold {number(flag)} "
                f"and below the junk threshold {number(junk)}"
            )
        else:
            action, whose = Action.DELIVER, flag_of
            said = f"below the flag threshold {number(flag)}"
        owner = f' that "{shown(whose)}" has in [recipients]' if whose else ""
        why = f"The probability {number(p)} is {said}{owner}, so the message {DEEDS[action]}."
        return Decision(action, f"recipient {whose}" if whose else "default", why)

    def _strictest(
        self, recipients: tuple[str, ...]
    ) -> tuple[tuple[float, str], tuple[float, str]]:
        """Return the highest junk and the highest flag threshold, each with its pattern.

        The mail goes to all its recipients as one message, so the most cautious of them wins.
        """
        found = [self.recipients.find(address) for address in recipients]
        owned = [(entry[1], entry[0]) if entry else (self.thresholds, "") for entry in found]
        owned = owned or [(self.thresholds, "")]
        junk = max(((t.junk, pattern) for t, pattern in owned), key=lambda pair: pair[0])
        flag = max(((t.flag, pattern) for t, pattern in owned), key=lambda pair: pair[0])
        return junk, flag
