"""A multiplier from whatever names it: a label, a file, or a Python function."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

import multipliers
from catalog.catalog import entries
from multipliers.errors import ParameterError, UnknownNameError
from multipliers.function import CallableMultiplier
from multipliers.multiplier import Multiplier, sample_pairs
from multipliers.operands import OperandFormat

Format = OperandFormat | str | None
Reader = Callable[[Path, Format, Format], Multiplier]


def _array(path: Path, a: Format, b: Format) -> Multiplier:
    from multipliers.readers.arrays import read_array

    return read_array(path, a, b)


def _table(path: Path, a: Format, b: Format) -> Multiplier:
    from multipliers.readers.tables import read_table

    found = read_table(path, a=a, b=b)
    for finding in found.lint.warnings:
        warnings.warn(f"{path}: {finding.message}", stacklevel=3)
    return found.multiplier


def _c_source(path: Path, a: Format, b: Format) -> Multiplier:
    from multipliers.readers.c_source import read_c_source

    return read_c_source(path, a, b).multiplier


def _blif(path: Path, a: Format, b: Format) -> Multiplier:
    from multipliers.netlist import NetlistMultiplier
    from multipliers.readers.blif import read_blif

    return NetlistMultiplier(read_blif(path), a, b)


def _aiger(path: Path, a: Format, b: Format) -> Multiplier:
    from multipliers.netlist import NetlistMultiplier
    from multipliers.readers.aiger import read_aiger

    first, second = _formats(a, b)
    widths = None if first is None or second is None else (first.bits, second.bits)
    return NetlistMultiplier(read_aiger(path, widths=widths), a, b)


def _yosys_json(path: Path, a: Format, b: Format) -> Multiplier:
    from multipliers.netlist import NetlistMultiplier
    from multipliers.readers.yosys_json import read_yosys_json

    return NetlistMultiplier(read_yosys_json(path), a, b)


def _verilog(path: Path, a: Format, b: Format) -> Multiplier:
    from multipliers.netlist import NetlistMultiplier
    from multipliers.readers.verilog import read_verilog

    return NetlistMultiplier(read_verilog(path), a, b)


READERS: dict[str, Reader] = {
    **dict.fromkeys((".npy", ".npz"), _array),
    **dict.fromkeys((".csv", ".txt", ".bin", ".h"), _table),
    **dict.fromkeys((".c", ".cc", ".cpp", ".cxx"), _c_source),
    **dict.fromkeys((".v", ".sv"), _verilog),
    **dict.fromkeys((".aag", ".aig"), _aiger),
    ".blif": _blif,
    ".json": _yosys_json,
}
"""Readers of files, by suffix."""


def resolve(spec: str | Path | Multiplier, a: Format = None, b: Format = None) -> Multiplier:
    """Build the multiplier that ``spec`` names.

    Parameters
    ----------
    spec : str, Path or Multiplier
        One of

        * a label, of the catalog or of any design: ``"drum8u_k4"``;
        * the path of a file: a table (``.npy``, ``.npz``, ``.csv``, ``.txt``, ``.bin``, ``.h``), a circuit (Verilog
          ``.v`` and ``.sv``, ``.blif``, AIGER ``.aag`` and ``.aig``, Yosys ``.json``), or C source (``.c``, ``.cpp``;
          **it is compiled and run**); `multipliers.readers` has the options of each;
        * ``"module:function"``, a Python function of two operands, or ``"module:object"``, a `Multiplier`. **This
          imports the module, and so runs its code**; the current folder is searched first. A function is taken as
          vectorised if it multiplies a small array as it multiplies its elements; one that returns something else for
          arrays than for their elements is refused.
    a, b : OperandFormat or str, optional
        Operand formats, such as ``"8s"``; ``b`` defaults to ``a``. Required for a function; for a table they replace
        the file's own or the guess; for anything else they must be those of the multiplier.

    Raises
    ------
    UnknownNameError
        If ``spec`` is none of these; the message says what was tried, and suggests labels.
    ParameterError
        If a label's parameters are out of range, formats are missing or contradict the multiplier, or the object is no
        function of two operands.
    FileNotFoundError, TableError, NetlistError, SourceError
        From reading a file.

    Warns
    -----
    UserWarning
        For what the lint of a foreign table finds suspicious, see `multipliers.lint`.

    Examples
    --------
    >>> resolve("mitchell8u").name
    'mitchell8u'
    """
    if isinstance(spec, Multiplier):
        return _of_formats(spec, a, b)
    text = str(spec)
    reader = READERS.get(Path(text).suffix.lower())
    if reader is not None:
        return reader(Path(text), a, b)
    if isinstance(spec, Path):
        raise UnknownNameError(f"cannot tell from its suffix what {text!r} is; read are {', '.join(sorted(READERS))}")
    if ":" in text:
        return _from_module(text, a, b)
    try:
        label = multipliers.naming.parse_label(text)
    except ParameterError as error:
        tried = f"it is no label ({error})"
    else:
        if label.family in multipliers.families():
            return _of_formats(multipliers.get(text), a, b)
        tried = f"it is no label (no family {label.family!r} of multipliers)"
    known = {entry.label for entry in entries()} | set(multipliers.families())
    suffixes = ", ".join(sorted(READERS))
    found = f"there is such a file, but only {suffixes} are read" if Path(text).exists() else "no file"
    raise UnknownNameError.of(
        "multiplier", text, known, f"Tried: {tried}; {found}; no 'module:function' (it has no colon)."
    )


def _formats(a: Format, b: Format) -> tuple[OperandFormat | None, OperandFormat | None]:
    first = OperandFormat.parse(a) if isinstance(a, str) else a
    second = OperandFormat.parse(b) if isinstance(b, str) else b
    return first, first if second is None else second


def _of_formats(multiplier: Multiplier, a: Format, b: Format) -> Multiplier:
    for operand, wanted, has in zip("ab", _formats(a, b), (multiplier.a, multiplier.b), strict=True):
        if wanted is not None and wanted != has:
            raise ParameterError(
                f"operand {operand} of {multiplier.name} is {has}, not {wanted}; leave the formats out, "
                f"or name a multiplier of other formats"
            )
    return multiplier


def _from_module(spec: str, a: Format, b: Format) -> Multiplier:
    module_name, _, path = spec.partition(":")
    with _current_folder_first():
        try:
            found: Any = importlib.import_module(module_name)
        except (ImportError, ValueError, TypeError) as error:
            raise UnknownNameError(f"unknown multiplier {spec!r}: cannot import {module_name!r} ({error})") from error
    for attribute in path.split("."):
        try:
            found = getattr(found, attribute)
        except AttributeError:
            public = [name for name in vars(found) if not name.startswith("_")] if hasattr(found, "__dict__") else []
            raise UnknownNameError.of(f"name in {spec.partition(':')[0]!r}", path, public) from None
    if isinstance(found, Multiplier):
        return _of_formats(found, a, b)
    if not callable(found) or isinstance(found, type):
        raise ParameterError(f"{spec} is a {type(found).__name__}; give a function of two operands, or a Multiplier")
    first, second = _formats(a, b)
    if first is None or second is None:
        raise ParameterError(
            f"{spec} is a function, which does not say its operand formats; pass a= and b=, as in '8u'"
        )
    return CallableMultiplier(found, first, second, vectorised=_is_vectorised(found, first, second, spec), name=path)


@contextmanager
def _current_folder_first() -> Iterator[None]:
    folder = str(Path.cwd())
    sys.path.insert(0, folder)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(folder)


def _is_vectorised(function: Callable[..., object], a: OperandFormat, b: OperandFormat, spec: str) -> bool:
    """Whether a function takes arrays; tried on eight pairs that include the extremes."""
    x, y = sample_pairs(a, b, 8)
    x[:4], y[:4] = (a.minimum, a.minimum, a.maximum, a.maximum), (b.minimum, b.maximum, b.minimum, b.maximum)
    outcomes: dict[bool, Any] = {}
    errors: dict[bool, Exception] = {}
    for vectorised in (True, False):
        try:
            outcomes[vectorised] = CallableMultiplier(function, a, b, vectorised=vectorised, name=spec)(x, y)
        except Exception as error:  # whatever the user's function raises
            errors[vectorised] = error
    if not outcomes:
        raise ParameterError(
            f"{spec} multiplies neither arrays ({errors[True]}) nor integers ({errors[False]}) of formats {a} x {b}"
        )
    if len(outcomes) == 2 and not np.array_equal(outcomes[True], outcomes[False]):
        at = int(np.argmax(outcomes[True] != outcomes[False]))
        raise ParameterError(
            f"{spec}({x[at]}, {y[at]}) is {outcomes[True][at]} within an array and {outcomes[False][at]} by itself; "
            f"wrap it in a CallableMultiplier that says vectorised=True or False"
        )
    return True in outcomes
