"""A model on every device: artifacts and bare files, and what is neither."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cascaded import corpus_of, write_reflex, write_two_stages
from tests.runtime.graphs import table_graph
from tests.runtime.hardware import PROCESSOR, Stand, stand
from tests.synthetic import message
from winnow.answering import READER_FILE
from winnow.errors import ArtifactError, InputError
from winnow.recipe_devices import survey_model
from winnow.runtime.placement import Placement
from winnow.verdict import Label

MAIL = [(message(n % 2 == 0, n), Label.SPAM if n % 2 == 0 else Label.HAM) for n in range(80)]
TABLE = (PROCESSOR, stand("cuda", Stand()), stand("qnn", Stand(gone="no driver")))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of two stages, whose reader takes 64 tokens."""
    path = tmp_path_factory.mktemp("m") / "both.winnow"
    write_two_stages(path, corpus_of(MAIL))
    return path


def test_an_artifacts_reader_is_tried(model: Path) -> None:
    """On messages as long as it takes; auto's device is the first of its order that is here."""
    found = survey_model(model, table=TABLE)
    assert found.model.startswith("both@")
    assert (found.tokens, found.auto) == ((32,), "cuda")
    processor, other, away = found.rows
    assert processor.placement == Placement(4, 0, 0)
    assert other.differences["log_odds"] == 0.0
    assert list(other.times) == [32]
    assert away.placement is None


@pytest.mark.parametrize("odd", [Stand(times=-9.0), Stand(refuses="no"), Stand(gone="no")])
def test_auto_is_told_as_it_will_choose(model: Path, odd: Stand) -> None:
    """What answers otherwise, takes no such graph or is absent is passed over."""
    found = survey_model(model, table=(PROCESSOR, stand("cuda", odd)))
    assert found.auto == "cpu"


def test_what_has_no_reader_is_told(tmp_path: Path, model: Path) -> None:
    """A reflex needs no device; a lost file is named; a folder of something else is no model."""
    write_reflex(tmp_path / "one.winnow", corpus_of(MAIL))
    with pytest.raises(ArtifactError, match="the reflex needs no device"):
        survey_model(tmp_path / "one.winnow", table=TABLE)
    (tmp_path / "other").mkdir()
    with pytest.raises(ArtifactError, match="not a whole Winnow model"):
        survey_model(tmp_path / "other", table=TABLE)
    write_two_stages(tmp_path / "two.winnow", corpus_of(MAIL))
    (tmp_path / "two.winnow" / READER_FILE).unlink()
    with pytest.raises(ArtifactError, match=r"reader\.onnx is missing"):
        survey_model(tmp_path / "two.winnow", table=TABLE)


def test_a_bare_file_is_tried(tmp_path: Path) -> None:
    """By the names of its inputs; rows of its table of pieces bound the ids."""
    pytest.importorskip("onnx_ir", reason="reads bare files: pip install 'winnow-mail[compile]'")
    path = tmp_path / "a.onnx"
    path.write_bytes(table_graph((0.5, -1.0, 2.0), limit=200))
    found = survey_model(path, table=TABLE)
    assert (found.model, found.tokens, found.auto) == ("a.onnx", (32, 128), "cuda")
    assert found.rows[0].placement == Placement(4, 0, 0)
    assert found.rows[1].fault == ""
    path.write_bytes(table_graph((0.5, -1.0, 2.0), limit=5))
    assert survey_model(path, table=TABLE).tokens == (5,)


@pytest.mark.parametrize("data", [b"", b"no graph", b"\x08\x0a"])
def test_what_is_no_graph_is_told(tmp_path: Path, data: bytes) -> None:
    """One sentence with the path."""
    pytest.importorskip("onnx_ir", reason="reads bare files: pip install 'winnow-mail[compile]'")
    path = tmp_path / "a.onnx"
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"a\.onnx"):
        survey_model(path, table=TABLE)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    """By its name, with and without what reads graphs."""
    with pytest.raises(InputError, match=r"none\.onnx"):
        survey_model(tmp_path / "none.onnx", table=TABLE)


def test_without_what_reads_graphs_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An artifact's reader needs nothing more; a bare file does."""
    monkeypatch.setitem(__import__("sys").modules, "winnow.compiler.graph", None)
    with pytest.raises(InputError, match=r"pip install 'winnow-mail\[compile\]'"):
        survey_model(tmp_path / "a.onnx", table=TABLE)
