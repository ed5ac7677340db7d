"""Predicting what approximate multipliers do to a trained network, from the moments of their errors."""

from surrogate.nn.prediction.moments import LayerOperands, OutputError, output_error
from surrogate.nn.prediction.predictor import AccuracyPredictor, MarginChange, Prediction, Ranked
from surrogate.nn.prediction.sensitivity import Sensitivities, Sensitivity, measure_sensitivities

__all__ = [
    "AccuracyPredictor",
    "LayerOperands",
    "MarginChange",
    "OutputError",
    "Prediction",
    "Ranked",
    "Sensitivities",
    "Sensitivity",
    "measure_sensitivities",
    "output_error",
]
