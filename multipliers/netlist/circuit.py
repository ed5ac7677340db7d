"""An immutable combinational circuit: ports, and gates in topological order."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from multipliers.errors import NetlistError

MAX_LUT_INPUTS = 12
"""Widest truth table of a single gate: 4096 bits."""

SHAPES: dict[str, tuple[int | None, int]] = {
    "buf": (1, 1),
    "not": (1, 1),
    "and": (None, 1),
    "or": (None, 1),
    "nand": (None, 1),
    "nor": (None, 1),
    "xor": (None, 1),
    "xnor": (None, 1),
    "andnot": (2, 1),
    "ornot": (2, 1),
    "mux": (3, 1),
    "nmux": (3, 1),
    "aoi21": (3, 1),
    "oai21": (3, 1),
    "aoi22": (4, 1),
    "oai22": (4, 1),
    "ha": (2, 2),
    "fa": (3, 2),
    "lut": (None, 1),
}
"""Gate kinds: number of inputs (None: any, from 1) and of outputs."""


@dataclass(frozen=True)
class Gate:
    """A gate: what it computes, and the nets it reads.

    Parameters
    ----------
    kind : str
        With inputs a, b, c, d: ``buf``, ``not``; ``and``, ``or``, ``nand``, ``nor``, ``xor``, ``xnor`` of any number of
        inputs (xor is 1 for an odd number of ones); ``andnot`` a & ~b; ``ornot`` a | ~b; ``mux`` c ? b : a; ``nmux``
        its complement; ``aoi21`` ~(a & b | c); ``oai21`` ~((a | b) & c); ``aoi22`` ~(a & b | c & d); ``oai22``
        ~((a | b) & (c | d)); ``ha`` and ``fa``, half and full adder with the outputs sum and carry; ``lut``.
    inputs : tuple of int
        Net numbers of the circuit.
    table : int
        For ``lut`` of n inputs, at most 12: bit i is the output where the inputs, the first as the least significant,
        read as i.
    cell : str or None
        Name of the library cell that the gate was in the netlist, such as ``"FAX1"``; empty for what is but a further
        output of the cell before it, None for a gate of no library. Says nothing of the function: it is not compared.

    Raises
    ------
    NetlistError
        If the kind is unknown, the number of inputs is not that of the kind, or a table has too many bits.

    Examples
    --------
    >>> Gate("lut", (2, 3), table=0b0110).n_outputs
    1
    """

    kind: str
    inputs: tuple[int, ...]
    table: int = 0
    cell: str | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.kind not in SHAPES:
            raise NetlistError(f"unknown gate kind {self.kind!r}; known: {', '.join(SHAPES)}")
        expected = SHAPES[self.kind][0]
        n = len(self.inputs)
        if n == 0 or (expected is not None and n != expected):
            raise NetlistError(f"a gate {self.kind!r} has {expected or 'at least 1'} inputs, got {n}")
        if self.kind == "lut":
            if n > MAX_LUT_INPUTS:
                raise NetlistError(f"a lut has at most {MAX_LUT_INPUTS} inputs, got {n}; split it into smaller gates")
            if not 0 <= self.table < 1 << (1 << n):
                raise NetlistError(f"the table of a lut of {n} inputs has {1 << n} bits, got {self.table:#x}")
        elif self.table:
            raise NetlistError(f"only a lut has a table; a gate {self.kind!r} got {self.table:#x}")

    @property
    def n_outputs(self) -> int:
        """Number of nets that the gate drives."""
        return SHAPES[self.kind][1]


@dataclass(frozen=True)
class Port:
    """A named vector of nets, least significant bit first."""

    name: str
    nets: tuple[int, ...]

    @property
    def width(self) -> int:
        """Number of bits."""
        return len(self.nets)


@dataclass(frozen=True, repr=False)
class Circuit:
    """A combinational circuit in canonical numbering, so that no net can lack a driver, have two, or form a loop.

    Net 0 is the constant 0, net 1 the constant 1; the bits of the input ports follow in order, then the outputs of
    the gates in order. A gate reads nets of smaller numbers only. `multipliers.netlist.assemble` builds one from gates
    between named nets in any order.

    Parameters
    ----------
    name : str
        A label for people.
    inputs, outputs : tuple of Port
        Named vectors, least significant bit first; an output may repeat nets or read constants.
    gates : tuple of Gate
        In topological order.

    Raises
    ------
    NetlistError
        If the numbering is broken, a port is empty, or two ports of one direction share a name.

    Examples
    --------
    >>> half_adder = Circuit("ha", (Port("a", (2,)), Port("b", (3,))), (Port("o", (4, 5)),), (Gate("ha", (2, 3)),))
    >>> half_adder
    Circuit('ha', inputs={'a': 1, 'b': 1}, outputs={'o': 2}, n_gates=1)
    >>> half_adder.depth
    1
    """

    name: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    gates: tuple[Gate, ...]

    def __post_init__(self) -> None:
        for direction, ports in (("input", self.inputs), ("output", self.outputs)):
            repeated = [name for name, n in Counter(p.name for p in ports).items() if n > 1]
            if repeated:
                raise NetlistError(f"circuit {self.name!r} has two {direction} ports {repeated[0]!r}")
            empty = [p.name for p in ports if not p.nets]
            if empty:
                raise NetlistError(f"{direction} port {empty[0]!r} of circuit {self.name!r} has no bits")
        read = [net for port in self.inputs for net in port.nets]
        if read != list(range(2, 2 + len(read))):
            raise NetlistError(f"circuit {self.name!r}: the input bits must be the nets 2, 3, ... in order, got {read}")
        n_nets = 2 + len(read)
        for gate in self.gates:
            if min(gate.inputs) < 0 or max(gate.inputs) >= n_nets:
                raise NetlistError(
                    f"circuit {self.name!r}: a gate {gate.kind!r} that drives net {n_nets} reads nets {gate.inputs}; "
                    f"gates are in topological order, use assemble() to sort them"
                )
            n_nets += gate.n_outputs
        for port in self.outputs:
            if min(port.nets) < 0 or max(port.nets) >= n_nets:
                raise NetlistError(f"output port {port.name!r} reads nets {port.nets}; there are {n_nets}")

    def __hash__(self) -> int:
        """Hash the fields, once: simulation looks the compiled circuit up by it at every call."""
        if "_hash" not in self.__dict__:
            object.__setattr__(self, "_hash", hash((self.name, self.inputs, self.outputs, self.gates)))
        return int(self.__dict__["_hash"])

    def __getstate__(self) -> dict[str, object]:
        """Pickle without the hash: that of a string differs between processes."""
        return {key: value for key, value in self.__dict__.items() if key != "_hash"}

    def __repr__(self) -> str:
        inputs, outputs = ({p.name: p.width for p in ports} for ports in (self.inputs, self.outputs))
        shown = f"Circuit({self.name!r}, inputs={inputs}, outputs={outputs}, n_gates={self.n_gates})"
        if len(shown) > 400:
            return f"Circuit({self.name[:80]!r}, {len(inputs)} inputs, {len(outputs)} outputs, n_gates={self.n_gates})"
        return shown

    @property
    def n_gates(self) -> int:
        """Number of gates, buffers included."""
        return len(self.gates)

    @property
    def counts(self) -> dict[str, int]:
        """Number of gates of each kind that occurs, in alphabetical order."""
        return dict(sorted(Counter(gate.kind for gate in self.gates).items()))

    @property
    def cells(self) -> dict[str, int]:
        """Number of library cells of each name, in alphabetical order; empty where no gate was a library cell."""
        return dict(sorted(Counter(gate.cell for gate in self.gates if gate.cell).items()))

    @property
    def depth(self) -> int:
        """Logic depth: the largest number of gates, buffers not counted, between an input and an output."""
        levels = [0] * (2 + sum(port.width for port in self.inputs))
        for gate in self.gates:
            level = max(levels[net] for net in gate.inputs) + (gate.kind != "buf")
            levels.extend([level] * gate.n_outputs)
        return max((levels[net] for port in self.outputs for net in port.nets), default=0)

    def input(self, name: str) -> Port:
        """Return the input port of that name.

        Raises
        ------
        NetlistError
            If there is none; the message lists the ports.
        """
        return _find(self.inputs, name, f"input port of circuit {self.name!r}")

    def output(self, name: str) -> Port:
        """Return the output port of that name; see `input`."""
        return _find(self.outputs, name, f"output port of circuit {self.name!r}")


def _find(ports: tuple[Port, ...], name: str, kind: str) -> Port:
    for port in ports:
        if port.name == name:
            return port
    held = ", ".join(f"{p.name!r} ({p.width} bits)" for p in ports[:12]) or "none"
    raise NetlistError(f"{name!r} is no {kind}; there are: {held}")
