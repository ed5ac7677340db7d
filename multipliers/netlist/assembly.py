"""From gates between named nets, in any order and hierarchy, to a `Circuit`."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from multipliers.errors import NetlistError
from multipliers.netlist.circuit import SHAPES, Circuit, Gate, Port

MAX_CELLS = 2_000_000
"""Largest flattened circuit; a small file with nested modules can announce any size."""

Net = Hashable


class Constant(Enum):
    """The nets that carry a constant."""

    ZERO = 0
    ONE = 1


@dataclass(frozen=True)
class Cell:
    """A gate between named nets.

    Parameters
    ----------
    kind : str
        A kind of `Gate`, or ``"wire"``: the output is another name of the input, and no gate.
    inputs, outputs : tuple of hashable
        Names of nets, or `Constant`.
    table : int
        Of a ``lut``.
    cell : str or None
        Name of the library cell, see `Gate`.
    """

    kind: str
    inputs: tuple[Net, ...]
    outputs: tuple[Net, ...]
    table: int = 0
    cell: str | None = None


@dataclass(frozen=True)
class Instance:
    """An instance ``label`` of another module; ``pins`` maps each of its ports to nets, least significant bit first."""

    label: str
    module: str
    pins: Mapping[str, tuple[Net, ...]]


@dataclass
class Module:
    """A module of a hierarchy while it is read; ``names`` are the nets' names for messages, where they have others."""

    name: str
    inputs: dict[str, tuple[Net, ...]] = field(default_factory=dict)
    outputs: dict[str, tuple[Net, ...]] = field(default_factory=dict)
    cells: list[Cell] = field(default_factory=list)
    instances: list[Instance] = field(default_factory=list)
    names: dict[Net, str] = field(default_factory=dict)


def assemble(
    name: str, inputs: Mapping[str, Sequence[Net]], outputs: Mapping[str, Sequence[Net]], cells: Iterable[Cell]
) -> Circuit:
    """Sort cells topologically and number their nets.

    Parameters
    ----------
    name : str
        Label of the circuit.
    inputs, outputs : mapping of str to sequence of hashable
        Ports: nets, least significant bit first.
    cells : iterable of Cell
        In any order.

    Raises
    ------
    NetlistError
        If a net that is read has no driver, a net has two, or there is a loop; the message names the nets.

    Examples
    --------
    >>> cells = [Cell("not", ("n",), ("o",)), Cell("and", ("a", "b"), ("n",))]
    >>> assemble("nand", {"a": ["a"], "b": ["b"]}, {"o": ["o"]}, cells).gates
    (Gate(kind='and', inputs=(2, 3), table=0), Gate(kind='not', inputs=(4,), table=0))
    """
    cells = list(cells)
    number: dict[Net, int] = {Constant.ZERO: 0, Constant.ONE: 1}
    ports_in = []
    for port, nets in inputs.items():
        for net in nets:
            if net in number:
                raise NetlistError(f"net {_show(net)} is driven twice: it occurs twice among the inputs of {name!r}")
            number[net] = len(number)
        ports_in.append(Port(port, tuple(number[net] for net in nets)))
    driver: dict[Net, int] = {}
    for i, cell in enumerate(cells):
        if cell.kind != "wire" and cell.kind in SHAPES and len(cell.outputs) != SHAPES[cell.kind][1]:
            raise NetlistError(f"a gate {cell.kind!r} drives {SHAPES[cell.kind][1]} nets, got {len(cell.outputs)}")
        for net in cell.outputs:
            if net in driver or net in number:
                other = f"a gate {cells[driver[net]].kind!r}" if net in driver else "an input port or a constant"
                raise NetlistError(f"net {_show(net)} is driven twice: by a gate {cell.kind!r} and by {other}")
            driver[net] = i
    gates: list[Gate] = []
    n_nets = len(number)
    state = bytearray(len(cells))  # 0: not visited, 1: its inputs are being visited, 2: done
    wanted = [d for nets in outputs.values() for d in _drivers(nets, driver, number, f"an output of {name!r}")]
    for start in [*wanted, *range(len(cells))]:
        stack = [start]
        while stack:
            i = stack[-1]
            cell = cells[i]
            if state[i] == 2:
                stack.pop()
                continue
            reads = f"a gate {cell.kind!r} that drives net {_show(cell.outputs[0]) if cell.outputs else '?'}"
            waiting = [d for d in _drivers(cell.inputs, driver, number, reads) if state[d] != 2]
            if waiting and state[i] == 0:
                state[i] = 1
                looping = next((d for d in waiting if state[d] == 1), None)
                if looping is None:
                    stack.extend(waiting)
                    continue
                waiting = [looping]
            if waiting:
                at = next(d for d in waiting if state[d] == 1)
                since = len(stack) - 1 - stack[::-1].index(at)
                ring = [cells[j] for j in stack[since:] if state[j] == 1]
                shown = " -> ".join(_show(c.outputs[0]) for c in [*ring, cells[at]][-8:])
                raise NetlistError(
                    f"the circuit {name!r} has a loop: {shown}; only combinational circuits are simulated"
                )
            state[i] = 2
            stack.pop()
            if cell.kind == "wire":
                number[cell.outputs[0]] = number[cell.inputs[0]]
                continue
            gates.append(Gate(cell.kind, tuple(number[net] for net in cell.inputs), cell.table, cell.cell))
            for net in cell.outputs:
                number[net] = n_nets
                n_nets += 1
    ports_out = [Port(port, tuple(number[net] for net in nets)) for port, nets in outputs.items()]
    return Circuit(name, tuple(ports_in), tuple(ports_out), tuple(gates))


