"""How fast it is in one process: throughput and training, in CPU time."""

from __future__ import annotations

import statistics
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from bench.figures import Figure, Settings
from winnow import recipe
from winnow.corpus import open_corpus
from winnow.pipeline import Filter
from winnow.training.train import Options

ROUNDS = 5
BARE = "without reasons"
YARDSTICK = "zlib"  # compressing the same mail: a ratio to it outlives the machine


def throughput(settings: Settings) -> Iterator[Figure]:
    """Raw message to verdict in this process, without and with reasons."""
    path = settings.corpus("spamassassin")
    if not path.exists():
        return
    raws = [example.raw for example in open_corpus(path)][:: 40 if settings.quick else 4]
    model = Filter.open()
    _cpu_each(model.check, raws)  # caches fill
    modes: dict[str, Callable[[bytes], object]] = {
        BARE: lambda raw: model.check(raw, explain=False),
        "with reasons": model.check,
        YARDSTICK: zlib.compress,
    }
    seconds: dict[str, list[float]] = {mode: [] for mode in modes}
    for _ in range(ROUNDS):
        for mode, work in modes.items():
            seconds[mode].append(_cpu_each(work, raws))
    each = {mode: statistics.median(found) for mode, found in seconds.items()}
    for mode, found in each.items():
        target = 2000.0 if mode == BARE else None
        yield Figure("throughput", mode, "msg/s of one core", 1 / found, target, at_least=True)
        yield Figure("throughput", mode, "CPU ms/msg", 1e3 * found)
        yield Figure("throughput", mode, f"times {YARDSTICK}", found / each[YARDSTICK])


def _cpu_each(work: Callable[[bytes], object], raws: Sequence[bytes]) -> float:
    start = time.process_time()
    for raw in raws:
        work(raw)
    return (time.process_time() - start) / len(raws)


def training(settings: Settings) -> Iterator[Figure]:
    """CPU time of `winnow train` on one corpus, from archive to artifact."""
    path = settings.corpus("spamassassin")
    if not path.exists():
        return
    with tempfile.TemporaryDirectory() as folder:
        start = time.process_time()
        gathered = recipe.gather([open_corpus(path)])
        recipe.make(gathered, Path(folder) / "model.winnow", Options())
        total = time.process_time() - start
    yield Figure("training", "spamassassin", "CPU s", total, 20.0)
    yield Figure("training", "spamassassin", "CPU s reading", gathered.seconds)
    yield Figure("training", "spamassassin", "messages", float(len(gathered.dataset)))
