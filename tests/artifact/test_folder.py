"""A model on disk: whole or refused."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from winnow.artifact import Artifact, folder, read_artifact, write_artifact
from winnow.errors import ArtifactError

NAMES = ("manifest.json", "reflex.safetensors", "calibration.json")


def _write(path: Path, value: float = 1.0, **changes: Any) -> Artifact:
    fields: dict[str, Any] = {
        "fingerprint": "f",
        "tensors": {"content": np.full(4, value, dtype=np.float16)},
        "calibration": {"x": 1},
        "training": {"sources": {"Grüße": 2}},
        "version": "0",
    }
    return write_artifact(path, **(fields | changes))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A small artifact."""
    return _write(tmp_path / "a.winnow").path


def _edit(model: Path, **changes: Any) -> None:
    """Change the manifest."""
    manifest = json.loads((model / "manifest.json").read_text())
    (model / "manifest.json").write_text(json.dumps(manifest | changes))


def _edit_files(model: Path, **entries: Any) -> None:
    """Add files to the manifest's list, or replace their entries."""
    manifest = json.loads((model / "manifest.json").read_text())
    _edit(model, files=manifest["files"] | entries)


def test_what_was_written_is_read(model: Path) -> None:
    """Weights and records come back as they were."""
    artifact = read_artifact(model)
    assert artifact.tensors["content"].tolist() == [1, 1, 1, 1]
    assert artifact.tensors["content"].dtype == np.float16
    assert artifact.calibration == {"x": 1}
    assert artifact.manifest["training"] == {"sources": {"Grüße": 2}}
    assert artifact.fingerprint == "f"
    assert artifact.label == f"a@{artifact.digest}"
    assert sorted(os.listdir(model.parent)) == ["a.winnow"]


