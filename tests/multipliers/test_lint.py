import json
import re

import numpy as np
import pytest

import catalog
import multipliers
from multipliers import OperandFormat, ParameterError, TableError, TableMultiplier
from multipliers.lint import lint_table
from multipliers.readers.layout import Layout

S8, U8 = OperandFormat(8, True), OperandFormat(8)


def circuits(shared, signed=None):
    for entry in json.loads((shared / "evoapprox" / "index.json").read_text()):
        if signed is None or entry["signed"] == signed:
            sign = "s" if entry["signed"] else "u"
            with np.load(shared / "evoapprox" / f"{entry['name']}.npz") as archive:
                table = archive["table"]
            yield TableMultiplier(table, f"{entry['a_bits']}{sign}", f"{entry['b_bits']}{sign}", name=entry["name"])


def codes(lint):
    return [(f.severity, f.code) for f in lint.findings if f.severity != "info"]


@pytest.mark.parametrize("order", ["natural", "codes"])
@pytest.mark.parametrize("result", ["plain", "offset", "wrapped"])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("formats", [("3s", "4u"), ("4s", "4s"), ("2u", "5s")])
def test_layouts_are_inverse(order, result, transposed, formats):
    a, b = map(OperandFormat.parse, formats)
    layout = Layout(a, b, order, result, transposed)
    half = 1 << (a.bits + b.bits - 1)
    products = np.random.default_rng(3).integers(-half, half, (a.size, b.size))
    stored = layout.encode(products)
    np.testing.assert_array_equal(layout.decode(stored), products)
    for i, x in enumerate(layout.row_values()):
        for j, y in enumerate(layout.column_values()):
            at = (y, x) if transposed else (x, y)
            product = products[at[0] - a.minimum, at[1] - b.minimum]
            assert stored[i, j] == {"plain": product, "offset": product + half, "wrapped": product % (2 * half)}[result]


def test_layout_refuses():
    with pytest.raises(ParameterError, match="order must be one of 'natural', 'codes'; got 'reverse'"):
        Layout(S8, S8, "reverse")
    with pytest.raises(ParameterError, match="result"):
        Layout(S8, S8, result="x")
    with pytest.raises(TableError, match=r"shape \(4, 4\)"):
        Layout(S8, S8).decode(np.zeros((4, 4), int))
    with pytest.raises(TableError, match=r"shape \(4, 4\)"):
        Layout(S8, S8).encode(np.zeros((4, 4), int))
    with pytest.raises(TableError, match=r"\[0, 1\] = 16 is outside \[0, 15\] of a 4-bit result"):
        Layout(OperandFormat(2), OperandFormat(2), result="wrapped").encode([[0, 16, 0, 0]] + [[0] * 4] * 3)


def test_every_circuit_is_confirmed_and_found_in_either_order(shared):
    for circuit in circuits(shared):
        lint = lint_table(circuit.table(), circuit.a, circuit.b)
        assert lint.ok, (circuit.name, str(lint))
        for order in ("natural", "codes"):
            layout = Layout(circuit.a, circuit.b, order)
            lint = lint_table(layout.encode(circuit.table()))
            assert lint.layout is not None
            np.testing.assert_array_equal(lint.layout.decode(layout.encode(circuit.table())), circuit.table())
            assert lint.ok, (circuit.name, str(lint))


def test_wrong_order_of_values_is_an_error(shared):
    for circuit in circuits(shared, signed=True):
        stored = Layout(circuit.a, circuit.b, "codes").encode(circuit.table())
        lint = lint_table(stored, "8s")
        assert codes(lint)[0] == ("error", "layout"), circuit.name
        assert "but 8s x 8s in codes order (0 .. 127, -128 .. -1)" in lint.errors[0].message


def test_wrong_signs_are_an_error():
    lint = lint_table(multipliers.get("drum8s_k4").table(), "8u")
    assert codes(lint)[0] == ("error", "layout")
    lint = lint_table(multipliers.get("drum8u_k4").table(), "8s", "8u")
    assert codes(lint)[0] == ("error", "layout")


def test_signed_products_in_an_unsigned_field():
    layout = Layout(S8, S8, result="offset")
    stored = layout.encode(multipliers.get("drum8s_k4").table())
    assert (stored.min() >= 0, lint_table(stored).layout) == (True, layout)
    stored = Layout(S8, S8, result="wrapped").encode(multipliers.get("drum8s_k4").table())
    assert codes(lint_table(stored)) == [("error", "overflow")]


