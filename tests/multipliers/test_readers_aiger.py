import numpy as np
import pytest

from multipliers.errors import NetlistError
from multipliers.netlist import NetlistMultiplier, simulate
from multipliers.readers.aiger import parse_aiger, read_aiger


class Graph:
    """An and-inverter graph while it is built: literals are 2 * variable + complemented."""

    def __init__(self, n_inputs):
        self.n_inputs, self.ands = n_inputs, []

    def and_(self, x, y):
        self.ands.append((2 * (self.n_inputs + len(self.ands) + 1), max(x, y), min(x, y)))
        return self.ands[-1][0]

    def xor(self, x, y):
        return self.and_(self.and_(x, y) ^ 1, self.and_(x ^ 1, y ^ 1) ^ 1)

    def full_adder(self, x, y, z):
        half = self.xor(x, y)
        return self.xor(half, z), self.and_(self.and_(x, y) ^ 1, self.and_(half, z) ^ 1) ^ 1

    def array(self, n, m):
        columns = [[] for _ in range(n + m + 1)]
        for i in range(n):
            for j in range(m):
                columns[i + j].append(self.and_(2 + 2 * i, 2 + 2 * (n + j)))
        for c in range(n + m):
            while len(columns[c]) > 1:
                taken = [columns[c].pop() for _ in range(min(3, len(columns[c])))]
                s, carry = self.full_adder(*taken) if len(taken) == 3 else (self.xor(*taken), self.and_(*taken))
                columns[c].append(s)
                columns[c + 1].append(carry)
        return [(*column, 0)[0] for column in columns[: n + m]]

    def ascii(self, outputs, symbols="", shuffle=False):
        ands = self.ands[::-1] if shuffle else self.ands
        lines = [f"aag {self.n_inputs + len(ands)} {self.n_inputs} 0 {len(outputs)} {len(ands)}"]
        lines += [str(2 * i + 2) for i in range(self.n_inputs)] + [str(x) for x in outputs]
        return ("\n".join([*lines, *(f"{x} {y} {z}" for x, y, z in ands)]) + "\n" + symbols).encode()

    def binary(self, outputs, symbols=""):
        head = f"aig {self.n_inputs + len(self.ands)} {self.n_inputs} 0 {len(outputs)} {len(self.ands)}\n"
        data = bytearray((head + "".join(f"{x}\n" for x in outputs)).encode())
        for left, x, y in self.ands:
            for delta in (left - x, x - y):
                while delta > 127:
                    data.append(delta & 127 | 128)
                    delta >>= 7
                data.append(delta)
        return bytes(data) + symbols.encode()


def names(n, m):
    bits = [f"A[{i}]" for i in range(n)] + [f"B[{j}]" for j in range(m)]
    inputs = "".join(f"i{i} {bit}\n" for i, bit in enumerate(bits))
    return inputs + "".join(f"o{c} O[{c}]\n" for c in range(n + m)) + "c\nwritten by a test\n\x00"


@pytest.mark.parametrize(("n", "m"), [(8, 8), (5, 3), (2, 6)])
@pytest.mark.parametrize("form", ["ascii", "shuffled", "binary"])
@pytest.mark.parametrize("named", [True, False])
def test_array_multipliers_over_all_pairs(n, m, form, named, tmp_path):
    graph = Graph(n + m)
    outputs = graph.array(n, m)
    symbols = names(n, m) if named else ""
    data = graph.binary(outputs, symbols) if form == "binary" else graph.ascii(outputs, symbols, form == "shuffled")
    (tmp_path / "m.aig").write_bytes(data)
    circuit = read_aiger(tmp_path / "m.aig", widths=None if named else (n, m))
    multiplier = NetlistMultiplier(circuit, f"{n}u", f"{m}u")
    assert multiplier.output == ("O" if named else "o")
    assert multiplier.table().tolist() == [[a * b for b in range(1 << m)] for a in range(1 << n)]


