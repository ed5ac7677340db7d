"""A multiplier from whatever names it: a label, a file, or a Python function."""

from __future__ import annotations

import importlib
import re
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
from multipliers.readers.circuits import ReaderOptions, check_options
from multipliers.readers.mantissa import MAX_MANTISSA_BITS

Format = OperandFormat | str | None
Reader = Callable[[Path, Format, Format, ReaderOptions], Multiplier]


def _array(path: Path, a: Format, b: Format, _: ReaderOptions) -> Multiplier:
    from multipliers.readers.arrays import read_array

    return read_array(path, a, b)


def _table(path: Path, a: Format, b: Format, _: ReaderOptions) -> Multiplier:
    if path.suffix.lower() == ".bin" and path.is_file() and path.stat().st_size <= 1 << (2 * MAX_MANTISSA_BITS):
        from multipliers.readers.mantissa import read_mantissa

        mantissas = read_mantissa(path)
        warnings.warn(
            f"{path}: is a table of {mantissas.n_bits}-bit mantissas; taken as the multiplier of "
            f"{mantissas.n_bits + 1}-bit significands (multipliers.floating.FloatMultiplier adds sign and exponent)",
            stacklevel=3,
        )
        return _of_formats(mantissas.significand_multiplier(), a, b)
    from multipliers.readers.tables import read_table

    found = read_table(path, a=a, b=b)
    for finding in found.lint.warnings:
        warnings.warn(f"{path}: {finding.message}", stacklevel=3)
    return found.multiplier


def _circuit(path: Path, a: Format, b: Format, options: ReaderOptions) -> Multiplier:
    from multipliers.readers.circuits import read_circuit

    return read_circuit(path, a, b, options)


def _c_source(path: Path, a: Format, b: Format, options: ReaderOptions) -> Multiplier:
    from multipliers.readers.circuits import read_c_function

    return read_c_function(path, a, b, options)


READERS: dict[str, Reader] = {
    **dict.fromkeys((".npy", ".npz"), _array),
    **dict.fromkeys((".csv", ".txt", ".bin", ".h"), _table),
    **dict.fromkeys((".c", ".cc", ".cpp", ".cxx"), _c_source),
    **dict.fromkeys((".v", ".sv", ".blif", ".json", ".aag", ".aig"), _circuit),
}
"""Readers of files, by suffix."""


LIBRARY = "library:"
"""What names of circuits of the user's library begin with."""

_FINGERPRINT = re.compile(r"[0-9a-f]{8,64}")


def resolve(
    spec: str | Path | Multiplier, a: Format = None, b: Format = None, options: ReaderOptions | None = None
) -> Multiplier:
    """Build the multiplier that ``spec`` names.

    Parameters
    ----------
    spec : str, Path or Multiplier
        One of

        * a label, of the catalog or of any design: ``"drum8u_k4"``;
        * the path of a file: a table (``.npy``, ``.npz``, ``.csv``, ``.txt``, ``.bin``, ``.h``), a circuit (Verilog
          ``.v`` and ``.sv``, ``.blif``, AIGER ``.aag`` and ``.aig``, Yosys ``.json``), or C source (``.c``, ``.cpp``;
          **it is compiled and run**); `multipliers.readers` has the options of each;
        * ``"library:NAME"``, a circuit of the user's library (`catalog.library`), by its name, ``RELEASE/NAME`` or the
          first 8 or more digits of its fingerprint, which may stand alone; one of wide operands is read from its file,
          and **run if that is C**;
        * ``"module:function"``, a Python function of two operands, or ``"module:object"``, a `Multiplier`. **This
          imports the module, and so runs its code**; the current folder is searched first. A function is taken as
          vectorised if it multiplies a small array as it multiplies its elements; one that returns something else for
          arrays than for their elements is refused.
    a, b : OperandFormat or str, optional
        Operand formats, such as ``"8s"``; ``b`` defaults to ``a``. Required for a function; for a table they replace
        the file's own or the guess; for anything else they must be those of the multiplier.
    options : ReaderOptions, optional
        What the file of a circuit or of C source does not say itself: top module, parameters, ports, function, ...

    Raises
    ------
    UnknownNameError
        If ``spec`` is none of these; the message says what was tried, and suggests labels.
    ParameterError
        If a label's parameters are out of range, formats are missing or contradict the multiplier, the object is no
        function of two operands, or ``options`` are given for what has none of them.
    FileNotFoundError, TableError, NetlistError, SourceError
        From reading a file.

    Warns
    -----
    UserWarning
        For what the lint of a foreign table finds suspicious, see `multipliers.lint`; for a table of mantissas, which
        is taken as the multiplier of significands.

    Examples
    --------
    >>> resolve("mitchell8u").name
    'mitchell8u'
    """
    options = ReaderOptions() if options is None else options
    check_options(str(spec), options)
    if isinstance(spec, Multiplier):
        return _of_formats(spec, a, b)
    text = str(spec)
    if text.startswith(LIBRARY):
        return _of_formats(_from_library(text.removeprefix(LIBRARY)), a, b)
    reader = READERS.get(Path(text).suffix.lower())
    if reader is not None:
        return reader(Path(text), a, b, options)
    if isinstance(spec, Path):
        raise UnknownNameError(f"cannot tell from its suffix what {text!r} is; read are {', '.join(sorted(READERS))}")
    if ":" in text:
        return _from_module(text, a, b)
    try:
        label = multipliers.naming.parse_label(text)
    except ParameterError as error:
        tried = f"it is no label ({error})"
    else:
        try:
            return _of_formats(multipliers.get(text), a, b)
        except UnknownNameError:
            tried = f"it is no label (no family {label.family!r} of multipliers)"
    if _FINGERPRINT.fullmatch(text):
        return _of_formats(_from_library(text), a, b)
    core = _core_of_float(text)
    if core is not None:
        raise UnknownNameError(
            f"{text!r} is a floating-point multiplier, multipliers.floating.get({text!r}); what can be characterised "
            f"and modelled is its multiplier of significands: name {core!r}"
        )
    known = {entry.label for entry in entries()} | set(multipliers.families())
    suffixes = ", ".join(sorted(READERS))
    found = f"there is such a file, but only {suffixes} are read" if Path(text).exists() else "no file"
    raise UnknownNameError.of(
        "multiplier", text, known, f"Tried: {tried}; {found}; no 'module:function' (it has no colon)."
    )


def _core_of_float(label: str) -> str | None:
    """Label of the multiplier of significands, if it is a label of a floating-point multiplier."""
    from multipliers.floating import get

    try:
        return get(label).significand.name
    except (ParameterError, UnknownNameError):
        return None


def _from_library(name: str) -> Multiplier:
    from catalog.library import Library

    with Library() as library:
        return library.multiplier(library.find(name))


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
