"""Move the news fragments into CHANGELOG.md: `python scripts/changelog.py 0.2.0 2026-01-31`."""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
KINDS = {"breaking": "Breaking", "added": "Added", "changed": "Changed", "fixed": "Fixed"}


class FragmentError(Exception):
    """A fragment is not named or written as changelog.d/README.md asks for."""


def fragments(folder: Path) -> dict[str, list[Path]]:
    """Return the fragments of each kind, by name. Raises FragmentError."""
    found: dict[str, list[Path]] = {kind: [] for kind in KINDS}
    for path in sorted(folder.iterdir()):
        if path.name == "README.md":
            continue
        match = re.fullmatch(r"[a-z0-9-]+\.(\w+)\.md", path.name)
        if not match or match[1] not in KINDS or not path.read_text("utf-8").strip():
            raise FragmentError(f"{path.name}: not WHAT.KIND.md with text; see README.md there")
        found[match[1]].append(path)
    return found


def entry(version: str, date: str, found: dict[str, list[Path]]) -> str:
    """Return the part of the changelog on one version."""
    lines = [f"## {version} ({date})", ""]
    for kind, paths in found.items():
        if paths:
            news = [" ".join(path.read_text("utf-8").split()) for path in paths]
            lines += [f"### {KINDS[kind]}", "", *(f"- {text}" for text in news), ""]
    return "\n".join(lines)


def insert(changelog: str, new: str) -> str:
    """Return the changelog with a new entry above the others."""
    head, mark, older = changelog.partition("\n## ")
    return f"{head.rstrip()}\n\n{new.rstrip()}\n{mark}{older}"


def release(root: Path, version: str, date: str) -> None:
    """Move all fragments below `root`. Raises FragmentError, before anything is changed."""
    found = fragments(root / "changelog.d")
    changelog = root / "CHANGELOG.md"
    new = entry(version, date, found)
    changelog.write_text(insert(changelog.read_text("utf-8"), new), "utf-8")
    for path in (path for paths in found.values() for path in paths):
        path.unlink()


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    release(ROOT, *sys.argv[1:])
