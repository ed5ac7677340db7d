import numpy as np
import pytest

import multipliers
from multipliers import TableError
from multipliers.readers.tables import read_table

DESIGN = multipliers.get("mitchw4ux6s_w3c1")
A, B = DESIGN.a.values().tolist(), DESIGN.b.values().tolist()
PRODUCTS = DESIGN.table().tolist()


@pytest.mark.parametrize("separator", [",", ";", "\t", ", "])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("form", ["grid", "named", "triples"])
def test_forms(separator, end, form, tmp_path):
    if form == "grid":
        rows = PRODUCTS
    elif form == "named":
        rows = [['"a\\b"', *B], *([x, *row] for x, row in zip(A, PRODUCTS, strict=True))]
    else:
        rows = [["a", "b", "product"], *([x, y, PRODUCTS[i][j]] for j, y in enumerate(B) for i, x in enumerate(A))]
    text = end.join(separator.join(map(str, row)) for row in rows) + end
    (tmp_path / "t.csv").write_bytes(text.encode("utf-8-sig"))
    read = read_table(tmp_path / "t.csv", "csv")
    assert (read.multiplier.a, read.multiplier.b) == (DESIGN.a, DESIGN.b)
    assert read.multiplier.fingerprint() == DESIGN.fingerprint()


def test_values_of_the_operands_may_stand_in_any_order(tmp_path):
    order = [*B[32:], *B[:32]]
    rows = [["", *order], *([x, *(PRODUCTS[x][y + 32] for y in order)] for x in reversed(A))]
    (tmp_path / "t.csv").write_text("\n".join(",".join(map(str, row)) for row in rows))
    assert read_table(tmp_path / "t.csv").multiplier.fingerprint() == DESIGN.fingerprint()


def test_codes_are_found_or_given(tmp_path):
    codes = np.r_[0:8, -8:0]
    np.savetxt(tmp_path / "t.csv", np.multiply.outer(codes, codes), fmt="%d", delimiter=",")
    read = read_table(tmp_path / "t.csv")
    assert (read.layout.order, read.multiplier.fingerprint()) == ("codes", multipliers.get("exact4s").fingerprint())
    np.savetxt(tmp_path / "t.csv", np.zeros((16, 16)), fmt="%d", delimiter=",")
    with pytest.raises(TableError, match=r"several layouts fit.*Pass"):
        read_table(tmp_path / "t.csv", a="4s")
    assert read_table(tmp_path / "t.csv", a="4s", order="codes", strict=False).layout.order == "codes"


def test_trailing_separators(tmp_path):
    text = "\n".join(",".join(map(str, row)) + "," for row in PRODUCTS)
    (tmp_path / "t.csv").write_text(text)
    assert read_table(tmp_path / "t.csv").multiplier.fingerprint() == DESIGN.fingerprint()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0,0\n0,1,2\n", "line 2 has 3 cells, line 1 has 2"),
        ("0,0\n0,\n", "line 2 has an empty cell"),
        ("0,0\n0,x\n", "line 2: number 2 is 'x'"),
        ("0,0\n0,1 2\n", "several numbers in one"),
        ("0,0,0\n0,1,2\n", "powers of two"),
        ("0,0\n0,1.5\n", "is not a whole number"),
        ("0,0\n0,1e30\n", "does not fit int64"),
        ("a,b,f\n0,0,0\n0,1,0\n1,0,0\n", r"the pair a, b = 1, 1 is missing"),
        ("a,b,f\n", "no products"),
        ("x,0,1\n0,0,0\n0,0,1\n", "lines are missing"),
        ("x,0,1\n0,0,0\n1,0,1\n1,0,1\n", "given 2 times"),
        ("0 0\n0 1\n", "no commas"),
    ],
)
def test_what_is_refused(text, message, tmp_path):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(TableError, match=message):
        read_table(tmp_path / "t.csv", "csv")
