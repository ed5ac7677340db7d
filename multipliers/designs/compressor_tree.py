"""Trees of 4:2 compressors: a matrix of partial-product dots becomes two rows, which an exact adder sums.

A matrix is a list of columns, column ``c`` of weight ``2**c``, each a list of nets. A stage compresses every column to
a target height, from the right: its own dots, then the carries from the column on its right, enter the cells from the
front; sums, then the dots left over, are the column of the next stage. How many cells a column takes is decided as for
a tree of exact, chained compressors, whatever the cells compute, so that all designs share one placement:

    while the column is too high:  a 4:2 compressor, if it is 3 or more dots too high
                                   a full adder, if it is 2; a half adder, if it is 1

A compressor takes four dots and, if there is one, the ``cout`` of a compressor on its right as ``cin``; a full adder
takes a ``cout`` not consumed yet in place of a dot.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from multipliers.netlist.assembly import Cell, Constant, Net, assemble
from multipliers.netlist.circuit import Circuit

Columns = list[list[Net]]


@dataclass
class Logic:
    """Gates of a circuit while it is built; nets are numbered as they come."""

    cells: list[Cell] = field(default_factory=list)
    n_nets: int = 0

    def gate(self, kind: str, *inputs: Net) -> Net:
        """Add a gate of one output, which is returned."""
        return self._add(kind, inputs, 1)[0]

    def adder(self, *inputs: Net) -> tuple[Net, Net]:
        """Add an exact half or full adder; return sum and carry."""
        total, carry = self._add("ha" if len(inputs) == 2 else "fa", inputs, 2)
        return total, carry

    def _add(self, kind: str, inputs: tuple[Net, ...], n_outputs: int) -> tuple[Net, ...]:
        outputs = tuple(range(self.n_nets, self.n_nets + n_outputs))
        self.n_nets += n_outputs
        self.cells.append(Cell(kind, inputs, outputs))
        return outputs


Compressor = Callable[[Logic, Sequence[Net], Net], tuple[Net, Net, "Net | None"]]
"""From four dots and ``cin`` to sum, carry and ``cout``; None where there is no ``cout`` (and ``cin`` is not read)."""

Adder = Callable[..., tuple[Net, Net]]
"""From a `Logic` and two or three dots to sum and carry."""


@dataclass(frozen=True)
class Cells:
    """What compresses a column."""

    compressor: Compressor
    adder: Adder = Logic.adder


def exact_compressor(logic: Logic, x: Sequence[Net], cin: Net) -> tuple[Net, Net, Net]:
    """Two full adders: ``x1 + x2 + x3 + x4 + cin = sum + 2 * (carry + cout)``; ``cout`` does not depend on ``cin``."""
    half, cout = logic.adder(*x[:3])
    total, carry = logic.adder(half, x[3], cin)
    return total, carry, cout


EXACT = Cells(exact_compressor)


def operand(port: str, bits: int) -> list[Net]:
    """Nets of an input port."""
    return [(port, i) for i in range(bits)]


def dots(logic: Logic, a: Sequence[Net], b: Sequence[Net]) -> Columns:
    """Partial products ``a[i] and b[j]`` of column ``i + j``, by ascending ``j``."""
    columns: Columns = [[] for _ in range(len(a) + len(b))]
    for j, y in enumerate(b):
        for i, x in enumerate(a):
            columns[i + j].append(logic.gate("and", x, y))
    return columns


def targets(height: int) -> list[int]:
    """Heights after each stage, down to 2 rows; a stage of 4:2 compressors halves the height.

    Examples
    --------
    >>> targets(8), targets(9)
    ([4, 2], [8, 4, 2])
    """
    found = [2]
    while 2 * found[-1] < height:
        found.append(2 * found[-1])
    return found[::-1] if height > 2 else []


@dataclass(frozen=True)
class Placement:
    """Cells of one column in one stage."""

    compressors: int
    full_adders: int
    half_adders: int


def placement(heights: Sequence[int], target: int, chained: bool = True) -> list[Placement]:
    """Cells of each column that bring it to a target height, the carries of its right neighbour included.

    Examples
    --------
    >>> placed = placement([*range(1, 9), *range(7, 0, -1), 0], target=4)
    >>> [sum(getattr(p, cell) for p in placed) for cell in ("half_adders", "full_adders", "compressors")]
    [2, 2, 8]
    """
    placed = []
    carries = couts = 0
    for height in heights:
        excess = height + carries + couts - target
        n = [0, 0, 0]
        carries, free = 0, couts
        while excess > 0:
            kind = max(0, 3 - excess)
            absorbed = kind < 2 and free > 0
            free -= absorbed
            excess -= 3 - kind + (kind == 0 and absorbed)
            n[kind] += 1
        carries, couts = sum(n), n[0] if chained else 0
        placed.append(Placement(*n))
    return placed


def compress(logic: Logic, columns: Columns, placed: Sequence[Placement], cells_of: Callable[[int], Cells]) -> Columns:
    """One stage; ``cells_of`` gives the cells of a column. Carries beyond the last column are dropped."""
    following: Columns = []
    carries: list[Net] = []
    couts: list[Net] = []
    for index, (column, here) in enumerate(zip(columns, placed, strict=True)):
        cells = cells_of(index)
        inputs, sums, arrived = [*column, *carries], [], couts
        carries, couts = [], []
        for _ in range(here.compressors):
            cin = arrived.pop(0) if arrived else Constant.ZERO
            total, carry, cout = cells.compressor(logic, _take(inputs, 4), cin)
            sums.append(total)
            carries.append(carry)
            couts += [] if cout is None else [cout]
        for n_inputs in [3] * here.full_adders + [2] * here.half_adders:
            late = [arrived.pop(0)] if arrived and n_inputs == 3 else []
            total, carry = cells.adder(logic, *_take(inputs, n_inputs - len(late)), *late)
            sums.append(total)
            carries.append(carry)
        following.append([*sums, *inputs, *arrived])
    return following


def _take(dots: list[Net], n: int) -> list[Net]:
    assert len(dots) >= n, (len(dots), n)
    taken, dots[:] = dots[:n], dots[n:]
    return taken


def add_rows(logic: Logic, columns: Columns) -> list[Net]:
    """Exact ripple-carry sum of columns of at most two dots, modulo ``2**len(columns)``."""
    total: list[Net] = []
    carry: list[Net] = []
    for column in columns:
        bits = [*column, *carry]
        if len(bits) < 2:
            total.append(bits[0] if bits else Constant.ZERO)
            carry = []
            continue
        bit, over = logic.adder(*bits)
        total.append(bit)
        carry = [over]
    return total


def dadda(name: str, bits_a: int, bits_b: int, cells_of: Callable[[int], Cells]) -> Circuit:
    """Unsigned multiplier ``p = a * b`` with a tree of the given cells, of any widths up to 32 bits.

    Examples
    --------
    >>> dadda("exact", 8, 8, lambda column: EXACT)
    Circuit('exact', inputs={'a': 8, 'b': 8}, outputs={'p': 16}, n_gates=120)
    """
    logic = Logic()
    a, b = operand("a", bits_a), operand("b", bits_b)
    columns = dots(logic, a, b)
    for target in targets(min(bits_a, bits_b)):
        columns = compress(logic, columns, placement([len(c) for c in columns], target), cells_of)
    return assemble(name, {"a": a, "b": b}, {"p": add_rows(logic, columns)}, logic.cells)
