"""Statistics of batch normalisations for approximate layers: scaled by a formula, or estimated anew.

A multiplier of mean relative error ``e`` scales a layer's sums by about ``1 + e``: their errors add up to ``e`` times
the sum, and deviations from it cancel (`surrogate.nn.output_errors`). With bias ``b``, the output ``y = b + s`` of mean
``m`` and variance ``v`` becomes ``b + (1 + e) s``, whose mean and variance are

    b + (1 + e) (m - b) = m + e (m - b)        and        (1 + e)**2 v

and a batch normalisation with these as its running statistics maps the approximate output to where it mapped the
accurate one (for ``b = 0``: M. S. Kim, A. A. Del Barrio, H. Kim, N. Bagherzadeh, "The Effects of Approximate
Multiplication on Convolutional Neural Networks", IEEE Trans. Emerging Topics in Computing 10(2), 2022).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, cast

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from multipliers.function import CallableMultiplier
from multipliers.metrics import error_metrics
from multipliers.multiplier import Multiplier
from surrogate.nn.calibration import mode, run_batches
from surrogate.nn.config import ApproxConfig
from surrogate.nn.corrections.changes import change_
from surrogate.nn.errors import ConversionError
from surrogate.nn.progress import Progress

STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
"""Buffers of a batch normalisation."""


def mean_relative_error(config: ApproxConfig) -> float:
    """Mean relative error ``e`` of what a layer multiplies with, over all operand pairs whose product is not 0.

    Of the multiplier if it is given, else of the surrogate; of more than 2**24 pairs from a sample.

    Examples
    --------
    >>> round(mean_relative_error(ApproxConfig(multiplier="mitchell8s")), 4)
    -0.037
    """
    source = config.multiplier
    if source is None:
        model = config.surrogate
        assert model is not None  # a configuration has at least one of them
        source = CallableMultiplier(lambda a, b: model(a, b).round().astype("int64"), model.a, model.b)
    return _relative_bias(cast(Multiplier, source))


@lru_cache(maxsize=64)
def _relative_bias(multiplier: Multiplier) -> float:
    return error_metrics(multiplier).relative_bias


def shift_statistics_(norm: nn.Module, error: Tensor, gain: float = 1.0) -> None:
    """Set the statistics of a normalisation for inputs with a mean error, per channel, and scaled by a gain.

    The running mean becomes ``m + error``, the running variance ``gain**2 v``.
    """
    mean, variance = (cast(Tensor, getattr(norm, name)).double() for name in STATISTICS[:2])
    change_(norm, {"running_mean": mean + error, "running_var": gain**2 * variance})


def reestimate_batch_norm_(
    model: nn.Module,
    batches: Iterable[Any],
    *,
    forward: Callable[[nn.Module, Any], object] | None = None,
    progress: Progress = None,
) -> tuple[str, ...]:
    """Estimate the statistics of all batch normalisations anew, in place, from batches that the model is run on.

    Everything else is in evaluation mode: ranges of activations and dropout stay as they are, no parameter changes.
    Each normalisation sees the approximate outputs of the layers before it, normalised already, so that errors that
    earlier layers leave are accounted for, too. Statistics are averages of those of the batches, with equal weights.

    Parameters
    ----------
    model : nn.Module
        Any model; approximate layers compute as their modes say.
    batches, forward, progress
        As in `surrogate.nn.calibrate`. Batches of one value per channel have no variance, and torch refuses them.

    Returns
    -------
    tuple of str
        Names of the normalisations.

    Raises
    ------
    ConversionError
        If the model has no batch normalisation with running statistics, or there is no batch.

    Notes
    -----
    On failure they are as before. `surrogate.nn.correct_` does the same by ``method="reestimate"``, and remembers what
    they were.

    Examples
    --------
    >>> import torch
    >>> model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    >>> reestimate_batch_norm_(model, [torch.rand(8, 1, 8, 8)])
    ('1',)
    >>> model.training, bool(model[1].running_mean.abs().min() > 0)
    (True, True)
    """
    norms = batch_norms(model)
    momenta = {name: norm.momentum for name, norm in norms.items()}
    with _restored_on_failure(norms.values()):
        try:
            for norm in norms.values():
                norm.reset_running_stats()
                norm.momentum = None  # a plain average
            if run_batches(model, batches, forward, progress, "estimating statistics", training=norms.values()) == 0:
                raise ConversionError("statistics are estimated from data; pass at least one batch")
        finally:
            for name, norm in norms.items():
                norm.momentum = momenta[name]
    return tuple(norms)


def transfer_batch_norm_(
    model: nn.Module,
    batches: Iterable[Any],
    *,
    forward: Callable[[nn.Module, Any], object] | None = None,
    progress: Progress = None,
) -> tuple[str, ...]:
    """Change the statistics of all batch normalisations by what approximate products change, in place.

    They are estimated twice as by `reestimate_batch_norm_`, with accurate and with approximate products of the same
    operands; with ``m, v`` and ``m', v'`` the two estimates, ``m' - m`` is added to the running mean and the running
    variance is multiplied by ``v' / v``. What the batches differ in from the data of training, which may have been
    augmented or more, cancels.

    Parameters, errors and what is returned are those of `reestimate_batch_norm_`.

    Examples
    --------
    >>> import torch
    >>> from surrogate.nn import ApproxConfig, approximate_, calibrate
    >>> model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)).eval()
    >>> approximate_(model, ApproxConfig(multiplier="mitchell8s"))
    ('0',)
    >>> images = [torch.rand(8, 1, 8, 8)]
    >>> calibrate(model, images)
    >>> transfer_batch_norm_(model, images)
    ('1',)
    >>> bool((0.85 < model[1].running_var).all() and (model[1].running_var < 1).all())
    True
    """
    norms = batch_norms(model)
    before = _statistics(norms.values())
    with _restored_on_failure(norms.values()):
        with mode(model, "quantised"):
            reestimate_batch_norm_(model, batches, forward=forward, progress=progress)
        accurate = _statistics(norms.values())
        reestimate_batch_norm_(model, batches, forward=forward, progress=progress)
        now = _statistics(norms.values())
        for norm, trained, first, second in zip(norms.values(), before, accurate, now, strict=True):
            mean = trained[0].double() + second[0].double() - first[0].double()
            variance = trained[1].double() * second[1].double() / first[1].double().clamp(min=1e-12)
            _set_statistics(norm, (mean, variance, trained[2]))
    return tuple(norms)


@contextmanager
def _restored_on_failure(norms: Collection[_BatchNorm]) -> Iterator[None]:
    """Bring statistics back if the block raises."""
    before = _statistics(norms)
    try:
        yield
    except BaseException:
        for norm, held in zip(norms, before, strict=True):
            _set_statistics(norm, held)
        raise


def _statistics(norms: Iterable[_BatchNorm]) -> list[tuple[Tensor, ...]]:
    return [tuple(getattr(norm, name).clone() for name in STATISTICS) for norm in norms]


def _set_statistics(norm: _BatchNorm, values: tuple[Tensor, ...]) -> None:
    for name, value in zip(STATISTICS, values, strict=True):
        getattr(norm, name).copy_(value)


def batch_norms(model: nn.Module) -> dict[str, _BatchNorm]:
    """Find the batch normalisations with running statistics, of which there must be some."""
    found = {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, _BatchNorm) and module.track_running_stats and module.running_mean is not None
    }
    if not found:
        raise ConversionError(
            "the model has no batch normalisation with running statistics; if they have been folded, correct biases: "
            "correct_(model, batches, method='bias')"
        )
    return found
