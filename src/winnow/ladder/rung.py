"""One row of a ladder: what a graph costs and is worth, each figure with its quality."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from winnow.accounting import CpuSeconds, Power, Quality
from winnow.ladder.measure import Times
from winnow.ladder.quality import WORTH, Figure, missing
from winnow.ladder.statistics import (
    Ratio,
    mean_over_lengths,
    mix_ratio,
    ratio,
    spread_percent,
)

LENGTHS = (32, 128, 256)
# What every row has, in this order: the documented form of `winnow ladder --json`.
FIGURES = (
    "bytes",
    "nodes",
    "round_trips",
    *(f"ms_{n}" for n in LENGTHS),
    "messages_per_second",
    *WORTH,
    "max_abs_error",
    "joules_per_1000",
)
_MESSAGES = 1_000


@dataclass(frozen=True, slots=True)
class Rung:
    """A row.

    Attributes:
        name: of the step, or of the peer.
        what: in a few words; "" where the name says it.
        figures: by name; those of FIGURES are there in every row.
        refused: why there is no such graph, or nothing was timed; "" where all is well.
    """

    name: str
    what: str
    figures: Mapping[str, Figure] = field(default_factory=dict)
    refused: str = ""

    def figure(self, name: str) -> Figure:
        """A figure; where it was never looked for it is missing, for the reason of the row."""
        return self.figures.get(name) or missing(self.refused or "not measured")

    def value(self, name: str) -> float | None:
        """A figure's number."""
        return self.figure(name).value

    def to_json(self) -> dict[str, Any]:
        """The row as `--json` prints it."""
        names = [*FIGURES, *(name for name in self.figures if name not in FIGURES)]
        found = {name: self.figure(name) for name in names}
        intervals = {
            name: [one.low, one.high] for name, one in found.items() if one.low is not None
        }
        return {
            "name": self.name,
            **{name: one.value for name, one in found.items()},
            "what": self.what,
            "refused": self.refused,
            "quality": {name: str(one.quality) for name, one in found.items()},
            "notes": {name: one.note for name, one in found.items() if one.note},
            "intervals": intervals,
        }


@dataclass(frozen=True, slots=True)
class Timed:
    """All times of a row.

    Attributes:
        at: length -> times of rounds.
        mix: times of the held-out messages, None where there are none of real mail.
    """

    at: Mapping[int, Times]
    mix: Times | None = None


def costs(
    timed: Timed,
    baseline: Timed,
    power: Power,
    lengths: Mapping[int, str],
    mix_lengths: Any = None,
) -> dict[str, Figure]:
    """Latency, rate and energy of a row, beside those of the baseline.

    Args:
        timed: the row's times.
        baseline: of the same rounds.
        power: of a core.
        lengths: length -> why there are no times of it, "" where there are.
        mix_lengths: (n,) tokens of the held-out messages.
    """
    found: dict[str, Figure] = {}
    for length, why in lengths.items():
        found |= _at(timed, baseline, length, why)
    seconds, note = _of_mix(timed, mix_lengths) or _of_length(timed)
    if seconds is None:
        return found | dict.fromkeys(("messages_per_second", "joules_per_1000"), missing(note))
    wall, cpu = seconds
    quality = Quality.ESTIMATED if timed.mix is None else Quality.MEASURED
    found["messages_per_second"] = Figure(1 / wall, quality, note)
    found["cpu_ms_message"] = Figure(1e3 * cpu, quality, note)
    work = CpuSeconds(_MESSAGES * cpu)
    low, high = power.band(work)
    told = f"{note}; {power.watts} W a busy core: {power.source}"
    found["joules_per_1000"] = Figure(
        power.energy(work).value, power.quality, told, low.value, high.value
    )
    found["times_faster"] = _faster(timed, baseline, mix_lengths)
    return found


def sizes(bytes_: int, nodes: int, nodes_run: int | None, why: str = "") -> dict[str, Figure]:
    """Bytes, executable nodes as written, and those that are left when the runtime has loaded it.

    Args:
        bytes_: of the file.
        nodes: as written.
        nodes_run: after the runtime's own optimiser, None where it refused.
        why: it refused.
    """
    run = missing(why) if nodes_run is None else Figure(nodes_run)
    return {"bytes": Figure(bytes_), "nodes": Figure(nodes), "nodes_when_run": run}


def _at(timed: Timed, baseline: Timed, length: int, why: str) -> dict[str, Figure]:
    times = timed.at.get(length)
    names = (f"ms_{length}", f"cpu_ms_{length}", f"spread_{length}_percent")
    if times is None or not len(times.wall):
        return dict.fromkeys((*names, f"times_faster_{length}"), missing(why or "not timed"))
    note = f"median of {len(times.wall)} rounds"
    spread = spread_percent(times.cpu)
    found = {
        names[0]: _median(times.wall, note),
        names[1]: _median(times.cpu, f"{note}, work of the processor"),
        names[2]: missing(note) if spread is None else Figure(spread, note="quartiles apart"),
    }
    theirs = baseline.at[length]
    found[f"times_faster_{length}"] = _ratio(ratio(theirs.cpu, times.cpu), "pairs of rounds")
    found[f"times_faster_wall_{length}"] = _ratio(ratio(theirs.wall, times.wall), "wall time")
    return found


def _of_mix(timed: Timed, lengths: Any) -> tuple[tuple[float, float] | None, str] | None:
    if timed.mix is None or lengths is None or not len(lengths):
        return None
    wall, cpu = (mean_over_lengths(part, lengths) for part in (timed.mix.wall, timed.mix.cpu))
    note = f"mean over the lengths of {len(lengths):,} messages"
    return ((wall, cpu) if min(wall, cpu) > 0 else None), note


def _of_length(timed: Timed) -> tuple[tuple[float, float] | None, str]:
    """Without mail: of the middle length, or of the longest that there is below it."""
    there = [n for n, times in timed.at.items() if len(times.wall)]
    if not there:
        return None, "not timed"
    length = max([n for n in there if n <= LENGTHS[1]], default=min(there))
    wall, cpu = (float(np.median(part)) for part in (timed.at[length].wall, timed.at[length].cpu))
    note = f"as if every message had {length} tokens; --mail CORPUS gives the lengths of real mail"
    return ((wall, cpu) if min(wall, cpu) > 0 else None), note


def _faster(timed: Timed, baseline: Timed, lengths: Any) -> Figure:
    if timed.mix is not None and baseline.mix is not None and lengths is not None:
        found = mix_ratio(baseline.mix.cpu, timed.mix.cpu, lengths)
        return _ratio(found, f"work of the processor, over {len(lengths):,} messages")
    there = [n for n, times in timed.at.items() if len(times.wall)]
    length = max([n for n in there if n <= LENGTHS[1]], default=min(there))
    found = ratio(baseline.at[length].cpu, timed.at[length].cpu)
    return _ratio(found, f"work of the processor, at {length} tokens")


def _median(seconds: Any, note: str) -> Figure:
    return Figure(1e3 * float(np.median(seconds)), note=note)


def _ratio(found: Ratio | None, note: str) -> Figure:
    if found is None:
        return missing("too short to be timed")
    return Figure(found.value, note=note, low=found.low, high=found.high)
