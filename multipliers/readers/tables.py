"""One door for tables of other tools: recognise the format, find the layout, and say what is suspicious."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple, NoReturn, get_args

import numpy as np
from numpy.typing import NDArray

from multipliers.errors import ParameterError, TableError, UnknownNameError
from multipliers.lint import Lint, clearly_best, lint_table, rank_layouts
from multipliers.operands import OperandFormat
from multipliers.readers import c_header, csv_table, text_table, tfapprox, tram
from multipliers.readers.arrays import read_array, read_npy
from multipliers.readers.foreign import ForeignTable, read_bytes
from multipliers.readers.layout import Layout, Order, ResultCode, check_choice, layouts
from multipliers.table import TableMultiplier, integer_table

Formats = OperandFormat | None


class TableFormat(NamedTuple):
    """A format of table files: whether bytes look like it, and how they are read."""

    recognise: Callable[[bytes], bool]
    parse: Callable[[bytes, Formats, Formats], ForeignTable]


@dataclass(frozen=True)
class TableFile:
    """What `read_table` found in a file.

    Attributes
    ----------
    multiplier : TableMultiplier
    format : str
        Name of the format, a key of `FORMATS` or ``"npz"``.
    layout : Layout
        How the file has the table.
    lint : Lint
        What is worth knowing about it; ``lint.ok`` if nothing is suspicious.
    gradients : mapping of str to ndarray
        Gradients with respect to ``"a"`` and ``"b"`` (row = ``a``, natural order), where the file has them.
    """

    multiplier: TableMultiplier
    format: str
    layout: Layout
    lint: Lint = field(repr=False)
    gradients: Mapping[str, NDArray[np.float64]] = field(default_factory=dict, repr=False, hash=False, compare=False)


def _is_npy(data: bytes) -> bool:
    return data.startswith(b"\x93NUMPY")


def _parse_npy(data: bytes, a: Formats, b: Formats) -> ForeignTable:
    """Row = first operand, natural order of the values."""
    array = integer_table(read_npy(io.BytesIO(data), "the array"))
    return ForeignTable(array, tuple(layouts((array.shape[0], array.shape[1]), ("natural",))))


def _parse_torchapprox(data: bytes, a: Formats, b: Formats) -> ForeignTable:
    """Row = first operand, both signed, in the order of two's-complement codes."""
    array = integer_table(read_npy(io.BytesIO(data), "the array"))
    found = layouts((array.shape[0], array.shape[1]), ("codes",))
    return ForeignTable(array, tuple(x for x in found if x.a.signed and x.b.signed))


FORMATS: Mapping[str, TableFormat] = {
    "tfapprox": TableFormat(tfapprox.recognise, tfapprox.parse),
    "adapt": TableFormat(lambda data: c_header.recognise(data, device=False), c_header.parse),
    "transaxx": TableFormat(lambda data: c_header.recognise(data, device=True), c_header.parse),
    "approxtorch": TableFormat(text_table.recognise, text_table.parse_approxtorch),
    "tram": TableFormat(tram.recognise, tram.parse),
    "approxflow": TableFormat(text_table.recognise, text_table.parse_approxflow),
    "torchapprox": TableFormat(_is_npy, _parse_torchapprox),
    "npy": TableFormat(_is_npy, _parse_npy),
    "csv": TableFormat(csv_table.recognise, csv_table.parse),
}
"""Formats by name, each described in its reader; ``"npz"`` is read as well (`multipliers.readers.arrays`)."""


