"""Forms of products and look-ups -> nodes of a graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from winnow.compiler.graph import drop_unused
from winnow.compiler.quantize_build import Builder
from winnow.compiler.quantize_forms import Form, Integers, Nibbles, Table
from winnow.compiler.quantize_sites import LOOK_UP, Site
from winnow.compiler.quantize_weights import Blocks, Rows, packed
from winnow.compiler.verify import CONTRIBUTED

# Computes with 8-bit activations; the highest that the operator has.
_ACCURACY_LEVEL = 4


def write_forms(model: ir.Model, sites: Sequence[Site], forms: Mapping[str, Form]) -> None:
    """Write nodes in other forms, in place.

    Args:
        model: changed.
        sites: of this very graph.
        forms: by the name of a site; one without stays as it is.
    """
    writer = _Writer(model)
    for site in sites:
        form = forms.get(site.name)
        if form is None:
            continue
        if isinstance(form, Table):
            assert site.kind == LOOK_UP
            result = writer.table(site, form.weights)
        else:
            result = writer.product(site, form)
        writer.replace(site.node, result)
    drop_unused(model)


class _Writer(Builder):
    """Writes forms before the node that they stand for; roundings are shared."""

    def __init__(self, model: ir.Model) -> None:
        super().__init__(model)
        self.rounded: dict[Any, Sequence[ir.Value]] = {}

    def product(self, site: Site, form: Integers | Nibbles) -> ir.Value:
        if isinstance(form, Integers):
            result = self._integers(site, form)
        else:
            result = self._nibbles(site, form.weights)
        return self._with_bias(site, result)

    def _integers(self, site: Site, form: Integers) -> ir.Value:
        name, kernel = site.name, _kernel(site)
        steps, scale, zero = self._rounded(site, form)
        weights = self.constant(f"{kernel}.steps", form.weights.steps)
        scales = self.constant(f"{kernel}.scales", form.weights.scales)
        node = site.node
        summed = self.add(node, "MatMulInteger", [steps, weights, zero], f"{name}.integer")
        as_float = self.add(node, "Cast", [summed], f"{name}.cast", to=ir.DataType.FLOAT.value)
        both = self.add(node, "Mul", [scale, scales], f"{name}.scales")
        result = self.add(node, "Mul", [as_float, both], f"{name}.rescale")
        if form.beside is None:
            return result
        places = self.constant(f"{name}.places", np.array(form.outliers, dtype=np.int64))
        few = self.add(node, "Gather", [site.x, places], f"{name}.few", axis=-1)
        rest = self.constant(f"{kernel}.beside", form.beside)
        beside = self.add(node, "MatMul", [few, rest], f"{name}.beside")
        return self.add(node, "Add", [result, beside], f"{name}.both")

    def _rounded(self, site: Site, form: Integers) -> Sequence[ir.Value]:
        """Rounded x, its scale and its zero; products that round x alike share them."""
        key = (site.x, form.outliers, form.span)
        if key in self.rounded:
            return self.rounded[key]
        x, name = site.x, site.x.name
        if form.outliers:
            mask = np.ones(len(form.weights.steps), dtype=np.float32)
            mask[list(form.outliers)] = 0.0
            x = self.add(
                site.node, "Mul", [x, self.constant(f"{name}.mask", mask)], f"{name}.masked"
            )
        if form.span is None:
            found: Sequence[ir.Value] = self.several(
                site.node, "DynamicQuantizeLinear", [x], f"{name}.round", 3
            )
        else:
            scale = self.constant(f"{name}.scale", np.float32(form.span.scale))
            zero = self.constant(f"{name}.zero", np.uint8(form.span.zero))
            steps = self.add(site.node, "QuantizeLinear", [x, scale, zero], f"{name}.round")
            found = (steps, scale, zero)
        self.rounded[key] = found
        return found

    def _nibbles(self, site: Site, weights: Blocks) -> ir.Value:
        n, k = weights.steps.shape
        count, size = weights.scales.shape[1], weights.size
        whole = np.pad(weights.steps, ((0, 0), (0, count * size - k)))
        data = packed(whole).reshape(n, count, size // 2)
        kernel = _kernel(site)
        inputs = [
            site.x,
            self.constant(f"{kernel}.steps", data),
            self.constant(f"{kernel}.scales", weights.scales),
        ]
        return self.add(
            site.node, "MatMulNBits", inputs, f"{site.name}.nibbles", domain=CONTRIBUTED,
            K=k, N=n, bits=4, block_size=size, accuracy_level=_ACCURACY_LEVEL,
        )  # fmt: skip

    def _with_bias(self, site: Site, result: ir.Value) -> ir.Value:
        """The bias of a Gemm; that of a MatMul is a node that stays."""
        node = site.node
        bias = node.inputs[2] if node.op_type == "Gemm" and len(node.inputs) > 2 else None
        if bias is None:
            return result
        beta = node.attributes.get("beta")
        if beta is not None and beta.value != 1.0:
            factor = self.constant(f"{site.name}.beta", np.float32(beta.value))
            bias = self.add(node, "Mul", [bias, factor], f"{site.name}.scaled")
        return self.add(node, "Add", [result, bias], f"{site.name}.bias")

    def table(self, site: Site, weights: Rows | Blocks) -> ir.Value:
        node, name, kernel = site.node, site.name, _kernel(site)
        scales = self.constant(f"{kernel}.scales", weights.scales)
        if isinstance(weights, Blocks):
            inputs = [self.constant(f"{kernel}.steps", weights.packed()), node.inputs[1], scales]
            return self.add(
                node, "GatherBlockQuantized", inputs, f"{name}.nibbles", domain=CONTRIBUTED,
                bits=4, block_size=weights.size, gather_axis=0, quantize_axis=1,
            )  # fmt: skip
        steps = self.constant(f"{kernel}.steps", weights.steps)
        rest, options = node.inputs[1:], {k: v.value for k, v in node.attributes.items()}
        found = self.add(node, node.op_type, [steps, *rest], f"{name}.rows", **options)
        each = self.add(node, node.op_type, [scales, *rest], f"{name}.scales", **options)
        as_float = self.add(node, "Cast", [found], f"{name}.cast", to=ir.DataType.FLOAT.value)
        return self.add(node, "Mul", [as_float, each], f"{name}.rescale")


def _kernel(site: Site) -> str:
    """Name of a site's weights."""
    at = 0 if site.kind == LOOK_UP else 1
    value = site.node.inputs[at]
    assert value is not None
    return value.name or site.name
