"""Bit-parallel simulation: 64 patterns a word, many words a NumPy operation."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from multipliers.errors import NetlistError
from multipliers.netlist.circuit import Circuit, Gate

Words = NDArray[np.uint64]

BLOCK_WORDS = 4096
"""Words a net and block: long enough that NumPy's cost per call is small, short enough for caches."""

BLOCK_BYTES = 1 << 26
"""Bound on the memory of the nets alive at once."""

_OPERATIONS: dict[str, Callable[..., Words]] = {
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
    "not": np.invert,
}


def simulate(circuit: Circuit, inputs: Mapping[str, ArrayLike]) -> dict[str, Words]:
    """Evaluate a circuit for many patterns.

    Parameters
    ----------
    circuit : Circuit
        With ports of at most 64 bits.
    inputs : mapping of str to array_like of int
        For every input port its values as codes ``0 .. 2**width - 1``; they broadcast against each other.

    Returns
    -------
    dict of str to array of uint64
        For every output port its values, in the shape of the inputs.

    Raises
    ------
    NetlistError
        If an input is missing or unknown, is not made of integers or does not fit its port, or a port is too wide.

    Examples
    --------
    >>> from multipliers.netlist.circuit import Port
    >>> nand = Circuit("nand", (Port("a", (2,)), Port("b", (3,))), (Port("o", (4,)),), (Gate("nand", (2, 3)),))
    >>> simulate(nand, {"a": [0, 0, 1, 1], "b": [0, 1, 0, 1]})["o"]
    array([1, 1, 1, 0], dtype=uint64)
    """
    names = [port.name for port in circuit.inputs]
    if set(inputs) != set(names):
        raise NetlistError(f"circuit {circuit.name!r} has the inputs {names}, got values for {sorted(inputs)}")
    wide = [p for p in (*circuit.inputs, *circuit.outputs) if p.width > 64]
    if wide:
        raise NetlistError(f"port {wide[0].name!r} has {wide[0].width} bits; at most 64 can be simulated")
    codes = []
    for port in circuit.inputs:
        array = np.asarray(inputs[port.name])
        if array.dtype.kind not in "iu" and array.size:
            raise NetlistError(f"input {port.name!r} must be integers, got {array.dtype}")
        if array.size and (int(array.min()) < 0 or int(array.max()) >= 1 << port.width):
            raise NetlistError(
                f"input {port.name!r} has {port.width} bits, so values 0 .. {(1 << port.width) - 1}; "
                f"got {int(array.min())} .. {int(array.max())}"
            )
        codes.append(array.astype(np.uint64))
    arrays = np.broadcast_arrays(*codes)
    results = run(circuit, list(arrays), [port.nets for port in circuit.outputs])
    return {port.name: values for port, values in zip(circuit.outputs, results, strict=True)}


