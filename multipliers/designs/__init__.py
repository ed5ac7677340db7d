"""Families of approximate multipliers, one file each; importing this package registers them all."""

from multipliers.designs.almost_logarithmic import (
    AlmostLogarithmicLOA,
    AlmostLogarithmicMAA3,
    AlmostLogarithmicSOA,
    DynamicRangeLogarithmic,
)
from multipliers.designs.bfloat import BfloatTruncation
from multipliers.designs.booth import ApproximateBooth, BrokenBooth, HighRadix
from multipliers.designs.broken_array import BrokenArray
from multipliers.designs.compressors import Akbari, Momeni
from multipliers.designs.control_variate import ControlVariate, control_variate_dot
from multipliers.designs.corrected_logarithmic import MinimallyBiased, ReducedErrorLogarithmic
from multipliers.designs.error_tolerant import ErrorTolerant
from multipliers.designs.exact import Exact
from multipliers.designs.fixed_width import ConstantCorrected, VariableCorrected
from multipliers.designs.floating import ApproximateFloatMantissa, DiscardedMantissa
from multipliers.designs.iterative import IterativeLogarithmic
from multipliers.designs.leading_blocks import LeadingOneBlocks
from multipliers.designs.logarithmic import Mitchell, TruncatedMitchell, UnbiasedMitchell
from multipliers.designs.nearest_power import ImprovedLogarithmic, RoundingBased
from multipliers.designs.operand_trimming import OperandTrimming
from multipliers.designs.perforation import Perforation
from multipliers.designs.propagate_generate import PropagateGenerate
from multipliers.designs.recursive import Underdesigned
from multipliers.designs.segment import Drum
from multipliers.designs.static_segment import CorrectedStaticSegment, StaticSegment
from multipliers.designs.truncated_sum import TruncatedRounded
from multipliers.designs.truncation import Truncation
from multipliers.designs.weights import AlphabetSet, PositiveNegative

__all__ = [
    "Akbari",
    "AlmostLogarithmicLOA",
    "AlmostLogarithmicMAA3",
    "AlmostLogarithmicSOA",
    "AlphabetSet",
    "ApproximateBooth",
    "ApproximateFloatMantissa",
    "BfloatTruncation",
    "BrokenArray",
    "BrokenBooth",
    "ConstantCorrected",
    "ControlVariate",
    "CorrectedStaticSegment",
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
    "Momeni",
    "OperandTrimming",
    "Perforation",
    "PositiveNegative",
    "PropagateGenerate",
    "ReducedErrorLogarithmic",
    "RoundingBased",
    "StaticSegment",
    "TruncatedMitchell",
    "TruncatedRounded",
    "Truncation",
    "UnbiasedMitchell",
    "Underdesigned",
    "VariableCorrected",
    "control_variate_dot",
]
