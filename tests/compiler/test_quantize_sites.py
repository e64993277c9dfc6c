"""Where weights can be rounded, and the reason for each place where they cannot."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.compiler.integers import SIZE, drawn, graph, ir, table, two_layers
from winnow.compiler.quantize_sites import LOOK_UP, PRODUCT, SMALLEST, sites_of


def test_products_and_look_ups_are_found_in_order() -> None:
    """Each with its weights and what they are multiplied with."""
    sites, refused = sites_of(graph(two_layers))
    assert [(site.name, site.kind) for site in sites] == [("first", PRODUCT), ("second", PRODUCT)]
    assert sites[0].x.name == "x"
    assert np.array_equal(sites[1].weights, drawn(2))
    assert sites[1].nbytes == 4 * SIZE * SIZE
    assert refused == []
    (look_up,), _ = sites_of(table(drawn(3)))
    assert (look_up.name, look_up.kind, look_up.x.name) == ("pieces", LOOK_UP, "x")


def test_nodes_of_one_name_are_told_apart() -> None:
    """Exporters leave names out or give them twice; outputs are called differently always."""

    def build(tape: Any, constant: Any, x: Any) -> list[Any]:
        first = tape.op("MatMul", [x, constant("w", drawn(1))], name="same")
        second = tape.op("MatMul", [first, constant("v", drawn(2))], name="same")
        return [tape.op("MatMul", [second, constant("u", drawn(3))], name="")]

    sites, _ = sites_of(graph(build))
    assert [site.name for site in sites] == ["MatMul0", "MatMul1", "out0"]


def _gemm(**attributes: Any) -> Callable[..., list[Any]]:
    def build(tape: Any, constant: Any, x: Any) -> list[Any]:
        return [tape.op("Gemm", [x, constant("w", drawn(5, 64, 96))], attributes, name="node")]

    return build


def test_a_gemm_has_its_matrix_the_way_it_is_multiplied() -> None:
    """Transposed where it is kept so, and times alpha."""
    (site,), _ = sites_of(graph(_gemm(transB=1, alpha=2.0), shape=("n", 96)))
    assert np.array_equal(site.weights, 2 * drawn(5, 64, 96).T)
    (site,), _ = sites_of(graph(_gemm()))
    assert np.array_equal(site.weights, drawn(5, 64, 96))


def _node(kind: str, array: Any, at: int = 1, **attributes: Any) -> Callable[..., list[Any]]:
    def build(tape: Any, constant: Any, x: Any) -> list[Any]:
        w = constant("w", array)
        return [tape.op(kind, [x, w] if at else [w, x], attributes or None, name="node")]

    return build


def _two_inputs(tape: Any, constant: Any, x: Any) -> list[Any]:
    return [tape.op("MatMul", [x, tape.op("Transpose", [x], {"perm": [1, 0]})], name="node")]


def _constant_first(tape: Any, constant: Any, x: Any) -> list[Any]:
    turned = tape.op("Transpose", [x], {"perm": [1, 0]})
    return [tape.op("MatMul", [constant("w", drawn(5)), turned], name="node")]


def _both_constants(tape: Any, constant: Any, x: Any) -> list[Any]:
    both = [constant("v", drawn(4)), constant("w", drawn(5))]
    return [tape.op("Add", [x, tape.op("MatMul", both, name="node")])]


def _nan() -> Any:
    weights = drawn(5)
    weights[3, 3] = np.nan
    return weights


def _fused(tape: Any, constant: Any, x: Any) -> list[Any]:
    packed = constant("w", drawn(5, 64, 96))
    attention = [x, packed, constant("b", np.zeros(96, dtype=np.float32))]
    return [tape.op("Attention", attention, {"num_heads": 2}, domain="com.microsoft", name="node")]


def _sliced(axes: list[int], steps: list[int]) -> Callable[..., list[Any]]:
    def build(tape: Any, constant: Any, x: Any) -> list[Any]:
        count = len(axes)
        ends = tape.op("Shape", [x], {"start": 0, "end": count})
        rest = [np.zeros(count, np.int64), None, np.array(axes), np.array(steps)]
        inputs = [ends if v is None else constant(f"c{n}", v) for n, v in enumerate(rest)]
        return [tape.op("Slice", [constant("w", drawn(5)), *inputs], name="node")]

    return build


@pytest.mark.parametrize(
    ("build", "reason"),
    [
        (_node("MatMul", drawn(5, SIZE, SMALLEST // SIZE - 1)), "below 4,096 weights"),
        (_two_inputs, "both factors are computed"),
        (_constant_first, "both factors are computed"),
        (_both_constants, "both factors are constants"),
        (_node("MatMul", drawn(5).astype(np.float64)), "float64, not float32"),
        (_node("MatMul", drawn(5).reshape(1, SIZE, SIZE)), "3 axes, not two"),
        (_node("MatMul", _nan()), "a weight is no number"),
        (_gemm(transA=1), "first factor is transposed"),
        (_node("Gather", drawn(5), 0, axis=1), "it looks up columns"),
        (_fused, "quantize a model first and fuse it then"),
        (_sliced([1], [1]), "something else than rows"),
        (_sliced([0], [2]), "something else than rows"),
    ],
)
def test_what_is_left_has_its_reason(build: Any, reason: str) -> None:
    """It is told to who asks why the file is no smaller."""
    sites, refused = sites_of(graph(build))
    assert sites == []
    assert [(one.node, reason in one.reason) for one in refused] == [("node", True)]


@pytest.mark.parametrize(
    "build",
    [
        _node("Gather", np.arange(5000), 0),
        _node("Add", drawn(5)),
        _node("Gather", np.zeros(5000, np.float32), 0),
    ],
)
def test_what_nobody_would_round_is_passed_over(build: Any) -> None:
    """Integers, sums and lists of numbers: no word about them."""
    assert sites_of(graph(build)) == ([], [])


def test_rows_from_the_first_on_are_a_look_up() -> None:
    """Positions of a table, as folding and our exporter write them."""
    (site,), _ = sites_of(graph(_sliced([0], [1])))
    assert (site.kind, site.node.op_type) == (LOOK_UP, "Slice")
    assert isinstance(site.x, ir.Value)
