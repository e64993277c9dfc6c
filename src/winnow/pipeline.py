"""The online sentence: bytes -> Message -> Features -> Probability -> Action; and the way back.

    check   raw message -> verdict
    learn   a person's correction -> a row in the store -> better weights at once

Weights in use are the artifact's plus the sum of the steps of all corrections in the store. Steps
commute, so every process that reads the same rows has the same weights, whatever it missed or
when it was killed.
"""

from __future__ import annotations

import logging
import os
import time
from functools import partial
from pathlib import Path

from winnow.answering import Answer, Model
from winnow.artifact import Artifact, read_artifact
from winnow.errors import StoreError
from winnow.evidence import Evidence
from winnow.features import (
    STREAM_HEAD,
    Named,
    Reading,
    explain_answer,
    stream_hashes,
    without_word,
)
from winnow.mail import identity
from winnow.policy import Facts, Rules
from winnow.reading import fingerprint, read_evidence
from winnow.runtime import Step, sigmoid
from winnow.runtime.devices import CPU
from winnow.store import CorrectionLog, CorrectionRow, Store
from winnow.verdict import Envelope, Label, Learnt, Reason, Verdict

SHIPPED_MODEL = Path(__file__).parent / "models" / "shipped.winnow"

logger = logging.getLogger("winnow.pipeline")
_NO_ENVELOPE = Envelope()


def default_store_path() -> Path:
    """Return where corrections and verdicts are kept: WINNOW_STORE, else the state folder."""
    named = os.environ.get("WINNOW_STORE")
    if named:
        return Path(named)
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "winnow" / "winnow.db"


def mark_of(row: CorrectionRow) -> str:
    """Return what tells one row of one store from the row of that number in another store."""
    return f"{row.seq} {row.identity} {row.at!r}"


