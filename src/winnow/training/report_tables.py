"""The tables of a report: figures with intervals, bins of the reliability plot, worst mistakes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from winnow.drawing import escape
from winnow.training.metrics import CALIBRATION_BINS, FLAG, JUNK, Scored, calibration_bins


@dataclass(frozen=True, slots=True)
class _Column:
    """A figure of the table.

    Attributes:
        title: words above it, as HTML.
        unit: "%" or "".
        figure: its key.
        digits: after the point.
        count: key of its count, or "".
        whole: key of what it is counted of.
    """

    title: str
    unit: str
    figure: str
    digits: int
    count: str = ""
    whole: str = ""


_COLUMNS = (
    _Column("1-ROCA", "%", "one_minus_roca_percent", 3),
    _Column("accuracy", "%", "accuracy_percent", 2),
    _Column("ham at<br>0.50", "%", "ham_at_0.5_percent", 2, "ham_at_0.5_count", "n_ham"),
    _Column("ham at<br>0.90", "%", "ham_at_0.9_percent", 2, "ham_at_0.9_count", "n_ham"),
    _Column(
        "spam below<br>0.50", "%", "spam_missed_at_0.5_percent", 2,
        "spam_missed_at_0.5_count", "n_spam",
    ),
    _Column(
        "spam below<br>0.90", "%", "spam_missed_at_0.9_percent", 2,
        "spam_missed_at_0.9_count", "n_spam",
    ),
    _Column("precision at<br>0.90", "%", "precision_at_0.9_percent", 2),
    _Column("ECE", "%", "ece_percent", 2),
    _Column("Brier", "", "brier", 4),
)  # fmt: skip


def figures_table(all_figures: Sequence[Mapping[str, Any]]) -> str:
    """Return one row for each result; each figure above its interval, counts where there are."""
    heads = "".join(
        f'<th scope="col" class="number">{column.title}<small>{column.unit or "0..1"}</small></th>'
        for column in _COLUMNS
    )
    rows = "".join(_row(figures, n) for n, figures in enumerate(all_figures))
    return (
        '<div class="scroll" tabindex="0" role="region" aria-label="Figures">'
        "<table><caption>Figures with their 95% intervals</caption>"
        f'<thead><tr><th scope="col"></th>{heads}</tr></thead><tbody>{rows}</tbody></table></div>'
    )


def _row(figures: Mapping[str, Any], number: int) -> str:
    cells = "".join(_cell(figures, column) for column in _COLUMNS)
    name = escape(figures["corpus"]).replace("_", "_<wbr>")
    return (
        f'<tr><th scope="row"><a href="#r{number}"><bdi>{name}</bdi></a>'
        f"<small>{escape(figures['protocol'])}, {escape(figures['view'])}</small>"
        f"<small>{figures['n_ham']:,} ham, {figures['n_spam']:,} spam</small></th>{cells}</tr>"
    )


def _cell(figures: Mapping[str, Any], column: _Column) -> str:
    value = figures[column.figure]
    if value is None:
        return '<td class="number"><span title="not defined here">&ndash;</span></td>'
    digits = column.digits
    low, high = figures[f"{column.figure}_low"], figures[f"{column.figure}_high"]
    notes = f"<small>{low:.{digits}f}&ndash;{high:.{digits}f}</small>"
    if column.count:
        notes += f"<small>{figures[column.count]:,} of {figures[column.whole]:,}</small>"
    return f'<td class="number">{value:.{digits}f}{notes}</td>'


def bins_table(scored: Scored) -> str:
    """Return the numbers behind the reliability plot, folded away."""
    rows = "".join(
        f'<tr><td class="number">{n / CALIBRATION_BINS:.2f}&ndash;'
        f"{(n + 1) / CALIBRATION_BINS:.2f}</td>"
        f'<td class="number">{found.count:,}</td><td class="number">{found.mean:.3f}</td>'
        f'<td class="number">{100 * found.spam / found.count:.1f}</td></tr>'
        for n, found in enumerate(calibration_bins(scored))
        if found.count
    )
    heads = "".join(
        f'<th scope="col" class="number">{name}</th>'
        for name in ("probability", "messages", "mean given", "spam, %")
    )
    return (
        f"<details><summary>The numbers</summary><table><thead><tr>{heads}</tr></thead>"
        f"<tbody>{rows}</tbody></table></details>"
    )


def mistakes_table(name: str, scored: Scored, places: Sequence[int]) -> str:
    """Return one row for each message: probability, what the shipped rule does, label, id."""
    rows = "".join(_mistake(scored, place) for place in places)
    heads = "".join(
        f'<th scope="col"{css}>{head}</th>'
        for head, css in (
            ("probability", ' class="number"'), ("answer", ""), ("label", ' class="label"'),
            ("message", ""),
        )
    )  # fmt: skip
    return (
        f"<div><h3>{name}</h3><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"
        "</div>"
    )


def _mistake(scored: Scored, place: int) -> str:
    probability, spam = float(scored.probability[place]), bool(scored.label[place])
    answer = "junk" if probability >= JUNK else "flag" if probability >= FLAG else "deliver"
    wrong = ' class="wrong"' if (probability >= FLAG) != spam else ""
    label = "spam" if spam else "ham"
    return (
        f'<tr><td class="number">{probability:.4f}</td><td{wrong}>{answer}</td>'
        f'<td class="label {label}">{label}</td>'
        f'<td class="id"><bdi>{escape(scored.ids[place])}</bdi></td></tr>'
    )
