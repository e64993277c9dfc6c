"""The second stage of the model that ships: who is left out, who teaches, when it is asked.

Part of `make model`. Training takes most of an hour on two cores; checkpoints and answers are kept
in build/reader, so that a run that was stopped goes on from there.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winnow import recipe, recipe_graph, recipe_reader
from winnow.accounting import Budget
from winnow.features import Tokenizer
from winnow.model.backbone import Backbone, read_backbone
from winnow.model.minilm import fetch_minilm
from winnow.recipe import Evaluated
from winnow.recipe_cascade import DEFAULT_BUDGET, Handover, hand_over
from winnow.recipe_graph import Compiled
from winnow.recipe_reader import Mail, ReaderOptions, TrainedReader
from winnow.runtime import Cascade, Combiner, Reader
from winnow.training.balance import importance
from winnow.training.cascade import HeldOut, humble
from winnow.training.checkpoint import mark_of
from winnow.training.dataset import Dataset
from winnow.training.reader import Schedule, answer
from winnow.training.reader_data import TokenRows
from winnow.training.train import Options, Unseen, combine, join

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
Flags = NDArray[np.bool_]

# Of mail, beside the whole: its opening, the whole with innocent text below, its opening then.
OPENING, PADDED, PADDED_OPENING = FORMS = (0, 1, 2)

# A reader takes minutes to train, so sources are left out in four groups and not one by one. Large
# corpora of both classes are alone; the small ones go with what is least like them.
FOLDS = (
    ("spamassassin",),
    ("enron_spam",),
    ("lingspam", "newsletters_optin_2019", "correspondence_modern", "glitchy_419"),
    (
        "linaro_mm_sig_2025",
        "nazario_2004_2005",
        "lists_ham_2019_2024",
        "transactional_modern",
        "bounces_reports",
    ),
)
STUDENT = ReaderOptions(layers=(0, 2, 4), schedule=Schedule(draws=8_000))
BUDGET = Budget.parse(DEFAULT_BUDGET)


@dataclass(frozen=True)
class Second:
    """The reader that ships, and what readers said of mail they had not seen.

    Attributes:
        reader: trained on all but the validation mail.
        compiled: its graph.
        unseen: (n,) log-odds for each row: of a left-out source by a reader that had not seen it.
        tokens: (n,) how many tokens each row has.
    """

    reader: TrainedReader
    compiled: Compiled
    unseen: F64
    tokens: I64


def train_second(
    mail: Mail, never: Sequence[str], place: Path, options: ReaderOptions = STUDENT
) -> Second:
    """Train a reader for each fold and the one that ships.

    Args:
        mail: with variants.
        never: sources that nothing is trained on; the reader that ships answers for them.
        place: folder for checkpoints and answers.
        options: of each reader.
    """
    backbone = read_backbone(fetch_minilm())
    names = mail.dataset.names
    barred = [names.index(name) for name in never]
    unseen = np.zeros(len(mail.texts))
    for number, fold in enumerate(FOLDS):
        left = [names.index(name) for name in fold]
        held = np.flatnonzero(np.isin(mail.dataset.sources, left))
        seen = np.flatnonzero(~np.isin(mail.dataset.sources, [*left, *barred]))
        unseen[held] = _answers(mail, seen, held, backbone, options, place / f"fold{number}")
    seen = np.flatnonzero(~np.isin(mail.dataset.sources, barred))
    tokenizer, rows = recipe_reader.learnt_rows(mail, seen, backbone, options)
    reader = _trained(rows, tokenizer, backbone, options, place / "ships")
    held = np.flatnonzero(np.isin(mail.dataset.sources, barred))
    rows = recipe_reader.reader_rows(replace(mail, variants=[]), held, reader.tokenizer)
    unseen[held] = answer(reader.weights, rows, reader.shape)
    lengths = np.array([len(reader.tokenizer.assemble(text).ids) for text in mail.texts])
    return Second(
        reader, recipe_graph.compiled(reader.weights, reader.shape, rows), unseen, lengths
    )


def _answers(
    mail: Mail, seen: I64, held: I64, backbone: Backbone, options: ReaderOptions, place: Path
) -> F64:
    """What a reader of some rows says of others; kept, since it takes minutes."""
    tokenizer, rows = recipe_reader.learnt_rows(mail, seen, backbone, options)
    asked = recipe_reader.reader_rows(replace(mail, variants=[]), held, tokenizer)
    # Whatever decides them is in the mark.
    mark = mark_of(recipe_reader.new_training(rows, tokenizer, backbone, options, asked))
    kept = place.with_name(f"{place.name}-{mark}.npy")
    if kept.exists():
        found: F64 = np.load(kept)
        return found
    reader = _trained(rows, tokenizer, backbone, options, place)
    said = answer(reader.weights, asked, reader.shape)
    np.save(kept, said)
    return said


def _trained(
    rows: TokenRows, tokenizer: Tokenizer, backbone: Backbone, options: ReaderOptions, place: Path
) -> TrainedReader:
    last = [time.monotonic()]

    def tell(stage: str, done: int, total: int | None) -> None:
        if time.monotonic() - last[0] > 30:
            last[0] = time.monotonic()
            print(f"{place.name}: {stage}, {done:,} of {total:,}", flush=True)

    return recipe_reader.train_reader(
        rows,
        tokenizer,
        backbone,
        options,
        checkpoint=place.with_suffix(".safetensors"),
        progress=tell,
    )


@dataclass(frozen=True)
class Judged:
    """What became of one left-out source.

    Attributes:
        cascade: by the cascade at the budget.
        everything: by both stages on every message.
        handed_over_percent: of the mail, by the cascade.
        padded_percent: of the spam that the cascade catches, what it catches with innocent text
            below; None without spam.
    """

    cascade: Evaluated
    everything: Evaluated
    handed_over_percent: float
    padded_percent: float | None


@dataclass(frozen=True)
class Judge:
    """Fits cascades on left-out answers of both stages.

    Attributes:
        dataset: the mail.
        rounds: the reflex's answers for each left-out source, and for its FORMS.
        second: the reader's.
        options: of the reflex.
        barred: index of the validation source, which nothing is fitted on.
        reflex_seconds: mean time of the first stage.
        reader_seconds: (n,) time of the second for each row.
    """

    dataset: Dataset
    rounds: Mapping[int, Unseen]
    second: Second
    options: Options
    barred: int
    reflex_seconds: float
    reader_seconds: F64

    def fitted(self, left: int | None) -> tuple[Combiner, Handover]:
        """Both stages' combiners, fitted on the answers for all sources but one."""
        used = [k for k in self.rounds if k not in (left, self.barred)]
        parts = join([self.rounds[k] for k in used])
        combiner = combine(self.dataset, parts, self.options)
        members = parts.members
        spam, sources = self.dataset.spam[members], self.dataset.sources[members]
        held = HeldOut(
            reflex=parts.log_odds(combiner),
            reader=self.second.unseen[members],
            spam=spam,
            weights=importance(spam, sources, power=0.25),
            reflex_seconds=self.reflex_seconds,
            reader_seconds=self.reader_seconds[members],
            opening=parts.log_odds(combiner, OPENING),
            padded=parts.log_odds(combiner, PADDED),
            padded_opening=parts.log_odds(combiner, PADDED_OPENING),
        )
        return combiner, hand_over(held, BUDGET, shrink=lambda found: humble(found, held, sources))

    def handover(self) -> Handover:
        """The cascade that ships, of all sources."""
        return self.fitted(None)[1]

    def judged(self) -> list[Judged]:
        """Each left-out source by a cascade fitted on the answers for the other ones."""
        results = []
        for left, own in self.rounds.items():
            combiner, handover = self.fitted(left)
            forms = (None, *FORMS)
            whole, opening, below, opening_then = (own.log_odds(combiner, form) for form in forms)
            second = self.second.unseen[own.members]
            said, asked = _cascaded(handover.cascade, whole, opening, second)
            everything = handover.cascade.log_odds(whole, second, opening)
            spam = self.dataset.spam[own.members]
            caught = spam & (said >= 0)
            still, _ = _cascaded(handover.cascade, below, opening_then, second)
            results.append(
                Judged(
                    self._figures(left, own.members, said),
                    self._figures(left, own.members, everything),
                    100 * float(asked.mean()),
                    100 * float((still[caught] >= 0).mean()) if caught.any() else None,
                )
            )
        return results

    def _figures(self, left: int, members: I64, log_odds: F64) -> Evaluated:
        return recipe.evaluated(
            self.dataset,
            members.tolist(),
            log_odds,
            corpus=self.dataset.names[left],
            protocol="leave-one-out",
            view=self.options.view,
        )


