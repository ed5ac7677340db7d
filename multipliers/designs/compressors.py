"""Dadda multipliers with approximate 4:2 compressors: Momeni's, and the dual-quality compressors of Akbari.

What the papers give is the cells, and how many of each an 8-bit multiplier takes. Which dots meet in which cell is not
in their text: the order here, that of `multipliers.designs.compressor_tree`, is this package's, and so are all figures
of whole multipliers.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import numpy as np

from multipliers.designs.compressor_tree import EXACT, Cells, Logic, dadda
from multipliers.designs.signs import MagnitudeDesign
from multipliers.errors import ParameterError
from multipliers.netlist.assembly import Net
from multipliers.netlist.circuit import Circuit
from multipliers.netlist.simulation import run
from multipliers.operands import IntArray, OperandFormat
from multipliers.registry import register

MAX_BITS = 16
"""Widest operands of the designs that are circuits."""


class TreeDesign(MagnitudeDesign):
    """An unsigned core given by a circuit with the inputs ``a`` and ``b`` and the output ``p``."""

    @property
    @abstractmethod
    def circuit(self) -> Circuit:
        """The unsigned core, gate by gate."""

    def _core(self, a: IntArray, b: IntArray) -> IntArray:
        circuit = self.circuit
        return run(circuit, [a.view(np.uint64), b.view(np.uint64)], [circuit.output("p").nets])[0].view(np.int64)

    def _check_width(self) -> None:
        for operand, form in (("a", self.a), ("b", self.b)):
            if form.bits > MAX_BITS:
                raise ParameterError(
                    f"{type(self).__name__} is built gate by gate for operands of up to {MAX_BITS} bits, "
                    f"got {form} for operand {operand}"
                )


def momeni1(logic: Logic, x: Sequence[Net], cin: Net) -> tuple[Net, Net, Net]:
    """Design 1 of Momeni et al.: wrong at 12 of its 32 inputs."""
    total = logic.gate("andnot", _equal_pair(logic, x), cin)
    return total, cin, _both_pairs(logic, x)


def momeni2(logic: Logic, x: Sequence[Net], cin: Net) -> tuple[Net, Net, None]:
    """Design 2 of Momeni et al., without ``cin`` and ``cout``: wrong at 4 of its 16 inputs."""
    return _equal_pair(logic, x), _both_pairs(logic, x), None


def _equal_pair(logic: Logic, x: Sequence[Net]) -> Net:
    return logic.gate("or", logic.gate("xnor", x[0], x[1]), logic.gate("xnor", x[2], x[3]))


def _both_pairs(logic: Logic, x: Sequence[Net]) -> Net:
    return logic.gate("and", logic.gate("or", x[0], x[1]), logic.gate("or", x[2], x[3]))


def akbari1(logic: Logic, x: Sequence[Net], cin: Net) -> tuple[Net, Net, None]:
    """Approximate part of DQ4:2C1, without ``cin`` and ``cout``: wires, wrong at 10 of 16 inputs."""
    return x[0], x[3], None


def akbari2(logic: Logic, x: Sequence[Net], cin: Net) -> tuple[Net, Net, Net]:
    """Approximate part of DQ4:2C2: wires, wrong at 20 of 32 inputs."""
    return x[0], x[3], x[2]


@register
@dataclass(frozen=True)
class Momeni(TreeDesign):
    """Dadda multiplier with the approximate 4:2 compressors of Momeni et al., their Multipliers 1 to 4.

    With dots ``x1 .. x4`` and the ``cin`` of the compressor to the right,

        design 1   sum = ~cin & (~(x1 ^ x2) | ~(x3 ^ x4))   carry = cin   cout = (x1 | x2) & (x3 | x4)
        design 2   sum = ~(x1 ^ x2) | ~(x3 ^ x4)            carry = (x1 | x2) & (x3 | x4)   (no cin, no cout)

    Multipliers 1 and 2 have design 1 and 2 everywhere, 3 and 4 only in the ``N - 1`` least significant columns,
    ``N = max(n, m)``, and exact compressors above. Full and half adders and the final adder are exact.

    Parameters
    ----------
    a, b : OperandFormat
        Up to 16 bits.
    variant : int
        Multiplier 1 to 4. Label letter ``v``.

    Attributes
    ----------
    circuit : Circuit
        The unsigned core.

    Notes
    -----
    Sign rule: two's-complement magnitude (`MagnitudeDesign`), in words of ``n`` and ``m`` bits; an operand 0 counts as
    positive.

    The cells of 8-bit operands are those of the paper: 2 half adders, 2 full adders and 8 compressors, then 1, 1
    and 10. The wiring and other widths are this package's (`multipliers.designs.compressor_tree`).

    Error range: two-sided. Four dots that are 0 give a sum of 1, so products of a zero operand are not 0 and relative
    errors are unbounded. Not commutative.

    Source: A. Momeni, J. Han, P. Montuschi, F. Lombardi, "Design and Analysis of Approximate Compressors for
    Multiplication", IEEE Trans. Computers 64(4), 2015.

    Examples
    --------
    >>> m = Momeni(OperandFormat(8), OperandFormat(8), variant=4)
    >>> m.name, int(m(200, 100)), int(m(0, 0)), m.circuit.n_gates
    ('momeni8u_v4', 20088, 120, 144)
    """

    a: OperandFormat
    b: OperandFormat
    variant: int

    family = "momeni"
    letters: ClassVar[dict[str, str]] = {"v": "variant"}

    def __post_init__(self) -> None:
        self._check_width()
        self._check_parameter("variant", 1, 4)

    @property
    def circuit(self) -> Circuit:
        """The unsigned core, gate by gate."""
        return _momeni(self.a.bits, self.b.bits, self.variant)


@cache
def _momeni(bits_a: int, bits_b: int, variant: int) -> Circuit:
    cells = Cells(momeni1 if variant % 2 else momeni2)
    first_exact = bits_a + bits_b if variant < 3 else max(bits_a, bits_b) - 1
    return dadda(
        f"momeni{bits_a}x{bits_b}u_v{variant}", bits_a, bits_b, lambda column: cells if column < first_exact else EXACT
    )


@register
@dataclass(frozen=True)
class Akbari(TreeDesign):
    """Dadda multiplier with the dual-quality 4:2 compressors of Akbari et al. in their approximate mode.

    With dots ``x1 .. x4``, compressors everywhere are

        DQ4:2C1   sum = x1     carry = x4     (no cin, no cout)
        DQ4:2C2   sum = x1     carry = x4     cout = x3     (cin is not read)

    that is, wires. Full and half adders and the final adder are exact. (In their other mode the compressors, and so the
    multiplier, are exact.)

    Parameters
    ----------
    a, b : OperandFormat
        Up to 16 bits.
    variant : int
        1 (C1) or 2 (C2). Label letter ``v``.

    Attributes
    ----------
    circuit : Circuit
        The unsigned core.

    Notes
    -----
    Sign rule: two's-complement magnitude (`MagnitudeDesign`), in words of ``n`` and ``m`` bits.

    The wiring is this package's (`multipliers.designs.compressor_tree`); which dots are dropped depends on it.

    Error range: two-sided; zero preserving. Not commutative.

    Source: O. Akbari, M. Kamal, A. Afzali-Kusha, M. Pedram, "Dual-Quality 4:2 Compressors for Utilizing in Dynamic
    Accuracy Configurable Multipliers", IEEE TVLSI 25(4), 2017.

    Examples
    --------
    >>> m = Akbari(OperandFormat(8), OperandFormat(8), variant=1)
    >>> m.name, int(m(200, 100)), int(m(255, 255)), m.circuit.n_gates
    ('akbari8u_v1', 14848, 54505, 84)
    """

    a: OperandFormat
    b: OperandFormat
    variant: int

    family = "akbari"
    letters: ClassVar[dict[str, str]] = {"v": "variant"}

    def __post_init__(self) -> None:
        self._check_width()
        self._check_parameter("variant", 1, 2)

    @property
    def circuit(self) -> Circuit:
        """The unsigned core, gate by gate."""
        return _akbari(self.a.bits, self.b.bits, self.variant)


@cache
def _akbari(bits_a: int, bits_b: int, variant: int) -> Circuit:
    cells = Cells(akbari1 if variant == 1 else akbari2)
    return dadda(f"akbari{bits_a}x{bits_b}u_v{variant}", bits_a, bits_b, lambda column: cells)
