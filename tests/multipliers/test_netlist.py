import pickle
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import multipliers
from multipliers.errors import NetlistError, ParameterError
from multipliers.netlist import (
    Cell,
    Circuit,
    Constant,
    Gate,
    Instance,
    Module,
    NetlistMultiplier,
    Port,
    assemble,
    flatten,
    simulate,
)
from multipliers.netlist.cells import STANDARD_CELLS, StandardCell, standard_cell
from multipliers.netlist.ports import group_bits
from multipliers.netlist.simulation import BLOCK_WORDS, compile_circuit
from multipliers.netlist.tables import cover_cells, table_cell
from multipliers.testing import check_multiplier

TRUTH = {
    "buf": lambda a: a,
    "not": lambda a: 1 - a,
    "and": lambda *x: int(all(x)),
    "or": lambda *x: int(any(x)),
    "nand": lambda *x: int(not all(x)),
    "nor": lambda *x: int(not any(x)),
    "xor": lambda *x: sum(x) % 2,
    "xnor": lambda *x: 1 - sum(x) % 2,
    "andnot": lambda a, b: int(a == 1 and b == 0),
    "ornot": lambda a, b: int(a == 1 or b == 0),
    "mux": lambda low, high, select: high if select else low,
    "nmux": lambda low, high, select: 1 - (high if select else low),
    "aoi21": lambda a, b, c: int(not ((a and b) or c)),
    "oai21": lambda a, b, c: int(not ((a or b) and c)),
    "aoi22": lambda a, b, c, d: int(not ((a and b) or (c and d))),
    "oai22": lambda a, b, c, d: int(not ((a or b) and (c or d))),
}
ARITY = {
    "buf": 1,
    "not": 1,
    "andnot": 2,
    "ornot": 2,
    "mux": 3,
    "nmux": 3,
    "aoi21": 3,
    "oai21": 3,
    "aoi22": 4,
    "oai22": 4,
}


def evaluate(circuit, values):
    """Output values of a circuit for one pattern, gate by gate in plain Python."""
    nets = [0, 1]
    for port in circuit.inputs:
        nets += [(values[port.name] >> i) & 1 for i in range(port.width)]
    for gate in circuit.gates:
        x = [nets[i] for i in gate.inputs]
        if gate.kind in ("ha", "fa"):
            nets += [sum(x) & 1, sum(x) >> 1]
        elif gate.kind == "lut":
            nets.append((gate.table >> sum(bit << i for i, bit in enumerate(x))) & 1)
        else:
            nets.append(TRUTH[gate.kind](*x))
    return {port.name: sum(nets[net] << i for i, net in enumerate(port.nets)) for port in circuit.outputs}


def array_cells(n, m, signed=False):
    """Cells of a carry-save array multiplier of nets a0.., b0.. and its output nets; Baugh-Wooley if signed."""
    columns = [[] for _ in range(n + m)]
    cells = []
    for i in range(n):
        for j in range(m):
            negative = signed and (i == n - 1) != (j == m - 1)
            cells.append(Cell("nand" if negative else "and", (f"a{i}", f"b{j}"), (f"p{i}_{j}",)))
            columns[i + j].append(f"p{i}_{j}")
    if signed:  # -2**(n-1) - 2**(m-1) from the complements, modulo 2**(n+m)
        constant = (1 << (n - 1)) + (1 << (m - 1)) + (1 << (n + m - 1))
        for c in range(n + m):
            if constant >> c & 1:
                columns[c].append(Constant.ONE)
    outputs = []
    for c, column in enumerate(columns):
        while len(column) > 1:
            k = len(cells)
            taken = tuple(column.pop(0) for _ in range(min(3, len(column))))
            cells.append(Cell("fa" if len(taken) == 3 else "ha", taken, (f"s{k}", f"c{k}")))
            column.append(f"s{k}")
            if c + 1 < n + m:
                columns[c + 1].append(f"c{k}")
        outputs.append(column[0] if column else Constant.ZERO)
    return cells, outputs


