"""Inference without retraining: batch normalisations folded, their statistics corrected, mean errors in biases."""
