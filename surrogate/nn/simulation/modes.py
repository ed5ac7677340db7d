"""What a layer can compute instead of what it is configured for, chosen at run time by its mode.

| mode          | products                                                                                  |
|---------------|-------------------------------------------------------------------------------------------|
| ``quantised`` | accurate products of quantised operands                                                   |
| ``exact``     | the multiplier's own: by an exact surrogate where there is a small one, else by its table |
| ``surrogate`` | those of the configured surrogate, or of the one that backend "auto" found                |
| ``table``     | the multiplier's own, by its table                                                        |
| ``linear``    | a regression with five coefficients; see `surrogate.nn.simulation.products`               |
| ``noise``     | accurate, with additive Gaussian errors; see `surrogate.nn.simulation.noise`              |
| ``relative``  | accurate, with random factors of the weights; see `surrogate.nn.simulation.relative`      |

The last three are the baselines that the literature compares with. All quantise as configured; ``quantised`` and the
baselines differentiate straight through, the others as configured (see `surrogate.nn.gradients.choice`).
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import cast

from multipliers.function import CallableMultiplier
from multipliers.metric_values import ErrorMetrics
from multipliers.metrics import error_metrics
from multipliers.multiplier import Multiplier
from surrogate.model import Surrogate
from surrogate.nn.config import ApproxConfig
from surrogate.nn.engines.engine import Engine
from surrogate.nn.engines.surrogate import SurrogateEngine
from surrogate.nn.errors import ConversionError
from surrogate.nn.simulation.noise import NoiseEngine
from surrogate.nn.simulation.products import accurate_product, linear_regression
from surrogate.nn.simulation.relative import RelativeErrorEngine
from surrogate.nn.simulation.relative_error import RelativeError

SIMULATIONS = ("quantised", "exact", "surrogate", "table", "linear", "noise", "relative")


def simulation_engine(config: ApproxConfig, simulation: str, layer: str = "") -> Engine:
    """Build the engine of a simulation.

    Parameters
    ----------
    config : ApproxConfig
        Multiplier, operands and, where given, surrogate.
    simulation : str
        One of `SIMULATIONS`.
    layer : str
        Name of the layer: with the seed of `RelativeError` it decides the errors of ``"relative"``.

    Raises
    ------
    ConversionError
        If the simulation is unknown, or needs what the configuration lacks.

    Examples
    --------
    >>> simulation_engine(ApproxConfig(multiplier="drum8u_k4"), "table").exact
    True
    """
    if simulation not in SIMULATIONS:
        raise ConversionError(f"the simulation must be one of {SIMULATIONS}, got {simulation!r}")
    if simulation == "quantised":
        return _accurate_engine(config)
    if simulation == "surrogate":
        return replace(config.resolved(), backend="surrogate").engine()
    if simulation == "table":
        return replace(config, backend="table", multiplier=_multiplier(config, simulation)).engine()
    if simulation == "exact":
        if config.surrogate is not None and config.surrogate.is_exact:
            return replace(config, backend="surrogate").engine()
        return replace(config, backend="auto", surrogate=None, multiplier=_multiplier(config, simulation)).engine()
    formats = config.activation_format, config.weight_format
    if simulation == "relative" and config.relative_error is not None:
        return RelativeErrorEngine(*formats, config.relative_error, layer)
    multiplier = _multiplier(config, simulation)
    if simulation == "linear":
        return SurrogateEngine(linear_regression(multiplier), config.activation_operand)
    metrics = _metrics(multiplier)
    if simulation == "noise":
        return NoiseEngine(_accurate_engine(config), config.activation_format.size, metrics.mean_error, metrics.sd)
    return RelativeErrorEngine(*formats, RelativeError(metrics.relative_bias, metrics.relative_sd), layer)


def _accurate_engine(config: ApproxConfig) -> Engine:
    formats = config.activation_format, config.weight_format
    product = accurate_product(*(formats if config.activation_operand == "a" else formats[::-1]))
    return SurrogateEngine(product, config.activation_operand)


def _multiplier(config: ApproxConfig, simulation: str) -> Multiplier:
    """Return the multiplier, or what stands for it exactly."""
    if config.multiplier is not None:
        return cast(Multiplier, config.multiplier)
    model = cast(Surrogate, config.surrogate)
    if not (model.is_exact and model.is_integer):
        raise ConversionError(
            f"mode {simulation!r} needs the multiplier itself: the configuration has only a surrogate of "
            f"{model.multiplier.name} that is not exact; give ApproxConfig both"
        )
    return CallableMultiplier(model, model.a, model.b, name=model.multiplier.name)


@lru_cache(maxsize=64)
def _metrics(multiplier: Multiplier) -> ErrorMetrics:
    return error_metrics(multiplier)
