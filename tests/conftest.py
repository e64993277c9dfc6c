"""What every test shares: Hypothesis profiles and the way to the corpora."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parent.parent

# The quick profile repeats the same examples on every run, so that a red run can be run again;
# the thorough one looks for new ones: HYPOTHESIS_PROFILE=thorough make test.
settings.register_profile(
    "ci",
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "thorough",
    max_examples=100_000,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


@pytest.fixture(scope="session")
def corpora() -> Path:
    """Return the folder of the corpora beside the repository; skip the test without it."""
    folder = ROOT.parent / "shared" / "corpora"
    if not folder.is_dir():
        pytest.skip("no corpora beside the repository (../shared/corpora)")
    return folder
