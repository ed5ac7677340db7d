"""The multiplier of Venkatachalam and Ko: propagate and generate signals in place of partial products."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import ClassVar

from multipliers.designs.compressor_tree import Cells, Columns, Logic, add_rows, compress, operand, placement
from multipliers.designs.compressors import TreeDesign
from multipliers.errors import ParameterError
from multipliers.netlist.assembly import Net, assemble
from multipliers.netlist.circuit import Circuit
from multipliers.operands import OperandFormat
from multipliers.registry import register

_BITS = 8


def compressor(logic: Logic, x: Sequence[Net], cin: Net) -> tuple[Net, Net, None]:
    """Approximate 4:2 compressor without ``cin`` and ``cout``."""
    low, high = logic.gate("and", x[0], x[1]), logic.gate("and", x[2], x[3])
    odd = [logic.gate("xor", x[0], x[1]), logic.gate("xor", x[2], x[3])]
    return logic.gate("or", *odd, logic.gate("and", low, high)), logic.gate("or", low, high), None


def adder(logic: Logic, x: Net, y: Net, z: Net | None = None) -> tuple[Net, Net]:
    """Approximate half adder, or full adder of three dots."""
    either = logic.gate("or", x, y)
    if z is None:
        return either, logic.gate("and", x, y)
    return logic.gate("xor", either, z), logic.gate("and", either, z)


@register
@dataclass(frozen=True)
class PropagateGenerate(TreeDesign):
    """Approximate multiplier of Venkatachalam and Ko (Multiplier1): altered partial products, approximate cells.

    In columns of more than three dots, each mirrored pair of partial products ``a[i] b[j]`` and ``a[j] b[i]`` becomes

        p_ij = a[i] b[j] | a[j] b[i]     g_ij = a[i] b[j] & a[j] b[i]

    and the generate signals ``g`` of a column are joined to one dot. The columns are then compressed to three dots and
    these to two by

        compressor   sum = (x1 ^ x2) | (x3 ^ x4) | (x1 & x2 & x3 & x4)     carry = x1 & x2 | x3 & x4
        full adder   sum = (x1 | x2) ^ x3                                  carry = (x1 | x2) & x3
        half adder   sum = x1 | x2                                         carry = x1 & x2

    and the last two rows by an exact adder.

    Parameters
    ----------
    a, b : OperandFormat
        8 bits each. (The paper's 16-bit multiplier, of MRE 7.6 %, is not established.)
    joined_by_or : int
        How the generate signals of a column are joined: 0 by *and*, as in the public Verilog of this multiplier, which
        is matched bit for bit; 1 by *or*, which loses something only where two of them are 1 (an interpretation). Label
        letter ``o``.

    Attributes
    ----------
    circuit : Circuit
        The unsigned core.

    Notes
    -----
    Sign rule: two's-complement magnitude (`MagnitudeDesign`).

    Error range: two-sided; zero preserving. Commutative.

    Source: S. Venkatachalam, S.-B. Ko, "Design of Power and Area Efficient Approximate Multipliers", IEEE TVLSI 25(5),
    2017.

    Examples
    --------
    >>> m = PropagateGenerate(OperandFormat(8), OperandFormat(8), joined_by_or=0)
    >>> m.name, int(m(200, 100)), int(m(255, 255)), m.circuit.n_gates
    ('venkatachalam8u_o0', 19232, 49151, 208)
    """

    a: OperandFormat
    b: OperandFormat
    joined_by_or: int

    family = "venkatachalam"
    letters: ClassVar[dict[str, str]] = {"o": "joined_by_or"}

    def __post_init__(self) -> None:
        if self.a.bits != _BITS or self.b.bits != _BITS:
            raise ParameterError(
                f"{type(self).__name__} is established for operands of {_BITS} bits, got {self.a} x {self.b}"
            )
        self._check_parameter("joined_by_or", 0, 1)

    @property
    def circuit(self) -> Circuit:
        """The unsigned core, gate by gate."""
        return _circuit("or" if self.joined_by_or else "and")


@cache
def _circuit(join: str) -> Circuit:
    logic, cells = Logic(), Cells(compressor, adder)
    a, b = operand("a", _BITS), operand("b", _BITS)
    columns = _altered_dots(logic, a, b, join)
    columns = compress(logic, columns, placement([len(c) for c in columns], 3, chained=False), lambda column: cells)
    total, central, carry = columns[12]
    columns[12] = [total, carry, central]  # the published circuit adds a[6] b[6] last
    rows: Columns = [[] for _ in columns]
    for index, column in enumerate(columns):
        if len(column) < 2:
            rows[index] += column
        else:
            total, carry = adder(logic, *column)
            rows[index].append(total)
            rows[index + 1].append(carry)
    name = f"venkatachalam{_BITS}u_{join}"
    return assemble(name, {"a": a, "b": b}, {"p": add_rows(logic, rows)}, logic.cells)


def _altered_dots(logic: Logic, a: Sequence[Net], b: Sequence[Net], join: str) -> Columns:
    """Columns of dots: mirrored pairs from the outer one in, the central dot, the joined generate signals."""
    columns: Columns = []
    for column in range(2 * _BITS):
        mirrored = [(column - j, j) for j in range(_BITS) if j < column - j < _BITS]
        pairs = [(logic.gate("and", a[i], b[j]), logic.gate("and", a[j], b[i])) for i, j in mirrored]
        middle, odd = divmod(column, 2)
        central = [] if odd or middle >= _BITS else [logic.gate("and", a[middle], b[middle])]
        if 2 * len(pairs) + len(central) <= 3:
            columns.append([dot for pair in pairs for dot in pair] + central)
        else:
            propagate = [logic.gate("or", *pair) for pair in pairs]
            generate = [logic.gate("and", *pair) for pair in pairs]
            columns.append([*propagate, *central, logic.gate(join, *generate)])
    return columns
