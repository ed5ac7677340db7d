"""And-inverter graphs in the AIGER format, ASCII (``aag``) and binary (``aig``)."""

from __future__ import annotations

from pathlib import Path

from multipliers.errors import NetlistError
from multipliers.netlist.assembly import Cell, Constant, Net, assemble
from multipliers.netlist.circuit import Circuit
from multipliers.netlist.ports import group_bits

MAX_VARIABLES = 10_000_000


def read_aiger(path: str | Path, *, widths: tuple[int, int] | None = None) -> Circuit:
    """Read an AIGER file of a combinational circuit; its first bytes say whether it is ASCII or binary.

    Parameters
    ----------
    path : str or Path
        The file. Format: Biere, "The AIGER And-Inverter Graph (AIG) Format", version 20071012.
    widths : (int, int), optional
        Widths of the operands, for a file without symbol table: then the inputs in their order are the bits of ``a``,
        then of ``b``, least significant first, and the outputs are the bits of ``o``. With a symbol table the names
        are grouped into vectors, as `multipliers.readers.blif` does.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    NetlistError
        If the file is not AIGER, is truncated, or its counts disagree with its content; if it holds latches or
        properties; or if inputs have no symbols and ``widths`` is not given.
    """
    path = Path(path)
    if not path.is_file():
        kind = "is a folder" if path.is_dir() else "does not exist"
        raise FileNotFoundError(f"cannot read a netlist from {str(path)!r}: it {kind}")
    try:
        return parse_aiger(path.read_bytes(), widths=widths, name=path.stem)
    except NetlistError as error:
        raise NetlistError(f"{path}: {error}") from None


def parse_aiger(data: bytes, *, widths: tuple[int, int] | None = None, name: str = "aiger") -> Circuit:
    r"""Read an AIGER file from bytes; see `read_aiger`.

    Examples
    --------
    >>> parse_aiger(b"aag 3 2 0 1 1\n2\n4\n6\n6 4 2\n", widths=(1, 1)).gates
    (Gate(kind='and', inputs=(3, 2), table=0),)
    """
    head, newline, rest = data.partition(b"\n")
    words = head.split()
    if not words or words[0] not in (b"aag", b"aig"):
        raise NetlistError(f"not an AIGER file: it begins with {data[:16]!r}, not with 'aag ' or 'aig '")
    counts = [int(word) for word in words[1:] if word.isdigit() and len(word) < 12]
    if len(words) < 6 or len(counts) != len(words) - 1 or not newline:
        raise NetlistError(f"the header {head[:60]!r} is not '{words[0].decode()} M I L O A'")
    n_variables, n_inputs, n_latches, n_outputs, n_ands = counts[:5]
    if n_latches:
        raise NetlistError(f"the file holds {n_latches} latches; only combinational circuits are simulated")
    if any(counts[5:]):
        raise NetlistError(
            "the file holds properties (bad states, constraints, justice, fairness), so is no multiplier"
        )
    binary = words[0] == b"aig"
    smallest = (0 if binary else 2 * n_inputs) + 2 * n_outputs + (2 if binary else 6) * n_ands
    if n_variables > MAX_VARIABLES or smallest > len(rest) + 1:
        raise NetlistError(f"the header {head[:60]!r} announces more than the file of {len(data)} bytes holds")
    if n_variables < n_inputs + n_ands or (binary and n_variables != n_inputs + n_ands):
        raise NetlistError(f"the header gives {n_variables} variables for {n_inputs} inputs and {n_ands} gates")
    reader = _Reader(rest, 2 * n_variables + 1)
    inputs = [2 * i + 2 for i in range(n_inputs)] if binary else [reader.literals(1)[0] for _ in range(n_inputs)]
    outputs = [reader.literals(1)[0] for _ in range(n_outputs)]
    ands = []
    for i in range(n_ands):
        if binary:
            left = 2 * (n_inputs + i + 1)
            first = left - reader.delta(left)
            ands.append((left, first, first - reader.delta(first)))
        else:
            left, first, second = reader.literals(3)
            ands.append((left, first, second))
    odd = [x for x in (*inputs, *(left for left, _, _ in ands)) if x & 1 or x < 2]
    if odd:
        raise NetlistError(f"literal {odd[0]} cannot be defined: inputs and gates define even literals from 2")
    symbols = reader.symbols(n_inputs, n_outputs)
    return assemble(name, *_ports(inputs, outputs, symbols, widths), _cells(ands, outputs))


