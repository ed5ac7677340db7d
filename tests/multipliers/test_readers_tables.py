import json

import numpy as np
import pytest

import multipliers
from multipliers import OperandFormat, ParameterError, TableError, TableMultiplier, UnknownNameError
from multipliers.readers.layout import Layout
from multipliers.readers.tables import FORMATS, read_table
from multipliers.writers.tables import WRITERS, write_table

S8, U8 = OperandFormat(8, True), OperandFormat(8)
HOLDS = {
    "tfapprox": ("8u", "8s"),
    "adapt": ("8s",),
    "transaxx": ("8s",),
    "approxtorch": ("8u", "8s"),
    "tram": ("8u", "8s", "other"),
    "approxflow": ("8u",),
    "torchapprox": ("8s",),
    "npy": ("8u", "8s", "other"),
    "npz": ("8u", "8s", "other"),
    "csv": ("8u", "8s", "other"),
}


def noise(a, b, seed=0):
    """Asymmetric random products of which f(0, 0) is not 0."""
    a, b = OperandFormat.parse(a), OperandFormat.parse(b)
    bits = a.bits + b.bits
    low, high = (-(1 << (bits - 1)), 1 << (bits - 1)) if a.signed or b.signed else (0, 1 << bits)
    table = np.random.default_rng(seed).integers(low, high, (a.size, b.size))
    table[-a.minimum, -b.minimum] = 77 % high
    assert not np.array_equal(table, table.T)
    return TableMultiplier(table, a, b, name="noise")


@pytest.fixture(scope="module")
def circuits(shared):
    found = []
    for entry in json.loads((shared / "evoapprox" / "index.json").read_text()):
        sign = "s" if entry["signed"] else "u"
        with np.load(shared / "evoapprox" / f"{entry['name']}.npz") as archive:
            found.append(
                TableMultiplier(
                    archive["table"], f"{entry['a_bits']}{sign}", f"{entry['b_bits']}{sign}", name=entry["name"]
                )
            )
    assert len(found) == 49
    return found


def test_every_format_is_read_and_written():
    assert set(HOLDS) == set(WRITERS) == {*FORMATS, "npz"}


@pytest.mark.parametrize(("format", "label"), [(f, x) for f, held in HOLDS.items() for x in held if x != "other"])
def test_round_trip_of_noise(format, label, tmp_path):
    """Nothing in the products helps, so whatever the file does not say must be given."""
    table = noise(label, label)
    path = write_table(table, tmp_path / "noise", format)
    read = read_table(
        path, format, label, order="codes" if format == "torchapprox" else "natural" if format == "csv" else None
    )
    assert read.multiplier == table
    assert (read.format, read.multiplier.name) == (format, "noise")
    assert read.multiplier.fingerprint() == table.fingerprint()
    assert int(read.multiplier(0, 0)) == 77


@pytest.mark.parametrize("format", [f for f, held in HOLDS.items() if "other" in held])
@pytest.mark.parametrize("formats", [("5s", "3u"), ("2u", "6s"), ("1u", "2u"), ("7s", "1s")])
def test_round_trip_of_other_operands(format, formats, tmp_path):
    table = noise(*formats)
    read = read_table(write_table(table, tmp_path / "t", format), format, *formats)
    assert read.multiplier == table
    if format != "npy":  # the others say their formats
        assert read_table(tmp_path / "t").multiplier == table


@pytest.mark.parametrize("format", ["tram", "csv", "npz", "npy", "approxtorch", "tfapprox", "adapt", "torchapprox"])
def test_transposed(format, tmp_path):
    table = noise("8s", "8s")
    swapped = TableMultiplier(table.table().T, table.b, table.a)
    read = read_table(write_table(swapped, tmp_path / "t", format), format, "8s", "8s", transposed=format != "npz")
    assert read.multiplier == (swapped if format == "npz" else table)


def test_transposed_with_different_widths(tmp_path):
    table = noise("5s", "3u")
    swapped = TableMultiplier(table.table().T, table.b, table.a)
    for format in ("tram", "csv", "npy"):
        path = write_table(swapped, tmp_path / "t", format)
        read = read_table(path, format, "5s", "3u", transposed=True)
        assert read.multiplier == table
        assert read.layout.transposed