def array(n, m, *, signed=False, names=("A", "B"), swapped=False, name="array"):
    cells, outputs = array_cells(n, m, signed)
    ports = [(names[0], [f"a{i}" for i in range(n)]), (names[1], [f"b{j}" for j in range(m)])]
    return assemble(name, dict(ports[::-1] if swapped else ports), {"O": outputs}, cells[::-1])


# ---------------------------------------------------------------- simulation against a slow evaluator


@st.composite
def circuits(draw):
    widths = draw(st.lists(st.integers(1, 9), min_size=1, max_size=3))
    inputs, at = [], 2
    for i, width in enumerate(widths):
        inputs.append(Port(f"in{i}", tuple(range(at, at + width))))
        at += width
    gates = []
    for _ in range(draw(st.integers(0, 25))):
        kind = draw(st.sampled_from([*TRUTH, "ha", "fa", "lut"]))
        n = ARITY.get(kind) or {"ha": 2, "fa": 3}.get(kind) or draw(st.integers(1, 6 if kind == "lut" else 4))
        nets = tuple(draw(st.lists(st.integers(0, at - 1), min_size=n, max_size=n)))
        gates.append(Gate(kind, nets, draw(st.integers(0, (1 << (1 << n)) - 1)) if kind == "lut" else 0))
        at += gates[-1].n_outputs
    outputs = draw(st.lists(st.lists(st.integers(0, at - 1), min_size=1, max_size=12), min_size=1, max_size=3))
    ports = tuple(Port(f"out{i}", tuple(nets)) for i, nets in enumerate(outputs))
    return Circuit("random", tuple(inputs), ports, tuple(gates))


@given(circuits(), st.integers(1, 130), st.integers(0, 2**32))
@settings(max_examples=150)
def test_random_circuits_equal_a_slow_evaluator(circuit, n_patterns, seed):
    rng = np.random.default_rng(seed)
    inputs = {port.name: rng.integers(0, 1 << port.width, n_patterns) for port in circuit.inputs}
    results = simulate(circuit, inputs)
    for i in range(n_patterns):
        expected = evaluate(circuit, {name: int(values[i]) for name, values in inputs.items()})
        assert {name: int(values[i]) for name, values in results.items()} == expected


@pytest.mark.parametrize("kind", [*TRUTH, "ha", "fa"])
def test_every_kind_over_all_its_inputs(kind):
    n = ARITY.get(kind) or {"ha": 2}.get(kind, 3)
    gate = Gate(kind, tuple(range(2, 2 + n)))
    outputs = (Port("o", tuple(range(2 + n, 2 + n + gate.n_outputs))),)
    circuit = Circuit(kind, (Port("x", gate.inputs),), outputs, (gate,))
    got = simulate(circuit, {"x": np.arange(1 << n)})["o"]
    assert got.tolist() == [evaluate(circuit, {"x": i})["o"] for i in range(1 << n)]


@given(
    st.integers(0, 10).flatmap(lambda n: st.lists(st.text("01-", min_size=n, max_size=n), max_size=6)), st.booleans()
)
def test_covers_equal_their_definition(cubes, ones):
    n = len(cubes[0]) if cubes else 2
    nets = [f"x{i}" for i in range(n)]
    circuit = assemble(
        "cover", {"x": nets} if n else {"unused": ["u"]}, {"o": ["o"]}, cover_cells(nets, "o", cubes, ones)
    )
    for code in range(0, 1 << n, 1 if n < 7 else 7):
        row = [str(code >> i & 1) for i in range(n)]
        hit = any(all(c in ("-", bit) for c, bit in zip(cube, row, strict=True)) for cube in cubes)
        expected = int(hit == ones) if cubes else 0
        assert simulate(circuit, {circuit.inputs[0].name: code if n else 0})["o"] == expected


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_tables_become_the_gates_they_are(n):
    rng = np.random.default_rng(n)
    tables = range(1 << (1 << n)) if n < 4 else rng.integers(0, 1 << 16, 300).tolist()
    nets = [f"x{i}" for i in range(n)]
    for table in tables:
        circuit = assemble("t", {"x": nets}, {"o": ["o"]}, [table_cell(nets, "o", table)])
        got = simulate(circuit, {"x": np.arange(1 << n)})["o"]
        assert sum(int(bit) << i for i, bit in enumerate(got)) == table


