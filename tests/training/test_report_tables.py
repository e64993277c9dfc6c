from __future__ import annotations

from xml.etree import ElementTree

from tests.training.test_metrics import HAND, scored
from winnow.training.metrics import Scored, summarize
from winnow.training.report_tables import bins_table, figures_table, mistakes_table


def rows(table: str) -> list[list[str]]:
    root = ElementTree.fromstring(table.replace("&ndash;", "\u2013").replace("<br>", " "))
    found = root.find(".//tbody")
    assert found is not None
    return [[" ".join(cell.itertext()) for cell in row] for row in found]


def summary(data: Scored, corpus: str = "demo") -> dict[str, object]:
    return summarize(data, corpus=corpus, protocol="split", view="both")


def test_figures_stand_with_interval_and_count() -> None:
    """Value, interval and how many of how many, in the order of the columns."""
    figures = summary(HAND)
    [row] = rows(figures_table([figures]))
    assert row[0].split() == ["demo", "split,", "both", "4", "ham,", "5", "spam"]
    assert row[1].startswith("25.000 ")
    low, high = figures["ham_at_0.9_percent_low"], figures["ham_at_0.9_percent_high"]
    assert row[4] == f"25.00 {low:.2f}\u2013{high:.2f} 1 of 4"
    assert row[6].endswith("2 of 5")
    assert row[7].startswith("75.00")


def test_what_is_not_defined_is_a_dash() -> None:
    """A corpus of ham alone has no ranking; the table says so instead of None or nan."""
    [row] = rows(figures_table([summary(scored([0.1, 0.6], []))]))
    assert [cell == "\u2013" for cell in row[1:]] == [1, 0, 0, 0, 1, 1, 1, 0, 0]


def test_each_row_leads_to_its_section() -> None:
    """Names link to the details; the table is announced and can be scrolled by keyboard."""
    table = figures_table([summary(HAND), summary(HAND, "two")])
    assert 'href="#r0"' in table
    assert 'href="#r1"' in table
    assert 'tabindex="0" role="region" aria-label="Figures"' in table
    assert table.count('scope="row"') == 2


def test_hostile_names_are_escaped() -> None:
    """Neither the name of a corpus nor an id can bring markup in."""
    table = figures_table([summary(HAND, "<b>x_y")])
    assert "<b>" not in table
    assert "&lt;b&gt;x_<wbr>y" in table
    hostile = Scored(HAND.probability, HAND.label, ("<img src=x>",) * 9)
    assert "<img" not in mistakes_table("n", hostile, range(9))


def test_mistakes_say_what_the_rule_does() -> None:
    """Probability, action of the shipped rule, label and id, wrong ones marked."""
    table = mistakes_table("Ham", HAND, [3, 2, 0, 4])
    assert rows(table) == [
        ["0.9200", "junk", "ham", "3"],
        ["0.5000", "flag", "ham", "2"],
        ["0.1000", "deliver", "ham", "0"],
        ["0.3000", "deliver", "spam", "4"],
    ]
    assert table.count('class="wrong"') == 3


def test_bins_have_their_numbers() -> None:
    """The reliability plot can be read without seeing it; empty bins are left out."""
    found = rows(bins_table(HAND))
    assert len(found) == 6
    assert found[4] == ["0.87\u20130.93", "3", "0.913", "66.7"]
