"""What each device that is here would do with a graph: nodes, round trips, time, difference."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winnow.errors import ArtifactError, DeviceError
from winnow.runtime.devices import CPU, DEVICES, SAME_ANSWER, Device, load, otherwise, way_to
from winnow.runtime.placement import Placement, place
from winnow.runtime.providers import Feeds, Loaded, reason_of

# Runs of each device and length: a median of fewer is no figure, and a large model shall not take
# minutes.
_ROUNDS, _LEAST_ROUNDS, _SECONDS = 31, 3, 5.0
_WARM_UP = 2


@dataclass(frozen=True, slots=True)
class Time:
    """Medians of an answer, in milliseconds.

    Attributes:
        cpu: of all threads of this process.
        wall: until the answer was there.
    """

    cpu: float
    wall: float


@dataclass(frozen=True, slots=True)
class Row:
    """A device.

    Attributes:
        device: its name.
        provider: ONNX Runtime's name.
        here: the way to it, "" where there is none.
        missing: why there is none, or none better.
        needs: what brings it.
        fault: why `--device` refuses it for the graph; "" when it does not, or without a graph.
        placement: of the graph's nodes.
        times: by number of tokens.
        differences: largest difference from the processor's answers, by output.
    """

    device: str
    provider: str
    here: str
    missing: str
    needs: str
    fault: str = ""
    placement: Placement | None = None
    times: Mapping[int, Time] = field(default_factory=dict)
    differences: Mapping[str, float] = field(default_factory=dict)


def listed(table: Sequence[Device] = DEVICES) -> list[Row]:
    """The devices, and which of them are here."""
    rows = []
    for device in table:
        way, missing = way_to(device)
        here = "" if way is None else way.label
        rows.append(Row(device.name, device.provider, here, missing, device.needs))
    return rows


def survey(
    graph: bytes,
    what: str,
    feeds: Mapping[int, Feeds],
    *,
    probes: Sequence[Feeds] = (),
    table: Sequence[Device] = DEVICES,
    rounds: int = _ROUNDS,
) -> list[Row]:
    """Try a graph on every device that is here.

    Args:
        graph: bytes of an ONNX file.
        what: it is, for faults.
        feeds: an input for each number of tokens, to be timed with.
        probes: inputs to compare answers on, in this order; () is `feeds`.
        table: the devices, the processor among them.
        rounds: runs of which each figure is a median.
    """
    tried = (*feeds.values(), *probes)
    loaded, faults, placements = _opened(graph, what, tried, table)
    times = {tokens: _times(loaded, feed, rounds) for tokens, feed in feeds.items()}
    rows = []
    for row in listed(table):
        far = _differences(loaded, row.device, probes or tried)
        rows.append(
            replace(
                row,
                fault=faults.get(row.device, "") or _fault(row.device, what, far),
                placement=placements.get(row.device),
                times={n: all_[row.device] for n, all_ in times.items() if row.device in all_},
                differences=far,
            )
        )
    return rows


def _opened(
    graph: bytes, what: str, tried: Sequence[Feeds], table: Sequence[Device]
) -> tuple[dict[str, Loaded], dict[str, str], dict[str, Placement]]:
    """The devices that take the graph and run it, why others do not, and where nodes go."""
    loaded: dict[str, Loaded] = {}
    faults: dict[str, str] = {}
    placements: dict[str, Placement] = {}
    nodes = 0
    names = [row.device for row in listed(table) if row.here]
    for name in sorted(names, key=lambda each: each != CPU):  # it says how many nodes there are
        try:
            one = load(graph, name, what, table=table)
            for _ in range(_WARM_UP):
                for feed in tried:
                    one.run(None, feed)
            loading = partial(_profiled, graph, what, name, table)
            placements[name] = place(loading, tried[0], nodes)
        except (DeviceError, ArtifactError) as error:
            faults[name] = str(error)
        except Exception as error:  # of a runtime that took the graph and cannot run it
            faults[name] = f"{name} failed: {reason_of(error)}."
        else:
            loaded[name], nodes = one, nodes or placements[name].nodes
    return loaded, faults, placements


def _fault(device: str, what: str, differences: Mapping[str, float]) -> str:
    """What `load` says where a device answers otherwise, of the first output."""
    far = next(iter(differences.values()), 0.0)
    return "" if far <= SAME_ANSWER else otherwise(device, what, far)


def _times(loaded: Mapping[str, Loaded], feed: Feeds, rounds: int) -> dict[str, Time]:
    """Medians of runs in turns, so that what else the machine does meets all devices alike."""
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in loaded}
    until = time.perf_counter() + _SECONDS
    for done in range(rounds):
        if done >= _LEAST_ROUNDS and time.perf_counter() > until:
            break
        for name, each in loaded.items():
            cpu, wall = time.process_time(), time.perf_counter()
            each.run(None, feed)
            spent[name].append((time.process_time() - cpu, time.perf_counter() - wall))
    return {
        name: Time(1e3 * median(cpu for cpu, _ in all_), 1e3 * median(wall for _, wall in all_))
        for name, all_ in spent.items()
    }


def _profiled(graph: bytes, what: str, name: str, table: Sequence[Device], profile: str) -> Loaded:
    return load(graph, name, what, profile=profile, table=table)


def _differences(
    loaded: Mapping[str, Loaded], name: str, probes: Sequence[Feeds]
) -> dict[str, float]:
    """Largest difference from the processor, by output; nothing where there is no processor."""
    if name == CPU or not {name, CPU} <= loaded.keys():
        return {}
    found: dict[str, float] = {}
    for feed in probes:
        for output, theirs, ours in _both(loaded[name], loaded[CPU], feed):
            far = float(np.abs(theirs.astype(np.float64) - ours).max()) if ours.size else 0.0
            found[output] = max(found.get(output, 0.0), far if np.isfinite(far) else np.inf)
    return found


def _both(
    one: Loaded, other: Loaded, feed: Feeds
) -> Iterator[tuple[str, NDArray[Any], NDArray[Any]]]:
    names = [name for name in other.outputs if name in one.outputs]
    for name, theirs, ours in zip(names, one.run(names, feed), other.run(names, feed), strict=True):
        if ours.dtype.kind in "fiu":
            yield name, theirs, ours
