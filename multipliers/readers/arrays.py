"""Tables in NumPy's ``.npy`` and ``.npz`` files."""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from multipliers.errors import ParameterError, TableError, UnknownNameError
from multipliers.lint import clearly_best, rank_layouts
from multipliers.multiplier import MAX_TABLE_ENTRIES
from multipliers.operands import OperandFormat
from multipliers.readers.layout import layouts
from multipliers.table import TableMultiplier, integer_table

_RESERVED = ("a", "b", "name")


def read_array(
    path: str | Path,
    a: OperandFormat | str | None = None,
    b: OperandFormat | str | None = None,
    *,
    key: str | None = None,
    name: str | None = None,
) -> TableMultiplier:
    """Read a table of products from a ``.npy`` or ``.npz`` file; row = first operand, natural order of the values.

    Parameters
    ----------
    path : str or Path
        The file; its first bytes, not its suffix, say which of the two it is.
    a, b : OperandFormat or str, optional
        Formats of the operands, such as ``"8s"``. ``b`` defaults to ``a``. Where neither is given they are taken from
        the file's own fields ``a`` and ``b`` (`multipliers.writers.arrays.write_npz` stores them), else the widths
        from the shape and the signs by `guess_formats`.
    key : str, optional
        Which array of a ``.npz``; needed where it holds several besides the fields ``a``, ``b`` and ``name``.
    name : str, optional
        Label of the multiplier; by default the file's field ``name``, else the file name without suffix.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    TableError
        If the file is neither format, is truncated or corrupt, holds pickled objects (never loaded), holds more than
        2**24 entries, or its array is no table of the formats; or if the signs cannot be guessed.
    UnknownNameError
        If the file has no array ``key``.
    ParameterError
        If ``b`` is given without ``a``, or a format does not parse.
    """
    path = Path(path)
    if not path.is_file():
        kind = "is a folder" if path.is_dir() else "does not exist"
        raise FileNotFoundError(f"cannot read a table from {str(path)!r}: it {kind}")
    if a is None and b is not None:
        raise ParameterError(f"operand format b={b!s} is given without a; give both, or neither to take the file's own")
    stored: dict[str, str] = {}
    with path.open("rb") as file:
        magic = file.read(6)
        file.seek(0)
        if magic == b"\x93NUMPY":
            if key is not None:
                raise TableError(f"{path}: key={key!r} is given, but a .npy file holds a single array without a name")
            table = read_npy(file, str(path))
        elif magic[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
            table, stored = _read_npz(file, str(path), key)
        else:
            raise TableError(f"{path} is neither a .npy nor a .npz file: it begins with {magic!r}")
    try:
        products = integer_table(table)
        if a is None and ("a" in stored) is not ("b" in stored):
            raise TableError("has only one of the fields 'a' and 'b' (operand formats); pass a= and b=")
        if a is None and stored.get("a"):
            a, b = stored["a"], stored["b"]
        if a is None:
            a, b = guess_formats(products)
        return TableMultiplier(products, a, b, name=name or stored.get("name") or path.stem)
    except (TableError, ParameterError) as error:
        raise type(error)(f"{path}: {error}") from None


def guess_formats(table: ArrayLike) -> tuple[OperandFormat, OperandFormat]:
    """Guess the operand formats of a table in natural order: widths from its shape, signs from its products.

    The table is compared with the exact product under the four combinations of signs, and the nearest is taken if it is
    clearly so, see `multipliers.lint.clearly_best`.

    Raises
    ------
    TableError
        If the shape is not two powers of two, or no combination is clearly best: then the operand order or coding may
        also be another one (two's-complement codes 0 .. 127, -128 .. -1, for example), which is never guessed.

    Examples
    --------
    >>> signed = np.arange(-8, 8)
    >>> guess_formats(np.outer(signed, np.arange(8)))
    (OperandFormat(bits=4, signed=True), OperandFormat(bits=3, signed=False))
    """
    products = integer_table(table)
    candidates = rank_layouts(products, layouts((products.shape[0], products.shape[1]), orders=("natural",)))
    best = candidates[0].layout
    if clearly_best(candidates) is None:
        raise TableError(
            f"cannot tell the signs of the operands: the table is nearest to {best.a} x {best.b} products, at "
            f"{candidates[0].residual:.0%} of their norm, and next to {candidates[1].layout.a} x "
            f"{candidates[1].layout.b}; pass a= and b=, such as a='{best.a}', b='{best.b}'"
        )
    return best.a, best.b


def _read_npz(file: IO[bytes], path: str, key: str | None) -> tuple[NDArray[Any], dict[str, str]]:
    """Read one array, and the text fields, of an archive of ``.npy`` members."""
    try:
        with zipfile.ZipFile(file) as archive:
            members = {n.removesuffix(".npy"): n for n in archive.namelist() if n.endswith(".npy")}
            arrays = [n for n in members if n not in _RESERVED]
            if key is None:
                if len(arrays) != 1:
                    held = ", ".join(repr(n) for n in arrays) or "none"
                    raise TableError(f"{path} holds {len(arrays)} arrays ({held}); pass key= to choose one")
                key = arrays[0]
            if key not in members:
                raise UnknownNameError.of(f"array in {path}", key, arrays)
            fields = {}
            for field in _RESERVED:
                if field in members and field != key:
                    with archive.open(members[field]) as member:
                        text = read_npy(member, f"{path}, field {field!r}")
                    if text.ndim == 0 and text.dtype.kind == "U":
                        fields[field] = str(text)
            with archive.open(members[key]) as member:
                return read_npy(member, f"{path}, array {key!r}"), fields
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError) as error:
        raise TableError(f"{path} is a truncated or corrupt .npz file: {error or type(error).__name__}") from error


def read_npy(file: IO[bytes], source: str) -> NDArray[Any]:
    """Read one array after checking that its header promises a table that can be held."""
    headers: dict[tuple[int, int], Callable[[IO[bytes]], tuple[tuple[int, ...], bool, np.dtype[Any]]]] = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    try:
        version = np.lib.format.read_magic(file)
        if version not in headers:
            raise TableError(f"{source}: .npy format version {version[0]}.{version[1]} cannot hold a table")
        shape, _, dtype = headers[version](file)
        if dtype.hasobject:
            raise TableError(
                f"{source} holds pickled Python objects, which are never loaded; "
                f"save the table again with an integer dtype"
            )
        if math.prod(shape) > MAX_TABLE_ENTRIES or dtype.itemsize > 1024:
            raise TableError(f"{source} announces an array {shape} of {dtype}; tables have at most 2**24 integers")
        file.seek(0)
        return np.lib.format.read_array(file, allow_pickle=False)
    except TableError:
        raise
    except (ValueError, EOFError, MemoryError, OverflowError) as error:
        raise TableError(f"{source} is truncated or not in .npy format: {error}") from error
