"""What products are multiplied with, seen on messages -> how it is best rounded.

Everything here is judged by one number: how far a product of rounded factors is off, |x w - x' w'|
against |x w|, on rows of x that were kept. That is computed with arrays and without the graph, so
that many ways can be tried.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from winnow.compiler.inputs import Feeds
from winnow.compiler.passes import Run
from winnow.compiler.quantize_forms import Form, Integers, Span
from winnow.compiler.quantize_sites import PRODUCT, Site
from winnow.compiler.quantize_weights import F32, columns

F64 = NDArray[np.float64]

ROWS = 1_024  # of an activation that are kept, from all messages alike
_JUDGED = 256  # of these, that errors are computed on
# Messages at a time: all activations of these are in memory at once.
_TOGETHER = 8
_LEVELS = 255
# How many inputs of a product may stay in floats, and what that must leave of its error to be
# worth two per cent of the time.
_OUTLIERS, _WORTH = (1, 2, 4, 8), 0.7
_NEARLY_BEST = 1.25
# Of the largest values seen, what a calibrated byte may reach; beyond it they are cut off.
_SHARES = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2)


@dataclass(frozen=True, slots=True)
class Seen:
    """An activation on messages.

    Attributes:
        rows: (m, k) some of its rows.
        of: (m,) the message that each is of.
        low, high: (n, k) smallest and largest of each feature in each message.
    """

    rows: F32
    of: NDArray[np.int64]
    low: F32
    high: F32

    def outliers(self) -> NDArray[np.int64]:
        """All features, those with the largest values first."""
        largest = np.maximum(np.abs(self.low), np.abs(self.high)).max(axis=0)
        return np.argsort(-largest, kind="stable")

    def without(self, features: Sequence[int]) -> Seen:
        """The same with some features 0."""
        mask = np.ones(self.rows.shape[1], dtype=np.float32)
        mask[list(features)] = 0.0
        return replace(self, rows=self.rows * mask, low=self.low * mask, high=self.high * mask)

    def fewer(self, count: int) -> Seen:
        """The same with fewer rows, of all messages alike."""
        step = -(-len(self.rows) // count)
        return replace(self, rows=self.rows[::step], of=self.of[::step])

    def as_it_comes(self) -> F32:
        """Rows rounded with the range of their message, as DynamicQuantizeLinear does, (m, k)."""
        low = np.minimum(self.low.min(axis=1), 0.0)[self.of, None]
        high = np.maximum(self.high.max(axis=1), 0.0)[self.of, None]
        scale = np.where(high > low, (high - low) / _LEVELS, 1.0)
        return _rounded(self.rows, scale, np.rint(-low / scale))

    def within(self, span: Span) -> F32:
        """Rows rounded with one range for all, (m, k)."""
        return _rounded(self.rows, np.array(span.scale, np.float32), np.array(span.zero))


def _rounded(rows: F32, scale: NDArray[Any], zero: NDArray[Any]) -> F32:
    steps = np.clip(np.rint(rows / scale) + zero, 0, _LEVELS)
    found: F32 = ((steps - zero) * scale).astype(np.float32)
    return found


def see(
    model: ir.Model, sites: Sequence[Site], run: Run, feeds: Sequence[Feeds]
) -> dict[str, Seen]:
    """Run a graph and keep what its products multiply, by name of the value.

    Args:
        model: of floats.
        sites: of it; look-ups are passed over.
        run: runs a graph.
        feeds: messages.
    """
    names = list(dict.fromkeys(site.x.name or "" for site in sites if site.kind == PRODUCT))
    given = {value.name for value in model.graph.inputs}
    inside = [name for name in names if name not in given]
    each = -(-ROWS // max(1, len(feeds)))
    kept: dict[str, list[tuple[F32, F32, F32]]] = {name: [] for name in names}
    for start in range(0, len(feeds), _TOGETHER):
        some = feeds[start : start + _TOGETHER]
        # Asked for no value, a runtime gives all outputs.
        found = run(model, some, inside) if inside else [[] for _ in some]
        for inputs, values in zip(some, found, strict=True):
            for name, value in (inputs | dict(zip(inside, values, strict=True))).items():
                if name in kept:
                    kept[name].append(_part(value, each))
    return {name: _seen(parts) for name, parts in kept.items() if parts}


def _part(value: F32, most: int) -> tuple[F32, F32, F32]:
    """Some rows of an activation, and the range of each feature in all of them."""
    flat = value.reshape(-1, value.shape[-1])
    places = np.linspace(0, len(flat) - 1, min(most, len(flat))).round().astype(np.int64)
    return flat[places], flat.min(axis=0), flat.max(axis=0)


def _seen(found: Sequence[tuple[F32, F32, F32]]) -> Seen:
    rows, low, high = zip(*found, strict=True)
    of = np.repeat(np.arange(len(rows)), [len(some) for some in rows])
    return Seen(np.concatenate(rows), of, np.stack(low), np.stack(high))


def error_of(site: Site, form: Form, seen: Seen) -> float:
    """How far a product is off: |x w - x' w'| against |x w|."""
    seen = seen.fewer(_JUDGED)
    exact = seen.rows @ site.weights
    size = max(float(np.linalg.norm(exact)), 1e-30)
    return float(np.linalg.norm(exact - _product(form, seen))) / size


def _product(form: Form, seen: Seen) -> F32:
    if not isinstance(form, Integers):
        return seen.rows @ form.floats()
    left = seen.without(form.outliers) if form.outliers else seen
    rows = left.as_it_comes() if form.span is None else left.within(form.span)
    found = rows @ form.weights.floats()
    if form.beside is not None:
        found = found + seen.rows[:, list(form.outliers)] @ form.beside
    return found


def split(weights: F32, outliers: Sequence[int]) -> Integers:
    """The form of a product (i, o) some of whose inputs stay in floats."""
    if not outliers:
        return Integers(columns(weights))
    places = sorted(outliers)
    rest = weights.copy()
    rest[places] = 0.0
    return Integers(columns(rest), tuple(places), weights[places])


def with_outliers(sites: Sequence[Site], seen: Mapping[str, Seen]) -> dict[str, Integers]:
    """Forms with the fewest inputs in floats that are about the best, by name.

    Products of one activation keep the same inputs in floats and share the work. Left out are
    those where it is not worth its time: their error is hardly larger without.
    """
    found: dict[str, Integers] = {}
    for name, group in _by_activation(sites).items():
        if name in seen:
            found |= _split_group(group, seen[name].fewer(_JUDGED))
    return found


def _by_activation(sites: Sequence[Site]) -> dict[str, list[Site]]:
    found: dict[str, list[Site]] = {}
    for site in sites:
        if site.kind == PRODUCT:
            found.setdefault(site.x.name or "", []).append(site)
    return found


def _split_group(group: Sequence[Site], seen: Seen) -> dict[str, Integers]:
    order = seen.outliers().tolist()
    tried = [
        [split(site.weights, order[:count]) for site in group]
        for count in (0, *_OUTLIERS)
        if count < len(order)
    ]
    plain, *errors = [_total_error(group, forms, seen) for forms in tried]
    best = min(errors, default=plain)
    if best > _WORTH * plain:
        return {}
    at = next(place for place, error in enumerate(errors) if error <= _NEARLY_BEST * best)
    return {site.name: form for site, form in zip(group, tried[at + 1], strict=True)}


def _total_error(group: Sequence[Site], forms: Sequence[Form], seen: Seen) -> float:
    errors = [error_of(site, form, seen) for site, form in zip(group, forms, strict=True)]
    return float(np.linalg.norm(errors))


def calibrated(
    sites: Sequence[Site], forms: Mapping[str, Form], seen: Mapping[str, Seen]
) -> dict[str, Form]:
    """Give 8-bit products one range of activations for all messages, the best on those seen.

    Products that round one activation alike share the range.

    Args:
        sites: of the graph.
        forms: by name; others than of 8-bit products stay as they are.
        seen: activations.
    """
    found = dict(forms)
    alike: dict[tuple[str, tuple[int, ...]], list[Site]] = {}
    for site in sites:
        form = forms.get(site.name)
        if isinstance(form, Integers) and site.x.name in seen:
            alike.setdefault((site.x.name or "", form.outliers), []).append(site)
    for (name, outliers), group in alike.items():
        span = _best_span(group, forms, seen[name].fewer(_JUDGED), outliers)
        for site in group:
            form = forms[site.name]
            assert isinstance(form, Integers)
            found[site.name] = replace(form, span=span)
    return found


def _best_span(
    sites: Sequence[Site], forms: Mapping[str, Form], seen: Seen, outliers: Sequence[int]
) -> Span:
    left = seen.without(outliers)
    low, high = min(float(left.low.min()), 0.0), max(float(left.high.max()), 0.0)
    kernels, wanted = [], []
    for site in sites:
        form = forms[site.name]
        assert isinstance(form, Integers)
        kernels.append(form.weights.floats())
        exact = left.rows @ site.weights
        wanted.append((exact, max(float(np.linalg.norm(exact)), 1e-30)))

    def off(span: Span) -> float:
        rows = left.within(span)
        return sum(
            (float(np.linalg.norm(rows @ kernel - exact)) / size) ** 2
            for kernel, (exact, size) in zip(kernels, wanted, strict=True)
        )

    return min((_span(low * share, high * share) for share in _SHARES), key=off)


def _span(low: float, high: float) -> Span:
    scale = float(np.float32((high - low) / _LEVELS)) if high > low else 1.0
    return Span(scale, int(np.clip(np.rint(-low / scale), 0, _LEVELS)))
