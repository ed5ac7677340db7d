"""Standard cells by name: the combinational cells of the 45 nm PDK that EvoApproxLib is mapped to."""

from __future__ import annotations

import re
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


def verilog_blackboxes(sources: str) -> str:
    """Verilog that declares the ports of the standard cells that sources use and do not define themselves.

    Examples
    --------
    >>> print(verilog_blackboxes("module m(A, B, O); HAX1 u1 (.A(A), .B(B), .YS(O)); endmodule"))
    (* blackbox *) module HAX1(input A, B, output YS, YC); endmodule
    """
    words = set(re.findall(r"[A-Za-z_][A-Za-z0-9_$]*", sources))
    defined = set(re.findall(r"\b(?:module|macromodule)\s+([A-Za-z_][A-Za-z0-9_$]*)", sources))
    return "\n".join(
        f"(* blackbox *) module {name}(input {', '.join(cell.inputs)}, output {', '.join(cell.outputs)}); endmodule"
        for name, cell in STANDARD_CELLS.items()
        if name in words and name not in defined
    )
