"""Products of two activations, as attention takes them: both operands are quantised by observed ranges."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Self, cast

import torch
from torch import Tensor, nn

from surrogate.nn.compiled.matmul import compiled_matmul
from surrogate.nn.config import ApproxConfig
from surrogate.nn.engines.engine import Engine
from surrogate.nn.engines.standard_sums import StandardSurrogate, StandardTable
from surrogate.nn.errors import ConversionError, OperandError, names_layer
from surrogate.nn.gradients.product import ProductGradient, QuantisedOperand, product_with_gradient
from surrogate.nn.layers.inputs import FLOATS, check_device, refuse_transforms, widened
from surrogate.nn.layers.matmul_layout import MatmulLayout
from surrogate.nn.layers.operation import ApproxOperation
from surrogate.nn.products.precision import no_autocast
from surrogate.nn.quantisation.quantiser import Quantiser


class Matmul(nn.Module):
    """`torch.matmul` as a module: what `surrogate.nn.approximate_` can make approximate, as it can a linear layer.

    Examples
    --------
    >>> Matmul()(torch.ones(2, 3), torch.ones(3, 4)).shape
    torch.Size([2, 4])
    """

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Multiply; shapes as `torch.matmul` takes them."""
        return torch.matmul(x, y)


class ApproxMatmul(ApproxOperation, Matmul):
    """`torch.matmul` (and so `torch.bmm`) of two activations through an approximate multiplier.

    A module, since it remembers ranges: `surrogate.nn.calibrate` and training observe those of both operands. Use one
    for each place of a model that multiplies activations.

    Parameters
    ----------
    config : ApproxConfig
        What to simulate. The first operand is the layer's activation (``activation_operand`` says which operand of the
        multiplier), the second takes the place of the weight, quantised by ``config.weight`` but per tensor. Backend
        ``"auto"`` is the table for operands of at most 8 bits, unless a surrogate is given.

    Attributes
    ----------
    activation_quantiser, second_quantiser : Quantiser
        Of the first and the second operand.

    Examples
    --------
    >>> from surrogate.nn import calibrate
    >>> product = ApproxMatmul(ApproxConfig(multiplier="drum8u_k4"))
    >>> queries, keys = torch.randn(2, 4, 7, 8), torch.randn(2, 4, 7, 8)
    >>> calibrate(product, [queries], forward=lambda product, q: product(q, keys.mT))
    >>> product(queries, keys.mT).shape
    torch.Size([2, 4, 7, 7])
    """

    parts = (*ApproxOperation.parts, "activation_quantiser", "second_quantiser")

    def __init__(self, config: ApproxConfig) -> None:
        super().__init__()
        self.attach(config)

    def attach(self, config: ApproxConfig) -> Self:
        """Give a `Matmul`, whose class has been changed to this one, its approximate parts."""
        super().attach(_settled(config))
        self.activation_quantiser = Quantiser(config.activation, config.activation_format)
        self.second_quantiser = Quantiser(replace(config.weight, granularity="tensor"), config.weight_format)
        return self

    @property
    def activations(self) -> dict[str, Quantiser]:
        """The quantisers of both operands."""
        return {"activation_quantiser": self.activation_quantiser, "second_quantiser": self.second_quantiser}

    @names_layer
    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Multiply as the mode says; shapes as `torch.matmul` takes them."""
        if self.mode == "float":
            return super().forward(x, y)
        self._check(x, y)
        if (self.mode == "calibrate" or self.training) and x.numel() > 0 and y.numel() > 0:
            how = "extend" if self.mode == "calibrate" else "average"
            self.activation_quantiser.observe(x, how)
            self.second_quantiser.observe(y, how)
        if self.mode == "calibrate":
            return super().forward(x, y)
        quantisers = (self.activation_quantiser, self.second_quantiser)
        wide = torch.float64 if x.dtype == torch.float64 else torch.float32
        with no_autocast(x.device):
            z = approximate_matmul(x.to(wide), y.to(wide), *quantisers, self.running, self.config, self.derivative)
        return z.to(x.dtype)

    @torch.no_grad()
    def accumulate(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the integer sums ``sum f(xq, yq)`` before rescaling, int64, of the shape of ``torch.matmul(x, y)``.

        Raises
        ------
        ConversionError
            If the operands do not fit together, or the sums of the mode are not integers.
        """
        engine = self.integer_engine
        self._check(x, y)
        columns = y[:, None] if y.ndim == 1 else y
        xq = self.activation_quantiser.integers(widened(x[None] if x.ndim == 1 else x))
        yq = self.second_quantiser.integers(widened(columns))
        minima = self.config.activation_format.minimum, self.config.weight_format.minimum
        sums = matmul_sums(xq - minima[0], yq - minima[1], engine).to(torch.int64)
        return _without_added_axes(sums, x, y)

    def _check(self, x: Tensor, y: Tensor) -> None:
        _check_operands(x, y)
        check_device(x.device, self.fingerprint.device)


