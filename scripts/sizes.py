"""Print how large files and functions are, against the budget, and fail past its hard limits.

Medians are a taste and only shown; what makes a reader lose the thread is a limit.
"""

from __future__ import annotations

import ast
import statistics
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FILE_LINES = 600
FUNCTION_LINES = 60
BUDGET = "budget: file median 150, limit 600; function median 8, p90 30, limit 60; tests 1.0-1.5"

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(slots=True)
class Sizes:
    """What was counted under one folder.

    Attributes:
        files: lines of each file.
        functions: lines of each function, its docstring and decorators not counted.
        broken: one sentence for each limit that is passed.
    """

    files: list[int] = field(default_factory=list)
    functions: list[int] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    def add(self, path: Path, source: str) -> None:
        """Count one file."""
        lines = source.count("\n")
        self.files.append(lines)
        if lines > FILE_LINES:
            self.broken.append(f"{path}: {lines} lines, more than {FILE_LINES}")
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, FunctionNode):
                lines = function_lines(node)
                self.functions.append(lines)
                if lines > FUNCTION_LINES:
                    where = f"{path}:{node.lineno}: {node.name}"
                    self.broken.append(f"{where} has {lines} lines, more than {FUNCTION_LINES}")


def function_lines(node: FunctionNode) -> int:
    """Return the lines of a function from its def to its end, without its docstring."""
    lines = (node.end_lineno or node.lineno) - node.lineno + 1
    first = node.body[0]
    if ast.get_docstring(node, clean=False) is not None:
        lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    return lines


def ninetieth(values: Sequence[int]) -> int:
    """Return the value that nine in ten do not exceed."""
    return sorted(values)[max(0, -(-len(values) * 9 // 10) - 1)]


def row(name: str, sizes: Sizes) -> str:
    """Return one line of the table."""
    if not sizes.files:
        return f"{name:<22} {0:>5}"
    files, functions = sizes.files, sizes.functions or [0]
    return (
        f"{name:<22} {len(files):>5} {sum(files):>7}"
        f" {statistics.median(files):>6.0f} /{ninetieth(files):>4} /{max(files):>4}"
        f" {statistics.median(functions):>6.0f} /{ninetieth(functions):>4} /{max(functions):>4}"
    )


def measure(paths: Iterable[Path]) -> Sizes:
    """Count the files at these paths."""
    sizes = Sizes()
    for path in sorted(paths):
        sizes.add(path.relative_to(ROOT), path.read_text("utf-8"))
    return sizes


def main() -> int:
    """Print the table; return 1 when a hard limit is passed."""
    package = ROOT / "src" / "winnow"
    groups = {"winnow/": list(package.glob("*.py"))}
    for folder in sorted(path.parent for path in package.glob("*/__init__.py")):
        groups[f"winnow/{folder.name}/"] = list(folder.rglob("*.py"))
    print(f"{'folder':<22} {'files':>5} {'lines':>7} {'file 50/90/max':>18} {'function':>19}")
    for name, paths in groups.items():
        print(row(name, measure(paths)))
    source = measure(package.rglob("*.py"))
    tests = measure((ROOT / "tests").rglob("*.py"))
    others = measure([*(ROOT / "scripts").glob("*.py"), *(ROOT / "bench").rglob("*.py")])
    for name, sizes in (("source", source), ("tests", tests), ("scripts, bench", others)):
        print(row(name, sizes))
    print(f"tests : source = {sum(tests.files) / max(1, sum(source.files)):.2f}\n{BUDGET}")
    broken = source.broken + tests.broken + others.broken
    print("\n".join(broken), end="\n" if broken else "")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
