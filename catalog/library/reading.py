"""From a file to a multiplier: which files of a folder are circuits, what they are called, how they are read."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from catalog.library.records import Language, Source, digest_of
from catalog.library.schema import LibraryError
from multipliers.errors import ParameterError
from multipliers.multiplier import MAX_TABLE_ENTRIES, Multiplier
from multipliers.netlist.multiplier import NetlistMultiplier
from multipliers.operands import OperandFormat
from multipliers.readers.c_compiled import CompiledMultiplier
from multipliers.readers.c_functions import choose_function
from multipliers.readers.c_run import Limits
from multipliers.readers.evoapprox import formats_of_name

if TYPE_CHECKING:
    from catalog.circuit import Circuit

LANGUAGES: dict[str, Language] = {
    **dict.fromkeys((".c", ".cc", ".cpp", ".cxx"), "c"),
    **dict.fromkeys((".v", ".sv"), "verilog"),
}
"""Suffixes of circuit files. They are `Language` values, not standards: C++ is compiled and run like C."""

MAX_FILE_BYTES = 1 << 24
"""Larger files are no circuits."""

_VARIANT = re.compile(r"_(pdk45|gen)$", re.IGNORECASE)
_FOLDER = re.compile(r"(?P<a>[0-9]{1,2})x(?P<b>[0-9]{1,2})_(?P<sign>unsigned|signed)")
_ADDER = re.compile(r"add[0-9]")


def find_files(folder: Path) -> Iterator[Path]:
    """Yield the circuit files of a folder and the folders in it, sorted; each folder once, however it is linked.

    Hidden folders are left out, and so are adders, of which EvoApproxLib has as many as multipliers.
    """
    seen: set[tuple[int, int]] = set()
    for at, folders, files in os.walk(folder, followlinks=True):
        try:
            status = Path(at).stat()
        except OSError:  # it has vanished since
            continue
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            path = Path(at, name)
            if path.suffix.lower() in LANGUAGES and not _ADDER.match(name) and path.is_file():
                yield path


def name_of(path: Path) -> str:
    """Return the name of the circuit that a file describes; characters that are no text are escaped.

    Examples
    --------
    >>> name_of(Path("mul8u_1JFF_pdk45.v"))
    'mul8u_1JFF'
    """
    stem = os.fsencode(_VARIANT.sub("", path.stem))
    return stem.decode("utf-8", errors="backslashreplace")


def formats_of(path: Path) -> tuple[OperandFormat, OperandFormat] | None:
    """Return the operand formats that the names of a file and its folders state, None where they do not.

    Examples
    --------
    >>> [x.label for x in formats_of(Path("multipliers/8x8_unsigned/legacy/mul8_000.c"))]
    ['8u', '8u']
    """
    stated = formats_of_name(name_of(path))
    if stated is not None:
        return stated
    for folder in reversed(path.parts[:-1]):
        match = _FOLDER.match(folder)
        if match:
            signed = match["sign"] == "signed"
            return OperandFormat(int(match["a"]), signed), OperandFormat(int(match["b"]), signed)
    return None


def read_circuit(path: Path, text: str) -> CompiledMultiplier | NetlistMultiplier:
    """Read a circuit file; **one in C is compiled and run**.

    Parameters
    ----------
    path : Path
        Where the file is; the language is told by its suffix.
    text : str
        What it holds.

    Raises
    ------
    ParameterError
        If neither the name of a C function nor that of a folder states operand formats.
    SourceError, NetlistError, OSError
        If it cannot be read as a multiplier.
    """
    formats = formats_of(path) or (None, None)
    if LANGUAGES[path.suffix.lower()] == "verilog":
        from multipliers.readers.verilog import read_verilog

        return NetlistMultiplier(read_verilog(path), *formats, name=name_of(path))
    function = choose_function(text, path, None)
    a, b = formats_of_name(function.name) or formats
    if a is None or b is None:
        raise ParameterError(
            f"neither the function {function.name!r} nor a folder states operand formats, as 'mul8u_X' and "
            f"'8x8_unsigned' do; rename one of them"
        )
    return CompiledMultiplier(text, function, a, b, name=name_of(path), file=str(path), limits=Limits())


def read_again(circuit: Circuit, sources: list[Source]) -> Multiplier:
    """Read a stored circuit from the first of its files that is as it was; a netlist before a C file, which is run.

    Raises
    ------
    LibraryError
        If there is none, or the file multiplies differently now.
    """
    missing = []
    for source in sorted(sources, key=lambda s: (s.language != "verilog", str(s.path))):
        try:
            data = source.path.read_bytes()
        except OSError as error:
            missing.append(f"{source.path} ({error.strerror})")
            continue
        if digest_of(data) != source.digest:
            missing.append(f"{source.path} (changed since)")
            continue
        found = read_circuit(source.path, data.decode("utf-8", errors="replace"))
        whole = circuit.complete and found.n_pairs <= MAX_TABLE_ENTRIES
        if (found.fingerprint() if whole else found.sample_fingerprint()) != circuit.fingerprint:
            raise LibraryError(f"{source.path} does not multiply as it did when it was imported; import it again")
        return found
    raise LibraryError(
        f"{circuit.name} of {circuit.origin} has {circuit.a} x {circuit.b} operands, too many pairs to be stored, and "
        f"none of its files is as it was: {', '.join(missing)}; import them again"
    )
