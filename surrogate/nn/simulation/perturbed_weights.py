"""Training with multiplicative error and no multiplier at hand: weights times a matrix of random factors, in float.

Every weight of a layer is multiplied by ``1 + e``, ``e`` normal and drawn once for the layer, in the forward and in the
backward pass:

    y = x (w (1 + e)),    dL/dx = dL/dy (w (1 + e)),    dL/dw = (1 + e) dL/d(w (1 + e))

(Hammad, El-Sankary, Gu, "Deep Learning Training with Simulated Approximate Multipliers", ROBIO 2019, arXiv 2001.00060).
Approximate layers have the like as mode ``"relative"``, with quantised operands.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import cast

from torch import Tensor, nn
from torch.nn.utils import parametrize

from surrogate.nn.errors import ConversionError
from surrogate.nn.layers.operation import ApproxOperation
from surrogate.nn.selection import LAYERS, UNSUPPORTED, deciding_pattern, listed, refuse_parametrised
from surrogate.nn.simulation.relative import error_factors
from surrogate.nn.simulation.relative_error import RelativeError

Errors = RelativeError | Mapping[str, RelativeError | None]
"""One error for all layers, or one per name pattern, as `surrogate.nn.approximate_` takes configurations."""


class PerturbedWeight(nn.Module):
    """The parametrisation that multiplies a weight by its factors.

    Parameters
    ----------
    weight : Tensor
        The weight.
    error : RelativeError
        Distribution of the errors.
    layer : str
        Name of the layer.

    Attributes
    ----------
    factors : Tensor
        ``1 + e``, a buffer: a loaded state brings the factors that it was trained with.
    mode : {"relative", "float"}
        Whether they are applied; not part of the state, as the mode of approximate layers.
    """

    factors: Tensor
    modes = ("relative", "float")

    def __init__(self, weight: Tensor, error: RelativeError, layer: str) -> None:
        super().__init__()
        self.error = error
        self.register_buffer("factors", error_factors(error, layer, weight.shape).to(weight))
        self.mode = "relative"

    @property
    def mode(self) -> str:
        """Whether the factors are applied."""
        return self._mode

    @mode.setter
    def mode(self, name: str) -> None:
        if name not in self.modes:
            raise ConversionError(
                f"a layer of perturbed weights has modes {' and '.join(map(repr, self.modes))}, not {name!r}"
            )
        self._mode = name

    def forward(self, weight: Tensor) -> Tensor:
        """Return the weight that the layer multiplies with."""
        return weight * self.factors if self.mode == "relative" else weight

    def extra_repr(self) -> str:
        """Summarise for ``print(model)``."""
        return f"mre={self.error.mre:.3g}, sd={self.error.sd:.3g}, mode={self.mode}"


def perturb_weights_(model: nn.Module, errors: Errors) -> tuple[str, ...]:
    """Multiply the weights of linear layers and convolutions by random factors, in place.

    Weights are parametrised (`torch.nn.utils.parametrize`): ``layer.weight`` is the perturbed one, and the parameter
    that is trained becomes ``layer.parametrizations.weight.original``, also in the state. It is the same object, so
    optimisers stay valid. Load the state of a plain model before.

    Parameters
    ----------
    model : nn.Module
        The model, or a single layer.
    errors : RelativeError, or mapping of str to RelativeError or None
        One for all layers, or one per name pattern; None, or no match, leaves a layer accurate.

    Returns
    -------
    tuple of str
        Names of the layers whose weights are perturbed now.

    Raises
    ------
    ConversionError
        If no layer is selected, a pattern decides for none, or a selected layer is approximate, perturbed already, or
        multiplies in other ways (recurrent, bilinear, attention). The model is then unchanged.

    See Also
    --------
    restore_weights_ : The inverse.
    surrogate.nn.training.ModeSchedule : Switches the errors off at an epoch: modes ``"relative"`` and ``"float"``.

    Examples
    --------
    >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    >>> perturb_weights_(model, {"2": None, "_default": RelativeError.from_mre(0.024, 0.03)})
    ('0',)
    >>> errors = model[0].weight / model[0].parametrizations.weight.original - 1
    >>> f"{errors.abs().mean().item():.3f}"
    '0.021'
    >>> restore_weights_(model)
    ('0',)
    """
    chosen = _chosen(model, errors)
    for name, (layer, error) in chosen.items():
        factors = PerturbedWeight(cast(Tensor, layer.weight), error, name)
        parametrize.register_parametrization(layer, "weight", factors)
    return tuple(chosen)


def restore_weights_(model: nn.Module) -> tuple[str, ...]:
    """Remove the factors of all weights, in place, and keep the trained weights; the inverse of `perturb_weights_`.

    Returns
    -------
    tuple of str
        Names of the layers whose weights were perturbed.
    """
    found = list(perturbed_layers(model))
    for _, layer, _ in found:
        parametrize.remove_parametrizations(layer, "weight", leave_parametrized=False)
    return tuple(name for name, _, _ in found)


def perturbed_layers(model: nn.Module) -> Iterator[tuple[str, nn.Module, PerturbedWeight]]:
    """Yield the layers whose weights are perturbed, each once, with their names and what perturbs them."""
    for name, layer in model.named_modules():
        if parametrize.is_parametrized(layer, "weight"):
            first = layer.parametrizations["weight"][0]
            if isinstance(first, PerturbedWeight):
                yield name, layer, first


def _chosen(model: nn.Module, errors: Errors) -> dict[str, tuple[nn.Module, RelativeError]]:
    """Select layers, and find their errors."""
    if not isinstance(errors, RelativeError | Mapping):
        raise ConversionError(f"errors must be a RelativeError or a mapping of patterns to them, got {errors!r:.80}")
    mapping = {"_default": errors} if isinstance(errors, RelativeError) else errors
    for pattern, error in mapping.items():
        if error is not None and not isinstance(error, RelativeError):
            raise ConversionError(f"the pattern {pattern!r} must map to a RelativeError or None, got {error!r:.80}")
    kinds = (*LAYERS, *UNSUPPORTED, nn.MultiheadAttention)
    candidates: list[tuple[str, nn.Module]] = [p for p in model.named_modules() if isinstance(p[1], kinds)]
    chosen: dict[str, tuple[nn.Module, RelativeError]] = {}
    used = set()
    for name, layer in candidates:
        pattern = deciding_pattern(mapping, (name,))
        used.add(pattern)
        error = mapping.get(pattern)
        if error is not None:
            _check_supported(layer, name)
            chosen[name] = layer, error
    unused = [pattern for pattern in mapping if pattern not in used and pattern != "_default"]
    if unused or not chosen:
        what = f"the pattern {unused[0]!r} decides for no layer" if unused else "no layer is selected"
        raise ConversionError(f"{what}; layers: {listed(name for name, _ in candidates)}")
    return chosen


def _check_supported(layer: nn.Module, name: str) -> None:
    where = f"layer {name!r}" if name else "the model"
    if isinstance(layer, ApproxOperation):
        raise ConversionError(
            f"{where} is approximate; its mode 'relative' perturbs weights, by the errors of its multiplier or "
            f"ApproxConfig(relative_error=...)"
        )
    if isinstance(layer, (*UNSUPPORTED, nn.MultiheadAttention)):
        raise ConversionError(
            f"{where} is a {type(layer).__name__}, whose weights are not perturbed; supported are "
            f"{', '.join(kind.__name__ for kind in LAYERS)}; exclude it with a pattern that maps to None"
        )
    refuse_parametrised(layer, where)
