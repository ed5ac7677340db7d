"""Readers of foreign formats: each file turns one into a `multipliers.Multiplier`."""
