"""From a multiplier to a surrogate.

`discover` finds one by a method, `select` the cheapest that meets an objective, `front` shows error against cost, and
`explain` writes what was found in closed form. Importing this loads NumPy only: each method loads what it needs.
"""

from surrogate.fit.discovery import METHODS, discover
from surrogate.fit.explain import Explanation, explain
from surrogate.fit.front import Front, front
from surrogate.fit.select import Candidate, Objective, Selection, select

__all__ = [
    "METHODS",
    "Candidate",
    "Explanation",
    "Front",
    "Objective",
    "Selection",
    "discover",
    "explain",
    "front",
    "select",
]
