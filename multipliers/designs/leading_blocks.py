"""Leading-one based approximate multipliers (LOBA), of which the first is the dynamic segment multiplier (DSM)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from multipliers.bits import keep_leading_bits
from multipliers.designs.signs import MagnitudeDesign
from multipliers.operands import IntArray, OperandFormat
from multipliers.registry import register


@register
@dataclass(frozen=True)
class LeadingOneBlocks(MagnitudeDesign):
    """Leading-one based approximate multiplier LOBA0 to LOBA3; LOBA0 is the dynamic segment multiplier (DSM).

    With ``H(x)`` the ``k`` leading bits of ``x`` (the bits below cleared; ``x < 2**k`` unchanged) and ``L(x)`` the
    ``k`` leading bits of ``x - H(x)``,

        LOBA0  f(a, b) = H(a) H(b)
        LOBA1  f(a, b) = H(a) H(b) + H(a) L(b)
        LOBA2  f(a, b) = H(a) H(b) + H(a) L(b) + L(a) H(b)
        LOBA3  f(a, b) = H(a) H(b) + H(a) L(b) + L(a) H(b) + L(a) L(b)

    Zero preserving; LOBA1 is not commutative. LOBA1 to LOBA3 are an interpretation, from the text of the paper.

    Parameters
    ----------
    a, b : OperandFormat
        Any widths whose products fit int64, any signs.
    variant : int
        0 to 3. Label letter ``v``.
    kept_bits : int
        Block length ``k``, 1 to ``max(n, m)``. Label letter ``k``. LOBA0 is DSM-``k``, and the "truncated Mitchell" of
        TorchApprox's HTP models; `multipliers.get` reads ``dsm8u_k4`` as ``loba8u_v0k4``.

    Notes
    -----
    Sign rule: two's-complement magnitude (`MagnitudeDesign`).

    Error range: never above the product; the relative error of LOBA0 is in ``((1 + 2**(1-k))**-2 - 1, 0]``, that of
    the others closer to 0.

    Source: S. Narayanamoorthy, H. A. Moghaddam, Z. Liu, T. Park, N. S. Kim, "Energy-Efficient Approximate
    Multiplication for Digital Signal Processing and Classification Applications", IEEE TVLSI 23(6), 2015 (DSM);
    B. Garg, S. K. Patel, S. Dutt, "LoBA: A Leading One Bit Based Imprecise Multiplier for Efficient Image Processing",
    J. Electronic Testing 36, 2020.

    Examples
    --------
    >>> m = LeadingOneBlocks(OperandFormat(8), OperandFormat(8), variant=0, kept_bits=3)
    >>> m.name, int(m(200, 100))
    ('loba8u_v0k3', 18432)
    """

    a: OperandFormat
    b: OperandFormat
    variant: int
    kept_bits: int

    family = "loba"
    letters: ClassVar[dict[str, str]] = {"v": "variant", "k": "kept_bits"}
    aliases: ClassVar[dict[str, dict[str, int]]] = {"dsm": {"variant": 0}}

    def __post_init__(self) -> None:
        self._check_widths()
        self._check_parameter("variant", 0, 3)
        self._check_parameter("kept_bits", 1, max(self.a.bits, self.b.bits))

    def _core(self, a: IntArray, b: IntArray) -> IntArray:
        high_a, high_b = keep_leading_bits(a, self.kept_bits), keep_leading_bits(b, self.kept_bits)
        if self.variant == 0:
            return high_a * high_b
        low_a, low_b = keep_leading_bits(a - high_a, self.kept_bits), keep_leading_bits(b - high_b, self.kept_bits)
        if self.variant == 1:
            return high_a * (high_b + low_b)
        product = (high_a + low_a) * (high_b + low_b)
        return product - low_a * low_b if self.variant == 2 else product
