import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multipliers.errors import NetlistError
from multipliers.netlist import NetlistMultiplier, simulate
from multipliers.readers.blif import parse_blif, read_blif

ADDERS = """
.model fa
.inputs a b c
.outputs s co
.names a b c s
100 1
010 1
001 1
111 1
.names a b c co
11- 1
1-1 1
-11 1
.end
.model ha # sum by its zeros
.inputs a b
.outputs s co
.names a b s
00 0
11 0
.names a b co
11 1
.end
"""


def array_blif(n, m, style="{}[{}]", hierarchical=True):
    """An n x m array multiplier as BLIF text: ports A, B, O."""
    lines, columns = [], [[] for _ in range(n + m)]
    for i in range(n):
        for j in range(m):
            lines.append(f".names {style.format('A', i)} {style.format('B', j)} p{i}x{j}\n11 1")
            columns[i + j].append(f"p{i}x{j}")
    for c, column in enumerate(columns):
        while len(column) > 1:
            k = len(lines)
            taken = [column.pop(0) for _ in range(min(3, len(column)))]
            s, co = f"s_{k}x", f"c_{k}x"
            if hierarchical:
                pins = " ".join(f"{pin}={net}" for pin, net in zip("abc", taken, strict=False))
                lines.append(f".subckt {'fa' if len(taken) == 3 else 'ha'} {pins} s={s} \\\n  co={co}")
            elif len(taken) == 3:
                lines.append(f".gate FAX1 A={taken[0]} B={taken[1]} C={taken[2]} YS={s} YC={co}")
            else:
                lines.append(f".gate HAX1 A={taken[0]} B={taken[1]} YS={s} YC={co}")
            column.append(s)
            if c + 1 < n + m:
                columns[c + 1].append(co)
    for c, column in enumerate(columns):
        lines.append(f".names {' '.join([*column, style.format('O', c)])}\n{'1 1' if column else '# zero'}")
    inputs = [style.format(p, i) for p, width in (("B", m), ("A", n)) for i in reversed(range(width))]
    head = f".model top\n.inputs {' '.join(inputs)}\n.outputs {' '.join(style.format('O', c) for c in range(n + m))}\n"
    return head + "\n".join(lines) + "\n.end\n" + (ADDERS if hierarchical else "")


@pytest.mark.parametrize(("n", "m"), [(8, 8), (5, 3), (1, 4)])
@pytest.mark.parametrize("style", ["{}[{}]", "{}_{}_", "{}{}"])
@pytest.mark.parametrize("hierarchical", [True, False])
def test_array_multipliers_over_all_pairs(n, m, style, hierarchical, tmp_path):
    (tmp_path / "m.blif").write_text(array_blif(n, m, style, hierarchical))
    multiplier = NetlistMultiplier(read_blif(tmp_path / "m.blif"), f"{n}u", f"{m}u")
    assert (multiplier.operands, multiplier.output) == (("A", "B"), "O")
    assert multiplier.table().tolist() == [[a * b for b in range(1 << m)] for a in range(1 << n)]


def test_gates_are_counted_by_what_they_compute():
    counts = parse_blif(array_blif(4, 4, hierarchical=False)).counts
    assert counts == {"and": 16, "buf": 8, "fa": 8, "ha": 4}
    assert set(parse_blif(array_blif(4, 4)).counts) == {"and", "buf", "xor", "lut"}


covers = st.integers(1, 8).flatmap(
    lambda n: st.tuples(st.lists(st.text("01-", min_size=n, max_size=n), min_size=1, max_size=5), st.sampled_from("01"))
)


@given(st.lists(covers, min_size=1, max_size=6), st.integers(0, 2**32))
@settings(max_examples=100)
def test_random_covers_equal_a_slow_evaluator(drawn, seed):
    rng = np.random.default_rng(seed)
    nets = [f"x[{i}]" for i in range(8)]
    lines, logic = [], []
    for k, (cubes, value) in enumerate(drawn):
        read = [nets[i] for i in rng.integers(0, len(nets), len(cubes[0]))]
        lines.append(f".names {' '.join(read)} n{k}z\n" + "\n".join(f"{cube} {value}" for cube in cubes))
        logic.append((read, cubes, value, f"n{k}z"))
        nets.append(f"n{k}z")
    rng.shuffle(lines)
    text = f".model r\n.inputs {' '.join(nets[:8])}\n.outputs {nets[-1]}\n" + "\n".join(lines) + "\n.end"
    circuit = parse_blif(text)
    codes = rng.integers(0, 256, 20)
    got = simulate(circuit, {"x": codes})[nets[-1]]
    for code, bit in zip(codes.tolist(), got.tolist(), strict=True):
        values = {f"x[{i}]": str(code >> i & 1) for i in range(8)}
        for read, cubes, value, output in logic:
            hit = any(all(c in ("-", values[x]) for c, x in zip(cube, read, strict=True)) for cube in cubes)
            values[output] = value if hit else str(1 - int(value))
        assert bit == int(values[nets[-1]])


