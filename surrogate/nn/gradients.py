"""Which derivative of the product the backward pass of approximate layers uses: the ``gradient`` of `ApproxConfig`.

====================  =============================================  ==================================================
gradient              derivative with respect to an operand          cost of the backward pass
====================  =============================================  ==================================================
``straight_through``  the other operand, as of the accurate product  that of the accurate layer
``factored``          smoothed differences of a surrogate's factors  ``k`` times as much, for ``k`` terms
``difference``        smoothed differences of the table              a lookup for each product, forward and backward
====================  =============================================  ==================================================

The straight-through gradient is the one to begin with: for multipliers of small error all three are nearly the same.
Where products stray far from the accurate ones (many partial products left out, short segments), the derivative of what
the layer really computes trains further: a small convolutional network on the digits of scikit-learn, retrained for 80
steps through ``bam8u_h5v8``, ends at half of the straight-through loss; through ``bam8u_h0v10`` or ``etm8u`` a shallow
perceptron ends where it ends straight through. ``factored`` and ``difference`` are equal for an exact surrogate; take
``factored`` where there is one of few terms, or operands are too wide for a table, and ``difference`` for tables of
high rank.

``gradient_smoothing``, the half-window, should reach over the steps of the multiplier: half a step at least (32 for
``bam8s_h6v7``, which ignores six bits), else most derivatives are 0 and the rest too large. Much wider windows lead to
the mean slope of the table. `surrogate.nn.smoothed_difference` tells the formula and its source,
`surrogate.nn.product_gradient` the chain rule with quantisation, `surrogate.nn.difference_gradient` and
`surrogate.nn.factored_gradient` the sums.
"""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from multipliers.multiplier import MAX_TABLE_ENTRIES, Multiplier
from surrogate.factors import Factors
from surrogate.model import Surrogate
from surrogate.nn.config import ApproxConfig
from surrogate.nn.difference_gradient import DifferenceGradient
from surrogate.nn.errors import ConversionError
from surrogate.nn.factored_gradient import FactoredGradient
from surrogate.nn.product_gradient import ProductGradient
from surrogate.nn.smoothed_difference import default_half_window


def product_gradient(config: ApproxConfig) -> ProductGradient | None:
    """Build the derivative that a configuration asks for, of the products that its layers compute.

    Returns
    -------
    ProductGradient or None
        None for the straight-through gradient, which needs nothing.

    Raises
    ------
    ConversionError
        If ``"difference"`` is asked for and the table has more than 2**24 entries, or ``"factored"``, and there is no
        surrogate of the multiplier.

    Examples
    --------
    >>> product_gradient(ApproxConfig(multiplier="drum8u_k4"))
    >>> product_gradient(ApproxConfig(multiplier="drum8u_k4", gradient="difference")).by_weight.shape
    torch.Size([256, 256])
    """
    if config.gradient == "straight_through":
        return None
    resolved = config.resolved()
    formats = config.activation_format, config.weight_format
    half_windows = cast(
        tuple[int, int],
        tuple(
            default_half_window(f) if config.gradient_smoothing is None else config.gradient_smoothing for f in formats
        ),
    )
    swapped = config.activation_operand == "b"
    if config.gradient == "factored":
        factors = _surrogate(resolved).factors()
        if swapped:
            factors = Factors(factors.right, factors.left, factors.additive_b, factors.additive_a)
        return FactoredGradient(factors, half_windows)
    source = cast(Multiplier | Surrogate, resolved.multiplier if resolved.backend == "table" else resolved.surrogate)
    if source.a.size * source.b.size > MAX_TABLE_ENTRIES:
        raise ConversionError(
            f"gradient='difference' needs a table, and that of {config.name} ({source.a} x {source.b}) has more than "
            f"2**24 entries; use gradient='factored'"
        )
    table = source(source.a.values()[:, None], source.b.values()[None, :])
    return DifferenceGradient(table.T if swapped else table, half_windows)


def _surrogate(config: ApproxConfig) -> Surrogate:
    """Return the configured surrogate, or the one that backend "auto" would find."""
    if config.surrogate is not None:
        return config.surrogate
    found = replace(config, backend="auto").resolved().surrogate
    if found is None:
        raise ConversionError(
            f"gradient='factored' needs a surrogate, and {config.name} has no exact one of few terms; pass one, such "
            f"as surrogate.discover(multiplier, method='htp'), or use gradient='difference'"
        )
    return found
