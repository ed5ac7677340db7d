"""Surrogates as source code, formulas and graphs: one file per target, none of which needs this package afterwards."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from dataclasses import dataclass

from multipliers.files import write_atomically
from multipliers.operands import IntArray
from surrogate.basis import FactorArray
from surrogate.errors import SurrogateError
from surrogate.export.c import to_c
from surrogate.export.python import to_python
from surrogate.export.torchapprox import read_torchapprox, to_torchapprox
from surrogate.export.verify import check_file
from surrogate.export.words import to_words
from surrogate.model import Surrogate

__all__ = ["TARGETS", "Target", "export", "export_bytes", "to_c", "to_python", "to_torchapprox", "to_words"]


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
        Returns the content of the file: text, or bytes where it is not `is_text`.
    read : callable, optional
        Returns the function of two arrays that the bytes of a file stand for; None for what only another program can
        evaluate.
    is_text : bool
        Whether people can read it, so that it may go to a terminal.
    """

    name: str
    suffix: str
    write: Callable[[Surrogate], str] | Callable[[Surrogate], bytes]
    read: Callable[[bytes], Callable[[IntArray, IntArray], FactorArray]] | None = None
    is_text: bool = True

    def content(self, surrogate: Surrogate) -> bytes:
        """Return the bytes of the file."""
        written = self.write(surrogate)
        return written.encode() if isinstance(written, str) else written


def _sympy(surrogate: Surrogate) -> str:
    from surrogate.export.sympy import to_sympy_source

    return to_sympy_source(surrogate)


def _latex(surrogate: Surrogate) -> str:
    from surrogate.export.sympy import to_latex

    return to_latex(surrogate) + "\n"


def _onnx(surrogate: Surrogate) -> bytes:
    _require_onnx()
    from surrogate.export.onnx import onnx_bytes

    return onnx_bytes(surrogate)


def _read_onnx(data: bytes) -> Callable[[IntArray, IntArray], FactorArray]:
    from surrogate.export.onnx import read_onnx

    return read_onnx(data)


def _require_onnx() -> None:
    if importlib.util.find_spec("onnx") is None:
        raise SurrogateError("writing ONNX needs the package onnx: pip install 'axsurrogate[onnx]'")


TARGETS: dict[str, Target] = {
    target.name: target
    for target in (
        Target("python", ".py", to_python),
        Target("c", ".h", to_c),
        Target("sympy", ".py", _sympy),
        Target("latex", ".tex", _latex),
        Target("words", ".txt", to_words),
        Target("onnx", ".onnx", _onnx, _read_onnx, is_text=False),
        Target("torchapprox", ".json", to_torchapprox, read_torchapprox),
    )
}


def export(surrogate: Surrogate, target: str, path: str | os.PathLike[str], *, verify: bool = False) -> None:
    """Write a surrogate for another language, as a whole file or not at all.

    Parameters
    ----------
    surrogate : Surrogate
        What to write.
    target : {"python", "c", "sympy", "latex", "words", "onnx", "torchapprox"}
        Stand-alone NumPy source, a C99 header, SymPy source, a LaTeX formula, plain words, an ONNX graph of standard
        operators (needs the package onnx), or TorchApprox's file of coefficients.
    path : path
        Replaced if it exists.
    verify : bool
        For ``"onnx"`` and ``"torchapprox"``: evaluate what is about to be written on every operand pair (65,536
        sampled ones above 2**24) and write it only if it gives the surrogate's products. Sources and formulas are for
        other programs to run; the tests of this package run them on every pair.

    Raises
    ------
    SurrogateError
        If there is no such target, the surrogate does not fit it, onnx is not installed, or ``verify`` is asked for
        where it cannot be done, or finds a difference; nothing is written.
    OSError
        If the file cannot be written.
    """
    write_atomically(path, export_bytes(surrogate, target, verify=verify))


def export_bytes(surrogate: Surrogate, target: str, *, verify: bool = False) -> bytes:
    """Return the bytes of the file that `export` writes; text is in UTF-8.

    Examples
    --------
    >>> import multipliers, surrogate
    >>> s = surrogate.discover(multipliers.get("trunc4u_t2"), method="htp", basis="mod")
    >>> len(export_bytes(s, "onnx", verify=True)) > 100
    True
    """
    if target not in TARGETS:
        raise SurrogateError(f"unknown target {target!r:.80}; choose one of {', '.join(map(repr, TARGETS))}")
    chosen = TARGETS[target]
    if not verify:
        return chosen.content(surrogate)
    if chosen.read is None:
        able = ", ".join(repr(t.name) for t in TARGETS.values() if t.read)
        raise SurrogateError(f"verify is for the targets {able}; what {target!r} writes is for other programs to run")
    content = chosen.content(surrogate)
    check_file(surrogate, chosen.read(content), target)
    return content
