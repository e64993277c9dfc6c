"""`winnow rule test`: which rule of a file fires for a message, and why the earlier ones do not."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from winnow.errors import InputError
from winnow.verdict import Envelope

if TYPE_CHECKING:
    from winnow.policy import Facts, Rules
    from winnow.verdict import Verdict

NAME = "rule"
HELP = "try a rule file on a message"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare `rule test` and its options; docs/reference/rules.md tells of them."""
    verbs = parser.add_subparsers(dest="rule_verb", required=True, metavar="test")
    test = verbs.add_parser("test", help="say which rule fires for a message, and why")
    test.add_argument("file", type=Path, metavar="FILE", help="rule file (TOML)")
    test.add_argument("message", metavar="MESSAGE", help="raw message, or - for standard input")
    test.add_argument("--model", type=Path, metavar="DIR", help="model (default: the one shipped)")
    test.add_argument("--sender", default="", metavar="A", help="address of MAIL FROM")
    test.add_argument(
        "--recipient",
        action="append",
        default=[],
        metavar="A",
        help="address of RCPT TO; may be repeated",
    )
    test.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Print which rule fires. Raises RuleError, ArtifactError or InputError."""
    from winnow.mail import parse
    from winnow.pipeline import Filter
    from winnow.policy import Facts

    raw = _read(args.message)
    envelope = Envelope(sender=args.sender, recipients=tuple(args.recipient))
    model = Filter.open(args.model, rules=args.file)
    try:
        verdict = model.check(raw, envelope, explain=False)
        facts = Facts(verdict.probability, envelope, parse(raw), len(raw))
        answer = explain(model.rules, facts, verdict)
    finally:
        model.close()
    print(json.dumps(answer, ensure_ascii=False) if args.json else as_text(answer))
    return 0


def explain(rules: Rules, facts: Facts, verdict: Verdict) -> dict[str, object]:
    """Return the documented JSON object: the decision, and every rule that was tried before."""
    *earlier, last = rules.trials(facts)
    return {
        "id": verdict.id,
        "probability": round(facts.probability, 6),
        "action": str(rules.decide(facts).action),
        "rule": last.rule,
        "why": last.why,
        "earlier": [{"rule": trial.rule, "why": trial.why} for trial in earlier],
    }


def as_text(answer: dict[str, object]) -> str:
    """Return the answer for a person at a terminal."""
    message_id = "".join(c if c.isprintable() else "?" for c in str(answer["id"]))
    lines = [
        f"message      {message_id}",
        f"probability  {answer['probability']}",
        f"action       {answer['action']}",
        f"rule         {answer['rule']}",
        "",
        str(answer["why"]),
    ]
    earlier = answer["earlier"]
    assert isinstance(earlier, list)
    if earlier:
        lines += ["", "Earlier rules that did not fire:"]
        lines += [f"  {trial['rule']}: {trial['why']}" for trial in earlier]
    return "\n".join(lines)


def _read(name: str) -> bytes:
    if name == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(name).read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{name}: the message cannot be read: {reason}") from None
