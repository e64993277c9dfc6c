"""How well it answers: split, online and leave-one-out."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from typing import Any

import numpy as np

from bench.figures import Figure, Settings
from scripts import make_model
from winnow import recipe
from winnow.corpus import open_corpus
from winnow.training.dataset import Dataset
from winnow.training.train import Options

SEEDS = 3
ROCA, ACCURACY, ECE = "1-ROCA %", "accuracy %", "ECE %"
_KEYS = {
    ACCURACY: "accuracy_percent",
    ROCA: "one_minus_roca_percent",
    ECE: "ece_percent",
}
SPLIT_TARGETS = {
    "spamassassin": {ACCURACY: 99.4, ROCA: 0.04, ECE: 1.0},
    "enron_spam": {ACCURACY: 99.2, ECE: 1.0},
    "lingspam": {ACCURACY: 99.7, ECE: 1.0},
}
ONLINE_TARGET = 0.10
LEFT_OUT_TARGETS = {
    "spamassassin": 1.0,
    "enron_spam": 6.0,
    "lingspam": 0.8,
    "linaro_mm_sig_2025": 0.4,
}
WORST_TARGETS = {"ham_at_0.9_percent": 2.0, "spam_missed_at_0.5_percent": 15.0}


def split(settings: Settings) -> Iterator[Figure]:
    """Train on 70% of a corpus and answer the rest, both views, three seeds."""
    for name, wanted in SPLIT_TARGETS.items():
        if not settings.corpus(name).exists():
            continue
        dataset = _smaller(recipe.gather([open_corpus(settings.corpus(name))]).dataset, settings)
        runs = [
            recipe.split(dataset, Options(seed=seed), corpus=name).figures
            for seed in range(1 if settings.quick else SEEDS)
        ]
        for what, key in _KEYS.items():
            values = [float(figures[key]) for figures in runs]
            mean, target = statistics.fmean(values), wanted.get(what)
            at_least = what == ACCURACY
            yield Figure("split", name, what, mean, target, at_least)
            worst = min(values) if at_least else max(values)
            yield Figure("split", name, f"worst {what}", worst)


def online(settings: Settings) -> Iterator[Figure]:
    """Answer, then learn, one message at a time from nothing, in seeded random orders."""
    path = settings.corpus("spamassassin")
    if not path.exists():
        return
    dataset = _smaller(recipe.gather([open_corpus(path)]).dataset, settings)
    for seed in range(1 if settings.quick else SEEDS):
        found = recipe.online(
            dataset, recipe.blank(), corpus="spamassassin", view="both", shuffle=seed
        )
        subject = f"spamassassin, order {seed}"
        yield from _figures("online", subject, found.figures, {ROCA: ONLINE_TARGET})


def leave_one_out(settings: Settings) -> Iterator[Figure]:
    """Each source answered by a model trained as the shipped one is, but without that source."""
    folder = settings.shared / "corpora"
    if not all(
        (folder / f"{name}.tar.xz").exists()
        for name in (*make_model.TRAINED, make_model.VALIDATION)
    ):
        return
    gathered = recipe.gather(list(make_model.sources(folder)))
    dataset = make_model.prepared(_smaller(gathered.dataset, settings))
    judged = [one.figures for one in make_model.judged(dataset, make_model.left_out(dataset, 2))]
    for figures in judged:
        name = figures["corpus"]
        wanted = {ROCA: LEFT_OUT_TARGETS[name]} if name in LEFT_OUT_TARGETS else {}
        yield from _figures("leave-one-out", name, figures, wanted)
    for key, target in WORST_TARGETS.items():
        worst = max(figures[key] for figures in judged if figures[key] is not None)
        yield Figure("leave-one-out", "worst source", _title(key), worst, target)


def _figures(
    command: str, subject: str, found: dict[str, Any], wanted: dict[str, float]
) -> Iterator[Figure]:
    for what, key in _KEYS.items():
        yield Figure(command, subject, what, found[key], wanted.get(what), what == ACCURACY)
    for key in WORST_TARGETS:
        yield Figure(command, subject, _title(key), found[key])


def _title(key: str) -> str:
    return key.replace("_percent", " %").replace("_", " ")


def _smaller(dataset: Dataset, settings: Settings) -> Dataset:
    if not settings.quick:
        return dataset
    chosen = np.random.default_rng(0).permutation(len(dataset))[: max(1000, len(dataset) // 10)]
    return dataset.subset(chosen)
