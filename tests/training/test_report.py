from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from tests.training.test_metrics import HAND, scored
from winnow.errors import InputError
from winnow.training.metrics import Scored, summarize
from winnow.training.report import Result, write_report

VOID = {"meta", "wbr", "br"}
HOSTILE = (
    '"><script>alert(1)</script>',
    "a\u202egnp.exe",
    "\udcff\x1b[2J",
    "x" * 5000,
    "&amp;",
    "'",
)


def result(
    data: Scored, corpus: str = "demo", curve: list[tuple[int, int]] | None = None
) -> Result:
    return Result(summarize(data, corpus=corpus, protocol="split", view="both"), data, curve or [])


def written(tmp_path: Path, *results: Result, worst: int = 10) -> str:
    path = tmp_path / "report.html"
    write_report(path, results, title="T & T", model="default@1a2b3c4d", created="now", worst=worst)
    return path.read_text("utf-8")


class Checker(HTMLParser):
    """Every element is closed in order; elements and ids are remembered."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remember an element and that it is open."""
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remember an element without content."""
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        """Require that the innermost element is the one that ends."""
        assert self.open.pop() == tag


def checked(page: str) -> Checker:
    checker = Checker()
    checker.feed(page)
    checker.close()
    assert checker.open == []
    return checker


def test_page_is_whole_and_asks_for_nothing(tmp_path: Path) -> None:
    """It opens on a machine without network, and tells nobody that it was opened."""
    page = written(tmp_path, result(HAND, curve=[(5, 1), (9, 3)]))
    checker = checked(page)
    tags = {tag for tag, _ in checker.seen}
    assert not tags & {"script", "img", "link", "iframe", "object", "embed", "form", "image", "use"}
    attributes = {name for _, attrs in checker.seen for name in attrs}
    assert not any(name.startswith("on") or name in {"src", "srcset"} for name in attributes)
    assert all(a["href"][0] == "#" for t, a in checker.seen if t == "a" and a["href"])
    assert "http" not in re.sub('http-equiv="', "", page)
    assert "url(" not in page
    assert "@import" not in page
    assert "default-src 'none'" in page


def test_all_figures_are_printed(tmp_path: Path) -> None:
    """On paper nobody can scroll: the table of figures is not cut at the edge there."""
    page = written(tmp_path, result(HAND))
    paper = page[page.index("@media print") : page.index("</style>")]
    assert ".scroll { overflow: visible; }" in paper
    assert ".scroll table { font-size: 0.62rem; }" in paper


def test_every_reference_has_its_target_once(tmp_path: Path) -> None:
    """Links and labels of images lead somewhere, also with the same corpus twice."""
    page = written(tmp_path, result(HAND), result(HAND))
    checker = checked(page)
    ids = [attrs["id"] for _, attrs in checker.seen if "id" in attrs]
    assert len(ids) == len(set(ids))
    wanted = [a["href"][1:] for t, a in checker.seen if t == "a" and a["href"]]
    wanted += [i for _, a in checker.seen for i in (a.get("aria-labelledby") or "").split()]
    assert set(wanted) <= set(ids)
    assert {"r0", "r1"} <= set(wanted)


def test_it_shows_plots_tables_and_who_made_it(tmp_path: Path) -> None:
    """ROC, reliability, both learning curves, figures, mistakes, model and time."""
    page = written(tmp_path, result(HAND, curve=[(5, 1), (9, 3)]))
    plots = ("ROC curve", "Reliability", "Errors so far", "1-ROCA so far")
    for piece in ("T &amp; T", "default@1a2b3c4d", "now", "Figures with their 95%", *plots):
        assert piece in page
    assert page.count("<svg") == 4
    assert "prefers-color-scheme: dark" in page
    assert "width=device-width" in page


def test_worst_mistakes_are_the_worst(tmp_path: Path) -> None:
    """The ham with the highest and the spam with the lowest probability, worst first."""
    rng = np.random.default_rng(0)
    probability = rng.permutation(np.linspace(0.001, 0.999, 100))
    label = np.array([False, True] * 50)
    ids = tuple(f"m{n:02}" for n in range(100))
    page = written(tmp_path, result(Scored(probability, label, ids)), worst=3)
    order = np.argsort(probability)
    ham = [ids[n] for n in order[::-1] if not label[n]][:3]
    spam = [ids[n] for n in order if label[n]][:3]
    assert re.findall(r'<td class="id"><bdi>(m\d\d)</bdi>', page) == ham + spam
    assert f"({(probability[~label] >= 0.5).sum()} at 0.50 or more)" in page
    assert f"({(probability[label] < 0.9).sum()} below 0.90)" in page


def test_hostile_ids_do_nothing(tmp_path: Path) -> None:
    """Ids come from spammers: no markup, no reversed text, no broken file, no endless line."""
    data = Scored(np.linspace(0, 1, 6), np.array([True, False] * 3), HOSTILE)
    page = written(tmp_path, result(data, corpus=HOSTILE[0]))
    checked(page)
    assert "<script" not in page
    assert "\u202e" not in page
    assert "\x1b" not in page
    assert "x" * 200 not in page
    assert "&lt;script&gt;" in page


@pytest.mark.parametrize(
    ("ham", "spam", "plots"), [([0.1, 0.9], [], 1), ([], [0.1, 0.9], 1), ([], [], 0)]
)
def test_one_class_or_none(tmp_path: Path, ham: list[float], spam: list[float], plots: int) -> None:
    """What is not defined is left out; the page still stands."""
    page = written(tmp_path, result(scored(ham, spam), curve=[(1, 0)] if ham else None))
    checked(page)
    assert page.count("<svg") == plots + bool(ham)
    assert "nan" not in page
    assert "None" not in page


def test_no_results_is_a_page_too(tmp_path: Path) -> None:
    """An evaluation of nothing does not crash at the last step."""
    checked(written(tmp_path))


def test_large_corpora_make_small_pages(tmp_path: Path) -> None:
    """Thirty thousand answers are a page that can be mailed."""
    rng = np.random.default_rng(0)
    data = Scored(rng.random(30_000), rng.random(30_000) < 0.5, tuple(map(str, range(30_000))))
    curve = [(n, n // 2) for n in range(1, 30_001)]
    assert len(written(tmp_path, result(data, curve=curve))) < 100_000


def test_place_that_cannot_be_written(tmp_path: Path) -> None:
    """A wrong path is a sentence, not a traceback."""
    with pytest.raises(InputError, match=r"none/report\.html: the report cannot be written"):
        write_report(tmp_path / "none" / "report.html", [])
