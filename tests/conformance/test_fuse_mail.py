"""On 1,000 real messages the fused reader says what the unfused one says, in 32-bit floats."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("onnxscript", reason="the extra [compile] is not installed")

import winnow
from winnow.compiler.answer import without_answer
from winnow.compiler.graph import executable, serialised
from winnow.compiler.quantize_restore import restored
from winnow.compiler.spell_out import spelt_out
from winnow.corpus import open_corpus
from winnow.recipe_compile import Subject, fuse, subject_of
from winnow.recipe_held import held_out
from winnow.runtime.session import Session

pytestmark = pytest.mark.slow

MESSAGES = 1_000
SOURCES = ("spamassassin.tar.xz", "newsletters_optin_2019.tar.xz")
OUTPUTS = ["log_odds", "shares"]
# Log-odds are of up to 6 there, of which a step of 32 bits is 5e-7.
BOUND = 2e-6


def _answers(graph: Any, held: Any) -> list[NDArray[np.float64]]:
    session = Session(serialised(graph), optimised=False)
    found = [session.run(feeds, OUTPUTS) for feeds in held.feeds]
    return [np.concatenate([row[n].ravel() for row in found]).astype(np.float64) for n in (0, 1)]


def test_the_shipped_reader_fused_and_unfused(corpora: Path) -> None:
    """Its weights as floats, as the processor runs them and as an accelerator would."""
    subject = subject_of(Path(winnow.__file__).parent / "models" / "shipped.winnow")
    assert subject.artifact is not None
    graph = without_answer(restored(subject.graph))
    spelt_out(graph)
    sources = [open_corpus(corpora / name) for name in SOURCES]
    held, _ = held_out(subject.artifact, graph, sources, most=MESSAGES, fitting=0, seed=1)
    assert len(held.feeds) == MESSAGES
    wanted, shares = _answers(graph, held)
    assert wanted.std() > 1.0  # mail of both kinds
    whole = Subject(subject.path, graph, None)
    for launches, bound in ((False, BOUND), (True, 2 * BOUND)):
        step = fuse(whole, launches=launches)
        assert [report.undone for report in step.reports] == ["", "", ""]
        assert executable(step.graph) < executable(graph) / 2
        said, told = _answers(step.graph, held)
        assert np.abs(said - wanted).max() <= bound
        assert np.abs(_probability(said) - _probability(wanted)).max() <= BOUND
        assert np.abs(told - shares).max() <= 10 * bound  # of single tokens, not of their mean


def _probability(log_odds: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1.0 / (1.0 + np.exp(-log_odds))
