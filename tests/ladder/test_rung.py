"""A row: its figures, their quality, and the form in which `--json` prints it."""

from __future__ import annotations

import numpy as np
import pytest

from winnow.accounting import Power, Quality
from winnow.ladder.measure import Times
from winnow.ladder.quality import Figure, missing
from winnow.ladder.rung import FIGURES, Rung, Timed, costs, sizes

POWER = Power(2.0, 1.0, 10.0, 0.15, Quality.ESTIMATED, "a table")
LENGTHS = {32: "", 128: "", 256: "the model takes 128 tokens at most"}


def _timed(ms: float, mix: Times | None = None) -> Timed:
    noise = np.random.default_rng(0).normal(1, 0.01, 20)
    at = {n: Times(n / 32 * ms / 1e3 * noise, n / 32 * ms / 2e3 * noise) for n in (32, 128)}
    return Timed(at, mix)


def test_the_documented_figures() -> None:
    """The names that the project promises, in this order."""
    assert FIGURES == (
        "bytes", "nodes", "round_trips", "ms_32", "ms_128", "ms_256", "messages_per_second",
        "accuracy_percent", "one_minus_roca_percent", "ece_percent", "max_abs_error",
        "joules_per_1000",
    )  # fmt: skip


def test_a_row_has_every_key() -> None:
    """What was not measured is null, and says why; the name comes first."""
    row = Rung("folded", "one spelling", {"bytes": Figure(12)}).to_json()
    assert list(row)[: 1 + len(FIGURES)] == ["name", *FIGURES]
    assert (row["name"], row["bytes"], row["ms_32"]) == ("folded", 12, None)
    assert row["quality"]["bytes"] == "measured"
    assert row["quality"]["ms_32"] == "missing"
    assert row["notes"]["ms_32"] == "not measured"


def test_a_refused_row_says_why_everywhere() -> None:
    """Its figures are missing for the reason of the row."""
    row = Rung("fused", "", refused="the graph does not run").to_json()
    assert {row[name] for name in FIGURES} == {None}
    assert set(row["notes"].values()) == {"the graph does not run"}


def test_figures_beyond_the_documented_follow() -> None:
    """More keys may come, with their intervals beside them."""
    row = Rung("a", "", {"times_faster": Figure(2.0, low=1.5, high=2.5)}).to_json()
    assert row["times_faster"] == 2.0
    assert row["intervals"] == {"times_faster": [1.5, 2.5]}


def test_latency_and_ratios() -> None:
    """Medians in milliseconds, wall and processor apart, ratios to the baseline."""
    found = costs(_timed(2.0), _timed(6.0), POWER, LENGTHS)
    assert found["ms_32"].value == pytest.approx(2.0, rel=0.01)
    assert found["cpu_ms_32"].value == pytest.approx(1.0, rel=0.01)
    assert found["ms_128"].value == pytest.approx(8.0, rel=0.01)
    assert found["times_faster_128"].value == pytest.approx(3.0)
    assert found["times_faster_wall_128"].value == pytest.approx(3.0)
    assert 0 < (found["spread_128_percent"].value or 0) < 5


def test_a_length_beyond_the_model_is_missing() -> None:
    """Null, with the model's limit as the reason, and not the time of a shorter one."""
    found = costs(_timed(2.0), _timed(6.0), POWER, LENGTHS)
    assert found["ms_256"] == missing("the model takes 128 tokens at most")
    assert found["times_faster_256"].value is None


def test_without_mail_rate_and_energy_are_of_one_length() -> None:
    """And say that they are no measurement of real mail."""
    found = costs(_timed(2.0), _timed(6.0), POWER, LENGTHS)
    rate = found["messages_per_second"]
    assert rate.value == pytest.approx(125.0, rel=0.01)
    assert rate.quality == Quality.ESTIMATED
    assert "128 tokens" in rate.note
    assert found["times_faster"].value == pytest.approx(3.0)


def test_with_mail_they_are_of_its_lengths() -> None:
    """A mean over the mix; energy is the processor's seconds by watts, with a band."""
    lengths = np.array([10] * 15 + [100] * 5)
    fast, slow = (Times(lengths * each, lengths * each / 2) for each in (1e-4, 2e-4))
    found = costs(_timed(2.0, fast), _timed(6.0, slow), POWER, LENGTHS, lengths)
    mean = 1e-4 * (10 * 15 + 100 * 5) / 20
    assert found["messages_per_second"].value == pytest.approx(1 / mean)
    assert found["messages_per_second"].quality == Quality.MEASURED
    assert found["cpu_ms_message"].value == pytest.approx(1e3 * mean / 2)
    joules = found["joules_per_1000"]
    assert joules.value == pytest.approx(1_000 * mean / 2 * 2.0)
    assert (joules.low, joules.high) == (pytest.approx(500 * mean), pytest.approx(5_000 * mean))
    assert joules.quality == Quality.ESTIMATED
    assert "a table" in joules.note
    assert found["times_faster"].value == pytest.approx(2.0)


def test_nothing_timed() -> None:
    """No figure is made up."""
    found = costs(Timed({}), Timed({}), POWER, {32: "the model takes 8 tokens at most"})
    assert {one.value for one in found.values()} == {None}
    assert found["joules_per_1000"].quality == Quality.MISSING


def test_sizes() -> None:
    """Nodes as written, and as the runtime leaves them, which it may refuse to."""
    found = sizes(1_000, 98, 28)
    assert [found[name].value for name in ("bytes", "nodes", "nodes_when_run")] == [1_000, 98, 28]
    refused = sizes(1_000, 98, None, "no such operator")["nodes_when_run"]
    assert refused == missing("no such operator")