def test_constants_comments_continuations_and_exdc():
    text = """# a comment
.model c  # another
.inputs a \\
        b
.outputs z o k u
.names z
.names o
1
.names k   # the zeros: none
0
.names a b u
.exdc
.names a b u
11 1
.end
"""
    result = simulate(parse_blif(text), {"a": [0, 1], "b": [1, 1]})
    assert {port: values.tolist() for port, values in result.items()} == {
        "z": [0, 0],
        "o": [1, 1],
        "k": [0, 0],
        "u": [0, 0],
    }


def test_top_is_chosen():
    assert parse_blif(array_blif(3, 3), top="ha").outputs[0].name == "s"
    with pytest.raises(NetlistError, match="no module 'absent'"):
        parse_blif(array_blif(3, 3), top="absent")


HEAD = ".model m\n.inputs a b\n.outputs o\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no .model"),
        ("module m(A, B, O);", "is it a BLIF file"),
        (HEAD + ".names a b o\n11 1\n", "no .end: the file is truncated"),
        (HEAD + ".names a b o\n11 1\n.end\n.model x", "'x' has no .end"),
        (HEAD + ".names a b \\", "ends within a line"),
        (HEAD + ".names a b o\n1 1\n.end", "line 5: '1 1' is no row of a cover of 2 inputs"),
        (HEAD + ".names a b o\n1x 1\n.end", "no row"),
        (HEAD + ".names a b o\n11 1\n00 0\n.end", "not both"),
        (HEAD + "11 1\n.end", "outside of a .names"),
        (HEAD + ".names\n.end", "needs at least"),
        (HEAD + ".names a q o\n11 1\n.end", "'q', read by .* no driver"),
        (HEAD + ".names a o\n1 1\n.names b o\n1 1\n.end", "'o' is driven twice"),
        (HEAD + ".names o a\n1 1\n.end", "'a' is driven twice"),
        (HEAD + ".names a x o\n11 1\n.names o x\n1 1\n.end", "has a loop"),
        (HEAD + ".latch a o re clk 0\n.end", r"line 4: '.latch a o re clk 0' makes the circuit sequential"),
        (HEAD + ".subckt add x=a y=b z=o\n.end", "no such module"),
        (HEAD + ".subckt m a=a b=b o=o\n.end", "cannot contain itself"),
        (HEAD + ".subckt add a b o\n.end", "no connection 'port=net'"),
        (HEAD + ".gate FAX1 A=a B=b YS=o\n.end", r"not connected \['C'\]"),
        (HEAD + ".magic\n.end", "'.magic' is not understood"),
        (HEAD + ".end\n.names a o\n1 1\n.end", "after .end"),
        (HEAD + ".end\n" + HEAD + ".end", "'m' is defined twice"),
        (".model m\n.inputs a a\n.outputs o\n.names a o\n1 1\n.end", "occurs twice|'a' twice"),
        (".model m\n.inputs a[0] a[99999]\n.outputs o\n.names a[0] o\n1 1\n.end", "without bit 1"),
    ],
)
def test_files_that_are_no_circuit(text, message, tmp_path):
    (tmp_path / "m.blif").write_text(text)
    with pytest.raises(NetlistError, match=message) as caught:
        read_blif(tmp_path / "m.blif")
    assert "m.blif" in str(caught.value)


def test_truncation_is_an_error_or_the_same_circuit():
    text = array_blif(3, 3)
    whole = parse_blif(text)
    for length in range(0, len(text), 5):
        try:
            assert parse_blif(text[:length]) == whole
        except NetlistError:
            continue


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        read_blif(tmp_path / "absent.blif")
    with pytest.raises(FileNotFoundError, match="is a folder"):
        read_blif(tmp_path)
    (tmp_path / "m.blif").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(NetlistError, match="not a BLIF file"):
        read_blif(tmp_path / "m.blif")
