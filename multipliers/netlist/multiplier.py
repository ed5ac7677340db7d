"""Multipliers given by a gate-level circuit."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import numpy as np

from multipliers.errors import NetlistError
from multipliers.multiplier import Multiplier, sample_pairs
from multipliers.netlist.circuit import Circuit
from multipliers.netlist.ports import find_operands, find_output
from multipliers.netlist.simulation import run
from multipliers.operands import MAX_BITS, IntArray, OperandFormat

CLEARLY_BEST = 0.6
"""A guess of signedness needs an error norm below this share of the runner-up's and of the exact product's norm."""

GUESS_PAIRS = 1 << 16
"""Operand pairs behind a guess of signedness."""


@dataclass(frozen=True)
class NetlistMultiplier(Multiplier):
    """A multiplier given by a combinational circuit of two inputs.

    Parameters
    ----------
    circuit : Circuit
        The circuit; bits of a port are least significant first.
    a, b : OperandFormat or str, optional
        Formats of the operands; their widths must be those of the ports. Where neither is given the widths are those
        of the ports and the signs are guessed by comparison with the exact product, as
        `multipliers.readers.arrays.guess_formats` does for tables; ``b`` alone cannot be given.
    operands : (str, str), optional
        Names of the input ports of operand a and operand b. By default found from the names (A and B, x and y, in1 and
        in2, ...), never from their order.
    output : str, optional
        Name of the output port of the product; needed where there are several and none has a usual name.
    signed : bool, optional
        Whether the product is two's complement, and so sign-extended from the width of its port, else zero-extended.
        By default, if an operand is signed.
    name : str, optional
        A label for people; the circuit's name by default.

    Notes
    -----
    *Width of the product*: the port is read as an integer of its own width, never scaled. A port wider than
    ``a.bits + b.bits`` is read whole (to 64 bits); a narrower one is what it is, so that a design whose port holds only
    the high half of the product differs from it by a factor: append its low bits in a wrapper module.

    Attributes
    ----------
    circuit, a, b, operands, output, signed, name
        As above, with what was found.

    Raises
    ------
    NetlistError
        If the circuit does not have two inputs of at most 32 bits, operand order or product cannot be told, a format
        does not have its port's width, the signs cannot be guessed, or the product does not fit int64.

    Examples
    --------
    >>> from multipliers.netlist.circuit import Gate, Port
    >>> circuit = Circuit("and", (Port("B", (2,)), Port("A", (3,))), (Port("O", (4,)),), (Gate("and", (2, 3)),))
    >>> m = NetlistMultiplier(circuit, "1u")
    >>> m.operands, m.table().tolist()
    (('A', 'B'), [[0, 0], [0, 1]])
    """

    circuit: Circuit
    a: OperandFormat
    b: OperandFormat
    operands: tuple[str, str]
    output: str
    signed: bool
    name: str = field(default="", compare=False)

    def __init__(
        self,
        circuit: Circuit,
        a: OperandFormat | str | None = None,
        b: OperandFormat | str | None = None,
        *,
        operands: tuple[str, str] | None = None,
        output: str | None = None,
        signed: bool | None = None,
        name: str | None = None,
    ) -> None:
        found = find_operands(circuit, operands)
        product = find_output(circuit, output)
        widths = [circuit.input(port).width for port in found]
        for port, width in zip(found, widths, strict=True):
            if width > MAX_BITS:
                raise NetlistError(
                    f"input {port!r} of {circuit.name!r} has {width} bits; operands have at most {MAX_BITS}"
                )
        n_result = circuit.output(product).width
        if n_result > 64:
            raise NetlistError(f"output {product!r} of {circuit.name!r} has {n_result} bits; products have at most 64")
        if a is None and b is not None:
            raise NetlistError(f"operand format b={b!s} is given without a; give both, or neither to have them guessed")
        parts = {"circuit": circuit, "operands": found, "output": product, "name": str(name or circuit.name)}
        for attribute, value in parts.items():
            object.__setattr__(self, attribute, value)
        if a is None:
            formats = self._guess([OperandFormat(width) for width in widths], signed)
        else:
            formats = [OperandFormat.parse(x) if isinstance(x, str) else x for x in (a, a if b is None else b)]
        for operand, port, width, form in zip("ab", found, widths, formats, strict=True):
            if form.bits != width:
                raise NetlistError(
                    f"operand {operand} = {form}, but its port {port!r} of {circuit.name!r} has {width} bits"
                )
        is_signed = any(form.signed for form in formats) if signed is None else bool(signed)
        if n_result == 64 and not is_signed:
            raise NetlistError(
                f"output {product!r} of {circuit.name!r} is unsigned with 64 bits and does not fit int64"
            )
        for attribute, value in {"a": formats[0], "b": formats[1], "signed": is_signed}.items():
            object.__setattr__(self, attribute, value)
        self._check_widths()

    def _product(self, a: IntArray, b: IntArray) -> IntArray:
        return _extend(self._codes(a, b), self.circuit.output(self.output).width, self.signed)

    def _codes(self, a: IntArray, b: IntArray) -> IntArray:
        """Bits of the product for operands of which only the bits count; one common shape."""
        values = {self.operands[0]: a.view(np.uint64), self.operands[1]: b.view(np.uint64)}
        inputs = [values[port.name] for port in self.circuit.inputs]
        return run(self.circuit, inputs, [self.circuit.output(self.output).nets])[0].view(np.int64)

    def _guess(self, unsigned: list[OperandFormat], signed: bool | None) -> list[OperandFormat]:
        """Return the formats of the smallest error norm, sqrt(sum (F - a b)**2), if it is clearly the smallest."""
        code_a, code_b = unsigned
        if code_a.bits + code_b.bits <= 16:
            grid = np.meshgrid(code_a.values(), code_b.values(), indexing="ij")
            a, b = (x.ravel() for x in grid)
        else:
            a, b = sample_pairs(code_a, code_b, GUESS_PAIRS)
        codes = self._codes(a, b)
        width = self.circuit.output(self.output).width
        scored: list[tuple[float, float, list[OperandFormat]]] = []
        for signs in itertools.product((False, True), repeat=2):
            formats = [OperandFormat(x.bits, sign) for x, sign in zip(unsigned, signs, strict=True)]
            F = _extend(codes, width, any(signs) if signed is None else signed).astype(np.float64)
            P = formats[0].wrap(a).astype(np.float64) * formats[1].wrap(b).astype(np.float64)
            scored.append((float(np.linalg.norm(F - P)), float(np.linalg.norm(P)), formats))
        scored.sort(key=lambda score: score[0])
        (best, exact, formats), (runner_up, _, other) = scored[:2]
        if best > CLEARLY_BEST * min(runner_up, exact):
            raise NetlistError(
                f"cannot tell the signs of the operands of {self.circuit.name!r}: it is nearest to {formats[0]} x "
                f"{formats[1]} products, at {best / exact:.0%} of their norm, and next to {other[0]} x {other[1]}; "
                f"pass a= and b=, such as a='{formats[0]}', b='{formats[1]}'"
            )
        return formats


def _extend(codes: IntArray, width: int, signed: bool) -> IntArray:
    """Extend words of ``width`` bits, zero above, to int64."""
    if not signed or width == 64:
        return codes
    shift = 64 - width
    return (codes << shift) >> shift
