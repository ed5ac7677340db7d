import json

import numpy as np
import pytest

from multipliers.errors import NetlistError
from multipliers.netlist import NetlistMultiplier, simulate
from multipliers.readers.yosys_json import SIMPLE_CELLS, parse_yosys_json, read_yosys_json


def module(ports, cells, **attributes):
    """A module as write_json gives it: ports (direction, bits), cells (type, connections[, parameters])."""
    return {
        "attributes": attributes,
        "ports": {name: {"direction": direction, "bits": bits} for name, (direction, bits) in ports.items()},
        "cells": {
            f"u{i}": {"type": kind, "parameters": dict(*parameters), "connections": pins}
            for i, (kind, pins, *parameters) in enumerate(cells)
        },
        "netnames": {name: {"bits": bits} for name, (_, bits) in ports.items()},
    }


def design(**modules):
    return json.dumps({"creator": "a test", "modules": modules})


FA = module(
    {"x": ("input", [2, 3, 4]), "s": ("output", [5]), "co": ("output", [6])},
    [
        ("$lut", {"A": [2, 3, 4], "Y": [5]}, {"LUT": "10010110", "WIDTH": "00000000000000000000000000000011"}),
        ("$_AOI3_", {"A": [2], "B": [3], "C": [8], "Y": [9]}),
        ("$_XOR_", {"A": [2], "B": [3], "Y": [7]}),
        ("$_AND_", {"A": [7], "B": [4], "Y": [8]}),
        ("$_NOT_", {"A": [9], "Y": [6]}),
    ],
)


def array_design(n, m, kind):
    """An n x m array multiplier: full adders of a module of the file, or of standard cells."""
    a, b = list(range(2, 2 + n)), list(range(2 + n, 2 + n + m))
    cells, columns = [], [[] for _ in range(n + m + 1)]
    fresh = iter(range(100, 10_000))
    for i in range(n):
        for j in range(m):
            columns[i + j].append(next(fresh))
            cells.append(("$_AND_", {"A": [a[i]], "B": [b[j]], "Y": [columns[i + j][-1]]}))
    for c in range(n + m):
        while len(columns[c]) > 1:
            x, y = columns[c].pop(), columns[c].pop()
            z = columns[c].pop() if columns[c] else "0"
            s, co = next(fresh), next(fresh)
            if kind == "module":
                cells.append(("fa", {"x": [x, y, z], "s": [s], "co": [co]}))
            else:
                cells.append(("FAX1", {"A": [x], "B": [y], "C": [z], "YS": [s], "YC": [co]}))
            columns[c].append(s)
            columns[c + 1].append(co)
    outputs = [(*column, "0")[0] for column in columns[: n + m]]
    ports = {"B": ("input", b), "O": ("output", outputs), "A": ("input", a)}
    return design(fa=FA, mul=module(ports, cells, top="00000000000000000000000000000001"))


@pytest.mark.parametrize(("n", "m"), [(8, 8), (5, 3), (1, 4)])
@pytest.mark.parametrize("kind", ["module", "cell"])
def test_array_multipliers_over_all_pairs(n, m, kind, tmp_path):
    (tmp_path / "m.json").write_text(array_design(n, m, kind))
    multiplier = NetlistMultiplier(read_yosys_json(tmp_path / "m.json"), f"{n}u", f"{m}u")
    assert (multiplier.operands, multiplier.name) == (("A", "B"), "mul")
    assert multiplier.table().tolist() == [[a * b for b in range(1 << m)] for a in range(1 << n)]


def test_standard_cells_are_counted():
    counts = parse_yosys_json(array_design(8, 8, "cell")).counts
    assert set(counts) == {"and", "fa"}


def test_a_module_of_the_file_goes_before_a_standard_cell():
    ports = {"A": ("input", [2]), "Y": ("output", [3])}
    own = module(ports, [("$_BUF_", {"A": [2], "Y": [3]})])
    use = module(ports, [("INVX1", {"A": [2], "Y": [3]})])
    assert parse_yosys_json(design(INVX1=own, m=use), top="m").counts == {"buf": 1}
    own["attributes"]["blackbox"] = "1"
    assert parse_yosys_json(design(INVX1=own, m=use)).counts == {"not": 1}


