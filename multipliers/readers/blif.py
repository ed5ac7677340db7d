"""Netlists in the Berkeley Logic Interchange Format (BLIF), flat or hierarchical."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from multipliers.errors import NetlistError
from multipliers.netlist.assembly import Cell, Instance, Module, Net, flatten
from multipliers.netlist.circuit import Circuit
from multipliers.netlist.library import Library, instantiate
from multipliers.netlist.ports import group_bits
from multipliers.netlist.tables import cover_cells

_IGNORED = {
    *(".area", ".delay", ".wire", ".wire_load_slope", ".cname", ".attr", ".param", ".cycle", ".clock_event"),
    *(".input_arrival", ".input_drive", ".max_input_load", ".output_required", ".output_load"),
    *(".default_input_arrival", ".default_input_drive", ".default_max_input_load"),
    *(".default_output_required", ".default_output_load"),
}
_REGISTERS = (".latch", ".mlatch", ".clock", ".start_kiss")


def read_blif(path: str | Path, *, top: str | None = None, library: Library | None = None) -> Circuit:
    """Read a BLIF netlist.

    Bits such as ``a[0]``, ``a[1]``, ``a_0_`` or ``a0`` of the ports are collected into vectors, smallest index least
    significant. A cover of at most 6 inputs becomes one gate: a plain kind where the function is one, else a ``lut``; a
    wider one becomes and, or and not gates. External don't-cares (``.exdc``) and timing are ignored.

    Parameters
    ----------
    path : str or Path
        The file. ``.names``, ``.subckt`` of models in the same file, and ``.gate`` of the standard cells of
        `multipliers.netlist.cells` are read.
    top : str, optional
        Model to read; by default the first one.
    library : Library, optional
        Cells that ``.gate`` may name besides the standard cells, see `multipliers.readers.liberty`.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    NetlistError
        If the file is not BLIF, is truncated, holds registers or loops, or a net has no driver or two; the message
        gives the line or the net.
    """
    path = Path(path)
    if not path.is_file():
        kind = "is a folder" if path.is_dir() else "does not exist"
        raise FileNotFoundError(f"cannot read a netlist from {str(path)!r}: it {kind}")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise NetlistError(f"{path} is not a BLIF file: {error}") from None
    try:
        return parse_blif(text, top=top, name=path.stem, library=library)
    except NetlistError as error:
        raise NetlistError(f"{path}: {error}") from None


def parse_blif(text: str, *, top: str | None = None, name: str = "blif", library: Library | None = None) -> Circuit:
    r"""Read a BLIF netlist from text; see `read_blif`. ``name`` labels a model that has none.

    Examples
    --------
    >>> parse_blif(".model and\n.inputs a b\n.outputs o\n.names a b o\n11 1\n.end")
    Circuit('and', inputs={'a': 1, 'b': 1}, outputs={'o': 1}, n_gates=1)
    """
    models: dict[str, _Model] = {}
    model: _Model | None = None
    for number, words in _lines(text):
        keyword = words[0]
        if keyword == ".model":
            if model is not None:
                model.close()
            label = words[1] if len(words) > 1 else name
            if label in models:
                raise NetlistError(f"line {number}: model {label!r} is defined twice")
            model = models[label] = _Model(label)
            continue
        if model is None:
            if not keyword.startswith(".") or keyword not in (".inputs", ".outputs", ".names"):
                raise NetlistError(f"line {number}: expected .model, got {' '.join(words)[:60]!r}; is it a BLIF file?")
            model = models[name] = _Model(name)
        model.add(number, words)
    if not models or model is None:
        raise NetlistError("the file holds no .model")
    model.close()
    unfinished = [m.name for m in models.values() if not m.ended]
    if unfinished:
        raise NetlistError(f"model {unfinished[0]!r} has no .end: the file is truncated (if it is whole, append .end)")
    chosen = top if top is not None else next(iter(models))
    for m in models.values():
        m.replace_library_cells(set(models), library)
    modules = {label: m.module(with_vectors=label == chosen) for label, m in models.items()}
    return flatten(modules, chosen)


def _lines(text: str) -> Iterator[tuple[int, list[str]]]:
    """Logical lines as words, with the number of their first line; comments dropped, continuations joined."""
    words: list[str] = []
    start = 0
    for number, line in enumerate(text.splitlines(), 1):
        content = line.split("#", 1)[0].rstrip()
        continued = content.endswith("\\")
        if not words:
            start = number
        words.extend(content.removesuffix("\\").split())
        if not continued and words:
            yield start, words
            words = []
    if words:
        raise NetlistError(f"line {start}: the file ends within a line that continues with a backslash")


@dataclass
class _Model:
    """One ``.model`` while it is read."""

    name: str
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    cells: list[Cell] = field(default_factory=list)
    instances: list[Instance] = field(default_factory=list)
    ended: bool = False
    ignoring: bool = False
    nets: list[str] = field(default_factory=list)
    cubes: list[str] = field(default_factory=list)
    values: set[str] = field(default_factory=set)
    open_line: int = 0

    def add(self, number: int, words: list[str]) -> None:
        """Take one logical line."""
        keyword = words[0]
        if not keyword.startswith("."):
            if not self.ignoring:
                self._cube(number, words)
            return
        self.close()
        if self.ended:
            raise NetlistError(f"line {number}: {keyword} after .end of model {self.name!r}")
        if keyword == ".end":
            self.ended, self.ignoring = True, False
        elif self.ignoring:
            return
        elif keyword in (".inputs", ".input"):
            self.inputs.extend(words[1:])
        elif keyword in (".outputs", ".output"):
            self.outputs.extend(words[1:])
        elif keyword == ".names":
            if len(words) < 2:
                raise NetlistError(f"line {number}: .names needs at least the net that it drives")
            self.nets, self.open_line = words[1:], number
        elif keyword in (".subckt", ".gate"):
            self._instance(number, words)
        elif keyword in _REGISTERS:
            raise NetlistError(
                f"line {number}: {' '.join(words)[:60]!r} makes the circuit sequential; "
                f"only combinational circuits are simulated"
            )
        elif keyword == ".exdc":
            self.ignoring = True
        elif keyword == ".conn" and len(words) == 3:
            self.cells.append(Cell("wire", (words[1],), (words[2],)))
        elif keyword == ".blackbox":
            raise NetlistError(f"line {number}: model {self.name!r} is a black box; add the model's own logic")
        elif keyword not in _IGNORED:
            raise NetlistError(f"line {number}: {keyword!r} is not understood")

    def _cube(self, number: int, words: list[str]) -> None:
        if not self.open_line:
            raise NetlistError(f"line {number}: {' '.join(words)[:60]!r} stands outside of a .names")
        n = len(self.nets) - 1
        cube, value = "".join(words[:-1]), words[-1]
        if len(cube) != n or set(cube) - set("01-") or value not in ("0", "1"):
            raise NetlistError(
                f"line {number}: {' '.join(words)[:60]!r} is no row of a cover of {n} inputs: "
                f"{n} characters 0, 1 or -, then 0 or 1"
            )
        self.cubes.append(cube)
        self.values.add(value)
        if len(self.values) > 1:
            raise NetlistError(f"line {number}: a cover gives the ones or the zeros of {self.nets[-1]!r}, not both")

    def close(self) -> None:
        """Finish the open ``.names``."""
        if self.open_line:
            *inputs, output = self.nets
            self.cells.extend(cover_cells(inputs, output, self.cubes, "0" not in self.values))
        self.nets, self.cubes, self.values, self.open_line = [], [], set(), 0

    def _instance(self, number: int, words: list[str]) -> None:
        if len(words) < 2:
            raise NetlistError(f"line {number}: {words[0]} needs the name of a model")
        pins: dict[str, tuple[Net, ...]] = {}
        for word in words[2:]:
            formal, equals, actual = word.partition("=")
            if not equals or not formal or formal in pins:
                raise NetlistError(f"line {number}: {word!r} is no connection 'port=net', or a second one of its port")
            if actual:
                pins[formal] = (actual,)
        self.instances.append(Instance(f"{words[1]}${len(self.instances)}", words[1], pins))

    def replace_library_cells(self, defined: set[str], library: Library | None) -> None:
        """Make gates of the instances of library and standard cells that the file does not define."""
        kept = []
        for instance in self.instances:
            cells = None
            if instance.module not in defined:
                where = f"instance {instance.label!r} in model {self.name!r}"
                cells = instantiate(instance.module, instance.pins, instance.label, where, library)
            if cells is None:
                kept.append(instance)
            else:
                self.cells.extend(cells)
        self.instances = kept

    def module(self, *, with_vectors: bool) -> Module:
        """Return the model; its ports are single bits, or vectors for the top."""
        for kind, ports in (("input", self.inputs), ("output", self.outputs)):
            if len(set(ports)) != len(ports):
                twice = next(p for p in ports if ports.count(p) > 1)
                raise NetlistError(f"model {self.name!r} declares the {kind} {twice!r} twice")
        inputs: dict[str, tuple[Net, ...]]
        outputs: dict[str, tuple[Net, ...]]
        if with_vectors:
            inputs = {k: tuple(v) for k, v in group_bits(self.inputs).items()}
            outputs = {k: tuple(v) for k, v in group_bits(self.outputs).items()}
        else:
            inputs = {bit: (bit,) for bit in self.inputs}
            outputs = {bit: (bit,) for bit in self.outputs}
        return Module(self.name, inputs, outputs, self.cells, self.instances)
