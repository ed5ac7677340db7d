import io
import json
import zipfile

import numpy as np
import pytest

import multipliers
from multipliers import ParameterError, TableError, TableMultiplier, TableTooLargeError, UnknownNameError
from multipliers.readers.arrays import guess_formats, read_array
from multipliers.writers.arrays import write_npz

RNG = np.random.default_rng(7)


class Trap:
    """Unpickling it would be noticed."""

    def __reduce__(self):
        return (pytest.fail, ("a pickle was loaded",))


# ---------------------------------------------------------------- round trips


@pytest.mark.parametrize("label", ["drum8u_k4", "bam8s_h1v5", "exact5sx3u", "mitchw4ux6s_w3c1", "exact1u"])
def test_round_trip(label, tmp_path):
    design = multipliers.get(label)
    path = write_npz(design, tmp_path / "table.npz")
    again = read_array(path)
    assert (again.a, again.b, again.name) == (design.a, design.b, label)
    assert again.fingerprint() == design.fingerprint()


def test_round_trip_of_an_arbitrary_table_needs_no_guess(tmp_path):
    table = TableMultiplier(RNG.integers(-(2**62), 2**62, (8, 16)), "3s", "4u", name="noise")
    assert read_array(write_npz(table, tmp_path / "t")) == table
    with pytest.raises(TableError, match=r"pass a= and b="):
        guess_formats(table.table())


def test_given_formats_and_name_go_before_stored_ones(tmp_path):
    path = write_npz(multipliers.get("exact4u"), tmp_path / "t.npz")
    read = read_array(path, "4s", "4u", name="mine")
    assert (read.a.label, read.b.label, read.name) == ("4s", "4u", "mine")
    assert read_array(path, a="4s").b.label == "4s"


def test_npy_is_named_after_the_file_and_recognised_by_content(tmp_path):
    with (tmp_path / "lut.txt").open("wb") as file:
        np.save(file, multipliers.get("drum6s_k3").table().astype(np.int16))
    read = read_array(tmp_path / "lut.txt")
    assert (read.name, read.a.label, read.b.label) == ("lut", "6s", "6s")
    assert read.fingerprint() == multipliers.get("drum6s_k3").fingerprint()


@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.int32, np.float32, np.float64, ">i4", "<u8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_dtypes_and_orders(dtype, order, tmp_path):
    table = multipliers.get("udm6x4u").table()
    np.save(tmp_path / "t.npy", np.array(table, dtype=dtype, order=order))
    np.testing.assert_array_equal(read_array(tmp_path / "t.npy").table(), table)


def test_key_chooses_among_arrays(tmp_path):
    path = tmp_path / "two.npz"
    np.savez(path, first=multipliers.get("exact4u").table(), second=multipliers.get("exact4s").table())
    assert read_array(path, key="second").a.label == "4s"
    with pytest.raises(TableError, match=r"2 arrays \('first', 'second'\); pass key="):
        read_array(path)
    with pytest.raises(UnknownNameError, match="did you mean 'second'"):
        read_array(path, key="secnd")


def test_fields_named_like_formats_do_not_hide_arrays(tmp_path):
    path = tmp_path / "t.npz"
    np.savez(path, a=multipliers.get("exact4u").table())
    assert read_array(path, key="a").a.label == "4u"
    with pytest.raises(TableError, match=r"0 arrays \(none\)"):
        read_array(path)


# ---------------------------------------------------------------- guessed signs


def test_every_circuit_is_read_with_its_signs(shared):
    index = json.loads((shared / "evoapprox" / "index.json").read_text())
    assert len(index) == 49
    for entry in index:
        read = read_array(shared / "evoapprox" / f"{entry['name']}.npz")
        assert (read.a.bits, read.b.bits) == (entry["a_bits"], entry["b_bits"]), entry["name"]
        assert (read.a.signed, read.b.signed) == (entry["signed"], entry["signed"]), entry["name"]
        assert (read.fingerprint(), read.name) == (entry["sha256"], entry["name"])


@pytest.mark.parametrize(
    "label", ["exact4sx6u", "exact4ux6s", "drum8s_k3", "mitchell8u", "trunc8u_t4", "exact1s", "exact1ux2s"]
)
def test_signs_are_guessed(label):
    design = multipliers.get(label)
    assert guess_formats(design.table()) == (design.a, design.b)