class Filter:
    """One model, one rule set, one store: raw message in, verdict out; corrections in.

    `check` may run in several threads while one other thread runs `learn`, `forget` or `refresh`.

    Attributes:
        model: name and digest of the model, as "name@1a2b3c4d".
        rules: the owner's rule.
        store: where corrections are kept, or None.
        skipped_corrections: rows of the store that belong to other features and were passed over.
    """

    def __init__(
        self, artifact: Artifact, rules: Rules, store: Store | None, device: str = CPU
    ) -> None:
        self.model = artifact.label
        self.rules = rules
        self.store = store
        self.skipped_corrections = 0
        self._fingerprint = fingerprint()
        self._model = Model.of(artifact, device)
        self._reflex = self._model.reflex
        if self._model.notice:
            logger.warning("%s: %s", self.model, self._model.notice)
        self._trained_through = _trained_through(artifact, store)
        self._seen = 0

    @classmethod
    def open(
        cls,
        model: Path | None = None,
        *,
        rules: Path | None = None,
        store: Path | None = None,
        device: str = CPU,
    ) -> Filter:
        """Open a model with its rule and its corrections.

        Args:
            model: an artifact; None is the shipped one.
            rules: a rule file; None is the two default thresholds.
            store: a store to learn into, made where there is none; None learns nothing.
            device: that the model's reader runs on, by its name, or "auto".

        Raises:
            ArtifactError, DeviceError, RuleError, StoreError: see there; nothing is left open.
        """
        artifact = read_artifact(model or SHIPPED_MODEL)
        owners_rules = Rules.load(rules) if rules else Rules.default()
        opened = None
        if store is not None:
            try:
                store.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise StoreError(f"cannot make {store.parent}: {error.strerror}.") from error
            opened = Store.open(store)
        try:
            made = cls(artifact, owners_rules, opened, device)
            made.refresh()
        except BaseException:
            if opened is not None:
                opened.close()
            raise
        return made

    @property
    def device(self) -> str:
        """Name of the device that the model's last stage runs on."""
        return self._model.device

    def check(
        self,
        raw: bytes,
        envelope: Envelope = _NO_ENVELOPE,
        *,
        size_bytes: int | None = None,
        explain: bool = True,
        by: float | None = None,
    ) -> Verdict:
        """Answer for one message; any bytes have an answer.

        Args:
            raw: the message, or its head.
            envelope: what the server knows of it.
            size_bytes: size of the whole message when `raw` is its head.
            explain: also say why; costs about as much again as the answer.
            by: `time.perf_counter()` by which the answer is wanted: the reader is not asked when
                it would come too late. None is whenever.
        """
        start = time.perf_counter()
        reflex = self._reflex
        message, reading, evidence = read_evidence(
            raw, size_bytes=size_bytes, stream=reflex.hears_stream
        )
        answer = self._model.answer(message, reading, evidence, by=by)
        probability = sigmoid(answer.log_odds)
        decision = self.rules.decide(Facts(probability, envelope, message, message.size_bytes))
        reasons = self._reasons(raw, reading, evidence, answer) if explain else ()
        digest = identity(raw, message=message)
        return Verdict(
            id=message.message_id or digest,
            identity=digest,
            probability=probability,
            action=decision.action,
            rule=decision.rule,
            stage=answer.stage,
            why=str(answer.why),
            reasons=reasons,
            milliseconds=(time.perf_counter() - start) * 1e3,
            model=self.model,
            size_bytes=message.size_bytes,
        )

    def learn(self, raw: bytes, label: Label, *, source: str) -> Learnt:
        """Take a person's word for one message; the next answer knows it.

        The same word twice is taken once; the other word takes the first one back.

        Args:
            raw: the message.
            label: what it is.
            source: the door it came through.

        Raises:
            StoreError: it could not be written down; nothing was learnt.
        """
        store = self._writable()
        message, reading, evidence = read_evidence(raw)
        name = identity(raw)
        then = self._model.second(message, reading, evidence)  # slow, so before others have to wait
        with store.correction() as log:
            self.refresh()  # nobody else can write now, so this is what the step adds to
            active = log.active(name)
            same = active is not None and active.label == label
            if active is not None and same and active.fingerprint == self._fingerprint:
                return Learnt.ALREADY
            taken_back = None if active is None else self._retract(log, active, source)
            step = self._reflex.step_for(
                evidence,
                spam=label == Label.SPAM,
                taken_back=taken_back,
                then=then,
            )
            log.append(
                identity=name,
                label=label,
                kind="learn",
                at=time.time(),
                source=source,
                fingerprint=self._fingerprint,
                model=self.model,
                features=evidence.to_bytes(),
                step=step.to_bytes(),
            )
        self.refresh()
        return Learnt.LEARNT if active is None or same else Learnt.RELABELLED

    def forget(self, raw: bytes, *, source: str) -> Learnt:
        """Take back what was learnt of a message.

        Raises:
            StoreError: it could not be written down; nothing was forgotten.
        """
        store = self._writable()
        with store.correction() as log:
            active = log.active(identity(raw))
            if active is None:
                return Learnt.UNKNOWN
            self._retract(log, active, source)
        self.refresh()
        return Learnt.FORGOTTEN

    def refresh(self) -> int:
        """Take over corrections written since the last call, by anyone.

        Returns:
            How many rows were taken over.

        Raises:
            StoreError: the store cannot be read.
        """
        if self.store is None or self.store.latest_correction() <= self._seen:
            return 0
        rows = self.store.corrections(after=self._seen)
        for row in rows:
            self._take_over(row)
            self._seen = row.seq
        return len(rows)

    def close(self) -> None:
        """Close the store."""
        if self.store is not None:
            self.store.close()

    def _reasons(
        self, raw: bytes, reading: Reading, evidence: Evidence, answer: Answer
    ) -> tuple[Reason, ...]:
        reflex = self._reflex
        words, _, traits, _ = reflex.combiner.gains
        head = raw[:STREAM_HEAD]

        def log_odds(rest: Evidence, thing: Named | None) -> float:
            first = reflex.combiner.log_odds(reflex.rescored(rest, answer.scores, evidence))
            return self._model.again(answer, first, rest, thing)

        return explain_answer(
            reading,
            evidence,
            log_odds=log_odds,
            words=partial(reflex.weights_of, "words") if words else None,
            traits=partial(reflex.weights_of, "traits") if traits else None,
            stream_without=(lambda word: stream_hashes(without_word(head, word)))
            if reflex.hears_stream
            else None,
            silence=reflex.combiner.intercept,
            more=self._model.leading(answer, reading),
        )

    def _writable(self) -> Store:
        if self.store is None:
            raise StoreError("there is no store to keep corrections in; name one with --store.")
        return self.store

    def _take_over(self, row: CorrectionRow) -> None:
        """Apply one row's step, also when it was made under another model of these features."""
        if (row.of_seq or row.seq) <= self._trained_through:
            return  # training took it in, so its step is not in the weights, nor to be taken out
        try:
            evidence, step = self._unpack(row)
            self._reflex.apply(evidence, step)
        except ValueError as error:
            logger.warning("correction %d of the store was passed over: %s", row.seq, error)
            self.skipped_corrections += 1

    def _unpack(self, row: CorrectionRow) -> tuple[Evidence, Step]:
        """Return a row's evidence and step.

        Raises:
            ValueError: it is damaged, or made with other features.
        """
        if row.fingerprint != self._fingerprint:
            raise ValueError("made with other features")
        return Evidence.from_bytes(row.features), Step.from_bytes(row.step)

    def _retract(
        self, log: CorrectionLog, active: CorrectionRow, source: str
    ) -> tuple[Evidence, Step] | None:
        """Write the row that takes an earlier one back.

        Returns:
            What goes from the weights, or None when the earlier row is not in them.
        """
        try:
            evidence, step = self._unpack(active)
            opposite = (-step).to_bytes()
        except ValueError:  # passed over, and so will be the row that takes it back
            evidence, step, opposite = None, None, active.step
        log.append(
            identity=active.identity,
            label=active.label,
            kind="retract",
            of_seq=active.seq,
            at=time.time(),
            source=source,
            fingerprint=active.fingerprint,
            model=active.model,
            features=active.features,
            step=opposite,
        )
        if evidence is None or step is None or active.seq <= self._trained_through:
            return None
        return evidence, step


def _trained_through(artifact: Artifact, store: Store | None) -> int:
    """Return up to which row of this store the model's training took corrections in."""
    training = artifact.manifest.get("training")
    record = training if isinstance(training, dict) else {}
    through = record.get("corrections_through", 0)
    if store is None or not isinstance(through, int) or through <= 0:
        return 0
    rows = store.corrections(after=through - 1)
    if rows and mark_of(rows[0]) == record.get("corrections_mark"):
        return through
    logger.warning("the model learnt the corrections of another store; all of this one count")
    return 0