def test_blocks_broadcasts_and_scalars():
    circuit = array(8, 8)
    a, b = np.arange(256), np.arange(256)
    wide = simulate(circuit, {"A": a[:, None, None], "B": np.stack([b, b[::-1], b, b])[None]})["O"]
    assert wide.shape == (256, 4, 256)  # 2**18 patterns: two blocks
    np.testing.assert_array_equal(wide, a[:, None, None] * np.stack([b, b[::-1], b, b])[None])
    assert simulate(circuit, {"A": 3, "B": 5})["O"] == 15
    assert simulate(circuit, {"A": np.zeros((0, 2), int), "B": 1})["O"].shape == (0, 2)


def test_sixty_four_bit_ports():
    nets = tuple(range(2, 66))
    circuit = Circuit(
        "not", (Port("x", nets),), (Port("o", tuple(range(66, 130))),), tuple(Gate("not", (i,)) for i in nets)
    )
    values = np.array([0, 2**64 - 1, 2**63, 12345], dtype=np.uint64)
    np.testing.assert_array_equal(simulate(circuit, {"x": values})["o"], ~values)


def test_what_is_not_read_costs_nothing():
    cells, outputs = array_cells(8, 8)
    full = assemble("m", {"A": [f"a{i}" for i in range(8)], "B": [f"b{i}" for i in range(8)]}, {"O": outputs}, cells)
    assert len(compile_circuit(full, (full.outputs[0].nets[:1],)).steps) == 1
    assert compile_circuit(full, (full.outputs[0].nets,)).n_slots < 100


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"A": 1}, r"has the inputs \['A', 'B'\]"),
        ({"A": 1, "B": 1, "C": 1}, "has the inputs"),
        ({"A": 16, "B": 1}, r"4 bits, so values 0 \.\. 15"),
        ({"A": -1, "B": 1}, "values 0"),
        ({"A": 0.5, "B": 1}, "must be integers"),
    ],
)
def test_inputs_that_do_not_fit(inputs, message):
    with pytest.raises(NetlistError, match=message):
        simulate(array(4, 4), inputs)


# ---------------------------------------------------------------- circuits


def test_counts_and_depth():
    circuit = array(8, 8)
    assert circuit.counts == {"and": 64, "fa": 48, "ha": 8}
    chain = [Cell("not", (f"n{i}",), (f"n{i + 1}",)) for i in range(7)] + [Cell("buf", ("n7",), ("o",))]
    circuit = assemble("chain", {"x": ["n0"]}, {"o": ["o"]}, chain)
    assert (circuit.depth, circuit.n_gates) == (7, 8)


