import pickle

import numpy as np
import pytest

from multipliers import ParameterError, TableError
from multipliers.readers.mantissa import MantissaTable, read_mantissa
from multipliers.readers.tables import read_table
from multipliers.writers.mantissa import write_mantissa


def noise(n_bits):
    rng = np.random.default_rng(n_bits)
    codes = rng.integers(0, 1 << n_bits, (1 << n_bits, 1 << n_bits)) | (rng.integers(0, 2, (1 << n_bits,) * 2) << 7)
    codes[0, 0] = 1
    return MantissaTable(codes, f"noise_{n_bits}")


@pytest.mark.parametrize("n_bits", range(1, 8))
def test_round_trip(n_bits, tmp_path):
    table = noise(n_bits)
    path = write_mantissa(table, tmp_path / f"noise_{n_bits}.bin")
    assert path.stat().st_size == 4**n_bits
    read = read_mantissa(path)
    assert (read, read.name, read.n_bits) == (table, f"noise_{n_bits}", n_bits)
    i, j = 1, (1 << n_bits) - 1
    assert path.read_bytes()[(i << n_bits) + j] == table.mantissa[i, j] + 128 * table.carry[i, j]
    assert read_mantissa(path.rename(tmp_path / "other.bin")) == table
    assert pickle.loads(pickle.dumps(read)) == read  # noqa: S301 - bytes of our own
    assert not read.codes.flags.writeable


@pytest.mark.parametrize("n_bits", range(1, 8))
def test_exact_products_are_truncated(n_bits):
    one = 1 << n_bits
    for i in range(one):
        for j in range(one):
            product = (one + i) * (one + j)
            shift = product.bit_length() - n_bits - 1
            code = (product >> shift) - one + (128 if shift > n_bits else 0)
            assert MantissaTable.exact(n_bits).codes[i, j] == code
    x = 1 + np.arange(one) / one
    products = MantissaTable.exact(n_bits).products()
    assert ((products <= np.multiply.outer(x, x)) & (products >= 1)).all()


def test_sizes_and_names_must_agree(tmp_path):
    data = MantissaTable.exact(3).content
    for name, content, message in [
        ("MBM_4.bin", data, "64 bytes; a table of 4-bit mantissas has 256"),
        ("MBM_3.bin", data[:-1], "63 bytes"),
        ("MBM_3.bin", b"\0".join(data[i : i + 1] for i in range(64)) + b"\0" * 129, "four times as much"),
        ("MBM_9.bin", data, "1 to 7 bits"),
        ("MBM.bin", b"", "1 to 7"),
        ("MBM.bin", data + b"\0", "65 bytes"),
    ]:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(TableError, match=message):
            read_mantissa(tmp_path / name)


def test_known_faults_are_refused(tmp_path):
    """A generator is known whose mantissas were all 0, so that every multiplier gave one result."""
    path = tmp_path / "MBM_3.bin"
    path.write_bytes((MantissaTable.exact(3).codes & 0x80).tobytes())
    with pytest.raises(TableError, match="the mantissa of every product is 0"):
        read_mantissa(path)
    path.write_bytes(b"\x01" * 64)
    with pytest.raises(TableError, match="every product is the same"):
        read_mantissa(path)
    constant = tmp_path / "MBM_1.bin"
    constant.write_bytes(b"\x80" * 4)
    assert read_mantissa(constant).products().tolist() == [[2, 2], [2, 2]]  # as published
    path.write_bytes(b"\x10" * 64)
    with pytest.raises(TableError, match=r"\[0, 0\] = 0x10 is more than a carry"):
        read_mantissa(path)


def test_it_is_no_table_of_integer_products(tmp_path):
    path = write_mantissa(noise(4), tmp_path / "noise_4.bin")
    with pytest.raises(TableError):
        read_table(path)


@pytest.mark.parametrize(
    "codes", [np.zeros((3, 3), int), np.zeros(4, int), np.zeros((256, 256), int), np.zeros((2, 2))]
)
def test_arrays_that_are_no_table(codes):
    with pytest.raises(TableError):
        MantissaTable(codes)
    with pytest.raises(ParameterError):
        MantissaTable.exact(8)
