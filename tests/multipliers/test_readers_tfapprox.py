import numpy as np
import pytest

import multipliers
from multipliers import TableError, TableMultiplier
from multipliers.readers.tables import read_table
from multipliers.writers.tfapprox import write_tfapprox


def test_bytes_are_those_of_the_definition(tmp_path):
    """Index a*256 + b, uint16, little-endian."""
    table = np.random.default_rng(0).integers(0, 1 << 16, (256, 256))
    data = write_tfapprox(TableMultiplier(table, "8u"), tmp_path / "t.bin").read_bytes()
    assert len(data) == 131072
    for a, b in ((0, 0), (3, 250), (250, 3), (255, 255)):
        at = 2 * (a * 256 + b)
        assert data[at] + 256 * data[at + 1] == table[a, b]


def test_signed_products_are_stored_plus_32768(tmp_path):
    path = write_tfapprox(multipliers.get("exact8s"), tmp_path / "t.bin")
    stored = np.fromfile(path, "<u2").reshape(256, 256)
    assert stored[0, 255] == -128 * 127 + 32768
    read = read_table(path)
    assert (str(read.layout), read.multiplier.a.label) == ("8s x 8s in natural order (-128 .. 127) plus 2**15", "8s")


@pytest.mark.parametrize("size", [131071, 131073, 65536, 262144])
def test_other_sizes(size, tmp_path):
    (tmp_path / "t.bin").write_bytes(b"\0" * size)
    with pytest.raises(TableError, match=f"131072 bytes .*this file has {size}"):
        read_table(tmp_path / "t.bin", "tfapprox")


def test_a_text_of_the_same_size_is_text(tmp_path):
    text = b" ".join(b"%d" % (i % 10) for i in range(65536))
    (tmp_path / "t.bin").write_bytes(text.ljust(131072))
    assert read_table(tmp_path / "t.bin", a="8u", strict=False).format == "approxtorch"