def run(circuit: Circuit, codes: Sequence[Words], outputs: Sequence[tuple[int, ...]]) -> list[Words]:
    """Evaluate vectors of nets for checked codes of one common shape; memory beyond the results is bounded."""
    program = compile_circuit(circuit, tuple(outputs))
    shape = codes[0].shape if codes else ()
    results = [np.empty(shape, dtype="<u8") for _ in outputs]
    flat = [result.reshape(-1) for result in results]
    n_patterns = results[0].size if results else 0
    n_words = max(16, min(BLOCK_WORDS, BLOCK_BYTES // (8 * max(1, program.n_slots)), -(-n_patterns // 64)))
    slots = [np.zeros(n_words, dtype="<u8") for _ in range(program.n_slots)]
    for start in range(0, n_patterns, 64 * n_words):
        stop = min(start + 64 * n_words, n_patterns)
        for port, array in zip(circuit.inputs, codes, strict=True):
            _pack(_slice(array, start, stop), [(i, slots[s]) for i, s in program.loads.get(port.name, ())])
        for operation, operands, out in program.steps:
            operation(*[slots[s] for s in operands], out=slots[out])
        for result, bits in zip(flat, program.stores, strict=True):
            result[start:stop] = _unpack(slots, bits, stop - start)
    return results


def _slice(array: Words, start: int, stop: int) -> Words:
    """Elements start .. stop - 1 of an array in C order, without copying the rest of a broadcast array."""
    if array.ndim <= 1 or array.flags.c_contiguous:
        return array.reshape(-1)[start:stop]
    row = array[0].size
    first, last = start // row, -(-stop // row)
    if array.ndim > 2 and last - first == 1:
        return _slice(array[first], start - first * row, stop - first * row)
    return array[first:last].reshape(-1)[start - first * row : stop - first * row]


def _pack(values: Words, targets: list[tuple[int, Words]]) -> None:
    """Write bit i of every value to a bit plane, for each (i, plane)."""
    octets = np.ascontiguousarray(values, dtype="<u8").view(np.uint8).reshape(-1, 8)
    n, n_bytes = len(octets), -(-len(octets) // 8)
    rows: dict[int, NDArray[np.uint8]] = {}
    for i, plane in targets:
        if i // 8 not in rows:
            column = np.zeros(8 * n_bytes, dtype=np.uint8)
            column[:n] = octets[:, i // 8]
            rows[i // 8] = _transpose(column).reshape(-1, 8)
        plane.view(np.uint8)[:n_bytes] = rows[i // 8][:, i % 8]


def _unpack(slots: list[Words], bits: tuple[tuple[int, bool], ...], n: int) -> Words:
    """Collect bit planes (slot, whether complemented) into values."""
    octets = np.zeros((n, 8), dtype=np.uint8)
    n_bytes = -(-n // 8)
    for at in range(0, len(bits), 8):
        rows = np.zeros((n_bytes, 8), dtype=np.uint8)
        inverted = 0
        for i, (slot, complemented) in enumerate(bits[at : at + 8]):
            rows[:, i] = slots[slot].view(np.uint8)[:n_bytes]
            inverted |= complemented << i
        octets[:, at // 8] = _transpose(rows.reshape(-1))[:n] ^ np.uint8(inverted)
    return octets.view("<u8").reshape(-1)


def _transpose(octets: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Transpose 8 x 8 bits in place: bit j of byte i becomes bit i of byte j, in every 8 bytes.

    Three exchanges of squares of 1, 2 and 4 bits; H. S. Warren, "Hacker's Delight", 2nd edition, section 7-3.
    """
    x = octets.view("<u8")
    for shift, mask in ((7, 0x00AA00AA00AA00AA), (14, 0x0000CCCC0000CCCC), (28, 0x00000000F0F0F0F0)):
        moved = x >> np.uint64(shift)
        moved ^= x
        moved &= np.uint64(mask)
        x ^= moved
        moved <<= np.uint64(shift)
        x ^= moved
    return octets


@dataclass(frozen=True)
class Program:
    """What a circuit does, in word operations on numbered slots.

    Attributes
    ----------
    n_slots : int
        Vectors of words needed at once.
    loads : dict of str to tuple
        For each input port the pairs (bit, slot) that are read at all.
    steps : tuple
        Triples (NumPy function, operand slots, result slot).
    stores : tuple
        For each output vector the pairs (slot, whether complemented), least significant first.
    """

    n_slots: int
    loads: dict[str, tuple[tuple[int, int], ...]]
    steps: tuple[tuple[Callable[..., Words], tuple[int, ...], int], ...]
    stores: tuple[tuple[tuple[int, bool], ...], ...]


@functools.lru_cache(maxsize=16)
def compile_circuit(circuit: Circuit, outputs: tuple[tuple[int, ...], ...]) -> Program:
    """Lower gates to and, or, xor, not: constants and repeated operations folded, unread nets dropped, slots reused."""
    logic = _Logic()
    literals = [0, 1]
    origin: dict[int, tuple[str, int]] = {}
    for port in circuit.inputs:
        for i in range(port.width):
            node = logic.node("input", len(origin), -1)
            origin[node >> 1] = (port.name, i)
            literals.append(node)
    for gate in circuit.gates:
        literals.extend(_lower(logic, gate, [literals[net] for net in gate.inputs]))
    stored = [[literals[net] for net in nets] for nets in outputs]
    return _allocate(logic, origin, stored)


def _allocate(logic: _Logic, origin: dict[int, tuple[str, int]], stored: list[list[int]]) -> Program:
    """Order of evaluation and slots: a slot is free again after the last operation that reads it."""
    alive = bytearray(len(logic.nodes))
    alive[0] = 1  # the constant: a slot that stays 0
    for literal in (x for nets in stored for x in nets):
        alive[literal >> 1] = 1
    last: dict[int, int] = {literal >> 1: len(logic.nodes) for nets in stored for literal in nets}
    for node in range(len(logic.nodes) - 1, 0, -1):
        operation, x, y = logic.nodes[node]
        if alive[node] and operation != "input":
            for operand in (x, y)[: 1 if operation == "not" else 2]:
                alive[operand] = 1
                last.setdefault(operand, node)
    slot = {0: 0}
    free: list[int] = []
    n_slots = 1
    loads: dict[str, list[tuple[int, int]]] = {}
    steps: list[tuple[Callable[..., Words], tuple[int, ...], int]] = []
    for node in range(1, len(logic.nodes)):
        if not alive[node]:
            continue
        operation, x, y = logic.nodes[node]
        operands = () if operation == "input" else (x,) if operation == "not" else (x, y)
        read = tuple(slot[operand] for operand in operands)
        free.extend(slot[operand] for operand in set(operands) if last[operand] == node and operand)
        if free:
            slot[node] = free.pop()
        else:
            slot[node] = n_slots
            n_slots += 1
        if operation == "input":
            port, bit = origin[node]
            loads.setdefault(port, []).append((bit, slot[node]))
        else:
            steps.append((_OPERATIONS[operation], read, slot[node]))
    stores = tuple(tuple((slot[literal >> 1], bool(literal & 1)) for literal in nets) for nets in stored)
    return Program(n_slots, {k: tuple(v) for k, v in loads.items()}, tuple(steps), stores)


class _Logic:
    """Hash-consed operations. A literal is ``2 * node + complemented``; node 0 is the constant 0."""

    def __init__(self) -> None:
        self.nodes: list[tuple[str, int, int]] = [("constant", 0, 0)]
        self._known: dict[tuple[str, int, int], int] = {}

    def node(self, operation: str, x: int, y: int) -> int:
        key = (operation, x, y)
        if key not in self._known:
            self._known[key] = len(self.nodes)
            self.nodes.append(key)
        return 2 * self._known[key]

    def plain(self, x: int) -> int:
        """Return the node whose value is the literal x."""
        return self.node("not", x >> 1, 0) >> 1 if x & 1 else x >> 1

    def and_(self, x: int, y: int) -> int:
        if x > y:
            x, y = y, x
        if x == 0 or x == y ^ 1:
            return 0
        if x in (1, y):
            return y
        if x & 1 and y & 1:
            return self.node("or", *sorted((x >> 1, y >> 1))) ^ 1
        return self.node("and", *sorted((self.plain(x), self.plain(y))))

    def or_(self, x: int, y: int) -> int:
        if (x & 1 and y & 1) or min(x, y) < 2 or x >> 1 == y >> 1:
            return self.and_(x ^ 1, y ^ 1) ^ 1
        return self.node("or", *sorted((self.plain(x), self.plain(y))))

    def xor(self, x: int, y: int) -> int:
        flip = (x ^ y) & 1
        low, high = sorted((x >> 1, y >> 1))
        if low == high:
            return flip
        return (2 * high if low == 0 else self.node("xor", low, high)) ^ flip

    def mux(self, low: int, high: int, select: int) -> int:
        """Return select ? high : low."""
        if low == high:
            return low
        if high in (0, 1):
            return self.or_(select, low) if high else self.and_(select ^ 1, low)
        if low in (0, 1):
            return self.or_(select ^ 1, high) if low else self.and_(select, high)
        if low == high ^ 1:
            return self.xor(select, low)
        return self.xor(low, self.and_(select, self.xor(low, high)))

    def lut(self, inputs: list[int], table: int) -> int:
        """Shannon expansion from the last input down."""
        if not inputs:
            return table & 1
        half = 1 << (len(inputs) - 1)
        rest, select = inputs[:-1], inputs[-1]
        return self.mux(self.lut(rest, table & ((1 << half) - 1)), self.lut(rest, table >> half), select)


def _lower(logic: _Logic, gate: Gate, x: list[int]) -> list[int]:
    """Literals of a gate's outputs, given those of its inputs."""
    kind = gate.kind
    inverted = int(kind in ("not", "nand", "nor", "xnor", "nmux", "aoi21", "oai21", "aoi22", "oai22"))
    match kind:
        case "buf" | "not":
            y = x[0]
        case "and" | "nand":
            y = functools.reduce(logic.and_, x)
        case "or" | "nor":
            y = functools.reduce(logic.or_, x)
        case "xor" | "xnor":
            y = functools.reduce(logic.xor, x)
        case "andnot":
            y = logic.and_(x[0], x[1] ^ 1)
        case "ornot":
            y = logic.or_(x[0], x[1] ^ 1)
        case "mux" | "nmux":
            y = logic.mux(*x)
        case "aoi21" | "aoi22":
            y = logic.or_(logic.and_(x[0], x[1]), logic.and_(x[2], x[-1]))
        case "oai21" | "oai22":
            y = logic.and_(logic.or_(x[0], x[1]), logic.or_(x[2], x[-1]))
        case "ha":
            return [logic.xor(*x), logic.and_(*x)]
        case "fa":
            half = logic.xor(x[0], x[1])
            return [logic.xor(half, x[2]), logic.or_(logic.and_(x[0], x[1]), logic.and_(half, x[2]))]
        case _:
            y = logic.lut(x, gate.table)
    return [y ^ inverted]
