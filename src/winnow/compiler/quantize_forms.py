"""How a product or a look-up of integers is written: which weights, and what goes with them.

    Product    x -> DynamicQuantizeLinear -> MatMulInteger -> Cast -> Mul     8 bits, as x comes
               x -> QuantizeLinear        -> MatMulInteger -> Cast -> Mul     8 bits, calibrated
               x -> MatMulNBits                                               4 bits
    Look-up    ids -> Gather -> Cast -> Mul, and a Gather of scales           8 bits
               ids -> GatherBlockQuantized                                    4 bits

Those of 8 bits are standard ONNX operators, so that any runtime can read the graph; ONNX Runtime
makes one node of each when it loads them. Those of 4 bits are ONNX Runtime's own (com.microsoft):
the standard has none that is computed in integers.

A few inputs of a product may stay in floats (Dettmers et al. 2022, arXiv 2208.07339). In networks
like BERT a few features are tens of times as large as the others; with one scale for all of x they
leave the others no steps. So they are set to 0 before x is rounded, and multiplied beside it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from winnow.compiler.quantize_weights import F32, Blocks, Columns, Rows


@dataclass(frozen=True, slots=True)
class Span:
    """Which activations a byte can tell: value = (byte - zero) * scale.

    Attributes:
        scale: of a step.
        zero: the byte that is 0.0.
    """

    scale: float
    zero: int


@dataclass(frozen=True, slots=True)
class Integers:
    """A product in 8 bits.

    Attributes:
        weights: those of inputs that stay in floats are 0.
        outliers: inputs that stay in floats.
        beside: their weights, (outliers, o).
        span: of the activations; None is as they come.
    """

    weights: Columns
    outliers: tuple[int, ...] = ()
    beside: F32 | None = None
    span: Span | None = None

    @property
    def nbytes(self) -> int:
        """Of all weights."""
        return self.weights.nbytes + (0 if self.beside is None else self.beside.nbytes)

    def floats(self) -> F32:
        """The weights that it stands for, (i, o)."""
        whole = self.weights.floats()
        if self.beside is not None:
            whole[list(self.outliers)] = self.beside
        return whole

    @property
    def bits(self) -> int:
        """Of a weight."""
        return 8

    @property
    def told(self) -> str:
        """In words."""
        count = len(self.outliers)
        beside = f", {count} input{'s' * (count > 1)} in floats" if count else ""
        return f"8 bits{beside}"


@dataclass(frozen=True, slots=True)
class Nibbles:
    """A product in 4 bits.

    Attributes:
        weights: (o, i), each column of the matrix in blocks.
    """

    weights: Blocks

    @property
    def nbytes(self) -> int:
        """Of all weights."""
        return self.weights.nbytes

    def floats(self) -> F32:
        """The weights that it stands for, (i, o)."""
        return np.ascontiguousarray(self.weights.floats().T)

    @property
    def bits(self) -> int:
        """Of a weight."""
        return 4

    @property
    def told(self) -> str:
        """In words."""
        return f"4 bits in blocks of {self.weights.size}"


@dataclass(frozen=True, slots=True)
class Table:
    """A table that is looked up.

    Attributes:
        weights: in rows of 8 bits, or in blocks of 4.
    """

    weights: Rows | Blocks

    @property
    def nbytes(self) -> int:
        """Of all weights."""
        return self.weights.nbytes

    def floats(self) -> F32:
        """The table that it stands for."""
        return self.weights.floats()

    @property
    def bits(self) -> int:
        """Of a weight."""
        return 8 if isinstance(self.weights, Rows) else 4

    @property
    def told(self) -> str:
        """In words."""
        if isinstance(self.weights, Rows):
            return "8 bits"
        return f"4 bits in blocks of {self.weights.size}"


Form = Integers | Nibbles | Table
