import numpy as np
import pytest

import multipliers
from multipliers import ParameterError, TableError, TableMultiplier
from multipliers.readers.tables import read_table
from multipliers.writers.tram import write_tram

LOG = "ABC command line: read circuit.blif\nABC 1.01, 2024; 3 4 5\nelapse: 0.02 s\n\n"


def example(formats=("3u", "4u")):
    a, b = (multipliers.OperandFormat.parse(x) for x in formats)
    rng = np.random.default_rng(8)
    table = TableMultiplier(rng.integers(1, 100, (a.size, b.size)), a, b)
    gradients = {operand: rng.integers(-200, 200, (a.size, b.size)) / 16 for operand in "ab"}
    return table, gradients


@pytest.mark.parametrize("formats", [("3u", "4u"), ("4s", "2u"), ("6u", "6u")])
@pytest.mark.parametrize("transposed", [False, True])
def test_table_and_gradients_after_log_lines(formats, transposed, tmp_path):
    table, gradients = example(formats)
    path = write_tram(table, tmp_path / "t.txt", gradients)
    path.write_text(LOG + path.read_text())
    read = read_table(path, transposed=transposed, strict=False)
    assert read.format == "tram"
    if transposed:
        assert (read.multiplier.a, read.multiplier.b) == (table.b, table.a)
        np.testing.assert_array_equal(read.multiplier.table(), table.table().T)
        np.testing.assert_array_equal(read.gradients["a"], gradients["b"].T)
    else:
        assert read.multiplier == table
        for operand in "ab":
            np.testing.assert_array_equal(read.gradients[operand], gradients[operand])


def test_lines_in_any_order(tmp_path):
    table, _ = example()
    lines = write_tram(table, tmp_path / "t.txt").read_text().splitlines()
    assert lines[:2] == ["LUT for approximate multiplier:", f"0 0 {table.table()[0, 0]}"]
    (tmp_path / "t.txt").write_text("\n".join([lines[0], *lines[:0:-1]]))
    assert read_table(tmp_path / "t.txt").multiplier == table


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda lines: lines[:-1], r"the pair a, b = 7, 15 is missing"),
        (lambda lines: lines[:-16], r"runs from 0 to 6, but a 3u operand takes 0 to 7: lines are missing"),
        (lambda lines: [*lines, "0 0 1"], r"the pair a, b = 0, 0 is given 2 times"),
        (lambda lines: [*lines, "done"], r"line 130 is 'done'; 'a b value' is expected"),
        (lambda lines: [*lines, "1 2"], "line 130"),
        (lambda lines: [*lines, lines[0]], "repeats"),
        (lambda lines: lines[:1], "the section of the table is empty"),
        (lambda lines: lines[1:], "there is no line"),
        (lambda lines: [*lines, "9999999 0 1"], "lines are missing"),
        (lambda lines: [*lines, "99999999 0 1"], "at most 24 bits"),
    ],
)
def test_damaged_sections(change, message, tmp_path):
    lines = write_tram(example()[0], tmp_path / "t.txt").read_text().splitlines()
    (tmp_path / "t.txt").write_text("\n".join(change(lines)))
    with pytest.raises(TableError, match=message):
        read_table(tmp_path / "t.txt", "tram")


def test_gradients_that_do_not_belong(tmp_path):
    table, gradients = example()
    with pytest.raises(ParameterError, match="'a' or 'b', not 'c'"):
        write_tram(table, tmp_path / "t", {"c": gradients["a"]})
    with pytest.raises(TableError, match="shape"):
        write_tram(table, tmp_path / "t", {"a": gradients["a"].T})
    with pytest.raises(TableError, match="finite"):
        write_tram(table, tmp_path / "t", {"a": gradients["a"] * np.nan})
    with pytest.raises(TableError, match="int16"):
        write_tram(table, tmp_path / "t", {"a": gradients["a"] + 1e300})
    assert not list(tmp_path.iterdir())
    other = write_tram(example(("4u", "4u"))[0], tmp_path / "o", {"a": np.ones((16, 16))}).read_text()
    text = write_tram(table, tmp_path / "t").read_text() + other[other.index("LUT for the gradient") :]
    (tmp_path / "t").write_text(text)
    with pytest.raises(TableError, match="gradient with respect to a has 4u x 4u operands"):
        read_table(tmp_path / "t")
    for value in ("32768", "-9223372036854775808"):
        own = write_tram(table, tmp_path / "t", {"b": np.ones((8, 16))}).read_text()
        (tmp_path / "t").write_text(own[: own.rindex(" ")] + f" {value}\n")
        with pytest.raises(TableError, match="values that do not fit int16"):
            read_table(tmp_path / "t")
