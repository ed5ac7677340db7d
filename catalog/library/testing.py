"""Libraries to test with: array multipliers with omitted partial products, written as EvoApproxLib writes its circuits.

The designs are this package's own; nothing is taken from EvoApproxLib but the form of its files.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from multipliers.metrics import error_metrics
from multipliers.multiplier import Multiplier
from multipliers.operands import IntArray, OperandFormat

_VERILOG = {
    "and": "  assign {2} = {0} & {1};",
    "nand": "  assign {2} = ~({0} & {1});",
    "ha": "  PDKGENHAX1 {name} (.A({0}), .B({1}), .YS({2}), .YC({3}));",
    "fa": "  PDKGENFAX1 {name} (.A({0}), .B({1}), .C({2}), .YS({3}), .YC({4}));",
}
_MODULES = """
module PDKGENHAX1( input A, input B, output YS, output YC );
    assign YS = A ^ B;
    assign YC = A & B;
endmodule
module PDKGENFAX1( input A, input B, input C, output YS, output YC );
    assign YS = (A ^ B) ^ C;
    assign YC = (A & B) | (B & C) | (A & C);
endmodule
"""
_MAPPED = {
    "and": "  AND2X1 {name} (.A({0}), .B({1}), .Y({2}));",
    "nand": "  NAND2X1 {name} (.A({0}), .B({1}), .Y({2}));",
    "ha": "  HAX1 {name} (.A({0}), .B({1}), .YS({2}), .YC({3}));",
    "fa": "  FAX1 {name} (.A({0}), .B({1}), .C({2}), .YS({3}), .YC({4}));",
}
_C = {
    "and": "  uint8_t {2} = {0} & {1};",
    "nand": "  uint8_t {2} = ({0} & {1}) ^ 1;",
    "ha": "  uint8_t {2} = {0} ^ {1}, {3} = {0} & {1};",
    "fa": "  uint8_t {3} = {0} ^ {1} ^ {2}, {4} = ({0} & {1}) | ({1} & {2}) | ({0} & {2});",
}


class _Gate(NamedTuple):
    kind: str
    nets: tuple[str, ...]


@dataclass(frozen=True)
class ArrayMultiplier(Multiplier):
    """An array multiplier that leaves out some partial products.

    ``F = sum_ij k_ij s_ij a_i b_j 2**(i + j)``, modulo ``2**(n + m)``, where ``k_ij`` is 1 for the partial products
    that are kept, and ``s_ij`` is -1 if exactly one of the bits is the sign bit of a signed operand, else 1.

    Parameters
    ----------
    a, b : OperandFormat
        Both signed or both unsigned.
    omitted : tuple of (int, int)
        The pairs ``(i, j)`` that are left out.
    name : str
    """

    a: OperandFormat
    b: OperandFormat
    omitted: tuple[tuple[int, int], ...] = field(repr=False)
    name: str = field(default="mul", compare=False)

    def _product(self, a: IntArray, b: IntArray) -> IntArray:
        result = a * b
        for i, j in self.omitted:
            result = result - ((a >> i & 1) * (b >> j & 1) * self._sign(i, j) << i + j)
        return result if self.a.bits + self.b.bits >= 63 else self._wrapped(result)

    def _wrapped(self, result: IntArray) -> IntArray:
        bits = self.a.bits + self.b.bits
        low = result & ((1 << bits) - 1)
        return np.where(low >> bits - 1 & 1, low - (1 << bits), low) if self.a.signed else low

    def _sign(self, i: int, j: int) -> int:
        return -1 if self.a.signed and (i == self.a.bits - 1) != (j == self.b.bits - 1) else 1

    def gates(self) -> tuple[list[_Gate], list[str]]:
        """Return the gates, in order, and the nets of the product's bits; operand bits are ``A[i]`` and ``B[j]``.

        Signs are handled as by Baugh and Wooley (IEEE Trans. Computers C-22, 1973): a negative partial product is
        complemented, and a constant corrects the sum.
        """
        n, m = self.a.bits, self.b.bits
        columns: list[list[str]] = [[] for _ in range(n + m + 1)]
        gates: list[_Gate] = []
        if self.a.signed:
            for column in (n - 1, m - 1, n + m - 1):
                columns[column].append("1'b1")
        for i in range(n):
            for j in range(m):
                negative = self._sign(i, j) < 0
                if (i, j) not in self.omitted:
                    gates.append(_Gate("nand" if negative else "and", (f"A[{i}]", f"B[{j}]", f"p{i}_{j}")))
                    columns[i + j].append(f"p{i}_{j}")
                elif negative:
                    columns[i + j].append("1'b1")
        for k in range(n + m):
            while len(columns[k]) > 1:
                inputs, columns[k] = columns[k][:3], columns[k][3:]
                outputs = [f"s{len(gates)}", f"c{len(gates)}"]
                gates.append(_Gate("fa" if len(inputs) == 3 else "ha", (*inputs, *outputs)))
                columns[k].append(outputs[0])
                columns[k + 1].append(outputs[1])
        return gates, [(column or ["1'b0"])[0] for column in columns[:-1]]

    def verilog(self, *, mapped: bool = False, header: str = "") -> str:
        """Return the Verilog of the circuit, ``mapped`` to standard cells or not."""
        gates, bits = self.gates()
        nets = [net for gate in gates for net in gate.nets[-1 if "and" in gate.kind else -2 :]]
        lines = [
            f"{header}module {self.name}(A, B, O);",
            f"  input [{self.a.bits - 1}:0] A;",
            f"  input [{self.b.bits - 1}:0] B;",
            f"  output [{self.a.bits + self.b.bits - 1}:0] O;",
            f"  wire {', '.join(nets)};",
            *((_MAPPED if mapped else _VERILOG)[g.kind].format(*g.nets, name=f"u{i}") for i, g in enumerate(gates)),
            *(f"  assign O[{k}] = {net};" for k, net in enumerate(bits)),
            f"endmodule\n{'' if mapped else _MODULES}",
        ]
        return "\n".join(lines)

    def c(self, *, header: str = "", b_first: bool = False) -> str:
        """Return C source of the circuit; with ``b_first`` the parameters are ``B, A``."""
        gates, bits = self.gates()
        words = {f"A[{i}]": f"((A >> {i}) & 1)" for i in range(self.a.bits)}
        words |= {f"B[{j}]": f"((B >> {j}) & 1)" for j in range(self.b.bits)} | {"1'b1": "1", "1'b0": "0"}
        parameters = "const uint64_t B, const uint64_t A" if b_first else "const uint64_t A, const uint64_t B"
        lines = [
            f"{header}#include <stdint.h>",
            f"uint64_t {self.name}({parameters})",
            "{",
            *(_C[gate.kind].format(*(words.get(net, net) for net in gate.nets)) for gate in gates),
            "  uint64_t O = 0;",
            *(f"  O |= (uint64_t){words.get(net, net)} << {k};" for k, net in enumerate(bits)),
            "  return O;\n}\n",
        ]
        return "\n".join(lines)

    def header(self, subset: str = "mae") -> str:
        """Return a header as EvoApproxLib prints it: metrics of operands up to 8 bits, and costs (made up)."""
        costs = len(self.gates()[0])
        lines = [f"/***\n* A circuit to test with, of a sub-set with respect to pwr and {subset}\n***/"]
        if self.n_pairs <= 1 << 16:
            lines += [f"// {name} = {value} {'%' * name.endswith('%')}" for name, value in printed_metrics(self)]
        lines += [f"// PDK45_PWR = {costs / 1000:.3f} mW", f"// PDK45_AREA = {2 * costs:.1f} um2"]
        return "\n".join([*lines, f"// PDK45_DELAY = {costs / 200:.2f} ns\n"])


def printed_metrics(multiplier: Multiplier) -> Iterator[tuple[str, str]]:
    """Yield the metrics of a multiplier as EvoApproxLib prints them.

    Percentages of 1 and above have two decimals, others two significant digits; MAE and MSE two significant digits
    below 10 and none after the point above. MAE% is that of the rounded MAE.
    """
    found = error_metrics(multiplier)
    mae = _round(Decimal(found.mae), 0 if found.mae >= 10 else None)
    mse = _round(Decimal(found.mse), 0 if found.mse >= 10 else None)
    yield "MAE%", _percent(mae * 100 / multiplier.n_pairs)
    yield "MAE", f"{mae}"
    yield "WCE%", _percent(Decimal(found.wce) * 100 / multiplier.n_pairs)
    yield "WCE", f"{found.wce}"
    for name, fraction in (("WCRE%", found.wcre), ("EP%", found.error_probability), ("MRE%", found.mre)):
        yield name, _percent(Decimal(fraction) * 100)
    yield "MSE", f"{mse}"


def _percent(value: Decimal) -> str:
    return f"{_round(value, 2 if value >= 1 else None):f}"


def _round(value: Decimal, decimals: int | None) -> Decimal:
    """Round half to even, to two significant digits where ``decimals`` is None."""
    places = (1 - value.adjusted() if value else 0) if decimals is None else decimals
    return value.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_EVEN)


def random_design(a: OperandFormat, b: OperandFormat, seed: int) -> ArrayMultiplier:
    """Return an array multiplier that leaves out low columns, and others at random; named as ``mul8u_0007``."""
    rng = np.random.default_rng((a.bits, b.bits, a.signed, seed))
    weight = np.add.outer(np.arange(a.bits), np.arange(b.bits))
    dropped: NDArray[np.bool_] = (weight < rng.integers(0, a.bits)) | (rng.random(weight.shape) < 0.05)
    dropped &= weight < a.bits + b.bits - 4
    widths = f"{a.bits}" if a.bits == b.bits else f"{a.bits}x{b.bits}"
    pairs = tuple((int(i), int(j)) for i, j in np.argwhere(dropped))
    return ArrayMultiplier(a, b, pairs, f"mul{widths}{'s' if a.signed else 'u'}_{seed:04d}")


def write_library(folder: Path, designs: list[ArrayMultiplier], subsets: tuple[str, ...] = ("mae",)) -> list[Path]:
    """Write designs in the folders of an EvoApproxLib checkout: C, Verilog, and every third one mapped to cells.

    Parameters
    ----------
    folder : Path
        Where to write.
    designs : list of ArrayMultiplier
    subsets : tuple of str
        A copy of each file goes to each of these subsets; copies differ in a comment.

    Returns
    -------
    list of Path
        The files written.
    """
    written = []
    for i, design in enumerate(designs):
        kind = f"{design.a.bits}x{design.b.bits}_{'signed' if design.a.signed else 'unsigned'}"
        for subset in subsets:
            at = folder / "multiplers" / kind / f"pareto_pwr_{subset}"  # the name of the real folder
            at.mkdir(parents=True, exist_ok=True)
            header = design.header(subset)
            texts = {".c": design.c(header=header, b_first=kind == "8x8_unsigned"), ".v": design.verilog(header=header)}
            if i % 3 == 0:
                texts["_pdk45.v"] = design.verilog(header=header, mapped=True)
            for suffix, text in texts.items():
                written.append(at / f"{design.name}{suffix}")
                written[-1].write_text(text, encoding="utf-8")
    return written
