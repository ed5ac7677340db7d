"""How fast a multiplier's products grow with one operand: differences of its smoothed table.

The products of an approximate multiplier are steps: a plain difference is 0 on the treads and huge at the edges. Meng,
Burleson, Qian and De Micheli ("Gradient Approximation of Approximate Multipliers for High-Accuracy Deep Neural Network
Retraining", DATE 2025) therefore smooth the table along the operand by a moving average of ``2 h + 1`` entries and take
the central difference ``(S[x + 1] - S[x - 1]) / 2``. All but four entries cancel:

    F'[x] = (F[x + h] + F[x + h + 1] - F[x - h] - F[x - h - 1]) / (2 (2 h + 1))

Near the ends, where these entries would lie outside the table, they put ``(max F - min F) / 2**n`` of the whole row.
Here the window moves inwards until it fits: the slope of the nearest full window, from entries of one side. Like the
rest, that is linear in ``F``, so a sum of products can be differentiated factor by factor, and it finds the slope of an
accurate product everywhere, whatever its sign (a range is positive always).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from multipliers.operands import OperandFormat


def smoothed_difference(values: NDArray[Any], half_window: int) -> NDArray[np.float64]:
    """Differentiate along the first axis.

    Parameters
    ----------
    values : ndarray, shape (n, ...)
        For each value of an operand, ascending; ``n`` at least 2.
    half_window : int
        ``h >= 0``; 0 smooths nothing and is the central difference.

    Returns
    -------
    ndarray
        Of the same shape.

    Examples
    --------
    >>> smoothed_difference(np.array([0, 0, 2, 2, 4, 4]), 0).tolist()
    [1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    >>> smoothed_difference(np.array([0, 0, 0, 3, 3, 3, 6, 6, 6]), 0).tolist()
    [0.0, 0.0, 1.5, 1.5, 0.0, 1.5, 1.5, 0.0, 0.0]
    >>> smoothed_difference(np.array([0, 0, 0, 3, 3, 3, 6, 6, 6]), 1).tolist()
    [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    """
    last = len(values) - 1
    margin = min(half_window + 1, last // 2)  # a window wider than the table is cut to it
    centre = np.clip(np.arange(len(values)), margin, last - margin)
    right, beyond_right = (np.minimum(centre + half_window + i, last) for i in (0, 1))
    left, beyond_left = (np.maximum(centre - half_window - i, 0) for i in (0, 1))
    whole = values.astype(np.float64)
    rise = whole[right] + whole[beyond_right] - whole[left] - whole[beyond_left]
    run = right + beyond_right - left - beyond_left
    slopes: NDArray[np.float64] = rise / run.reshape(-1, *(1,) * (values.ndim - 1))
    return slopes


def default_half_window(operand: OperandFormat) -> int:
    """Return a sixteenth of the operand's values: 16 of 8 bits.

    The published experiments chose 16 or 32 for 8-bit multipliers, 2 to 16 for 7-bit, and 2 for 6-bit ones.

    Examples
    --------
    >>> [default_half_window(OperandFormat(bits)) for bits in (8, 6, 4, 3)]
    [16, 4, 1, 0]
    """
    return operand.size // 16
