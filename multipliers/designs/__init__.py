"""Families of approximate multipliers, one file each; importing this package registers them all."""

from multipliers.designs.almost_logarithmic import AlmostLogarithmicLOA, AlmostLogarithmicSOA, DynamicRangeLogarithmic
from multipliers.designs.booth import ApproximateBooth, BrokenBooth, HighRadix
from multipliers.designs.broken_array import BrokenArray
from multipliers.designs.corrected_logarithmic import MinimallyBiased, ReducedErrorLogarithmic
from multipliers.designs.error_tolerant import ErrorTolerant
from multipliers.designs.exact import Exact
from multipliers.designs.fixed_width import ConstantCorrected, VariableCorrected
from multipliers.designs.floating import ApproximateFloatMantissa, DiscardedMantissa
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
from multipliers.designs.weights import AlphabetSet, PositiveNegative

__all__ = [
    "AlmostLogarithmicLOA",
    "AlmostLogarithmicSOA",
    "AlphabetSet",
    "ApproximateBooth",
    "ApproximateFloatMantissa",
    "BrokenArray",
    "BrokenBooth",
    "ConstantCorrected",
    "DiscardedMantissa",
    "Drum",
    "DynamicRangeLogarithmic",
    "ErrorTolerant",
    "Exact",
    "HighRadix",
    "ImprovedLogarithmic",
    "IterativeLogarithmic",
    "LeadingOneBlocks",
    "MinimallyBiased",
    "Mitchell",
    "Perforation",
    "PositiveNegative",
    "ReducedErrorLogarithmic",
    "RoundingBased",
    "StaticSegment",
    "TruncatedMitchell",
    "TruncatedRounded",
    "Truncation",
    "Underdesigned",
    "VariableCorrected",
]
