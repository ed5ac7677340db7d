"""A surrogate with given weights as an ONNX graph: a whole layer as one matrix product of looked-up factors."""

from __future__ import annotations

import math

import numpy as np
import onnx
from numpy.typing import ArrayLike
from onnx import TensorProto, helper

from surrogate.errors import SurrogateError
from surrogate.export.naming import headline
from surrogate.export.onnx_graph import Graph, Value
from surrogate.factors import Factors
from surrogate.model import Surrogate

MAX_TABLE = 1 << 20
"""Most values of an operand whose factors are stored as tables."""


def to_onnx_layer(surrogate: Surrogate, weights: ArrayLike, rank: int = 2) -> onnx.ModelProto:
    """Write the layer ``product[..., n] = sum_k s(a[..., k], weights[k, n])`` with operator set 17.

    The activations are looked up in the k tables of `Surrogate.factors` and set side by side; the factors of the
    weights are stored one above the other, so one MatMul does all products. It runs in float32 if no sum can reach
    2**24, in float64 if none can reach 2**53, else in int64: integers are never rounded.

    Parameters
    ----------
    surrogate : Surrogate
        Activations are its operand ``a``, weights its operand ``b``.
    weights : array_like of int, shape (K, N)
        Quantised weights.
    rank : int
        Number of axes of the input ``a``, int64, the last of length K.

    Returns
    -------
    onnx.ModelProto
        Its output ``product`` is int64, or float64 where the surrogate is not made of integers (then equal up to
        rounding). ONNX has no assertions: activations out of range are the caller's responsibility.

    Raises
    ------
    SurrogateError
        If the weights are no matrix, ``rank`` is below 1, or the operands are too wide for tables.
    OperandTypeError, OperandRangeError
        If a weight is no integer, or out of range.

    Examples
    --------
    >>> import multipliers, surrogate
    >>> from onnx.reference import ReferenceEvaluator
    >>> m = multipliers.get("trunc4u_t2")
    >>> layer = to_onnx_layer(surrogate.discover(m), [[5], [15]])
    >>> ReferenceEvaluator(layer).run(None, {"a": np.array([[7, 9]])})[0].tolist(), int(m(7, 5) + m(9, 15))
    ([[112]], 112)
    """
    chosen = surrogate.b.check(weights, "b")
    if chosen.ndim != 2 or chosen.size == 0:
        raise SurrogateError(f"weights must be a matrix of shape (K, N), got an array of shape {chosen.shape}")
    if rank < 1:
        raise SurrogateError(f"rank must be 1 or more axes, the last of them the sum's, got {rank!r}")
    if max(surrogate.a.size, surrogate.b.size) > MAX_TABLE:
        raise SurrogateError(
            f"{surrogate.a} x {surrogate.b} operands are too wide for tables of factors (at most {MAX_TABLE} values); "
            f"use to_onnx, which computes them"
        )
    factors = surrogate.factors()
    if factors.n_products == 0:
        factors = factors.as_products()
    kind = _datatype(factors, len(chosen))
    graph = Graph()
    minimum = surrogate.a.minimum
    index = graph.node("Sub", "a", graph.constant(minimum)) if minimum else "a"
    total = _products(graph, factors, index, chosen - surrogate.b.minimum, kind)
    if factors.additive_a is not None:
        looked_up = graph.node("Gather", graph.constant(factors.additive_a.astype(kind)), index)
        total = graph.node("Add", total, graph.node("ReduceSum", looked_up, graph.constant([-1]), keepdims=1))
    if factors.additive_b is not None:
        bias = factors.additive_b[chosen - surrogate.b.minimum].sum(axis=0)
        total = graph.node("Add", total, graph.constant(bias.astype(kind)))
    if surrogate.is_integer and kind != np.int64:
        total = graph.as_integer(total)
    batch = [f"axis_{axis}" for axis in range(rank - 1)]
    activations = helper.make_tensor_value_info("a", TensorProto.INT64, [*batch, len(chosen)])
    words = (
        f"{headline(surrogate)}. A layer of {chosen.shape[0]} x {chosen.shape[1]} weights; activations {surrogate.a}."
    )
    return graph.model("layer", [activations], Value(total, surrogate.is_integer), [*batch, chosen.shape[1]], words)


def _products(graph: Graph, factors: Factors, index: str, weights: np.ndarray, kind: np.dtype) -> str:
    """``concat_j left_j[a] @ stack_j right_j[weights]``; all zero where there are no products."""
    if factors.n_products == 0:
        zero = graph.node("Gather", graph.constant(np.zeros(len(factors.left), kind)), index)
        return graph.node("MatMul", zero, graph.constant(np.zeros(weights.shape, kind)))
    columns = [graph.node("Gather", graph.constant(left.astype(kind)), index) for left in factors.left.T]
    side_by_side = columns[0] if len(columns) == 1 else graph.node("Concat", *columns, axis=-1)
    stacked = np.concatenate([right[weights] for right in factors.right.T]).astype(kind)
    return graph.node("MatMul", side_by_side, graph.constant(stacked))


def _datatype(factors: Factors, length: int) -> np.dtype:
    """Narrowest datatype, of those that MatMul is fast in, that holds every sum of ``length`` products exactly."""
    if not factors.is_integer:
        return np.dtype(np.float64)
    reach = factors.product_bound() * length
    if not math.isfinite(reach) or reach >= 1 << 63:
        raise SurrogateError(f"sums of {length} products could reach {reach:.3g}, beyond int64; split the layer")
    return np.dtype(np.float32 if reach < 1 << 24 else np.float64 if reach < 1 << 53 else np.int64)
