"""Rules of the tree that no linter knows: mirrored tests, their docstrings, no private places."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from tests.docs.pages import ROOT, markdown, tracked

SOURCE = ROOT / "src" / "winnow"
TESTS = ROOT / "tests"

# Modules without a test file of their own, and test files without a module. This list only
# shrinks: the tests below also fail when an entry is no longer needed.
UNMIRRORED_MODULES: frozenset[str] = frozenset()
UNMIRRORED_TESTS: frozenset[str] = frozenset()

# Folders of tests that mirror no folder of the package.
OWN_FOLDERS = {"docs", "conformance", "golden"}

# Split so that this file does not break the rule itself.
PRIVATE = {
    "a path of one machine": "/(?:work|root)" + "/|/home" + "/[a-z]|/opt/py" + "pi",
    "a registry's host": "extra-index" + "-url|find-li" + "nks\\b|files\\.pythonho" + "sted",
    "a word of the workplace": "issues sh" + "ow|\\.libra" + "ry/|before-st" + "op",
}


def _modules() -> set[str]:
    """Return the modules that hold code, as "mail/parse.py"; a bare __init__ holds none."""
    found = set()
    for path in SOURCE.rglob("*.py"):
        tree = ast.parse(path.read_text("utf-8"))
        code = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
        if path.stem != "__init__" or any(isinstance(node, code) for node in tree.body):
            found.add(path.relative_to(SOURCE).as_posix())
    return found


def _mirror(module: str) -> str:
    """Return the test file of a module: that of a package's own code is named after it."""
    path = Path(module)
    if path.stem == "__init__":
        path = path.parent / f"{path.parent.name or 'winnow'}.py"
    return (path.parent / f"test_{path.stem.strip('_')}.py").as_posix()


def _test_files() -> set[str]:
    return {path.relative_to(TESTS).as_posix() for path in TESTS.rglob("test_*.py")}


def test_every_module_has_its_test_file() -> None:
    """A module is tested where its path says, so that nobody has to search."""
    tests = _test_files()
    bare = {module for module in _modules() if _mirror(module) not in tests}
    assert not bare - UNMIRRORED_MODULES, "these modules need a test file"
    assert not UNMIRRORED_MODULES - bare, "these have one now: take them off UNMIRRORED_MODULES"


def test_every_test_file_has_its_module() -> None:
    """A test file of a module that was moved or removed moves or goes with it."""
    mirrors = {_mirror(module) for module in _modules()}
    strays = {name for name in _test_files() - mirrors if Path(name).parts[0] not in OWN_FOLDERS}
    assert not strays - UNMIRRORED_TESTS, "these test files belong to no module"
    assert not UNMIRRORED_TESTS - strays, "these do or are gone: take them off UNMIRRORED_TESTS"


def test_every_test_says_what_it_protects() -> None:
    """A test without a sentence is removed by the first person whom it annoys."""
    silent = []
    for path in TESTS.rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            if function and node.name.startswith("test_") and not ast.get_docstring(node):
                silent.append(f"{path.relative_to(ROOT)}:{node.lineno}: {node.name}")
    assert not silent, "\n".join(silent)


def _texts() -> list[tuple[Path, str]]:
    return [
        (path.relative_to(ROOT), path.read_text("utf-8", errors="replace"))
        for path in tracked()
        if path.suffix not in {".eml", ".safetensors", ".png"}
    ]


def test_nothing_names_a_private_place() -> None:
    """The repository works anywhere: no path, host or habit of one workplace is in it."""
    found = [
        f"{path}:{text.count(chr(10), 0, match.start()) + 1}: {what}: {match[0]}"
        for path, text in _texts()
        for what, pattern in PRIVATE.items()
        for match in re.finditer(pattern, text)
    ]
    assert not found, "\n".join(found)


def test_private_places_are_seen() -> None:
    """The patterns above find what they are for, and leave what users write alone."""
    seen = ["/" + "work/main", "/home" + "/ann/x", "--find-li" + "nks", "issues sh" + "ow 2"]
    fine = ["~/Maildir", "a/working/copy", "/var/spool/mail", "https://example.org/"]
    patterns = "|".join(PRIVATE.values())
    assert all(re.search(patterns, text) for text in seen)
    assert not any(re.search(patterns, text) for text in fine)


def test_figures_in_the_readme_have_their_command() -> None:
    """A section of the README with a measured figure says which command measures it."""
    page = next(page for page in markdown() if page.name == "README.md")
    figure = re.compile(r"\d\s?(?:%|ms\b|msg/s|MB\b|GB\b|µs\b|times\b)|\d\.\d+\b")
    command = re.compile(r"`(?:make|winnow|\$ make|\$ winnow) ?[^`]*`")
    sections = re.split(r"(?m)^#+ ", page.prose)
    bare = [text.splitlines()[0] for text in sections if figure.search(text)]
    told = [text.splitlines()[0] for text in sections if command.search(text)]
    assert set(bare) <= set(told), f"no command measures the figures of {set(bare) - set(told)}"


def test_no_group_is_repeated_possessively() -> None:
    """Python 3.11.0 to 3.11.4 lose their place in "(...)*+" (CPython #106052); "(?>(...)*)" holds.

    A single sign or class may be possessive: nothing in it can fail half-way.
    """
    possessive = re.compile(r"(?<!\\)\)(?:[*+?]|\{\d*,?\d*\})\+")
    assert possessive.search("(?:a|bc)" + "*+")
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in SOURCE.rglob("*.py")
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if possessive.search(line)
    ]
    assert not found, ", ".join(found)
