"""ONNX graphs in the making: nodes and constants, each written once, and models of a fixed operator set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike, NDArray
from onnx import TensorProto, helper, numpy_helper

from multipliers.release import release

OPSET = 17
"""Operator set of the files, from 2022: all current runtimes have it."""

IR_VERSION = 8
"""Version of the file format that came with this operator set."""


@dataclass(frozen=True)
class Value:
    """A tensor of the graph.

    Attributes
    ----------
    name : str
        Unique in the graph.
    is_integer : bool
        int64, else float64.
    """

    name: str
    is_integer: bool = True


class Graph:
    """Nodes and constants of a graph; what is asked for twice is written once.

    Examples
    --------
    >>> graph = Graph()
    >>> low = graph.node("Mod", "a", graph.constant(4))
    >>> graph.node("Mod", "a", graph.constant(4)) == low, [n.op_type for n in graph.nodes]
    (True, ['Mod'])
    """

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self._names: dict[object, str] = {}

    def constant(self, value: ArrayLike) -> str:
        """Store a constant, int64 or of its own datatype, and return its name."""
        array = np.array(value)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._names:
            self._names[key] = f"c{len(self.constants)}"
            self.constants.append(numpy_helper.from_array(array, self._names[key]))
        return self._names[key]

    def node(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Apply a standard operator and return the name of its one output."""
        key = (operator, inputs, tuple(sorted(attributes.items())))
        if key not in self._names:
            self._names[key] = f"n{len(self.nodes)}"
            self.nodes.append(helper.make_node(operator, inputs, [self._names[key]], **attributes))
        return self._names[key]

    def as_integer(self, condition: str) -> str:
        """Turn booleans into 0 and 1."""
        return self.node("Cast", condition, to=TensorProto.INT64)

    def as_float(self, value: Value) -> Value:
        """Turn integers into float64; floats stay what they are."""
        return Value(self.node("Cast", value.name, to=TensorProto.DOUBLE), False) if value.is_integer else value

    def combine(self, operator: str, left: Value, right: Value) -> Value:
        """Apply an operator of two numbers; integers become floats beside a float, as in NumPy."""
        if left.is_integer != right.is_integer:
            left, right = self.as_float(left), self.as_float(right)
        return Value(self.node(operator, left.name, right.name), left.is_integer)

    def lookup(self, values: NDArray[np.int64] | NDArray[np.float64], index: str) -> Value:
        """Look values up in a table, which is stored in the narrowest integers that hold it."""
        if values.dtype.kind == "f":
            return Value(self.node("Gather", self.constant(values), index), False)
        kinds = [np.dtype(kind) for kind in ("int8", "int16", "int32", "int64")]
        ends = (int(values.min()), int(values.max()))
        narrow = next(k for k in kinds if np.iinfo(k).min <= ends[0] and ends[1] <= np.iinfo(k).max)
        found = self.node("Gather", self.constant(values.astype(narrow)), index)
        return Value(found if narrow == kinds[-1] else self.as_integer(found))

    def model(
        self,
        name: str,
        inputs: Sequence[onnx.ValueInfoProto],
        output: Value,
        shape: Sequence[int | str],
        doc: str,
    ) -> onnx.ModelProto:
        """Finish: the model with ``output`` as its one output, called ``product``, checked.

        Raises
        ------
        onnx.checker.ValidationError
            If the graph is no valid ONNX.
        """
        self.nodes.append(helper.make_node("Identity", [output.name], ["product"]))
        kind = TensorProto.INT64 if output.is_integer else TensorProto.DOUBLE
        result = helper.make_tensor_value_info("product", kind, shape)
        graph = helper.make_graph(self.nodes, name, inputs, [result], self.constants, doc_string=doc)
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="axsurrogate",
            producer_version=release(),
        )
        onnx.checker.check_model(model, full_check=True)
        return model
