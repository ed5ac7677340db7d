"""Operand distributions: checked, normalised, and sampled reproducibly."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from multipliers.errors import ParameterError
from multipliers.multiplier import sample_pairs
from multipliers.operands import IntArray, OperandFormat
from multipliers.records import Record

FloatArray = NDArray[np.float64]

_WORD = OperandFormat(32)


@dataclass(frozen=True, eq=False)
class OperandDistributions(Record):
    """How often each operand value enters a product, such as in a layer of a network.

    Every function with ``weights_a`` and ``weights_b`` takes them: ``error_metrics(m, d.weights_a, d.weights_b)``. The
    operands are then taken to be independent of each other; the distributions are those of each operand by itself.

    Parameters
    ----------
    a, b : OperandFormat
        Operand formats.
    weights_a, weights_b : ndarray, shapes (2**n,) and (2**m,)
        Non-negative numbers, one per value in ascending order, such as counts.

    Raises
    ------
    ParameterError
        If the weights are no distribution over the format, see `normalised_weights`.

    Examples
    --------
    >>> two = OperandFormat(2)
    >>> first = OperandDistributions(two, two, np.array([3, 0, 0, 1]), np.array([1, 1, 1, 1]))
    >>> OperandDistributions.merged([first, first]).weights_a
    array([6, 0, 0, 2])
    """

    a: OperandFormat
    b: OperandFormat
    weights_a: IntArray | FloatArray
    weights_b: IntArray | FloatArray

    def __post_init__(self) -> None:
        super().__post_init__()
        normalised_weights(self.a, self.weights_a, "a")
        normalised_weights(self.b, self.weights_b, "b")

    @classmethod
    def merged(cls, parts: Iterable[OperandDistributions]) -> OperandDistributions:
        """Add up the weights of several distributions: of counts, each counts by its number of products.

        Raises
        ------
        ParameterError
            If there is none, or their formats differ.
        """
        found = list(parts)
        if not found:
            raise ParameterError("there are no distributions to merge")
        first, *others = found
        for other in others:
            if (other.a, other.b) != (first.a, first.b):
                raise ParameterError(
                    f"cannot merge distributions of {first.a} x {first.b} and of {other.a} x {other.b} operands"
                )
        weights_a, weights_b = (
            np.sum([getattr(d, name) for d in found], axis=0) for name in ("weights_a", "weights_b")
        )
        return cls(first.a, first.b, weights_a, weights_b)


def normalised_weights(format: OperandFormat, weights: ArrayLike | None, operand: str) -> FloatArray:
    """Return a distribution over the values of an operand, summing to 1.

    Parameters
    ----------
    format : OperandFormat
        The operand's format.
    weights : array_like of float or None
        One non-negative, finite number per value, in ascending order of the values, such as a histogram of a layer's
        activations. None is uniform.
    operand : str
        How messages call the operand.

    Returns
    -------
    ndarray of float64, shape (2**n,)

    Raises
    ------
    ParameterError
        If the shape is not ``(2**n,)``, a weight is negative or not finite, or all are zero.

    Examples
    --------
    >>> normalised_weights(OperandFormat(2), [3, 1, 0, 0], "a")
    array([0.75, 0.25, 0.  , 0.  ])
    """
    if weights is None:
        return np.full(format.size, 1.0 / format.size)
    array = np.asarray(weights)
    if array.dtype.kind not in "iuf":
        raise ParameterError(f"weights_{operand} must be real numbers, got {array.dtype}")
    array = array.astype(np.float64)
    if array.shape != (format.size,):
        raise ParameterError(
            f"weights_{operand} has shape {array.shape}, but the format {format} has {format.size} values "
            f"({format.minimum} to {format.maximum}): give one weight per value, shape ({format.size},)"
        )
    bad = ~np.isfinite(array) | (array < 0)
    if bad.any():
        at = int(np.argmax(bad))
        raise ParameterError(
            f"weights_{operand} must be finite and not negative; the weight of {operand} = {format.minimum + at} "
            f"is {array[at]}"
        )
    largest = array.max()
    if largest == 0:
        raise ParameterError(f"weights_{operand} are all zero; at least one value must occur")
    scaled = array / largest  # the sum of huge weights would overflow
    distribution: FloatArray = scaled / scaled.sum()
    return distribution


def weighted_pairs(
    a: OperandFormat,
    b: OperandFormat,
    n_pairs: int,
    start: int = 0,
    weights_a: FloatArray | None = None,
    weights_b: FloatArray | None = None,
) -> tuple[IntArray, IntArray]:
    """Draw reproducible, independent operand pairs ``start .. start + n_pairs - 1`` of a fixed sequence.

    Without weights these are the pairs of `multipliers.multiplier.sample_pairs`; a weighted operand is drawn by
    inverting its cumulative distribution at the 32 bits that `sample_pairs` uses for it: probabilities hold to 2**-32.

    Parameters
    ----------
    a, b : OperandFormat
        Formats of the operands.
    n_pairs, start : int
        Which part of the sequence.
    weights_a, weights_b : ndarray of float64, optional
        Distributions that sum to 1, see `normalised_weights`.
    """
    uniform_a, uniform_b = sample_pairs(a, b, n_pairs, start)
    if weights_a is None and weights_b is None:
        return uniform_a, uniform_b
    words_a, words_b = sample_pairs(_WORD, _WORD, n_pairs, start)
    return (
        uniform_a if weights_a is None else _invert(a, weights_a, words_a),
        uniform_b if weights_b is None else _invert(b, weights_b, words_b),
    )


def _invert(format: OperandFormat, weights: FloatArray, words: IntArray) -> IntArray:
    occurring = np.flatnonzero(weights)
    cumulative = np.cumsum(weights[occurring])
    index = np.searchsorted(cumulative, (words + 0.5) / 2.0**32 * cumulative[-1], side="right")
    drawn: IntArray = occurring[np.minimum(index, occurring.size - 1)] + format.minimum
    return drawn