CODES = np.r_[0:128, -128:0]


@pytest.mark.parametrize(
    "table",
    [
        np.zeros((16, 16), int),
        np.multiply.outer(CODES, CODES),
        np.multiply.outer(np.arange(256), CODES),
        np.abs(np.multiply.outer(np.arange(-128, 128), np.arange(-128, 128))),
        np.multiply.outer(np.arange(16), np.arange(16))[::-1],
        -np.multiply.outer(np.arange(16), np.arange(16)),
    ],
)
def test_signs_that_cannot_be_told_are_not_guessed(table):
    with pytest.raises(TableError, match=r"cannot tell the signs .* pass a= and b="):
        guess_formats(table)


@pytest.mark.parametrize("shape", [(3, 4), (4, 0), (1, 1), (2, 1), (256, 255)])
def test_shapes_that_are_no_table(shape, tmp_path):
    np.save(tmp_path / "t.npy", np.zeros(shape, int))
    with pytest.raises(TableError, match=r"t\.npy: .*powers of two"):
        read_array(tmp_path / "t.npy")


def test_shape_and_given_formats_disagree(tmp_path):
    np.save(tmp_path / "t.npy", np.zeros((4, 8), int))
    with pytest.raises(TableError, match=r"\(4, 8\).*need \(8, 4\)"):
        read_array(tmp_path / "t.npy", "3u", "2u")
    with pytest.raises(ParameterError, match="without a"):
        read_array(tmp_path / "t.npy", b="3u")
    with pytest.raises(ParameterError, match="8z"):
        read_array(tmp_path / "t.npy", a="8z")


# ---------------------------------------------------------------- hostile files


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"absent\.npz.*does not exist"):
        read_array(tmp_path / "absent.npz")
    with pytest.raises(FileNotFoundError, match="is a folder"):
        read_array(tmp_path)


@pytest.mark.parametrize("content", [b"", b"P", b"a b product\n", b"\x80\x04N.", b"\x00" * 1000])
def test_other_files(content, tmp_path):
    (tmp_path / "t.npz").write_bytes(content)
    with pytest.raises(TableError, match="neither"):
        read_array(tmp_path / "t.npz")


@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_truncation_at_every_length_is_an_error(suffix, tmp_path):
    path = tmp_path / f"t.{suffix}"
    if suffix == "npy":
        np.save(path, multipliers.get("exact4u").table())
    else:
        write_npz(multipliers.get("exact4u"), path)
    content = path.read_bytes()
    for length in range(0, len(content), 7):
        path.write_bytes(content[:length])
        with pytest.raises(TableError):
            read_array(path)


def test_flipped_bytes_never_read_as_another_table(tmp_path):
    path = write_npz(multipliers.get("exact4u"), tmp_path / "t.npz")
    content = bytearray(path.read_bytes())
    digest = multipliers.get("exact4u").fingerprint()
    for at in range(0, len(content), 3):
        damaged = bytearray(content)
        damaged[at] ^= 0xFF
        path.write_bytes(damaged)
        try:
            assert read_array(path, "4u").fingerprint() == digest
        except (TableError, UnknownNameError):
            continue


def test_pickles_are_never_loaded(tmp_path):
    objects = np.empty((2, 2), dtype=object)
    objects[...] = Trap()
    np.save(tmp_path / "t.npy", objects, allow_pickle=True)
    np.savez(tmp_path / "t.npz", table=objects)
    np.savez(tmp_path / "field.npz", table=np.eye(2, dtype=int), a=objects)
    for name in ("t.npy", "t.npz", "field.npz"):
        with pytest.raises(TableError, match="pickled Python objects, which are never loaded"):
            read_array(tmp_path / name)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (np.array([[0, np.nan], [0, 1]]), r"\[0, 1\] = nan"),
        (np.array([[0, 0], [0, np.inf]]), r"\[1, 1\] = inf"),
        (np.array([[0, 0.5], [0, 1]]), "not a whole number"),
        (np.array([[0, 0], [0, 2.0**63]]), "does not fit int64"),
        (np.array([[0, 0], [0, 2**63]], dtype=np.uint64), "does not fit int64"),
        (np.array([["0", "1"], ["0", "1"]]), "must hold integers"),
        (np.array([[0j, 1], [0, 1]]), "must hold integers"),
        (np.arange(4), "two dimensions"),
        (np.zeros((2, 2, 2), int), "two dimensions"),
        (np.int64(3), "two dimensions"),
    ],
)
def test_values_that_are_no_products(table, message, tmp_path):
    np.save(tmp_path / "t.npy", table)
    with pytest.raises(TableError, match=message) as caught:
        read_array(tmp_path / "t.npy", "1u")
    assert "t.npy" in str(caught.value)


