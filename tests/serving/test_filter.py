"""The server's idea of a filter is what the pipeline has, and what its tests put in its place."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from tests.serving.fakes import FakeFilter, FakeStore
from winnow.pipeline import Filter
from winnow.policy import Rules
from winnow.serving.filter import AbstractFilter, AbstractRules, AbstractStore
from winnow.store import Store


def _methods(abstract: type) -> dict[str, inspect.Signature]:
    return {
        name: inspect.signature(member)
        for name, member in vars(abstract).items()
        if inspect.isfunction(member) and not name.startswith("_")
    }


def _takes(function: Any, wanted: inspect.Signature) -> None:
    """Call for every way in which the server may call; raises TypeError when one is not taken."""
    signature = inspect.signature(function)
    everything = [p for p in wanted.parameters.values() if p.name != "self"]
    needed = [p for p in everything if p.default is p.empty]
    for chosen in (everything, needed):
        by_place = [None for p in chosen if p.kind is p.POSITIONAL_OR_KEYWORD]
        by_name = {p.name: None for p in chosen if p.kind is p.KEYWORD_ONLY}
        signature.bind(None, *by_place, **by_name)


@pytest.mark.parametrize("real", [Filter, FakeFilter])
def test_filters_take_what_the_server_asks(real: type):
    """Protects from a server that is tested against a filter that does not exist."""
    for name, wanted in _methods(AbstractFilter).items():
        _takes(getattr(real, name), wanted)


@pytest.mark.parametrize("real", [Store, FakeStore])
def test_stores_take_what_the_server_asks(real: type):
    """Protects the log in the same way."""
    for name, wanted in _methods(AbstractStore).items():
        _takes(getattr(real, name), wanted)


def test_values_are_there(tmp_path: Any):
    """Protects health, metrics and the spamd score, which read these of any filter."""
    real = Filter.open(store=tmp_path / "w.db")
    for filter_ in (real, FakeFilter()):
        assert "@" in filter_.model
        assert filter_.device == "cpu"
        owners = (filter_, filter_.rules, filter_.store)
        for owner, abstract in zip(
            owners, (AbstractFilter, AbstractRules, AbstractStore), strict=True
        ):
            values = {n for n, v in vars(abstract).items() if isinstance(v, property)}
            assert values
            assert not [name for name in values if not hasattr(owner, name)]
    real.close()
    assert 0.0 < Rules.default().flag_threshold < Rules.default().junk_threshold < 1.0