def test_a_long_chain_needs_no_recursion():
    n = 50_000
    cells = [Cell("not", (f"n{i}",), (f"n{i + 1}",)) for i in reversed(range(n))]
    circuit = assemble("chain", {"x": ["n0"]}, {"o": [f"n{n}"]}, cells)
    assert circuit.depth == n
    assert simulate(circuit, {"x": [0, 1]})["o"].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ([Cell("and", ("a", "missing"), ("o",))], "'missing', read by a gate 'and'.*no driver"),
        ([], "'o', read by an output of 'm', has no driver"),
        ([Cell("buf", ("a",), ("o",)), Cell("not", ("a",), ("o",))], "'o' is driven twice"),
        ([Cell("buf", ("a",), ("a",)), Cell("not", ("a",), ("o",))], "'a' is driven twice.*input"),
        ([Cell("buf", ("a",), (Constant.ONE,)), Cell("not", ("a",), ("o",))], "driven twice"),
        ([Cell("and", ("a", "o"), ("o",))], "loop: 'o' -> 'o'"),
        ([Cell("and", ("a", "y"), ("x",)), Cell("not", ("x",), ("y",)), Cell("buf", ("y",), ("o",))], "loop: .*'y'"),
        ([Cell("buf", ("a",), ("o",)), Cell("not", ("x",), ("y",)), Cell("not", ("y",), ("x",))], "loop"),
        ([Cell("wire", ("o",), ("o",))], "loop"),
        ([Cell("magic", ("a",), ("o",))], "unknown gate kind 'magic'"),
        ([Cell("ha", ("a", "b"), ("o",))], "drives 2 nets"),
        ([Cell("mux", ("a", "b"), ("o",))], "has 3 inputs, got 2"),
    ],
)
def test_cells_that_make_no_circuit(cells, message):
    with pytest.raises(NetlistError, match=message):
        assemble("m", {"a": ["a"], "b": ["b"]}, {"o": ["o"]}, cells)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((Port("a", (3,)),), (), ()), "nets 2, 3"),
        (((Port("a", (2,)),), (Port("o", (3,)),), ()), "output port 'o'"),
        (((Port("a", (2,)),), (), (Gate("not", (3,)),)), "topological order"),
        (((Port("a", (2,)), Port("a", (3,))), (), ()), "two input ports 'a'"),
        (((Port("a", ()),), (), ()), "no bits"),
    ],
)
def test_numbering_that_is_broken(arguments, message):
    with pytest.raises(NetlistError, match=message):
        Circuit("m", *arguments)


@pytest.mark.parametrize(("inputs", "table"), [((2,) * 13, 0), ((2, 3), 16), ((2, 3), -1)])
def test_tables_that_do_not_fit(inputs, table):
    with pytest.raises(NetlistError, match="lut"):
        Gate("lut", inputs, table)
    with pytest.raises(NetlistError, match="only a lut"):
        Gate("and", (2, 3), 1)


def test_hierarchy():
    cell = Module("xor2", {"i": ("p", "q")}, {"y": ("z",)}, [Cell("xor", ("p", "q"), ("z",))])
    through = Module("through", {"i": ("p",)}, {"y": ("p",)})
    top = Module("top", {"x": ("a", "b", "c")}, {"o": ("o",)})
    top.instances = [
        Instance("u1", "xor2", {"i": ("a", "b"), "y": ("n",)}),
        Instance("u2", "xor2", {"i": ("m", Constant.ONE), "y": ("k",)}),
        Instance("u3", "through", {"i": ("n",), "y": ("m",)}),
        Instance("u4", "xor2", {"i": ("k", "c"), "y": ("o",)}),
    ]
    circuit = flatten({m.name: m for m in (cell, through, top)}, "top")
    assert circuit.counts == {"xor": 3}
    assert simulate(circuit, {"x": range(8)})["o"].tolist() == [1 ^ (i.bit_count() & 1) for i in range(8)]


def test_dots_in_the_labels_of_instances_confuse_nothing():
    inverter = Module("inv", {"i": ("p",)}, {"y": ("z",)}, [Cell("not", ("p",), ("z",))])
    outer = Module("outer", {"i": ("p",)}, {"y": ("z",)})
    outer.instances = [Instance("c", "inv", {"i": ("p",), "y": ("z",)})]
    other = Module("other", {"i": ("p",)}, {"y": ("z",)})
    other.instances = [Instance("b.c", "inv", {"i": ("p",), "y": ("z",)})]
    top = Module("top", {"x": ("r", "s")}, {"o": ("u", "v")})
    top.instances = [
        Instance("a.b", "outer", {"i": ("r",), "y": ("u",)}),
        Instance("a", "other", {"i": ("s",), "y": ("v",)}),
    ]
    circuit = flatten({m.name: m for m in (inverter, outer, other, top)}, "top")
    assert simulate(circuit, {"x": range(4)})["o"].tolist() == [3, 2, 1, 0]


