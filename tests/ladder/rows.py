"""Rows as `winnow ladder --json` prints them, with figures of our own."""

from __future__ import annotations

from typing import Any

from winnow.accounting import Quality
from winnow.ladder.quality import Figure, missing
from winnow.ladder.rung import Rung


def rung(name: str, ms: float, *, mail: bool = True, what: str = "") -> dict[str, Any]:
    """A row whose figures follow from its time.

    Args:
        name: of the row.
        ms: of a message of 128 tokens.
        mail: whether there was labelled mail.
        what: it is.
    """
    figures = {
        "bytes": Figure(1_000_000 * ms),
        "nodes": Figure(98),
        "ms_32": Figure(ms / 4),
        "ms_128": Figure(ms),
        "ms_256": missing("the model takes 128 tokens at most"),
        "cpu_ms_message": Figure(ms / 2),
        "messages_per_second": Figure(1e3 / ms, Quality.ESTIMATED, "at 128 tokens"),
        "times_faster": Figure(12 / ms, low=11 / ms, high=13 / ms),
        "joules_per_1000": Figure(2 * ms, Quality.ESTIMATED, low=ms, high=9 * ms),
        "max_abs_error": Figure(0.01 / ms),
    }
    if mail:
        figures["accuracy_percent"] = Figure(98 - 1 / ms, low=97 - 1 / ms, high=99.0)
    return Rung(name, what, figures).to_json()


def refused(name: str, why: str) -> dict[str, Any]:
    """A row without figures."""
    return Rung(name, "", refused=why).to_json()


def found(*, mail: bool = True, peers: bool = True, name: str = "a@1") -> dict[str, Any]:
    """A whole ladder.

    Args:
        mail: whether there was labelled mail.
        peers: whether there were peers.
        name: of the model, which may come from a hostile folder.
    """
    rungs = [rung("baseline", 12.0, mail=mail, what="32-bit floats")]
    rungs += [rung(n, ms, mail=mail) for n, ms in (("folded", 11.9), ("quantized", 5.0))]
    rungs.append(refused("fused", "it moved an output by 0.1"))
    others = [rung("openvino", 11.0), refused("torch", "PyTorch is not installed")]
    return {
        "rungs": rungs,
        "peers": others if peers else [],
        "model": name,
        "held_out": {"about": "1,000 messages of mine"},
        "machine": {"processor": "A processor", "integer_products": True},
    }
