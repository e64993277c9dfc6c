"""The offline sentence with a second stage: corpus -> texts -> tokens -> weights -> graph.

gather_texts   corpora -> dataset and texts, with variants that evade filters
tokenizer_for  texts -> pieces
reader_rows    texts -> tokens with targets, for the trainer
train_reader   rows -> weights, with checkpoints
(recipe_graph makes of the weights the graph that ships)
make_with_reader  reflex, reader and held-out answers -> artifact
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winnow import recipe
from winnow.accounting import Budget
from winnow.answering import READER_FILE, TOKENIZER_FILE
from winnow.artifact import Artifact
from winnow.corpus import Corpus, Example
from winnow.corpus.evasion import EVASIONS, evade
from winnow.errors import InputError
from winnow.evidence import Evidence, Hashes
from winnow.features import Reading, Tokenizer, read_content
from winnow.features.pieces import kept_pieces
from winnow.features.tokens import texts_of
from winnow.mail import parse
from winnow.message import Message
from winnow.model.backbone import Backbone, first_weights
from winnow.model.network import Shape
from winnow.reading import text_form
from winnow.recipe import Evaluated, Gathered, SecondStage
from winnow.recipe_cascade import DEFAULT_BUDGET, Handover, frontier_files, hand_over
from winnow.recipe_graph import Compiled, answering, answers_of, compiled, reader_history
from winnow.runtime import Reader, Reflex
from winnow.tokens import FIELDS
from winnow.training.balance import importance
from winnow.training.cascade import OPENING_WORDS, HeldOut
from winnow.training.checkpoint import load_checkpoint, mark_of, save_checkpoint
from winnow.training.dataset import Dataset, Rows, packed
from winnow.training.padding import padded
from winnow.training.pictures import learning_picture
from winnow.training.reader import Schedule, Training, answer
from winnow.training.reader_data import TokenRows
from winnow.training.train import Options, random_part, train

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

LONGEST_INPUT = 256  # tokens; texts are cut for that many

# How often an evading variant is drawn for each draw of the message it was made of. Ham is varied,
# too: else a trick alone would mean spam, and newsletters use many of them.
VARIANTS = {True: 0.35, False: 0.15}


Text = tuple[str, ...]  # of one message, in normal form, in the order of tokens.FIELDS


@dataclass(slots=True)
class Mail:
    """Labelled mail for both stages.

    Attributes:
        gathered: evidence, for the reflex.
        texts: of the same rows, in the same order.
        variants: one evading variant of each row, or none at all.
        openings: words and grams of each row's opening; of the whole where it is no longer.
    """

    gathered: Gathered
    texts: list[Text]
    variants: list[Text] = field(default_factory=list)
    openings: tuple[Rows, Rows] | None = None

    @property
    def dataset(self) -> Dataset:
        """Evidence of the rows."""
        return self.gathered.dataset

    @property
    def opened(self) -> Dataset:
        """Evidence of the rows by their openings alone."""
        assert self.openings is not None
        words, grams = self.openings
        return replace(self.dataset, experts=(words, grams, *self.dataset.experts[2:]))


def text_of(message: Message, reading: Reading) -> Text:
    """What the reader may read of a message."""
    return texts_of(message, reading.hosts, LONGEST_INPUT)


def gather_texts(
    corpora: Sequence[Corpus],
    *,
    variants: bool = True,
    seed: int = 0,
    progress: recipe.Progress | None = None,
) -> Mail:
    """Read labelled mail for both stages.

    Args:
        corpora: what to read.
        variants: also write each message anew as an evader would.
        seed: of the choice of evasions.
        progress: told "reading" and "varying".
    """
    texts: list[Text] = []
    openings: tuple[list[Hashes], list[Hashes]] = ([], [])
    raws: list[bytes] = []
    spent = 0.0

    def keep(example: Example, message: Message, reading: Reading, evidence: Evidence) -> None:
        nonlocal spent
        start = time.process_time()
        texts.append(text_of(message, reading))
        opening = reading.opening(OPENING_WORDS)
        begins = evidence if opening is None else opening.within(evidence)
        openings[0].append(begins.words)
        openings[1].append(begins.grams)
        if variants:
            raws.append(example.raw)
        spent += time.process_time() - start

    tell = progress or (lambda stage, done, total: None)
    gathered = recipe.gather(corpora, also=keep, progress=tell)
    # What is kept for the reader is no part of what the reflex costs.
    gathered = replace(gathered, seconds=gathered.seconds - spent)
    return Mail(
        gathered,
        texts,
        _varied(raws, gathered.dataset, seed, tell) if variants else [],
        (packed(openings[0]), packed(openings[1])),
    )


def _varied(
    raws: Sequence[bytes], dataset: Dataset, seed: int, progress: recipe.Progress
) -> list[Text]:
    random = np.random.default_rng(seed)
    ham = random.permutation(np.flatnonzero(~dataset.spam))[:1000].tolist()
    good = [parse(raws[row]).text for row in ham]
    names = list(EVASIONS)
    found = []
    for done, raw in enumerate(raws, start=1):
        message = parse(evade(raw, names[int(random.integers(len(names)))], random, good))
        found.append(text_of(message, read_content(message)))
        progress("varying", done, len(raws))
    return found


def tokenizer_for(
    texts: Iterable[Text], vocabulary: Sequence[str], *, pieces: int, limit: int
) -> Tokenizer:
    """Choose the pieces that mail uses.

    Args:
        texts: mail to count in.
        vocabulary: of the backbone.
        pieces: how many to keep.
        limit: most tokens of a message.
    """
    kept = kept_pieces(vocabulary, itertools.chain.from_iterable(texts), pieces)
    return Tokenizer(kept, limit, text_form())


def reader_rows(
    mail: Mail,
    members: I64,
    tokenizer: Tokenizer,
    *,
    even_classes: bool = True,
) -> TokenRows:
    """Rows for the reader's trainer, the variants of each message among them.

    Args:
        mail: texts and labels.
        members: (m,) rows of the mail.
        tokenizer: of the reader.
        even_classes: draw both classes alike.
    """
    wanted, weight = reader_targets(mail, members, even_classes=even_classes)
    tokens = [tokenizer.assemble(mail.texts[row]) for row in members.tolist()]
    if mail.variants:
        tokens += [tokenizer.assemble(mail.variants[row]) for row in members.tolist()]
    return TokenRows(tokens, wanted, weight)


def reader_targets(
    mail: Mail, members: I64, *, even_classes: bool = True
) -> tuple[NDArray[np.float32], F64]:
    """Labels of some rows and how often each is drawn; after all rows those of their variants."""
    spam = mail.dataset.spam[members]
    wanted = spam.astype(np.float32)
    weight = importance(spam, mail.dataset.sources[members], even_classes=even_classes)
    if mail.variants:
        wanted = np.concatenate([wanted, wanted])
        varied = np.where(spam, VARIANTS[True], VARIANTS[False])
        weight = np.concatenate([weight, weight * varied])
    return wanted, weight


@dataclass(frozen=True, slots=True)
class ReaderOptions:
    """How a reader is made.

    Attributes:
        layers: which of the backbone's layers it begins with.
        pieces: of its vocabulary.
        limit: most tokens of a message.
        schedule: of its training.
    """

    layers: tuple[int, ...] = (0, 2, 4)
    pieces: int = 6_000
    limit: int = 128
    schedule: Schedule = field(default_factory=Schedule)


@dataclass(frozen=True, slots=True)
class TrainedReader:
    """A reader as trained, in 32-bit floats.

    Attributes:
        tokenizer: of its input.
        shape: of its network.
        weights: by name.
        curve: (step, loss of training, loss on held-out mail or NaN) at each look.
        seconds: CPU seconds of the training.
    """

    tokenizer: Tokenizer
    shape: Shape
    weights: dict[str, NDArray[np.float32]]
    curve: list[tuple[int, float, float]]
    seconds: float


def learnt_rows(
    mail: Mail, seen: I64, backbone: Backbone, options: ReaderOptions
) -> tuple[Tokenizer, TokenRows]:
    """What a reader learns from some rows, (m,) indices, and the tokenizer that they give it."""
    texts = [mail.texts[row] for row in seen.tolist()]
    tokenizer = tokenizer_for(
        texts, backbone.vocabulary, pieces=options.pieces, limit=options.limit
    )
    # Mail of one place has its own share of spam; over several places that share says nothing.
    several = len(np.unique(mail.dataset.sources[seen])) > 1
    return tokenizer, reader_rows(mail, seen, tokenizer, even_classes=several)


def train_reader(
    rows: TokenRows,
    tokenizer: Tokenizer,
    backbone: Backbone,
    options: ReaderOptions,
    *,
    held_out: TokenRows | None = None,
    checkpoint: Path | None = None,
    name: str = "reader",
    progress: recipe.Progress = lambda stage, done, total: None,
) -> TrainedReader:
    """Train a reader from a backbone, or go on from a checkpoint.

    Args:
        rows: what to learn.
        tokenizer: that made them.
        backbone: where to begin.
        options: how.
        held_out: mail of corpora that are not trained on, to stop by.
        checkpoint: file to go on from where it exists, and to keep up to date.
        name: for the progress.
        progress: told name, loss and rate in one, messages drawn, and how many there will be.

    Raises:
        InputError: the backbone or the checkpoint does not fit.
    """
    training = new_training(rows, tokenizer, backbone, options, held_out)
    save = None
    if checkpoint is not None:
        mark = mark_of(training)
        if checkpoint.exists():
            load_checkpoint(checkpoint, training, mark)
        save = partial(save_checkpoint, checkpoint, mark=mark)

    def tell(step: int, steps: int, loss: float, rate: float) -> None:
        batch = options.schedule.batch
        progress(f"{name}, loss {loss:.3f}, rate {rate:.1e}", step * batch, steps * batch)

    state = training.run(progress=tell, save=save)
    curve = list(state.curve)
    return TrainedReader(tokenizer, training.shape, training.weights, curve, state.seconds)


def new_training(
    rows: TokenRows,
    tokenizer: Tokenizer,
    backbone: Backbone,
    options: ReaderOptions,
    held_out: TokenRows | None = None,
) -> Training:
    """A training at its beginning; arguments and errors as for `train_reader`."""
    shape, first = first_weights(
        backbone,
        pieces=tokenizer.pieces.pieces,
        fields=len(FIELDS),
        limit=tokenizer.limit,
        layers=options.layers,
        seed=options.schedule.seed,
    )
    return Training(shape, first, rows, options.schedule, held_out)


def teach(teacher: TrainedReader, rows: TokenRows, own: float = 0.3) -> TokenRows:
    """Rows whose targets are what a teacher says, mixed with the labels.

    Args:
        teacher: with the same tokenizer as the rows.
        rows: with labels as targets.
        own: share of the label.
    """
    said = 1.0 / (1.0 + np.exp(-answer(teacher.weights, rows, teacher.shape)))
    mixed = own * rows.target + (1 - own) * said
    return replace(rows, target=mixed.astype(np.float32))


def stage_files(compiled_: Compiled, reader: TrainedReader, handover: Handover) -> dict[str, bytes]:
    """Files of the second stage, by name."""
    return {
        READER_FILE: answering(compiled_.graph, handover.cascade),
        TOKENIZER_FILE: reader.tokenizer.to_json(),
        "reader-learning.svg": learning_picture(reader.curve).encode(),
        **frontier_files(handover),
    }


def make_with_reader(
    mail: Mail,
    out: Path,
    options: Options,
    reader_options: ReaderOptions,
    backbone: Backbone,
    *,
    held_out: Sequence[str] = (),
    teacher: ReaderOptions | None = None,
    budget: Budget | None = None,
    checkpoint: Path | None = None,
    progress: recipe.Progress = lambda stage, done, total: None,
) -> tuple[Artifact, Handover]:
    """Train both stages and write them as one artifact.

    The reader is trained on a part of the mail and never again; the rest is for the cascade, to
    which a reflex of that part answers. The reflex that ships has learnt from all of it.

    Args:
        mail: with variants.
        out: where to put the model.
        options: of the reflex.
        reader_options: of the reader.
        backbone: where the reader begins.
        held_out: sources to hold out; none is a random part of the mail, and then training is not
            stopped early: the part is too like the rest to tell.
        teacher: also train this one first, and the reader on what it says.
        budget: mean cost of an answer.
        checkpoint: folder to keep checkpoints in.
        progress: told of each training in turn.

    Raises:
        InputError: too little mail, or unknown sources.
        ArtifactError: the model cannot be written.
    """
    seen, held = _parts(mail.dataset, options, held_out)
    both = _both_stages(
        mail,
        seen,
        held,
        options,
        reader_options,
        backbone,
        stop=bool(held_out),
        teacher=teacher,
        budget=budget or Budget.parse(DEFAULT_BUDGET),
        checkpoint=checkpoint,
        progress=progress,
    )
    artifact = recipe.make(
        mail.gathered,
        out,
        options,
        second=SecondStage(
            files=stage_files(both.compiled, both.reader, both.handover),
            cascade=both.handover.cascade.to_json(),
            record=reader_record(both.reader, reader_options, both.compiled),
            history=reader_history(both.compiled),
        ),
        progress=progress,
    )[0]
    return artifact, both.handover


def split(
    mail: Mail,
    options: Options,
    reader_options: ReaderOptions,
    backbone: Backbone,
    *,
    corpus: str,
    part: float = 0.7,
    progress: recipe.Progress = lambda stage, done, total: None,
) -> tuple[Evaluated, Evaluated]:
    """Train both stages on a random part of a corpus and answer the rest, as `recipe.split` does.

    Of the part that is learnt, some is held out from the reader for the cascade.

    Args:
        mail: the corpus, with variants.
        options: of the reflex; its seed chooses the part.
        reader_options: of the reader.
        backbone: where the reader begins.
        corpus: name for the figures.
        part: how much of it is learnt.
        progress: told of each training in turn.

    Returns:
        The answers of the reflex alone, and of both stages with every message handed over.

    Raises:
        InputError: too little mail.
    """
    dataset = mail.dataset
    order = np.random.default_rng(options.seed).permutation(len(dataset))
    cut = int(part * len(dataset))
    learnt, tested = order[:cut], order[cut:]
    inner = max(4, round(INNER_HELD_OUT * cut))
    both = _both_stages(
        mail,
        learnt[inner:],
        learnt[:inner],
        options,
        reader_options,
        backbone,
        budget=Budget.parse(DEFAULT_BUDGET),
        progress=progress,
    )
    reflex = train(dataset.subset(learnt), options, progress).reflex
    first, begins = (_reflex_log_odds(reflex, d, tested) for d in (dataset, mail.opened))
    rows = reader_rows(replace(mail, variants=[]), tested, both.reader.tokenizer)
    second = answers_of(both.compiled.graph, rows)
    combined = both.handover.cascade.log_odds(first, second, begins)

    def judged(log_odds: Iterable[float]) -> Evaluated:
        return recipe.evaluated(
            dataset, tested.tolist(), log_odds, corpus=corpus, protocol="split", view=options.view
        )

    return judged(first), judged(combined)


INNER_HELD_OUT = 0.15  # of what is learnt, for the cascade


@dataclass(frozen=True, slots=True)
class _Both:
    """A reader and when it is asked."""

    reader: TrainedReader
    compiled: Compiled
    handover: Handover


def _both_stages(
    mail: Mail,
    seen: I64,
    held: I64,
    options: Options,
    reader_options: ReaderOptions,
    backbone: Backbone,
    *,
    budget: Budget,
    stop: bool = False,
    teacher: ReaderOptions | None = None,
    checkpoint: Path | None = None,
    progress: recipe.Progress,
) -> _Both:
    """Train both stages on some rows and fit the cascade on others."""
    dataset = mail.dataset
    reflex = train(dataset.subset(seen), options, progress).reflex
    tokenizer, rows = learnt_rows(mail, seen, backbone, reader_options)
    unseen = reader_rows(replace(mail, variants=[]), held, tokenizer)

    def taught(rows: TokenRows, how: ReaderOptions, name: str) -> TrainedReader:
        return train_reader(
            rows,
            tokenizer,
            backbone,
            how,
            held_out=unseen if stop else None,
            checkpoint=None if checkpoint is None else checkpoint / f"{name}.safetensors",
            name=name,
            progress=progress,
        )

    if teacher is not None:
        rows = teach(taught(rows, teacher, "teacher"), rows)
    reader = taught(rows, reader_options, "reader")
    small = compiled(reader.weights, reader.shape, unseen)
    forms = (dataset, mail.opened, *padded(dataset, mail.opened))
    whole, opening, below, opening_then = (_reflex_log_odds(reflex, d, held) for d in forms)
    held_answers = replace(
        _held_answers(small.graph, unseen, whole, mail.gathered),
        opening=opening,
        padded=below,
        padded_opening=opening_then,
    )
    return _Both(reader, small, hand_over(held_answers, budget))


def _reflex_log_odds(reflex: Reflex, dataset: Dataset, members: I64) -> F64:
    return np.array([reflex.log_odds(dataset.evidence(row)) for row in members.tolist()])


def reader_record(reader: TrainedReader, options: ReaderOptions, small: Compiled) -> dict[str, Any]:
    """How a reader was trained and what became of it, JSON values only."""
    schedule = asdict(options.schedule)
    return {
        "backbone_layers": list(options.layers),
        "pieces": len(reader.tokenizer.pieces.pieces),
        "limit": reader.tokenizer.limit,
        "schedule": schedule,
        "cpu_seconds": round(reader.seconds, 1),
        "curve": [
            [step, loss, None if unseen != unseen else unseen]
            for step, loss, unseen in reader.curve
        ],
        "compiled": small.record,
    }


def _parts(dataset: Dataset, options: Options, held_out: Sequence[str]) -> tuple[I64, I64]:
    """Rows to train on and rows to hold out."""
    unknown = [name for name in held_out if name not in dataset.names]
    if unknown:
        raise InputError(f"--held-out {unknown[0]}: the corpora are {', '.join(dataset.names)}.")
    if held_out:
        indices = [dataset.names.index(name) for name in held_out]
        left = np.isin(dataset.sources, indices)
        seen, held = np.flatnonzero(~left), np.flatnonzero(left)
    else:
        seen, held = random_part(dataset, options)
    for part, name in ((held, "held out"), (seen, "left to learn from")):
        if dataset.spam[part].all() or not dataset.spam[part].any():
            raise InputError(f"the mail {name} is of one class; both are needed.")
    return seen, held


def _held_answers(graph: bytes, rows: TokenRows, first: F64, gathered: Gathered) -> HeldOut:
    """What both stages say of held-out mail, and the CPU time it took."""
    reader = Reader(graph)
    second, seconds = np.zeros(len(rows)), np.zeros(len(rows))
    for index, tokens in enumerate(rows.tokens):
        start = time.process_time()
        second[index] = reader.read(tokens)[0]
        seconds[index] = time.process_time() - start
    return HeldOut(
        reflex=first,
        reader=second,
        spam=rows.target > 0.5,
        weights=np.ones(len(rows)),
        reflex_seconds=gathered.seconds / max(1, len(gathered.dataset)),
        reader_seconds=seconds,
    )
