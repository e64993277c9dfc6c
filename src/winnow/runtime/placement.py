"""Where the nodes of a graph go on a device, by ONNX Runtime's own record of one run."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from winnow.runtime.providers import CPU_PROVIDER, Feeds, Loaded

# Kernels that only copy from one memory to another; they are no nodes of the graph.
_COPIES = ("MemcpyFromHost", "MemcpyToHost")


@dataclass(frozen=True, slots=True)
class Placement:
    """What a device takes of a graph.

    Attributes:
        nodes: of the graph that it takes, once constants are folded.
        left: nodes that stay on the processor.
        round_trips: how often a message goes over to the device and comes back; each is a wait for
            the other side. 0 where the device is the processor.
    """

    nodes: int
    left: int
    round_trips: int


def place(load: Callable[[str], Loaded], feeds: Feeds, nodes: int) -> Placement:
    """Run a graph once and see where its nodes ran; raises what the runtime does.

    Args:
        load: loads the graph with a profile whose path begins so.
        feeds: an input.
        nodes: of the graph, for a runtime that takes all or nothing and keeps no record.
    """
    with tempfile.TemporaryDirectory() as folder:
        loaded = load(str(Path(folder) / "profile"))
        if loaded.session is None:
            return Placement(nodes, 0, 1)
        loaded.run(None, feeds)
        events = json.loads(Path(loaded.session.end_profiling()).read_text("utf-8"))
        return placement(loaded.provider, kernels(events), assigned(loaded.session))


def kernels(events: Iterable[Mapping[str, Any]]) -> list[str]:
    """Providers of what ran, in the order in which it began.

    Args:
        events: of ONNX Runtime's profile.
    """
    ran = [
        event
        for event in events
        if event.get("cat") == "Node"
        and str(event.get("name", "")).endswith("_kernel_time")
        and event["args"].get("op_name") not in _COPIES
    ]
    return [str(event["args"]["provider"]) for event in sorted(ran, key=lambda e: float(e["ts"]))]


def assigned(session: Any) -> Counter[str]:
    """Nodes by provider; empty where this version of ONNX Runtime does not tell."""
    if not hasattr(session, "get_provider_graph_assignment_info"):
        return Counter()
    found: Counter[str] = Counter()
    for part in session.get_provider_graph_assignment_info():
        found[part.ep_name] += len(part.get_nodes())
    return found


def placement(provider: str, ran: Sequence[str], given: Mapping[str, int]) -> Placement:
    """Count.

    Args:
        provider: of the device.
        ran: providers of the kernels, in order.
        given: nodes by provider; where empty, each kernel counts as a node.
    """
    by_provider = given or Counter(ran)
    mine = by_provider.get(provider, 0)
    left = sum(by_provider.values()) - mine
    if provider == CPU_PROVIDER:
        return Placement(mine, left, 0)
    return Placement(mine, left, sum(name == provider for name, _ in groupby(ran)))
