"""The surrogate: an immutable sum of separable terms, bound to the multiplier it stands for."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from multipliers.multiplier import MAX_TABLE_ENTRIES, Multiplier
from multipliers.operands import OperandFormat
from surrogate import basis
from surrogate.basis import BasisFunction, Constant, FactorArray
from surrogate.certificate import Certificate
from surrogate.errors import SurrogateError
from surrogate.factors import Factors

Option = str | int | float | bool | None


@dataclass(frozen=True)
class Term:
    """``coefficient * a(x_a) * b(x_b)``.

    Whole coefficients are stored as int; a sum of integer coefficients and functions is evaluated in integers.
    """

    coefficient: int | float
    a: BasisFunction
    b: BasisFunction

    def __post_init__(self) -> None:
        value: Any = self.coefficient
        if isinstance(value, np.integer | np.floating):
            value = value.item()
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise SurrogateError(f"a coefficient must be a finite number, got {self.coefficient!r:.80}")
        if isinstance(value, float) and value.is_integer() and abs(value) < 1 << 53:
            value = int(value)
        if isinstance(value, int) and not -(1 << 63) <= value < 1 << 63:
            raise SurrogateError(f"the coefficient {value!r:.80} does not fit int64")
        object.__setattr__(self, "coefficient", value)

    @property
    def is_integer(self) -> bool:
        """Whether coefficient and both functions are integer."""
        return isinstance(self.coefficient, int) and self.a.is_integer and self.b.is_integer

    def formula(self, a: str = "a", b: str = "b") -> str:
        """Write the term for people, such as ``-2 a (b mod 4)``."""
        factors = [f for f in (self.a.formula(a), self.b.formula(b)) if f != "1"]
        if factors and abs(self.coefficient) == 1:
            return ("-" if self.coefficient < 0 else "") + " ".join(factors)
        number = f"{self.coefficient:g}" if isinstance(self.coefficient, float) else f"{self.coefficient}"
        return " ".join([number, *factors])

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"coefficient": self.coefficient, "a": self.a.to_dict(), "b": self.b.to_dict()}

    @classmethod
    def from_dict(cls, data: Any) -> Term:
        """Build a term from its stored form."""
        if not isinstance(data, dict) or set(data) != {"coefficient", "a", "b"}:
            raise SurrogateError("a term is stored as {'coefficient': ..., 'a': {...}, 'b': {...}}")
        return cls(data["coefficient"], basis.from_dict(data["a"]), basis.from_dict(data["b"]))


@dataclass(frozen=True)
class MultiplierReference:
    """Which multiplier a surrogate stands for.

    Attributes
    ----------
    name : str
        A label for people.
    a, b : OperandFormat
        The domain of the surrogate.
    fingerprint : str
        SHA-256 (hex), see `multipliers.Multiplier.fingerprint` and ``sample_fingerprint``.
    fingerprint_of : str
        ``"table"`` (all products) or ``"sample"`` (65,536 fixed pairs: operands too wide for a table).
    """

    name: str = field(compare=False)
    a: OperandFormat
    b: OperandFormat
    fingerprint: str
    fingerprint_of: str = "table"

    def __post_init__(self) -> None:
        if not _is_text(self.name):
            raise SurrogateError(f"the multiplier's name must be text, got {self.name!r:.80}")
        digest = self.fingerprint
        if not isinstance(digest, str) or len(digest) != 64 or set(digest) - set("0123456789abcdef"):
            raise SurrogateError(f"the fingerprint must be 64 lower-case hexadecimal digits, got {digest!r:.80}")
        if self.fingerprint_of not in ("table", "sample"):
            raise SurrogateError(f"fingerprint_of must be 'table' or 'sample', got {self.fingerprint_of!r:.80}")
        if self.fingerprint_of == "table" and self.a.size * self.b.size > MAX_TABLE_ENTRIES:
            raise SurrogateError(f"{self.a} x {self.b} operands are identified by a sample, not by their table")

    @classmethod
    def of(cls, multiplier: Multiplier) -> MultiplierReference:
        """Identify a multiplier."""
        if multiplier.n_pairs <= MAX_TABLE_ENTRIES:
            return cls(multiplier.name, multiplier.a, multiplier.b, multiplier.fingerprint(), "table")
        return cls(multiplier.name, multiplier.a, multiplier.b, multiplier.sample_fingerprint(), "sample")

    def matches(self, multiplier: Multiplier) -> bool:
        """Whether ``multiplier`` has these formats and this fingerprint."""
        if (multiplier.a, multiplier.b) != (self.a, self.b):
            return False
        digest = multiplier.fingerprint() if self.fingerprint_of == "table" else multiplier.sample_fingerprint()
        return digest == self.fingerprint

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**dataclasses.asdict(self), "a": self.a.label, "b": self.b.label}

    @classmethod
    def from_dict(cls, data: Any) -> MultiplierReference:
        """Build a reference from its stored form."""
        expected = {f.name for f in dataclasses.fields(cls)}
        if not isinstance(data, dict) or set(data) != expected:
            raise SurrogateError(f"a multiplier reference has the fields {sorted(expected)}")
        return cls(**{**data, "a": OperandFormat.parse(data["a"]), "b": OperandFormat.parse(data["b"])})


@dataclass(frozen=True)
class Provenance:
    """How a surrogate was found.

    Attributes
    ----------
    method : str
        Fitting method, such as ``"exact"``.
    options : tuple of (str, value)
        What the method was asked for and what it chose, sorted by name; values are text, numbers, booleans or None.
    version : str
        Version of this package that found it.
    """

    method: str
    options: tuple[tuple[str, Option], ...] = ()
    version: str = ""

    def __post_init__(self) -> None:
        options = tuple(self.options.items() if isinstance(self.options, Mapping) else self.options)
        if not _is_text(self.method) or not _is_text(self.version):
            raise SurrogateError("provenance: method and version must be text")
        for name, value in options:
            if not _is_text(name) or not isinstance(value, Option) or (isinstance(value, str) and not _is_text(value)):
                raise SurrogateError(f"provenance: the option {name!r:.80} = {value!r:.80} is not a plain value")
            if isinstance(value, float) and not math.isfinite(value):
                raise SurrogateError(f"provenance: the option {name!r:.80} is not finite")
            if isinstance(value, int) and not -(1 << 63) <= value < 1 << 63:
                raise SurrogateError(f"provenance: the option {name!r:.80} does not fit int64")
        plain = ((name, value + 0.0 if isinstance(value, float) else value) for name, value in options)  # no -0.0
        object.__setattr__(self, "options", tuple(sorted(plain, key=lambda option: option[0])))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"method": self.method, "options": dict(self.options), "version": self.version}

    @classmethod
    def from_dict(cls, data: Any) -> Provenance:
        """Build a provenance from its stored form."""
        if not isinstance(data, dict) or set(data) != {"method", "options", "version"}:
            raise SurrogateError("provenance is stored as {'method': ..., 'options': {...}, 'version': ...}")
        if not isinstance(data["options"], dict):
            raise SurrogateError("provenance: options must be an object")
        return cls(data["method"], tuple(data["options"].items()), data["version"])


@dataclass(frozen=True)
class Surrogate:
    """A separable model ``s(a, b) = sum_j c_j g_j(a) h_j(b)`` of one multiplier.

    Parameters
    ----------
    terms : sequence of Term
        Each defined on every value of the multiplier's operands.
    multiplier : MultiplierReference
        What it stands for; its operand formats are the domain.
    provenance : Provenance
        How it was found.
    certificate : Certificate, optional
        How far it differs from the multiplier; `surrogate.certify` makes it.

    Raises
    ------
    SurrogateError
        If a function is not defined on the domain, or an integer model could exceed int64.
    """

    terms: tuple[Term, ...]
    multiplier: MultiplierReference
    provenance: Provenance
    certificate: Certificate | None = None

    def __init__(
        self,
        terms: Sequence[Term],
        multiplier: MultiplierReference,
        provenance: Provenance,
        certificate: Certificate | None = None,
    ) -> None:
        object.__setattr__(self, "terms", tuple(terms))
        object.__setattr__(self, "multiplier", multiplier)
        object.__setattr__(self, "provenance", provenance)
        object.__setattr__(self, "certificate", certificate)
        bound: float = 0
        for term in self.terms:
            term.a.check(self.a)
            term.b.check(self.b)
            bound += abs(term.coefficient) * term.a.largest(self.a) * term.b.largest(self.b)
        if not bound < 1 << 63:
            raise SurrogateError(f"the model could reach {float(bound):.3g}, beyond int64; rescale its terms")
        if certificate is not None and certificate.every_pair and certificate.n_pairs != self.a.size * self.b.size:
            raise SurrogateError(
                f"the certificate compares {certificate.n_pairs} pairs and calls them all, but {self.a} x {self.b} "
                f"operands have {self.a.size * self.b.size}"
            )

    @property
    def a(self) -> OperandFormat:
        """Format of the first operand."""
        return self.multiplier.a

    @property
    def b(self) -> OperandFormat:
        """Format of the second operand."""
        return self.multiplier.b

    @property
    def n_terms(self) -> int:
        """Number of terms."""
        return len(self.terms)

    @property
    def n_products(self) -> int:
        """Number of matrix products that a layer needs: terms that share a function are one, constant factors none."""
        return len(self.groups()[1])

    @property
    def is_integer(self) -> bool:
        """Whether it is evaluated in integers without rounding."""
        return all(term.is_integer for term in self.terms)

    @property
    def is_exact(self) -> bool:
        """Whether it is made of integers, and certified equal to its multiplier on every operand pair."""
        return self.certificate is not None and self.certificate.exact and self.is_integer

    def __call__(self, a: ArrayLike, b: ArrayLike) -> FactorArray:
        """Evaluate with NumPy: int64 where `is_integer`, else float64; operands broadcast.

        Raises
        ------
        OperandTypeError, OperandRangeError
            If an operand is not made of integers, or lies outside the domain.
        """
        x, y = np.broadcast_arrays(self.a.check(a, "a"), self.b.check(b, "b"))
        total: FactorArray = np.zeros(x.shape, dtype=np.int64 if self.is_integer else np.float64)
        for term in self.terms:
            total = total + term.coefficient * term.a(x) * term.b(y)
        return total

    def factors(self) -> Factors:
        """Merge terms that share a function and tabulate them; see `Factors`."""
        by_b, groups = self.groups()
        dtype = np.int64 if self.is_integer else np.float64
        left = np.zeros((self.a.size, len(groups)), dtype=dtype)
        right = np.zeros((self.b.size, len(groups)), dtype=dtype)
        for j, (shared, terms) in enumerate(groups.items()):
            ours, theirs = (right, left) if by_b else (left, right)
            ours[:, j] = shared.tabulate(self.b if by_b else self.a)
            for term in terms:
                theirs[:, j] += np.multiply(
                    term.coefficient, term.a.tabulate(self.a) if by_b else term.b.tabulate(self.b)
                )
            if self.is_integer:
                _balance(ours[:, j], theirs[:, j])
        constant = Constant()
        of_a = [t.coefficient * t.a.tabulate(self.a) for t in self.terms if t.b == constant and t.a != constant]
        of_b = [t.coefficient * t.b.tabulate(self.b) for t in self.terms if t.a == constant]
        return Factors(
            left,
            right,
            np.array(of_a, dtype=dtype).sum(axis=0) if of_a else None,
            np.array(of_b, dtype=dtype).sum(axis=0) if of_b else None,
        )

    def groups(self) -> tuple[bool, dict[BasisFunction, list[Term]]]:
        """Group the terms of products by the functions of the operand that has fewer of them.

        Returns
        -------
        by_b : bool
            Whether that operand is ``b``.
        groups : dict of BasisFunction to list of Term
            One group for each product.
        """
        products = [term for term in self.terms if Constant() not in (term.a, term.b)]

        def grouped(key: Callable[[Term], BasisFunction]) -> dict[BasisFunction, list[Term]]:
            groups: dict[BasisFunction, list[Term]] = {}
            for term in products:
                groups.setdefault(key(term), []).append(term)
            return groups

        by_a, by_b = grouped(lambda t: t.a), grouped(lambda t: t.b)
        return (True, by_b) if len(by_b) <= len(by_a) else (False, by_a)

    def with_certificate(self, certificate: Certificate | None) -> Surrogate:
        """Return a copy that carries ``certificate``."""
        return Surrogate(self.terms, self.multiplier, self.provenance, certificate)

    def formula(self, a: str = "a", b: str = "b") -> str:
        """Write the model for people, such as ``a b - 2 (a mod 4) (b mod 4)``."""
        return " + ".join(term.formula(a, b) for term in self.terms).replace("+ -", "- ") or "0"

    def __str__(self) -> str:
        state = "uncertified" if self.certificate is None else "exact" if self.is_exact else "approximate"
        return f"{state} surrogate of {self.multiplier.name}: {self.formula()}"

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; the inverse of `from_dict`."""
        return {
            "terms": [term.to_dict() for term in self.terms],
            "multiplier": self.multiplier.to_dict(),
            "provenance": self.provenance.to_dict(),
            "certificate": None if self.certificate is None else self.certificate.to_dict(),
        }

    @classmethod
    def from_dict(cls, data: Any) -> Surrogate:
        """Build a surrogate from its stored form.

        Raises
        ------
        SurrogateError, ParameterError
            If any part is missing, unknown or out of range.
        """
        expected = {f.name for f in dataclasses.fields(cls)}
        if not isinstance(data, dict) or set(data) != expected:
            raise SurrogateError(f"a surrogate has the fields {sorted(expected)}")
        if not isinstance(data["terms"], list):
            raise SurrogateError("terms must be a list")
        certificate = data["certificate"]
        return cls(
            [Term.from_dict(term) for term in data["terms"]],
            MultiplierReference.from_dict(data["multiplier"]),
            Provenance.from_dict(data["provenance"]),
            None if certificate is None else Certificate.from_dict(certificate),
        )


def _balance(x: FactorArray, y: FactorArray) -> None:
    """Move powers of two from ``y`` to ``x``, in place, while that lowers the larger magnitude of both.

    Factors then fit the narrowest datatype that they can.
    """
    while not np.any(y & 1) and _largest(y) > _largest(x) > 0:
        x *= 2
        y //= 2


def _is_text(value: object) -> bool:
    """Whether it is text that every encoding of Unicode can hold (no unpaired surrogate code points)."""
    return isinstance(value, str) and not any("\ud800" <= character <= "\udfff" for character in value)


def _largest(values: NDArray[Any]) -> float:
    return max(abs(float(values.max(initial=0))), abs(float(values.min(initial=0))))
