"""Families of approximate multipliers, one file each; importing this package registers them all."""

from multipliers.designs.almost_logarithmic import AlmostLogarithmicLOA, AlmostLogarithmicSOA, DynamicRangeLogarithmic
from multipliers.designs.broken_array import BrokenArray
from multipliers.designs.corrected_logarithmic import MinimallyBiased, ReducedErrorLogarithmic
from multipliers.designs.exact import Exact
from multipliers.designs.iterative import IterativeLogarithmic
from multipliers.designs.leading_blocks import LeadingOneBlocks
from multipliers.designs.logarithmic import Mitchell, TruncatedMitchell
from multipliers.designs.nearest_power import ImprovedLogarithmic, RoundingBased
from multipliers.designs.perforation import Perforation
from multipliers.designs.recursive import Underdesigned
from multipliers.designs.segment import Drum
from multipliers.designs.static_segment import StaticSegment
from multipliers.designs.truncated_sum import TruncatedRounded
from multipliers.designs.truncation import Truncation

__all__ = [
    "AlmostLogarithmicLOA",
    "AlmostLogarithmicSOA",
    "BrokenArray",
    "Drum",
    "DynamicRangeLogarithmic",
    "Exact",
    "ImprovedLogarithmic",
    "IterativeLogarithmic",
    "LeadingOneBlocks",
    "MinimallyBiased",
    "Mitchell",
    "Perforation",
    "ReducedErrorLogarithmic",
    "RoundingBased",
    "StaticSegment",
    "TruncatedMitchell",
    "TruncatedRounded",
    "Truncation",
    "Underdesigned",
]
