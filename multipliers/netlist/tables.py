"""Truth tables and covers as gates."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from multipliers.netlist.assembly import Cell, Constant, Net

MAX_COVER_INPUTS = 6
"""Covers up to here become one gate; a table of more inputs is wider than a word."""

_PLAIN = (
    "buf",
    "not",
    "and",
    "or",
    "nand",
    "nor",
    "xor",
    "xnor",
    "andnot",
    "ornot",
    "aoi21",
    "oai21",
    "aoi22",
    "oai22",
)


def table_cell(inputs: Sequence[Net], output: Net, table: int) -> Cell:
    """Return the gate of a truth table (see `multipliers.netlist.Gate`): a constant, a plain kind or a ``lut``.

    Examples
    --------
    >>> table_cell(["a", "b"], "o", 0b0111).kind
    'nand'
    """
    n = len(inputs)
    if table in (0, (1 << (1 << n)) - 1):
        return Cell("wire", (Constant.ONE if table else Constant.ZERO,), (output,))
    kind = _kinds(n).get(table, "lut")
    if kind == "swapped":
        kind, inputs = ("andnot" if table == 0b0100 else "ornot"), (inputs[1], inputs[0])
    return Cell(kind, tuple(inputs), (output,), table if kind == "lut" else 0)


@functools.cache
def _kinds(n: int) -> dict[int, str]:
    """Truth tables of n inputs that have a name."""
    if n > MAX_COVER_INPUTS:
        return {}
    rows = [[(i >> k) & 1 for k in range(n)] for i in range(1 << n)]
    values = {
        "and": [all(x) for x in rows],
        "or": [any(x) for x in rows],
        "nand": [not all(x) for x in rows],
        "nor": [not any(x) for x in rows],
        "xor": [sum(x) % 2 == 1 for x in rows],
        "xnor": [sum(x) % 2 == 0 for x in rows],
    }
    if n == 1:
        values = {"buf": [False, True], "not": [True, False]}
    if n == 2:
        values["andnot"] = [x[0] > x[1] for x in rows]
        values["ornot"] = [x[0] >= x[1] for x in rows]
    if n == 3:
        values["aoi21"] = [not (x[0] & x[1] | x[2]) for x in rows]
        values["oai21"] = [not ((x[0] | x[1]) & x[2]) for x in rows]
        values["mux"] = [bool(x[1] if x[2] else x[0]) for x in rows]
    if n == 4:
        values["aoi22"] = [not (x[0] & x[1] | x[2] & x[3]) for x in rows]
        values["oai22"] = [not ((x[0] | x[1]) & (x[2] | x[3])) for x in rows]
    named = {sum(1 << i for i, value in enumerate(column) if value): kind for kind, column in values.items()}
    if n == 2:
        named[0b0100] = named[0b1101] = "swapped"  # ~a & b, ~a | b
    return named


def cover_cells(inputs: Sequence[Net], output: Net, cubes: Sequence[str], ones: bool) -> list[Cell]:
    """Gates of a sum of products.

    Parameters
    ----------
    inputs : sequence of hashable
        Nets that the characters of a cube stand for.
    output : hashable
        Net driven.
    cubes : sequence of str
        ``0``, ``1`` or ``-`` (either) for each input.
    ones : bool
        Whether the cubes are where the output is 1, else where it is 0. No cube at all is the constant 0.

    Examples
    --------
    >>> [cell.kind for cell in cover_cells(["a", "b"], "o", ["1-", "-1"], True)]
    ['or']
    """
    if not cubes:
        return [Cell("wire", (Constant.ZERO,), (output,))]
    if len(inputs) <= MAX_COVER_INPUTS:
        return [table_cell(inputs, output, _table(len(inputs), cubes, ones))]
    cells: list[Cell] = []
    terms: list[Net] = []
    inverses: dict[Net, Net] = {}
    for i, cube in enumerate(cubes):
        literals: list[Net] = []
        for net, value in zip(inputs, cube, strict=True):
            if value == "0" and net not in inverses:
                inverses[net] = ("not", output, net)
                cells.append(Cell("not", (net,), (inverses[net],)))
            if value != "-":
                literals.append(net if value == "1" else inverses[net])
        if not literals:
            return [Cell("wire", (Constant.ONE if ones else Constant.ZERO,), (output,))]
        term: Net = literals[0]
        if len(literals) > 1:
            term = ("term", output, i)
            cells.append(Cell("and", tuple(literals), (term,)))
        terms.append(term)
    if len(terms) == 1:
        cells.append(Cell("buf" if ones else "not", (terms[0],), (output,)))
    else:
        cells.append(Cell("or" if ones else "nor", tuple(terms), (output,)))
    return cells


def _table(n: int, cubes: Sequence[str], ones: bool) -> int:
    full = (1 << (1 << n)) - 1
    columns = [sum(1 << i for i in range(1 << n) if (i >> k) & 1) for k in range(n)]
    table = 0
    for cube in cubes:
        rows = full
        for column, value in zip(columns, cube, strict=True):
            rows &= full if value == "-" else column if value == "1" else ~column
        table |= rows
    return table if ones else full & ~table
