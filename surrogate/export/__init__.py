"""Surrogates as source code and formulas: one file per target, none of which needs this package afterwards."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from multipliers.files import write_atomically
from surrogate.errors import SurrogateError
from surrogate.export.c import to_c
from surrogate.export.python import to_python
from surrogate.export.words import to_words
from surrogate.model import Surrogate

__all__ = ["TARGETS", "Target", "export", "to_c", "to_python", "to_words"]


@dataclass(frozen=True)
class Target:
    """What a surrogate can be exported to.

    Attributes
    ----------
    name : str
        Key in `TARGETS`.
    suffix : str
        Usual extension of its files.
    write : callable
        Returns the text of the file.
    """

    name: str
    suffix: str
    write: Callable[[Surrogate], str]


def _sympy(surrogate: Surrogate) -> str:
    from surrogate.export.sympy import to_sympy_source

    return to_sympy_source(surrogate)


def _latex(surrogate: Surrogate) -> str:
    from surrogate.export.sympy import to_latex

    return to_latex(surrogate) + "\n"


TARGETS: dict[str, Target] = {
    target.name: target
    for target in (
        Target("python", ".py", to_python),
        Target("c", ".h", to_c),
        Target("sympy", ".py", _sympy),
        Target("latex", ".tex", _latex),
        Target("words", ".txt", to_words),
    )
}


def export(surrogate: Surrogate, target: str, path: str | os.PathLike[str]) -> None:
    """Write a surrogate for another language, as a whole file or not at all.

    Parameters
    ----------
    surrogate : Surrogate
        What to write.
    target : {"python", "c", "sympy", "latex", "words"}
        Stand-alone NumPy source, a C99 header, SymPy source, a LaTeX formula, or plain words.
    path : path
        Replaced if it exists.

    Raises
    ------
    SurrogateError
        If there is no such target.
    """
    if target not in TARGETS:
        raise SurrogateError(f"unknown target {target!r:.80}; choose one of {', '.join(map(repr, TARGETS))}")
    write_atomically(path, TARGETS[target].write(surrogate).encode())
