"""A model -> what each device of this machine would do with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from winnow.answering import READER_FILE
from winnow.artifact import read_artifact
from winnow.errors import ArtifactError, InputError
from winnow.runtime.devices import AUTO, CPU, DEVICES, Device, load
from winnow.runtime.providers import Feeds
from winnow.runtime.reader import PROBE_LENGTHS, probes
from winnow.runtime.survey import Row, survey

LENGTHS = (32, 128)  # tokens: a short message, and a long one as the shipped reader reads it
_SEED = 20_261_125


@dataclass(frozen=True, slots=True)
class Surveyed:
    """A model on every device.

    Attributes:
        model: its name.
        tokens: lengths of the messages that it was timed with.
        auto: the device that `auto` takes.
        rows: the devices.
    """

    model: str
    tokens: tuple[int, ...]
    auto: str
    rows: list[Row]


def survey_model(path: Path, *, table: Sequence[Device] = DEVICES) -> Surveyed:
    """Try a model on every device that is here.

    Args:
        path: an artifact, whose reader is tried, or an ONNX file of a text classifier.
        table: the devices.

    Raises:
        ArtifactError: a folder that is no whole model, or whose model has no reader.
        InputError: a file that is no usable graph.
    """
    subject = _of_artifact(path) if path.is_dir() else _of_file(path)
    rows = survey(subject.graph, subject.what, subject.feeds, probes=subject.probes, table=table)
    taken = {row.device for row in rows if row.placement is not None and not row.fault}
    auto = next((each for each in AUTO if each in taken), CPU)
    return Surveyed(subject.label, tuple(subject.feeds), auto, rows)


@dataclass(frozen=True, slots=True)
class _Subject:
    label: str
    what: str
    graph: bytes
    feeds: dict[int, Feeds]
    probes: list[Feeds]


def _of_artifact(path: Path) -> _Subject:
    artifact = read_artifact(path)
    if READER_FILE not in artifact.files:
        faults = [fault for fault in artifact.faults if READER_FILE in fault]
        raise ArtifactError(
            (faults or [f"{path} has no reader, and the reflex needs no device."])[0]
        )
    graph = artifact.files[READER_FILE]
    loaded = load(graph, CPU, READER_FILE)
    found = probes(loaded)
    if not found:
        raise ArtifactError(f"{path}: {READER_FILE} is a graph of something else than a reader.")
    lengths = _lengths(int(loaded.metadata["positions"]))
    feeds = dict(zip(lengths, probes(loaded, lengths), strict=True))
    return _Subject(artifact.label, READER_FILE, graph, feeds, found)


def _of_file(path: Path) -> _Subject:
    try:
        from winnow.compiler.graph import opened, serialised
        from winnow.compiler.inputs import feeds_of, positions_of
    except ImportError as error:
        raise InputError(
            f"to look into {path} more is needed: pip install 'winnow-mail[compile]'."
        ) from error
    model = opened(path)
    limit = positions_of(model)

    def feed(tokens: int) -> Feeds:
        found: Feeds = feeds_of(model, 1, min(tokens, limit), _SEED, full=True)
        return found

    feeds = {tokens: feed(tokens) for tokens in _lengths(limit)}
    tried = [feed(tokens) for tokens in PROBE_LENGTHS]
    return _Subject(path.name, path.name, serialised(model), feeds, tried)


def _lengths(limit: int) -> list[int]:
    """Lengths that a graph takes; one that is shorter than all of them is tried at its own."""
    return [tokens for tokens in LENGTHS if tokens <= limit] or [max(1, limit)]