def read_table(
    path: str | Path,
    format: str | None = None,
    a: OperandFormat | str | None = None,
    b: OperandFormat | str | None = None,
    *,
    order: Order | None = None,
    result: ResultCode | None = None,
    transposed: bool = False,
    name: str | None = None,
    known: Mapping[str, str] | None = None,
    strict: bool = True,
) -> TableFile:
    """Read a table of products in any format of `FORMATS`, or ``.npz``.

    Where the format or the layout is not given, it is found from the content: the layouts that the possible formats
    allow are compared with exact products, and the nearest is taken only if it is clearly so
    (`multipliers.lint.clearly_best`).

    Parameters
    ----------
    path : str or Path
        The file; its content, not its suffix, says what it is.
    format : str, optional
        Name of the format, for a file that several formats could have written, or a check of what it should be.
    a, b : OperandFormat or str, optional
        Formats of the operands, such as ``"8s"``; ``b`` defaults to ``a``.
    order : {"natural", "codes"}, optional
        Order of signed operands' values, where the format leaves it open; see `multipliers.readers.layout.Layout`.
    result : {"plain", "offset", "wrapped"}, optional
        Coding of the products other than the format's own: ``"wrapped"`` recovers products that overflowed their field.
    transposed : bool
        The file has rows of ``b`` and columns of ``a``.
    name : str, optional
        Label of the multiplier; by default the file name without suffix.
    known : mapping of str to str, optional
        Fingerprint to name of known circuits, for the lint.
    strict : bool
        Refuse a table in which the lint finds an error; else it is returned with the finding.

    Returns
    -------
    TableFile
        With the multiplier, the format and layout, and what the lint found.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    UnknownNameError
        If ``format`` is none.
    TableError
        If no format fits the content; formats or layouts fit and differ, and none is clearly best (the message lists
        them); the file is truncated, corrupt or larger than 2**24 entries; or, if ``strict``, the lint finds an error.
    ParameterError
        If ``b`` is given without ``a``, or a parameter is not one of its values.
    """
    path = Path(path)
    if format is not None and format not in FORMATS and format != "npz":
        raise UnknownNameError.of("table format", format, [*FORMATS, "npz"])
    if a is None and b is not None:
        raise ParameterError(f"operand format b={b!s} is given without a; give both, or neither to find them")
    for parameter, value, choices in (("order", order, Order), ("result", result, ResultCode)):
        if value is not None:
            check_choice(parameter, value, get_args(choices))
    first = OperandFormat.parse(a) if isinstance(a, str) else a
    second = first if b is None else OperandFormat.parse(b) if isinstance(b, str) else b
    data = read_bytes(path)
    if not data.removeprefix(b"\xef\xbb\xbf").strip():
        raise TableError(f"{path}: the file is empty")
    label = name or path.stem
    try:
        if data[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
            return _from_npz(path, format, first, second, name, known, strict)
        parsed = _parse(data, format, (second, first) if transposed else (first, second))
        choices_ = _choices(parsed, first, second, order, result, transposed)
        chosen, layout = _decide(parsed, choices_)
        table = parsed[chosen]
        lint = lint_table(table.array, layout=layout, known=known, name=name)
        _refuse_errors(lint, strict)
        multiplier = TableMultiplier(layout.decode(table.array), layout.a, layout.b, name=label)
        gradients = {("ab"[k == "a"] if transposed else k): v for k, v in table.gradients.items()}
        if transposed:
            gradients = {k: np.ascontiguousarray(v.T) for k, v in gradients.items()}
        return TableFile(multiplier, chosen, layout, lint, gradients)
    except TableError as error:
        text = str(error)
        raise TableError(text if text.startswith(str(path)) else f"{path}: {text}") from None


def _from_npz(
    path: Path,
    format: str | None,
    a: Formats,
    b: Formats,
    name: str | None,
    known: Mapping[str, str] | None,
    strict: bool,
) -> TableFile:
    if format not in (None, "npz"):
        raise TableError(f"this is an .npz file, not {format}")
    multiplier = read_array(path, a, b, name=name)
    layout = Layout(multiplier.a, multiplier.b)
    lint = lint_table(multiplier.table(), layout=layout, known=known, name=multiplier.name)
    _refuse_errors(lint, strict)
    return TableFile(multiplier, "npz", layout, lint)


def _parse(data: bytes, format: str | None, formats: tuple[Formats, Formats]) -> dict[str, ForeignTable]:
    """Read by the format that is given, or by each that recognises the content."""
    if format is not None:
        if format == "npz":
            raise TableError("this is no .npz file")
        return {format: FORMATS[format].parse(data, *formats)}
    names = [known for known, entry in FORMATS.items() if entry.recognise(data)]
    if not names:
        _refuse_unrecognised(data)
    parsed, errors = {}, []
    for known in names:
        try:
            parsed[known] = FORMATS[known].parse(data, *formats)
        except TableError as error:
            errors.append(error)
    if not parsed:
        raise errors[0]
    first, *others = parsed.values()
    if any(not np.array_equal(first.array, other.array) for other in others):
        raise TableError(f"the formats {', '.join(parsed)} fit, and read the file differently; pass format=")
    return parsed


def _refuse_unrecognised(data: bytes) -> NoReturn:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise TableError("the file is UTF-16 text; save it as UTF-8")
    raise TableError(
        f"no format of tables is recognised ({len(data)} bytes, beginning with {data[:24]!r}); known are "
        f"{', '.join(FORMATS)} and npz. Is it truncated? Pass format= to see where it departs from one"
    )


def _choices(
    parsed: Mapping[str, ForeignTable],
    a: Formats,
    b: Formats,
    order: Order | None,
    result: ResultCode | None,
    transposed: bool,
) -> list[tuple[str, Layout]]:
    """Layouts that the formats and the caller allow, each with the first format that has it."""
    allowed: dict[Layout, str] = {}
    for known, table in parsed.items():
        for layout in table.layouts:
            if result is not None:
                layout = replace(layout, result=result)
            if transposed:
                layout = replace(layout, a=layout.b, b=layout.a, transposed=True)
            allowed.setdefault(layout, known)
    kept = [
        (known, layout)
        for layout, known in allowed.items()
        if (a is None or layout.a == a)
        and (b is None or layout.b == b)
        and (order is None or layout.order == order or not layout.signed)
    ]
    if not kept:
        has = "; ".join(f"{known}: {layout}" for layout, known in allowed.items())
        wanted = f"{a or 'any'} x {b or 'any'} operands" + (f" in {order} order" if order else "")
        raise TableError(f"the file cannot hold {wanted}; it could be {has}")
    return kept


def _decide(parsed: Mapping[str, ForeignTable], choices: list[tuple[str, Layout]]) -> tuple[str, Layout]:
    if len(choices) == 1:
        return choices[0]
    formats = {layout: known for known, layout in choices}
    array = parsed[choices[0][0]].array
    ranked = rank_layouts(array, formats)
    best = clearly_best(ranked)
    if best is None:
        listed = "; ".join(f"{formats[c.layout]}, {c}" for c in ranked)
        nearest = ranked[0].layout
        raise TableError(
            f"several layouts fit and none is clearly nearest to exact products (values run from {array.min()} to "
            f"{array.max()}): {listed}. Pass format=, a=, b= and "
            f"order= to choose one, such as format={formats[nearest]!r}, a='{nearest.a}', b='{nearest.b}'"
        )
    return formats[best.layout], best.layout


def _refuse_errors(lint: Lint, strict: bool) -> None:
    if strict and lint.errors:
        found = "; ".join(f.message for f in lint.errors)
        raise TableError(f"{found} (strict=False reads it nevertheless)")
