"""Converted models as graphs of standard operators: for `torch.export`, and as ONNX files for other runtimes.

A layer becomes: quantise (divide, round, clamp), look factors up, convolve or multiply matrices, rescale. What the
graph computes are the same integers, as long as the runtime adds float32 products as float32 numbers: no TF32, no
Winograd transform. Where float32 does not hold the sums, products are float64 ones of copied patches. Table layers look
every product up, and take about thirty times as long as those by surrogate (onnxruntime, 3 x 3 kernel, 16 channels).
"""

from __future__ import annotations

import importlib.util
from os import PathLike

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from surrogate.nn.errors import ConversionError
from surrogate.nn.layers.operation import ApproxOperation


def export_model(model: nn.Module, *examples: Tensor, dynamic_batch: bool = True) -> ExportedProgram:
    """Export a converted model in evaluation mode, by `torch.export.export`, in standard operators.

    ``torch.export.export(model, examples)`` gives the same graph where the scales of the weights are those of the
    weights as they are: after a forward pass. This function sees to it, and sets evaluation mode meanwhile.

    Parameters
    ----------
    model : nn.Module
        With approximate layers, calibrated, in mode ``"approximate"`` or ``"float"``.
    *examples : Tensor
        Inputs, whose first axis is the batch.
    dynamic_batch : bool
        Whether the program takes batches of any size, else of that of the examples.

    Raises
    ------
    ConversionError
        If the model has no approximate layer, an input has no batch, or a layer's mode is of another kind.
    NotCalibratedError
        If a layer is not calibrated.

    Examples
    --------
    >>> from surrogate.nn import ApproxConfig, approximate_, calibrate
    >>> model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(32, 3))
    >>> approximate_(model, ApproxConfig(multiplier="drum8u_k4"))
    ('0', '2')
    >>> x = torch.rand(4, 1, 6, 6)
    >>> calibrate(model, [x])
    >>> program = export_model(model, x).module()
    >>> program(torch.rand(7, 1, 6, 6)).shape
    torch.Size([7, 3])
    """
    if not any(isinstance(module, ApproxOperation) for module in model.modules()):
        raise ConversionError("the model has no approximate layer; call approximate_(model, config) first")
    if any(x.ndim == 0 or x.shape[0] == 0 for x in examples):
        raise ConversionError(f"examples need a batch of one or more, got shapes {[tuple(x.shape) for x in examples]}")
    if dynamic_batch:  # a batch of one is taken for a constant
        examples = tuple(torch.cat([x, x]) if x.shape[0] == 1 else x for x in examples)
    training = [(module, module.training) for module in model.modules()]
    try:
        model.eval()
        with torch.no_grad():
            model(*examples)
            shapes = tuple({0: Dim("batch")} for _ in examples) if dynamic_batch else None
            return torch.export.export(model, examples, dynamic_shapes=shapes)
    finally:
        for module, was in training:
            module.training = was


def export_onnx(model: nn.Module, file: str | PathLike[str], *examples: Tensor, dynamic_batch: bool = True) -> None:
    """Write a converted model as an ONNX file of standard operators.

    Parameters
    ----------
    model, *examples, dynamic_batch
        As `export_model` takes them.
    file : path
        What to write.

    Raises
    ------
    ConversionError
        If the package onnxscript is missing, or as `export_model` raises it.
    NotCalibratedError
        If a layer is not calibrated.
    """
    if importlib.util.find_spec("onnxscript") is None:
        raise ConversionError("writing models as ONNX needs the package onnxscript: pip install 'axsurrogate[onnx]'")
    program = export_model(model, *examples, dynamic_batch=dynamic_batch)
    written = torch.onnx.export(program, examples, dynamo=True, verbose=False)
    if written is None:
        raise ConversionError("torch.onnx.export returned no program")
    written.save(file)
