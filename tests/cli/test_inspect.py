"""`winnow inspect`: what is in a model, and that a damaged one is told."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Run
from winnow.pipeline import SHIPPED_MODEL


@pytest.fixture
def copy(model: Path, tmp_path: Path) -> Path:
    """Return a copy of the model that a test may break."""
    return Path(shutil.copytree(model, tmp_path / "copy.winnow"))


def edit(copy: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the manifest."""
    manifest = json.loads((copy / "manifest.json").read_text())
    change(manifest)
    (copy / "manifest.json").write_text(json.dumps(manifest))


def test_for_a_person(winnow: Run, model: Path) -> None:
    """Name, features, stages, training, combiner, files with sums, figures and history."""
    done = winnow("inspect", model)
    assert done.status == 0
    sum_ = json.loads((model / "manifest.json").read_text())["files"]["calibration.json"]["sha256"]
    parts = ("small@", "those of this Winnow", "reflex", "view        both", "held-out mail")
    parts += ("stream", "calibration.json", sum_[:12], "mail     80    80", "1-ROCA", "train")
    for part in parts:
        assert part in done.out
    assert " NOT " not in done.out


def test_a_model_with_a_reader(winnow: Run) -> None:
    """Of the model that ships: how both answers become one, and what each budget buys."""
    done = winnow("inspect")
    cascade = json.loads((SHIPPED_MODEL / "calibration.json").read_text())["cascade"]
    points = json.loads((SHIPPED_MODEL / "frontier.json").read_text())["points"]
    assert f"more than {cascade['low']:.2f} and less than {cascade['high']:.2f}" in done.out
    assert f"{cascade['opening']['opening']:+.2f} the first 60 words" in done.out
    assert "what each budget for the reader buys" in done.out
    table = done.out[done.out.index("mean ms") :].splitlines()[1:]
    assert [line.split()[0] for line in table] == [f"{1e3 * p['seconds']:.3f}" for p in points]


def test_json(winnow: Run, model: Path) -> None:
    """One object with the manifest and the calibration as they are on disk."""
    found = json.loads(winnow("inspect", "--json", model).out)
    assert list(found) == ["model", "usable", "faults", "manifest", "calibration"]
    assert found["usable"] is True
    for name in ("manifest", "calibration"):
        assert found[name] == json.loads((model / f"{name}.json").read_text())


def test_a_model_of_other_features(winnow: Run, copy: Path, mail: Path) -> None:
    """It is shown and said to be useless here; to answer with it is refused."""
    edit(copy, lambda manifest: manifest.update(features="0123456789abcdef"))
    done = winnow("inspect", copy)
    assert done.status == 0
    assert "0123456789abcdef, NOT those of this Winnow" in done.out
    assert json.loads(winnow("inspect", "--json", copy).out)["usable"] is False
    assert winnow("check", "--model", copy, mail).status == 2


@pytest.mark.parametrize("name", ["reflex.safetensors", "calibration.json", "manifest.json"])
@pytest.mark.parametrize("damage", ["cut", "flip", "gone"])
def test_damage(name: str, damage: str, winnow: Run, copy: Path) -> None:
    """A file that is cut off, altered or missing is a sentence that names the model."""
    data = (copy / name).read_bytes()
    middle = len(data) // 2
    if damage == "gone":
        (copy / name).unlink()
    elif damage == "cut":
        (copy / name).write_bytes(data[:middle])
    else:
        (copy / name).write_bytes(data[:middle] + bytes([data[middle] ^ 0xFF]) + data[middle + 1 :])
    done = winnow("inspect", copy)
    assert (done.status, done.out) == (2, "")
    assert str(copy) in done.err


@pytest.mark.parametrize(
    "change",
    [
        lambda manifest: manifest.pop("history"),
        lambda manifest: manifest["training"].pop("sources"),
        lambda manifest: manifest["training"].update(sources=[1, 2]),
        lambda manifest: manifest.update(stages=None),
        lambda manifest: manifest["training"].update(cpu_seconds={"reading": "long"}),
    ],
)
def test_a_manifest_of_another_form(
    change: Callable[[dict[str, Any]], object], winnow: Run, copy: Path
) -> None:
    """The manifest has no sum of its own: what is missing in it is a sentence, not a traceback."""
    edit(copy, change)
    done = winnow("inspect", copy)
    assert done.status == 2
    assert "manifest.json" in done.err


def test_a_hostile_manifest(winnow: Run, copy: Path) -> None:
    """Text of a model that was sent on cannot write to the terminal."""

    def spoil(manifest: dict[str, Any]) -> None:
        manifest["training"]["sources"] = {"\x1b[2J[red]x[/red]": {"ham": 1, "spam": 1}}
        manifest["winnow"] = "\x1b]0;owned\x07"

    edit(copy, spoil)
    out = winnow("inspect", copy).out
    assert "\x1b" not in out
    assert "[red]x[/red]" in out
