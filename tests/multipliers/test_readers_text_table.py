import numpy as np
import pytest

import multipliers
from multipliers import TableError
from multipliers.readers.tables import read_table
from multipliers.readers.text_table import read_gradient


@pytest.mark.parametrize("form", ["%d", "%.18e", "%.1f", "%+6d"])
@pytest.mark.parametrize("separator", [" ", "\t", "   ", "\n", " \r\n"])
def test_numbers_and_white_space(form, separator, tmp_path):
    table = multipliers.get("drum8s_k4").table()
    text = separator.join(form % value for value in table.ravel())
    (tmp_path / "t.txt").write_bytes(text.encode())
    read = read_table(tmp_path / "t.txt", "approxtorch")
    assert read.multiplier.fingerprint() == multipliers.get("drum8s_k4").fingerprint()


def test_byte_order_mark(tmp_path):
    (tmp_path / "t.txt").write_text("1 2\n3 4\n", encoding="utf-8-sig")
    assert read_table(tmp_path / "t.txt", a="1u", strict=False).multiplier.table().tolist() == [[1, 2], [3, 4]]


def test_lines_of_one_length_are_rows(tmp_path):
    np.savetxt(tmp_path / "t.txt", multipliers.get("exact5x3u").table(), fmt="%d")
    assert read_table(tmp_path / "t.txt").multiplier.b.label == "3u"
    flat = multipliers.get("exact5x3u").table().ravel()
    np.savetxt(tmp_path / "t.txt", flat, fmt="%d")
    assert read_table(tmp_path / "t.txt", a="5u", b="3u").multiplier.b.label == "3u"
    with pytest.raises(TableError, match=r"there are 256 numbers .*pass a= and b=.*read_gradient"):
        read_table(tmp_path / "t.txt")
    with pytest.raises(TableError, match="256 numbers, but 5u x 4u operands have 512"):
        read_table(tmp_path / "t.txt", a="5u", b="4u")


@pytest.mark.parametrize("count", [65535, 65537, 32768, 1])
def test_wrong_counts(count, tmp_path):
    (tmp_path / "t.txt").write_text("7\n" * count)
    with pytest.raises(TableError, match=f"there are {count} numbers"):
        read_table(tmp_path / "t.txt")


@pytest.mark.parametrize(
    ("token", "message"),
    [
        ("1_0", "is '1_0', which is no number"),
        ("0x1F", "is '0x1F'"),
        ("1,2", "no number"),
        ("nan", "not a number|nan"),
        ("0.5", "not a whole number"),
        ("--1", "'--1'"),
        ("9223372036854775808", "does not fit int64"),
        ("\u0663", "no number"),
    ],
)
def test_tokens_that_are_no_products(token, message, tmp_path):
    (tmp_path / "t.txt").write_text(f"0 0\n0 {token}\n", encoding="utf-8")
    with pytest.raises(TableError, match=message):
        read_table(tmp_path / "t.txt", "approxtorch", "1u")


@pytest.mark.parametrize("count", [256, 65536])
def test_gradient_tables(count, tmp_path):
    values = np.random.default_rng(2).normal(size=count)
    np.savetxt(tmp_path / "g.txt", values)
    read = read_gradient(tmp_path / "g.txt")
    assert read.shape == ((256,) if count == 256 else (256, 256))
    np.testing.assert_array_equal(read.ravel(), values)
    with pytest.raises(TableError):
        read_table(tmp_path / "g.txt")


@pytest.mark.parametrize("text", ["", "1 2 3", "nan " * 256, "x " * 256, "1e999 " * 256])
def test_what_is_no_gradient_table(text, tmp_path):
    (tmp_path / "g.txt").write_text(text)
    with pytest.raises(TableError, match=r"g\.txt"):
        read_gradient(tmp_path / "g.txt")


def test_tables_of_unsigned_operands_fit_two_formats_that_agree(tmp_path):
    np.savetxt(tmp_path / "t.txt", multipliers.get("drum8u_k3").table(), fmt="%d")
    for format in (None, "approxtorch", "approxflow"):
        read = read_table(tmp_path / "t.txt", format)
        assert (read.format, read.multiplier.a.label) == (format or "approxtorch", "8u")
    np.savetxt(tmp_path / "t.txt", multipliers.get("drum8s_k3").table(), fmt="%d")
    with pytest.raises(TableError, match="the table is not 8u x 8u"):
        read_table(tmp_path / "t.txt", "approxflow")
