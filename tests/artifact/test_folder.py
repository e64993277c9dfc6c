"""A model on disk: whole or refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from winnow.artifact import read_artifact, write_artifact
from winnow.errors import ArtifactError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small artifact."""
    path = tmp_path / "a.winnow"
    write_artifact(
        path,
        fingerprint="f",
        tensors={"content": np.ones(4, dtype=np.float16)},
        calibration={"x": 1},
        training={},
        version="0",
    )
    return path


def test_what_was_written_is_read(folder: Path) -> None:
    """Weights and records come back as they were."""
    artifact = read_artifact(folder)
    assert artifact.tensors["content"].tolist() == [1, 1, 1, 1]
    assert artifact.calibration == {"x": 1}
    assert artifact.name == "a"


@pytest.mark.parametrize("name", ["manifest.json", "reflex.safetensors", "calibration.json"])
@pytest.mark.parametrize("damage", ["truncate", "flip", "remove", "empty"])
def test_damage_is_a_clear_error(folder: Path, name: str, damage: str) -> None:
    """No damaged byte is ever used."""
    file = folder / name
    data = file.read_bytes()
    if damage == "remove":
        file.unlink()
    elif damage == "flip":
        file.write_bytes(bytes([data[0] ^ 255]) + data[1:])
    else:
        file.write_bytes(data[: len(data) // 2] if damage == "truncate" else b"")
    with pytest.raises(ArtifactError):
        read_artifact(folder)


@pytest.mark.parametrize(
    ("change", "said"),
    [({"schema": 99}, "newer Winnow"), ({"schema": 0}, "train it again"), ({"kind": "x"}, "not a")],
)
def test_foreign_older_and_newer_are_told_apart(
    folder: Path, change: dict[str, object], said: str
) -> None:
    """The error says what to do about it."""
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | change))
    with pytest.raises(ArtifactError, match=said):
        read_artifact(folder)


def test_a_folder_that_is_no_model_is_not_replaced(tmp_path: Path) -> None:
    """`--out` on somebody's folder destroys nothing."""
    (tmp_path / "x").write_text("mine")
    with pytest.raises(ArtifactError, match="no model"):
        write_artifact(
            tmp_path, fingerprint="f", tensors={}, calibration={}, training={}, version="0"
        )
    assert (tmp_path / "x").read_text() == "mine"
