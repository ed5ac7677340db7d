"""Files of every kind become the same multiplier in one call, and from the command line."""

import json
import shutil

import numpy as np
import pytest
from typer.testing import CliRunner

from catalog import resolve
from catalog.cli.app import app
from catalog.resolve import READERS
from multipliers import UnknownNameError, get
from multipliers.errors import NetlistError
from multipliers.readers.c_run import SourceError
from multipliers.readers.verilog import find_yosys

UDM = get("udm2u")  # 3 * 3 = 7
TABLE = UDM.table()

BLIF = """
.model udm
.inputs A[1] A[0] B[1] B[0]
.outputs O[2] O[1] O[0]
.names A[1] B[1] O[2]
11 1
.names A[0] B[0] O[0]
11 1
.names A[1] B[0] A[0] B[1] O[1]
11-- 1
--11 1
.end
"""

VERILOG = """
module udm(input [1:0] A, input [1:0] B, output [2:0] O);
  assign O = {A[1] & B[1], (A[1] & B[0]) | (A[0] & B[1]), A[0] & B[0]};
endmodule
"""

AIGER = """aag 9 4 0 3 5
2
4
6
8
10
17
18
10 2 6
12 4 6
14 2 8
16 13 15
18 4 8
"""

C_SOURCE = """
#include <stdint.h>
uint8_t mul2u_UDM(uint8_t B, uint8_t A)
{
    return (A & B & 1) | ((((A >> 1) & B) | (A & (B >> 1))) & 1) << 1 | ((A & B) >> 1) << 2;
}
"""


def has_yosys():
    try:
        return bool(find_yosys())
    except Exception:
        return False


def written(folder, suffix):
    path = folder / f"udm{suffix}"
    if suffix == ".npz":
        np.savez(path, table=TABLE, a="2u", b="2u")
    elif suffix == ".npy":
        np.save(path, TABLE)
    elif suffix == ".csv":
        path.write_text("\n".join(",".join(map(str, row)) for row in TABLE) + "\n")
    else:
        path.write_text(
            {".blif": BLIF, ".v": VERILOG, ".sv": VERILOG, ".aag": AIGER, ".c": C_SOURCE, ".cpp": C_SOURCE}[suffix]
        )
    return path


@pytest.mark.parametrize("suffix", [".npz", ".npy", ".csv", ".blif", ".aag", ".c", ".cpp", ".v", ".sv"])
def test_every_kind_of_file_is_the_same_multiplier(tmp_path, suffix):
    if suffix in (".v", ".sv") and not has_yosys():
        pytest.skip("Yosys is not installed; pip install 'axsurrogate[verilog]'")
    if suffix in (".c", ".cpp") and shutil.which({".c": "gcc", ".cpp": "g++"}[suffix]) is None:
        pytest.skip("no compiler on the path")
    assert suffix in READERS
    multiplier = resolve(written(tmp_path, suffix), "2u", "2u")
    assert (str(multiplier.a), str(multiplier.b)) == ("2u", "2u")
    assert multiplier.fingerprint() == UDM.fingerprint()


def test_the_command_line_takes_a_netlist(tmp_path):
    result = CliRunner().invoke(app, ["characterise", str(written(tmp_path, ".blif")), "--a", "2u", "--json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["fingerprint"] == UDM.fingerprint()
    assert found["metrics"]["wce"] == 2


@pytest.mark.parametrize(
    ("name", "text", "error"),
    [("bad.blif", ".model x\n.names a", NetlistError), ("bad.c", "int f(int a, int b) { return", SourceError)],
)
def test_damaged_files_are_named(tmp_path, name, text, error):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(error, match=r"bad\."):
        resolve(path, "2u")
    result = CliRunner().invoke(app, ["discover", str(path), "--a", "2u"])
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")


def test_unknown_suffixes_are_refused(tmp_path):
    path = tmp_path / "design.vhd"
    path.write_text("entity")
    with pytest.raises(UnknownNameError, match=r"only .*\.blif.* are read"):
        resolve(str(path))
    with pytest.raises(UnknownNameError, match="cannot tell from its suffix"):
        resolve(path)


def test_what_the_lint_finds_is_told(tmp_path):
    """A table whose negative x negative quadrant was computed as positive x positive."""
    table = get("bam8s_h3v7").table().copy()
    table[1:128, 1:128] = table[:128:-1, :128:-1]  # f(-a, -b) = f(a, b), which this circuit does not do
    path = tmp_path / "broken.csv"
    path.write_text("\n".join(",".join(map(str, row)) for row in table) + "\n")
    with pytest.warns(UserWarning, match="quadrant"):
        multiplier = resolve(path, "8s")
    assert multiplier(-100, -77) == get("bam8s_h3v7")(100, 77) != get("bam8s_h3v7")(-100, -77)


def test_tables_of_mantissas_are_taken_as_the_core_of_a_floating_point_multiplier(tmp_path):
    from multipliers.floating import get as get_float
    from multipliers.writers.mantissa import write_mantissa

    write_mantissa(get_float("e8m7_afm8u").mantissa_table(), tmp_path / "AFM_7.bin")
    with pytest.warns(UserWarning, match="7-bit mantissas; taken as the multiplier of 8-bit significands"):
        m = resolve(tmp_path / "AFM_7.bin")
    np.testing.assert_array_equal(m.table(), get("afm8u").table())


def test_labels_of_floating_point_multipliers_say_what_to_name():
    with pytest.raises(UnknownNameError, match="name 'afm8u'"):
        resolve("e8m7_afm8u")
