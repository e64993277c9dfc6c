"""Small labelled mail of our own, for tests that need to learn something."""

from __future__ import annotations

import random
from pathlib import Path

SPAM = ("pills", "cheap", "winner", "prize", "click", "offer", "casino", "loan", "money")
HAM = ("meeting", "report", "lunch", "project", "minutes", "thanks", "review", "patch", "draft")
BOTH = ("the", "a", "of", "and", "to", "for", "with", "on", "your", "we", "please", "today", "is")


def message(spam: bool, seed: int) -> bytes:
    """Return one message; the same for the same seed."""
    chance = random.Random(f"{spam} {seed}")
    own = SPAM if spam else HAM
    words = [chance.choice(own if chance.random() < 0.4 else BOTH) for _ in range(40)]
    host = "prize-24.example.top" if spam else "example.org"
    return (
        f"From: Sender {seed} <a{seed}@{host}>\nTo: you@example.org\n"
        f"Message-ID: <{spam}{seed}@{host}>\nSubject: {' '.join(words[:4])}\n\n"
        f"{' '.join(words)}\n\nnumber {seed} {spam}\n"
    ).encode()


def write_corpus(folder: Path, ham: int = 80, spam: int = 80) -> Path:
    """Write a corpus with an index.tsv; return its folder."""
    (folder / "msgs").mkdir(parents=True)
    rows = ["id\tlabel\torder\tdate\tbody_hash"]
    for label, count in (("ham", ham), ("spam", spam)):
        for seed in range(count):
            name = f"{label}{seed}"
            (folder / "msgs" / f"{name}.eml").write_bytes(message(label == "spam", seed))
            rows.append(f"{name}\t{label}\t{len(rows)}\t\t")
    (folder / "index.tsv").write_text("\n".join(rows) + "\n")
    return folder