def npy_header(shape, dtype="<i8"):
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": dtype, "fortran_order": False, "shape": shape})
    return buffer.getvalue()


@pytest.mark.parametrize("shape", [(2**40, 2**40), (2**13, 2**12), (2**70, 1)])
def test_header_that_promises_too_much_is_refused_before_allocation(shape, tmp_path):
    (tmp_path / "t.npy").write_bytes(npy_header(shape))
    with pytest.raises(TableError, match="at most 2\\*\\*24"):
        read_array(tmp_path / "t.npy")
    with zipfile.ZipFile(tmp_path / "t.npz", "w") as archive:
        archive.writestr("table.npy", npy_header(shape))
    with pytest.raises(TableError, match="at most 2\\*\\*24"):
        read_array(tmp_path / "t.npz")


@pytest.mark.parametrize("shape", [(-2, 2), (2, -2), ("x",), (2.0, 2)])
def test_header_with_an_impossible_shape(shape, tmp_path):
    (tmp_path / "t.npy").write_bytes(npy_header(shape) + b"\0" * 64)
    with pytest.raises(TableError):
        read_array(tmp_path / "t.npy", "1u")


def test_npz_with_one_format_or_none_that_parses(tmp_path):
    np.savez(tmp_path / "one.npz", table=np.eye(2, dtype=int), a="1u")
    with pytest.raises(TableError, match="only one of the fields"):
        read_array(tmp_path / "one.npz")
    np.savez(tmp_path / "bad.npz", table=np.eye(2, dtype=int), a="1u", b="many")
    with pytest.raises(ParameterError, match=r"bad\.npz.*'many'"):
        read_array(tmp_path / "bad.npz")


def test_empty_archive_and_archive_of_other_things(tmp_path):
    with zipfile.ZipFile(tmp_path / "t.npz", "w"):
        pass
    with pytest.raises(TableError, match="0 arrays"):
        read_array(tmp_path / "t.npz")
    with zipfile.ZipFile(tmp_path / "t.npz", "w") as archive:
        archive.writestr("table.npy", b"text")
    with pytest.raises(TableError, match=r"not in \.npy format"):
        read_array(tmp_path / "t.npz")


def test_key_of_a_npy_file(tmp_path):
    np.save(tmp_path / "t.npy", np.eye(2, dtype=int))
    with pytest.raises(TableError, match="single array"):
        read_array(tmp_path / "t.npy", key="table")


# ---------------------------------------------------------------- writing


def test_writing_replaces_atomically_and_leaves_nothing_on_failure(tmp_path, monkeypatch):
    path = write_npz(multipliers.get("exact4u"), tmp_path / "t.npz")
    content = path.read_bytes()

    def fail(file, **arrays):
        file.write(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(np, "savez_compressed", fail)
    with pytest.raises(OSError, match="disk full"):
        write_npz(multipliers.get("exact5u"), path)
    assert path.read_bytes() == content
    assert [p.name for p in tmp_path.iterdir()] == ["t.npz"]
    monkeypatch.undo()
    write_npz(multipliers.get("exact5u"), path)
    assert read_array(path).a.label == "5u"


def test_writing_what_cannot_be_written(tmp_path):
    with pytest.raises(TableTooLargeError):
        write_npz(multipliers.get("exact16u"), tmp_path / "t.npz")
    with pytest.raises(FileNotFoundError):
        write_npz(multipliers.get("exact4u"), tmp_path / "absent" / "t.npz")
    assert not list(tmp_path.iterdir())