MEANING = {  # the text of Yosys' simcells.v
    "$_BUF_": "A",
    "$_NOT_": "~A",
    "$_AND_": "A & B",
    "$_NAND_": "~(A & B)",
    "$_OR_": "A | B",
    "$_NOR_": "~(A | B)",
    "$_XOR_": "A ^ B",
    "$_XNOR_": "~(A ^ B)",
    "$_ANDNOT_": "A & (~B)",
    "$_ORNOT_": "A | (~B)",
    "$_MUX_": "(S & B) | (~S & A)",
    "$_NMUX_": "~((S & B) | (~S & A))",
    "$_AOI3_": "~((A & B) | C)",
    "$_OAI3_": "~((A | B) & C)",
    "$_AOI4_": "~((A & B) | (C & D))",
    "$_OAI4_": "~((A | B) & (C | D))",
}


@pytest.mark.parametrize("kind", MEANING)
def test_simple_cells_over_all_inputs(kind):
    pins = [pin for pin in "ABCDS" if pin in MEANING[kind]]
    connections = {pin: [2 + i] for i, pin in enumerate(pins)}
    nets = list(range(2, 2 + len(pins)))
    text = design(m=module({"x": ("input", nets), "o": ("output", [9])}, [(kind, {**connections, "Y": [9]})]))
    got = simulate(parse_yosys_json(text), {"x": np.arange(1 << len(pins))})["o"]
    for code, bit in enumerate(got.tolist()):
        values = {pin: code >> i & 1 for i, pin in enumerate(pins)}
        assert bit == eval(MEANING[kind], {}, values) & 1  # noqa: S307 - a text above
    assert set(MEANING) == set(SIMPLE_CELLS)


@pytest.mark.parametrize("n", [1, 2, 3, 5, 8])
def test_luts(n):
    table = np.random.default_rng(n).integers(0, 2, 1 << n)
    text = "".join(map(str, table[::-1]))
    nets = list(range(2, 2 + n))
    ports = {"x": ("input", nets), "o": ("output", [99])}
    circuit = parse_yosys_json(design(m=module(ports, [("$lut", {"A": nets, "Y": [99]}, {"LUT": text})])))
    assert simulate(circuit, {"x": np.arange(1 << n)})["o"].tolist() == table.tolist()


def test_top_is_marked_given_or_the_only_module():
    inverter = module({"x": ("input", [2]), "o": ("output", [3])}, [("$_NOT_", {"A": [2], "Y": [3]})])
    assert parse_yosys_json(design(only=inverter)).name == "only"
    assert parse_yosys_json(design(one=inverter, two=inverter), top="two").name == "two"
    with pytest.raises(NetlistError, match=r"which module is the top \('one', 'two'\)"):
        parse_yosys_json(design(one=inverter, two=inverter))
    with pytest.raises(NetlistError, match="no module 'three'"):
        parse_yosys_json(design(one=inverter, two=inverter), top="three")


def test_undefined_bits_are_errors_unless_a_value_is_given():
    text = design(m=module({"x": ("input", [2]), "o": ("output", [2, "x"])}, []))
    with pytest.raises(NetlistError, match=r"undefined=0.*port 'o'"):
        parse_yosys_json(text)
    assert simulate(parse_yosys_json(text, undefined=1), {"x": 0})["o"] == 2
    with pytest.raises(NetlistError, match="0 or 1, got 2"):
        parse_yosys_json(text, undefined=2)


