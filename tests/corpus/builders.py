"""Small mail and small corpora for the tests of this folder, all of our own writing."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

HAM = b"From: Anna <anna@shop.example>\nSubject: Lunch\n\nAt one, as always?\n"
SPAM = b"From: win@prize.test\nSubject: You won\n\nClaim it now!\n"
FROM_LINE = b"From anna@shop.example Thu Aug 22 12:36:23 2002\n"
INDEX = (
    b"id\tlabel\torder\tdate\tbody_hash\n"
    b"b\tspam\t2\t2002-08-23T10:00:00Z\tEMPTY\n"
    b"a\tham\t1\t2002-08-22T10:00:00Z\tEMPTY\n"
)
INDEXED = {"demo/index.tsv": INDEX, "demo/msgs/b.eml": SPAM, "demo/msgs/a.eml": HAM}


def tar_bytes(
    files: Mapping[str, bytes], *, compression: str = "", format_: int = tarfile.PAX_FORMAT
) -> bytes:
    """Return a tar archive as Python's own writer makes it."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=f"w:{compression}", format=format_) as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def write_tree(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Write files below a folder and return it."""
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder
