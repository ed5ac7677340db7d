"""A multiplier that calls a C or C++ function in a compiled program: **this executes the code of the source**."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import tempfile
import weakref
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from multipliers.multiplier import MAX_TABLE_ENTRIES, Multiplier
from multipliers.operands import IntArray, OperandFormat
from multipliers.readers.c_functions import Function
from multipliers.readers.c_run import Limits, SourceError, compile_program, run_program

_BATCH = 1 << 20
"""Operand pairs that a run of a compiled multiplier evaluates at most."""

_DRIVER = """\
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#define main ax_main_of_the_source
#include "{source}"
#undef main
/* "| 0" is refused by the compiler for what is no integer, whatever a typedef calls it */
#define AX_VALUE(type, code, value) ((void)sizeof((type)0 | 0), (type)(((type)-1 < (type)1) ? (value) : (code)))
static int64_t ax_call(int64_t a, int64_t b) {{
    return (int64_t)({function}({arguments}) | 0);
}}
int main(int argc, char **argv) {{
    static int64_t pair[2 * 4096], result[4096];
    FILE *output = argc > 1 ? fopen(argv[1], "wb") : NULL;
    if (!output) return 101;
    if (argc > 2) {{
        FILE *input = fopen(argv[2], "rb");
        size_t n, i;
        if (!input) return 102;
        while ((n = fread(pair, 16, 4096, input)) > 0) {{
            for (i = 0; i < n; i++) result[i] = ax_call(pair[2 * i], pair[2 * i + 1]);
            if (fwrite(result, 8, n, output) != n) return 103;
        }}
        fclose(input);
    }} else {{
        int64_t a, b;
        size_t n = 0;
        for (a = {a_min}; a <= {a_max}; a++)
            for (b = {b_min}; b <= {b_max}; b++) {{
                result[n++] = ax_call(a, b);
                if (n == 4096) {{
                    if (fwrite(result, 8, n, output) != n) return 103;
                    n = 0;
                }}
            }}
        if (n && fwrite(result, 8, n, output) != n) return 103;
    }}
    return fclose(output) ? 104 : 0;
}}
"""


@dataclass(frozen=True)
class CompiledMultiplier(Multiplier):
    """A multiplier that evaluates batches of operands in a compiled program: **it runs the code of the source**.

    The program lives in a temporary folder that goes with the object. Equality is that of source, function and
    formats; a pickled copy compiles the source again.

    Parameters
    ----------
    source : str
        Text of the C or C++ file.
    function : Function
        The function to call.
    a, b : OperandFormat
    name : str
        A label for people.
    file : str
        Where the source comes from: for messages, for the language (suffix), and for files that it includes.
    compiler : str, optional
    limits : Limits

    Raises
    ------
    SourceError
        If there is no compiler or the source does not compile; on a call, if the program crashes or exceeds a limit.
    ParameterError
        If products of the formats do not fit int64.
    """

    source: str = field(repr=False)
    function: Function = field(repr=False)
    a: OperandFormat
    b: OperandFormat
    name: str = field(default="", compare=False)
    file: str = field(default="source.c", compare=False)
    compiler: str | None = field(default=None, compare=False, repr=False)
    limits: Limits = field(default_factory=Limits, compare=False, repr=False)
    _program: Path = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        self._check_widths()
        if not self.name:
            object.__setattr__(self, "name", self.function.name)
        folder = Path(tempfile.mkdtemp(prefix="multiplier-"))
        clean = weakref.finalize(self, _remove, folder, os.getpid())
        origin = Path(self.file)
        cpp = origin.suffix in {".cpp", ".cc", ".cxx", ".c++", ".C"}
        source, driver = folder / ("source.cpp" if cpp else "source.c"), folder / ("driver.cpp" if cpp else "driver.c")
        try:
            source.write_text(self.source, encoding="utf-8", errors="replace")
            driver.write_text(self._driver(source.name), encoding="utf-8")
            program = compile_program(driver, cpp, origin, self.compiler, self.limits)
        except BaseException:
            clean()
            raise
        object.__setattr__(self, "_program", program)

    def __reduce__(self) -> tuple[type[CompiledMultiplier], tuple[object, ...]]:
        """Copy and pickle through the constructor: the program belongs to one object."""
        fields = (self.source, self.function, self.a, self.b, self.name, self.file, self.compiler, self.limits)
        return type(self), fields

    def table(self) -> IntArray:
        """All products; see `Multiplier.table`."""
        if self.n_pairs > MAX_TABLE_ENTRIES:
            return super().table()
        return self._wrap(self._run(None, self.n_pairs)).reshape(self.a.size, self.b.size)

    def _product(self, a: IntArray, b: IntArray) -> IntArray:
        pairs = np.stack([a.ravel(), b.ravel()], axis=1)
        results = [self._run(pairs[i : i + _BATCH], len(pairs[i : i + _BATCH])) for i in range(0, len(pairs), _BATCH)]
        return self._wrap(np.concatenate(results) if results else np.empty(0, np.int64)).reshape(a.shape)

    def _run(self, pairs: IntArray | None, n_results: int) -> IntArray:
        """Run the program over pairs, or over all pairs in natural order."""
        folder = self._program.parent
        stem = secrets.token_hex(8)
        output, inputs = folder / f"{stem}.out", folder / f"{stem}.in"
        try:
            arguments = [str(output)]
            if pairs is not None:
                np.ascontiguousarray(pairs, dtype=np.int64).tofile(inputs)
                arguments.append(str(inputs))
            run_program(self._program, arguments, self.name, self.limits, 8 * n_results)
            results = np.fromfile(output, dtype=np.int64)
        finally:
            for file in (output, inputs):
                with contextlib.suppress(OSError):
                    file.unlink()
        if results.size != n_results:
            cause = "ends the process by itself (exit)" if results.size < n_results else "forks the process"
            raise SourceError(f"{self.name} gave {results.size} products for {n_results} pairs: the source {cause}")
        return results

    def _wrap(self, results: IntArray) -> IntArray:
        bits = self.a.bits + self.b.bits
        if bits >= 64:
            return results
        signed = self.a.signed or self.b.signed
        low = results & np.int64((1 << bits) - 1)
        half = np.int64(1 << (bits - 1))
        return (low ^ half) - half if signed else low

    def _driver(self, source: str) -> str:
        operands = [("b", self.b), ("a", self.a)] if self.function.b_first else [("a", self.a), ("b", self.b)]
        arguments = ", ".join(
            f"AX_VALUE({type_}, {x} & INT64_C({form.size - 1}), {x})"
            for type_, (x, form) in zip(self.function.types, operands, strict=True)
        )
        return _DRIVER.format(
            source=source,
            function=self.function.name,
            arguments=arguments,
            a_min=self.a.minimum,
            a_max=self.a.maximum,
            b_min=self.b.minimum,
            b_max=self.b.maximum,
        )


def _remove(folder: Path, owner: int) -> None:
    """Remove a program's folder, unless this is a fork of the process that made it."""
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)
