"""Multipliers of 4:2 compressors against truth tables: nets are Python integers with one bit for each operand pair.

The placement of the cells of 8-bit operands is written out here, column by column; the package derives it.
"""

import itertools

import numpy as np
import pytest

import multipliers
from multipliers import OperandFormat, ParameterError
from multipliers.designs.compressor_tree import EXACT, Cells, Logic, dadda, exact_compressor, placement
from multipliers.designs.compressors import akbari1, akbari2, momeni1, momeni2
from multipliers.designs.propagate_generate import adder, compressor
from multipliers.metrics import error_metrics
from multipliers.multiplier import sample_pairs
from multipliers.netlist import NetlistMultiplier, assemble, simulate
from multipliers.netlist.assembly import Constant
from multipliers.testing import check_multiplier

# ---------------------------------------------------------------- oracles: all operand pairs at once, in one integer

PAIRS = 1 << 16
ALL = (1 << PAIRS) - 1


def truth(of_pair):
    """Net whose bit 256 a + b is of_pair(a, b)."""
    return int("".join("1" if of_pair(i >> 8, i & 255) else "0" for i in reversed(range(PAIRS))), 2)


A = [truth(lambda a, b, i=i: a >> i & 1) for i in range(8)]
B = [truth(lambda a, b, i=i: b >> i & 1) for i in range(8)]


def exact_add(*dots):
    x, y, z = [*dots, 0][:3]
    return x ^ y ^ z, x & y | x & z | y & z


def exact42(x, cin):
    half, cout = exact_add(*x[:3])
    return (*exact_add(half, x[3], cin), cout)


def design1(x, cin):
    p, q, r, s = x
    return (ALL ^ cin) & ((ALL ^ p ^ q) | (ALL ^ r ^ s)), cin, (p | q) & (r | s)


def design2(x, cin):
    p, q, r, s = x
    return (ALL ^ p ^ q) | (ALL ^ r ^ s), (p | q) & (r | s), None


STAGES = [
    {4: "h", 5: "c", 6: "ch", 7: "cc", 8: "cc", 9: "cf", 10: "c", 11: "f"},
    {2: "h", 3: "c", 4: "c", 5: "c", 6: "c", 7: "c", 8: "c", 9: "c", 10: "c", 11: "c", 12: "c", 13: "f"},
]
"""Momeni et al., 8 bits: columns and their cells (c compressor, f full adder, h half adder)."""


FOUR = [{2: "h", 3: "c", 4: "c", 5: "f"}]
"""The same for 4 bits, where this package's placement needs one stage."""


def tree(compressor_of, n=8):
    columns = [[A[c - j] & B[j] for j in range(n) if 0 <= c - j < n] for c in range(2 * n)]
    for stage in STAGES if n == 8 else FOUR:
        carries, couts, after = [], [], []
        for c, dots in enumerate(columns):
            dots, sums, late = dots + carries, [], couts
            carries, couts = [], []
            for cell in stage.get(c, ""):
                if cell == "c":
                    x, dots = dots[:4], dots[4:]
                    total, carry, cout = compressor_of(c)(x, late.pop(0) if late else 0)
                    couts += [] if cout is None else [cout]
                else:
                    size = 2 if cell == "h" or late else 3
                    x, dots = dots[:size], dots[size:]
                    total, carry = exact_add(*x, *([late.pop(0)] if cell == "f" and late else []))
                sums.append(total)
                carries.append(carry)
            after.append(sums + dots + late)
        columns = after
    return added(columns)


def added(columns):
    """Bits of the exact sum of two rows."""
    bits, carry = [], 0
    for column in columns:
        assert len(column) <= 2
        x, y = [*column, 0, 0][:2]
        bit, carry = exact_add(x, y, carry)
        bits.append(bit)
    return bits


