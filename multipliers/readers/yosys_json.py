"""Netlists that Yosys writes with ``write_json``."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from multipliers.errors import NetlistError
from multipliers.netlist.assembly import Cell, Constant, Instance, Module, Net, flatten
from multipliers.netlist.circuit import MAX_LUT_INPUTS, Circuit
from multipliers.netlist.library import Library, connect, instantiate
from multipliers.netlist.ports import group_bits
from multipliers.netlist.tables import table_cell

REMEDY = "map the design to simple gates before write_json, for example with 'synth -flatten -top TOP; abc -g simple'"

SIMPLE_CELLS: dict[str, tuple[str, str]] = {
    "$_BUF_": ("buf", "A"),
    "$_NOT_": ("not", "A"),
    "$_AND_": ("and", "AB"),
    "$_NAND_": ("nand", "AB"),
    "$_OR_": ("or", "AB"),
    "$_NOR_": ("nor", "AB"),
    "$_XOR_": ("xor", "AB"),
    "$_XNOR_": ("xnor", "AB"),
    "$_ANDNOT_": ("andnot", "AB"),
    "$_ORNOT_": ("ornot", "AB"),
    "$_MUX_": ("mux", "ABS"),
    "$_NMUX_": ("nmux", "ABS"),
    "$_AOI3_": ("aoi21", "ABC"),
    "$_OAI3_": ("oai21", "ABC"),
    "$_AOI4_": ("aoi22", "ABCD"),
    "$_OAI4_": ("oai22", "ABCD"),
}
"""Yosys' simple gates with the output Y: our kind, and the pins in the order of its inputs."""

_REGISTERS: tuple[str, ...] = (
    "$_DFF",
    "$_SDFF",
    "$_ALDFF",
    "$_DLATCH",
    "$_SR_",
    "$_FF_",
    "$dff",
    "$sdff",
    "$adff",
    "$aldff",
    "$dlatch",
)
_REGISTERS += ("$adlatch", "$sr", "$ff", "$mem", "$fsm", "$anyinit")
_IGNORED = ("$scopeinfo", "$print", "$check", "$assert", "$assume", "$cover", "$live", "$fair")


def read_yosys_json(
    path: str | Path, *, top: str | None = None, undefined: int | None = None, library: Library | None = None
) -> Circuit:
    """Read a netlist that Yosys wrote with ``write_json``.

    Parameters
    ----------
    path : str or Path
        The file. Simple gates (``$_AND_``, ...), ``$lut`` of at most 12 inputs, the standard cells of
        `multipliers.netlist.cells` and instances of the file's other modules are read.
    top : str, optional
        Module to read; by default the one with the attribute ``top``, else the only one.
    undefined : {0, 1}, optional
        Value of the bits that the design leaves undefined (``x``); by default they are an error.
    library : Library, optional
        Cells that the netlist may hold besides the standard cells, see `multipliers.readers.liberty`.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    NetlistError
        If the file is no such netlist, holds registers, loops, word-level cells or undefined bits, or a net has no
        driver or two; the message gives the cell or net, and what to do.
    """
    path = Path(path)
    if not path.is_file():
        kind = "is a folder" if path.is_dir() else "does not exist"
        raise FileNotFoundError(f"cannot read a netlist from {str(path)!r}: it {kind}")
    try:
        text = path.read_text(encoding="utf-8")
        return parse_yosys_json(text, top=top, undefined=undefined, library=library)
    except UnicodeDecodeError as error:
        raise NetlistError(f"{path} is not a JSON netlist: {error}") from None
    except NetlistError as error:
        raise NetlistError(f"{path}: {error}") from None


def parse_yosys_json(
    text: str, *, top: str | None = None, undefined: int | None = None, library: Library | None = None
) -> Circuit:
    """Read a netlist from the text of ``write_json``; see `read_yosys_json`."""
    if undefined not in (None, 0, 1):
        raise NetlistError(f"undefined bits are read as 0 or 1, got {undefined!r}")
    try:
        design = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise NetlistError(f"not JSON, or truncated: {error}") from None
    found = _member(design, "modules", dict, "the file")
    whole = {n: m for n, m in found.items() if not _is_true(m, "blackbox") and not _is_true(m, "whitebox")}
    modules = {name: _module(name, module, set(whole), library, undefined) for name, module in whole.items()}
    if top is None:
        marked = [name for name in modules if _is_true(found[name], "top")]
        chosen = marked or list(modules)
        if len(chosen) != 1:
            held = ", ".join(repr(name) for name in chosen[:12]) or "none"
            raise NetlistError(f"cannot tell which module is the top ({held}); pass top=")
        top = chosen[0]
    if top in modules:
        for ports, n in ((modules[top].inputs, 2), (modules[top].outputs, 1)):
            _collect_bits(ports, n)
    return flatten(modules, top)


def _collect_bits(ports: dict[str, tuple[Net, ...]], n_vectors: int) -> None:
    """Join ports of one bit each, ``a0``, ``a1``, ... or ``a[0]``, to vectors, where that gives so many ports."""
    wide = {name: bits for name, bits in ports.items() if len(bits) != 1}
    with contextlib.suppress(NetlistError):  # some index is missing or double: they are no vectors
        grouped = group_bits([name for name in ports if name not in wide])
        vectors = {name: tuple(ports[bit][0] for bit in bits) for name, bits in grouped.items()}
        if len(ports) > n_vectors == len(wide | vectors) == len(wide) + len(vectors):
            ports.clear()
            ports.update(wide | vectors)


