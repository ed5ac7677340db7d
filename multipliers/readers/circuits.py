"""Multipliers from files of circuits and C source, with the options that a command or a call may state."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

from multipliers.errors import ParameterError
from multipliers.multiplier import Multiplier
from multipliers.netlist import Circuit, NetlistMultiplier
from multipliers.operands import OperandFormat
from multipliers.readers.evoapprox import formats_of_name

Format = OperandFormat | str | None


@dataclass(frozen=True)
class ReaderOptions:
    """What a file does not say of itself; each kind of file takes some of it.

    Parameters
    ----------
    top : str, optional
        Top module of Verilog and Yosys JSON, or model of BLIF.
    parameters : mapping of str to int or str
        Parameters of the top module of Verilog, which must be given then.
    sources : tuple of Path
        Further Verilog files of the design.
    include : tuple of Path
        Folders of included Verilog files.
    liberty : Path, optional
        Library of standard cells: Verilog is mapped to it; BLIF and Yosys JSON may hold its cells.
    ports : tuple of str, optional
        Ports that are operand a, operand b and, if there are three, the product.
    function : str, optional
        Function of C source.

    Raises
    ------
    ParameterError
        If ``ports`` are not two or three names.
    """

    top: str | None = None
    parameters: Mapping[str, int | str] = field(default_factory=dict, hash=False)
    sources: tuple[Path, ...] = ()
    include: tuple[Path, ...] = ()
    liberty: Path | None = None
    ports: tuple[str, ...] | None = None
    function: str | None = None

    def __post_init__(self) -> None:
        if self.ports is not None and (len(self.ports) not in (2, 3) or not all(self.ports)):
            raise ParameterError(f"ports must be two or three names, as in ('a', 'b', 'o'), got {self.ports!r}")

    @property
    def given(self) -> list[str]:
        """Names of the options that say something."""
        return [f.name for f in fields(self) if getattr(self, f.name)]


_VERILOG = frozenset({"top", "parameters", "sources", "include", "liberty", "ports"})
_NETLIST = frozenset({"top", "liberty", "ports"})
_ACCEPTED: dict[str, frozenset[str]] = {
    **dict.fromkeys((".v", ".sv"), _VERILOG),
    **dict.fromkeys((".blif", ".json"), _NETLIST),
    **dict.fromkeys((".aag", ".aig"), frozenset({"ports"})),
    **dict.fromkeys((".c", ".cc", ".cpp", ".cxx"), frozenset({"function"})),
}
"""Options of files, by suffix."""


def check_options(path: str | Path, options: ReaderOptions) -> None:
    """Raise a `ParameterError` for options that files of this suffix do not have.

    Examples
    --------
    >>> check_options("circuit.blif", ReaderOptions(function="f"))
    Traceback (most recent call last):
    multipliers.errors.ParameterError: circuit.blif takes no option function; that is for .c, .cc, .cpp, .cxx
    """
    accepted = _ACCEPTED.get(Path(path).suffix.lower(), frozenset())
    for name in options.given:
        if name not in accepted:
            suffixes = ", ".join(suffix for suffix, names in _ACCEPTED.items() if name in names)
            raise ParameterError(f"{path} takes no option {name}; that is for {suffixes}")


def read_circuit(
    path: str | Path, a: Format = None, b: Format = None, options: ReaderOptions | None = None
) -> NetlistMultiplier:
    """Read a multiplier from Verilog, BLIF, AIGER or Yosys JSON, by suffix.

    Operand formats that are not given are those that the circuit's name states in the style of EvoApproxLib
    (``mul8s_1L12``), where its ports have these widths; else the signs are guessed, see `NetlistMultiplier`.

    Raises
    ------
    ParameterError
        If the suffix is none of these, or an option is for other files.
    FileNotFoundError, NetlistError
        From reading the file, or if it is no multiplier.
    """
    path = Path(path)
    options = ReaderOptions() if options is None else options
    check_options(path, options)
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise ParameterError(f"cannot tell from its suffix what {str(path)!r} is; read are {', '.join(_READERS)}")
    circuit = reader(path, a, b, options)
    ports = options.ports or ()
    operands = (ports[0], ports[1]) if ports else None
    output = ports[2] if len(ports) > 2 else None
    if a is None and b is None:
        stated = formats_of_name(circuit.name)
        if stated is not None and sorted(f.bits for f in stated) == sorted(p.width for p in circuit.inputs):
            a, b = stated
    return NetlistMultiplier(circuit, a, b, operands=operands, output=output)


def read_c_function(
    path: str | Path, a: Format = None, b: Format = None, options: ReaderOptions | None = None
) -> Multiplier:
    """Read a multiplier from C or C++, **which runs its code**; see `multipliers.readers.c_source.read_c_source`."""
    from multipliers.readers.c_source import read_c_source

    options = ReaderOptions() if options is None else options
    check_options(path, options)
    return read_c_source(path, a, b, function=options.function).multiplier


def _verilog(path: Path, a: Format, b: Format, options: ReaderOptions) -> Circuit:
    from multipliers.readers.verilog import read_verilog

    return read_verilog(
        [path, *options.sources],
        top=options.top,
        parameters=options.parameters,
        include=options.include,
        liberty=options.liberty,
    )


def _blif(path: Path, a: Format, b: Format, options: ReaderOptions) -> Circuit:
    from multipliers.readers.blif import read_blif
    from multipliers.readers.liberty import read_liberty

    return read_blif(path, top=options.top, library=read_liberty(options.liberty) if options.liberty else None)


def _yosys_json(path: Path, a: Format, b: Format, options: ReaderOptions) -> Circuit:
    from multipliers.readers.liberty import read_liberty
    from multipliers.readers.yosys_json import read_yosys_json

    return read_yosys_json(path, top=options.top, library=read_liberty(options.liberty) if options.liberty else None)


def _aiger(path: Path, a: Format, b: Format, options: ReaderOptions) -> Circuit:
    from multipliers.readers.aiger import read_aiger

    if a is None:
        return read_aiger(path)
    first, second = (OperandFormat.parse(x) if isinstance(x, str) else x for x in (a, a if b is None else b))
    return read_aiger(path, widths=(first.bits, second.bits))


_READERS: dict[str, Callable[[Path, Format, Format, ReaderOptions], Circuit]] = {
    **dict.fromkeys((".v", ".sv"), _verilog),
    **dict.fromkeys((".aag", ".aig"), _aiger),
    ".blif": _blif,
    ".json": _yosys_json,
}
