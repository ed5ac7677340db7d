"""Libraries of standard cells: what a cell computes and its area, and the area of a circuit made of them."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from multipliers.errors import NetlistError
from multipliers.netlist.assembly import Cell, Constant, Net
from multipliers.netlist.cells import StandardCell, plain_name, standard_cell
from multipliers.netlist.circuit import Circuit
from multipliers.netlist.tables import table_cell

_ADDERS = {  # kind and the tables of sum and carry, by number of inputs
    2: ("ha", (0b0110, 0b1000)),
    3: ("fa", (0b1001_0110, 0b1110_1000)),
}

TIES: dict[str, Constant] = {"AXSURROGATE_ZERO": Constant.ZERO, "AXSURROGATE_ONE": Constant.ONE}
"""Cells that drive their pin Y with a constant and cost nothing: what constants are called while a design is mapped."""


@dataclass(frozen=True)
class LibraryCell:
    """A cell of a library.

    Attributes
    ----------
    name : str
    area : float
        In the library's unit, mostly square micrometres.
    inputs : tuple of str
        Input pins, in the order of the tables.
    functions : tuple of (str, int)
        Output pins with their truth tables, see `multipliers.netlist.Gate`.
    problem : str
        Why the cell cannot be simulated, such as ``"a register"``; empty for a combinational cell.
    """

    name: str
    area: float
    inputs: tuple[str, ...] = ()
    functions: tuple[tuple[str, int], ...] = ()
    problem: str = ""


@dataclass(frozen=True)
class Library:
    """Cells by name; `multipliers.readers.liberty.read_liberty` reads one."""

    name: str
    cells: Mapping[str, LibraryCell] = field(hash=False, repr=False)


@dataclass(frozen=True)
class Cost:
    """What a circuit is made of; see `cost`.

    Attributes
    ----------
    n_gates : int
        Gates, buffers included.
    gates : mapping of str to int
        Gates of each kind.
    depth : int
        Logic depth, see `Circuit.depth`.
    cells : mapping of str to int
        Library cells of each name; empty for a circuit of plain gates.
    area : float or None
        Sum of the cells' areas, in the library's unit; None where no library is given.
    """

    n_gates: int
    gates: Mapping[str, int]
    depth: int
    cells: Mapping[str, int]
    area: float | None = None


def cost(circuit: Circuit, library: Library | None = None) -> Cost:
    """Count gates, levels and cells of a circuit, and sum up areas where a library is given; see `area`.

    Examples
    --------
    >>> from multipliers.netlist.circuit import Gate, Port
    >>> circuit = Circuit("and", (Port("A", (2,)), Port("B", (3,))), (Port("O", (4,)),), (Gate("and", (2, 3)),))
    >>> cost(circuit)
    Cost(n_gates=1, gates={'and': 1}, depth=1, cells={}, area=None)
    """
    total = None if library is None else area(circuit, library)
    return Cost(circuit.n_gates, circuit.counts, circuit.depth, circuit.cells, total)


def area(circuit: Circuit, library: Library) -> float:
    """Sum of the areas of a circuit's cells, in the library's unit.

    Raises
    ------
    NetlistError
        If the circuit holds gates that are cells of no library, or cells that this one lacks; the message counts them
        and says how to map a design.

    Examples
    --------
    >>> from multipliers.netlist.circuit import Gate, Port
    >>> gates = (Gate("and", (2, 3), cell="AND2X1"),)
    >>> circuit = Circuit("and", (Port("A", (2,)), Port("B", (3,))), (Port("O", (4,)),), gates)
    >>> area(circuit, Library("tiny", {"AND2X1": LibraryCell("AND2X1", 2.35)}))
    2.35
    """
    plain = sum(gate.cell is None for gate in circuit.gates)
    lacking = {name: n for name, n in circuit.cells.items() if name not in library.cells}
    if plain or lacking:
        raise NetlistError(
            f"{circuit.name!r} has {plain} of {circuit.n_gates} gates that are no library cells, and cells that the "
            f"library {library.name!r} lacks: {lacking}; read its Verilog with liberty= to have it mapped"
        )
    return float(sum(library.cells[name].area * n for name, n in circuit.cells.items()))


def instantiate(
    name: str, pins: Mapping[str, Sequence[Net]], label: str, where: str, library: Library | None = None
) -> list[Cell] | None:
    """Gates of an instance of a library cell, or of a standard cell; None where there is no such cell.

    Raises
    ------
    NetlistError
        If the cell is not combinational, or pins are unknown, lack a net or have several.
    """
    if name in TIES:
        return [Cell("wire", (TIES[name],), tuple(pins["Y"]))]
    functions: tuple[tuple[str, int], ...] = ()
    if library is not None and name in library.cells:
        member = library.cells[name]
        if member.problem:
            raise NetlistError(f"{where} is a {name}, {member.problem}; only combinational circuits are simulated")
        standard, inputs, functions = _adder(member), member.inputs, member.functions
    else:
        standard = standard_cell(name)
        if standard is None:
            return None
        inputs = standard.inputs
    outputs = standard.outputs if standard else tuple(pin for pin, _ in functions)
    read, driven = connect(name, inputs, outputs, pins, label, where)
    if standard:
        return [Cell(standard.kind, read, driven, cell=plain_name(name))]
    return [
        _labelled(table_cell(read, net, table), "" if i else name)
        for i, (net, (_, table)) in enumerate(zip(driven, functions, strict=True))
    ]


def connect(
    kind: str,
    inputs: Sequence[str],
    outputs: Sequence[str],
    pins: Mapping[str, Sequence[Net]],
    label: str,
    where: str,
) -> tuple[tuple[Net, ...], tuple[Net, ...]]:
    """Nets of the single-bit in- and outputs of a cell; outputs may be left open.

    Raises
    ------
    NetlistError
        If pins are unknown, are not one bit, or an input is not connected; the message lists them.
    """
    unknown = set(pins) - set(inputs) - set(outputs)
    wide = [pin for pin, nets in pins.items() if len(nets) != 1]
    missing = [pin for pin in inputs if pin not in pins]
    if unknown or wide or missing:
        raise NetlistError(
            f"{where}, a {kind}, has the pins {', '.join((*inputs, *outputs))} of one bit each: "
            f"unknown {sorted(unknown)}, not one bit {wide}, not connected {missing}"
        )
    driven = tuple(pins[pin][0] if pin in pins else ("open", label, pin) for pin in outputs)
    return tuple(pins[pin][0] for pin in inputs), driven


def _labelled(cell: Cell, name: str) -> Cell:
    """Cell of a library; one that ties a net to a constant is a gate too, for it has an area."""
    return Cell("buf" if cell.kind == "wire" else cell.kind, cell.inputs, cell.outputs, cell.table, name)


@functools.cache
def _adder(member: LibraryCell) -> StandardCell | None:
    """Half or full adder that a library cell is, whatever its pins are called."""
    kind, tables = _ADDERS.get(len(member.inputs), ("", ()))
    pins = {table: pin for pin, table in member.functions}
    if len(member.functions) != 2 or set(pins) != set(tables):
        return None
    return StandardCell(kind, member.inputs, tuple(pins[table] for table in tables))
