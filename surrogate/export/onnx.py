"""A surrogate as an ONNX graph of standard operators: the product of two tensors, element by element."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from multipliers.operands import IntArray, OperandFormat
from surrogate.basis import (
    AllBits,
    BasisFunction,
    Bit,
    Constant,
    FactorArray,
    Identity,
    IsZero,
    LeadingOneTable,
    LeadingOneTruncate,
    Mod,
    NearestPower,
    Odd,
    Sign,
    Sum,
    Table,
    Truncate,
    Window,
)
from surrogate.errors import SurrogateError
from surrogate.export.naming import headline
from surrogate.export.onnx_graph import Graph, Value
from surrogate.model import Surrogate, Term


def to_onnx(surrogate: Surrogate, rank: int = 2) -> onnx.ModelProto:
    """Write a model of operator set 17 with the int64 inputs ``a`` and ``b``, which broadcast, and output ``product``.

    The output is int64, or float64 where the surrogate is not made of integers; the same values as the surrogate, bit
    for bit. ONNX has no assertions: operands out of range are the caller's responsibility (a table then fails or, for
    too small an operand, reads from its end).

    Parameters
    ----------
    surrogate : Surrogate
        What to write.
    rank : int
        Number of axes of both inputs, which ONNX wants to know; their lengths are free.

    Raises
    ------
    SurrogateError
        If ``rank`` is negative.

    Examples
    --------
    >>> import multipliers, surrogate
    >>> from onnx.reference import ReferenceEvaluator
    >>> model = to_onnx(surrogate.discover(multipliers.get("trunc4u_t2")))
    >>> ReferenceEvaluator(model).run(None, {"a": np.array([[7], [3]]), "b": np.array([5, 15])})[0].tolist()
    [[16, 48], [0, 0]]
    """
    if rank < 0:
        raise SurrogateError(f"rank must be 0 (single numbers) or more axes, got {rank!r}")
    graph = Graph()
    values = [_term(graph, term, surrogate) for term in surrogate.terms]
    depends = [any(getattr(term, x) != Constant() for term in surrogate.terms) for x in "ab"]
    if not all(depends):  # the product has the shape of both operands all the same
        values.append(Value(graph.node("Mul", graph.node("Add", "a", "b"), graph.constant(0))))
    total = _fold(graph, "Add", values)
    shapes = [[f"{x}_{axis}" for axis in range(rank)] for x in ("a", "b", "product")]
    operands = [
        helper.make_tensor_value_info(x, TensorProto.INT64, shape) for x, shape in zip("ab", shapes, strict=False)
    ]
    ranges = "; ".join(f"{x} from {o.minimum} to {o.maximum}" for x, o in (("a", surrogate.a), ("b", surrogate.b)))
    return graph.model("multiply", operands, total, shapes[2], f"{headline(surrogate)}. Operands: {ranges}.")


def onnx_bytes(surrogate: Surrogate) -> bytes:
    """Serialise the model; equal surrogates give equal bytes."""
    data: bytes = to_onnx(surrogate).SerializeToString(deterministic=True)
    return data


def read_onnx(data: bytes) -> Callable[[IntArray, IntArray], FactorArray]:
    """Return the function that a file computes, by the reference implementation of the onnx package."""
    from onnx.reference import ReferenceEvaluator

    evaluator: Any = ReferenceEvaluator(onnx.load_model_from_string(data))

    def evaluate(a: IntArray, b: IntArray) -> FactorArray:
        x, y = np.broadcast_arrays(a, b)
        rows = {"a": x.reshape(1, -1), "b": y.reshape(1, -1)}  # the two axes of the default model
        return np.asarray(evaluator.run(None, rows)[0]).reshape(x.shape)

    return evaluate


def _term(graph: Graph, term: Term, surrogate: Surrogate) -> Value:
    """``(coefficient * a) * b`` in the order and datatypes of the surrogate, factors of 1 left out."""
    factors = [] if term.coefficient == 1 else [_number(graph, term.coefficient)]
    for function, x, operand in ((term.a, "a", surrogate.a), (term.b, "b", surrogate.b)):
        if function != Constant():
            factors.append(_function(graph, function, x, operand))
    return _fold(graph, "Mul", factors or [_number(graph, 1)])


def _fold(graph: Graph, operator: str, values: Sequence[Value]) -> Value:
    """``((values[0] * values[1]) * values[2]) ...``, or with another operator."""
    total = values[0]
    for value in values[1:]:
        total = graph.combine(operator, total, value)
    return total


def _number(graph: Graph, value: int | float) -> Value:
    return Value(graph.constant(value), isinstance(value, int))


def _function(graph: Graph, function: BasisFunction, x: str, operand: OperandFormat) -> Value:
    node, constant = graph.node, graph.constant
    match function:
        case Constant():
            return Value(constant(1))
        case Identity():
            return Value(x)
        case Mod(bits=bits):
            return Value(_mod(graph, x, bits))
        case Bit(position=position):
            low = _mod(graph, x, position + 1)
            return Value(graph.as_integer(node("GreaterOrEqual", low, constant(1 << position))))
        case Truncate(bits=bits):
            return Value(node("Sub", x, _mod(graph, x, bits)))
        case Sign():
            return Value(_sign(graph, x))
        case IsZero():
            return Value(graph.as_integer(node("Equal", x, constant(0))))
        case AllBits(mask=mask):
            positions = [i for i in range(mask.bit_length()) if mask >> i & 1]
            bits_set = [_function(graph, Bit(i), x, operand) for i in positions]
            return _fold(graph, "Mul", bits_set)
        case LeadingOneTruncate():
            return Value(node("Mul", _sign(graph, x), _leading_bits(graph, function, node("Abs", x), operand)))
        case NearestPower(three_down=three_down):
            size = node("Abs", x)
            power = _power(graph, _leading_one(graph, size, operand), operand)
            double, triple = (node("Mul", constant(n), power) for n in (2, 3))
            upwards = node("GreaterOrEqual", node("Mul", constant(2), size), triple)
            nearest = node("Where", upwards, double, power)
            if three_down:
                nearest = node("Where", node("Equal", size, constant(3)), constant(2), nearest)
            return Value(node("Mul", _sign(graph, x), nearest))
        case LeadingOneTable():
            return _mantissa_table(graph, function, x, operand)
        case Odd(function=inner):
            sign = node("Where", node("Less", x, constant(0)), constant(-1), constant(1))
            return graph.combine("Mul", Value(sign), _function(graph, inner, node("Abs", x), operand))
        case Window(function=inner, low=low_end, high=high_end):
            value, size = _function(graph, inner, x, operand), node("Abs", x)
            if low_end is not None:
                inside = graph.as_integer(node("GreaterOrEqual", size, constant(1 << low_end)))
                value = graph.combine("Mul", value, Value(inside))
            if high_end is not None:
                value = graph.combine(
                    "Mul", value, Value(graph.as_integer(node("Less", size, constant(1 << high_end))))
                )
            return value
        case Sum(parts=parts):
            added = [graph.combine("Mul", Value(constant(c)), _function(graph, g, x, operand)) for c, g in parts]
            return _fold(graph, "Add", added)
        case Table(values=values):
            return graph.lookup(values, node("Sub", x, constant(operand.minimum)) if operand.minimum else x)
    raise SurrogateError(f"the basis function {function.kind!r} has no ONNX graph")


def _sign(graph: Graph, x: str) -> str:
    """-1, 0 or 1 without the operator Sign, which onnxruntime 1.31 gets wrong from 2**31 on."""
    zero = graph.constant(0)
    above, below = (graph.as_integer(graph.node(operator, x, zero)) for operator in ("Greater", "Less"))
    return graph.node("Sub", above, below)


def _mod(graph: Graph, x: str, bits: int) -> str:
    """Floor modulus: that of ONNX has the sign of the divisor, as Python's."""
    return graph.node("Mod", x, graph.constant(1 << bits))


