"""What an approximate layer simulates, and how."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import cast

from multipliers.multiplier import MAX_TABLE_ENTRIES, Multiplier
from multipliers.operands import OperandFormat
from multipliers.registry import get
from surrogate.errors import FitError
from surrogate.model import MultiplierReference, Surrogate
from surrogate.nn.engines.engine import Engine
from surrogate.nn.engines.error_table import ErrorTableEngine, errors_are_shorter
from surrogate.nn.engines.surrogate import ARITHMETIC_CHOICES, SurrogateEngine
from surrogate.nn.engines.table import TableEngine
from surrogate.nn.errors import ConversionError
from surrogate.nn.quantisation.config import QuantiserConfig
from surrogate.nn.simulation.relative_error import RelativeError

BACKENDS = ("auto", "surrogate", "lowrank", "table", "error_table")
GRADIENTS = ("straight_through", "regression", "factored", "difference")

AUTO_TERMS = 12
"""Backends "auto" and "lowrank" look for an exact surrogate of at most this many terms."""


@dataclass(frozen=True)
class ApproxConfig:
    """Configuration of approximate layers.

    Parameters
    ----------
    multiplier : Multiplier or str, optional
        What the layers multiply with; a string is a label such as ``"drum8u_k4"``.
    surrogate : Surrogate, optional
        A certified surrogate to run instead of the table. It may be approximate: then the layers are, too, and say so.
        At least one of ``multiplier`` and ``surrogate`` is needed; if both are given they must belong together.
    backend : {"auto", "surrogate", "lowrank", "table", "error_table"}
        ``"auto"`` runs the given surrogate, else an exact one of at most 12 terms that it discovers, else the table.
        ``"surrogate"`` runs the given surrogate, as matrix products of transformed operands or, where a measurement
        shows that this is faster, by a table of its products. ``"lowrank"`` runs matrix products alone, of an exact
        surrogate: the given one, or one that it discovers as ``"auto"`` does. ``"table"`` looks products up in the
        multiplier's table or, where that is measured to be faster, errors, and adds accurate products.
        ``"error_table"`` does the latter alone; see `surrogate.nn.engines.error_table`. All that are exact give the
        same outputs, to the digit.
    activation, weight : QuantiserConfig
        Quantisers; by default the multiplier's own operands, weights per output channel.
    activation_operand : {"a", "b"}
        Which operand of the multiplier the activation is; the weight is the other.
    skip_padding : bool
        False (default): padded lanes hold the quantised zero and pass through the multiplier, which may return other
        than 0 for it. True: the hardware skips padded lanes.
    skip_inserted : bool
        Of transposed convolutions. True (default): the hardware scatters inputs over outputs and multiplies no zeros.
        False: it inserts zeros between and around the inputs, and multiplies these quantised zeros.
    arithmetic : {"auto", "int8", "bfloat16", "float16", "float32", "float64"}
        Datatype of a surrogate's products; see `SurrogateEngine`.
    gradient : {"straight_through", "regression", "factored", "difference"}
        Derivative of the product in the backward pass: that of the accurate product (default), the slope of a
        regression, differences of the smoothed factors of a surrogate, or differences of the smoothed table.
        `surrogate.nn.gradients.choice` gives formulas, cost and advice. Modes that simulate an accurate product or a
        baseline are straight through whatever it says.
    gradient_smoothing : int, optional
        Half-window of the smoothing of ``"factored"`` and ``"difference"``, in values of the operand; by default a
        sixteenth of its values (16 of 8 bits).
    relative_error : RelativeError, optional
        What mode ``"relative"`` multiplies weights by; by default the multiplier's own mean and standard deviation.

    Raises
    ------
    ConversionError
        If the parts are missing or do not fit together.
    """

    multiplier: Multiplier | str | None = None
    surrogate: Surrogate | None = None
    backend: str = "auto"
    activation: QuantiserConfig = field(default_factory=QuantiserConfig)
    weight: QuantiserConfig = field(default_factory=lambda: QuantiserConfig(granularity="channel"))
    activation_operand: str = "a"
    skip_padding: bool = False
    skip_inserted: bool = True
    arithmetic: str = "auto"
    gradient: str = "straight_through"
    gradient_smoothing: int | None = None
    relative_error: RelativeError | None = None

    def __post_init__(self) -> None:
        if isinstance(self.multiplier, str):
            object.__setattr__(self, "multiplier", get(self.multiplier))
        for name, kind in (("multiplier", Multiplier), ("surrogate", Surrogate)):
            value = getattr(self, name)
            if value is not None and not isinstance(value, kind):
                raise ConversionError(f"{name} must be a {kind.__name__}, got {value!r:.80}")
        for name in ("activation", "weight"):
            if not isinstance(getattr(self, name), QuantiserConfig):
                raise ConversionError(
                    f"{name} must be a QuantiserConfig, such as QuantiserConfig('4s'), got {getattr(self, name)!r:.80}"
                )
        for name, choices in (
            ("backend", BACKENDS),
            ("activation_operand", ("a", "b")),
            ("arithmetic", ARITHMETIC_CHOICES),
            ("gradient", GRADIENTS),
        ):
            if getattr(self, name) not in choices:
                raise ConversionError(f"{name} must be one of {choices}, got {getattr(self, name)!r}")
        smoothing = self.gradient_smoothing
        if smoothing is not None and (isinstance(smoothing, bool) or not isinstance(smoothing, int) or smoothing < 0):
            raise ConversionError(
                f"gradient_smoothing must be None or a whole number of operand values, 0 or more, got {smoothing!r}"
            )
        if smoothing is not None and self.gradient in ("straight_through", "regression"):
            raise ConversionError(f"gradient={self.gradient!r} smooths nothing; leave gradient_smoothing out")
        if self.multiplier is None and self.surrogate is None:
            raise ConversionError("give the multiplier to simulate, a surrogate of it, or both")
        if self.backend == "surrogate" and self.surrogate is None:
            raise ConversionError("backend='surrogate' needs a surrogate; find one with surrogate.discover(multiplier)")
        if self.backend in ("table", "error_table") and self.multiplier is None:
            raise ConversionError(f"backend={self.backend!r} needs the multiplier itself, not only a surrogate of it")
        if self.surrogate is not None and self.surrogate.certificate is None:
            raise ConversionError("the surrogate is not certified; pass it through surrogate.certify first")
        if self.backend == "lowrank" and self.surrogate is not None and not self.surrogate.is_exact:
            raise ConversionError(
                f"backend='lowrank' is exact, and the surrogate of {self.surrogate.multiplier.name!r} is not; "
                f"backend='surrogate' runs approximate ones"
            )
        if self.multiplier is not None and self.surrogate is not None:
            reference, multiplier = self.surrogate.multiplier, cast(Multiplier, self.multiplier)
            if not reference.matches(multiplier):
                raise ConversionError(
                    f"the surrogate stands for {reference.name!r} (fingerprint {reference.fingerprint[:12]}...), "
                    f"not for {multiplier.name!r}"
                )
        if self.relative_error is not None and not isinstance(self.relative_error, RelativeError):
            raise ConversionError(f"relative_error must be a RelativeError, got {self.relative_error!r:.80}")
        if self.activation.granularity != "tensor":
            raise ConversionError("activations are quantised per tensor; granularity='channel' is for weights")

    @property
    def _operands(self) -> tuple[OperandFormat, OperandFormat]:
        source = cast(Multiplier | Surrogate, self.surrogate if self.multiplier is None else self.multiplier)
        return source.a, source.b

    @property
    def activation_format(self) -> OperandFormat:
        """Format of the operand that the activation is."""
        return self._operands[0 if self.activation_operand == "a" else 1]

    @property
    def weight_format(self) -> OperandFormat:
        """Format of the operand that the weight is."""
        return self._operands[1 if self.activation_operand == "a" else 0]

    @property
    def name(self) -> str:
        """Name of the multiplier."""
        return self.reference.name

    @property
    def reference(self) -> MultiplierReference:
        """Identity of the multiplier."""
        if self.surrogate is not None:
            return self.surrogate.multiplier
        return MultiplierReference.of(cast(Multiplier, self.multiplier))

    def resolved(self) -> ApproxConfig:
        """Settle backend "auto", as "surrogate" or "table", and which surrogate it or "lowrank" runs.

        Raises
        ------
        ConversionError
            If there is nothing that is exact.
        """
        if self.backend == "lowrank":
            return self if self.surrogate is not None else replace(self, surrogate=self._small_surrogate())
        if self.backend != "auto":
            return self
        if self.surrogate is not None:
            return replace(self, backend="surrogate")
        multiplier = cast(Multiplier, self.multiplier)
        found = _exact_surrogate(multiplier)
        if found is not None:
            return replace(self, backend="surrogate", surrogate=found)
        if multiplier.n_pairs > MAX_TABLE_ENTRIES:
            raise ConversionError(
                f"{multiplier.name} has no surrogate of {AUTO_TERMS} terms that is proven exact here, and too wide "
                f"operands for a table; pass one proven on all pairs, surrogate.discover(multiplier, "
                f"every_pair=True), or an approximate surrogate, such as surrogate.discover(multiplier, method='htp')"
            )
        return replace(self, backend="table")

    def _small_surrogate(self) -> Surrogate:
        found = _exact_surrogate(cast(Multiplier, self.multiplier))
        if found is None:
            raise ConversionError(
                f"backend='lowrank': {self.name} has no surrogate of at most {AUTO_TERMS} terms that is proven exact "
                f"here; pass one of more terms, surrogate.discover(multiplier, terms=...), or use backend='auto'"
            )
        return found

    @property
    def by_surrogate(self) -> bool:
        """Whether a surrogate says what layers multiply with, once `resolved`; else the multiplier does."""
        return self.backend in ("surrogate", "lowrank")

    def engine(self) -> Engine:
        """Build the engine that does the sums."""
        resolved, operand = self.resolved(), self.activation_operand
        if resolved.by_surrogate:
            by_table = resolved.backend == "surrogate"
            return SurrogateEngine(cast(Surrogate, resolved.surrogate), operand, self.arithmetic, by_table=by_table)
        multiplier = cast(Multiplier, resolved.multiplier)
        if resolved.backend == "error_table":
            return ErrorTableEngine(multiplier, operand, self.arithmetic)
        if errors_are_shorter(multiplier):
            return ErrorTableEngine(multiplier, operand, forced=False)
        return TableEngine(multiplier, operand)


@lru_cache(maxsize=64)
def _exact_surrogate(multiplier: Multiplier) -> Surrogate | None:
    from surrogate.fit import discover

    try:
        found = discover(multiplier, "exact", terms=AUTO_TERMS)
    except FitError:
        return None
    return found if found.is_exact else None
