"""Reading and writing `NAME.winnow/`.

    manifest.json       schema, sizes and sha256 of the other files, the features' fingerprint,
                        stages, how it was trained, history of changes
    reflex.safetensors  weights
    calibration.json    combiner and what was measured on held-out mail
    reader.onnx, tokenizer.json, …   the second stage, where there is one

Loading believes nothing: every size and every sum is checked before a byte is used, and nothing
in an artifact can be executed. Writing is all or nothing: a folder is made beside its place and
moved there. The files may be symbolic links (as in a mounted Kubernetes volume), nothing else odd.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winnow.errors import ArtifactError

SCHEMA = 2  # 2: weights that are 0 are not stored
KIND = "winnow-model"
_MANIFEST = "manifest.json"
_LARGEST_FILE_BYTES = 1 << 30
_LARGEST_JSON_BYTES = 4 << 20
_REQUIRED = frozenset({"reflex.safetensors", "calibration.json"})
_SECOND_STAGE = ("reader.", "tokenizer.")  # files that move an answer, as the required ones do
_FILE_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,99}")

Tensors = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Artifact:
    """One model as it lies on disk.

    Attributes:
        path: its folder.
        name: the folder's name without ".winnow".
        digest: first 8 hex digits of a sum over weights and calibration: the same weights have
            the same digest wherever and whenever they were made.
        manifest: parsed manifest.json.
        calibration: parsed calibration.json.
        tensors: the reflex's weights by name.
        files: the other files, by name.
        faults: what is wrong with those of them that cannot be used; the reflex answers without.
    """

    path: Path
    name: str
    digest: str
    manifest: dict[str, Any]
    calibration: dict[str, Any]
    tensors: Tensors
    files: dict[str, bytes] = field(default_factory=dict)
    faults: tuple[str, ...] = ()

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the features that the weights belong to."""
        return str(self.manifest.get("features", ""))

    @property
    def label(self) -> str:
        """How verdicts name the model: "name@1a2b3c4d"."""
        return f"{self.name}@{self.digest}"


def write_artifact(
    path: Path,
    *,
    fingerprint: str,
    tensors: Mapping[str, NDArray[Any]],
    calibration: Mapping[str, Any],
    training: Mapping[str, Any],
    version: str,
    files: Mapping[str, bytes] | None = None,
    stages: Sequence[str] = ("reflex",),
    history: Sequence[Mapping[str, Any]] = (),
) -> Artifact:
    """Write a model folder; an existing model at `path` is replaced, anything else is not.

    Args:
        path: the folder to make, as "NAME.winnow".
        fingerprint: of the features.
        tensors: weights by name.
        calibration: combiner and held-out figures, JSON values only.
        training: how it was made, JSON values only.
        version: of Winnow.
        files: of further stages, by name.
        stages: in the order in which they answer.
        history: what was done to the weights after their training, oldest first.

    Raises:
        ArtifactError: the place is taken by something that is no model, or cannot be written.
    """
    try:  # a link to a model stays, and so does what "." and ".." mean
        place = path.resolve()
        foreign = place.exists() and not (place / _MANIFEST).is_file()
    except (OSError, RuntimeError, ValueError) as error:
        raise ArtifactError(f"cannot write the model to {path}: {error}.") from error
    if foreign:
        raise ArtifactError(f"{path} exists and is no model; name another --out.")
    from safetensors.numpy import save

    files = {
        "reflex.safetensors": save(dict(tensors)),
        "calibration.json": _json_bytes(calibration),
        **(files or {}),
    }
    manifest = {
        "kind": KIND,
        "schema": SCHEMA,
        "winnow": version,
        "features": fingerprint,
        "stages": list(stages),
        "files": {n: {"bytes": len(d), "sha256": _sum(d)} for n, d in files.items()},
        "training": dict(training),
        "history": [
            {"step": "train", "version": version, "bytes": len(files["reflex.safetensors"])},
            *map(dict, history),
        ],
    }
    files[_MANIFEST] = _json_bytes(manifest)
    name = _name(path)  # before the folder that "." means is replaced
    _place(place, files)
    return replace(read_artifact(place), path=path, name=name)


