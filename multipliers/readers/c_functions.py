"""Functions of two integers in C and C++ source, found by their form; nothing is compiled."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from multipliers.errors import UnknownNameError
from multipliers.readers.c_run import SourceError
from multipliers.readers.evoapprox import NAME

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


def find_functions(text: str) -> list[Function]:
    """List the functions of two integers that C or C++ source defines, in order.

    Definitions are recognised by their form, outside comments, strings and other functions: an integer type, a name and
    two parameters that are neither pointers nor floating-point.

    Examples
    --------
    >>> [f.b_first for f in find_functions("uint64_t mul8u_X(const uint64_t B, /* port */ const uint64_t A) { }")]
    [True]
    """
    return [function for function in _definitions(text).values() if function is not None]


def _definitions(text: str) -> dict[tuple[str, str], Function | None]:
    """Every function that a source defines, by name and signature; None where it is none of two integers."""
    found: dict[tuple[str, str], Function | None] = {}
    for match in _DEFINITION.finditer(_outermost(_without_comments(text))):
        if match["name"] in _NOT_NAMES:
            continue
        parameters = [_parameter(p) for p in match["parameters"].split(",")]
        signature = " ".join(f"{match['type']} {match['name']}({match['parameters']})".split())
        found[match["name"], signature] = None
        if _type(match["type"].split()) is None or len(parameters) != 2:
            continue
        first, second = parameters
        if first is not None and second is not None:
            function = Function(match["name"], (first[0], second[0]), (first[1], second[1]))
            found[match["name"], signature] = function
    return found


def choose_function(text: str, path: Path, wanted: str | None) -> Function:
    """Pick the function that a file is about; see `read_c_source`."""
    definitions = _definitions(text)
    functions = [f for f in definitions.values() if f is not None]
    names = [f.name for f in functions]
    others = [signature for (name, signature), f in definitions.items() if f is None and wanted in (None, name)]
    if wanted in names:
        return functions[names.index(wanted)]
    if wanted is not None and not others:
        raise UnknownNameError.of(f"function of two integers in {path}", wanted, names)
    if wanted is not None or not functions:
        held = f" (it defines {', '.join(repr(signature[:100]) for signature in others[:4])})" if others else ""
        raise SourceError(
            f"{path} defines no function {'' if wanted is None else repr(wanted) + ' '}of two integers{held}; "
            f"write a wrapper such as 'uint16_t f(uint8_t a, uint8_t b)'"
        )
    for eligible in (
        functions,
        [f for f in functions if f.name == path.stem],
        [f for f in functions if NAME.match(f.name)],
    ):
        if len(eligible) == 1:
            return eligible[0]
    listed = ", ".join(repr(n) for n in names)
    raise SourceError(f"{path} defines {len(names)} functions of two integers ({listed}); pass function= to choose one")


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