def _settled(config: ApproxConfig) -> ApproxConfig:
    """Settle backend "auto": both operands change with each call, so transforming them costs more than lookups."""
    table = config.surrogate is None and max(config.activation_format.bits, config.weight_format.bits) <= 8
    return replace(config.resolved(), backend="table") if table and config.backend == "auto" else config


def _check_operands(x: Tensor, y: Tensor) -> None:
    if not (x.dtype in FLOATS and x.dtype == y.dtype):
        raise ConversionError(f"expected two float tensors of one datatype, got {x.dtype} and {y.dtype}")
    check_device(x.device, y.device)
    refuse_transforms()
    if 0 in (x.ndim, y.ndim) or x.shape[-1] != y.shape[-2 if y.ndim > 1 else 0]:
        raise ConversionError(f"shapes {tuple(x.shape)} and {tuple(y.shape)} cannot be multiplied; see torch.matmul")


def _without_added_axes(z: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Drop the axes of a product that stand for vectors made matrices."""
    if y.ndim == 1:
        z = z.squeeze(-1)
    return z.squeeze(-1 if y.ndim == 1 else -2) if x.ndim == 1 else z


def approximate_matmul(
    x: Tensor,
    y: Tensor,
    x_quantiser: Quantiser,
    y_quantiser: Quantiser,
    engine: Engine,
    config: ApproxConfig,
    derivative: ProductGradient | None = None,
) -> Tensor:
    """Multiply as `torch.matmul` does, with the products of a multiplier.

        z = Sx Sy ( sum f(xq, yq) - Zx sum yq - Zy sum xq + K Zx Zy )

    with sums over the ``K`` entries of the inner dimension. The gradient is straight through, that of the accurate
    product of the dequantised operands, unless a derivative of the multiplier is given.

    Parameters
    ----------
    x, y : Tensor
        Float32 or float64; vectors, matrices, or batches of matrices that broadcast.
    x_quantiser, y_quantiser : Quantiser
        Calibrated, one scale each.
    engine : Engine
        Of ``config``: ``x`` takes the place of its activations, ``y`` of its weights.
    config : ApproxConfig
        Formats of the multiplier's operands.
    derivative : ProductGradient, optional
        See `surrogate.nn.gradients.choice`.

    Raises
    ------
    ConversionError
        If the operands do not fit together.
    NotCalibratedError
        If a quantiser has not observed a range.
    """
    _check_operands(x, y)
    columns = y[:, None] if y.ndim == 1 else y
    rows = x[None] if x.ndim == 1 else x
    z = compiled_matmul(rows, columns, x_quantiser, y_quantiser, engine, config)
    if not (torch.is_grad_enabled() and any(_learns(*pair) for pair in ((x, x_quantiser), (y, y_quantiser)))):
        if z is None:
            xq, yq = x_quantiser.integers(rows), y_quantiser.integers(columns)
            z = _rescaled(xq, yq, x_quantiser, y_quantiser, engine, config)
        return _without_added_axes(z, x, y)
    (x_hat, xq), (y_hat, yq) = x_quantiser(rows), y_quantiser(columns)
    if z is None:
        z = _rescaled(xq, yq, x_quantiser, y_quantiser, engine, config)
    x_index, y_index = xq - config.activation_format.minimum, yq - config.weight_format.minimum
    result: Tensor
    if derivative is None or 0 in (*z.shape, xq.shape[-1]):
        result = _StraightThroughMatmul.apply(x_hat, y_hat, z)  # type: ignore[no-untyped-call]
    else:
        layout = MatmulLayout.of(x_hat, y_hat)
        result = layout.from_sums(
            product_with_gradient(
                layout.lanes(x_hat),
                layout.weights(y_hat),
                layout.to_sums(z),
                QuantisedOperand.of(layout.lanes(x_index).int(), x_quantiser, config.activation_format),
                QuantisedOperand.of(layout.weights(y_index).int(), y_quantiser, config.weight_format),
                layout.convolution,
                derivative,
                channel_axis=-1,
                steps=(x_quantiser.step(rows), y_quantiser.step(columns)),
            )
        )
    return _without_added_axes(result, x, y)


def _learns(x: Tensor, quantiser: Quantiser) -> bool:
    """Whether a gradient is wanted of an operand, or of its learned scale."""
    return x.requires_grad or quantiser.scale.requires_grad


@torch.no_grad()
def _rescaled(
    xq: Tensor, yq: Tensor, x_quantiser: Quantiser, y_quantiser: Quantiser, engine: Engine, config: ApproxConfig
) -> Tensor:
    """Sum products of quantised matrices, and apply scales and zero points."""
    inner = xq.shape[-1]
    if not torch.compiler.is_compiling() and bool(yq.isnan().any()):  # engines look at activations alone
        raise OperandError("NaN has no index")
    z = matmul_sums(xq - config.activation_format.minimum, yq - config.weight_format.minimum, engine)
    if not (x_quantiser.centred and y_quantiser.centred):
        zx, zy = x_quantiser.zero_point.double(), y_quantiser.zero_point.double()
        z = z - zy * (_sums_of_integers(xq, -1, x_quantiser) - inner * zx)
        z = z - zx * _sums_of_integers(yq, -2, y_quantiser)
    # every engine's sums are the same integers, rounded once to the output's datatype
    return z.to(xq.dtype) * (x_quantiser.scale.to(xq.dtype) * y_quantiser.scale.to(xq.dtype))


def _sums_of_integers(q: Tensor, axis: int, quantiser: Quantiser) -> Tensor:
    """Sum integers along an axis, float64; in their own datatype while that holds every sum exactly."""
    largest = q.shape[axis] * max(-quantiser.low, quantiser.high)
    narrow = q.dtype == torch.float32 and largest <= 1 << 24
    return q.sum(dim=axis, keepdim=True, dtype=None if narrow else torch.float64).double()


def matmul_sums(x: Tensor, y: Tensor, engine: Engine) -> Tensor:
    """Sum products of operand indices over the inner dimension: matrices, or batches of them that broadcast."""
    if torch.compiler.is_exporting():  # batches of any size are no groups
        return cast(StandardSurrogate | StandardTable, engine).matmul(x, y)
    layout = MatmulLayout.of(x, y)
    if 0 in (*layout.shape, layout.inner):
        return x.new_zeros(layout.shape)
    prepared = engine.prepare(layout.weights(y).to(torch.int64), layout.groups)
    return layout.from_sums(engine.sums(layout.lanes(x).to(torch.int32), prepared, layout.convolution))


class _StraightThroughMatmul(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x_hat: Tensor, y_hat: Tensor, z: Tensor) -> Tensor:
        ctx.save_for_backward(x_hat, y_hat)
        return z.view_as(z)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        x_hat, y_hat = ctx.saved_tensors
        grad_x = (gradient @ y_hat.mT).sum_to_size(x_hat.shape) if ctx.needs_input_grad[0] else None
        grad_y = (x_hat.mT @ gradient).sum_to_size(y_hat.shape) if ctx.needs_input_grad[1] else None
        return grad_x, grad_y, None
