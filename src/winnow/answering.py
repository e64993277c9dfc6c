"""Message -> log-odds of spam: the reflex, and the reader where the reflex is not sure.

Whatever becomes of the reader, there is an answer: where it is missing, fails or would come too
late, that of the reflex stands, and says so.
"""

from __future__ import annotations

import contextlib
import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from winnow.artifact import Artifact
from winnow.errors import ArtifactError, InputError, ReaderError
from winnow.evidence import Evidence
from winnow.features import AnyTokenizer, ForeignTokenizer, Given, Named, Reading, Tokenizer
from winnow.features.occlusion import occluded
from winnow.message import Message
from winnow.reading import fingerprint, text_form
from winnow.runtime import Cascade, Reader, Reflex, Scores, Step, cascade_of, reflex_of
from winnow.runtime.devices import CPU, demand
from winnow.tokens import Tokens, same
from winnow.verdict import Why

logger = logging.getLogger("winnow.answering")

READER_FILE = "reader.onnx"
TOKENIZER_FILE = "tokenizer.json"
GIVEN_FILE = "reader.json"  # of an imported reader: how it is given a message
# A message is not handed over when the reader, as slow as it has been lately, would need more than
# this part of the time that is left.
_OF_TIME_LEFT = 0.5
_CANDIDATES = 4
_MEMORY = 0.9  # of the mean of the reader's seconds
# Of that mean with each message that comes too late for the reader: it is asked again some day,
# else one slow minute would silence it for ever.
_FORGIVEN = 0.99


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model says of one message.

    Attributes:
        log_odds: calibrated.
        stage: "reflex" or "reader".
        why: why that stage.
        scores: of the reflex's experts.
        tokens: what the reader was given, if it answered.
        reader: its log-odds, if it answered.
        shares: what each token added to them, () where the reader does not tell.
        opening: how the message begins, if it is longer and the reader answered.
    """

    log_odds: float
    stage: str
    why: Why
    scores: Scores
    tokens: Tokens | None = None
    reader: float | None = None
    shares: tuple[float, ...] = ()
    opening: Reading | None = None


class Model:
    """The stages of one artifact.

    Attributes:
        reflex: the first stage.
        reader: the second, or None.
        tokenizer: of the second.
        cascade: when the first hands over.
        broken: what is wrong with the reader, "" when nothing is.
    """

    def __init__(
        self,
        reflex: Reflex,
        reader: Reader | None = None,
        tokenizer: AnyTokenizer | None = None,
        cascade: Cascade | None = None,
        broken: str = "",
    ) -> None:
        self.reflex = reflex
        self.reader = reader
        self.tokenizer = tokenizer
        self.cascade = cascade
        self.broken = broken
        self._cascade_text = "" if cascade is None else cascade.spelt()
        self._seconds = 0.0

    @classmethod
    def of(cls, artifact: Artifact, device: str = CPU) -> Model:
        """Build the stages of an artifact; a reader that cannot be loaded is told, not fatal.

        Args:
            artifact: a model as read.
            device: that the reader runs on, by its name, or "auto"; the reflex needs none.

        Raises:
            ArtifactError: the reflex cannot be built.
            DeviceError: the device is not to be had, or does not take the reader.
        """
        demand(device)
        reflex = reflex_of(artifact, fingerprint=fingerprint())
        if "reader" not in artifact.manifest.get("stages", ()):
            return cls(reflex)
        try:
            reader, tokenizer = _second_stage(artifact, device)
            return cls(reflex, reader, tokenizer, cascade_of(artifact))
        except (ArtifactError, InputError) as error:
            logger.warning("the reflex answers alone: %s", error)
            return cls(reflex, broken=str(error))

    @property
    def device(self) -> str:
        """Name of the device that the last stage runs on."""
        return CPU if self.reader is None else self.reader.device

    @property
    def notice(self) -> str:
        """What is to be said whenever the model is used, "" when nothing is."""
        if self.cascade is None or self.cascade.is_calibrated:
            return ""
        return "the reader answers alone, not calibrated: run `winnow calibrate` on labelled mail"

    def answer(
        self,
        message: Message,
        reading: Reading,
        evidence: Evidence,
        *,
        by: float | None = None,
    ) -> Answer:
        """Answer for one message.

        Args:
            message: as parsed.
            reading: its content view.
            evidence: its hashes.
            by: `time.perf_counter()` by which the answer is wanted; None is whenever.
        """
        reflex = self.reflex
        scores = reflex.scores(evidence)
        first = reflex.combiner.log_odds(scores)
        cascade = self.cascade
        if self.reader is None or self.tokenizer is None or cascade is None:
            why = Why.BROKEN if self.broken else Why.ONLY_STAGE
            return Answer(first, "reflex", why, scores)
        opening, begins = None, None
        if first < cascade.high:  # spam is spam, however it begins
            opening, begins = self.opening(reading, evidence, scores) or (None, None)
        if cascade.is_sure(first, begins):
            return Answer(first, "reflex", Why.SURE, scores)
        start = time.perf_counter()
        if by is not None and self._seconds > _OF_TIME_LEFT * (by - start):
            self._seconds *= _FORGIVEN
            return Answer(first, "reflex", Why.LATE, scores)
        try:
            tokens = self.tokenizer.read(message, reading)
            value, second, shares = self._both(tokens, first, begins)
        except ReaderError as error:
            logger.warning("the reflex's answer stands: %s", error)
            return Answer(first, "reflex", Why.FAILED, scores)
        took = time.perf_counter() - start
        self._seconds = _MEMORY * self._seconds + (1 - _MEMORY) * took
        return Answer(
            value,
            "reader",
            _why_read(cascade, first),
            scores,
            tokens,
            second,
            tuple(shares.tolist()),
            opening,
        )

    def _both(
        self, tokens: Tokens, first: float, begins: float | None
    ) -> tuple[float, float, NDArray[np.float32]]:
        """Log-odds of both stages, those of the reader, and shares: one call of the graph."""
        assert self.reader is not None
        assert self.cascade is not None
        if self.reader.cascade == self._cascade_text:
            return self.reader.answer(tokens, first, begins)
        second, shares = self.reader.read(tokens)  # it answers for another cascade, or for none
        return self.cascade.log_odds(first, second, begins), second, shares

    def opening(
        self, reading: Reading, evidence: Evidence, scores: Scores
    ) -> tuple[Reading, float] | None:
        """How a message begins, and the reflex's log-odds for that.

        Args:
            reading: its content view.
            evidence: its hashes.
            scores: of the whole message.

        Returns:
            None where the message is no longer than that, or nothing is made of openings.
        """
        cascade = self.cascade
        if cascade is None or cascade.opening is None:
            return None
        opening = reading.opening(cascade.opening.words)
        if opening is None:
            return None
        rest = self.reflex.rescored(opening.within(evidence), scores, evidence)
        return opening, self.reflex.combiner.log_odds(rest)

    def again(self, answer: Answer, first: float, rest: Evidence, gone: Named | None) -> float:
        """What an answer would be without a thing, by the same stages.

        Args:
            answer: that was given.
            first: the reflex's log-odds without the thing.
            rest: the evidence without it.
            gone: the thing; None when nothing is taken away.
        """
        if answer.tokens is None or answer.reader is None:
            return first
        assert self.reader is not None
        assert self.tokenizer is not None
        assert self.cascade is not None
        second, begins = answer.reader, None
        if gone is not None:
            left = self.tokenizer.without(gone, answer.tokens)
            if not same(left, answer.tokens):
                with contextlib.suppress(ReaderError):  # the answer stands, without that reason
                    second, _ = self.reader.read(left)
        if answer.opening is not None:
            begins = self.reflex.log_odds(answer.opening.within(rest, gone))
        return self.cascade.log_odds(first, second, begins)

    def leading(self, answer: Answer, reading: Reading) -> list[Named]:
        """Words that moved the reader most towards its answer: candidates for reasons."""
        if answer.tokens is None or self.tokenizer is None:
            return []
        side = 1.0 if answer.log_odds >= 0 else -1.0
        shares = answer.shares or self._shares(answer, side)
        words = self.tokenizer.leading_words(answer.tokens, shares, side, _CANDIDATES)
        return reading.find(words, self.tokenizer.normal, 2 * self.tokenizer.limit)

    def _shares(self, answer: Answer, side: float) -> tuple[float, ...]:
        """Roughly what each token added, of a reader that does not tell it."""
        assert self.reader is not None
        assert answer.tokens is not None
        assert answer.reader is not None
        ask = self.reader.read
        return occluded(answer.tokens, answer.reader, side, lambda tokens: ask(tokens)[0])

    def second(
        self, message: Message, reading: Reading, evidence: Evidence
    ) -> Callable[[float, Step], float] | None:
        """What the answer for a message would be with the weights moved by a step.

        Returns:
            Given the reflex's log-odds then, and the step, the answer; None where the reflex's
            log-odds always stand.
        """
        cascade = self.cascade
        if self.reader is None or self.tokenizer is None or cascade is None:
            return None
        try:
            value, _ = self.reader.read(self.tokenizer.read(message, reading))
        except ReaderError:
            return None
        scores = self.reflex.scores(evidence)
        before = self.reflex.combiner.log_odds(scores)
        opening, begins_before = self.opening(reading, evidence, scores) or (None, 0.0)
        # What a step moves in the whole and not in the opening, which has a part of its hashes.
        beyond = [0.0] * len(scores)
        if opening is not None:
            counts = zip(evidence.kinds, opening.within(evidence).kinds, strict=True)
            gains = self.reflex.combiner.gains
            beyond = [
                gain * (math.sqrt(len(all_)) - math.sqrt(len(first_)))
                for gain, (all_, first_) in zip(gains, counts, strict=True)
            ]

        def then(first: float, step: Step) -> float:
            begins = None
            if opening is not None:
                less = sum(a * b for a, b in zip(step.amounts, beyond, strict=True))
                begins = begins_before + first - before - less
            if cascade.is_sure(first, begins):
                return first
            return cascade.log_odds(first, value, begins)

        return then


def _why_read(cascade: Cascade, first: float) -> Why:
    if not cascade.is_calibrated:
        return Why.UNCALIBRATED
    return Why.OPENING if cascade.is_sure(first) else Why.UNSURE


def _second_stage(artifact: Artifact, device: str) -> tuple[Reader, AnyTokenizer]:
    foreign = GIVEN_FILE in {*artifact.manifest.get("files", ()), *artifact.files}
    for name in (READER_FILE, TOKENIZER_FILE, *([GIVEN_FILE] if foreign else [])):
        if name not in artifact.files:
            faults = [fault for fault in artifact.faults if name in fault]
            raise ArtifactError(
                (faults or [f"{artifact.path}: {name} is missing; copy the model again."])[0]
            )
    tokenizer = _foreign(artifact) if foreign else _own(artifact)
    reader = Reader(artifact.files[READER_FILE], device)
    theirs, ours = (tokenizer.size, tokenizer.limit), (reader.pieces, reader.limit)
    # A table of pieces is often padded; ours is not.
    fits = theirs[0] <= ours[0] and theirs[1] <= ours[1] if foreign else theirs == ours
    if not fits:
        raise ArtifactError(
            f"{artifact.path}: {TOKENIZER_FILE} does not fit {READER_FILE}: it has {theirs[0]:,} "
            f"pieces and {theirs[1]} tokens, the graph {reader.pieces:,} and {reader.limit}."
        )
    return reader, tokenizer


def _foreign(artifact: Artifact) -> ForeignTokenizer:
    given = Given.from_json(artifact.files[GIVEN_FILE])
    return ForeignTokenizer(artifact.files[TOKENIZER_FILE], given)


def _own(artifact: Artifact) -> Tokenizer:
    tokenizer = Tokenizer.from_json(artifact.files[TOKENIZER_FILE])
    if tokenizer.form != text_form():
        raise ArtifactError(
            f"{artifact.path}: the reader was trained on texts of another form; train it again "
            "with this Winnow."
        )
    return tokenizer
