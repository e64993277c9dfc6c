"""The owner's rule: a probability and the facts of a message in, an action out.

Pure and bounded: `Rules.decide` never raises, and no pattern takes more than linear time.
"""

from winnow.policy.facts import Decision, Facts, Trial
from winnow.policy.rule import Rule, Thresholds
from winnow.policy.rules import Rules

__all__ = ["Decision", "Facts", "Rule", "Rules", "Thresholds", "Trial"]
