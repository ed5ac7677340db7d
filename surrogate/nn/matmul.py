"""Products of two activations, as attention takes them: both operands are quantised by observed ranges."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Self

import torch
from torch import Tensor, nn

from surrogate.nn.config import ApproxConfig
from surrogate.nn.engine import Engine
from surrogate.nn.errors import ConversionError, names_layer
from surrogate.nn.geometry import Convolution
from surrogate.nn.inputs import FLOATS, check_device
from surrogate.nn.operation import ApproxOperation
from surrogate.nn.quantise import Quantiser


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
        multiplier), the second takes the place of the weight, quantised by ``config.weight`` but per tensor.

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
        super().attach(config)
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
        _check_operands(x, y)
        if (self.mode == "calibrate" or self.training) and x.numel() > 0 and y.numel() > 0:
            how = "extend" if self.mode == "calibrate" else "average"
            self.activation_quantiser.observe(x, how)
            self.second_quantiser.observe(y, how)
        if self.mode == "calibrate":
            return super().forward(x, y)
        quantisers = (self.activation_quantiser, self.second_quantiser)
        wide = torch.float64 if x.dtype == torch.float64 else torch.float32
        with torch.autocast(x.device.type, enabled=False):
            z = approximate_matmul(x.to(wide), y.to(wide), *quantisers, self.running, self.config)
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
        _check_operands(x, y)
        columns = y[:, None] if y.ndim == 1 else y
        xq = self.activation_quantiser.integers(x[None] if x.ndim == 1 else x)
        yq = self.second_quantiser.integers(columns)
        minima = self.config.activation_format.minimum, self.config.weight_format.minimum
        sums = matmul_sums(xq - minima[0], yq - minima[1], engine).to(torch.int64)
        return _without_added_axes(sums, x, y)


def _check_operands(x: Tensor, y: Tensor) -> None:
    if not (x.dtype in FLOATS and x.dtype == y.dtype):
        raise ConversionError(f"expected two float tensors of one datatype, got {x.dtype} and {y.dtype}")
    check_device(x.device, y.device)
    if 0 in (x.ndim, y.ndim) or x.shape[-1] != y.shape[-2 if y.ndim > 1 else 0]:
        raise ConversionError(f"shapes {tuple(x.shape)} and {tuple(y.shape)} cannot be multiplied; see torch.matmul")


def _without_added_axes(z: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Drop the axes of a product that stand for vectors made matrices."""
    if y.ndim == 1:
        z = z.squeeze(-1)
    return z.squeeze(-1 if y.ndim == 1 else -2) if x.ndim == 1 else z


def approximate_matmul(
    x: Tensor, y: Tensor, x_quantiser: Quantiser, y_quantiser: Quantiser, engine: Engine, config: ApproxConfig
) -> Tensor:
    """Multiply as `torch.matmul` does, with the products of a multiplier.

        z = Sx Sy ( sum f(xq, yq) - Zx sum yq - Zy sum xq + K Zx Zy )

    with sums over the ``K`` entries of the inner dimension. The gradient is straight through: that of the accurate
    product of the dequantised operands.

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

    Raises
    ------
    ConversionError
        If the operands do not fit together.
    NotCalibratedError
        If a quantiser has not observed a range.
    """
    _check_operands(x, y)
    columns = y[:, None] if y.ndim == 1 else y
    (x_hat, xq), (y_hat, yq) = x_quantiser(x[None] if x.ndim == 1 else x), y_quantiser(columns)
    with torch.no_grad():
        sums = matmul_sums(xq - config.activation_format.minimum, yq - config.weight_format.minimum, engine)
        zx, zy = x_quantiser.zero_point.double(), y_quantiser.zero_point.double()
        row_sums = xq.sum(dim=-1, keepdim=True, dtype=torch.float64)
        column_sums = yq.sum(dim=-2, keepdim=True, dtype=torch.float64)
        corrected = sums.double() - zx * column_sums - zy * row_sums + xq.shape[-1] * zx * zy
        z = corrected.to(x.dtype) * (x_quantiser.scale.to(x.dtype) * y_quantiser.scale.to(x.dtype))
    result: Tensor = _StraightThroughMatmul.apply(x_hat, y_hat, z)  # type: ignore[no-untyped-call]
    return _without_added_axes(result, x, y)


def matmul_sums(x: Tensor, y: Tensor, engine: Engine) -> Tensor:
    """Sum products of operand indices over the inner dimension: matrices, or batches of them that broadcast.

    Each matrix of a batch is a group of one grouped product of single pixels; a single second matrix serves all rows.
    """
    inner, n = y.shape[-2:]
    if y.ndim == 2:
        batch, m = torch.Size(), x.shape[:-1].numel()
        shape = (*x.shape[:-1], n)
    else:
        batch = torch.broadcast_shapes(x.shape[:-2], y.shape[:-2])  # type: ignore[no-untyped-call]
        m = x.shape[-2]
        shape = (*batch, m, n)
        x, y = x.expand(*batch, m, inner), y.expand(*batch, inner, n)
    groups = batch.numel()
    if 0 in (groups, m, n, inner):
        return x.new_zeros(shape)
    lanes = x.reshape(groups, m, inner).transpose(0, 1).reshape(m, 1, 1, groups * inner)
    weights = y.reshape(groups, inner, n).transpose(1, 2).reshape(groups * n, 1, 1, inner)
    prepared = engine.prepare(weights.to(torch.int64), groups)
    sums = engine.sums(lanes.to(torch.int32), prepared, Convolution((1, 1), groups=groups))
    return sums.reshape(m, groups, n).transpose(0, 1).reshape(shape)


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