PORTS = {"a": ("input", [2]), "b": ("input", [3]), "o": ("output", [4])}


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ([], "net 'o', read by an output of 'm', has no driver"),
        ([("$_AND_", {"A": [2], "B": [7], "Y": [4]})], "net '7', read by|net 7, read by"),
        ([("$_NOT_", {"A": [2], "Y": [4]}), ("$_NOT_", {"A": [3], "Y": [4]})], "net 'o' is driven twice"),
        ([("$_AND_", {"A": [2], "B": [4], "Y": [4]})], "loop: 'o'"),
        ([("$_DFF_P_", {"C": [2], "D": [3], "Q": [4]})], "cell 'u0' of module 'm' is a register"),
        ([("$_DLATCH_P_", {"E": [2], "D": [3], "Q": [4]})], "register or memory"),
        ([("$mem_v2", {})], "register or memory"),
        ([("$mul", {"A": [2], "B": [3], "Y": [4]})], "'\\$mul', which is no simple gate; map the design"),
        ([("$_AND_", {"A": [2], "Y": [4]})], "not connected \\['B'\\]"),
        ([("$_AND_", {"A": [2, 3], "B": [3], "Y": [4]})], "not one bit \\['A'\\]"),
        ([("$_AND_", {"A": [2], "B": [3], "Q": [4]})], "unknown \\['Q'\\]"),
        ([("absent", {"A": [2]})], "no such module"),
        ([("m", {"a": [2]})], "cannot contain itself"),
        ([("$lut", {"A": [2], "Y": [4]}, {"LUT": "0110"})], "not 2 bits"),
        ([("$lut", {"A": [2], "Y": [4]}, {"LUT": "0z"})], "not 2 bits"),
        ([("$lut", {"A": [2], "Y": [4]})], "not 2 bits: 'None'"),
        ([("$lut", {"A": [2] * 40, "Y": [4]}, {"LUT": "1"})], "40 inputs"),
        ([("$_NOT_", {"A": ["q"], "Y": [4]})], "bit 'q'"),
        ([("$_NOT_", {"A": [True], "Y": [4]})], "bit True"),
        ([("$_NOT_", {"A": 2, "Y": [4]})], "bit"),
    ],
)
def test_cells_that_make_no_circuit(cells, message):
    with pytest.raises(NetlistError, match=message):
        parse_yosys_json(design(m=module(PORTS, cells)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not JSON, or truncated"),
        ("{", "not JSON, or truncated"),
        ("[" * 100_000, "not JSON"),
        ("[]", "no 'modules'"),
        ('{"modules": []}', "no 'modules'"),
        ('{"modules": {}}', r"top \(none\)"),
        ('{"modules": {"m": 3}}', "module 'm' has no 'ports'"),
        ('{"modules": {"m": {"ports": {"a": {"direction": "input"}}}}}', "port 'a' of module 'm' has no 'bits'"),
        ('{"modules": {"m": {"ports": {"a": {"direction": "inout", "bits": [2]}}}}}', "'inout'"),
        ('{"modules": {"m": {"ports": {"a": {"direction": "input", "bits": []}}}}}', "no bits"),
        ('{"modules": {"m": {"ports": {}, "cells": {"u": {"type": "$_NOT_"}}}}}', "cell 'u' .*no 'connections'"),
        ('{"modules": {"m": {"ports": {}, "cells": [1]}}}', "cells"),
    ],
)
def test_files_that_are_no_netlist(text, message, tmp_path):
    (tmp_path / "m.json").write_text(text)
    with pytest.raises(NetlistError, match=message) as caught:
        read_yosys_json(tmp_path / "m.json")
    assert "m.json" in str(caught.value)


def test_truncation_is_an_error():
    text = array_design(3, 3, "module")
    for length in range(0, len(text) - 1, 41):
        with pytest.raises(NetlistError):
            parse_yosys_json(text[:length])


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        read_yosys_json(tmp_path / "absent.json")
    with pytest.raises(FileNotFoundError, match="is a folder"):
        read_yosys_json(tmp_path)
    (tmp_path / "m.json").write_bytes(b"\xff\xfe")
    with pytest.raises(NetlistError, match="not a JSON netlist"):
        read_yosys_json(tmp_path / "m.json")
