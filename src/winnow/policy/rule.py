"""One rule and one pair of thresholds: the pieces that `Rules` decides with."""

from __future__ import annotations

from dataclasses import dataclass

from winnow.policy.conditions import Condition
from winnow.policy.facts import Facts
from winnow.verdict import Action

DEEDS = {
    Action.JUNK: "goes to the spam folder",
    Action.FLAG: "is flagged",
    Action.DELIVER: "is delivered",
}


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Probabilities from which a message is junked or flagged; 0 <= flag <= junk <= 1."""

    junk: float = 0.90
    flag: float = 0.50


@dataclass(frozen=True, slots=True)
class Rule:
    """Conditions that must all hold, and what to do then."""

    name: str
    action: Action
    conditions: tuple[Condition, ...]

    def applies(self, facts: Facts) -> bool:
        """Say whether every condition holds."""
        return all(condition.holds(facts) for condition in self.conditions)

    def why(self, facts: Facts) -> str:
        """Return the sentence for a message that the rule applies to."""
        held = "; ".join(condition.why(facts) for condition in self.conditions)
        return f'Rule "{self.name}" applies: {held}; so the message {DEEDS[self.action]}.'

    def why_not(self, facts: Facts) -> str:
        """Return the first condition that does not hold, "" when all do."""
        failed = (c.why(facts) for c in self.conditions if not c.holds(facts))
        return next(failed, "")