@pytest.mark.parametrize("seed", range(20))
def test_random_graphs_equal_a_slow_evaluator(seed):
    rng = np.random.default_rng(seed)
    graph = Graph(6)
    for k in range(40):
        graph.and_(*rng.integers(0, 2 * (6 + k) + 2, 2).tolist())
    outputs = rng.integers(0, 2 * 46 + 2, 5).tolist()
    circuits = [parse_aiger(graph.ascii(outputs), widths=(2, 4)), parse_aiger(graph.binary(outputs), widths=(2, 4))]
    for code in range(64):
        value = {0: 0, **{2 * i + 2: code >> i & 1 for i in range(6)}}
        for left, x, y in graph.ands:
            value[left] = (value[x & ~1] ^ x & 1) & (value[y & ~1] ^ y & 1)
        expected = sum((value[x & ~1] ^ x & 1) << i for i, x in enumerate(outputs))
        for circuit in circuits:
            assert simulate(circuit, {"a": code & 3, "b": code >> 2})["o"] == expected


def test_inputs_need_names_or_widths():
    graph = Graph(4)
    data = graph.ascii(graph.array(2, 2))
    with pytest.raises(NetlistError, match=r"names 0 of its 4 inputs.*pass widths"):
        parse_aiger(data)
    with pytest.raises(NetlistError, match="do not add up to the 4 inputs"):
        parse_aiger(data, widths=(3, 2))
    with pytest.raises(NetlistError, match="names two ports"):
        parse_aiger(data + b"i0 a\ni1 a\ni2 b\ni3 c\no0 w\no1 x\no2 y\no3 z\n")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not an AIGER file"),
        (b"\x89PNG\r\n", "not an AIGER file"),
        (b"aag 1 1 0\n", "is not 'aag M I L O A'"),
        (b"aag x 1 0 1 0\n2\n2\n", "is not 'aag"),
        (b"aag 3 2 0 1 1", "is not 'aag"),
        (b"aag 3 2 1 1 0\n2\n4\n6 2\n6\n", "1 latches"),
        (b"aag 3 2 0 1 1 1\n2\n4\n6\n6 4 2\n", "properties"),
        (b"aag 99999999999 2 0 1 99999999990\n2\n4\n", "announces more"),
        (b"aig 9999999 2 0 1 9999997\n6\n", "announces more"),
        (b"aag 2 2 0 1 1\n2\n4\n6\n6 4 2\n", "2 variables for 2 inputs and 1 gates"),
        (b"aig 4 2 0 1 1\n6\n\x02\x02", "4 variables"),
        (b"aag 3 2 0 2 1\n2\n4\n6\n6 4 2\n", "announces more"),
        (b"aag 4 3 0 1 1\n2\n4\n6\n6 4 2\n8 4 2\n", "line of 1 literals"),
        (b"aag 3 2 0 1 1\n2\n4\n6\n6 4\nc\n", "line of 3 literals"),
        (b"aag 3 2 0 1 1\n2\n4\n6\n6 8 2\n", "literal 8 is above 7"),
        (b"aag 3 2 0 1 1\n2\n4\n6\n7 4 2\n", "literal 7 cannot be defined"),
        (b"aag 3 2 0 1 1\n2\n4\n6\n4 4 2\n", "driven twice"),
        (b"aag 3 2 0 1 1\n2\n2\n6\n6 4 2\n", "driven twice"),
        (b"aag 4 2 0 1 1\n2\n4\n6\n6 8 2\n", "no driver"),
        (b"aag 4 2 0 1 2\n2\n4\n6\n6 8 2\n8 6 2\n", "has a loop"),
        (b"aag 3 2 0 1 1\n2\n4\n6\n6 4 2\ni5 x\n", "no symbol"),
        (b"aig 3 2 0 1 1\n6\n\x02\xff\xff\xff\xff\xff\xff\xff", "not in the binary"),
        (b"aig 3 2 0 1 1\n6\n\x02\x82", "truncated"),
        (b"aig 3 2 0 1 1\n6\n\x09\x02", "reads literal -3"),
    ],
)
def test_files_that_are_no_circuit(data, message, tmp_path):
    (tmp_path / "m.aig").write_bytes(data)
    with pytest.raises(NetlistError, match=message) as caught:
        read_aiger(tmp_path / "m.aig", widths=(1, 1))
    assert "m.aig" in str(caught.value)


@pytest.mark.parametrize("form", ["ascii", "binary"])
def test_truncation_is_an_error_or_the_same_circuit(form):
    graph = Graph(6)
    data = getattr(graph, form)(graph.array(3, 3), names(3, 3))
    whole = parse_aiger(data)
    for length in range(len(data)):
        try:
            assert parse_aiger(data[:length]) == whole
        except NetlistError:
            continue


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        read_aiger(tmp_path / "absent.aig")
    with pytest.raises(FileNotFoundError, match="is a folder"):
        read_aiger(tmp_path)
