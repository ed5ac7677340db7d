"""Multipliers given as C or C++ source, compiled and run: **this executes the code of the file**."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import tempfile
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from multipliers.errors import ParameterError, UnknownNameError
from multipliers.multiplier import MAX_TABLE_ENTRIES, Multiplier
from multipliers.operands import IntArray, OperandFormat
from multipliers.readers.c_run import Limits, SourceError, compile_program, run_program
from multipliers.table import TableMultiplier

MAX_SOURCE_BYTES = 1 << 24
"""Largest source file that is read."""

_BATCH = 1 << 20
"""Operand pairs that a run of a compiled multiplier evaluates at most."""

_WORDS = {"auto", "bool", "char", "const", "else", "extern", "float", "for", "if", "inline", "int", "long", "register"}
_NOT_NAMES = _WORDS | {
    "main",
    "return",
    "short",
    "signed",
    "sizeof",
    "static",
    "struct",
    "switch",
    "unsigned",
    "void",
    "while",
}
_QUALIFIERS = {"const", "volatile", "register", "static", "inline", "extern", "__inline", "__inline__", "constexpr"}
_TYPE = r"(?<![\w:])(?:[A-Za-z_][\w:]*+[ \t\r\n]++){1,8}"
_DEFINITION = re.compile(rf"(?P<type>{_TYPE})(?P<name>[A-Za-z_]\w*)[ \t\r\n]*\((?P<parameters>[^(){{}};]*)\)\s*\{{")
_FORMATS = re.compile(r"mul(?P<a>[1-9][0-9]?)(?:x(?P<b>[1-9][0-9]?))?(?P<sign>[us])(?:_|$)")
_FIGURE = re.compile(
    r"^\s*(?://+|/?\*+)\s*(?P<name>[A-Za-z][\w ]*?%?)\s*=\s*"
    r"(?P<value>[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?)\s*(?P<unit>[A-Za-z%][\w^/%]*)?\s*(?:\*/)?\s*$",
    re.MULTILINE,
)

_DRIVER = """\
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#define main ax_main_of_the_source
#include "{source}"
#undef main
#define AX_VALUE(type, code, value) ((type)(((type)-1 < (type)1) ? (value) : (code)))
static int64_t ax_call(int64_t a, int64_t b) {{
    return (int64_t){function}({arguments});
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


class Figure(NamedTuple):
    """A published figure: value and unit, such as ``Figure(0.41, "mW")``; the unit is ``""`` where none is given."""

    value: float
    unit: str


@dataclass(frozen=True)
class Function:
    """A function of two integers that a source file defines.

    Attributes
    ----------
    name : str
    types : tuple of str
        Types of the two parameters, without qualifiers, as declared.
    parameters : tuple of str
        Names of the two parameters, as declared; empty where a parameter has none.
    """

    name: str
    types: tuple[str, str]
    parameters: tuple[str, str]

    @property
    def b_first(self) -> bool:
        """Whether the parameters are named ``B, A`` (in either case), so that the first is the operand ``b``."""
        return tuple(p.lower() for p in self.parameters) == ("b", "a")


@dataclass(frozen=True)
class CircuitFile:
    """What `read_c_source` found in a file.

    Attributes
    ----------
    multiplier : Multiplier
        A `TableMultiplier` up to 2**24 operand pairs, else a `CompiledMultiplier`.
    function : Function
        The function that was compiled.
    published : mapping of str to Figure
        Figures of the header comment, such as ``{"MAE%": Figure(0.0064, "%"), "PDK45_PWR": Figure(0.41, "mW")}``.
    """

    multiplier: Multiplier
    function: Function
    published: Mapping[str, Figure] = field(hash=False)


def read_c_source(
    path: str | Path,
    a: OperandFormat | str | None = None,
    b: OperandFormat | str | None = None,
    *,
    function: str | None = None,
    name: str | None = None,
    compiler: str | None = None,
    limits: Limits | None = None,
) -> CircuitFile:
    """Read a multiplier from C or C++ source. **This runs the code of the file**: read only what you trust.

    The compiler and the program run in processes of their own, without a shell, in a temporary folder, under limits of
    time, memory and file size. The limits guard against accidents, not against malice.

    Parameters
    ----------
    path : str or Path
        A file that defines a function of two integers, ``T f(T, T)``; ``.cpp``, ``.cc``, ``.cxx`` and ``.C`` are
        compiled as C++. It may have a ``main`` (ignored) and include files of its own folder.
    a, b : OperandFormat or str, optional
        Formats of the operands, such as ``"8s"``; ``b`` defaults to ``a``. Where neither is given they are taken from
        the function's name in the style of EvoApproxLib: ``mul8u_X``, ``mul8x4u_X``, ``mul12s_X``.
    function : str, optional
        Which function; needed where several of the file could be meant. By default the only function of two integers,
        else the one named like the file, else the only one named ``mul...`` in the style of EvoApproxLib.
    name : str, optional
        Label of the multiplier; by default the function's name.
    compiler : str, optional
        Name or path of the compiler; by default the first of ``gcc``, ``cc``, ``clang`` (``g++``, ``c++``,
        ``clang++``) that is found.
    limits : Limits, optional
        Time, memory and file size for the compiler and for each run.

    Returns
    -------
    CircuitFile

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    SourceError
        If no compiler is found, the file does not compile (the compiler's message is quoted), it defines no function
        of two integers, or several; or the program crashes or exceeds a limit.
    UnknownNameError
        If the file does not define ``function``.
    ParameterError
        If formats are missing, do not parse, or have products beyond int64.

    Notes
    -----
    *Operand order*: parameters named ``A`` and ``B`` (in either case) are the operands ``a`` and ``b``, whatever their
    order: the 8x8 unsigned circuits of EvoApproxLib declare ``(B, A)``. Other parameters are ``a, b`` as declared.

    *Signs*: a parameter of a signed type receives the value; one of an unsigned type its two's-complement code of
    ``n`` bits. The result is reduced modulo ``2**(n+m)`` and, if an operand is signed, read as two's complement: some
    signed circuits are declared with unsigned types.
    """
    path = Path(path)
    if not path.is_file():
        kind = "is a folder" if path.is_dir() else "does not exist"
        raise FileNotFoundError(f"cannot read C source from {str(path)!r}: it {kind}")
    if path.stat().st_size > MAX_SOURCE_BYTES:
        raise SourceError(f"{path} has {path.stat().st_size} bytes; sources of up to {MAX_SOURCE_BYTES} are read")
    text = path.read_text(encoding="utf-8", errors="replace")
    chosen = choose_function(text, path, function)
    first, second = _formats(chosen.name, path, a, b)
    multiplier: Multiplier = CompiledMultiplier(
        text,
        chosen,
        first,
        second,
        name=name or chosen.name,
        file=str(path.resolve()),
        compiler=compiler,
        limits=limits or Limits(),
    )
    if multiplier.n_pairs <= MAX_TABLE_ENTRIES:
        multiplier = TableMultiplier(multiplier.table(), first, second, name=multiplier.name)
    return CircuitFile(multiplier, chosen, header_figures(text))


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
            raise SourceError(
                f"{self.name} ended after {results.size} of {n_results} products: the source seems to end the process "
                f"by itself (exit)"
            )
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


def find_functions(text: str) -> list[Function]:
    """List the functions of two integers that C or C++ source defines, in order.

    Definitions are recognised by their form, outside comments, strings and other functions: an integer type, a name and
    two parameters that are neither pointers nor floating-point.

    Examples
    --------
    >>> [f.b_first for f in find_functions("uint64_t mul8u_X(const uint64_t B, /* port */ const uint64_t A) { }")]
    [True]
    """
    outside = _outermost(_without_comments(text))
    found = []
    for match in _DEFINITION.finditer(outside):
        parameters = [_parameter(p) for p in match["parameters"].split(",")]
        result = _type(match["type"].split())
        if match["name"] in _NOT_NAMES or result is None or len(parameters) != 2:
            continue
        first, second = parameters
        if first is not None and second is not None:
            found.append(Function(match["name"], (first[0], second[0]), (first[1], second[1])))
    return found


def choose_function(text: str, path: Path, wanted: str | None) -> Function:
    """Pick the function that a file is about; see `read_c_source`."""
    functions = find_functions(text)
    names = [f.name for f in functions]
    if wanted is not None:
        if wanted not in names:
            raise UnknownNameError.of(f"function of two integers in {path}", wanted, names)
        return functions[names.index(wanted)]
    if not functions:
        raise SourceError(f"{path} defines no function of two integers, such as 'uint16_t f(uint8_t a, uint8_t b)'")
    for eligible in (
        functions,
        [f for f in functions if f.name == path.stem],
        [f for f in functions if _FORMATS.match(f.name)],
    ):
        if len(eligible) == 1:
            return eligible[0]
    listed = ", ".join(repr(n) for n in names)
    raise SourceError(f"{path} defines {len(names)} functions of two integers ({listed}); pass function= to choose one")


def header_figures(text: str) -> dict[str, Figure]:
    r"""Read the figures of comment lines such as ``// MAE% = 0.0064 %`` or ``// PDK45_PWR = 0.410 mW``.

    The first value of a name counts.

    Examples
    --------
    >>> header_figures("// MAE% = 0.0064 %\n// PDK45_PWR = 0.410 mW\n// EP% = 12.5\n")
    {'MAE%': Figure(value=0.0064, unit='%'), 'PDK45_PWR': Figure(value=0.41, unit='mW'),
     'EP%': Figure(value=12.5, unit='')}
    """
    figures: dict[str, Figure] = {}
    for match in _FIGURE.finditer(text):
        figures.setdefault(match["name"], Figure(float(match["value"]), match["unit"] or ""))
    return figures


def formats_of_name(name: str) -> tuple[OperandFormat, OperandFormat] | None:
    """Operand formats that a name in the style of EvoApproxLib states, or None.

    Examples
    --------
    >>> [x.label for x in formats_of_name("mul8x4u_29A")]
    ['8u', '4u']
    """
    match = _FORMATS.match(name)
    if match is None:
        return None
    bits_a, bits_b = int(match["a"]), int(match["b"] or match["a"])
    if max(bits_a, bits_b) > 32:
        return None
    signed = match["sign"] == "s"
    return OperandFormat(bits_a, signed), OperandFormat(bits_b, signed)


def _formats(
    name: str, path: Path, a: OperandFormat | str | None, b: OperandFormat | str | None
) -> tuple[OperandFormat, OperandFormat]:
    if a is None and b is not None:
        raise ParameterError(f"operand format b={b!s} is given without a; give both, or neither")
    if a is not None:
        first = OperandFormat.parse(a) if isinstance(a, str) else a
        return first, first if b is None else OperandFormat.parse(b) if isinstance(b, str) else b
    formats = formats_of_name(name)
    if formats is None:
        raise ParameterError(
            f"{path}: the name {name!r} does not state operand formats as 'mul8u_X' does; pass a= and b=, as in '8u'"
        )
    return formats


def _without_comments(text: str) -> str:
    """Blank out comments, strings and preprocessor lines, keeping the rest."""
    pattern = r"//[^\n]*|/\*.*?(?:\*/|\Z)|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'"
    text = re.sub(pattern, " ", text, flags=re.DOTALL)
    return re.sub(r"^[ \t]*#(?:\\\n|[^\n])*", " ", text, flags=re.MULTILINE)


def _outermost(text: str) -> str:
    """Keep what stands outside braces, with ``{}`` for each block; an ``extern "C"`` block is transparent."""
    text = re.sub(r"\bextern\s+\{", " ", text)
    kept, depth, start = [], 0, 0
    for match in re.finditer(r"[{}]", text):
        if match[0] == "{":
            if depth == 0:
                kept.append(text[start : match.start()] + "{};")
            depth += 1
        elif depth:
            depth -= 1
            if depth == 0:
                start = match.end()
    if depth == 0:
        kept.append(text[start:])
    return "".join(kept)


def _parameter(text: str) -> tuple[str, str] | None:
    """Type and name of a declared parameter, or None if it is no integer."""
    if re.search(r"[*&\[\].=<>]", text):
        return None
    words = [w for w in text.split() if w not in _QUALIFIERS]
    if len(words) > 1 and words[-1] not in _NOT_NAMES and not words[-1].endswith("_t"):
        type_ = _type(words[:-1])
        return None if type_ is None else (type_, words[-1])
    type_ = _type(words)
    return None if type_ is None else (type_, "")


def _type(words: list[str]) -> str | None:
    """Text of an integer type, or None."""
    words = [w for w in words if w not in _QUALIFIERS]
    if not words or set(words) & {"float", "double", "void", "struct", "union", "else", "return", "typedef", "enum"}:
        return None
    return " ".join(words)
