"""Mantissa tables of ApproxTrain: the core of a floating-point multiplier, without sign and exponent."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from multipliers.bits import fraction_bits, leading_one, scale_floor
from multipliers.errors import ParameterError, TableError
from multipliers.operands import OperandFormat
from multipliers.readers.foreign import read_bytes
from multipliers.table import TableMultiplier

MAX_MANTISSA_BITS = 7
"""A byte holds the carry in its highest bit and at most seven bits of mantissa."""

_CARRY = 0x80


@dataclass(frozen=True)
class MantissaTable:
    """Products of two mantissas ``1.i`` and ``1.j`` of ``m`` bits.

    Parameters
    ----------
    codes : array_like of int, shape (2**m, 2**m)
        ``codes[i, j]``: 0x80 if the product is at least 2 (it carries into the exponent), plus the top ``m`` bits of
        the product's mantissa in the low bits.
    name : str
        A label for people.

    Raises
    ------
    TableError
        If the shape is not that of ``m`` from 1 to 7 bits, or a byte has a bit set between mantissa and carry.

    Examples
    --------
    >>> table = MantissaTable.exact(2)
    >>> int(table.mantissa[2, 2]), bool(table.carry[2, 2])  # 1.5 * 1.5 = 2.25 = 2 * 1.125
    (0, True)
    """

    codes: NDArray[np.uint8] = field(repr=False, compare=False)
    name: str = field(default="mantissa", compare=False)
    content: bytes = field(init=False, repr=False)

    def __init__(self, codes: ArrayLike, name: str = "mantissa") -> None:
        array = np.asarray(codes)
        n_bits = array.shape[0].bit_length() - 1 if array.ndim == 2 else 0
        if array.shape != (1 << n_bits, 1 << n_bits) or not 1 <= n_bits <= MAX_MANTISSA_BITS:
            raise TableError(
                f"a mantissa table has 2**m rows and columns, m from 1 to {MAX_MANTISSA_BITS}; got shape {array.shape}"
            )
        if array.dtype.kind not in "iu":
            raise TableError(f"a mantissa table holds bytes, got {array.dtype}")
        array = array.astype(np.int64)
        bad = (array < 0) | (array > 0xFF) | ((array & ~(_CARRY | ((1 << n_bits) - 1))) != 0)
        if bad.any():
            i, j = (int(x) for x in np.argwhere(bad)[0])
            raise TableError(
                f"entry [{i}, {j}] = {array[i, j]:#x} is more than a carry (0x80) and {n_bits} bits of mantissa "
                f"({int(bad.sum())} such entries)"
            )
        table = np.array(array, dtype=np.uint8, order="C")
        table.setflags(write=False)
        object.__setattr__(self, "codes", table)
        object.__setattr__(self, "name", str(name))
        object.__setattr__(self, "content", table.tobytes())

    @classmethod
    def exact(cls, n_bits: int, name: str = "exact") -> MantissaTable:
        """Table of the accurate product, truncated to ``n_bits``."""
        if not 1 <= n_bits <= MAX_MANTISSA_BITS:
            raise ParameterError(f"n_bits must be from 1 to {MAX_MANTISSA_BITS}, got {n_bits}")
        one = 1 << n_bits
        product = np.multiply.outer(np.arange(one, 2 * one), np.arange(one, 2 * one))
        carry = product >= 2 * one * one
        return cls((np.where(carry, product >> (n_bits + 1), product >> n_bits) - one) | carry * _CARRY, name)

    def __reduce__(self) -> tuple[type[MantissaTable], tuple[NDArray[np.uint8], str]]:
        """Copy and pickle through the constructor: NumPy forgets that an array is read-only."""
        return type(self), (self.codes, self.name)

    @property
    def n_bits(self) -> int:
        """Bits ``m`` of a mantissa, without the leading one."""
        return len(self.codes).bit_length() - 1

    @property
    def carry(self) -> NDArray[np.bool_]:
        """Whether each product is at least 2."""
        return self.codes >= _CARRY

    @property
    def mantissa(self) -> NDArray[np.int64]:
        """Mantissa of each product, ``0 .. 2**m - 1``."""
        return (self.codes & np.uint8((1 << self.n_bits) - 1)).astype(np.int64)

    def significand_multiplier(self) -> TableMultiplier:
        """Multiplier of ``m + 1``-bit integers: the core of `multipliers.floating.FloatMultiplier`.

        Operands are taken by their leading one: with characteristics ``ka, kb``, mantissas ``i, j`` (zeros following
        shorter ones) and the table's product ``M``,

            f(a, b) = floor(2**(ka + kb) * M[i, j])

        and 0 where an operand is 0.

        Examples
        --------
        >>> core = MantissaTable.exact(3).significand_multiplier()
        >>> int(core(12, 12)), int(core(3, 3)), int(core(9, 11))
        (144, 9, 96)
        """
        form = OperandFormat(self.n_bits + 1)
        values = form.values()
        power, index = leading_one(values), fraction_bits(np.maximum(values, 1), self.n_bits)
        cells = np.ix_(index, index)
        significand = (self.mantissa[cells] | 1 << self.n_bits) << self.carry[cells].astype(np.int64)
        products = scale_floor(significand, power[:, None] + power - self.n_bits)
        return TableMultiplier(np.where(np.multiply.outer(values, values) == 0, 0, products), form, name=self.name)

    def products(self) -> NDArray[np.float64]:
        """Products of ``1 + i / 2**m`` and ``1 + j / 2**m`` as the table has them, from 1 to below 4."""
        scaled: NDArray[np.float64] = (1.0 + self.mantissa / (1 << self.n_bits)) * np.where(self.carry, 2.0, 1.0)
        return scaled


def read_mantissa(path: str | Path, n_bits: int | None = None, *, name: str | None = None) -> MantissaTable:
    """Read a table of ApproxTrain: ``2**(2m)`` bytes, index ``(i << m) + j``.

    Parameters
    ----------
    path : str or Path
    n_bits : int, optional
        Bits ``m``; by default the number at the end of the file's name (``MBM_7.bin``), else from the size.
    name : str, optional
        By default the file name without suffix.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    TableError
        If the size is not that of ``m`` (four times as much is a table of 32-bit numbers), a byte is no code, or, for
        ``m > 1``, all products are the same or the mantissa is 0 throughout (a fault known from a generator of such
        tables; one bit of mantissa may well be 0 throughout, as in MBM_1).
    """
    path = Path(path)
    data = read_bytes(path)
    found = re.search(r"_([0-9]{1,2})$", path.stem)
    bits = n_bits if n_bits is not None else int(found[1]) if found else (len(data).bit_length() - 1) // 2
    if not 1 <= bits <= MAX_MANTISSA_BITS:
        raise TableError(f"{path}: mantissas of 1 to {MAX_MANTISSA_BITS} bits are read (a byte a product), not {bits}")
    if len(data) != 1 << (2 * bits):
        raise TableError(
            f"{path} has {len(data)} bytes; a table of {bits}-bit mantissas has {1 << (2 * bits)}"
            + (" (this is four times as much: 32-bit numbers?)" if len(data) == 4 << (2 * bits) else "")
        )
    try:
        table = MantissaTable(np.frombuffer(data, np.uint8).reshape(1 << bits, 1 << bits), name or path.stem)
    except TableError as error:
        raise TableError(f"{path}: {error}") from None
    if bits > 1 and not table.mantissa.any():
        raise TableError(f"{path}: the mantissa of every product is 0; the table was not generated properly")
    if bits > 1 and (table.codes == table.codes[0, 0]).all():
        raise TableError(f"{path}: every product is the same")
    return table
