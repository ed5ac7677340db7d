"""Multipliers given as C or C++ source, compiled and run: **this executes the code of the file**."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from multipliers.errors import ParameterError
from multipliers.multiplier import MAX_TABLE_ENTRIES, Multiplier
from multipliers.operands import OperandFormat
from multipliers.readers.c_compiled import CompiledMultiplier
from multipliers.readers.c_functions import Function, choose_function, find_functions
from multipliers.readers.c_run import Limits, SourceError
from multipliers.readers.evoapprox import Figure, formats_of_name, header_figures
from multipliers.table import TableMultiplier

__all__ = [
    "CircuitFile",
    "CompiledMultiplier",
    "Figure",
    "Function",
    "find_functions",
    "formats_of_name",
    "header_figures",
    "read_c_source",
]

MAX_SOURCE_BYTES = 1 << 24
"""Largest source file that is read."""


@dataclass(frozen=True)
class CircuitFile:
    """What `read_c_source` found in a file.

    Attributes
    ----------
    multiplier : Multiplier
        A `TableMultiplier` up to 2**24 operand pairs, else a `CompiledMultiplier`.
    function : Function
        The function that was compiled.
    published : mapping of str to Figure
        Figures of the header comment, such as ``{"MAE%": Figure(0.0064, "%"), "PDK45_PWR": Figure(0.41, "mW")}``.
    """

    multiplier: Multiplier
    function: Function
    published: Mapping[str, Figure] = field(hash=False)


def read_c_source(
    path: str | Path,
    a: OperandFormat | str | None = None,
    b: OperandFormat | str | None = None,
    *,
    function: str | None = None,
    name: str | None = None,
    compiler: str | None = None,
    limits: Limits | None = None,
) -> CircuitFile:
    """Read a multiplier from C or C++ source. **This runs the code of the file**: read only what you trust.

    The compiler and the program run in processes of their own, without a shell, in a temporary folder, under limits of
    time, memory and file size. The limits guard against accidents, not against malice.

    Parameters
    ----------
    path : str or Path
        A file that defines a function of two integers, ``T f(T, T)``; ``.cpp``, ``.cc``, ``.cxx`` and ``.C`` are
        compiled as C++. It may have a ``main`` (ignored) and include files of its own folder.
    a, b : OperandFormat or str, optional
        Formats of the operands, such as ``"8s"``; ``b`` defaults to ``a``. Where neither is given they are taken from
        the function's name in the style of EvoApproxLib: ``mul8u_X``, ``mul8x4u_X``, ``mul12s_X``.
    function : str, optional
        Which function; needed where several of the file could be meant. By default the only function of two integers,
        else the one named like the file, else the only one named ``mul...`` in the style of EvoApproxLib.
    name : str, optional
        Label of the multiplier; by default the function's name.
    compiler : str, optional
        Name or path of the compiler; by default the first of ``gcc``, ``cc``, ``clang`` (``g++``, ``c++``,
        ``clang++``) that is found.
    limits : Limits, optional
        Time, memory and file size for the compiler and for each run.

    Returns
    -------
    CircuitFile

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    SourceError
        If no compiler is found, the file does not compile (the compiler's message is quoted), it defines no function
        of two integers, or several; or the program crashes or exceeds a limit.
    UnknownNameError
        If the file does not define ``function``.
    ParameterError
        If formats are missing, do not parse, or have products beyond int64.

    Notes
    -----
    *Operand order*: parameters named ``A`` and ``B`` (in either case) are the operands ``a`` and ``b``, whatever their
    order: the 8x8 unsigned circuits of EvoApproxLib declare ``(B, A)``. Other parameters are ``a, b`` as declared.

    *Signs*: a parameter of a signed type receives the value; one of an unsigned type its two's-complement code of
    ``n`` bits. The result is reduced modulo ``2**(n+m)`` and, if an operand is signed, read as two's complement: some
    signed circuits are declared with unsigned types.
    """
    path = Path(path)
    if not path.is_file():
        kind = "is a folder" if path.is_dir() else "does not exist"
        raise FileNotFoundError(f"cannot read C source from {str(path)!r}: it {kind}")
    if path.stat().st_size > MAX_SOURCE_BYTES:
        raise SourceError(f"{path} has {path.stat().st_size} bytes; sources of up to {MAX_SOURCE_BYTES} are read")
    text = path.read_text(encoding="utf-8", errors="replace")
    chosen = choose_function(text, path, function)
    first, second = _formats(chosen.name, path, a, b)
    multiplier: Multiplier = CompiledMultiplier(
        text,
        chosen,
        first,
        second,
        name=name or chosen.name,
        file=str(path.resolve()),
        compiler=compiler,
        limits=limits or Limits(),
    )
    if multiplier.n_pairs <= MAX_TABLE_ENTRIES:
        multiplier = TableMultiplier(multiplier.table(), first, second, name=multiplier.name)
    return CircuitFile(multiplier, chosen, header_figures(text))


def _formats(
    name: str, path: Path, a: OperandFormat | str | None, b: OperandFormat | str | None
) -> tuple[OperandFormat, OperandFormat]:
    if a is None and b is not None:
        raise ParameterError(f"operand format b={b!s} is given without a; give both, or neither")
    if a is not None:
        first = OperandFormat.parse(a) if isinstance(a, str) else a
        return first, first if b is None else OperandFormat.parse(b) if isinstance(b, str) else b
    formats = formats_of_name(name)
    if formats is None:
        raise ParameterError(
            f"{path}: the name {name!r} does not state operand formats as 'mul8u_X' does; pass a= and b=, as in '8u'"
        )
    return formats