def _member(value: Any, key: str, kind: type, where: str) -> Any:
    if not isinstance(value, dict) or not isinstance(value.get(key), kind):
        raise NetlistError(f"{where} has no {key!r} of the kind that Yosys' write_json writes")
    return value[key]


def _is_true(module: Any, attribute: str) -> bool:
    attributes = module.get("attributes", {}) if isinstance(module, dict) else {}
    value = attributes.get(attribute, 0) if isinstance(attributes, dict) else 0
    return "1" in value if isinstance(value, str) else bool(value)


def _module(name: str, data: Any, defined: set[str], library: Library | None, undefined: int | None) -> Module:
    module = Module(name)
    where = f"module {name!r}"
    netnames = data.get("netnames", {}) if isinstance(data, dict) else {}
    netnames = netnames if isinstance(netnames, dict) else {}
    by_hand_first = sorted(netnames.items(), key=lambda item: item[0].startswith("$"))
    for label, entry in by_hand_first:
        bits = entry.get("bits", ()) if isinstance(entry, dict) else ()
        for i, bit in enumerate(bits if isinstance(bits, list) else ()):
            if isinstance(bit, int):
                module.names.setdefault(bit, label if len(bits) == 1 else f"{label}[{i}]")
    _make_distinct(module.names)
    for port, entry in _member(data, "ports", dict, where).items():
        direction = _member(entry, "direction", str, f"port {port!r} of {where}")
        bits = _bits(_member(entry, "bits", list, f"port {port!r} of {where}"), f"port {port!r} of {where}", undefined)
        if direction not in ("input", "output"):
            raise NetlistError(f"port {port!r} of {where} is {direction!r}; only inputs and outputs are simulated")
        (module.inputs if direction == "input" else module.outputs)[port] = bits
    cells = data.get("cells", {})
    if not isinstance(cells, dict):
        raise NetlistError(f"{where} has cells that are not a mapping of names to cells")
    for label, cell in cells.items():
        at = f"cell {label!r} of {where}"
        kind = _member(cell, "type", str, at)
        if kind.startswith(_IGNORED):
            continue
        pins = {
            pin: _bits(bits if isinstance(bits, list) else ["?"], f"pin {pin!r} of {at}", undefined)
            for pin, bits in _member(cell, "connections", dict, at).items()
        }
        cells = None if kind in defined else instantiate(kind, pins, label, at, library)
        if cells is not None:
            module.cells.extend(cells)
        elif kind in SIMPLE_CELLS:
            ours, inputs = SIMPLE_CELLS[kind]
            module.cells.append(Cell(ours, *connect(kind, inputs, ("Y",), pins, label, at)))
        elif kind == "$lut":
            module.cells.append(_lut(pins, cell.get("parameters", {}), at, undefined))
        elif kind.startswith(_REGISTERS):
            raise NetlistError(f"{at} is a register or memory ({kind}); only combinational circuits are simulated")
        elif kind.startswith("$") and not kind.startswith("$paramod"):
            raise NetlistError(f"{at} has the type {kind!r}, which is no simple gate; {REMEDY}")
        else:
            module.instances.append(Instance(label, kind, pins))
    return module


def _make_distinct(names: dict[Net, str]) -> None:
    """Give every net a name of its own: ``a[0]`` may also be an escaped name."""
    seen: set[str] = set()
    for net in list(names):
        while names[net] in seen:
            names[net] = f"{names[net]}#{net}"
        seen.add(names[net])


def _bits(bits: list[Any], where: str, undefined: int | None) -> tuple[Net, ...]:
    nets: list[Net] = []
    for bit in bits:
        if isinstance(bit, int) and not isinstance(bit, bool):
            nets.append(bit)
        elif bit in ("0", "1"):
            nets.append(Constant(int(bit)))
        elif bit == "x" and undefined is not None:
            nets.append(Constant(undefined))
        elif bit == "z":
            raise NetlistError(f"{where} is high impedance (z); drive it with 0 or 1 at all times")
        elif bit == "x":
            nets.append(f"x (undefined; undefined=0 reads it as 0) of {where}")
        else:
            raise NetlistError(f"{where} has the bit {bit!r}; bits are net numbers, '0', '1' or 'x'")
    return tuple(nets)


def _lut(pins: Mapping[str, tuple[Net, ...]], parameters: Any, at: str, undefined: int | None) -> Cell:
    inputs, output = pins.get("A", ()), pins.get("Y", ())
    text = parameters.get("LUT") if isinstance(parameters, dict) else None
    if not 1 <= len(inputs) <= MAX_LUT_INPUTS or len(output) != 1 or set(pins) != {"A", "Y"}:
        raise NetlistError(f"{at} is a $lut of {len(inputs)} inputs and {len(output)} outputs; 1 to 12 and 1 are read")
    size = 1 << len(inputs)
    if isinstance(text, int) and not isinstance(text, bool):
        text = format(text, "b") if text >= 0 else None
    if isinstance(text, str) and undefined is not None:
        text = text.replace("x", str(undefined))
    if not isinstance(text, str) or not text or len(text.lstrip("0")) > size or set(text) - set("01"):
        raise NetlistError(
            f"{at} is a $lut of {len(inputs)} inputs whose table LUT is not {size} bits: {str(text)[:80]!r}"
        )
    return table_cell(inputs, output[0], int(text, 2))