class _Reader:
    """The bytes after the header."""

    def __init__(self, data: bytes, largest: int) -> None:
        self.data, self.at, self.largest = data, 0, largest

    def line(self) -> bytes:
        end = self.data.find(b"\n", self.at)
        if end < 0:
            end = len(self.data)
        line = self.data[self.at : end]
        self.at = end + 1
        return line

    def literals(self, n: int) -> list[int]:
        """Return the n literals of the next line."""
        if self.at >= len(self.data):
            raise NetlistError("the file ends before what its header announces: it is truncated")
        line = self.line()
        words = line.split()
        if len(words) != n or not all(word.isdigit() and len(word) < 12 for word in words):
            raise NetlistError(f"expected a line of {n} literals, got {line[:60]!r}; do the counts of the header fit?")
        values = [int(word) for word in words]
        if max(values) > self.largest:
            raise NetlistError(f"literal {max(values)} is above {self.largest}, the largest of the header's variables")
        return values

    def delta(self, limit: int) -> int:
        """Return a difference of the binary format: 7 bits a byte, the least significant first."""
        value, shift = 0, 0
        while True:
            if self.at >= len(self.data):
                raise NetlistError("the file ends within its gates: it is truncated")
            byte = self.data[self.at]
            self.at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                break
            if shift > 35:
                raise NetlistError("a gate is not in the binary AIGER coding; the file is corrupt")
        if value > limit:
            raise NetlistError(f"a gate reads literal {limit - value}; the file is corrupt")
        return value

    def symbols(self, n_inputs: int, n_outputs: int) -> dict[str, str]:
        """Return the symbol table: position such as ``"i0"`` or ``"o3"`` to name."""
        found: dict[str, str] = {}
        while self.at < len(self.data):
            line = self.line().decode("utf-8", errors="replace").rstrip("\r")
            if line.startswith("c"):
                break
            if self.at > len(self.data):
                raise NetlistError(f"the file ends within the symbol {line[:60]!r}: it is truncated")
            position, _, symbol = line.partition(" ")
            limit = {"i": n_inputs, "o": n_outputs}.get(position[:1], 0)
            if not position[1:].isdigit() or int(position[1:][:12]) >= limit or not symbol or position in found:
                raise NetlistError(f"{line[:60]!r} is no symbol of one of {n_inputs} inputs and {n_outputs} outputs")
            found[position] = symbol
        return found


def _ports(
    inputs: list[int], outputs: list[int], symbols: dict[str, str], widths: tuple[int, int] | None
) -> tuple[dict[str, list[Net]], dict[str, list[Net]]]:
    """Name the ports; outputs are nets ``("output", position)``, driven by `_cells`."""
    driven: list[Net] = [("output", i) for i in range(len(outputs))]
    names_in = [symbols[f"i{i}"] for i in range(len(inputs)) if f"i{i}" in symbols]
    names_out = [symbols[f"o{i}"] for i in range(len(outputs)) if f"o{i}" in symbols]
    if widths is not None:
        if len(widths) != 2 or min(widths) < 1 or sum(widths) != len(inputs):
            raise NetlistError(f"widths={widths} do not add up to the {len(inputs)} inputs of the file")
        ports: dict[str, list[Net]] = {"a": list(inputs[: widths[0]]), "b": list(inputs[widths[0] :])}
        return ports, {"o": driven}
    if len(names_in) != len(inputs) or len(names_out) != len(outputs):
        raise NetlistError(
            f"the file names {len(names_in)} of its {len(inputs)} inputs and {len(names_out)} of its {len(outputs)} "
            f"outputs; pass widths=(n, m) where the inputs are the bits of a, then of b, least significant first"
        )
    for names in (names_in, names_out):
        if len(set(names)) != len(names):
            raise NetlistError(f"symbol {next(x for x in names if names.count(x) > 1)!r} names two ports")
    of_input = dict(zip(names_in, inputs, strict=True))
    ports = {port: [of_input[bit] for bit in bits] for port, bits in group_bits(names_in).items()}
    of_output = dict(zip(names_out, driven, strict=True))
    return ports, {port: [of_output[bit] for bit in bits] for port, bits in group_bits(names_out).items()}


def _cells(ands: list[tuple[int, int, int]], outputs: list[int]) -> list[Cell]:
    """Gates between literals: one inverter for each odd literal that is read."""
    cells = [Cell("and", (_net(x), _net(y)), (left,)) for left, x, y in ands]
    read = {x for _, *pair in ands for x in pair} | set(outputs)
    cells.extend(Cell("not", (literal - 1,), (literal,)) for literal in sorted(read) if literal & 1 and literal > 1)
    cells.extend(Cell("wire", (_net(literal),), (("output", i),)) for i, literal in enumerate(outputs))
    return cells


def _net(literal: int) -> Net:
    return (Constant.ZERO, Constant.ONE)[literal] if literal < 2 else literal
