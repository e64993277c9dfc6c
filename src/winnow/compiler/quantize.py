"""32-bit floats -> 8-bit (or 4-bit) integers: a graph's weights, and what they are multiplied with.

Here is what needs no mail: every product with a constant matrix and every look-up in a table is
rounded. `quantize_search` chooses, by what it does to the answers, which are better left alone;
`quantize_restore` is the way back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import onnx_ir as ir

from winnow.compiler.graph import copied
from winnow.compiler.passes import Refused
from winnow.compiler.quantize_forms import Form, Integers, Nibbles, Table
from winnow.compiler.quantize_restore import restored
from winnow.compiler.quantize_sites import LOOK_UP, Site, sites_of
from winnow.compiler.quantize_weights import blocks, columns, relative_error, rows
from winnow.compiler.quantize_write import write_forms

__all__ = ["BLOCK", "Quantized", "plain_forms", "quantize", "restored", "state_of"]

# Values of a block of 4 bits where nothing was measured: the smallest that costs little.
BLOCK = 32


@dataclass(frozen=True, slots=True)
class Quantized:
    """What quantization changed.

    Attributes:
        nodes: names of the products and look-ups that are of integers now.
        errors: largest relative error of each one's weights: |w' - w| against the largest |w|.
        refused: what was left as it is, and why.
    """

    nodes: tuple[str, ...]
    errors: tuple[float, ...]
    refused: tuple[Refused, ...] = ()


def quantize(
    model: ir.Model, *, bits: int = 8, keep: Callable[[str], bool] = lambda node: False
) -> tuple[ir.Model, Quantized]:
    """Return a quantized copy of a graph.

    Args:
        model: left as it is.
        bits: of a weight, 8 or 4.
        keep: names of nodes to leave in floats.
    """
    copy = copied(model)
    sites, refused = sites_of(copy)
    forms = plain_forms((site for site in sites if not keep(site.name)), bits)
    errors = {
        site.name: relative_error(site.weights, forms[site.name].floats())
        for site in sites
        if site.name in forms
    }
    write_forms(copy, sites, forms)
    return copy, Quantized(tuple(errors), tuple(errors.values()), tuple(refused))


def plain_forms(sites: Iterable[Site], bits: int, block: int = BLOCK) -> dict[str, Form]:
    """Forms of nodes, each weight rounded to the next step.

    Args:
        sites: nodes.
        bits: 8 or 4.
        block: values that share a scale, of 4 bits.
    """
    return {site.name: plain_form(site, bits, block) for site in sites}


def plain_form(site: Site, bits: int, block: int = BLOCK) -> Form:
    """The form of one node; see `plain_forms`."""
    if site.kind == LOOK_UP:
        narrow = bits == 4 and site.node.op_type == "Gather" and site.weights.shape[1] % 2 == 0
        return Table(blocks(site.weights, block) if narrow else rows(site.weights))
    if bits == 4:
        return Nibbles(blocks(site.weights.T, block))
    return Integers(columns(site.weights))


_NIBBLES = frozenset({"MatMulNBits", "GatherBlockQuantized"})
_INTEGERS = frozenset(
    {"MatMulInteger", "MatMulIntegerToFloat", "DynamicQuantizeMatMul", "QAttention"}
)


def state_of(model: ir.Model) -> str:
    """How a graph's products are written: "4 bits", "8 bits" … or "" for floats."""
    kinds = {node.op_type for node in model.graph}
    if kinds & _NIBBLES:
        return "4 bits"
    if not kinds & _INTEGERS:
        return ""
    calibrated = ", calibrated" if "QuantizeLinear" in kinds else ""
    return f"8 bits{_unsigned(model)}{calibrated}"


def _unsigned(model: ir.Model) -> str:
    for node in model.graph:
        if node.op_type == "MatMulInteger" and node.inputs[1].dtype == ir.DataType.UINT8:
            return ", unsigned"
    return ""
