"""Tables that were damaged, cut or mixed up on their way: each is refused with what is wrong, and where."""

import numpy as np
import pytest

import multipliers
from multipliers import TableError, TableMultiplier
from multipliers.readers.tables import read_table
from multipliers.writers.tables import write_table

DESIGN = multipliers.get("exact4u")
ROWS = DESIGN.table().tolist()


def text(separator):
    return "\n".join(separator.join(map(str, row)) for row in ROWS) + "\n"


def with_line(separator, number, change):
    """Change one line of a table, counted from 1."""
    lines = text(separator).splitlines()
    lines[number - 1] = change(lines[number - 1])
    return "\n".join(lines)


def refused(tmp_path, content, **how):
    path = tmp_path / "table"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(TableError) as caught:
        read_table(path, **how)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert len(message.splitlines()) == 1
    return message.removeprefix(str(path)).removeprefix(": ")


@pytest.mark.parametrize("content", [b"", b" \n\t\n", "\ufeff"])
def test_empty(content, tmp_path):
    for format in (None, "csv", "tfapprox", "tram"):
        assert refused(tmp_path, content, format=format) == "the file is empty"


def test_binary_and_other_encodings(tmp_path):
    assert "b'\\x00\\x01" in refused(tmp_path, bytes(range(256)) * 9)
    assert refused(tmp_path, text(",").encode("utf-16")) == "the file is UTF-16 text; save it as UTF-8"
    assert "byte 3 is no UTF-8 text" in refused(tmp_path, b"1,2\xff\n3,4\n", format="csv")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (with_line(",", 4, lambda line: line.replace(",", ";")), "line 4 has ';', line 1 has ','"),
        (with_line(",", 1, lambda line: line.replace(",", ";")), "line 2 has ',', line 1 has ';'"),
        (with_line(",", 4, lambda line: line.replace(",", ";", 1)), "line 4 has both ',' and ';'"),
        (with_line("\t", 9, lambda line: line.replace("\t", ",", 1)), "line 9 has both ',' and '\\t'"),
        (with_line(",", 7, lambda line: line.replace(",", " ")), "line 7 has no separator, line 1 has ','"),
        ("\n".join(";".join(f"{v},0" for v in row) for row in ROWS), "numbers no decimal comma"),
        ("\n".join("\t".join(f"{v},0" for v in row) for row in ROWS), "line 1 has both ',' and '\\t'"),
        ("\n".join(" ".join(f"{v},0" for v in row) for row in ROWS), "line 1 has an empty cell, or several numbers"),
        ("\n\n" + with_line(",", 4, lambda line: line + ",7"), "line 6 has 17 cells, line 3 has 16"),
        ("\n".join(line + "\n" for line in with_line(",", 4, lambda line: "x" + line[1:]).splitlines()),
         "line 7: number 1 is 'x', which is no number"),
    ],
)  # fmt: skip
def test_odd_separators(content, message, tmp_path):
    assert message in refused(tmp_path, content, format="csv")


@pytest.mark.parametrize("word", ["nan", "inf", "-inf", "6.5", "1e400", "99999999999999999999", "x"])
@pytest.mark.parametrize("separator", [",", " "])
def test_numbers_that_are_none_of_a_product(word, separator, tmp_path):
    lines = text(separator).splitlines()
    cells = lines[3].split(separator)
    lines[3] = separator.join([*cells[:2], word, *cells[3:]])
    format = "csv" if separator == "," else "approxflow"
    message = refused(tmp_path, "\n".join(lines), format=format, a="4u")
    place = "line 4: number 3" if separator == "," else "number 51 (line 4)"
    assert f"{place} is '{word}'" in message
    if word == "x":
        assert "no number" in message
    elif word.isdecimal():
        assert "does not fit int64" in message
    else:
        assert "is not a whole number" in message


def test_whole_numbers_written_as_floats_are_read(tmp_path):
    np.savetxt(tmp_path / "table", DESIGN.table())
    assert read_table(tmp_path / "table").multiplier.fingerprint() == DESIGN.fingerprint()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (text(" ")[:-8], "there are 254 numbers"),
        ("\n".join(text(" ").splitlines()[:-1]), "shape (15, 16)"),
        ("\n".join(text(",").splitlines()[:-1]), "shape (15, 16)"),
        (text(",")[:-8], "line 16 has 15 cells, line 1 has 16; is the file truncated?"),
        (text(" ").replace("\n", " "), "there are 256 numbers without lines of one length"),
    ],
)
def test_wrong_lengths_of_text(content, message, tmp_path):
    assert message in refused(tmp_path, content)


