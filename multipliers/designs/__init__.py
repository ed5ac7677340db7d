"""Families of approximate multipliers, one file each; importing this package registers them all."""

from multipliers.designs.broken_array import BrokenArray
from multipliers.designs.exact import Exact
from multipliers.designs.logarithmic import Mitchell, TruncatedMitchell
from multipliers.designs.perforation import Perforation
from multipliers.designs.recursive import Underdesigned
from multipliers.designs.segment import Drum
from multipliers.designs.truncation import Truncation

__all__ = [
    "BrokenArray",
    "Drum",
    "Exact",
    "Mitchell",
    "Perforation",
    "TruncatedMitchell",
    "Truncation",
    "Underdesigned",
]
