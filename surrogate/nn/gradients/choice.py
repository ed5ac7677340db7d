"""Which derivative of the product the backward pass of approximate layers uses: the ``gradient`` of `ApproxConfig`.

| gradient             | derivative with respect to an operand         | cost of the backward pass                |
|----------------------|-----------------------------------------------|------------------------------------------|
| ``straight_through`` | the other operand, as of the accurate product | that of the accurate layer               |
| ``regression``       | least-squares slope at the other operand      | that of the accurate layer, and lookups  |
| ``factored``         | smoothed differences of a surrogate's factors | ``k`` times as much, for ``k`` terms     |
| ``difference``       | smoothed differences of the table             | a lookup a product, forward and backward |

The straight-through gradient suits multipliers of small or unbiased error. Of products that are systematically too
small (partial products left out, short segments) it overestimates every derivative, and what the layer really computes
trains further: a small convolutional network on the digits of scikit-learn, retrained for 40 steps from three seeds
(``python -m benchmarks.gradients``), ends at 0.64 to 0.79 of the straight-through loss through ``bam8u_h5v8``, 0.46 to
0.90 through ``ssm8u_m4`` and 0.56 to 0.78 through ``etm8u`` (``regression``: 0.65 to 0.80, 0.47 to 0.92 and 0.60 to
0.83), but at 1.02 to 1.12 of it through ``drum8u_k3``, which has no bias (1.04 to 1.13).

``regression`` costs little and is the first to try. ``factored`` and ``difference`` follow the multiplier through the
range of its operands, and are equal for an exact surrogate: take ``factored`` where there is one of few terms, or
operands are too wide for a table, and ``difference`` for tables of high rank.

``gradient_smoothing``, the half-window, should reach over the steps of the multiplier: half a step at least (32 for
``bam8s_h6v7``, which ignores six bits), else most derivatives are 0 and the rest too large. Much wider windows lead to
the mean slope of the table. `surrogate.nn.gradients.smoothed_difference` tells the formula and its source,
`surrogate.nn.gradients.product` the chain rule with quantisation, `surrogate.nn.gradients.difference`,
`surrogate.nn.gradients.factored` and `surrogate.nn.gradients.regression` the sums.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

from numpy.typing import NDArray

from multipliers.multiplier import MAX_TABLE_ENTRIES, Multiplier
from surrogate.factors import Factors
from surrogate.model import Surrogate
from surrogate.nn.config import ApproxConfig
from surrogate.nn.errors import ConversionError
from surrogate.nn.gradients.difference import DifferenceGradient
from surrogate.nn.gradients.factored import FactoredGradient
from surrogate.nn.gradients.product import ProductGradient
from surrogate.nn.gradients.regression import regression_of_factors, regression_of_table
from surrogate.nn.gradients.smoothed_difference import default_half_window


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
    if config.gradient == "factored":
        return FactoredGradient.of(_factors(resolved), _half_windows(config))
    if config.gradient == "difference":
        return DifferenceGradient(_table(resolved), _half_windows(config))
    if resolved.by_surrogate:
        return regression_of_factors(_factors(resolved))
    return regression_of_table(_table(resolved))


def _half_windows(config: ApproxConfig) -> tuple[int, int]:
    """Return those along the activation and along the weight."""
    if config.gradient_smoothing is not None:
        return config.gradient_smoothing, config.gradient_smoothing
    return default_half_window(config.activation_format), default_half_window(config.weight_format)


def _table(config: ApproxConfig) -> NDArray[Any]:
    """Tabulate what the layers multiply with, by (activation, weight)."""
    source = cast(Multiplier | Surrogate, config.surrogate if config.by_surrogate else config.multiplier)
    if source.a.size * source.b.size > MAX_TABLE_ENTRIES:
        raise ConversionError(
            f"gradient='difference' needs a table, and that of {config.name} ({source.a} x {source.b}) has more than "
            f"2**24 entries; use gradient='factored'"
        )
    table = source(source.a.values()[:, None], source.b.values()[None, :])
    return table.T if config.activation_operand == "b" else table


def _factors(config: ApproxConfig) -> Factors:
    """Return the factors of the surrogate, the activation's first."""
    factors = _surrogate(config).factors()
    if config.activation_operand == "b":
        return Factors(factors.right, factors.left, factors.additive_b, factors.additive_a)
    return factors


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
