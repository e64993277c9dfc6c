"""Where a text classifier's graph says its answer, and what the answer is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from winnow.compiler.graph import array_of
from winnow.errors import InputError

F32 = NDArray[np.float32]

LOGITS, SOFTMAX, SIGMOID = "logits", "softmax", "sigmoid"
# What changes the form of an answer and not what it says.
_SAME = frozenset({"Identity", "Cast"})
_SAME_OF_ONE = frozenset({"Squeeze", "Unsqueeze", "Reshape", "Flatten"})
# A log-softmax moves all logits by the same, so that it is as good as logits.
_FINAL = {"Softmax": SOFTMAX, "LogSoftmax": LOGITS, "Sigmoid": SIGMOID}


@dataclass(frozen=True, slots=True)
class Head:
    """Where a classifier says its answer, and how.

    Attributes:
        output: name of the output.
        classes: how many there are; 1 is a single number.
        spam: which of them is spam; of a single number, 1 where it speaks for spam, 0 against it.
        form: LOGITS, SOFTMAX or SIGMOID.
    """

    output: str
    classes: int
    spam: int = 1
    form: str = LOGITS


def head_of(
    model: ir.Model, short: Mapping[str, NDArray[Any]], long: Mapping[str, NDArray[Any]]
) -> Head:
    """Find the output that is the answer, by what the graph says of one message of two lengths.

    Args:
        model: the graph.
        short: its outputs for some tokens.
        long: its outputs for more tokens.

    Returns:
        The head, without a choice of which class is spam.

    Raises:
        InputError: none of the outputs, or more than one, is an answer for a whole text.
    """
    names = [output.name or "" for output in model.graph.outputs]
    fits = [name for name in names if _is_answer(short[name], long[name])]
    named = [name for name in fits if "logit" in name.lower()]
    found = named if len(named) == 1 else fits
    if len(found) != 1:
        shapes = ", ".join(f"{name} {list(long[name].shape)}" for name in names[:6])
        many = "more than one output may be" if found else "no output is"
        raise InputError(
            f"{many} an answer for a whole text, one number a class ({shapes}); it is no text "
            "classifier, or export it with its logits as the only output."
        )
    output = next(value for value in model.graph.outputs if value.name == found[0])
    classes = int(np.size(long[found[0]]))
    return Head(found[0], classes, form=before_final(output, classes)[1])


def _is_answer(short: NDArray[Any], long: NDArray[Any]) -> bool:
    """One number a class for one message, whatever its length: (1, c) or (1,)."""
    return (
        short.shape == long.shape
        and 1 <= long.ndim <= 2
        and long.shape[0] == 1
        and long.dtype.kind == "f"
    )


def before_final(output: ir.Value, classes: int) -> tuple[ir.Value, str]:
    """The logits of an answer, and what was made of them."""
    value: ir.Value | None = output
    while value is not None and (node := value.producer()) is not None:
        first = node.inputs[0]
        if node.op_type in _FINAL and first is not None:
            form = _FINAL[node.op_type]
            over_classes = form == SIGMOID or _attribute(node, "axis", -1) in (-1, 1)
            return (first, form) if over_classes else (output, LOGITS)
        if not _says_the_same(node, classes):
            break
        value = first
    return output, LOGITS


def _says_the_same(node: ir.Node, classes: int) -> bool:
    return node.op_type in _SAME or (classes == 1 and node.op_type in _SAME_OF_ONE)


@dataclass(frozen=True, slots=True)
class Last:
    """The product that gives the logits, reduced to the one number that is asked for.

    Attributes:
        x: (b, d) what is multiplied.
        kernel: (d,) by what.
        bias: and what is added.
    """

    x: ir.Value
    kernel: F32
    bias: float


def last_product(logits: ir.Value, head: Head) -> Last | None:
    """The product that gives the logits, where it is of constants in 32-bit floats.

    Returns:
        None where it is something else, or no sum of logits is the log-odds.
    """
    if head.classes > 2 and head.form != SIGMOID:
        return None
    node = logits.producer()
    while node is not None and _says_the_same(node, head.classes) and node.inputs[0] is not None:
        node = node.inputs[0].producer()
    if node is None:
        return None
    none = np.zeros(head.classes, dtype=np.float32)
    if node.op_type == "Gemm" and not _attribute(node, "transA", 0):
        x, kernel, *rest = node.inputs
        bias = array_of(rest[0]) if rest and rest[0] is not None else none
        scales = _attribute(node, "alpha", 1.0), _attribute(node, "beta", 1.0)
        wide = array_of(kernel)
        if wide is not None and _attribute(node, "transB", 0):
            wide = wide.T
        return _summed(x, wide, bias, head, scales)
    bias = none
    if node.op_type == "Add":
        for product, added in (node.inputs, node.inputs[::-1]):
            made, found = product.producer() if product else None, array_of(added)
            if made is not None and made.op_type == "MatMul" and found is not None:
                node, bias = made, found
                break
    if node.op_type != "MatMul":
        return None
    return _summed(node.inputs[0], array_of(node.inputs[1]), bias, head)


def _summed(
    x: ir.Value | None,
    kernel: NDArray[Any] | None,
    bias: NDArray[Any] | None,
    head: Head,
    scales: tuple[float, float] = (1.0, 1.0),
) -> Last | None:
    """What x is multiplied with for the log-odds, of (d, c) and (c,) for the logits."""
    if x is None or kernel is None or bias is None:
        return None
    if {kernel.dtype, bias.dtype} != {np.dtype(np.float32)}:
        return None
    if kernel.ndim != 2 or kernel.shape[1] != head.classes or bias.size != head.classes:
        return None
    signs = _signs(head)
    column = (scales[0] * (kernel.astype(np.float64) @ signs)).astype(np.float32)
    return Last(x, column, float(scales[1] * (bias.reshape(-1).astype(np.float64) @ signs)))


def _signs(head: Head) -> NDArray[np.float64]:
    """How each logit counts in the log-odds, (c,)."""
    if head.classes == 1:
        return np.array([1.0 if head.spam else -1.0])
    signs = np.zeros(head.classes)
    signs[head.spam] = 1.0
    if head.form != SIGMOID:
        signs[1 - head.spam] = -1.0
    return signs


def averaged(x: ir.Value) -> ir.Value | None:
    """The tokens (b, t, d) whose mean is (b, d), or None where it is something else.

    A mean over what a mask leaves is a sum over a count; here the mask is all ones.
    """
    node = x.producer()
    if node is None:
        return None
    if node.op_type == "ReduceMean" and _is_over_tokens(node):
        return node.inputs[0]
    if node.op_type != "Div" or _tells_text(node.inputs[1]):
        return None
    sum_ = node.inputs[0].producer() if node.inputs[0] is not None else None
    if sum_ is None or sum_.op_type != "ReduceSum" or not _is_over_tokens(sum_):
        return None
    masked = sum_.inputs[0].producer() if sum_.inputs[0] is not None else None
    if masked is None or masked.op_type != "Mul":
        return None
    told = [value for value in masked.inputs if _tells_text(value)]
    return told[0] if len(told) == 1 else None


def _is_over_tokens(node: ir.Node) -> bool:
    """Whether a reduction is over the second axis of three, which goes."""
    given = array_of(node.inputs[1]) if len(node.inputs) > 1 else None
    axes = list(_attribute(node, "axes", [])) if given is None else given.reshape(-1).tolist()
    return axes in ([1], [-2]) and not _attribute(node, "keepdims", 1)


def _tells_text(value: ir.Value | None) -> bool:
    """Whether a value depends on what a message says, not on its length alone."""
    seen: set[ir.Value] = set()
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if one is None or one in seen:
            continue
        seen.add(one)
        if one.is_graph_input():
            return True
        node = one.producer()
        if node is not None and node.op_type != "Shape":
            waiting += node.inputs
    return False


def _attribute(node: ir.Node, name: str, default: Any) -> Any:
    found = node.attributes.get(name)
    return default if found is None else found.value