def _cascaded(cascade: Cascade, whole: F64, opening: F64, second: F64) -> tuple[F64, Flags]:
    """What a cascade says, and which messages the reader was asked about."""
    pairs = zip(whole.tolist(), opening.tolist(), strict=True)
    asked = np.array([not cascade.is_sure(*pair) for pair in pairs])
    said: F64 = np.where(asked, cascade.log_odds(whole, second, opening), whole)
    return said, asked


def seconds_by_length(compiled: Compiled, reader: TrainedReader, tokens: I64) -> F64:
    """CPU time of the reader for messages of some lengths, (n,) -> (n,), on this machine."""
    stage = Reader(compiled.graph)
    lengths = np.unique(np.linspace(8, reader.tokenizer.limit, 8).astype(int))
    times = []
    for length in lengths.tolist():
        probe = recipe_graph.probe_of(length)
        spent = []
        for _ in range(15):
            start = time.process_time()
            stage.read(probe)
            spent.append(time.process_time() - start)
        times.append(float(np.median(spent)))
    found: F64 = np.interp(tokens, lengths, times)
    return found


def record(second: Second, options: ReaderOptions = STUDENT) -> dict[str, Any]:
    """How the reader that ships was made."""
    return recipe_reader.reader_record(second.reader, options, second.compiled) | {
        "backbone": "all-MiniLM-L6-v2",
        "left_out_together": [list(fold) for fold in FOLDS],
    }
