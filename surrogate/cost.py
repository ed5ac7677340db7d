"""What a layer costs by each way of simulating it, in multiples of the accurate float32 layer.

A model of few numbers: so much for quantising and looking factors up, so much for each product in its datatype, so much
for a table. `surrogate.nn.measure_costs` measures them on the machine at hand; the defaults are those of one machine.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from multipliers.files import write_atomically
from multipliers.multiplier import MAX_TABLE_ENTRIES, Multiplier
from surrogate.arithmetic import ARITHMETICS
from surrogate.digits import digit_products
from surrogate.errors import SurrogateError
from surrogate.factors import Factors
from surrogate.model import Surrogate
from surrogate.scaled_factors import ScaledFactors


@dataclass(frozen=True)
class CostModel:
    """Cost of one layer; all numbers are multiples of the accurate float32 layer of the same shape.

    Attributes
    ----------
    base : float
        Whatever the number of products: quantisation, rescaling, lookups of one factor.
    int8, float32, float64 : float
        Each product in this datatype, its lookups included.
    table : float
        A layer by lookup table, of any rank.
    shape : str
        What was measured, for people.

    Examples
    --------
    >>> import multipliers, surrogate
    >>> costs = CostModel()
    >>> costs.of_surrogate(surrogate.discover(multipliers.get("trunc8u_t2"))) < costs.table
    True
    """

    base: float = 0.11
    int8: float = 0.135
    float32: float = 1.2
    float64: float = 2.4
    table: float = 1.3
    shape: str = "linear, 1024 x 1024, 1024 rows, one thread of a processor with AVX-512 VBMI, compiled table kernel"

    def __post_init__(self) -> None:
        for f in fields(self):
            value = getattr(self, f.name)
            if f.name != "shape" and not (isinstance(value, int | float) and 0 <= value < float("inf")):
                raise SurrogateError(f"a cost must be a non-negative number, got {f.name} = {value!r:.80}")

    def of_surrogate(self, surrogate: Surrogate) -> float:
        """Return the cost of a layer that runs a surrogate."""
        count, datatype = self.products_of(surrogate)
        return self.base + count * float(getattr(self, datatype))

    def products_of(self, surrogate: Surrogate) -> tuple[int, str]:
        """Count the products of a layer, and name their datatype: the cheapest that rounds none.

        Factors beyond int8 count once for each pair of their digits; see `surrogate.digits`.

        Examples
        --------
        >>> import multipliers, surrogate
        >>> CostModel().products_of(surrogate.discover(multipliers.get("exact12s")))
        (4, 'int8')
        """
        factors, scaled = surrogate.factors(), ScaledFactors.of(surrogate)
        choices = [(factors.n_products, _float_datatype(factors))]
        if scaled is not None:
            choices.insert(0, (sum(each.n_products for each in digit_products(scaled)), "int8"))
        return min(choices, key=lambda choice: choice[0] * float(getattr(self, choice[1])))

    def of_table(self, multiplier: Multiplier) -> float:
        """Return the cost of a layer by lookup; infinite where the table is too large."""
        return self.table if multiplier.n_pairs <= MAX_TABLE_ENTRIES else float("inf")

    def affordable_products(self, cost: float) -> int:
        """Most float32 products that cost less than ``cost``; 0 if none."""
        return max(0, int((cost - self.base) / self.float32)) if self.float32 > 0 else 1 << 16

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the numbers to a JSON file, as a whole or not at all."""
        write_atomically(path, (json.dumps(asdict(self), indent=2) + "\n").encode())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> CostModel:
        """Read what `save` wrote.

        Raises
        ------
        SurrogateError
            If the file is no cost model.
        """
        try:
            data = json.loads(Path(path).read_text(encoding="utf-8"))
        except (ValueError, UnicodeDecodeError) as error:
            raise SurrogateError(f"{path}: is no cost model ({error})") from None
        if not isinstance(data, dict) or set(data) != {f.name for f in fields(cls)}:
            raise SurrogateError(f"{path}: is no cost model; it has the fields {sorted(f.name for f in fields(cls))}")
        return cls(**data)


def _float_datatype(factors: Factors) -> str:
    """Name the float datatype that a layer multiplies factors in; float32 for factors that are floats."""
    if not factors.is_integer:
        return "float32"
    holds = all(ARITHMETICS["float32"].holds(matrix) for matrix in (factors.left, factors.right))
    return "float32" if holds and factors.product_bound() < 1 << 24 else "float64"
