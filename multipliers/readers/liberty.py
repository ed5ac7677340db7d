"""Libraries of standard cells in the Liberty format: areas and functions, nothing of timing or power."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from multipliers.errors import NetlistError
from multipliers.netlist.circuit import MAX_LUT_INPUTS
from multipliers.netlist.library import Library, LibraryCell

_TOKEN = re.compile(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\])*\"|[{}();:,\n\\]|[^\s\"{}();:,\\]+", re.DOTALL)
_OPERATOR = re.compile(r"\s*(?:([A-Za-z_][\w\[\]]*)|(.))", re.DOTALL)
_MAX_DEPTH = 64
"""Nested parentheses of a function."""


def read_liberty(path: str | Path) -> Library:
    """Read a Liberty file (``.lib``): the area, pins and functions of its cells.

    Parameters
    ----------
    path : str or Path
        The file. Of its groups only ``cell`` and ``pin`` are looked into; functions are those of the Liberty user
        guide: ``!`` and ``'``, ``^``, ``*`` (``&``, a blank), ``+`` (``|``), in this order of precedence.

    Returns
    -------
    Library
        With every cell; one that is not combinational, or is not described by functions of single-bit pins, has a
        ``problem`` in place of functions.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    NetlistError
        If it is not a Liberty file, is truncated, or a cell has no area or a function that does not parse.
    """
    path = Path(path)
    if not path.is_file():
        kind = "is a folder" if path.is_dir() else "does not exist"
        raise FileNotFoundError(f"cannot read a library from {str(path)!r}: it {kind}")
    try:
        return parse_liberty(path.read_text(encoding="utf-8", errors="replace"))
    except NetlistError as error:
        raise NetlistError(f"{path}: {error}") from None


def parse_liberty(text: str) -> Library:
    """Read a library from Liberty text; see `read_liberty`.

    Examples
    --------
    >>> library = parse_liberty('''library(tiny) { cell(NAND2) { area : 1.5;
    ...     pin(A) { direction : input; } pin(B) { direction : input; }
    ...     pin(Y) { direction : output; function : "(A B)'"; } } }''')
    >>> library.cells["NAND2"]
    LibraryCell(name='NAND2', area=1.5, inputs=('A', 'B'), functions=(('Y', 7),), problem='')
    """
    root = _groups(text)
    libraries = [group for group in root.groups if group.kind == "library"]
    if len(libraries) != 1 or len(root.groups) != 1:
        held = ", ".join(repr(group.kind) for group in root.groups[:5]) or "nothing"
        raise NetlistError(f"a Liberty file holds one group 'library', got {held}")
    cells: dict[str, LibraryCell] = {}
    for group in libraries[0].groups:
        if group.kind == "cell":
            if group.name in cells:
                raise NetlistError(f"cell {group.name!r} is defined twice")
            cells[group.name] = _cell(group)
    if not cells:
        raise NetlistError(f"library {libraries[0].name!r} holds no cell")
    return Library(libraries[0].name, cells)


@dataclass
class _Group:
    """``kind(name) { key : value; ... }``."""

    kind: str
    name: str
    attributes: dict[str, str] = field(default_factory=dict)
    groups: list[_Group] = field(default_factory=list)


def _groups(text: str) -> _Group:
    """Parse the nesting of a file; of groups within pins only the kind is kept."""
    root = _Group("", "")
    stack = [root]
    tokens = [match for match in _TOKEN.finditer(text) if not match[0].startswith(("/*", "//"))]
    words = [match[0] for match in tokens]
    at, n = 0, len(words)

    def wrong(expected: str) -> NetlistError:
        line = text.count("\n", 0, tokens[min(at, n - 1)].start()) + 1 if n else 1
        got = repr(words[at][:40]) if at < n else "the end of the file"
        return NetlistError(f"line {line}: expected {expected}, got {got}; is it a whole Liberty file?")

    def skip(what: str) -> None:
        nonlocal at
        while at < n and words[at] in what:
            at += 1

    while True:
        skip("\n;\\,")
        if at >= n:
            break
        if words[at] == "}":
            if len(stack) == 1:
                raise wrong("a group")
            stack.pop()
            at += 1
            continue
        kind = words[at]
        at += 1
        skip("\n\\")
        if at < n and words[at] == ":":
            at += 1
            skip("\n\\")
            start = at
            while at < n and words[at] not in (";", "\n", "}"):
                at += 1
            stack[-1].attributes[kind] = " ".join(words[start:at]).strip('"')
        elif at < n and words[at] == "(":
            start = at + 1
            while at < n and words[at] != ")":
                at += 1
            if at >= n:
                raise wrong("')'")
            name = "".join(word.strip('"') for word in words[start:at] if word not in "\n\\")
            at += 1
            skip("\n\\")
            if at < n and words[at] == "{":
                at += 1
                group = _Group(kind, name)
                if len(stack) <= 4:  # library, cell, pin, and what a pin holds
                    stack[-1].groups.append(group)
                stack.append(group)
        else:
            raise wrong(f"':' or '(' after {kind[:40]!r}")
    if len(stack) > 1:
        raise wrong(f"'}}' of the group {stack[-1].kind!r}")
    return root


def _cell(group: _Group) -> LibraryCell:
    where = f"cell {group.name!r}"
    try:
        area = float(group.attributes.get("area", "nothing"))
    except ValueError:
        raise NetlistError(f"{where} has the area {group.attributes.get('area')!r}, which is no number") from None
    if not 0 <= area < float("inf"):
        raise NetlistError(f"{where} has the area {area}; areas are finite and not negative")
    held = {inner.kind for inner in group.groups}
    state = held & {"ff", "latch", "ff_bank", "latch_bank", "statetable"}
    if state:
        return LibraryCell(group.name, area, problem="a register" if "ff" in state else f"which holds a {min(state)}")
    if held & {"bus", "bundle"}:
        return LibraryCell(group.name, area, problem=f"which has a {min(held & {'bus', 'bundle'})}")
    pins = {name.strip(): pin.attributes for pin in group.groups if pin.kind == "pin" for name in pin.name.split(",")}
    inputs = tuple(name for name, pin in pins.items() if pin.get("direction") == "input")
    outputs = {name: pin for name, pin in pins.items() if pin.get("direction") == "output"}
    lacking = [name for name in outputs if "function" not in outputs[name]]
    if lacking or not outputs or len(inputs) + len(outputs) != len(pins):
        reason = (
            f"whose output {lacking[0]!r} has no function" if lacking else "which has other pins than in- and outputs"
        )
        return LibraryCell(group.name, area, problem=reason if outputs else "which has no output")
    if any("three_state" in pin for pin in outputs.values()):
        return LibraryCell(group.name, area, problem="a three-state driver")
    if len(inputs) > MAX_LUT_INPUTS:
        return LibraryCell(
            group.name, area, problem=f"which has {len(inputs)} inputs; at most {MAX_LUT_INPUTS} are read"
        )
    try:
        functions = tuple((name, _Function(pin["function"], inputs).table()) for name, pin in outputs.items())
    except NetlistError as error:
        raise NetlistError(f"{where}: {error}") from None
    return LibraryCell(group.name, area, inputs, functions)


class _Function:
    """A Boolean expression over pins, as the integer of its truth table."""

    def __init__(self, text: str, inputs: tuple[str, ...]) -> None:
        self.text = text
        self.words = [match[1] or match[2] for match in _OPERATOR.finditer(text) if (match[1] or match[2]).strip()]
        self.at, self.depth = 0, 0
        self.full = (1 << (1 << len(inputs))) - 1
        rows = range(1 << len(inputs))
        self.values = {pin: sum(1 << i for i in rows if i >> k & 1) for k, pin in enumerate(inputs)}
        self.values |= {"0": 0, "1": self.full}

    def table(self) -> int:
        value = self._or()
        if self.at < len(self.words):
            raise self._wrong()
        return value

    def _wrong(self) -> NetlistError:
        got = repr(self.words[self.at]) if self.at < len(self.words) else "its end"
        return NetlistError(f"the function {self.text[:80]!r} does not parse at {got}; input pins: {list(self.values)}")

    def _next(self) -> str:
        return self.words[self.at] if self.at < len(self.words) else ""

    def _or(self) -> int:
        value = self._and()
        while self._next() in ("+", "|"):
            self.at += 1
            value |= self._and()
        return value

    def _and(self) -> int:
        value = self._xor()
        while self._next() not in ("", "+", "|", ")"):
            self.at += self._next() in ("*", "&")
            value &= self._xor()
        return value

    def _xor(self) -> int:
        value = self._inverse()
        while self._next() == "^":
            self.at += 1
            value ^= self._inverse()
        return value

    def _inverse(self) -> int:
        inverted = 0
        while self._next() == "!":
            self.at += 1
            inverted ^= self.full
        word = self._next()
        if word == "(" and self.depth < _MAX_DEPTH:
            self.at, self.depth = self.at + 1, self.depth + 1
            value = self._or()
            self.depth -= 1
            if self._next() != ")":
                raise self._wrong()
        elif word in self.values:
            value = self.values[word]
        else:
            raise self._wrong()
        self.at += 1
        while self._next() == "'":
            self.at += 1
            inverted ^= self.full
        return value ^ inverted
