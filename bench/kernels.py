"""Which fused kernels pay on this processor: each against the nodes that it replaces."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from bench.figures import Figure, Settings

if TYPE_CHECKING:
    import onnx_ir as ir
    from onnx_ir.tape import Tape

F32 = NDArray[np.float32]
ROUNDS = 60
SHAPES = ((32, 256), (128, 256), (128, 384), (256, 256))  # tokens, width
HEADS = 4
Constant = Callable[[Any], "ir.Value"]
Build = Callable[["Tape", Constant, "ir.Value", "ir.Value"], "ir.Value"]
CONTRIBUTED = "com.microsoft"


def kernels(settings: Settings) -> Iterator[Figure]:
    """Time of a fused kernel over that of what it replaces: below 1 it pays."""
    if find_spec("onnx_ir") is None:  # of the extra [compile]
        return
    for tokens, width in SHAPES:
        chance = np.random.default_rng(0)
        for name, (apart, together) in _pairs(chance, tokens, width).items():
            cells = (1, tokens, width)
            feeds = {n: chance.normal(size=cells).astype(np.float32) for n in ("x", "skip")}
            sessions = [_session(build, cells) for build in (apart, together)]
            seconds = _race(sessions, feeds, ROUNDS // (10 if settings.quick else 1))
            subject = f"{name}, {tokens} tokens of {width}"
            yield Figure("kernels", subject, "us apart", 1e6 * seconds[0])
            yield Figure("kernels", subject, "us fused", 1e6 * seconds[1])
            yield Figure("kernels", subject, "fused / apart", seconds[1] / seconds[0])


def _pairs(chance: np.random.Generator, tokens: int, width: int) -> dict[str, tuple[Build, Build]]:
    def drawn(*shape: int) -> F32:
        return (0.05 * chance.normal(size=shape)).astype(np.float32)

    one, bias, shift = np.ones(width, np.float32), drawn(width), drawn(width)
    kernels_, biases = [drawn(width, width) for _ in range(3)], [drawn(width) for _ in range(3)]
    packed = np.concatenate(kernels_, axis=1), np.concatenate(biases)
    each = width // HEADS

    def skip_apart(to: Tape, c: Constant, x: ir.Value, skip: ir.Value) -> ir.Value:
        total = to.op("Add", [to.op("Add", [x, c(bias)]), skip])
        return to.op("LayerNormalization", [total, c(one), c(shift)], {"axis": -1})

    def skip_fused(to: Tape, c: Constant, x: ir.Value, skip: ir.Value) -> ir.Value:
        inputs = [x, skip, c(one), c(shift), c(bias)]
        return to.op("SkipLayerNormalization", inputs, domain=CONTRIBUTED)

    def gelu_apart(to: Tape, c: Constant, x: ir.Value, skip: ir.Value) -> ir.Value:
        return to.op("Gelu", [to.op("Add", [x, c(bias)])])

    def gelu_fused(to: Tape, c: Constant, x: ir.Value, skip: ir.Value) -> ir.Value:
        return to.op("BiasGelu", [x, c(bias)], domain=CONTRIBUTED)

    def attention_apart(to: Tape, c: Constant, x: ir.Value, skip: ir.Value) -> ir.Value:
        def heads(kernel: F32, bias: F32, order: list[int]) -> ir.Value:
            y = to.op("Add", [to.op("MatMul", [x, c(kernel)]), c(bias)])
            y = to.op("Reshape", [y, c(np.array([0, 0, HEADS, each]))])
            return to.op("Transpose", [y], {"perm": order})

        orders = ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3])
        q, k, v = (heads(*part) for part in zip(kernels_, biases, orders, strict=True))
        scores = to.op("Mul", [to.op("MatMul", [q, k]), c(np.float32(each**-0.5))])
        mixed = to.op("MatMul", [to.op("Softmax", [scores], {"axis": -1}), v])
        mixed = to.op("Transpose", [mixed], {"perm": [0, 2, 1, 3]})
        return to.op("Reshape", [mixed, c(np.array([0, 0, width]))])

    def attention_fused(to: Tape, c: Constant, x: ir.Value, skip: ir.Value) -> ir.Value:
        inputs = [x, *(c(value) for value in packed)]
        return to.op("Attention", inputs, {"num_heads": HEADS}, domain=CONTRIBUTED)

    return {
        "SkipLayerNormalization": (skip_apart, skip_fused),
        "BiasGelu": (gelu_apart, gelu_fused),
        "Attention": (attention_apart, attention_fused),
    }


def _session(build: Build, cells: tuple[int, ...]) -> Any:
    """A graph of one kernel, run as it is written, in one thread."""
    import onnx_ir as ir
    from onnx_ir.tape import Tape

    tape = Tape()
    inputs = [ir.val(name, ir.DataType.FLOAT, list(cells)) for name in ("x", "skip")]

    def constant(value: Any) -> ir.Value:
        return tape.initializer(ir.tensor(value, name=f"c{len(tape.initializers)}"))

    out = build(tape, constant, *inputs)
    out.name, out.type = "y", ir.TensorType(ir.DataType.FLOAT)
    graph = ir.Graph(
        inputs,
        [out],
        nodes=tape.nodes,
        initializers=tape.initializers,
        opset_imports={"": 20, CONTRIBUTED: 1},
        name="kernel",
    )
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    data = ir.to_proto(ir.Model(graph, ir_version=10)).SerializeToString()
    return ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def _race(sessions: list[Any], feeds: dict[str, F32], rounds: int) -> list[float]:
    """Median CPU seconds of each, taken in turns; both must compute the same."""
    first, second = (session.run(None, feeds)[0] for session in sessions)
    assert np.allclose(first, second, atol=1e-4), "the two do not compute the same"
    seconds: list[list[float]] = [[] for _ in sessions]
    for _ in range(rounds):
        for found, session in zip(seconds, sessions, strict=True):
            start = time.thread_time()
            session.run(None, feeds)
            found.append(time.thread_time() - start)
    return [statistics.median(found) for found in seconds]
