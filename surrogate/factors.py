"""A surrogate as matrices: what a layer multiplies, and what it only sums."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from surrogate.basis import FactorArray


@dataclass(frozen=True)
class Factors:
    """A surrogate as matrices: ``s(a, b) = sum_j left[a, j] * right[b, j] + additive_a[a] + additive_b[b]``.

    Terms that share a function are merged, so the number of columns is the number of matrix products that a layer
    needs. A term with a constant factor is no product but a sum: over the lanes of a receptive field, ``additive_b``
    of the weights is a constant of an output channel, ``additive_a`` of the activations one number that all output
    channels share. Rows are in natural operand order; int64 where the surrogate is integer, else float64.

    Attributes
    ----------
    left, right : ndarray, shapes (2**n, k) and (2**m, k)
    additive_a, additive_b : ndarray, shapes (2**n,) and (2**m,), or None
        None where there is no such part.
    """

    left: FactorArray
    right: FactorArray
    additive_a: FactorArray | None = None
    additive_b: FactorArray | None = None

    @property
    def n_products(self) -> int:
        """Number of columns."""
        return int(self.left.shape[1])

    @property
    def is_integer(self) -> bool:
        """Whether all parts are int64."""
        return self.left.dtype.kind == "i"

    def as_products(self) -> Factors:
        """Write the additive parts as products with a column of ones."""
        left, right = self.left, self.right
        if self.additive_a is not None:
            left = np.column_stack([left, self.additive_a])
            right = np.column_stack([right, np.ones(len(right), dtype=right.dtype)])
        if self.additive_b is not None:
            left = np.column_stack([left, np.ones(len(left), dtype=left.dtype)])
            right = np.column_stack([right, self.additive_b])
        return Factors(left, right)

    def product_bound(self) -> float:
        """Largest sum of the magnitudes of all that is added for one pair; a bound on it for wide operands."""
        whole = self.as_products()
        left, right = np.abs(whole.left.astype(np.float64)), np.abs(whole.right.astype(np.float64))
        if left.shape[0] * right.shape[0] <= 1 << 20:
            return float((left @ right.T).max(initial=0.0))
        return float((left.max(axis=0) * right.max(axis=0)).sum())