@pytest.mark.parametrize(
    ("instance", "message"),
    [
        (Instance("u", "absent", {}), "no such module"),
        (Instance("u", "top", {}), "cannot contain itself"),
        (Instance("u", "leaf", {"w": ("a",)}), "port 'w', which it lacks"),
        (Instance("u", "leaf", {"i": ("a", "a")}), "has 1 bits, but 2"),
        (Instance("u", "leaf", {"y": ("o",)}), "no driver"),
    ],
)
def test_instances_that_do_not_fit(instance, message):
    leaf = Module("leaf", {"i": ("p",)}, {"y": ("z",)}, [Cell("not", ("p",), ("z",))])
    top = Module("top", {"x": ("a",)}, {"o": ("o",)}, [], [instance])
    with pytest.raises(NetlistError, match=message):
        flatten({"leaf": leaf, "top": top}, "top")
    with pytest.raises(NetlistError, match="no module 'other'"):
        flatten({"top": top}, "other")


def test_a_hierarchy_that_doubles_at_every_level_is_refused(monkeypatch):
    monkeypatch.setattr("multipliers.netlist.assembly.MAX_CELLS", 20_000)
    modules = {"m0": Module("m0", {"i": ("i",)}, {"o": ("o",)}, [Cell("not", ("i",), ("o",))])}
    for k in range(1, 40):
        pair = [Instance(f"u{j}", f"m{k - 1}", {"i": ("i",)}) for j in range(2)]
        modules[f"m{k}"] = Module(f"m{k}", {"i": ("i",)}, {"o": ("i",)}, [], pair)
    with pytest.raises(NetlistError, match="more than 20000 cells"):
        flatten(modules, "m39")


# ---------------------------------------------------------------- multipliers


@pytest.mark.parametrize(("n", "m"), [(8, 8), (5, 3), (1, 1), (3, 7)])
@pytest.mark.parametrize("swapped", [False, True])
def test_array_multipliers_over_all_pairs(n, m, swapped):
    multiplier = NetlistMultiplier(array(n, m, swapped=swapped), f"{n}u", f"{m}u")
    assert multiplier.operands == ("A", "B")
    assert multiplier.table().tolist() == [[a * b for b in range(1 << m)] for a in range(1 << n)]


@pytest.mark.parametrize(("n", "m"), [(8, 8), (4, 6), (6, 3)])
def test_baugh_wooley_over_all_pairs(n, m):
    multiplier = NetlistMultiplier(array(n, m, signed=True))
    assert (multiplier.a.label, multiplier.b.label, multiplier.signed) == (f"{n}s", f"{m}s", True)
    products = [[a * b for b in range(-(1 << m - 1), 1 << m - 1)] for a in range(-(1 << n - 1), 1 << n - 1)]
    assert multiplier.table().tolist() == products


@pytest.mark.parametrize("circuit", [array(4, 3), array(5, 5, signed=True), array(16, 16, name="wide")])
def test_contract(circuit):
    multiplier = NetlistMultiplier(circuit)
    check_multiplier(multiplier)
    assert multiplier != NetlistMultiplier(array(4, 4))
    assert pickle.loads(pickle.dumps(multiplier)).circuit == circuit  # noqa: S301 - bytes of our own


def test_width_and_sign_of_the_result():
    circuit = array(4, 4, signed=True)
    low = Circuit("low", circuit.inputs, (Port("O", circuit.outputs[0].nets[:5]),), circuit.gates)
    exact = multipliers.get("exact4s").table()
    np.testing.assert_array_equal(NetlistMultiplier(low, "4s").table(), (exact + 16) % 32 - 16)
    np.testing.assert_array_equal(NetlistMultiplier(low, "4s", signed=False).table(), exact % 32)
    wide = Circuit("wide", circuit.inputs, (Port("O", (*circuit.outputs[0].nets, 0, 0)),), circuit.gates)
    np.testing.assert_array_equal(NetlistMultiplier(wide, "4s").table(), exact % 256)


