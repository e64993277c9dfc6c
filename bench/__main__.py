"""What Winnow is worth on labelled mail: `make bench` or `python -m bench throughput` and others.

Reads ../shared/corpora where it is; a corpus that is missing is named and passed over. Times are
CPU seconds of this process.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

from winnow import recipe
from winnow.corpus import open_corpus
from winnow.pipeline import Filter
from winnow.training.train import Options

CORPORA = Path(__file__).resolve().parents[2] / "shared" / "corpora"
SEEDS = 3


def _present(*names: str) -> Iterator[tuple[str, Path]]:
    for name in names:
        path = CORPORA / f"{name}.tar.xz"
        if path.exists():
            yield name, path
        else:
            print(f"{name}: not here, passed over")


def split() -> None:
    """Train on 70% of a corpus, answer the rest; both views, three seeds."""
    for name, path in _present("spamassassin", "lingspam", "enron_spam"):
        dataset = recipe.gather([open_corpus(path)]).dataset
        for seed in range(SEEDS):
            start = time.process_time()
            figures = recipe.split(dataset, Options(seed=seed), corpus=name).figures
            seconds = time.process_time() - start
            print(
                f"split {name} seed {seed}: accuracy {figures['accuracy_percent']:.2f}%, 1-ROCA "
                f"{figures['one_minus_roca_percent']:.4f}%, ECE {figures['ece_percent']:.2f}%, "
                f"{seconds:.1f} CPU s"
            )


def online() -> None:
    """Answer, then learn, message by message, from nothing, in a seeded random order."""
    for name, path in _present("spamassassin"):
        dataset = recipe.gather([open_corpus(path)]).dataset
        found = recipe.online(dataset, recipe.blank(), corpus=name, view="both", shuffle=0)
        print(f"online {name}: 1-ROCA {found.figures['one_minus_roca_percent']:.4f}%")


def throughput() -> None:
    """Raw message to verdict in this process, without and with reasons."""
    for name, path in _present("spamassassin"):
        raws = [example.raw for example in open_corpus(path)][::4]
        model = Filter.open()
        for explain in (False, True):
            start = time.process_time()
            for raw in raws:
                model.check(raw, explain=explain)
            each = (time.process_time() - start) / len(raws)
            reasons = "with" if explain else "without"
            print(f"throughput {name} {reasons} reasons: {1e3 * each:.2f} CPU ms, {1 / each:.0f}/s")


CHORES = {"throughput": throughput, "online": online, "split": split}

if __name__ == "__main__":
    for chore in sys.argv[1:] or CHORES:
        CHORES[chore]()