def ko(join):
    """The published circuit of Venkatachalam and Ko, net by net."""

    def ha(x, y):
        return x | y, x & y

    def fa(x, y, z):
        return (x | y) ^ z, (x | y) & z

    def c42(x, y, z, w):
        return (x ^ y) | (z ^ w) | (x & y & z & w), x & y | z & w

    def d(i, j):
        return A[i] & B[j]

    def p(i, j):
        return d(i, j) | d(j, i)

    def g(*pairs):
        total = None
        for i, j in pairs:
            both = d(i, j) & d(j, i)
            total = both if total is None else (total | both if join == "or" else total & both)
        return total

    s4, c4 = ha(p(4, 0), p(3, 1))
    s5, c5 = fa(p(5, 0), p(4, 1), p(3, 2))
    s6, c6 = c42(p(6, 0), p(5, 1), p(4, 2), d(3, 3))
    s7, c7 = c42(p(7, 0), p(6, 1), p(5, 2), p(4, 3))
    s8, c8 = c42(p(7, 1), p(6, 2), p(5, 3), d(4, 4))
    s9, c9 = fa(p(7, 2), p(6, 3), p(5, 4))
    s10, c10 = fa(p(7, 3), p(6, 4), d(5, 5))
    s11, c11 = ha(p(7, 4), p(6, 5))
    s12, c12 = ha(d(7, 5), d(5, 7))
    cells = [
        ha(d(1, 0), d(0, 1)),
        fa(d(2, 0), d(0, 2), d(1, 1)),
        fa(p(3, 0), p(2, 1), g((3, 0), (2, 1))),
        fa(s4, d(2, 2), g((4, 0), (3, 1))),
        fa(s5, g((5, 0), (4, 1), (3, 2)), c4),
        fa(s6, g((6, 0), (5, 1), (4, 2)), c5),
        fa(s7, g((7, 0), (6, 1), (5, 2), (4, 3)), c6),
        fa(s8, g((7, 1), (6, 2), (5, 3)), c7),
        fa(s9, g((7, 2), (6, 3), (5, 4)), c8),
        fa(s10, g((7, 3), (6, 4)), c9),
        fa(s11, g((7, 4), (6, 5)), c10),
        fa(s12, c11, d(6, 6)),
        fa(d(7, 6), d(6, 7), c12),
    ]
    sums, carries = zip(*cells, strict=True)
    columns = [[d(0, 0)], *([x] for x in sums), [d(7, 7)], []]
    for column, carry in zip(columns[2:], carries, strict=False):
        column.append(carry)
    return added(columns)


ORACLES = {
    "momeni": lambda v, n=8: tree(lambda c: (design1 if v % 2 else design2) if v < 3 or c < n - 1 else exact42, n),
    "akbari": lambda v, n=8: tree(lambda c: lambda x, cin: (x[0], x[3], x[2] if v == 2 else None), n),
    "venkatachalam": lambda o: ko("or" if o else "and"),
}
EIGHT = [f"momeni8u_v{v}" for v in (1, 2, 3, 4)] + [f"akbari8u_v{v}" for v in (1, 2)]
EIGHT += [f"venkatachalam8u_o{o}" for o in (0, 1)]


