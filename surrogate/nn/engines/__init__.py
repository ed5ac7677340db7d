"""Engines: the integer sums of a layer, by table, by factors, or by errors."""
