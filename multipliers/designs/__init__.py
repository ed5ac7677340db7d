"""Families of approximate multipliers, one file each; importing this package registers them all."""

from multipliers.designs.exact import Exact

__all__ = ["Exact"]