def _leading_one(graph: Graph, size: str, operand: OperandFormat) -> str:
    """``floor(log2 size)``, 0 at 0: how many of 2, 4, 8, ... are not above; logarithms would round."""
    steps = graph.constant([1 << k for k in range(1, max(operand.bits, 2))])
    last = graph.constant([-1])
    reached = graph.node("GreaterOrEqual", graph.node("Unsqueeze", size, last), steps)
    return graph.node("ReduceSum", graph.as_integer(reached), last, keepdims=0)


def _power(graph: Graph, exponent: str, operand: OperandFormat) -> str:
    return graph.node("Gather", graph.constant([1 << k for k in range(operand.bits + 1)]), exponent)


def _leading_bits(graph: Graph, function: LeadingOneTruncate, size: str, operand: OperandFormat) -> str:
    """Clear the lowest ``t`` bits; if unbiased set bit ``t`` where ``t > 0``: ``q | 1 = q - q mod 2 + 1``."""
    below = graph.node("Sub", _leading_one(graph, size, operand), graph.constant(function.bits - 1))
    shift = graph.node("Max", below, graph.constant(0))
    unit = _power(graph, shift, operand)
    kept = graph.node("Sub", size, graph.node("Mod", size, unit))
    if not function.unbiased:
        return kept
    even = graph.node("Sub", size, graph.node("Mod", size, graph.node("Mul", graph.constant(2), unit)))
    return graph.node("Where", graph.node("Greater", shift, graph.constant(0)), graph.node("Add", even, unit), kept)


def _mantissa_table(graph: Graph, function: LeadingOneTable, x: str, operand: OperandFormat) -> Value:
    """``sign(x) * floor(2**k * values[i] / 2**scale)`` with ``i = floor((size - 2**k) * 2**bits / 2**k)``."""
    size = graph.node("Max", graph.node("Abs", x), graph.constant(1))
    power = _power(graph, _leading_one(graph, size, operand), operand)
    rest = graph.node("Mul", graph.node("Sub", size, power), graph.constant(1 << function.bits))
    values = graph.lookup(function.values, graph.node("Div", rest, power))
    product = graph.combine("Mul", values, Value(power))
    if function.scale:
        remainder = _mod(graph, product.name, function.scale)
        product = Value(
            graph.node("Div", graph.node("Sub", product.name, remainder), graph.constant(1 << function.scale))
        )
    return graph.combine("Mul", Value(_sign(graph, x)), product)