def test_operands_by_name():
    assert NetlistMultiplier(array(3, 2, names=("in1", "in2"), swapped=True)).operands == ("in1", "in2")
    assert NetlistMultiplier(array(3, 2, names=("X", "y"))).operands == ("X", "y")
    odd = array(3, 2, names=("left", "right"))
    with pytest.raises(NetlistError, match=r"pass operands=\('left', 'right'\)"):
        NetlistMultiplier(odd)
    assert NetlistMultiplier(odd, operands=("right", "left")).a.bits == 2
    with pytest.raises(NetlistError, match="but the inputs"):
        NetlistMultiplier(odd, operands=("left", "left"))


def test_three_inputs_and_several_outputs():
    cells = [Cell("and", ("a", "b"), ("o",)), Cell("or", ("a", "b"), ("f",))]
    ports = {"a": ["a"], "b": ["b"]}
    with pytest.raises(NetlistError, match=r"two inputs; circuit 'm' has 3: .*'clk'"):
        NetlistMultiplier(assemble("m", {**ports, "clk": ["clk"]}, {"o": ["o"]}, cells))
    assert NetlistMultiplier(assemble("m", ports, {"flag": ["f"], "p": ["o"]}, cells), "1u").output == "p"
    several = assemble("m", ports, {"flag": ["f"], "other": ["o"]}, cells)
    with pytest.raises(NetlistError, match="which output"):
        NetlistMultiplier(several, "1u")
    assert NetlistMultiplier(several, "1u", output="other").table().tolist() == [[0, 0], [0, 1]]
    with pytest.raises(NetlistError, match="no output port"):
        NetlistMultiplier(several, "1u", output="absent")


def test_formats_that_do_not_fit_and_signs_that_cannot_be_told():
    circuit = array(4, 4)
    with pytest.raises(NetlistError, match="port 'B' of 'array' has 4 bits"):
        NetlistMultiplier(circuit, "4u", "5u")
    with pytest.raises(NetlistError, match="without a"):
        NetlistMultiplier(circuit, b="4u")
    with pytest.raises(ParameterError, match="4z"):
        NetlistMultiplier(circuit, "4z")
    nothing = assemble("zero", {"a": list("wxyz"), "b": list("pqrs")}, {"o": [Constant.ZERO] * 8}, [])
    with pytest.raises(NetlistError, match="cannot tell the signs"):
        NetlistMultiplier(nothing)
    huge = assemble("huge", {"a": [f"a{i}" for i in range(33)], "b": ["b"]}, {"o": ["b"]}, [])
    with pytest.raises(NetlistError, match="33 bits; operands have at most 32"):
        NetlistMultiplier(huge)
    with pytest.raises(NetlistError, match="65 bits"):
        NetlistMultiplier(assemble("huge", {"a": ["a"], "b": ["b"]}, {"o": ["b"] * 65}, []))


def test_mixed_signs_are_guessed_of_wide_operands_too():
    signed = NetlistMultiplier(array(12, 12, signed=True))
    assert (signed.a.label, signed.b.label) == ("12s", "12s")
    assert NetlistMultiplier(array(14, 10)).b.label == "10u"


def test_a_table_takes_milliseconds():
    multiplier = NetlistMultiplier(array(8, 8))
    multiplier.table()
    times = []
    for _ in range(5):
        start = time.perf_counter()
        multiplier.table()
        times.append(time.perf_counter() - start)
    assert min(times) < 0.05


# ---------------------------------------------------------------- names


def test_bits_are_grouped_by_index():
    for style in ("{}[{}]", "{}<{}>", "{}({})", "{}_{}_", "{}_{}", "{}{}"):
        names = [style.format(p, i) for p in ("a", "b") for i in (10, 2, 0, 1, *range(3, 10))]
        assert group_bits(names) == {p: [style.format(p, i) for i in range(11)] for p in ("a", "b")}
    with pytest.raises(NetlistError, match="without bit 1"):
        group_bits(["a[0]", "a[2]"])
    with pytest.raises(NetlistError, match="occurs twice"):
        group_bits(["a[0]", "a<0>"])
    with pytest.raises(NetlistError, match="same name"):
        group_bits(["a", "a[0]"])