@pytest.mark.parametrize("change", [-1, 1, -65536, 65536])
def test_wrong_lengths_of_binary_tables(change, tmp_path):
    content = write_table(multipliers.get("exact8u"), tmp_path / "t", "tfapprox").read_bytes()
    content = content[:change] if change < 0 else content + bytes(change)
    assert f"({131072 + change} bytes" in refused(tmp_path, content)
    assert f"has 131072 bytes (256 x 256 uint16), this file has {131072 + change}" in refused(
        tmp_path, content, format="tfapprox"
    )


@pytest.mark.parametrize("format", ["npy", "npz"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_cut_arrays(format, share, tmp_path):
    content = write_table(DESIGN, tmp_path / "t", format).read_bytes()
    message = refused(tmp_path, content[: int(share * len(content))])
    assert "truncated" in message


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.full((4, 4), np.nan), "table entry [0, 0] = nan is not a number"),
        (np.diag([0.0, 1, 2.5, 3]), "table entry [2, 2] = 2.5 is not a whole number (1 such entries)"),
        (np.ones((3, 4)), "powers of two"),
        (np.ones(16), "two dimensions"),
        (np.array([["a", "b"]]), "must hold integers"),
        (np.ones((2, 2), complex), "must hold integers"),
    ],
)
def test_arrays_that_are_no_tables(array, message, tmp_path):
    np.save(tmp_path / "array.npy", array)
    assert message in refused(tmp_path, (tmp_path / "array.npy").read_bytes(), a="2u")


@pytest.mark.parametrize("format", ["csv", "tram", "npy"])
def test_values_out_of_range(format, tmp_path):
    table = DESIGN.table().copy()
    table[3, 5] = 3000
    path = write_table(TableMultiplier(table, "4u"), tmp_path / "t", format)
    with pytest.raises(TableError, match=r"1 of 256 products are outside \[0, 255\].*f\(3, 5\) = 3000"):
        read_table(path, a="4u")
    lax = read_table(path, a="4u", strict=False)
    assert lax.multiplier(3, 5) == 3000
    table[3, 5] = 300  # an approximate product may overshoot its field by less than a bit
    path = write_table(TableMultiplier(table, "4u"), tmp_path / "t", format)
    found = read_table(path, a="4u")
    assert [f.code for f in found.lint.warnings] == ["range"]
    assert "f(3, 5) = 300" in str(found.lint.warnings[0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda lines: [*lines[:9], lines[8], *lines[9:]], "the pair a, b = 0, 7 is given 2 times in the table"),
        (lambda lines: [*lines[:9], *lines[10:]], "the pair a, b = 0, 8 is missing in the table"),
        (lambda lines: [*lines[:9], "0 8 0.5", *lines[10:]], "line 10 is '0 8 0.5'; 'a b value' is expected"),
        (lambda lines: [*lines[:9], "0 8 nan", *lines[10:]], "line 10 is '0 8 nan'"),
        (lambda lines: [*lines[:9], "0,8,0", *lines[10:]], "line 10 is '0,8,0'"),
        (lambda lines: [*lines[:9], "0 8", *lines[10:]], "line 10 is '0 8'"),
        (lambda lines: [*lines[:9], "0 99 0", *lines[10:]], "operand b of the table runs from 0 to 99"),
        (lambda lines: lines[:-1], "the pair a, b = 15, 15 is missing"),
        (lambda lines: lines[:100], "lines are missing"),
    ],
)
def test_index_lines(change, message, tmp_path):
    lines = write_table(DESIGN, tmp_path / "t", "tram").read_text().splitlines()
    assert message in refused(tmp_path, "\n".join(change(lines)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content[:-30], "does not end with '};': the header is truncated"),
        (lambda content: content.replace("12,", "12.5,", 1), "row 2: number 7 is '12.5', which is not a whole number"),
        (lambda content: content.replace("12,", "", 1), "row 2 of the array has 15 numbers, but 16 are declared"),
        (lambda content: content.replace("[16][16]", "[16][15]"), "powers of two"),
        (lambda content: content.replace("12,", "70000,", 1), "= 70000 does not fit the declared type"),
        (lambda content: content.replace("12,", "12;", 1), "does not end with '};'"),
    ],
)
def test_headers(change, message, tmp_path):
    content = write_table(multipliers.get("exact4s"), tmp_path / "t", "adapt").read_text()
    assert message in refused(tmp_path, change(content), format="adapt")