@pytest.mark.parametrize("claim", [None, "8u", "8s"])
def test_unsigned_products_that_overflow_int16(claim, shared):
    for circuit in circuits(shared, signed=False):
        if circuit.n_pairs < 1 << 16 or circuit.table().max() < 1 << 15:
            continue
        stored = circuit.table().astype(np.int16)
        lint = lint_table(stored, claim)
        assert ("error", "overflow") in codes(lint), (circuit.name, str(lint))
        assert "8u x 8u products that overflowed a signed field of 16 bits" in str(lint)
        np.testing.assert_array_equal(Layout(U8, U8, result="wrapped").decode(stored), circuit.table())


def test_unsigned_products_clipped_to_int16():
    clipped = np.minimum(multipliers.get("exact8u").table(), 32767)
    assert ("error", "saturation") in codes(lint_table(clipped, "8u"))


def from_magnitudes(circuit):
    """The negative x negative quadrant of a circuit, computed from absolute values in the operands' own 8 bits."""
    codes = np.arange(-128, 128)
    magnitude = np.abs(codes.astype(np.int8)).astype(int)  # of -128 it is -128
    table, negative = circuit.table().copy(), codes < 0
    table[np.ix_(negative, negative)] = circuit(magnitude[negative][:, None], magnitude[negative])
    return table


def test_published_table_with_a_broken_quadrant(shared):
    [circuit] = [c for c in circuits(shared, signed=True) if c.name == "mul8s_1L2J"]
    table = from_magnitudes(circuit)
    assert (table != circuit.table()).sum() == 12414  # the published table
    lint = lint_table(table, "8s")
    assert codes(lint) == [("warning", "quadrant"), ("error", "quadrant"), ("error", "quadrant")]
    assert "every negative x negative product repeats the error of the positive x positive one (12160" in str(lint)
    assert "126 of the 128 products of a = -128 with negative values are negative" in lint.errors[0].message
    assert "its absolute value was probably taken in 8 bits, where it is -128 again" in lint.errors[1].message
    compared = lint_table(table, "8s", reference=circuit)
    assert "12414 of 65536 products differ from mul8s_1L2J" in str(compared)
    assert "(by signs of a x b: + x + 0, + x - 0, - x + 0, - x - 12414)" in str(compared)


@pytest.mark.parametrize("smallest", [True, False])
def test_every_circuit_with_this_quadrant_is_caught_without_a_reference(shared, smallest):
    caught = 0
    for circuit in circuits(shared, signed=True):
        table = from_magnitudes(circuit)
        if not smallest:  # correct where the absolute value has no 8 bits
            table[0], table[:, 0] = circuit.table()[0], circuit.table()[:, 0]
        if not (table != circuit.table()).any():
            assert circuit.name == "mul8s_1KV6"  # the accurate one
            continue
        lint = lint_table(table, "8s")
        assert "quadrant" in {code for _, code in codes(lint)}, circuit.name
        assert bool(lint.errors) == smallest, circuit.name
        quadrant = lint.quadrants[3]
        assert quadrant.name == "negative x negative"
        assert quadrant.mirrored == quadrant.n_errors > 0 or circuit.name == "mul8s_1KV6"
        caught += 1
    assert caught == (13 if smallest else 12)


def signed_designs():
    """Every signed 8-bit entry of the catalog, and every other one whose family has a signed 8-bit member alike."""
    labels = [entry.label for entry in catalog.entries()]
    labels += [re.sub(r"^([a-z0-9]*?[a-z])(4|6|8|12|16)[us](?=_|$)", r"\g<1>8s", label) for label in labels]
    for label in dict.fromkeys(labels):
        try:
            design = multipliers.get(label)
        except ParameterError:  # the family is unsigned, or the parameters are of another width
            continue
        if design.a == design.b == S8:
            yield design


def test_no_signed_design_raises_an_alarm():
    seen = set()
    for design in signed_designs():
        lint = lint_table(design.table(), design.a, design.b)
        assert not [f for f in lint.findings if f.code == "quadrant"], (design.name, str(lint))
        # the lossiest are so far from exact products that the layout cannot be confirmed, and that is said
        lossy = lint.candidates[0].residual > 0.6
        assert codes(lint) == [("warning", "layout")] * lossy, (design.name, str(lint))
        seen.add(type(design))
    assert len(seen) >= 20


