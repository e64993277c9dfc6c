"""From files to a picture in a file: opened with distrust, written whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

ir = pytest.importorskip("onnx_ir", reason="the extra [compile] is not installed")
pytest.importorskip("onnxscript", reason="the extra [compile] is not installed")

from tests.compiler.picture.graphs import encoder, fused_encoder  # noqa: E402
from winnow import recipe_picture  # noqa: E402
from winnow.compiler.picture.changes import Fate  # noqa: E402
from winnow.compiler.picture.story import story_of  # noqa: E402
from winnow.errors import InputError  # noqa: E402


def _write(path: Path, model: ir.Model) -> Path:
    path.write_bytes(ir.to_proto(model).SerializeToString())
    return path


@pytest.fixture
def before(tmp_path: Path) -> Path:
    """A file of an encoder."""
    return _write(tmp_path / "before.onnx", encoder(2))


def test_two_files(before: Path, tmp_path: Path) -> None:
    """The second is what became of the first."""
    after = _write(tmp_path / "after.onnx", fused_encoder(2))
    story, undone = recipe_picture.story_of_file(before, after)
    assert story.name == "before.onnx"
    assert (len(story.before.sketch.nodes), undone) == (51, [])
    assert sum(change.fate is Fate.CHANGED for change in story.changes) == 5


def test_one_file(before: Path) -> None:
    """Without a second there is one graph to draw."""
    assert recipe_picture.story_of_file(before)[0].after is None


@pytest.mark.slow
def test_fused_here() -> None:
    """What fusing makes of the model that ships: attention of each layer in one node."""
    from winnow.pipeline import SHIPPED_MODEL

    story, undone = recipe_picture.story_of_file(SHIPPED_MODEL, fused=True)
    assert undone == []
    assert story.after is not None
    made = [change for change in story.changes if any("Attention" in op for op in change.ops)]
    assert len(made) == len(story.before.stages.names) - 2
    assert all(change.rules for change in made)


def test_passes_that_were_undone_are_told(before: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture of half the work says which half is missing."""
    from winnow.compiler.passes import Report
    from winnow.recipe_compile import Step

    reports = [Report("fold", 9, 7), Report("fuse", 7, 7, undone="it moved an output")]
    step = Step(fused_encoder(2), reports, 0.0, 1, 1, [])
    monkeypatch.setattr(recipe_picture.recipe_compile, "fuse", lambda *_, **__: step)
    _, undone = recipe_picture.story_of_file(before, fused=True)
    assert undone == ["fuse was undone: it moved an output."]


@pytest.mark.parametrize(
    ("name", "begins"), [("a.svg", "<svg "), ("a.SVG", "<svg "), ("a.html", "<!doctype html>")]
)
def test_the_name_says_what_is_drawn(name: str, begins: str, tmp_path: Path) -> None:
    """An SVG or a page; an older one is replaced, and nothing else is left in the folder."""
    out = tmp_path / name
    out.write_text("old")
    recipe_picture.write_picture(story_of("m", encoder(1)), out)
    assert out.read_text("utf-8").startswith(begins)
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize("name", ["picture", "model.onnx", "a.svg.png", "no/such/folder/a.svg"])
def test_places_that_will_not_do(name: str, tmp_path: Path) -> None:
    """Another ending, or a folder that is missing, is one sentence; no file is made or touched."""
    out = tmp_path / name
    with pytest.raises(InputError, match=r"\.svg or \.html|cannot be written"):
        recipe_picture.write_picture(story_of("m", encoder(1)), out)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_not_replaced(tmp_path: Path) -> None:
    """Whatever its name ends in."""
    out = tmp_path / "a.svg"
    out.mkdir()
    with pytest.raises(InputError, match="is no file"):
        recipe_picture.write_picture(story_of("m", encoder(1)), out)