def test_the_same_input_makes_the_same_bytes(tmp_path: Path) -> None:
    """Neither time nor place is in an artifact, and other weights have another digest."""
    one, two = _write(tmp_path / "one.winnow"), _write(tmp_path / "two.winnow")
    for name in NAMES:
        assert (one.path / name).read_bytes() == (two.path / name).read_bytes()
    assert one.digest == two.digest
    assert one.digest != _write(tmp_path / "three.winnow", 2.0).digest
    assert one.digest != _write(tmp_path / "four.winnow", calibration={"x": 2}).digest


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("damage", ["truncate", "flip", "remove", "empty", "longer"])
def test_damage_is_a_clear_error(model: Path, name: str, damage: str) -> None:
    """No damaged byte is ever used, and the error says which model and what to do."""
    file = model / name
    data = file.read_bytes()
    if damage == "remove":
        file.unlink()
    else:
        changed = {
            "truncate": data[: len(data) // 2],
            "flip": bytes([data[0] ^ 255]) + data[1:],
            "empty": b"",
            "longer": data + b"x",
        }
        file.write_bytes(changed[damage])
    with pytest.raises(ArtifactError, match=r"a\.winnow") as caught:
        read_artifact(model)
    assert name in str(caught.value)
    assert any(word in str(caught.value) for word in ("copy", "train", "missing"))


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that tests put back after damaging it."""
    return _write(tmp_path_factory.mktemp("m") / "a.winnow").path


@given(st.sampled_from(NAMES), st.integers(0, 10**6), st.integers(1, 255))
def test_any_flipped_byte_is_refused_or_harmless(
    lasting: Path, name: str, at: int, flip: int
) -> None:
    """A byte of weights or calibration is always noticed; of the manifest, never another error."""
    file = lasting / name
    data = bytearray(whole := file.read_bytes())
    data[at % len(data)] ^= flip
    file.write_bytes(bytes(data))
    try:
        artifact = read_artifact(lasting)
        assert name == "manifest.json"
        assert artifact.tensors["content"].tolist() == [1, 1, 1, 1]
    except ArtifactError:
        pass
    finally:
        file.write_bytes(whole)


@pytest.mark.parametrize("data", [b"null", b"[]", b"1", b'"x"', b"[" * 10**6, b"\xff", b"1" * 9999])
@pytest.mark.parametrize("name", ["manifest.json", "calibration.json"])
def test_foreign_json_is_refused(model: Path, name: str, data: bytes) -> None:
    """JSON of another form, too deep, too long a number or no UTF-8: one clear error."""
    (model / name).write_bytes(data)
    if name == "calibration.json":
        _edit_files(model, **{name: _entry(data)})
    with pytest.raises(ArtifactError, match=name):
        read_artifact(model)


def _entry(data: bytes) -> dict[str, Any]:
    return {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schema": 99}, "newer Winnow"),
        ({"schema": 0}, "train it again"),
        ({"schema": "1"}, "train it again"),
        ({"schema": None}, "train it again"),
        ({"kind": "x"}, "not a Winnow model"),
        ({"kind": None}, "not a Winnow model"),
        ({"files": None}, "does not list"),
        ({"files": []}, "does not list"),
        ({"files": {"reflex.safetensors": {}}}, "does not list"),
    ],
)
def test_foreign_older_and_newer_are_told_apart(
    model: Path, change: dict[str, object], said: str
) -> None:
    """The error says what to do about it."""
    _edit(model, **change)
    with pytest.raises(ArtifactError, match=said):
        read_artifact(model)


@pytest.mark.parametrize(
    "name",
    [
        "../secret",
        "/etc/hosts",
        "..",
        ".hidden",
        "a/b",
        "a\\b",
        "",
        "x\0y",
        "\ud800",
        "x" * 300,
        "line\nbreak",
    ],
)
def test_names_lead_nowhere(model: Path, name: str) -> None:
    """A manifest cannot make Winnow read outside its folder, nor fail in another way."""
    (model.parent / "secret").write_text("secret")
    _edit_files(model, **{name: _entry(b"secret")})
    with pytest.raises(ArtifactError, match="unusable file"):
        read_artifact(model)


@pytest.mark.parametrize("entry", [None, [], "x", {}, {"bytes": -1}, {"bytes": 1 << 62}])
def test_entries_that_do_not_fit_are_refused(model: Path, entry: Any) -> None:
    """A size or sum that is missing or another's is damage; a huge one allocates nothing."""
    _edit_files(model, **{"calibration.json": entry})
    with pytest.raises(ArtifactError, match=r"damaged|unusable"):
        read_artifact(model)


@pytest.mark.parametrize("name", NAMES)
def test_huge_files_are_not_read(model: Path, name: str) -> None:
    """A sparse file of a terabyte is refused by its size."""
    os.truncate(model / name, 1 << 40)
    with pytest.raises(ArtifactError, match="larger than any"):
        read_artifact(model)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
@pytest.mark.parametrize("name", NAMES)
def test_a_pipe_is_not_waited_for(model: Path, name: str, make: Callable[[Path], None]) -> None:
    """What is no file is refused at once."""
    (model / name).unlink()
    make(model / name)
    with pytest.raises(ArtifactError, match="is no file"):
        read_artifact(model)


def test_links_to_files_are_followed(model: Path) -> None:
    """Volumes of container platforms mount each file as a link; sums are checked all the same."""
    (model / "calibration.json").rename(model.parent / "elsewhere")
    (model / "calibration.json").symlink_to(model.parent / "elsewhere")
    assert read_artifact(model).calibration == {"x": 1}
    (model.parent / "elsewhere").write_text("{}")
    with pytest.raises(ArtifactError, match="damaged"):
        read_artifact(model)


@pytest.mark.parametrize("data", [b"", b"x", b"\xff" * 64, b"\x02" + b"\0" * 7 + b"{}"[:1]])
def test_weights_that_cannot_be_read_are_refused(model: Path, data: bytes) -> None:
    """A right sum over wrong bytes does not reach numpy."""
    (model / "reflex.safetensors").write_bytes(data)
    _edit_files(model, **{"reflex.safetensors": _entry(data)})
    with pytest.raises(ArtifactError, match=r"reflex\.safetensors cannot be read"):
        read_artifact(model)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_no_numbers_are_refused(tmp_path: Path, value: float) -> None:
    """A NaN would make every answer a NaN."""
    with pytest.raises(ArtifactError, match="no number"):
        _write(tmp_path / "a.winnow", value)


@pytest.mark.parametrize("name", ["none.winnow", "file/x", "\0"])
def test_what_is_not_there_is_named(tmp_path: Path, name: str) -> None:
    """The error says how to make a model."""
    (tmp_path / "file").write_text("x")
    with pytest.raises(ArtifactError, match=r"no model at .*winnow train"):
        read_artifact(tmp_path / name)


def test_a_file_is_no_model(model: Path) -> None:
    """Nobody is told to train over a file; a model is its folder."""
    with pytest.raises(ArtifactError, match="is no folder; a model is one"):
        read_artifact(model / "manifest.json")


@pytest.mark.parametrize("training", [None, 5, [], "x"])
def test_a_manifest_without_its_training(model: Path, training: object) -> None:
    """What every reader of a manifest looks into is there, or the model is refused."""
    manifest = json.loads((model / "manifest.json").read_bytes())
    (model / "manifest.json").write_text(json.dumps(manifest | {"training": training}))
    with pytest.raises(ArtifactError, match="tells of no training"):
        read_artifact(model)


@pytest.mark.parametrize("kind", ["folder", "empty folder", "file"])
def test_what_is_no_model_is_not_replaced(tmp_path: Path, kind: str) -> None:
    """`--out` on somebody's folder or file destroys nothing."""
    place = tmp_path / "place"
    if kind == "file":
        place.write_text("mine")
    else:
        place.mkdir()
        if kind == "folder":
            (place / "x").write_text("mine")
    with pytest.raises(ArtifactError, match="is no model; name another --out"):
        _write(place)
    if kind != "empty folder":
        assert (place if kind == "file" else place / "x").read_text() == "mine"


def test_a_model_is_replaced(model: Path) -> None:
    """The new one is there, and nothing of the old one."""
    (model / "old file").write_text("x")
    _write(model, 2.0)
    assert read_artifact(model).tensors["content"].tolist() == [2, 2, 2, 2]
    assert sorted(os.listdir(model)) == sorted(NAMES)
    assert os.listdir(model.parent) == [model.name]


@pytest.mark.parametrize("failing", ["mkdir", "fsync", "first rename", "second rename"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_an_interrupted_replacement_leaves_the_old_model(
    model: Path, monkeypatch: pytest.MonkeyPatch, failing: str, error: BaseException
) -> None:
    """A full disk or Ctrl-C at any step: the old model is whole and nothing lies around."""
    renamed: list[Path] = []
    rename = Path.rename

    def fail(*_: object, **__: object) -> None:
        raise error

    def fail_sometimes(self: Path, target: Path) -> Path:
        renamed.append(self)
        if len(renamed) == ("first rename", "second rename").index(failing) + 1:
            raise error
        return rename(self, target)

    with monkeypatch.context() as patch:
        if failing == "fsync":
            patch.setattr(folder.os, "fsync", fail)
        elif failing == "mkdir":
            patch.setattr(Path, "mkdir", fail)
        else:
            patch.setattr(Path, "rename", fail_sometimes)
        expected = ArtifactError if isinstance(error, OSError) else KeyboardInterrupt
        with pytest.raises(expected):
            _write(model, 2.0)
    assert read_artifact(model).tensors["content"].tolist() == [1, 1, 1, 1]
    assert os.listdir(model.parent) == [model.name]


def test_a_link_to_a_model_stays_a_link(model: Path) -> None:
    """`current -> a.winnow` is trained into: the model behind it changes."""
    link = model.parent / "current.winnow"
    link.symlink_to(model)
    assert _write(link, 2.0).name == "current"
    assert link.is_symlink()
    assert read_artifact(model).tensors["content"].tolist() == [2, 2, 2, 2]
    assert sorted(os.listdir(model.parent)) == ["a.winnow", "current.winnow"]


def test_the_folder_one_stands_in_can_be_replaced(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--out .` inside a model is that model."""
    monkeypatch.chdir(model)
    assert _write(Path("."), 2.0).name == "a"
    assert read_artifact(model).tensors["content"].tolist() == [2, 2, 2, 2]


def test_missing_folders_are_made(tmp_path: Path) -> None:
    """`--out models/new/a.winnow` needs no mkdir first."""
    assert _write(tmp_path / "x" / "y" / "a.winnow").name == "a"


@pytest.mark.parametrize("name", ["file/a.winnow", "x" * 300, "a\0b"])
def test_an_impossible_place_is_an_error(tmp_path: Path, name: str) -> None:
    """Below a file, too long, or no name at all."""
    (tmp_path / "file").write_text("x")
    with pytest.raises(ArtifactError, match="cannot write the model"):
        _write(tmp_path / name)


def test_a_place_that_may_not_be_read_is_an_error(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Missing rights are told in a sentence, wherever they are missing."""

    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    for method in ("is_dir", "read_bytes"):
        with monkeypatch.context() as patch:
            patch.setattr(Path, method, denied)
            with pytest.raises(ArtifactError, match=r"cannot read .*Permission denied"):
                read_artifact(model)


SECOND = {"reader.onnx": b"graph", "tokenizer.json": b"{}", "frontier.svg": b"<svg/>"}


@pytest.fixture
def two_stages(tmp_path: Path) -> Path:
    """An artifact with files of a second stage."""
    return _write(tmp_path / "b.winnow", files=SECOND, stages=("reflex", "reader")).path


def test_files_of_a_second_stage_come_back(two_stages: Path) -> None:
    """What the reader needs is read and checked with the rest."""
    artifact = read_artifact(two_stages)
    assert artifact.files == SECOND
    assert artifact.faults == ()
    assert artifact.manifest["stages"] == ["reflex", "reader"]


@pytest.mark.parametrize("name", SECOND)
def test_what_answers_is_in_the_digest(tmp_path: Path, two_stages: Path, name: str) -> None:
    """Another graph or vocabulary is another model; another picture of it is the same."""
    other = _write(tmp_path / "c.winnow", files=SECOND | {name: b"other"})
    same = other.digest == read_artifact(two_stages).digest
    assert same == (name == "frontier.svg")


@pytest.mark.parametrize("name", SECOND)
@pytest.mark.parametrize("damage", ["flip", "remove"])
def test_a_damaged_second_stage_leaves_the_first(two_stages: Path, name: str, damage: str) -> None:
    """Mail is answered by the reflex, and what is wrong is told."""
    file = two_stages / name
    if damage == "remove":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[::-1])
    artifact = read_artifact(two_stages)
    assert artifact.tensors["content"].tolist() == [1, 1, 1, 1]
    assert name not in artifact.files
    assert [name in fault for fault in artifact.faults] == [True]
