"""Standard cells as Yosys and ABC are told of them: ports of cells that sources use, and the gates to map to."""

from __future__ import annotations

import re

from multipliers.errors import NetlistError
from multipliers.netlist.cells import GENERIC, standard_cell
from multipliers.netlist.library import TIES, Library, LibraryCell

MAX_INPUTS = 6
"""Widest cell that a design is mapped to; wider ones are read where a netlist holds them."""


def generic_source(source: str) -> str:
    """Verilog of EvoApproxLib with ``MUX2X1`` by its generic name; any other source as it is.

    Also where a file of that library spells the cell without ``PDKGEN``, it means ``S ? B : A``, as the C models of
    the same circuits show.
    """
    if "MUX2X1" not in source or not re.search("evoapprox|approxlib", source, re.IGNORECASE):
        return source
    return re.sub(r"\bMUX2X1\b", f"{GENERIC}MUX2X1", source)


def verilog_blackboxes(sources: str, library: Library | None = None) -> str:
    """Verilog that declares the ports of the library and standard cells that sources use and do not define.

    Examples
    --------
    >>> print(verilog_blackboxes("module m(A, B, O); HAX1 u1 (.A(A), .B(B), .YS(O)); endmodule"))
    (* blackbox *) module HAX1(input A, B, output YS, YC); endmodule
    """
    words = set(re.findall(r"[A-Za-z_][A-Za-z0-9_$]*", sources))
    words -= set(re.findall(r"\b(?:module|macromodule)\s+([A-Za-z_][A-Za-z0-9_$]*)", sources))
    lines = []
    for name in sorted(words):
        member = library.cells.get(name) if library else None
        standard = standard_cell(name)
        if member is not None:
            inputs, outputs = member.inputs, tuple(pin for pin, _ in member.functions)
        elif standard is not None:
            inputs, outputs = standard.inputs, standard.outputs
        else:
            continue
        ports = [f"{way} {', '.join(pins)}" for way, pins in (("input", inputs), ("output", outputs)) if pins]
        lines.append(f"(* blackbox *) module {name}({', '.join(ports)}); endmodule")
    return "\n".join(lines)


def genlib(library: Library) -> str:
    """Write the cells of one output of a library as gates that ABC maps to, all with the same delay.

    Raises
    ------
    NetlistError
        If there is no inverter, no buffer or no wider gate among them: ABC cannot do without.

    Examples
    --------
    >>> inverter = LibraryCell("INV", 1.0, ("A",), (("Y", 0b01),))
    >>> cells = [inverter, LibraryCell("BUF", 2.0, ("A",), (("Y", 0b10),)),
    ...          LibraryCell("NAND", 1.5, ("A", "B"), (("Y", 0b0111),))]
    >>> print(genlib(Library("tiny", {cell.name: cell for cell in cells})).splitlines()[2])
    GATE NAND 1.5 Y=(!A*!B)+(A*!B)+(!A*B); PIN * UNKNOWN 1 999 1.0 0.0 1.0 0.0
    """
    usable = [c for c in library.cells.values() if len(c.functions) == 1 and 1 <= len(c.inputs) <= MAX_INPUTS]
    tables = {(len(cell.inputs), cell.functions[0][1]) for cell in usable}
    lacking = [name for name, table in (("inverter", (1, 0b01)), ("buffer", (1, 0b10))) if table not in tables]
    if lacking or all(n < 2 for n, _ in tables):
        raise NetlistError(
            f"the library {library.name!r} holds no {' and no '.join(lacking) or 'wider gate'} "
            f"(of {len(library.cells)} cells, {len(usable)} can be mapped to); a design cannot be mapped to it"
        )
    ties = [f"GATE {name} 0 Y=CONST{constant.value};" for name, constant in TIES.items()]
    return "\n".join([_gate(cell) for cell in usable] + ties) + "\n"


def _gate(cell: LibraryCell) -> str:
    [(output, table)] = cell.functions
    rows = range(1 << len(cell.inputs))
    minterms = (
        "*".join(("" if row >> k & 1 else "!") + pin for k, pin in enumerate(cell.inputs))
        for row in rows
        if table >> row & 1
    )
    function = "+".join(f"({minterm})" for minterm in minterms) or "CONST0"
    return f"GATE {cell.name} {cell.area!r} {output}={function}; PIN * UNKNOWN 1 999 1.0 0.0 1.0 0.0"
