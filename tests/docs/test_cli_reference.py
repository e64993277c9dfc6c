"""The page on the command line says what the program says."""

from __future__ import annotations

import sys

import pytest

from tests.docs.pages import ROOT

sys.path.insert(0, str(ROOT / "scripts"))

from cli_reference import reference


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="argparse words its help by version")
def test_the_page_is_the_programs_own_help() -> None:
    """Every verb and option is documented, because the page is made from the parser."""
    page = (ROOT / "docs" / "reference" / "cli.md").read_text()
    assert page == reference(), "run `make docs`"