def products(bits):
    """Table of the products whose bits are truth tables."""
    columns = [
        np.unpackbits(np.frombuffer(x.to_bytes(PAIRS // 8, "little"), np.uint8), bitorder="little") for x in bits
    ]
    return sum(column.astype(np.int64) << i for i, column in enumerate(columns)).reshape(256, 256)


def test_the_oracle_s_tree_of_exact_cells_is_exact():
    for n in (8, 4):
        table = products(tree(lambda c: exact42, n))[: 1 << n, : 1 << n]
        np.testing.assert_array_equal(table, multipliers.get(f"exact{n}u").table())


@pytest.mark.parametrize("label", EIGHT)
def test_oracle_exhaustively_at_8_bits(label):
    parsed = multipliers.naming.parse_label(label)
    expected = products(ORACLES[parsed.family](*parsed.parameters.values()))
    np.testing.assert_array_equal(multipliers.get(label).table(), expected)


@pytest.mark.parametrize("label", [label.replace("8u", "4u") for label in EIGHT if "venkatachalam" not in label])
def test_oracle_exhaustively_at_4_bits(label):
    parsed = multipliers.naming.parse_label(label)
    expected = products(ORACLES[parsed.family](*parsed.parameters.values(), n=4))[:16, :16]
    np.testing.assert_array_equal(multipliers.get(label).table(), expected)


@pytest.mark.parametrize("label", EIGHT)
def test_signed_operands_are_multiplied_by_magnitude(label):
    unsigned, signed = multipliers.get(label), multipliers.get(label.replace("8u", "8s"))
    x = np.arange(-128, 128)
    sign = np.where((x[:, None] < 0) != (x < 0), -1, 1)
    np.testing.assert_array_equal(signed.table(), sign * unsigned(abs(x)[:, None], abs(x)))


@pytest.mark.parametrize(
    "label",
    [
        "momeni1u_v1",
        "momeni3ux5s_v2",
        "momeni8s_v4",
        "momeni16s_v3",
        "akbari2s_v2",
        "akbari16u_v1",
        "venkatachalam8s_o0",
    ],
)
def test_contract(label):
    check_multiplier(multipliers.get(label))


@pytest.mark.parametrize(
    ("label", "named"),
    [
        ("momeni8u_v5", "variant"),
        ("momeni17u_v1", "up to 16 bits"),
        ("akbari8u_v3", "variant"),
        ("akbari8x20u_v1", "operand b"),
        ("venkatachalam16u_o0", "operands of 8 bits"),
        ("venkatachalam8u_o2", "joined_by_or"),
    ],
)
def test_parameter_out_of_range_is_named(label, named):
    with pytest.raises(ParameterError, match=named):
        multipliers.get(label)


# ---------------------------------------------------------------- the tree


@pytest.mark.parametrize("bits", [*itertools.product(range(1, 6), repeat=2), (8, 8), (8, 3), (7, 9)])
def test_tree_of_exact_cells_is_exact(bits):
    circuit = dadda("exact", *bits, lambda column: EXACT)
    multiplier = NetlistMultiplier(circuit, *(OperandFormat(n) for n in bits))
    a, b = multiplier.a.values(), multiplier.b.values()
    np.testing.assert_array_equal(multiplier.table(), a[:, None] * b)


@pytest.mark.parametrize("bits", [(12, 12), (16, 16), (16, 9), (13, 16), (31, 31)])
def test_wide_tree_of_exact_cells_is_exact(bits):
    formats = [OperandFormat(n) for n in bits]
    a, b = sample_pairs(*formats, 1 << 14)
    circuit = dadda("exact", *bits, lambda column: EXACT)
    np.testing.assert_array_equal(NetlistMultiplier(circuit, *formats)(a, b), a * b)


def test_cell_counts_are_those_of_the_paper():
    heights = [*range(1, 9), *range(7, 0, -1), 0]
    for target, stage in zip((4, 2), STAGES, strict=True):
        placed = placement(heights, target)
        shown = ["c" * p.compressors + "f" * p.full_adders + "h" * p.half_adders for p in placed]
        assert shown == [stage.get(c, "") for c in range(16)]
        heights = [1, 2, 3, *[4] * 5, 3, *[4] * 4, 2, 1, 0]  # after the first stage
    counts = ["".join(stage.values()).count(cell) for stage in STAGES for cell in "hfc"]
    assert counts == [2, 2, 8, 1, 1, 10]


def test_every_width_has_dots_for_its_cells():
    chainless = Cells(momeni2)
    for bits in itertools.combinations_with_replacement(range(1, 17), 2):
        first_exact = max(bits) - 1
        for cells_of in (lambda c: chainless, lambda c, k=first_exact: chainless if c < k else EXACT):
            assert dadda("tree", *bits, cells_of).outputs[0].width == sum(bits)


# ---------------------------------------------------------------- the cells


def wrong_share(cell, n_dots, *, cin):
    """Share of inputs at which a cell does not count its ones."""
    logic = Logic()
    x, c = list("pqrs"[:n_dots]), "t" if cin else Constant.ZERO
    total, carry, *cout = cell(logic, x, c) if n_dots == 4 else cell(logic, *x)
    ports = {name: [name] for name in x + (["t"] if cin else [])}
    heavy = [net for net in (carry, *cout) if net is not None]
    outputs = {"sum": [total], **{f"heavy{i}": [net] for i, net in enumerate(heavy)}}
    circuit = assemble("cell", ports, outputs, logic.cells)
    inputs = np.array(list(itertools.product((0, 1), repeat=len(ports))))
    found = simulate(circuit, dict(zip(ports, inputs.T, strict=True)))
    counted = sum(values.astype(np.int64) * (1 if name == "sum" else 2) for name, values in found.items())
    return float((counted != inputs.sum(axis=1)).mean())


@pytest.mark.parametrize(
    ("cell", "n_dots", "cin", "share"),
    [
        (exact_compressor, 4, True, 0),
        (momeni1, 4, True, 0.375),
        (momeni2, 4, False, 0.25),
        (akbari1, 4, False, 0.625),
        (akbari2, 4, True, 0.625),
        (compressor, 4, False, 5 / 16),
        (adder, 3, False, 2 / 8),
        (adder, 2, False, 1 / 4),
    ],
)
def test_error_rates_of_the_cells(cell, n_dots, cin, share):
    assert wrong_share(cell, n_dots, cin=cin) == share


# ---------------------------------------------------------------- figures and properties


def test_figures_of_the_public_venkatachalam_ko_circuit():
    metrics = error_metrics(multipliers.get("venkatachalam8u_o0"), normaliser="largest exact product")
    assert round(100 * metrics.mre, 2) == 8.35
    assert round(metrics.nmed, 4) == 0.0268


def test_momeni_cells_make_products_of_zero():
    for v in (1, 2, 3, 4):
        table = multipliers.get(f"momeni8u_v{v}").table()
        assert table[0].any()
        assert not np.array_equal(table, table.T)


def test_approximate_low_columns_only_are_far_more_accurate():
    error = {
        v: np.abs(multipliers.get(f"momeni8u_v{v}").table() - multipliers.get("exact8u").table()) for v in (1, 2, 3, 4)
    }
    assert error[1].mean() > 30 * error[3].mean()
    assert error[2].mean() > 30 * error[4].mean()
    assert error[2].mean() < error[1].mean()
