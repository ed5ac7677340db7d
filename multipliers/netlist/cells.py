"""Standard cells by name: the combinational cells of the 45 nm PDK that EvoApproxLib is mapped to."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class StandardCell:
    """A library cell: the gate kind, and its pins in the order of that kind's inputs and outputs."""

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def _cells() -> dict[str, StandardCell]:
    def cell(kind: str, inputs: str, outputs: str = "Y") -> StandardCell:
        return StandardCell(kind, tuple(inputs.split()), tuple(outputs.split()))

    known = {
        "AOI21X1": cell("aoi21", "A B C"),
        "AOI22X1": cell("aoi22", "A B C D"),
        "OAI21X1": cell("oai21", "A B C"),
        "OAI22X1": cell("oai22", "A B C D"),
        "HAX1": cell("ha", "A B", "YS YC"),
        "FAX1": cell("fa", "A B C", "YS YC"),
        "MUX2X1": cell("nmux", "B A S"),  # Y = ~(S ? A : B)
    }
    known |= {f"INVX{drive}": cell("not", "A") for drive in (1, 2, 4, 8)}
    known |= {f"{name}": cell("buf", "A") for name in ("BUFX2", "BUFX4", "CLKBUF1", "CLKBUF2", "CLKBUF3")}
    for kind in ("and", "or", "nand", "nor", "xor", "xnor"):
        for drive in (1, 2):
            known[f"{kind.upper()}2X{drive}"] = cell(kind, "A B")
    for kind in ("nand", "nor"):
        known[f"{kind.upper()}3X1"] = cell(kind, "A B C")
    return known


STANDARD_CELLS = _cells()
"""Cells of FreePDK45 with the OSU library (gscl45nm), by name."""


GENERIC = "PDKGEN"
"""What EvoApproxLib writes into names of cells where a file shall not need the PDK: ``PDKGENHAX1``."""

_GENERIC_MUX = StandardCell("mux", ("A", "B", "S"), ("Y",))  # Y = S ? B : A in the library's own models, C and Verilog


def standard_cell(name: str) -> StandardCell | None:
    """Return the standard cell of that name, or None.

    The generic files of EvoApproxLib spell the names with ``PDKGEN``, in some releases within a name and repeatedly
    (``XPDKGENNPDKGENOR2X1`` is ``XNOR2X1``); most of these files define such cells, not all do. Their ``MUX2X1`` is
    ``S ? B : A``, that of the PDK ``~(S ? A : B)``.

    Examples
    --------
    >>> standard_cell("NPDKGEPDKGENNAND2X1")
    StandardCell(kind='nand', inputs=('A', 'B'), outputs=('Y',))
    """
    plain = plain_name(name)
    return _GENERIC_MUX if plain == "MUX2X1" != name else STANDARD_CELLS.get(plain)


def plain_name(name: str) -> str:
    """Return the PDK's name of a cell that EvoApproxLib spells with ``PDKGEN``; any other name as it is."""
    while GENERIC in name:
        name = name.replace(GENERIC, "")
    return name
