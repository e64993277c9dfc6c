"""Evaluation results -> one HTML file that a person can read, keep and send on.

The file asks for nothing from outside, runs no script, and says so in its content security
policy: ids come from hostile mail, so besides being escaped they could do nothing anyway.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from winnow.drawing import escape
from winnow.errors import InputError
from winnow.training.metrics import FLAG, JUNK, Scored
from winnow.training.report_plots import (
    errors_plot,
    growth_plot,
    reliability_plot,
    roc_plot,
    running_plot,
)
from winnow.training.report_tables import bins_table, figures_table, mistakes_table

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"

_TERMS = (
    ("1-ROCA", "Of all pairs of a ham and a spam, the share in which the ham has the higher "
     "probability (a tie counts half). 0 is a perfect ranking, 50 is chance."),
    ("ham at 0.50, 0.90", "Ham given that probability or more: flagged, or put into the spam "
     "folder, by the shipped rule."),
    ("spam below 0.50, 0.90", "Spam given less: delivered without a mark, or left in the inbox."),
    ("precision at 0.90", "Of everything given 0.90 or more, the share that is spam. It depends "
     "on how much of the corpus is spam."),
    ("ECE", "Expected calibration error: how far the probability given lies from the share that "
     "was spam, on average over 15 bins of equal width."),
    ("Brier", "Mean squared distance of probability and truth. 0 is best; always saying 0.5 "
     "gives 0.25."),
    ("intervals", "95% bootstrap intervals, 1,000 resamples of each class. Where no error was "
     "seen among n messages, the true share may still be as high as 3 in n."),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Result:
    """One corpus under one protocol.

    Attributes:
        figures: what `metrics.summarize` returned.
        scored: the answers, in the order in which they were given.
        curve: online only: (messages seen, errors among them), growing; else empty.
        growth: split only: (messages learnt from, errors in the same rest), growing; else empty.
    """

    figures: Mapping[str, Any]
    scored: Scored
    curve: Sequence[tuple[int, int]] = field(default=())
    growth: Sequence[tuple[int, int]] = field(default=())


def write_report(
    path: Path,
    results: Sequence[Result],
    *,
    title: str = "Winnow evaluation",
    model: str = "",
    created: str = "",
    worst: int = 10,
) -> None:
    """Write the report.

    Args:
        path: of the HTML file; an older one is replaced.
        results: in the order in which they are shown.
        title: heading of the page.
        model: name and digest of the model, if it is one.
        created: when, as text for the reader.
        worst: how many of the worst mistakes of each kind are listed.

    Raises:
        InputError: the file cannot be written.
    """
    page = render_report(results, title=title, model=model, created=created, worst=worst)
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: the report cannot be written: {error.strerror}.") from error


def render_report(
    results: Sequence[Result], *, title: str, model: str, created: str, worst: int
) -> str:
    """Return the page that `write_report` writes."""
    style = resources.files("winnow.training").joinpath("report_style.css").read_text("utf-8")
    about = " · ".join(escape(part) for part in (model, created) if part)
    sections = "".join(_section(result, f"r{n}", worst) for n, result in enumerate(results))
    terms = "".join(f"<dt>{term}</dt><dd>{meaning}</dd>" for term, meaning in _TERMS)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{style}</style></head><body>"
        f'<header><h1>{escape(title)}</h1><p class="soft">{about}</p></header><main>'
        f"{figures_table([result.figures for result in results])}{sections}"
        f"<section><h2>Terms</h2><dl>{terms}</dl></section></main></body></html>\n"
    )


def _section(result: Result, key: str, worst: int) -> str:
    figures, scored = result.figures, result.scored
    about = (
        f"{escape(figures['protocol'])}, view {escape(figures['view'])}: "
        f"{scored.ham.size:,} ham, {scored.spam.size:,} spam"
    )
    return (
        f'<section id="{key}"><h2><bdi>{escape(figures["corpus"])}</bdi></h2>'
        f'<p class="soft">{about}</p>'
        f'<div class="plots">{"".join(_plots(result, key))}</div>'
        f"{_mistakes(scored, worst)}</section>"
    )


def _plots(result: Result, key: str) -> list[str]:
    scored = result.scored
    both = bool(scored.ham.size and scored.spam.size)
    plots = []
    if both:
        note = "Read at the dotted line: spam caught when one ham in a thousand is lost."
        plots.append(_figure("ROC", roc_plot(scored, f"{key}-roc"), note))
    if scored.label.size:
        note = (
            "On the dashed line the probability is true. Whiskers: 95% (Wilson). Below, the "
            "messages of each bin; bar heights are logarithmic."
        )
        plot = reliability_plot(scored, f"{key}-reliability")
        plots.append(_figure("Reliability", plot, note, bins_table(scored)))
    if result.growth:
        note = "The same mail answered after learning from a part of the rest, and from all of it."
        plot = growth_plot(result.growth, scored.label.size, f"{key}-growth")
        plots.append(_figure("Learning curve: training mail", plot, note))
    if result.curve:
        note = "Answered first, learnt after. An error is an answer on the wrong side of 0.50."
        plots.append(
            _figure("Learning curve: errors", errors_plot(result.curve, f"{key}-errors"), note)
        )
        if both:
            note = "Of all answers up to that message, the first ones included."
            plots.append(
                _figure("Learning curve: ranking", running_plot(scored, f"{key}-running"), note)
            )
    return plots


def _figure(name: str, plot: str, note: str, more: str = "") -> str:
    return f"<figure><h3>{name}</h3>{plot}<figcaption>{note}{more}</figcaption></figure>"


def _mistakes(scored: Scored, worst: int) -> str:
    """List the ham nearest to the spam folder and the spam nearest to the inbox."""
    order = np.argsort(scored.probability, kind="stable")
    spam = [int(n) for n in order if scored.label[n]][:worst]
    ham = [int(n) for n in order[::-1] if not scored.label[n]][:worst]
    tables = ""
    if ham:
        wrong = int((scored.ham >= FLAG).sum())
        name = f"Ham with the highest probability ({wrong:,} at {FLAG:.2f} or more)"
        tables += mistakes_table(name, scored, ham)
    if spam:
        wrong = int((scored.spam < JUNK).sum())
        name = f"Spam with the lowest probability ({wrong:,} below {JUNK:.2f})"
        tables += mistakes_table(name, scored, spam)
    return f'<div class="mistakes">{tables}</div>'
