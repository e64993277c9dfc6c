"""What pruning costs the shipped reader, by what is done about it: docs/how-to/prune.md.

    python scripts/prune_figures.py --corpora DIR

Fitted on mail that the reader learnt from, without labels; trained again on the same mail; judged
on mail of the same sources that it did not learn from, and on phishing of a source that nothing is
trained on. Rows that are done are kept in build/prune; a run that was stopped goes on.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import make_model
import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from winnow.compiler.graph import serialised
from winnow.compiler.inputs import Feeds, as_feeds
from winnow.compiler.prune import Plan, cut
from winnow.compiler.prune_fit import refitted
from winnow.compiler.prune_scores import (
    Ranking,
    by_activation,
    by_moments,
    by_weights,
    moments_of,
)
from winnow.compiler.prune_search import multiply_adds, searched, widths_of
from winnow.compiler.prune_sensitivity import kept, sensitivity
from winnow.features import Tokenizer
from winnow.pipeline import SHIPPED_MODEL
from winnow.recipe_compile import run_graph
from winnow.recipe_look import Look, look
from winnow.recipe_prune import times_faster
from winnow.recipe_reader import Mail, gather_texts
from winnow.recipe_recover import Recovery
from winnow.runtime.session import Session
from winnow.training.metrics import Scored, summarize

FITTED, MEASURED, JUDGED = 800, 200, 1_500
_FIGURES = ("accuracy_percent", "ece_percent", "one_minus_roca_percent")
_SHOWN = (*_FIGURES, "phishing_missed_percent", "moved")


@dataclass(frozen=True)
class Bench:
    """The shipped reader and the mail that it is judged on.

    Attributes:
        whole: looked into by its weights alone.
        learnt: mail that it learnt from.
        fitted, measured, judged, phishing: inputs.
        spam: labels of those that are judged.
        before: what the whole reader says of them.
        place: folder of rows that are done.
    """

    whole: Look
    learnt: Mail
    fitted: list[Feeds]
    measured: list[Feeds]
    judged: list[Feeds]
    phishing: list[Feeds]
    spam: NDArray[np.bool_]
    before: NDArray[np.float64]
    place: Path

    def row(self, name: str, make: Callable[[], tuple[ir.Model, dict[str, Any]]]) -> ir.Model:
        """Print one row; its graph is made in any case, since others need it."""
        start = time.process_time()
        graph, more = make()
        spent = time.process_time() - start
        kept_at = self.place / f"{name.replace(' ', '-').replace('%', '')}.json"
        if kept_at.exists():
            found = json.loads(kept_at.read_text())
        else:
            log_odds, phishing = (answers(graph, some) for some in (self.judged, self.phishing))
            found = figures(log_odds, self.spam) | {
                "phishing_missed_percent": 100 * float((phishing < 0).mean()),
                "moved": float(np.abs(log_odds - self.before).mean()),
                "cpu_seconds": round(spent, 1),
            }
            found |= more
            kept_at.write_text(json.dumps(found))
        shown = " | ".join(f"{found[figure]:.2f}" for figure in _SHOWN)
        rest = " ".join(f"{key}={value}" for key, value in found.items() if key not in _SHOWN)
        print(f"| {name} | {shown} |  {rest}", flush=True)
        return graph


def answers(graph: ir.Model, feeds: list[Feeds]) -> NDArray[np.float64]:
    """Log-odds, as fast as the runtime can."""
    session = Session(serialised(graph))
    return np.array([session.run(one, ["log_odds"])[0][0] for one in feeds], np.float64)


def figures(log_odds: NDArray[np.float64], spam: NDArray[np.bool_]) -> dict[str, Any]:
    """Of the reader alone."""
    scored = Scored(1 / (1 + np.exp(-log_odds)), spam, tuple(map(str, range(len(spam)))))
    told = summarize(scored, corpus="judged", protocol="prune", view="")
    return {name: told[name] for name in _FIGURES}


def main() -> None:
    """Measure each way at 30% and 50%, and of searched widths."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpora", type=Path, default=make_model.ROOT / "../shared/corpora")
    parser.add_argument("--place", type=Path, default=make_model.ROOT / "build/prune")
    args = parser.parse_args()
    args.place.mkdir(parents=True, exist_ok=True)
    bench = _bench(args.corpora, args.place)
    whole, anatomy = bench.whole.graph, bench.whole.anatomy
    bench.row("whole", lambda: (whole, {}))
    moments = moments_of(whole, anatomy, run_graph, bench.fitted)
    recovery = Recovery(bench.learnt)
    assert bench.whole.tokenizer is not None
    rankings = {
        "weights": by_weights(whole, anatomy),
        "activation": by_activation(whole, anatomy, moments),
        "first order": recovery.ranking(whole, bench.whole.tokenizer),
        "reconstruction": by_moments(whole, anatomy, moments),
    }
    for share in (0.3, 0.5):
        for how, ranking in rankings.items():
            again = recovery if how == "reconstruction" else None
            fit = how in ("weights", "reconstruction")
            _ways(bench, f"{share:.0%} {how}", _even(bench, ranking, share), again, fit=fit)
    best = rankings["reconstruction"]
    effects = sensitivity(whole, anatomy, best, moments, run_graph, bench.measured)
    tokens = bench.whole.tokens
    for times in (2.0, 3.0):
        budget = multiply_adds(anatomy, widths_of(anatomy), tokens) / times
        widths = searched(anatomy, effects, tokens, budget)
        print(f"searched for 1/{times:g} of the multiply-adds at {tokens} tokens: {widths}")
        parts = [
            None if one is None else kept(best, number, one.heads, one.neurons)
            for number, one in enumerate(widths)
        ]
        _ways(bench, f"searched {times:g}x", Plan(tuple(parts)), recovery)


