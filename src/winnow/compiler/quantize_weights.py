"""Matrices of 32-bit floats -> integers with scales, and back. Arrays only, no graphs.

    Columns  8 bits with a scale for each column: a factor of a product of integers
    Rows     8 bits with a scale for each row: a table that is looked up
    Blocks   4 bits with a scale for each block of a row

Signed bytes are the fast ones, with one trap. Processors without VNNI multiply unsigned activations
with signed weights two at a time and keep the sum of both in 16 bits (`vpmaddubsw`):
255 * 127 + 255 * 127 is too much for it, and what does not fit is cut off without a word. So the
steps of two weights that meet there (rows 2 n and 2 n + 1 of a column) and are of one sign add up
to 128 at most: 255 * 128 = 32,640 fits, and the product is right on every processor. A column's
step is 1.3 times as large for it; keeping 7 bits, the usual way out, makes it 2 times as large.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I8 = NDArray[np.int8]
U8 = NDArray[np.uint8]

LARGEST = 127
# Of the steps of two weights of one sign: 255 * 128 is below 2**15.
PAIR = 128
# 4 bits: steps from -8 to 7.
_HALF = 8
# Added to the diagonal of what is known of the activations, as a share of its mean (Frantar et al.
# 2022, arXiv 2210.17323, section 4).
_DAMPING = 0.01
_GROWTH = 1.001


@dataclass(frozen=True, slots=True)
class Columns:
    """A matrix (i, o) = steps * scales.

    Attributes:
        steps: (i, o); see the module's text for what neighbours may add up to.
        scales: (o,).
    """

    steps: I8
    scales: F32

    @property
    def nbytes(self) -> int:
        """Of both."""
        return self.steps.nbytes + self.scales.nbytes

    def floats(self) -> F32:
        """The matrix, (i, o)."""
        return self.steps.astype(np.float32) * self.scales


@dataclass(frozen=True, slots=True)
class Rows:
    """A table (v, d) = steps * scales.

    Attributes:
        steps: (v, d).
        scales: (v, 1).
    """

    steps: I8
    scales: F32

    @property
    def nbytes(self) -> int:
        """Of both."""
        return self.steps.nbytes + self.scales.nbytes

    def floats(self) -> F32:
        """The table, (v, d)."""
        return self.steps.astype(np.float32) * self.scales


@dataclass(frozen=True, slots=True)
class Blocks:
    """A matrix (n, k) of 4 bits, each row in blocks.

    Attributes:
        steps: (n, k) from -8 to 7.
        scales: (n, blocks).
        size: values of a block, a power of two of 16 or more; the last block may be shorter.
    """

    steps: I8
    scales: F32
    size: int

    @property
    def nbytes(self) -> int:
        """Of both, two steps in a byte."""
        return (self.steps.size + 1) // 2 + self.scales.nbytes

    def floats(self) -> F32:
        """The matrix, (n, k)."""
        spread = np.repeat(self.scales, self.size, axis=1)[:, : self.steps.shape[1]]
        return self.steps.astype(np.float32) * spread

    def packed(self) -> U8:
        """Two steps in a byte, the first in its low half, 8 added to each: (n, ceil(k / 2))."""
        return packed(self.steps)


def packed(steps: I8) -> U8:
    """Steps from -8 to 7, (n, k), as bytes of two, (n, ceil(k / 2))."""
    raised: U8 = (steps + _HALF).astype(np.uint8)
    if raised.shape[1] % 2:
        raised = np.pad(raised, ((0, 0), (0, 1)), constant_values=_HALF)
    found: U8 = (raised[:, 0::2] | (raised[:, 1::2] << 4)).astype(np.uint8)
    return found


def unpacked(data: U8, k: int) -> I8:
    """Inverse of `packed` for rows of k steps."""
    both = np.stack([data & 15, data >> 4], axis=-1).reshape(len(data), -1)[:, :k]
    return both.astype(np.int8) - np.int8(_HALF)


def columns(weights: F32) -> Columns:
    """Round a matrix (i, o) for products of integers on any processor."""
    tops = _pair_sums(weights.astype(np.float64))
    scale = np.maximum(np.abs(weights).max(axis=0) / LARGEST, tops / PAIR)
    scale = np.where(scale > 0, scale, 1.0).astype(np.float32)
    while True:
        steps = np.clip(np.rint(weights / scale), -LARGEST, LARGEST)
        over = _pair_sums(steps) > PAIR  # two roundings upwards
        if not over.any():
            return Columns(steps.astype(np.int8), scale)
        scale = np.where(over, scale * np.float32(_GROWTH), scale)


def _pair_sums(weights: NDArray[np.floating]) -> F64:
    """Largest sum of what is positive, or negative, in two neighbours of a column: (o,)."""
    padded = np.pad(weights, ((0, len(weights) % 2), (0, 0))).reshape(-1, 2, weights.shape[1])
    up, down = np.maximum(padded, 0).sum(axis=1), np.maximum(-padded, 0).sum(axis=1)
    found: F64 = np.maximum(up, down).max(axis=0)
    return found


def rows(table: F32) -> Rows:
    """Round a table (v, d) row by row."""
    largest = np.abs(table).max(axis=1, keepdims=True)
    scale = np.where(largest > 0, largest / LARGEST, 1.0).astype(np.float32)
    return Rows(np.rint(table / scale).astype(np.int8), scale)


def blocks(matrix: F32, size: int) -> Blocks:
    """Round a matrix (n, k) to 4 bits, each value to the next step."""
    k = matrix.shape[1]
    scales = _block_scales(_in_blocks(matrix, size))
    spread = np.repeat(scales, size, axis=1)[:, :k]
    return Blocks(_stepped(matrix, spread), scales.astype(np.float32), size)


def fitted_blocks(matrix: F32, size: int, seen: F32) -> Blocks:
    """Round a matrix (n, k) to 4 bits so that its products with activations change little.

    Each column is rounded in turn, and those that are still to come take over its error as far as
    they can on the activations that were seen (GPTQ, Frantar et al. 2022, arXiv 2210.17323).

    Args:
        matrix: left as it is.
        size: of a block.
        seen: (m, k) what the matrix is multiplied with.
    """
    n, k = matrix.shape
    left = np.ascontiguousarray(matrix.T, dtype=np.float64)  # (k, n): one column at a time
    spreads = _spreads(seen)
    steps = np.empty((k, n), dtype=np.int8)
    scales = []
    for start in range(0, k, size):
        end = min(start + size, k)
        scale = _block_scales(left[start:end].T[:, None])[:, 0]
        scales.append(scale)
        errors = np.empty((end - start, n))
        for place in range(start, end):
            steps[place] = _stepped(left[place], scale)
            error = (left[place] - steps[place] * scale) / spreads[place, place]
            left[place + 1 : end] -= np.outer(spreads[place, place + 1 : end], error)
            errors[place - start] = error
        left[end:] -= spreads[start:end, end:].T @ errors
    found = np.ascontiguousarray(steps.T)
    return Blocks(found, np.stack(scales, axis=1).astype(np.float32), size)


def _spreads(seen: F32) -> F64:
    """How an error in one place is spread over later ones, (k, k), upper triangular."""
    products = (seen.T @ seen).astype(np.float64)
    k = len(products)
    mean = max(float(np.trace(products)) / k, 1e-30)
    products[np.diag_indices(k)] += _DAMPING * mean
    found: F64 = np.linalg.cholesky(np.linalg.inv(products)).T
    return found


def _in_blocks(matrix: F32, size: int) -> F32:
    n, k = matrix.shape
    return np.pad(matrix, ((0, 0), (0, -k % size))).reshape(n, -1, size)


def _block_scales(apart: NDArray[np.floating]) -> F64:
    """Scales of (n, blocks, size), (n, blocks): the value farthest from 0 becomes step -8."""
    place = np.abs(apart).argmax(axis=2, keepdims=True)
    farthest = np.take_along_axis(apart, place, axis=2)[:, :, 0].astype(np.float64)
    return np.where(farthest == 0, 1.0, farthest / -_HALF)


def _stepped(values: NDArray[np.floating], scales: NDArray[np.floating]) -> I8:
    return np.clip(np.rint(values / scales), -_HALF, _HALF - 1).astype(np.int8)


def relative_error(weights: F32, restored: F32) -> float:
    """Largest |w' - w| against the largest |w|."""
    largest = max(float(np.abs(weights).max(initial=0.0)), 1e-30)
    return float(np.abs(restored - weights).max(initial=0.0)) / largest