def _drivers(nets: Iterable[Net], driver: Mapping[Net, int], number: Mapping[Net, int], reader: str) -> list[int]:
    """Cells that drive nets; inputs and constants need none."""
    found = []
    for net in nets:
        if net in driver:
            found.append(driver[net])
        elif net not in number:
            raise NetlistError(f"net {_show(net)}, read by {reader}, has no driver; connect it or make it an input")
    return found


def _show(net: Net) -> str:
    """Name of a net for messages: nets of a hierarchy are pairs (path of instances, name)."""
    if isinstance(net, tuple) and len(net) == 2:
        return repr(f"{net[0]}{net[1]}")
    return repr(net)


def flatten(modules: Mapping[str, Module], top: str) -> Circuit:
    """Replace every instance by what it is made of, and assemble the result.

    Raises
    ------
    NetlistError
        If a module is missing, contains itself, lacks a port that an instance connects, or has another width there; if
        the flattened circuit has more than 2,000,000 cells; or for any reason of `assemble`.
    """
    if top not in modules:
        known = ", ".join(repr(name) for name in list(modules)[:12]) or "none"
        raise NetlistError(f"there is no module {top!r} to be the top; there are: {known}")
    cells: list[Cell] = []
    paths = {""}
    work: list[tuple[Module, str, tuple[str, ...]]] = [(modules[top], "", (top,))]
    while work:
        module, path, ancestors = work.pop()
        nets = _Scope(path, module.names)
        if len(cells) + len(module.cells) + len(work) > MAX_CELLS:
            raise NetlistError(f"{top!r} has more than {MAX_CELLS} cells once it is flattened; choose a smaller module")
        cells.extend(Cell(c.kind, nets.all(c.inputs), nets.all(c.outputs), c.table, c.cell) for c in module.cells)
        for instance in module.instances:
            where = f"instance {path + instance.label!r} of {instance.module!r}"
            if instance.module not in modules:
                raise NetlistError(f"{where} in {module.name!r}: there is no such module or cell; add its source")
            if instance.module in ancestors:
                raise NetlistError(f"{where}: a module cannot contain itself ({' > '.join(ancestors)})")
            child = modules[instance.module]
            inner_path = f"{path}{instance.label}."
            while inner_path in paths:  # labels may hold dots
                inner_path += "."
            paths.add(inner_path)
            inside = _Scope(inner_path, child.names)
            for port, outer in instance.pins.items():
                if port not in child.inputs and port not in child.outputs:
                    ports = ", ".join([*child.inputs, *child.outputs][:12])
                    raise NetlistError(f"{where} connects a port {port!r}, which it lacks; its ports: {ports}")
                inner = child.inputs.get(port, child.outputs.get(port, ()))
                if len(inner) != len(outer):
                    raise NetlistError(f"{where}: port {port!r} has {len(inner)} bits, but {len(outer)} are connected")
                for x, y in zip(nets.all(outer), inside.all(inner), strict=True):
                    cells.append(Cell("wire", (x,), (y,)) if port in child.inputs else Cell("wire", (y,), (x,)))
            work.append((child, inner_path, (*ancestors, instance.module)))
    nets = _Scope("", modules[top].names)
    inputs = {port: nets.all(bits) for port, bits in modules[top].inputs.items()}
    outputs = {port: nets.all(bits) for port, bits in modules[top].outputs.items()}
    return assemble(top, inputs, outputs, cells)


class _Scope:
    """Names the nets of one instance apart from those of all others."""

    def __init__(self, path: str, names: Mapping[Net, str]) -> None:
        self.path, self.names = path, names

    def all(self, nets: Iterable[Net]) -> tuple[Net, ...]:
        return tuple(net if isinstance(net, Constant) else (self.path, self.names.get(net, net)) for net in nets)