def _ways(
    bench: Bench, name: str, plan: Plan, recovery: Recovery | None, *, fit: bool = True
) -> None:
    """Cut; cut and fitted; and trained again."""
    whole, tokenizer = bench.whole.graph, bench.whole.tokenizer
    tokens = bench.whole.tokens
    graph = bench.row(name, lambda: (cut(whole, plan), {}))
    if not fit:
        return
    pairs = [(one, one) for one in bench.fitted]

    def fitting() -> tuple[ir.Model, dict[str, Any]]:
        found = refitted(whole, graph, plan, run_graph, pairs)
        return found, {"times_faster": round(times_faster(whole, found, tokens), 2)}

    fitted = bench.row(f"{name} fitted", fitting)
    if recovery is not None:
        assert tokenizer is not None
        bench.row(f"{name} recovered", lambda: (recovery(bench.whole, fitted, plan, tokenizer), {}))


def _even(bench: Bench, ranking: Ranking, share: float) -> Plan:
    widths = widths_of(bench.whole.anatomy)
    return Plan(
        tuple(
            kept(
                ranking,
                n,
                one.heads - int(share * one.heads),
                one.neurons - int(share * one.neurons),
            )
            for n, one in enumerate(widths)
        )
    )


def _bench(corpora: Path, place: Path) -> Bench:
    whole = look(SHIPPED_MODEL, [])
    tokenizer = whole.tokenizer
    assert isinstance(tokenizer, Tokenizer)
    mail = gather_texts(list(make_model.sources(corpora)))
    dataset = mail.dataset
    rows = np.array(make_model._kept(dataset))
    barred = dataset.names.index(make_model.VALIDATION)
    learnt = rows[dataset.sources[rows] != barred]
    chance = np.random.default_rng(0)
    unseen = chance.permutation(np.setdiff1d(np.arange(len(dataset)), rows))
    judged = np.concatenate(
        [unseen[dataset.sources[unseen] == source][:JUDGED] for source in range(len(dataset.names))]
    )
    # Evenly by source, as the reader learnt.
    order = chance.permutation(learnt)
    each = [order[dataset.sources[order] == k] for k in range(len(dataset.names))]
    fitted = np.concatenate([some[: (FITTED + MEASURED) // len(each) + 40] for some in each])
    fitted = chance.permutation(fitted)[: FITTED + MEASURED]

    def inputs(members: NDArray[np.int64]) -> list[Feeds]:
        tokens = [tokenizer.assemble(mail.texts[row]) for row in members.tolist()]
        return [as_feeds(whole.graph, one.ids, one.fields) for one in tokens]

    names = {dataset.names[k]: int((dataset.sources[judged] == k).sum()) for k in range(len(each))}
    print(f"judged on {len(judged):,} messages: { {n: c for n, c in names.items() if c} }")
    all_inputs = inputs(fitted)
    kept_mail = replace(
        mail,
        gathered=replace(mail.gathered, dataset=dataset.subset(learnt.tolist())),
        texts=[mail.texts[row] for row in learnt.tolist()],
        variants=[mail.variants[row] for row in learnt.tolist()],
        openings=None,
    )
    whole = replace(whole, measured=tuple(all_inputs[FITTED:]))
    judged_inputs = inputs(judged)
    return Bench(
        whole, kept_mail, all_inputs[:FITTED], all_inputs[FITTED:], judged_inputs,
        inputs(np.flatnonzero(dataset.sources == barred)), dataset.spam[judged],
        answers(whole.graph, judged_inputs), place,
    )  # fmt: skip


if __name__ == "__main__":
    main()