def test_standard_cells_are_gates():
    for cell in STANDARD_CELLS.values():
        Gate(cell.kind, tuple(range(2, 2 + len(cell.inputs))))


@pytest.mark.parametrize(
    ("spelt", "plain"),
    [
        ("PDKGENHAX1", "HAX1"),
        ("PDKGENFAX1", "FAX1"),
        ("PDKGENNAND3X1", "NAND3X1"),
        ("PDKGEPDKGENNAND2X1", "AND2X1"),
        ("NPDKGEPDKGENNAND2X1", "NAND2X1"),
        ("PDKGEPDKGENNOR2X1", "OR2X1"),
        ("PDKGENNPDKGENOR2X1", "NOR2X1"),
        ("PDKGENXPDKGENOR2X1", "XOR2X1"),
        ("XPDKGEPDKGENNOR2X1", "XOR2X1"),
        ("XNPDKGEPDKGENNOR2X1", "XNOR2X1"),
        ("XPDKGENNPDKGENOR2X1", "XNOR2X1"),
    ],
)
def test_generic_names_of_cells(spelt, plain):
    assert standard_cell(spelt) == STANDARD_CELLS[plain]


def test_generic_multiplexer_does_not_invert():
    assert standard_cell("PDKGENMUX2X1") == StandardCell("mux", ("A", "B", "S"), ("Y",))
    assert standard_cell("MUX2X1") == StandardCell("nmux", ("B", "A", "S"), ("Y",))
    assert standard_cell("PDKGEN") is standard_cell("MUX2X1PDKGENX") is None


def test_ports_without_bits_are_no_ports():
    with pytest.raises(NetlistError, match="input port 'b' of circuit 'm' has no bits"):
        assemble("m", {"a": ["a"], "b": []}, {"o": ["a"]}, [])
    with pytest.raises(NetlistError, match="output port 'o' of circuit 'm' has no bits"):
        assemble("m", {"a": ["a"], "b": ["b"]}, {"o": []}, [])


def test_library_cells_are_counted_but_say_nothing_of_the_function():
    cells = [Cell("fa", ("a", "b", "c"), ("s", "t"), cell="FAX1"), Cell("not", ("t",), ("u",), cell="INVX2")]
    cells.append(Cell("and", ("s", "u"), ("v",), cell=""))
    ports = {"a": ["a"], "b": ["b"], "c": ["c"]}
    circuit = assemble("m", ports, {"o": ["v"]}, cells)
    assert circuit.cells == {"FAX1": 1, "INVX2": 1}
    plain = assemble("m", ports, {"o": ["v"]}, [Cell(c.kind, c.inputs, c.outputs) for c in cells])
    assert plain.cells == {}
    assert plain == circuit
    assert hash(plain) == hash(circuit)


@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 63, 64, 65, 64 * BLOCK_WORDS - 1, 64 * BLOCK_WORDS + 9])
def test_any_number_of_patterns(n):
    """Words, bytes and blocks that are not full, and complemented outputs."""
    cells = [Cell("nand", (f"a{i}", f"b{i}"), (f"n{i}",)) for i in range(11)]
    ports = {x: [f"{x}{i}" for i in range(11)] for x in "ab"}
    circuit = assemble("nands", ports, {"o": [*(f"n{i}" for i in range(11)), "a10", "b0"]}, cells)
    a, b = np.random.default_rng(n).integers(0, 1 << 11, (2, n))
    expected = (~(a & b) & 0x7FF) | (a >> 10 << 11) | ((b & 1) << 12)
    np.testing.assert_array_equal(simulate(circuit, {"a": a, "b": b})["o"], expected)