@pytest.mark.parametrize("format", HOLDS)
def test_circuits_need_no_help(format, circuits, tmp_path):
    """Every circuit that a format can hold is written and read back with nothing said: format, signs and order."""
    n_read = 0
    for i, circuit in enumerate(circuits):
        kind = circuit.a.label if circuit.a == circuit.b and circuit.a.bits == 8 else "other"
        if kind not in HOLDS[format]:
            with pytest.raises(TableError, match="operands, but"):
                write_table(circuit, tmp_path / "t", format)
            continue
        if format == "tram" and i % 4:
            continue
        read = read_table(write_table(circuit, tmp_path / "t", format))
        assert read.multiplier == circuit, circuit.name
        assert read.format == ("approxtorch" if format == "approxflow" else format)
        assert read.lint.ok, (circuit.name, str(read.lint))
        n_read += 1
    assert n_read >= 13


# ---------------------------------------------------------------- nothing is guessed


@pytest.mark.parametrize("format", ["tfapprox", "approxtorch", "npy", "torchapprox"])
def test_layouts_that_cannot_be_told_are_listed(format, tmp_path):
    path = write_table(noise("8s", "8s"), tmp_path / "t", format)
    with pytest.raises(TableError, match=r"several layouts fit.*8u x 8u.*Pass format=, a=, b= and order=") as caught:
        read_table(path)
    assert "t: several" in str(caught.value)
    if format == "torchapprox":
        assert "torchapprox, 8s x 8s in codes order" in str(caught.value)
        assert "npy, 8s x 8s in natural order" in str(caught.value)


def test_given_formats_contradict_the_file(tmp_path):
    path = write_table(noise("8s", "8s"), tmp_path / "t", "adapt")
    with pytest.raises(TableError, match=r"cannot hold 8u x 8u operands; it could be adapt: 8s x 8s in codes order"):
        read_table(path, a="8u")
    with pytest.raises(TableError, match="in natural order"):
        read_table(path, order="natural")


def test_given_format_contradicts_the_content(tmp_path):
    path = write_table(multipliers.get("exact8s"), tmp_path / "t", "adapt")
    for format in ("tfapprox", "tram", "approxtorch", "npy", "npz"):
        with pytest.raises(TableError, match="t: "):
            read_table(path, format)
    path = write_table(multipliers.get("exact8s"), tmp_path / "t.npz", "npz")
    with pytest.raises(TableError, match="not adapt"):
        read_table(path, "adapt")


def test_arguments(tmp_path):
    path = write_table(multipliers.get("exact4u"), tmp_path / "t", "csv")
    with pytest.raises(UnknownNameError, match="did you mean 'csv'"):
        read_table(path, "cvs")
    with pytest.raises(UnknownNameError, match="did you mean 'csv'"):
        write_table(multipliers.get("exact4u"), path, "cvs")
    with pytest.raises(ParameterError, match="without a"):
        read_table(path, b="4u")
    with pytest.raises(ParameterError, match="order must be one of"):
        read_table(path, order="up")
    with pytest.raises(ParameterError, match="result must be one of"):
        read_table(path, result="up")
    with pytest.raises(FileNotFoundError, match="does not exist"):
        read_table(tmp_path / "absent")
    with pytest.raises(FileNotFoundError, match="is a folder"):
        read_table(tmp_path)


# ---------------------------------------------------------------- pitfalls seen in the wild


def test_broken_quadrant_is_reported(circuits, tmp_path):
    [circuit] = [c for c in circuits if c.name == "mul8s_1KXF"]
    table = circuit.table().copy()
    table[1:128, 1:128] = table[:128:-1, :128:-1]
    path = write_table(TableMultiplier(table, "8s"), tmp_path / "t.h", "adapt")
    read = read_table(path)
    assert [f.code for f in read.lint.warnings] == ["quadrant"]
    assert "negative x negative product repeats the error of the positive x positive one" in str(read.lint)


def test_operands_exchanged_are_recognised_by_fingerprint(circuits, tmp_path):
    """C and Verilog of one circuit have their operands in different orders."""
    [circuit] = [c for c in circuits if c.name == "mul8u_XFM"]
    known = {c.fingerprint(): c.name for c in circuits}
    path = write_table(TableMultiplier(circuit.table().T, "8u"), tmp_path / "t.bin", "tfapprox")
    read = read_table(path, known=known)
    assert "that of mul8u_XFM with its operands exchanged" in str(read.lint.warnings[0])
    again = read_table(path, known=known, transposed=True)
    assert (again.multiplier, again.lint.ok) == (circuit, True)
    assert "the table is that of mul8u_XFM" in str(again.lint)


def test_same_name_different_circuit(circuits, tmp_path):
    known = {c.fingerprint(): c.name for c in circuits}
    path = write_table(multipliers.get("drum8u_k4"), tmp_path / "t", "csv")
    read = read_table(path, name="mul8u_XFM", known=known)
    assert "same name, different circuit" in str(read.lint.warnings[0])


