"""Products of two activations in compiled code: both quantised straight to indices, sums rescaled in the kernel.

What `surrogate.nn.layers.matmul` does step by step, bit for bit, as `surrogate.nn.compiled.layer` does it for layers.
"""

from __future__ import annotations

import torch
from torch import Tensor

from surrogate.nn.compiled.layer import CompiledLayer, CompiledWeights, Placement, activation_grid
from surrogate.nn.config import ApproxConfig
from surrogate.nn.engines.engine import Engine
from surrogate.nn.layers.matmul_layout import MatmulLayout
from surrogate.nn.quantisation.quantiser import Quantiser


@torch.no_grad()
def compiled_matmul(
    x: Tensor, y: Tensor, x_quantiser: Quantiser, y_quantiser: Quantiser, engine: Engine, config: ApproxConfig
) -> Tensor | None:
    """Multiply matrices, or batches of them; None where there is no compiled code for them.

    Parameters are those of `surrogate.nn.layers.matmul.approximate_matmul`, of at least two axes each.
    """
    if torch.compiler.is_compiling() or x.dtype != torch.float32 or x.device.type != "cpu":
        return None
    if any(q.config.learned_step or not q.calibrated for q in (x_quantiser, y_quantiser)):
        return None
    native, layout = engine.native(), MatmulLayout.of(x, y)
    groups, m, inner, n = layout.groups, layout.m, layout.inner, layout.n
    if native is None or 0 in (groups, m, inner, n) or not CompiledLayer.holds(native, inner):
        return None
    single = groups == 1  # rows are pixels as they lie; rows of several matrices are laid behind one another
    images = layout.first(x) if single else layout.first(x).mT
    kernels = layout.second(y).mT.reshape(groups * n, inner)
    place = Placement(
        shape=(1, groups * inner, 1, m),
        padding=(0, 0, 0, 0),
        convolution=layout.convolution,
        out_shape=(groups, m, n) if single else (groups, n, m),
        channels_last=single,
        accurate=None,
    )
    grid = activation_grid(x_quantiser, config.activation_format.minimum)
    weights = CompiledWeights.of(kernels, y_quantiser, config.weight_format.minimum, groups)
    layer = CompiledLayer(native, place, grid, weights)
    z = layer.output(layer.pack(images.contiguous(), mark_inside=False), None)
    return (z if single else z.mT).reshape(layout.shape)
