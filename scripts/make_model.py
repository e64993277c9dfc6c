"""Train the model that ships and write its card: `make model`.

    corpora -> src/winnow/models/shipped.winnow, docs/reference/model-card.md

The recipe is all here: which mail, how much of it, how it is calibrated. Every figure of the card
is of mail that neither the experts nor the combiner had seen: each source is left out in turn.
"""

from __future__ import annotations

import argparse
import sys
import textwrap
import time
from collections.abc import Iterator
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from winnow import recipe
from winnow.corpus import Corpus, open_corpus
from winnow.recipe import Evaluated, Gathered
from winnow.recipe_cascade import Handover
from winnow.runtime import OPENING_BELOW, STANDS_OUT
from winnow.training.dataset import Dataset
from winnow.training.metrics import Scored, one_minus_roca_percent
from winnow.training.padding import padded
from winnow.training.train import Options, Unseen, join
from winnow.verdict import Label

if TYPE_CHECKING:  # they need JAX, which the reflex's part of this recipe does without
    from make_reader import Judged, Second

    from winnow.recipe_reader import Mail

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
# Mail of our own writing (data/written/README.md): always trained on, never judged on.
WRITTEN = "written"
OWN = ROOT / "data/written"
OPTIONS = Options(view="content", calibrate="left-out", seed=0)

# Mean CPU time of the first stage on the machine that the card is written on, seconds (make bench).
REFLEX_SECONDS = 0.40e-3

# Sources count by the square root of their size, so more of one teaches little and costs time.
LARGEST_SOURCE = 5_000

_shared: tuple[Dataset, ...] = ()


def main() -> int:
    """Train, measure, write."""
    parser = argparse.ArgumentParser(description="Train the model that ships; write its card.")
    parser.add_argument("--corpora", type=Path, default=ROOT / "../shared/corpora")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument(
        "--work", type=Path, default=ROOT / "build/reader", help="checkpoints of the reader"
    )
    args = parser.parse_args()
    import make_reader

    from winnow import recipe_reader

    start = time.time()
    mail = _prepared_mail(recipe_reader.gather_texts(list(sources(args.corpora))))
    dataset = mail.dataset
    print(f"read {len(dataset):,} messages in {time.time() - start:.0f} s", flush=True)
    forms = (dataset, mail.opened, *padded(dataset, mail.opened))
    rounds = left_out(forms, args.jobs)
    args.work.mkdir(parents=True, exist_ok=True)
    second = make_reader.train_second(mail, [VALIDATION], args.work)
    judge = make_reader.Judge(
        dataset=dataset,
        rounds=rounds,
        second=second,
        options=OPTIONS,
        barred=dataset.names.index(VALIDATION),
        reflex_seconds=REFLEX_SECONDS,
        reader_seconds=make_reader.seconds_by_length(second.compiled, second.reader, second.tokens),
    )
    _write_model(dataset, mail.gathered, rounds, second, judge.handover())
    CARD.write_text(_card(judged(dataset, rounds), judge.judged()))
    print(f"wrote {CARD.relative_to(ROOT)} after {time.time() - start:.0f} s")
    return 0


def sources(corpora: Path) -> Iterator[Corpus]:
    """What the shipped model is trained and judged on."""
    for name in (*TRAINED, VALIDATION):
        yield open_corpus(corpora / f"{name}.tar.xz")
    for path in sorted(OWN.glob("*.mbox")):
        label = Label(path.name.partition("-")[0])
        yield recipe.named(open_corpus(path, label=label), WRITTEN)


def prepared(dataset: Dataset) -> Dataset:
    """At most LARGEST_SOURCE messages of each source, chosen by the seed; WRITTEN for words only.

    Mail that nobody sent has words like real mail, but no route and no sender whose traits of form
    could be learnt.
    """
    sample = dataset.subset(_kept(dataset))
    words, grams, traits, stream = sample.experts
    written = sample.sources == sample.names.index(WRITTEN)
    return replace(sample, experts=(words, grams, traits.without(written), stream))


def _kept(dataset: Dataset) -> list[int]:
    random = np.random.default_rng(OPTIONS.seed)
    chosen = [
        random.permutation(np.flatnonzero(dataset.sources == k))[:LARGEST_SOURCE]
        for k in range(len(dataset.names))
    ]
    kept: list[int] = np.sort(np.concatenate(chosen)).tolist()
    return kept


def _prepared_mail(mail: Mail) -> Mail:
    """The same rows for both stages."""
    kept = _kept(mail.dataset)
    opened = mail.opened.subset(kept)
    return replace(
        mail,
        gathered=replace(mail.gathered, dataset=prepared(mail.dataset)),
        texts=[mail.texts[row] for row in kept],
        variants=[mail.variants[row] for row in kept],
        openings=(opened.experts[0], opened.experts[1]),
    )


def left_out(forms: tuple[Dataset, ...], jobs: int) -> dict[int, Unseen]:
    """Answers for each source but WRITTEN by experts that had not seen it, nor VALIDATION.

    Args:
        forms: the mail, its openings, the mail with innocent text below, and its openings then.
        jobs: processes.
    """
    global _shared
    _shared = forms  # forked processes share its memory
    real = [k for k, name in enumerate(forms[0].names) if name != WRITTEN]
    with get_context("fork").Pool(jobs) as pool:
        return dict(zip(real, pool.map(_round, real, chunksize=1), strict=True))


