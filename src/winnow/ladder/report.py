"""A ladder -> one HTML file that a person can read, keep and send on.

It asks for nothing from outside and runs no script. It is made from what `--json` prints, so that a
report can be made again from figures that were kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from winnow.drawing import escape
from winnow.errors import InputError
from winnow.ladder.machine import in_words
from winnow.ladder.pictures import bars_plot, latency_plot, peers_plot, worth_plot

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_STYLE = """
.b32 { fill: var(--fill); } .b128 { fill: var(--curve); } .b256 { fill: var(--soft); }
td.refused { color: var(--soft); white-space: normal; text-align: left; }
"""
_COSTS = (
    ("bytes", "bytes", 0),
    ("nodes", "nodes", 0),
    ("when run", "nodes_when_run", 0),
    ("round trips", "round_trips", 0),
    ("ms at 32", "ms_32", 2),
    ("ms at 128", "ms_128", 2),
    ("ms at 256", "ms_256", 2),
    ("messages a second", "messages_per_second", 0),
    ("times faster", "times_faster", 2),
    ("J per 1,000", "joules_per_1000", 1),
)
_WORTH = (
    ("right, %", "accuracy_percent", 2),
    ("points lost", "accuracy_loss_points", 2),
    ("(1-ROCA) %", "one_minus_roca_percent", 3),
    ("ECE, %", "ece_percent", 2),
    ("reader alone: right, %", "reader_accuracy_percent", 2),
    ("its (1-ROCA) %", "reader_one_minus_roca_percent", 3),
    ("its ECE, %", "reader_ece_percent", 2),
    ("largest difference", "max_abs_error", -1),
    ("mean difference", "mean_abs_error", -1),
)
_PEERS = (*_COSTS[4:7], *_COSTS[8:], _WORTH[-2])
_TERMS = (
    ("baseline", "The model's graph in 32-bit floats, as ONNX Runtime runs it without this."),
    ("nodes", "What a runtime executes, as the file is written; “when run”: as ONNX Runtime's own "
     "optimiser leaves it on this processor."),
    ("round trips", "Calls of the runtime for one message, and copies between devices."),
    ("ms", "Median time of one message, one thread, nothing else in the batch. Rounds are "
     "interleaved: in each, every row answers the same message, in random order."),
    ("times faster", "The baseline's work of the processor divided by this one's, pair by pair; "
     "the interval is 95%, by ranks, and assumes no form of noise."),
    ("J per 1,000", "Energy of a thousand messages: an estimate, the processor's time by the watts "
     "of a busy core; the band is what such a core may draw."),
    ("right, points lost", "Messages on the right side of 0.50 by the whole model, and how many "
     "points that is below the baseline on the same messages."),
    ("largest difference", "Of log-odds from the baseline's, message by message."),
)  # fmt: skip


def write_report(path: Path, found: Mapping[str, Any], *, created: str = "") -> None:
    """Write the report; an older one is replaced.

    Args:
        path: of the HTML file.
        found: what `winnow ladder --json` prints.
        created: when, as text for the reader.

    Raises:
        InputError: the file cannot be written.
    """
    try:
        path.write_text(render_report(found, created=created), encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: the report cannot be written: {error.strerror}.") from error


def render_report(found: Mapping[str, Any], *, created: str) -> str:
    """Return the page that `write_report` writes."""
    style = resources.files("winnow.training").joinpath("report_style.css").read_text("utf-8")
    rungs, peers = found["rungs"], found["peers"]
    title = f"Ladder of {found['model']}"
    about = " · ".join(
        escape(part)
        for part in (
            f"baseline: {rungs[0]['what']}",
            f"compared on {found['held_out']['about']}",
            in_words(found["machine"]),
            created,
        )
        if part
    )
    terms = "".join(f"<dt>{term}</dt><dd>{meaning}</dd>" for term, meaning in _TERMS)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{style}{_STYLE}</style></head><body>"
        f'<header><h1>{escape(title)}</h1><p class="soft">{about}</p></header><main>'
        f"{_table(rungs, _COSTS, 'Rungs, each made of the one before: what they cost')}"
        f"{_table(rungs, _WORTH, 'What they are worth')}"
        f'<section><h2>Pictures</h2><div class="plots">{_plots(rungs, peers)}</div></section>'
        f"{_peers(rungs, peers)}{_reasons(rungs, peers)}"
        f"<section><h2>Terms</h2><dl>{terms}</dl></section></main></body></html>\n"
    )


def _plots(rungs: Sequence[Mapping[str, Any]], peers: Sequence[Mapping[str, Any]]) -> str:
    plots = (
        ("Size", bars_plot(rungs, "bytes", "bytes", "Size", "MB"), "The file as it ships."),
        ("Latency", latency_plot(rungs, "latency"), "Medians of interleaved rounds."),
        (
            "Energy", bars_plot(rungs, "joules_per_1000", "joules", "Energy", "J per 1,000"),
            "Estimated: the processor's time by the watts of a busy core.",
        ),
        ("Accuracy against cost", worth_plot(rungs, "worth"), "Whiskers: 95% (bootstrap)."),
    )  # fmt: skip
    return "".join(
        f"<figure><h3>{name}</h3>{plot}<figcaption>{note}</figcaption></figure>"
        for name, plot, note in plots
        if plot
    )


def _peers(rungs: Sequence[Mapping[str, Any]], peers: Sequence[Mapping[str, Any]]) -> str:
    if not peers:
        return ""
    plot = peers_plot(rungs, peers, "peers")
    figure = f'<div class="plots"><figure>{plot}</figure></div>' if plot else ""
    shown = _table(peers, _PEERS, "The baseline's graph in other programs, one thread")
    return f"<section><h2>Beside others</h2>{figure}{shown}</section>"


def _table(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[tuple[str, str, int]], caption: str
) -> str:
    heads = "".join(f'<th scope="col" class="number">{name}</th>' for name, _, _ in columns)
    body = "".join(_row(row, columns) for row in rows)
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{caption}">'
        f'<table><caption>{caption}</caption><thead><tr><th scope="col"></th>{heads}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _row(row: Mapping[str, Any], columns: Sequence[tuple[str, str, int]]) -> str:
    what = f"<small>{escape(row['what'])}</small>" if row["what"] else ""
    head = f'<th scope="row">{escape(row["name"])}{what}</th>'
    if row["refused"] and all(row.get(name) is None for _, name, _ in columns):
        why = escape(row["refused"])
        return f'<tr>{head}<td class="refused" colspan="{len(columns)}">{why}</td></tr>'
    return f"<tr>{head}{''.join(_cell(row, name, digits) for _, name, digits in columns)}</tr>"


def _cell(row: Mapping[str, Any], name: str, digits: int) -> str:
    value = row.get(name)
    if value is None:
        why = escape(row["notes"].get(name, row["refused"] or "not measured"))
        return f'<td class="number"><span title="{why}">&ndash;</span></td>'
    shown = f"{value:,.{digits}f}" if digits >= 0 else f"{value:.1e}" if value else "0"
    bounds = row["intervals"].get(name)
    notes = ""
    if bounds and digits >= 0:
        between = "&ndash;" if bounds[0] >= 0 else " to "
        notes = f"<small>{bounds[0]:.{digits}f}{between}{bounds[1]:.{digits}f}</small>"
    if row["quality"].get(name) == "estimated":
        notes += "<small>estimated</small>"
    return f'<td class="number">{shown}{notes}</td>'


def _reasons(rungs: Sequence[Mapping[str, Any]], peers: Sequence[Mapping[str, Any]]) -> str:
    """What is missing, and why; each reason once, with the figures that it is of."""
    told: dict[str, dict[str, None]] = {}
    for row in (*rungs, *peers):
        if row["refused"]:
            told.setdefault(row["refused"], {})[row["name"]] = None
    for row in rungs:
        for title, name, _ in () if row["refused"] else (*_COSTS, *_WORTH):
            if row.get(name) is None:
                told.setdefault(row["notes"].get(name, "not measured"), {})[title] = None
    if not told:
        return ""
    items = "".join(
        f"<li>{escape('; '.join(names))}: {escape(reason)}</li>" for reason, names in told.items()
    )
    return f"<section><h2>What is missing, and why</h2><ul>{items}</ul></section>"
