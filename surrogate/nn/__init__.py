"""Training with approximate multipliers in PyTorch.

Examples
--------
>>> import torch
>>> model = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(72, 4))
>>> approximate_(model, {"3": None, "_default": ApproxConfig(multiplier="drum8u_k4")})  # all but the last layer
('0',)
>>> calibrate(model, [torch.rand(16, 1, 8, 8)])
>>> model(torch.rand(5, 1, 8, 8)).shape
torch.Size([5, 4])
>>> restore_(model)
('0',)
"""

from surrogate.nn.calibration import calibrate, mode
from surrogate.nn.config import ApproxConfig
from surrogate.nn.convert import approximate_, approximate_layers, restore_
from surrogate.nn.corrections.changes import revert_correction_
from surrogate.nn.corrections.correct import LayerCorrection, correct_
from surrogate.nn.corrections.folding import fold_batch_norm_
from surrogate.nn.corrections.statistics import reestimate_batch_norm_, transfer_batch_norm_
from surrogate.nn.costs import measure_costs
from surrogate.nn.distributions import from_model
from surrogate.nn.errors import ConversionError, NotCalibratedError, QuantisationError
from surrogate.nn.export import export_model, export_onnx
from surrogate.nn.layers.attention import ApproxMultiheadAttention
from surrogate.nn.layers.conv import ApproxConv1d, ApproxConv2d, ApproxConv3d
from surrogate.nn.layers.conv_transpose import ApproxConvTranspose1d, ApproxConvTranspose2d, ApproxConvTranspose3d
from surrogate.nn.layers.layer import ApproxLayer
from surrogate.nn.layers.linear import ApproxLinear
from surrogate.nn.layers.matmul import ApproxMatmul, Matmul, approximate_matmul
from surrogate.nn.output_errors import ErrorVariance, OutputErrors, error_variance, output_errors
from surrogate.nn.per_layer import LayerFit, PerLayer, discover_per_layer
from surrogate.nn.quantisation.config import QuantiserConfig
from surrogate.nn.quantisation.quantiser import Quantiser
from surrogate.nn.simulation.perturbed_weights import perturb_weights_, restore_weights_
from surrogate.nn.simulation.relative_error import RelativeError

__all__ = [
    "ApproxConfig",
    "ApproxConv1d",
    "ApproxConv2d",
    "ApproxConv3d",
    "ApproxConvTranspose1d",
    "ApproxConvTranspose2d",
    "ApproxConvTranspose3d",
    "ApproxLayer",
    "ApproxLinear",
    "ApproxMatmul",
    "ApproxMultiheadAttention",
    "ConversionError",
    "ErrorVariance",
    "LayerCorrection",
    "LayerFit",
    "Matmul",
    "NotCalibratedError",
    "OutputErrors",
    "PerLayer",
    "QuantisationError",
    "Quantiser",
    "QuantiserConfig",
    "RelativeError",
    "approximate_",
    "approximate_layers",
    "approximate_matmul",
    "calibrate",
    "correct_",
    "discover_per_layer",
    "error_variance",
    "export_model",
    "export_onnx",
    "fold_batch_norm_",
    "from_model",
    "measure_costs",
    "mode",
    "output_errors",
    "perturb_weights_",
    "reestimate_batch_norm_",
    "restore_",
    "restore_weights_",
    "revert_correction_",
    "transfer_batch_norm_",
]
