"""The second stage: what it costs, what it adds, and what evaders get past it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator

import numpy as np

from bench.figures import Figure, Settings
from winnow import recipe_cascade
from winnow.answering import Model
from winnow.artifact import read_artifact
from winnow.corpus import open_corpus
from winnow.pipeline import SHIPPED_MODEL
from winnow.reading import read_evidence
from winnow.tokens import TEXT, Tokens

LENGTHS = (16, 32, 64, 128)
ROUNDS = 5
KEPT_TARGET = 90.0
EVADED = "phishing_pot_validation"  # spam that no training has seen
GOOD = "lists_ham_2019_2024"  # whose words pad it


def cascade(settings: Settings) -> Iterator[Figure]:
    """CPU time of the whole path with the cascade, with the reflex alone, and reading all mail."""
    path = settings.corpus("spamassassin")
    model = Model.of(read_artifact(SHIPPED_MODEL))
    if not path.exists() or model.cascade is None or model.reader is None:
        return
    raws = [example.raw for example in open_corpus(path)][:: 40 if settings.quick else 8]
    modes = {
        "cascade": model,
        "reflex alone": Model(model.reflex),
        "both on everything": _reading_everything(model),
    }
    seconds: dict[str, list[float]] = {name: [] for name in modes}
    for _ in range(ROUNDS):
        for name, mode in modes.items():
            start = time.process_time()
            for raw in raws:
                mode.answer(*read_evidence(raw, stream=mode.reflex.hears_stream))
            seconds[name].append((time.process_time() - start) / len(raws))
    each = {name: statistics.median(found) for name, found in seconds.items()}
    for name, found in each.items():
        target = 500.0 if name == "cascade" else None
        yield Figure("cascade", name, "msg/s of one core", 1 / found, target, at_least=True)
        yield Figure("cascade", name, "CPU ms/msg", 1e3 * found)
    everything = each["both on everything"]
    yield Figure("cascade", "cascade", "of reading all", each["cascade"] / everything, 0.2)
    second = (each["cascade"] - each["reflex alone"]) / (everything - each["reflex alone"])
    yield Figure("cascade", "cascade", "of the reader's time", second)
    for length in LENGTHS:
        probe = Tokens(np.arange(length) % 256, np.full(length, TEXT))
        spent = []
        for _ in range(30):
            start = time.process_time()
            model.reader.read(probe)
            spent.append(time.process_time() - start)
        what = "CPU ms of the reader"
        yield Figure("cascade", f"{length} tokens", what, 1e3 * statistics.median(spent))


def _reading_everything(model: Model) -> Model:
    from dataclasses import replace

    assert model.cascade is not None
    wide = replace(model.cascade, low=-1e6, high=1e6)
    return Model(model.reflex, model.reader, model.tokenizer, wide)


def evasions(settings: Settings) -> Iterator[Figure]:
    """Spam that no training has seen, written around the filter in seven ways."""
    paths = [settings.corpus(name) for name in (EVADED, GOOD)]
    if not all(path.exists() for path in paths):
        return
    model = Model.of(read_artifact(SHIPPED_MODEL))
    corpora = [open_corpus(path) for path in paths]
    most = 100 if settings.quick else 1_000
    for name, mode in (("shipped", model), ("reflex alone", Model(model.reflex))):
        for one in recipe_cascade.evasions(mode, corpora, most=most):
            caught = 100 * one.caught_at_half / one.spam
            subject = f"{name}, {one.evasion}"
            yield Figure("evasions", subject, "given 0.50 %", caught)
            if one.evasion != "clean":
                target = KEPT_TARGET if mode is model else None
                yield Figure("evasions", subject, "recall kept %", one.kept_percent, target, True)