def _round(left: int) -> Unseen:
    dataset, *forms = _shared
    return recipe.answer_left_out(dataset, left, OPTIONS, unheard=[VALIDATION], forms=forms)


def judged(dataset: Dataset, rounds: dict[int, Unseen]) -> list[Evaluated]:
    """Figures of each source, by a combiner fitted on the answers for the other ones only."""
    return recipe.judge_left_out(dataset, rounds, OPTIONS, unheard=[VALIDATION])


def _write_model(
    dataset: Dataset,
    gathered: Gathered,
    rounds: dict[int, Unseen],
    second: Second,
    handover: Handover,
) -> None:
    """Train on all but the validation mail, with the combiner and the cascade of all rounds."""
    import make_reader

    from winnow import recipe_graph, recipe_reader

    barred = dataset.names.index(VALIDATION)
    members = np.flatnonzero(dataset.sources != barred)
    place = np.full(len(dataset), -1)
    place[members] = np.arange(len(members))
    unseen = join([part for k, part in rounds.items() if k != barred])
    own = Gathered(dataset.subset(members), gathered.repeats, 0, gathered.seconds)
    moved = Unseen(place[unseen.members], unseen.scores)
    stage = recipe.SecondStage(
        files=recipe_reader.stage_files(second.compiled, second.reader, handover),
        cascade=handover.cascade.to_json(),
        record=make_reader.record(second),
        history=recipe_graph.reader_history(second.compiled),
    )
    artifact, _, record = recipe.make(own, OUT, OPTIONS, unseen=moved, second=stage)
    print(f"wrote {artifact.label}: {record['cpu_seconds']}", flush=True)


def across(results: list[Evaluated]) -> dict[tuple[str, str], float]:
    """1-ROCA in percent of each source's ham against each source's spam.

    Unlike the figure of one corpus it asks for a threshold that holds for all sources.
    """
    found = {}
    for one in results:
        for other in results:
            ham, spam = one.scored.ham, other.scored.spam
            if len(ham) and len(spam):
                answers = np.concatenate([ham, spam])
                labels = np.arange(len(answers)) >= len(ham)
                names = str(one.figures["corpus"]), str(other.figures["corpus"])
                worse = one_minus_roca_percent(Scored(answers, labels, ("",) * len(answers)))
                assert worse is not None  # there are both classes
                found[names] = worse
    return found


def _card(results: list[Evaluated], both: list[Judged]) -> str:
    artifact, _ = recipe.load(OUT)
    training = artifact.manifest["training"]
    rows = [_row(one.figures) for one in results]
    cascade = [
        f"{_row(one.cascade.figures)} {one.handed_over_percent:.1f} | {_cell(one.padded_percent)} |"
        for one in both
    ]
    everything = [_row(one.everything.figures) for one in both]
    reader = training["reader"]
    pairs = across(results)
    worst = max(pairs, key=lambda pair: pairs[pair])
    combiner = artifact.calibration["combiner"]
    gains = ", ".join(f"{name} {gain:.2f}" for name, gain in combiner["gains"].items() if gain)
    template = (Path(__file__).parent / "model-card.md.in").read_text()
    return template.format(
        label=artifact.label,
        messages=f"{training['messages']:,}",
        spam=f"{training['spam']:,}",
        written=f"{sum(training['sources'][WRITTEN].values()):,}",
        repeats=f"{training['repeats_left_out']:,}",
        bytes=f"{artifact.manifest['files']['reflex.safetensors']['bytes'] / 1e6:.1f}",
        gains=gains,
        intercept=f"{combiner['intercept']:.2f}",
        cpu=f"{sum(training['cpu_seconds'].values()):.0f}",
        rows="\n".join(rows),
        cascade_rows="\n".join(cascade),
        everything_rows="\n".join(everything),
        reader_bytes=f"{artifact.manifest['files']['reader.onnx']['bytes'] / 1e6:.1f}",
        reader_cpu=f"{reader['cpu_seconds']:.0f}",
        reader=reader,
        gain=artifact.calibration["cascade"],
        opening=_opening(artifact.calibration["cascade"]["opening"]),
        validation=VALIDATION,
        pairs=len(pairs),
        mean=f"{np.mean(list(pairs.values())):.1f}",
        newsletters=f"{pairs['newsletters_optin_2019', VALIDATION]:.1f}",
        worst=f"{pairs[worst]:.0f}",
        worst_pair=f"{worst[0]} against {worst[1]}",
    )


def _opening(opening: dict[str, Any] | None) -> str:
    """What is made of openings, as sentences."""
    if opening is None:
        return ""
    gains = (
        f"{opening['intercept']:.2f} {opening['whole']:+.2f} x whole "
        f"{opening['opening']:+.2f} x opening {opening['reader']:+.2f} x reader"
    )
    words = (
        "Where a message is longer than its opening (subject, name, links and the first "
        f"{opening['words']} visible words) and that gets {STANDS_OUT} more log-odds than the "
        f"whole, the reader is asked, too, and the answer is no less than x = {gains}, or above 0 "
        f"{OPENING_BELOW} tanh(x / {OPENING_BELOW}): spam with innocent text below it is flagged."
    )
    return textwrap.fill(words, 100, initial_indent="- ", subsequent_indent="  ")


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
