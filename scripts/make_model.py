"""Train the model that ships and write its card: `make model`.

    corpora -> src/winnow/models/shipped.winnow, docs/reference/model-card.md

The recipe is all here: which mail, how much of it, how it is calibrated. Every figure of the card
is of mail that neither the experts nor the combiner had seen: each source is left out in turn.
"""

from __future__ import annotations

import argparse
import sys
import time
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from winnow import recipe
from winnow.corpus import open_corpus
from winnow.recipe import Gathered
from winnow.runtime import sigmoid
from winnow.training.dataset import Dataset
from winnow.training.metrics import Scored, summarize
from winnow.training.train import Options, Unseen, combine, join, unseen_scores

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "src/winnow/models/shipped.winnow"
CARD = ROOT / "docs/reference/model-card.md"

# Mail of every era and kind that may be trained on. sms_spam is left out: text messages are no
# mail, and with them left-out mail was ranked worse (docs/decisions/0006).
TRAINED = (
    "spamassassin",
    "enron_spam",
    "lingspam",
    "nazario_2004_2005",
    "glitchy_419",
    "linaro_mm_sig_2025",
    "lists_ham_2019_2024",
    "newsletters_optin_2019",
    "transactional_modern",
    "correspondence_modern",
    "bounces_reports",
)
# Its licence forbids commercial use, so no shipped weight may come from it.
VALIDATION = "phishing_pot_validation"
OPTIONS = Options(view="content", calibrate="left-out", seed=0)

# Sources count by the square root of their size, so more of one teaches little and costs time.
LARGEST_SOURCE = 5_000

_shared: Dataset | None = None


def _round(left: int) -> tuple[int, Unseen]:
    """Experts that never saw one source, nor the validation mail, answer that source."""
    assert _shared is not None
    barred = [left, _shared.names.index(VALIDATION)]
    seen = np.flatnonzero(~np.isin(_shared.sources, barred))
    held = np.flatnonzero(_shared.sources == left)
    return left, unseen_scores(_shared, seen, held, OPTIONS)


def _sample(dataset: Dataset) -> Dataset:
    """At most LARGEST_SOURCE messages of each source, chosen by the seed."""
    random = np.random.default_rng(OPTIONS.seed)
    kept = [
        random.permutation(np.flatnonzero(dataset.sources == k))[:LARGEST_SOURCE]
        for k in range(len(dataset.names))
    ]
    return recipe.subset(dataset, np.concatenate(kept))


def main() -> int:
    """Train, measure, write."""
    global _shared
    parser = argparse.ArgumentParser(description="Train the model that ships; write its card.")
    parser.add_argument("--corpora", type=Path, default=ROOT / "../shared/corpora")
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args()
    start = time.time()
    paths = [args.corpora / f"{name}.tar.xz" for name in (*TRAINED, VALIDATION)]
    gathered = recipe.gather([open_corpus(path) for path in paths])
    _shared = _sample(gathered.dataset)
    print(f"read {len(_shared):,} messages in {time.time() - start:.0f} s", flush=True)
    rounds: dict[int, Unseen] = {}
    with get_context("fork").Pool(args.jobs) as pool:
        for left, unseen in pool.imap_unordered(_round, range(len(_shared.names))):
            rounds[left] = unseen
            print(f"left out {_shared.names[left]}", flush=True)
    results = [_judge(left, rounds) for left in range(len(_shared.names))]
    _write_model(gathered, rounds)
    CARD.write_text(_card(results))
    print(f"wrote {CARD.relative_to(ROOT)} after {time.time() - start:.0f} s")
    return 0


def _judge(left: int, rounds: dict[int, Unseen]) -> dict[str, Any]:
    """Figures of one source, by a combiner fitted on the answers for the other ones only."""
    assert _shared is not None
    barred = {left, _shared.names.index(VALIDATION)}
    others = join([unseen for k, unseen in rounds.items() if k not in barred])
    combiner = combine(_shared, others, OPTIONS)
    own = rounds[left]
    log_odds = own.scores @ np.array(combiner.gains) + combiner.intercept
    scored = Scored(
        np.array([sigmoid(value) for value in log_odds]),
        _shared.spam[own.members],
        tuple(_shared.ids[row] for row in own.members.tolist()),
    )
    return summarize(
        scored, corpus=_shared.names[left], protocol="leave-one-out", view=OPTIONS.view, seed=0
    )


def _write_model(gathered: Gathered, rounds: dict[int, Unseen]) -> None:
    """Train on all but the validation mail, with the combiner of all rounds."""
    assert _shared is not None
    barred = _shared.names.index(VALIDATION)
    members = np.flatnonzero(_shared.sources != barred)
    place = np.full(len(_shared), -1)
    place[members] = np.arange(len(members))
    unseen = join([part for k, part in rounds.items() if k != barred])
    own = Gathered(recipe.subset(_shared, members), gathered.repeats, 0, gathered.seconds)
    moved = Unseen(place[unseen.members], unseen.scores)
    artifact, _, record = recipe.make(own, OUT, OPTIONS, unseen=moved)
    print(f"wrote {artifact.label}: {record['cpu_seconds']}", flush=True)


def _card(results: list[dict[str, Any]]) -> str:
    artifact, _ = recipe.load(OUT)
    training = artifact.manifest["training"]
    rows = [_row(figures) for figures in results]
    combiner = artifact.calibration["combiner"]
    gains = ", ".join(f"{name} {gain:.2f}" for name, gain in combiner["gains"].items() if gain)
    template = (Path(__file__).parent / "model-card.md.in").read_text()
    return template.format(
        label=artifact.label,
        messages=f"{training['messages']:,}",
        spam=f"{training['spam']:,}",
        repeats=f"{training['repeats_left_out']:,}",
        bytes=f"{artifact.manifest['files']['reflex.safetensors']['bytes'] / 1e6:.1f}",
        gains=gains,
        intercept=f"{combiner['intercept']:.2f}",
        cpu=f"{sum(training['cpu_seconds'].values()):.0f}",
        rows="\n".join(rows),
    )


def _row(figures: dict[str, Any]) -> str:
    shown = (
        "n_ham",
        "n_spam",
        "ham_at_0.5_percent",
        "ham_at_0.9_percent",
        "spam_missed_at_0.5_percent",
        "spam_missed_at_0.9_percent",
        "one_minus_roca_percent",
        "precision_at_0.9_percent",
    )
    cells = [_cell(figures[key]) for key in shown]
    return f"| {figures['corpus']} | " + " | ".join(cells) + " |"


def _cell(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.2f}" if isinstance(value, float) else f"{value:,}"


if __name__ == "__main__":
    sys.exit(main())
