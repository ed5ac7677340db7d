"""Control-variate multipliers: truncated activations, and one correction for each dot product."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from multipliers.designs.signs import check_room
from multipliers.distributions import FloatArray
from multipliers.errors import OperandTypeError, ParameterError
from multipliers.multiplier import Design
from multipliers.operands import IntArray, OperandFormat
from multipliers.registry import register


@register
@dataclass(frozen=True)
class ControlVariate(Design):
    """Multiplier of the control-variate accelerator: the low bits of the activation ``a`` are perforated.

    With ``x = a mod 2**z``,

        f(a, b) = (a - x) * b

    which is `Perforation` of the first ``z`` rows with operands swapped. The control variate is added once for each
    dot product, not for each product, and so is no part of this function: `control_variate_dot` adds it.

    Zero preserving, not commutative, and of rank 1.

    Parameters
    ----------
    a, b : OperandFormat
        Up to 31 bits unsigned, 32 bits signed. ``a`` is the activation, ``b`` the weight.
    low_bits : int
        Perforated bits ``z`` of ``a``, 0 to ``n``, one less where ``a`` is signed. Label letter ``z``.

    Notes
    -----
    Sign rule: native two's complement (``x`` is the floor modulus).

    Error range: ``-x * b``, at most ``(2**z - 1) * abs(b)`` in magnitude.

    An interpretation, from the text of the paper.

    Source: G. Zervakis, O. Spantidi, I. Anagnostopoulos, H. Amrouch, J. Henkel, "Control Variate Approximation for DNN
    Accelerators", DAC 2021 (arXiv 2102.09642).

    Examples
    --------
    >>> m = ControlVariate(OperandFormat(8), OperandFormat(8, True), low_bits=2)
    >>> m.name, int(m(7, -10))
    ('cv8ux8s_z2', -40)
    """

    a: OperandFormat
    b: OperandFormat
    low_bits: int

    family = "cv"
    letters: ClassVar[dict[str, str]] = {"z": "low_bits"}

    def __post_init__(self) -> None:
        check_room(self)
        self._check_parameter("low_bits", 0, self.a.bits - self.a.signed)

    def _product(self, a: IntArray, b: IntArray) -> IntArray:
        return (a >> self.low_bits << self.low_bits) * b


def control_variate_dot(
    activations: ArrayLike, weights: ArrayLike, low_bits: int, constant: ArrayLike | None = None
) -> FloatArray:
    """Dot products on `ControlVariate` multipliers, with their control variate.

    With ``x_j = a_j mod 2**z`` over the last axis,

        y = sum_j w_j (a_j - x_j) + C * sum_j x_j

    whose error is ``-sum_j (w_j - C) x_j``. Where the ``x_j`` are independent, with one mean and one variance, and C is
    the mean of the weights, the mean error is 0 and its variance, ``Var(x) * sum_j (w_j - C)**2``, is the least of all
    constants.

    Parameters
    ----------
    activations, weights : array_like of int
        Of one length along the last axis; the other axes broadcast.
    low_bits : int
        Perforated bits ``z`` of the activations, 0 to 32.
    constant : array_like of float, optional
        The constant ``C``, which broadcasts against the result; by default the mean of the weights over the last axis.
        An accelerator that stores it in few bits passes its rounded value; 0 is the product without control variate.

    Returns
    -------
    ndarray of float64
        Exact below ``2**53`` where the constants are integers.

    Raises
    ------
    OperandTypeError
        If activations or weights are not integers.
    ParameterError
        If ``low_bits`` is out of range or no integer, or the lengths differ.

    Examples
    --------
    >>> float(control_variate_dot([7, 5, 2], [1, 2, 3], low_bits=2))
    24.0
    >>> float(control_variate_dot([7, 5, 2], [1, 2, 3], low_bits=2, constant=0))
    12.0
    """
    a, w = np.asarray(activations), np.asarray(weights)
    for name, array in (("activations", a), ("weights", w)):
        if array.dtype.kind not in "iu":
            raise OperandTypeError(f"{name} must be integers, got {array.dtype}; quantise them first")
    if isinstance(low_bits, bool) or not isinstance(low_bits, int) or not 0 <= low_bits <= 32:
        raise ParameterError(f"low_bits must be an integer from 0 to 32, got {low_bits!r}")
    if a.ndim == 0 or w.ndim == 0 or a.shape[-1] != w.shape[-1] or a.shape[-1] == 0:
        raise ParameterError(
            f"activations and weights need one length along their last axis, got shapes {a.shape} and {w.shape}"
        )
    a, w = a.astype(np.int64), w.astype(np.int64)
    kept = a >> low_bits << low_bits
    control = w.mean(axis=-1) if constant is None else np.asarray(constant, dtype=np.float64)
    result: FloatArray = (kept * w).sum(axis=-1) + control * (a - kept).sum(axis=-1)
    return result
