"""`python -m winnow` is `winnow`."""

from __future__ import annotations

import subprocess
import sys

from winnow import __version__


def test_the_package_runs() -> None:
    """Where the script is not on the path, the package itself runs, with the verb's status."""
    command = [sys.executable, "-m", "winnow"]
    done = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"winnow {__version__}\n"
    done = subprocess.run([*command, "check", "/no/such"], capture_output=True, text=True)
    assert done.returncode == 2