def _place(path: Path, files: Mapping[str, bytes]) -> None:
    """Make the folder beside its place, then move it there; the old one goes last.

    Whatever interrupts it, Ctrl-C too, leaves the old model or the new one. Only a kill between
    the two renames leaves the place empty, with the old model whole beside it, named ".NAME…old".
    """
    token = secrets.token_hex(4)
    fresh = path.with_name(f".{path.name}.{token}.new")
    old = path.with_name(f".{path.name}.{token}.old")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh.mkdir()
        for name, data in files.items():
            with (fresh / name).open("wb") as out:
                out.write(data)
                out.flush()
                os.fsync(out.fileno())
        if path.exists():
            path.rename(old)
        fresh.rename(path)
    except OSError as error:
        raise ArtifactError(f"cannot write the model to {path}: {error.strerror}.") from error
    finally:
        if old.exists() and not path.exists():
            old.rename(path)
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def read_artifact(path: Path) -> Artifact:
    """Read and check a model folder.

    A file of a further stage that is missing or damaged is told in `faults`: mail is answered by
    the first stage all the same.

    Raises:
        ArtifactError: missing, damaged, foreign, of an older or newer schema.
    """
    try:
        there = path.is_dir()
    except OSError as error:
        raise ArtifactError(f"cannot read {path}: {error.strerror}.") from error
    if not there:
        if os.path.lexists(path):
            raise ArtifactError(f"{path} is no folder; a model is one, name it instead of a file.")
        raise ArtifactError(f"no model at {path}; `winnow train --out {path} …` makes one.")
    manifest = _read_json(path, _MANIFEST)
    if manifest.get("kind") != KIND:
        raise ArtifactError(
            f"{path} is not a Winnow model: its manifest.json is of something else."
        )
    schema = manifest.get("schema")
    if schema != SCHEMA:
        newer = isinstance(schema, int) and schema > SCHEMA
        todo = "use a newer Winnow" if newer else "train it again with this Winnow"
        raise ArtifactError(f"{path} has schema {schema!r}, this Winnow reads {SCHEMA}; {todo}.")
    if not isinstance(manifest.get("training"), dict):
        raise ArtifactError(f"{path}: manifest.json tells of no training; copy or train it again.")
    listed = manifest.get("files")
    if not isinstance(listed, dict) or not set(listed) >= _REQUIRED:
        raise ArtifactError(
            f"{path}: manifest.json does not list the model's files; copy it again."
        )
    data: dict[str, bytes] = {}
    faults = []
    for name, entry in listed.items():
        if not _FILE_NAME.fullmatch(name) or not isinstance(entry, dict):
            raise ArtifactError(f"{path}: manifest.json lists an unusable file {name!r}.")
        try:
            data[name] = _read_checked(path, name, entry)
        except ArtifactError as error:
            if name in _REQUIRED:
                raise
            faults.append(str(error))
    calibration = _parse_json(path, "calibration.json", data["calibration.json"])
    answering = [data["reflex.safetensors"], data["calibration.json"]]
    answering += [data[name] for name in sorted(data) if name.startswith(_SECOND_STAGE)]
    tensors = _tensors(path, data["reflex.safetensors"])
    others = {name: content for name, content in data.items() if name not in _REQUIRED}
    digest = _sum(b"".join(answering))[:8]
    name = _name(path)
    return Artifact(path, name, digest, manifest, calibration, tensors, others, tuple(faults))


def _name(path: Path) -> str:
    return os.path.basename(os.path.abspath(path)).removesuffix(".winnow")  # also for "."


def _read_checked(path: Path, name: str, entry: dict[str, Any]) -> bytes:
    data = _read_file(path, name, _LARGEST_FILE_BYTES)
    if len(data) != entry.get("bytes") or _sum(data) != entry.get("sha256"):
        raise ArtifactError(
            f"{path}: {name} is damaged (its sum is not the manifest's); copy or train it again."
        )
    return data


def _read_file(path: Path, name: str, largest: int) -> bytes:
    file = path / name
    try:
        found = file.stat()
        if not stat.S_ISREG(found.st_mode):  # a pipe would be waited for without end
            raise ArtifactError(f"{file} is no file; copy or train the model again.")
        if found.st_size > largest:
            raise ArtifactError(f"{file} is larger than any model's; it is not one of Winnow's.")
        return file.read_bytes()
    except FileNotFoundError as error:
        raise ArtifactError(
            f"{path} is not a whole Winnow model: {name} is missing; copy it again, or name the "
            "folder that `winnow train` wrote."
        ) from error
    except OSError as error:
        raise ArtifactError(f"cannot read {file}: {error.strerror}.") from error


def _read_json(path: Path, name: str) -> dict[str, Any]:
    return _parse_json(path, name, _read_file(path, name, _LARGEST_JSON_BYTES))


def _parse_json(path: Path, name: str, data: bytes) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ArtifactError(
            f"{path}: {name} is damaged (no JSON); copy or train it again."
        ) from error
    if not isinstance(value, dict):
        raise ArtifactError(f"{path}: {name} holds no JSON object; it is not one of Winnow's.")
    return value


def _tensors(path: Path, data: bytes) -> Tensors:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        tensors: Tensors = load(data)
    except (SafetensorError, ValueError, KeyError) as error:
        raise ArtifactError(f"{path}: reflex.safetensors cannot be read: {error}.") from error
    for name, tensor in tensors.items():
        if not np.all(np.isfinite(tensor)):
            raise ArtifactError(f"{path}: weights {name!r} hold a value that is no number.")
    return tensors


def _json_bytes(value: Mapping[str, Any]) -> bytes:
    return (json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def _sum(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