@pytest.mark.parametrize("format", ["adapt", "approxtorch", "npy", "csv"])
def test_unsigned_products_in_int16(format, circuits, tmp_path):
    for circuit in circuits[::2]:
        if circuit.a != U8 or circuit.b != U8 or circuit.table().max() < 1 << 15:
            continue
        overflowed = circuit.table().astype(np.int16).astype(np.int64)
        if format == "adapt":
            stored = Layout(S8, S8, "codes").decode(overflowed)
            path = write_table(TableMultiplier(stored, "8s"), tmp_path / "t", format)
            allowed = None
        else:
            path = write_table(TableMultiplier(overflowed, "8u"), tmp_path / "t", format)
            allowed = "8u"
        with pytest.raises(TableError, match=r"8u x 8u products that overflowed a signed field of 16 bits"):
            read_table(path, a=allowed)
        lax = read_table(path, a=allowed, strict=False)
        assert [f.code for f in lax.lint.errors][:1] == ["overflow"]
        if allowed:
            assert read_table(path, a="8u", result="wrapped").multiplier == circuit


def test_wrong_order_of_values_is_an_error(tmp_path):
    """A table in natural order under a header that is read in the order of codes."""
    design = multipliers.get("drum8s_k4")
    wrong = TableMultiplier(Layout(S8, S8, "codes").decode(design.table()), "8s")
    path = write_table(wrong, tmp_path / "t.h", "adapt")
    with pytest.raises(TableError, match=r"the table is not 8s x 8s in codes order.*but 8s x 8s in natural order"):
        read_table(path)


# ---------------------------------------------------------------- hostile files


@pytest.mark.parametrize("format", HOLDS)
def test_truncation_is_an_error(format, tmp_path):
    label = "exact8s" if "8s" in HOLDS[format] else "exact8u"
    if format in ("tram", "csv", "npy", "npz"):
        label = "exact4s"
    design = multipliers.get(label)
    path = write_table(design, tmp_path / "t", format)
    content = path.read_bytes().removesuffix(b"\n#endif\n").rstrip(b"\n")
    # a text without its last digits is another whole number: the cut goes through whole lines
    for length in [0, 1, 5, len(content) // 3, len(content) // 2, content.rfind(b"\n") + 1, len(content) - 6]:
        if format == "adapt" and length < len(content) // 3:
            continue
        path.write_bytes(content[:length])
        for given in (None, format):
            with pytest.raises(TableError):
                read_table(path, given, design.a.label)


@pytest.mark.parametrize(
    "content",
    [b"", b" \n\n", b"hello, world\n", b"\x00" * 1000, b"\xff\xfe1\x002\x00", b"<html>", b"{}", b"1 2 3", b"1e400 2",
     b"a,b\n1\n", b"- - - -", b"9" * 100, b"lut[2][2] = {{", b"int lut[99999999][99999999] = {{1}};",
     b"LUT for approximate multiplier:\n", b"LUT for approximate multiplier:\n99999999999 0 1\n0 0 1\n",
     b"LUT for approximate multiplier:\n" + b"-9223372036854775808 0 1\n"],
)  # fmt: skip
def test_other_files_are_refused(content, tmp_path):
    path = tmp_path / "t"
    path.write_bytes(content)
    for format in (None, *FORMATS):
        with pytest.raises(TableError, match="t: "):
            read_table(path, format)


@pytest.mark.parametrize("format", FORMATS)
def test_wild_bytes_are_refused(format, tmp_path):
    path = tmp_path / "t"
    rng = np.random.default_rng(11)
    for length in (1, 300, 5000):
        path.write_bytes(rng.bytes(length))
        with pytest.raises(TableError):
            read_table(path, format)


def test_writing_leaves_nothing_on_failure(tmp_path):
    big = TableMultiplier([[0, 1 << 40], [0, 1]], "1s", name="big")
    for format in ("adapt", "transaxx", "tram", "torchapprox"):
        with pytest.raises(TableError, match=r"\[0, 1\] = 1099511627776 is outside"):
            write_table(big, tmp_path / "t", format)
        with pytest.raises(FileNotFoundError):
            write_table(multipliers.get("exact4s"), tmp_path / "absent" / "t", format)
    assert not list(tmp_path.iterdir())
    with pytest.raises(TableError, match=r"is outside \[0, 65535\]"):
        write_table(TableMultiplier(np.full((256, 256), -1), "8u"), tmp_path / "t", "tfapprox")