@pytest.mark.parametrize("complement", [0, 1])
def test_circuits_that_work_on_magnitudes_raise_no_alarm(complement):
    """Negative results by two's or one's complement: mixed quadrants are then -x or -x - 1."""
    magnitudes = multipliers.get("mitchell8u")
    a = np.arange(-128, 128)
    F = magnitudes(np.abs(a)[:, None], np.abs(a))
    table = np.where((a[:, None] < 0) ^ (a < 0), -F - complement, F)
    lint = lint_table(table, "8s")
    assert codes(lint) == []
    assert [q.negated for q in lint.quadrants] == [True] * 4


def test_quadrant_with_wrong_signs_or_noise():
    table = multipliers.get("exact8s").table().copy()
    table[:128, 129:] *= -1
    lint = lint_table(table, "8s")
    assert ("error", "quadrant") in codes(lint)
    assert lint.quadrants[2].wrong_sign == 127 * 127
    assert "16129 of the 16129 negative x positive products have the wrong sign" in str(lint)
    table = multipliers.get("exact8s").table().copy()
    table[:128, :128] //= 2
    assert codes(lint_table(table, "8s")) == [("warning", "quadrant")]


@pytest.mark.parametrize("label", ["exact8s", "drum8s_k3", "mitchell8s", "trunc6s_t2", "bam8s_h1v5"])
def test_designs_raise_no_alarm(label):
    design = multipliers.get(label)
    assert codes(lint_table(design.table(), design.a, design.b)) == []


def test_products_truncated_as_a_whole_are_no_broken_quadrant():
    products = multipliers.get("exact8s").table() & ~7
    assert codes(lint_table(products, "8s")) == []


def test_axes(shared):
    lint = lint_table(multipliers.get("exact4u").table())
    assert "symmetric" in str(lint)
    table = multipliers.get("exact8u").table().copy()
    table[3, 5] = 14
    assert "2 products change if the operands are exchanged" in str(lint_table(table))
    circuit = TableMultiplier(table, "8u", name="mine")
    lint = lint_table(table.T, "8u", known={circuit.fingerprint(): "mine"})
    assert codes(lint) == [("warning", "axes")]
    assert codes(lint_table(table.T, "8u", reference=circuit)) == [("error", "axes")]


def test_axes_of_different_widths_are_found():
    table = multipliers.get("exact6x4u").table()
    lint = lint_table(table.T, "6u", "4u")
    assert lint.layout is not None
    assert lint.layout.transposed
    assert lint.ok
    with pytest.raises(TableError, match=r"shape \(64, 16\)"):
        lint_table(table, "5u", "5u")


def test_known_fingerprints():
    m = multipliers.get("drum8u_k4")
    known = {m.fingerprint(): "first", "0" * 64: "second"}
    assert "the table is that of first" in str(lint_table(m.table(), "8u", known=known))
    lint = lint_table(m.table(), "8u", known=known, name="second")
    assert codes(lint) == [("warning", "known")]
    other = lint_table(multipliers.get("drum8u_k5").table(), "8u", known=known, name="first")
    assert "same name, different circuit" in str(other)
    assert codes(other) == [("warning", "known")]


def test_noise_is_not_guessed():
    lint = lint_table(np.random.default_rng(0).integers(-9, 9, (16, 16)))
    assert lint.layout is None
    assert codes(lint) == [("warning", "layout")]


def test_products_outside_the_result():
    table = multipliers.get("exact4u").table().copy()
    table[1, 1] = 300
    assert ("warning", "range") in codes(lint_table(table, "4u"))


def test_arguments():
    with pytest.raises(ParameterError, match="without a"):
        lint_table(np.zeros((4, 4), int), b="2u")
    with pytest.raises(ParameterError, match="not both"):
        lint_table(np.zeros((4, 4), int), "2u", layout=Layout(U8, U8))
    with pytest.raises(TableError, match="powers of two"):
        lint_table(np.zeros((3, 4), int))
    with pytest.raises(TableError, match="powers of two"):
        lint_table(np.zeros((0, 4), int))
    with pytest.raises(ParameterError, match="operands"):
        lint_table(np.zeros((4, 4), int), "2u", reference=multipliers.get("exact3u"))
