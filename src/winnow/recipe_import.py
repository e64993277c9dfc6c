"""A text classifier that was exported elsewhere -> a model whose reader it is.

    graph and tokenizer, opened with distrust -> the contract of ours -> proved -> artifact

Nothing is trained and nothing calibrated: the reflex is that of another model, and the reader's
log-odds stand alone until `winnow calibrate` has weighed them on labelled mail.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from winnow import __version__, recipe
from winnow.answering import GIVEN_FILE, READER_FILE, TOKENIZER_FILE
from winnow.artifact import Artifact, write_artifact
from winnow.compiler.adapt import Adapted, adapt, check_lengths
from winnow.compiler.graph import executable, opened, serialised
from winnow.compiler.head import LOGITS, Head, head_of
from winnow.compiler.inputs import as_feeds, positions_of, vocabulary_of
from winnow.compiler.labels import config_of, spam_class
from winnow.errors import InputError
from winnow.features import ForeignTokenizer, Given
from winnow.features.foreign import DEFAULT_FIELDS, LARGEST_BYTES
from winnow.runtime import NOT_CALIBRATED, Reader, sigmoid
from winnow.runtime.session import Session
from winnow.tokens import FIELDS, TEXT, Tokens

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

# The artifact's own bound of a file.
LARGEST_GRAPH_BYTES = 1 << 30
_LARGEST_CONFIG_BYTES = 1 << 20
MOST_TOKENS = 256  # without --tokens: mail says early what it is, and time grows with length
# The adapted graph against the file's own answers: log-odds of logits, else probabilities. Seen
# were 1e-5; what differs by more computes something else.
TOLERANCE = 1e-3
HALF_TOLERANCE = 2e-2  # of answers in 16-bit floats, which have 11 bits
_PROBE_LENGTHS = (2, 7, 33)
_SEED = 20_261_125


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import made.

    Attributes:
        artifact: as read back.
        head: what the answer is made of.
        labels: of the classes, () where nobody says.
        record: as the manifest has it, JSON values only.
        step: likewise, of the history.
    """

    artifact: Artifact
    head: Head
    labels: tuple[str, ...]
    record: dict[str, Any]
    step: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the user says of a classifier.

    Attributes:
        tokenizer: its tokenizer.json; None is the one beside the graph.
        spam: which class is spam; None is what its labels say, else 1.
        tokens: most of a message; None is what the graph takes, 256 at most.
        fields: of a message, in the order in which it reads them.
    """

    tokenizer: Path | None = None
    spam: int | None = None
    tokens: int | None = None
    fields: Sequence[str] = DEFAULT_FIELDS


def import_classifier(path: Path, base: Path, out: Path, wishes: Wishes) -> Imported:
    """Make a model of a classifier and of another model's reflex.

    Args:
        path: of an ONNX file.
        base: the model that gives the reflex.
        out: where to put the new one.
        wishes: what the files do not say.

    Raises:
        InputError: the files are no text classifier and its tokenizer, or one that cannot be
            taken in; the text says what to do.
        ArtifactError: the base is no model, or the new one cannot be written.
    """
    recipe.check_place(out)
    first, _ = recipe.load(base)
    words = wishes.tokenizer or path.with_name(TOKENIZER_FILE)
    data = _read(words, LARGEST_BYTES, "the tokenizer; name it with --tokenizer")
    _check_file(path, LARGEST_GRAPH_BYTES, "the ONNX file of a classifier")
    labels, longest = _config(path.with_name("config.json"))
    graph = opened(path, LARGEST_GRAPH_BYTES)
    try:
        check_lengths(graph)
        pieces = vocabulary_of(graph)
        ask = _asker(graph)
        most = wishes.tokens or min(MOST_TOKENS, positions_of(graph), longest or MOST_TOKENS)
        limit = _limit(ask, pieces, most, exactly=wishes.tokens is not None)
        head = head_of(graph, ask(_probe(5, pieces)), ask(_probe(9, pieces)))
        head = replace(head, spam=spam_class(wishes.spam, head.classes, labels))
        adapted = adapt(graph, head)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    tokenizer = ForeignTokenizer(data, Given(limit, tuple(wishes.fields)), str(words))
    if tokenizer.size > adapted.pieces:
        raise InputError(
            f"{words} has {tokenizer.size:,} pieces and {path} a table of {adapted.pieces:,}: they "
            "are of two models; name the tokenizer that the classifier was trained with."
        )
    ready = _ready(adapted, limit)
    worst = _proved(ask, ready, adapted, limit, str(path))
    record = {
        "imported": path.name,
        "classes": head.classes,
        "spam": head.spam,
        "labels": list(labels),
        "form": head.form,
        "pieces": adapted.pieces,
        "limit": limit,
        "fields": list(wishes.fields),
        "shares": adapted.shares,
    }
    step = {
        "step": "import reader",
        "version": __version__,
        "nodes_before": executable(graph),
        "nodes": executable(adapted.model),
        "bytes": len(ready),
        "max_abs_error": worst,
    }
    files = {READER_FILE: ready, TOKENIZER_FILE: data, GIVEN_FILE: tokenizer.given.to_json()}
    return Imported(_written(first, out, files, record, step), head, labels, record, step)


def _config(path: Path) -> tuple[tuple[str, ...], int | None]:
    """What the file beside a classifier says of it; nothing where there is none."""
    if not path.exists():
        return (), None
    return config_of(_read(path, _LARGEST_CONFIG_BYTES, "of the classifier"), str(path))


def _check_file(path: Path, largest: int, what: str) -> None:
    try:
        if not path.is_file():
            missing = "is no file" if path.exists() else "is not there"
            raise InputError(f"{path} {missing}; it should be {what}.")
        if path.stat().st_size > largest:
            raise InputError(f"{path} is larger than {largest:,} bytes; it should be {what}.")
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}.") from error


def _read(path: Path, largest: int, what: str) -> bytes:
    _check_file(path, largest, what)
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}.") from error


Ask = Callable[[I64], dict[str, NDArray[Any]]]


def _asker(graph: ir.Model) -> Ask:
    """What the file itself says of one message without padding, by names of outputs."""
    session = Session(serialised(graph))

    def ask(ids: I64) -> dict[str, NDArray[Any]]:
        feeds = as_feeds(graph, ids, np.zeros(len(ids), dtype=np.int64))
        return dict(zip(session.outputs, session.run(feeds), strict=True))

    return ask


def _probe(tokens: int, pieces: int) -> I64:
    """Ids of chance, the same for the same arguments; from the rarer half, where no padding is."""
    return np.random.default_rng(_SEED + tokens).integers(pieces // 2, pieces, tokens)


def _limit(ask: Ask, pieces: int, most: int, *, exactly: bool) -> int:
    """The most tokens that the graph takes.

    Args:
        ask: the graph.
        pieces: rows of its table.
        most: tokens that are wanted.
        exactly: no fewer will do. Else some are tried, since not every graph says how many there
            may be.
    """
    told = ""
    for tokens in [most] if exactly else [most, most // 2, most // 4]:
        Given(tokens)  # in range
        try:
            ask(_probe(tokens, pieces))
        except InputError as error:
            told = told or str(error).removesuffix(".")
        else:
            return tokens
    raise InputError(f"it cannot read {most} tokens at once ({told}); name fewer with --tokens.")


def _ready(adapted: Adapted, limit: int) -> bytes:
    """Bytes of the graph, with what the runtime wants to know of it."""
    sizes = {"pieces": adapted.pieces, "fields": len(FIELDS), "positions": limit}
    adapted.model.metadata_props.update({name: str(size) for name, size in sizes.items()})
    return serialised(adapted.model)


def _proved(ask: Ask, ready: bytes, adapted: Adapted, limit: int, name: str) -> float:
    """Largest difference between the file's own answers and those of the adapted graph.

    Raises:
        InputError: they are not the same, or no answers.
    """
    reader, head = Reader(ready), adapted.head
    worst, allowed = 0.0, TOLERANCE
    for tokens in (*_PROBE_LENGTHS, limit):
        ids = _probe(tokens, adapted.pieces)
        raw = ask(ids)[head.output]
        if raw.dtype == np.float16:
            allowed = HALF_TOLERANCE
        said = raw.astype(np.float64).reshape(-1)
        if not np.isfinite(said).all():
            raise InputError(f"{name} answers {tokens} tokens with what is no number.")
        if head.form == LOGITS and head.classes > 1 and _are_probabilities(said):
            raise InputError(
                f"{name} gives probabilities, and how it makes them was not found; export it "
                "without that, so that it gives logits."
            )
        found, _ = reader.read(Tokens(ids, np.full(tokens, TEXT, dtype=np.int64)))
        worst = max(worst, _difference(said, found, head))
    if not worst <= allowed:
        raise InputError(
            f"{name} could not be taken in: its answers moved by {worst:.2g}; export it again "
            "with another exporter."
        )
    return worst


def _are_probabilities(said: F64) -> bool:
    return bool((said >= 0).all() and abs(said.sum() - 1) < 1e-4)


def _difference(said: F64, found: float, head: Head) -> float:
    """How far log-odds are from logits, or a probability from one."""
    if head.form != LOGITS:
        wanted = said[head.spam] if head.classes > 1 else said[0] if head.spam else 1 - said[0]
        return abs(sigmoid(found) - float(wanted))
    if head.classes == 1:
        return abs(found - float(said[0] if head.spam else -said[0]))
    others = np.delete(said, head.spam)
    return abs(found - float(said[head.spam] - np.logaddexp.reduce(others)))


def _written(
    first: Artifact,
    out: Path,
    files: dict[str, bytes],
    record: dict[str, Any],
    step: dict[str, Any],
) -> Artifact:
    """The reflex of one model and a new reader; nothing of the old one's reader is left."""
    return write_artifact(
        out,
        fingerprint=first.fingerprint,
        tensors=first.tensors,
        calibration=first.calibration | {"cascade": NOT_CALIBRATED.to_json()},
        training=first.manifest["training"] | {"reader": record},
        version=__version__,
        files=files,
        stages=("reflex", "reader"),
        history=[step],
    )
