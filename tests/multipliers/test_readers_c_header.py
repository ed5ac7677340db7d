import shutil
import subprocess

import numpy as np
import pytest

import multipliers
from multipliers import TableError, TableMultiplier
from multipliers.readers.tables import read_table
from multipliers.writers.c_header import write_adapt, write_transaxx

CODES = np.r_[0:128, -128:0]


def noise():
    table = np.random.default_rng(4).integers(-32768, 32768, (256, 256))
    table[128, 128] = 9
    return TableMultiplier(table, "8s")


def test_texts(tmp_path):
    tiny = TableMultiplier([[4, -2], [-2, 0]], "1s")  # values -1, 0
    assert write_adapt(tiny, tmp_path / "t.h").read_text() == (
        "#include <stdint.h>\n\nconst int16_t lut [2][2] = {{0,-2},\n{-2,4}};\n"
    )
    assert write_transaxx(tiny, tmp_path / "t.h").read_text() == (
        "#ifndef LUT_H\n#define LUT_H\n\nconst __device__ short lut[2][2] = {{0,-2},\n{-2,4}};\n\n#endif\n"
    )


@pytest.mark.skipif(shutil.which("gcc") is None, reason="no C compiler")
@pytest.mark.parametrize("write", [write_adapt, write_transaxx])
def test_a_compiler_reads_the_same_table(write, tmp_path):
    """Indexed by the operands cast to uint8, as the tools do."""
    multiplier = noise()
    write(multiplier, tmp_path / "lut.h")
    (tmp_path / "t.c").write_text(
        '#define __device__\n#include <stdint.h>\n#include <stdio.h>\n#include "lut.h"\nint main(void) {\n'
        "for (int a = -128; a < 128; a++) for (int b = -128; b < 128; b++)\n"
        'printf("%d\\n", lut[(uint8_t)a][(uint8_t)b]); return 0; }\n'
    )
    subprocess.run(["gcc", "t.c", "-o", "t"], cwd=tmp_path, check=True)
    printed = subprocess.run([str(tmp_path / "t")], check=True, capture_output=True, text=True).stdout
    np.testing.assert_array_equal(np.array(printed.split(), int).reshape(256, 256), multiplier.table())


def test_spacing_comments_and_trailing_commas(tmp_path):
    rows = ",\n  ".join("{ " + " , ".join(map(str, row)) + ", }" for row in np.multiply.outer(CODES, CODES))
    (tmp_path / "t.h").write_text(
        f"/* int16_t lut[1][1] = {{1}}; */\n// a table\n#pragma once\n"
        f"static const int16_t  lut[ 256 ] [256]=\n{{{rows},\n}} ;\n"
    )
    read = read_table(tmp_path / "t.h")
    assert (read.format, read.multiplier.fingerprint()) == ("adapt", multipliers.get("exact8s").fingerprint())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("short lut[2][2] = {{0, 1}, {2, 40000}};", r"\[1, 1\] = 40000 does not fit the declared type short"),
        ("int8_t lut[2][2] = {{0, 1}, {2, 200}};", "does not fit the declared type int8_t"),
        ("unsigned short lut[2][2] = {{0, 1}, {2, -1}};", "does not fit the declared type unsigned short"),
        ("short lut[2][2] = {{0, 1}};", "1 rows in braces, but is declared"),
        ("short lut[2][2] = {{0, 1}, {2}};", "row 1 of the array has 1 numbers"),
        ("short lut[2][2] = {{0, 1}, {2, }};", "row 1 of the array has 1 numbers"),
        ("short lut[2][2] = {{0, 1}, {2, x}};", "'x', which is no number"),
        ("short lut[2][2] = {{0, 1}, {2, 1.5}};", "not a whole number"),
        ("short lut[2][2] = {{0, 1}, {2, 3}}", "truncated"),
        ("short lut[2][2] = {{0, 1}, {2, 3};", "not made of rows"),
        ("short lut[2][2] = {0, 1, 2, 3};", "not made of rows"),
        ("short lut[3][2] = {{0, 1}, {2, 3}, {4, 5}};", "powers of two"),
        ("short lut[16384][16384] = {{0, 1}, {2, 3}};", "at most 2"),
        ("short u[2][2] = {{0, 1}, {2, 3}}; short v[2][2] = {{0, 1}, {2, 3}};", "2 two-dimensional arrays"),
        ("short lut[4] = {0, 1, 2, 3};", "0 two-dimensional arrays"),
    ],
)
def test_headers_that_are_refused(text, message, tmp_path):
    (tmp_path / "t.h").write_text(text)
    with pytest.raises(TableError, match=message):
        read_table(tmp_path / "t.h", "adapt")


def test_unsigned_operands_are_not_written(tmp_path):
    with pytest.raises(TableError, match="AdaPT headers hold signed operands; choose another format"):
        write_adapt(multipliers.get("exact8u"), tmp_path / "t.h")
