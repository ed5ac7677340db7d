"""A floating-point multiplier around a multiplier of significands."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from multipliers import registry
from multipliers.bits import leading_one, scale_floor
from multipliers.errors import ParameterError, TableError
from multipliers.floating.formats import FloatArray, FloatFormat
from multipliers.multiplier import SAMPLE_SIZE, Multiplier, sample_pairs
from multipliers.operands import IntArray, OperandFormat
from multipliers.readers.mantissa import MAX_MANTISSA_BITS, MantissaTable

_LIMIT = 1 << 53
"""Products from here on have no exact float64, on which the search for the leading one rests."""


@dataclass(frozen=True)
class FloatMultiplier:
    """A multiplier of floating-point numbers: signs are XORed, exponents added, significands multiplied by a core.

    With significands ``A = 2**F + i`` and ``B = 2**F + j`` of the mantissas ``i, j``, and ``P = core(A, B)``, the
    product of two numbers with exponent fields ``ea, eb > 0`` has

        shift    = floor(log2 P) - 2 F                           0, or 1 on carry; other values for some cores
        exponent = ea + eb - bias + shift
        mantissa = floor(P * 2**(F - floor(log2 P))) - 2**F      truncated, never rounded
        sign     = sign of x XOR sign of y (XOR sign of P, should a core give a negative one)

    Parameters
    ----------
    format : FloatFormat
        Of both operands and the product.
    significand : Multiplier
        The core: any multiplier of two unsigned operands of ``F + 1`` bits. Their leading bits are always set.

    Raises
    ------
    ParameterError
        If the core's operands are not unsigned or not of ``F + 1`` bits.

    Notes
    -----
    Operands of wider formats are truncated towards zero (`FloatFormat.encode`). Special cases, in this order:

    * an operand is NaN, or one is infinite and the other 0: NaN;
    * an operand is infinite: infinity with the sign of the product;
    * an operand is 0 (subnormal numbers are), ``ea + eb <= bias`` even on carry, the exponent is below 1, or ``P`` is
      0: **positive** 0;
    * the exponent reaches ``2**E - 1``: **positive** infinity, whatever the signs.

    The last two are those of the simulator of ApproxTrain (J. Gong et al., IEEE TCAD 42(11), 2023) as intended: it
    returns 0 for exponent sums up to 127 and +Inf from 384. Between 381 (on carry) and 383 its exponent overflows into
    the sign bit; here the product is infinite. Its functional models pass NaN and infinity through, as here.

    Examples
    --------
    >>> from multipliers.designs import Mitchell
    >>> mit = FloatMultiplier(FloatFormat(8, 7), Mitchell(OperandFormat(8), OperandFormat(8)))
    >>> mit([1.5, -3.0, 1e30], [1.5, 0.75, 1e30])
    array([ 2., -2., inf], dtype=float32)
    >>> mit.name
    'e8m7_mitchell8u'
    """

    format: FloatFormat
    significand: Multiplier

    def __post_init__(self) -> None:
        core = self.significand
        wanted = OperandFormat(self.format.mantissa_bits + 1)
        if (core.a, core.b) != (wanted, wanted):
            raise ParameterError(
                f"significands of {self.format} are {wanted}: a leading one and {self.format.mantissa_bits} bits of "
                f"mantissa; {core.name} multiplies {core.a} x {core.b}"
            )

    @classmethod
    def from_table(cls, table: MantissaTable, exponent_bits: int = 8) -> FloatMultiplier:
        """Multiplier of a mantissa table, such as `multipliers.readers.mantissa.read_mantissa` reads.

        Examples
        --------
        >>> FloatMultiplier.from_table(MantissaTable.exact(7))(1.5, 1.25)
        np.float32(1.875)
        """
        return cls(FloatFormat(exponent_bits, table.n_bits), table.significand_multiplier())

    @property
    def name(self) -> str:
        """Label ``<format>_<core>``, read back by `get` where the core is a `Design`."""
        return f"{self.format}_{self.significand.name}"

    def __call__(self, x: ArrayLike, y: ArrayLike) -> FloatArray:
        """Multiply floats: operands broadcast against each other, the result is float32 (which holds the format).

        Raises
        ------
        OperandTypeError
            If an operand is not made of float16, float32 or float64 numbers.
        ParameterError
            If the core returns a product of 2**53 or more, far above that of any two significands.
        """
        return self.format.decode(self.multiply_codes(self.format.encode(x), self.format.encode(y)))

    def multiply_codes(self, a: ArrayLike, b: ArrayLike) -> IntArray:
        """Multiply codes of the format, bit for bit; the result is int64.

        Raises
        ------
        OperandTypeError, OperandRangeError
            If a code is not an integer of the format's width.

        Examples
        --------
        >>> hex(get("e8m7_exact8u").multiply_codes(0x3FC0, 0xC000))  # 1.5 * -2
        '0xc040'
        """
        form = self.format
        sign_a, field_a, i = form.split(form.codes.check(a, "a"))
        sign_b, field_b, j = form.split(form.codes.check(b, "b"))
        significand, shift, negative = self._normalised(i, j)
        sign = sign_a ^ sign_b
        exponent = field_a + field_b - form.bias + shift
        magnitude = exponent << form.mantissa_bits | significand & ((1 << form.mantissa_bits) - 1)
        code = (sign ^ negative) << (form.bits - 1) | magnitude
        code = np.where(exponent >= form.top, form.infinity, code)
        zero = [(field == 0) for field in (field_a, field_b)]
        vanishes = zero[0] | zero[1] | (field_a + field_b <= form.bias) | (exponent < 1) | (significand == 0)
        code = np.where(vanishes, 0, code)
        special = [field == form.top for field in (field_a, field_b)]
        code = np.where(special[0] | special[1], sign << (form.bits - 1) | form.infinity, code)
        invalid = (special[0] & ((i != 0) | zero[1])) | (special[1] & ((j != 0) | zero[0]))
        return np.where(invalid, form.nan, code)

    def mantissa_product(self, i: ArrayLike, j: ArrayLike) -> NDArray[np.float64]:
        """Product of the numbers ``1 + i / 2**F`` and ``1 + j / 2**F`` by this design, no exponent being too large.

        From 1 to below 4 for most cores. It is all there is to the design: every product is this one times a power of
        two, but for the special cases.

        Parameters
        ----------
        i, j : array_like of int
            Mantissas, 0 to ``2**F - 1``.

        Examples
        --------
        >>> float(get("e8m7_exact8u").mantissa_product(64, 64))
        2.25
        """
        mantissas = OperandFormat(self.format.mantissa_bits)
        significand, shift, negative = self._normalised(mantissas.check(i, "i"), mantissas.check(j, "j"))
        product = np.ldexp(significand.astype(np.float64), shift - self.format.mantissa_bits)
        return np.where(negative, -product, product)

    def mantissa_table(self) -> MantissaTable:
        """Products of all mantissas as a table of ApproxTrain, which `multipliers.writers.mantissa` stores.

        Raises
        ------
        ParameterError
            For mantissas of more than 7 bits, whose products and carry do not fit a byte.
        TableError
            If a product is not from 1 to below 4, which such a table cannot say.
        """
        bits = self.format.mantissa_bits
        if bits > MAX_MANTISSA_BITS:
            raise ParameterError(f"mantissa tables hold up to {MAX_MANTISSA_BITS} bits, and {self.name} has {bits}")
        values = OperandFormat(bits).values()
        significand, shift, negative = self._normalised(values[:, None], values[None, :])
        bad = (significand == 0) | (shift < 0) | (shift > 1) | (negative != 0)
        if bad.any():
            i, j = (int(index) for index in np.argwhere(bad)[0])
            raise TableError(
                f"{self.name} multiplies the mantissas {i} and {j} to {float(self.mantissa_product(i, j))}; "
                f"a mantissa table holds products from 1 to below 4"
            )
        return MantissaTable(significand & ((1 << bits) - 1) | shift * 0x80, self.name)

    def sample_fingerprint(self) -> str:
        """SHA-256 (hex) of the products, as int64 little-endian codes, at 65,536 fixed pairs of codes.

        The pairs are those of `Multiplier.sample_fingerprint` for operands of the codes' width; they include zeros,
        infinities and NaN as often as these occur among the codes.
        """
        codes = self.format.codes
        products = self.multiply_codes(*sample_pairs(codes, codes, SAMPLE_SIZE))
        return hashlib.sha256(np.ascontiguousarray(products, dtype="<i8").data).hexdigest()

    def _normalised(self, i: IntArray, j: IntArray) -> tuple[IntArray, IntArray, IntArray]:
        """Significand of the product of two mantissas (0 for a product 0), its shift, and 1 where it is negative."""
        bits = self.format.mantissa_bits
        product = self.significand(i | 1 << bits, j | 1 << bits)
        if product.size and (product.max() >= _LIMIT or product.min() <= -_LIMIT):
            worst = max(int(product.max()), -int(product.min()))
            raise ParameterError(
                f"{self.significand.name} multiplies significands of {self.format} to {worst} in magnitude; "
                f"products of a core must stay below 2**53"
            )
        size = np.abs(product)
        characteristic = leading_one(size)
        return scale_floor(size, bits - characteristic), characteristic - 2 * bits, (product < 0).astype(np.int64)


def get(label: str) -> FloatMultiplier:
    """Build the floating-point multiplier that a label names: ``<format>_<label of the core>``.

    Parameters
    ----------
    label : str
        ``"e8m7_mitchell8u"`` is MIT on bfloat16, ``"e8m7_afm8u"`` AFM, ``"e8m7_exact8u"`` the truncated product (bf16),
        ``"e8m7_cfpu8u_n3"`` CFPU, ``"bfloat16_drum8u_k4"`` one around DRUM.

    Raises
    ------
    ParameterError
        If the label has no such form, or the core does not fit the format.
    UnknownNameError
        If there is no such format or family.

    Examples
    --------
    >>> float(get("e8m7_mitchell8u")(1.5, 1.5))
    2.0
    """
    form, underscore, core = label.partition("_")
    if not underscore:
        raise ParameterError(
            f"{label!r} is no label of a floating-point multiplier; expected <format>_<multiplier>, such as "
            f"'e8m7_afm8u': exponent and mantissa bits, and a multiplier of significands, one bit wider than mantissas"
        )
    return FloatMultiplier(FloatFormat.parse(form), registry.get(core))
