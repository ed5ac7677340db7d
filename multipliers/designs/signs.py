"""How designs built on an unsigned core handle signed operands."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from multipliers.multiplier import Design
from multipliers.operands import IntArray


class MagnitudeDesign(Design):
    """An unsigned core with sign-magnitude wrapping (rule *C2*).

    Signed operands are replaced by their exact two's-complement magnitude ``|x|``, the core multiplies the
    magnitudes, and the product is negated exactly if the signs differ, so ``f(-a, b) = -f(a, b)`` wherever ``-a`` is
    representable. Subclasses implement `_core`.
    """

    @abstractmethod
    def _core(self, a: IntArray, b: IntArray) -> IntArray:
        """Multiply magnitudes, ``0 <= a <= 2**n`` and ``0 <= b <= 2**m``."""

    def _product(self, a: IntArray, b: IntArray) -> IntArray:
        product = self._core(np.abs(a), np.abs(b))
        return np.where((a < 0) != (b < 0), -product, product)
