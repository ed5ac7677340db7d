"""Vectors of bits, and which of them are the operands and the product."""

from __future__ import annotations

import re
from collections.abc import Sequence

from multipliers.errors import NetlistError
from multipliers.netlist.circuit import Circuit

OPERAND_NAMES = (
    ("a", "b"),
    ("x", "y"),
    ("in_a", "in_b"),
    ("ina", "inb"),
    ("op_a", "op_b"),
    ("opa", "opb"),
    ("operand_a", "operand_b"),
    ("a_i", "b_i"),
    ("i_a", "i_b"),
    ("a_in", "b_in"),
    ("data_a", "data_b"),
    ("dataa", "datab"),
    ("multiplicand", "multiplier"),
    ("mcand", "mplier"),
)
"""Known names of the two operands, in their order; upper and lower case are the same."""

OUTPUT_NAMES = ("o", "z", "p", "y", "r", "out", "prod", "product", "res", "result", "o_o", "p_o", "out_o", "result_o")
"""Known names of the product, where a circuit has other outputs as well."""

_INDEXED = (
    re.compile(r"(?P<stem>.+)\[(?P<index>[0-9]{1,6})\]"),
    re.compile(r"(?P<stem>.+)<(?P<index>[0-9]{1,6})>"),
    re.compile(r"(?P<stem>.+)\((?P<index>[0-9]{1,6})\)"),
    re.compile(r"(?P<stem>.*[^0-9_])_(?P<index>[0-9]{1,6})_?"),
    re.compile(r"(?P<stem>.*[^0-9])(?P<index>[0-9]{1,6})"),
)


def group_bits(names: Sequence[str]) -> dict[str, list[str]]:
    """Group names of single bits into vectors, least significant bit (smallest index) first.

    Names such as ``a[3]``, ``a<3>``, ``a(3)``, ``a_3_``, ``a_3`` and ``a3`` belong to the vector ``a``; a name without
    an index is a vector of one bit.

    Raises
    ------
    NetlistError
        If an index is missing between others of its vector, or occurs twice.

    Examples
    --------
    >>> group_bits(["b[1]", "b[0]", "a"])
    {'b': ['b[0]', 'b[1]'], 'a': ['a']}
    """
    vectors: dict[str, dict[int, str]] = {}
    for name in names:
        match = next((m for m in (pattern.fullmatch(name) for pattern in _INDEXED) if m), None)
        stem, index = (match["stem"], int(match["index"])) if match else (name, -1)
        bits = vectors.setdefault(stem, {})
        if index in bits:
            raise NetlistError(f"bit {name!r} occurs twice, or also as {bits[index]!r}")
        bits[index] = name
    grouped: dict[str, list[str]] = {}
    for stem, bits in vectors.items():
        indices = sorted(bits)
        if indices[0] == -1 and len(indices) > 1:
            raise NetlistError(f"{bits[-1]!r} and {bits[indices[1]]!r} are one bit and a vector of the same name")
        if indices != list(range(indices[0], indices[0] + len(indices))):
            missing = next(i for i in range(indices[0], indices[-1]) if i not in bits)
            raise NetlistError(
                f"vector {stem!r} has bits {indices[0]} to {indices[-1]} without bit {missing}; add it to the ports"
            )
        grouped[stem] = [bits[i] for i in indices]
    return grouped


def find_operands(circuit: Circuit, operands: tuple[str, str] | None = None) -> tuple[str, str]:
    """Names of the input ports that are operand a and operand b.

    Raises
    ------
    NetlistError
        If the circuit does not have exactly two inputs, or the order is neither given nor known from the names.
    """
    names = [port.name for port in circuit.inputs]
    if len(names) != 2:
        shown = ", ".join(f"{p.name!r} ({p.width} bits)" for p in circuit.inputs[:12]) or "none"
        raise NetlistError(
            f"a multiplier has two inputs; circuit {circuit.name!r} has {len(names)}: {shown}. "
            f"Tie the others to constants in a wrapper module"
        )
    if operands is not None:
        if sorted(operands) != sorted(names):
            raise NetlistError(f"operands={tuple(operands)!r}, but the inputs of {circuit.name!r} are {names}")
        first, second = operands
        return first, second
    by_lower = {name.lower(): name for name in names}
    for first, second in OPERAND_NAMES:
        if set(by_lower) == {first, second}:
            return by_lower[first], by_lower[second]
    numbered = [re.fullmatch(r"(.*?)([0-9]+)", name) for name in names]
    if numbered[0] and numbered[1] and numbered[0][1] == numbered[1][1]:
        by_number = {int(match[2]): match[0] for match in numbered if match}
        if len(by_number) == 2:
            return by_number[min(by_number)], by_number[max(by_number)]
    raise NetlistError(
        f"cannot tell which of the inputs {names} of {circuit.name!r} is operand a; "
        f"pass operands=({names[0]!r}, {names[1]!r}) or the reverse"
    )


def find_output(circuit: Circuit, output: str | None = None) -> str:
    """Name of the output port that is the product.

    Raises
    ------
    NetlistError
        If there is none, or there are several and the choice is neither given nor known from the names.
    """
    if not circuit.outputs:
        raise NetlistError(f"circuit {circuit.name!r} has no output; a multiplier has one, the product")
    if not circuit.outputs:
        raise NetlistError(f"circuit {circuit.name!r} has no output; a multiplier has one, the product")
    if output is not None:
        return circuit.output(output).name
    names = [port.name for port in circuit.outputs]
    known = [name for name in names if name.lower() in OUTPUT_NAMES]
    if len(names) == 1:
        return names[0]
    if len(known) == 1:
        return known[0]
    shown = ", ".join(f"{p.name!r} ({p.width} bits)" for p in circuit.outputs[:12])
    raise NetlistError(f"cannot tell which output of {circuit.name!r} is the product: {shown}; pass output=")
