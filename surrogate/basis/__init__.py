"""Basis functions of one operand: the factors that a surrogate is made of.

Each is a frozen dataclass that validates its own parameters, evaluates on int64 arrays, and is stored as
``{"name": ..., "configuration": {...}}``. Signs: ``mod`` is the floor modulus (in ``[0, 2**l)``, as in NumPy and
PyTorch), ``bit`` reads two's complement, the leading-one truncation works on the magnitude and restores the sign.
"""

from surrogate.basis.base import BasisFunction, FactorArray, from_dict, kinds
from surrogate.basis.bits import AllBits, Bit, Mod, Truncate
from surrogate.basis.composite import Odd, Sum, Window
from surrogate.basis.elementary import Constant, Identity, IsZero, Sign
from surrogate.basis.leading import LeadingOneTable, LeadingOneTruncate, NearestPower
from surrogate.basis.table import Table

__all__ = [
    "AllBits",
    "BasisFunction",
    "Bit",
    "Constant",
    "FactorArray",
    "Identity",
    "IsZero",
    "LeadingOneTable",
    "LeadingOneTruncate",
    "Mod",
    "NearestPower",
    "Odd",
    "Sign",
    "Sum",
    "Table",
    "Truncate",
    "Window",
    "from_dict",
    "kinds",
]
