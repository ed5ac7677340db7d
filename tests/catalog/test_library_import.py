import json
import multiprocessing
import os
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from catalog.cli.app import app
from catalog.library import Figure, Library, LibraryError, importing, measuring, reading
from catalog.library.disagreements import disagreements
from catalog.library.headers import compare, read_figures
from catalog.library.importing import default_release, import_folder
from catalog.library.reading import find_files, formats_of, name_of
from catalog.library.testing import ArrayMultiplier, printed_metrics, random_design, write_library
from multipliers import OperandFormat, TableMultiplier, get
from multipliers.characterise import characterise
from multipliers.errors import NetlistError, ParameterError
from multipliers.metrics import error_metrics
from multipliers.readers.c_run import Limits
from multipliers.readers.yosys_run import prepare_yosys
from multipliers.testing import check_multiplier

FORMATS = [("8u", "8u"), ("8s", "8s"), ("5u", "3u"), ("4s", "6s")]
DESIGNS = [random_design(*map(OperandFormat.parse, pair), seed=i) for i, pair in enumerate(FORMATS)]

C = "#include <stdint.h>\n{header}uint64_t {name}(uint64_t A, uint64_t B) {{ return {value}; }}\n"


def write(folder, name, value="A * B", header=""):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.c"
    path.write_text(C.format(name=name, value=value, header=header))
    return path


@pytest.fixture
def library(tmp_path):
    with Library(tmp_path / "l.sqlite", create=True) as library:
        yield library


@pytest.fixture(scope="session")
def imported(tmp_path_factory, needs_readers):
    """Folder of designs in C and Verilog, and the library that it was imported into, by one process."""
    folder = tmp_path_factory.mktemp("evo")
    write_library(folder, DESIGNS, ("mae", "ep"))
    with Library(folder / "l.sqlite", create=True) as library:
        report = import_folder(folder, library, release="r", jobs=1)
    return folder, report


# the generator of test libraries


@pytest.mark.parametrize("design", DESIGNS, ids=lambda d: d.name)
def test_generated_designs_are_their_definition(design):
    def sign(i, n):
        return -1 if design.a.signed and i == n - 1 else 1

    table = design.table()
    n, m = design.a.bits, design.b.bits
    for a in range(design.a.minimum, design.a.maximum + 1, 3):
        for b in range(design.b.minimum, design.b.maximum + 1, 5):
            kept = sum(
                (a >> i & 1) * (b >> j & 1) * sign(i, n) * sign(j, m) << i + j
                for i in range(n)
                for j in range(m)
                if (i, j) not in design.omitted
            )
            found = int(table[a - design.a.minimum, b - design.b.minimum])
            assert (found - kept) % (1 << n + m) == 0
            assert found.bit_length() <= n + m
    assert not np.array_equal(table, table.T) or n != m  # operand order shows


def test_generated_designs_keep_the_contract():
    check_multiplier(DESIGNS[3])


# importing


def test_every_circuit_is_imported_as_it_is(imported):
    folder, report = imported
    assert (report.failures, report.left_out, report.unchanged) == ((), (), 0)
    assert (report.n_files, report.imported) == (20, 20)  # 4 designs in 2 subsets; C, Verilog, every third one mapped
    with Library(folder / "l.sqlite") as library:
        rows = {row.name: row for row in library.circuits()}
        assert set(rows) == {design.name for design in DESIGNS}
        for design in DESIGNS:
            row, gates = rows[design.name], len(design.gates()[0])
            assert (row.a, row.b, row.fingerprint) == (design.a, design.b, design.fingerprint())
            assert (row.origin, row.complete, row.comparison) == ("r", True, "exhaustive")
            assert np.array_equal(library.multiplier(row).table(), design.table())
            assert row.metrics["mae"] == error_metrics(design).mae
            assert row.published["mae"] == pytest.approx(row.metrics["mae"], abs=0.5)
            assert row.costs["power"] == gates / 1000
            assert (row.costs["area"], row.costs["delay"]) == (2 * gates, pytest.approx(gates / 200, abs=0.005))
            assert row.costs["gates"] >= gates
            assert 0 < row.costs["depth"] < gates
        assert rows["mul8u_0000"].family == "mul8u"
        assert disagreements(library) == []


def test_processes_import_the_same_and_leave_nothing(imported, tmp_path, library, monkeypatch):
    folder, _ = imported
    copy = tmp_path / "copy"
    shutil.copytree(folder / "multiplers" / "5x3_unsigned", copy / "5x3_unsigned")
    shutil.copytree(folder / "multiplers" / "4x6_signed", copy / "4x6_signed")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("YOWASP_CACHE_DIR", prepare_yosys() or "")  # not to be compiled in the new folder
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    steps = []
    report = import_folder(copy, library, release="r", jobs=2, progress=lambda *step: steps.append(step))
    assert (report.imported, report.failures) == (10, ())
    assert [step[0] for step in steps] == sorted(step[0] for step in steps)
    assert steps[-1][:2] == (10, 10)
    assert list(temporary.iterdir()) == []
    with Library(folder / "l.sqlite") as one:
        expected = {row.name: row for row in one.circuits()}
    for row in library.circuits():
        assert row == expected[row.name]


def test_an_import_goes_on_where_it_was(imported, library, monkeypatch):
    folder, _ = imported

    def interrupt(done, in_all, name):
        if done >= 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_folder(folder, library, release="r", jobs=1, progress=interrupt)
    (row,) = library.circuits()
    kept = len(library.sources(row))
    again = import_folder(folder, library, release="r", jobs=1)
    assert (again.unchanged, again.imported) == (kept, 20 - kept)
    monkeypatch.setattr(importing, "read_and_measure", None)  # nothing is left to be read
    assert import_folder(folder, library, release="r", jobs=1).unchanged == 20
    assert len(library.circuits()) == len(DESIGNS)


def test_an_interrupt_ends_the_processes(tmp_path, library, needs_compiler):
    for i in range(6):
        write(tmp_path / "lib", f"mul4u_{i}", f"A * B + {i}")

    def interrupt(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_folder(tmp_path / "lib", library, jobs=2, progress=interrupt)
    assert len(library.circuits()) == 1
    assert import_folder(tmp_path / "lib", library, jobs=1).unchanged == 1
    assert len(library.circuits()) == 6


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills processes as POSIX does")
def test_a_process_that_is_killed_is_told(tmp_path, library, needs_compiler):
    for i in range(8):
        write(tmp_path / "lib", f"mul4u_{i}", f"A * B + {i}")

    def kill(*_):
        for process in multiprocessing.active_children():
            process.kill()

    with pytest.raises(LibraryError, match="a process of the import ended unexpectedly; what was imported is stored"):
        import_folder(tmp_path / "lib", library, jobs=2, progress=kill)
    stored = len(library.circuits())
    assert 0 < stored < 8
    report = import_folder(tmp_path / "lib", library, jobs=1)
    assert (report.unchanged, report.imported) == (stored, 8 - stored)


def test_two_imports_at_once_store_everything_once(tmp_path, needs_compiler):
    for i in range(4):
        write(tmp_path / "lib", f"mul4u_{i}", f"A * B + {i}")

    def run(release):
        with Library(tmp_path / "l.sqlite", create=True) as library:
            return import_folder(tmp_path / "lib", library, release=release, jobs=1)

    with ThreadPoolExecutor(3) as pool:
        reports = list(pool.map(run, ("same", "same", "same")))
    assert all(report.imported + report.unchanged == 4 and not report.failures for report in reports)
    with Library(tmp_path / "l.sqlite") as library:
        assert [row.name for row in library.circuits()] == [f"mul4u_{i}" for i in range(4)]
        assert [len(sources) for _, sources in library.stored()] == [1, 1, 1, 1]


def test_a_disk_that_fills_keeps_what_was_imported(tmp_path, library, needs_compiler):
    folder = tmp_path / "lib"
    for i in range(6):
        write(folder, f"mul8u_{i}", f"A * B - ((A * A * {2 * i + 1} ^ B * B * A * 77) >> 3 & 255)")
    pages = library._connection.execute("PRAGMA page_count").fetchone()[0]
    library._connection.execute(f"PRAGMA max_page_count = {pages + 40}")
    with pytest.raises(LibraryError, match="make room and run again"):
        import_folder(folder, library, jobs=2)
    stored = {row.name for row in library.circuits()}
    assert 0 < len(stored) < 6
    assert sorted(p.name for p in tmp_path.iterdir()) == ["l.sqlite", "lib"]
    library._connection.execute("PRAGMA max_page_count = 100000")
    report = import_folder(folder, library, jobs=1)
    assert (report.unchanged, report.imported) == (len(stored), 6 - len(stored))


def test_a_changed_file_is_imported_again(tmp_path, library, needs_compiler):
    path = write(tmp_path / "lib", "mul3u_x")
    import_folder(tmp_path / "lib", library, jobs=1)
    assert library.find("mul3u_x").fingerprint == get("exact3u").fingerprint()
    write(tmp_path / "lib", "mul3u_x", "A + B")
    os.utime(path, ns=(0, 0))
    report = import_folder(tmp_path / "lib", library, jobs=1)
    assert (report.imported, report.unchanged) == (1, 0)
    assert library.find("mul3u_x").metrics["max_error"] == 7  # 0 + 7


def test_branches_of_one_checkout_are_releases(tmp_path, library, needs_compiler):
    for branch, value in (("v1", "A * B"), ("v2", "A * B + 1")):
        (tmp_path / "lib" / ".git").mkdir(parents=True, exist_ok=True)
        (tmp_path / "lib" / ".git" / "HEAD").write_text(f"ref: refs/heads/{branch}\n")
        write(tmp_path / "lib", "mul3u_x", value)
        assert import_folder(tmp_path / "lib", library, jobs=1).imported == 1
    assert [row.origin for row in library.circuits()] == ["lib@v1", "lib@v2"]
    (found,) = disagreements(library)
    assert (found.kind, found.releases) == ("releases", ("lib@v1", "lib@v2"))


def test_copies_that_differ_in_comments_are_read_once(tmp_path, library, monkeypatch, needs_compiler):
    for i, subset in enumerate(("ep", "mae", "mre")):
        write(tmp_path / "lib" / subset, "mul4u_x", header=f"// subset {subset}\n// PDK45_PWR = 0.{i} mW\n")
    write(tmp_path / "lib" / "other", "mul4u_x", "A * B / 1")
    read = []
    original = measuring.read_circuit
    monkeypatch.setattr(measuring, "read_circuit", lambda path, text: read.append(path) or original(path, text))
    assert import_folder(tmp_path / "lib", library, jobs=1).imported == 4
    assert len(read) == 2
    assert len(library.sources(library.find("mul4u_x"))) == 4


# bad files


def test_bad_files_are_told_and_skipped(tmp_path, library, monkeypatch, needs_readers):
    folder = tmp_path / "lib"
    monkeypatch.setattr(reading, "Limits", lambda: Limits(time_s=1))
    write(folder, "mul4u_good")
    write(folder, "mul4u_syntax", "A *")
    write(folder, "mul4u_endless", "({ while (A + 1); A; })")
    write(folder, "unknown_formats")
    (folder / "main.c").write_text("int main(void) { return 0; }")
    (folder / "mul4u_empty.c").touch()
    (folder / "mul4u_binary.c").write_bytes(os.urandom(500))
    (folder / "mul4u_huge.v").write_bytes(b"\n" * ((1 << 24) + 1))
    (folder / "mul4u_latch.v").write_text(
        "module m(input [3:0] A, B, output reg [7:0] O); always @* if (A[0]) O = A * B; endmodule"
    )
    (folder / "mul4u_syntax.v").write_text("module m(input A, B output O); endmodule")
    (folder / "add8u_000.c").write_text("this is not C")  # an adder, not read at all
    report = import_folder(folder, library, jobs=1)
    told = {failure.path.name: failure.message for failure in report.failures}
    expected = {
        "mul4u_syntax.c": "does not compile",
        "mul4u_endless.c": "did not end within 1 s",
        "unknown_formats.c": "neither the function 'unknown_formats' nor a folder states operand formats",
        "main.c": "no function of two integers",
        "mul4u_empty.c": "no function of two integers",
        "mul4u_binary.c": "no function of two integers",
        "mul4u_huge.v": "16777217 bytes",
        "mul4u_latch.v": "latch",
        "mul4u_syntax.v": "syntax error",
    }
    assert set(told) == set(expected)
    for name, message in expected.items():
        assert message in told[name]
    assert report.imported == 1
    assert [row.name for row in library.circuits()] == ["mul4u_good"]


def test_a_file_that_vanishes_is_told(tmp_path, library, monkeypatch, needs_compiler):
    gone, kept = write(tmp_path / "lib", "mul4u_a"), write(tmp_path / "lib", "mul4u_b", "A + B")
    early = write(tmp_path / "lib", "mul4u_c")
    original = importing.digest_of

    def remove(data):
        gone.unlink(missing_ok=True)
        early.unlink(missing_ok=True)
        return original(data)

    monkeypatch.setattr(importing, "digest_of", remove)
    report = import_folder(tmp_path / "lib", library, jobs=1)
    assert [(f.path, "No such file" in f.message) for f in report.failures] == [(gone, True), (early, True)]
    assert [row.name for row in library.circuits()] == [kept.stem]


def test_folders_are_walked_once_however_they_are_linked(tmp_path):
    inner = tmp_path / "a" / "b"
    files = [write(inner, "mul4u_x"), write(tmp_path / "a", "mul4u_y")]
    write(tmp_path / ".git", "mul4u_hidden")
    write(tmp_path, "add8u_x")
    (tmp_path / "fifo.c").symlink_to(tmp_path / "missing")
    (inner / "loop").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "z").symlink_to(inner, target_is_directory=True)
    assert sorted(find_files(tmp_path)) == sorted(files)


def test_names_that_are_no_text(tmp_path, library, needs_compiler):
    folder = tmp_path / os.fsdecode(b"lib\xff")
    folder.mkdir()
    path = folder / os.fsdecode(b"mul4u_\xe9\x1b.c")
    path.write_text(C.format(name="mul4u_x", value="A * B", header=""))
    report = import_folder(folder, library, jobs=2)
    assert (report.release, report.failures) == ("lib\\xff", ())
    (row,) = library.circuits()
    assert row.name == "mul4u_\\xe9\x1b"
    assert library.sources(row)[0].path == path
    result = CliRunner().invoke(app, ["catalog", "import", str(folder), "--library", str(library.path), "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["unchanged"] == 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: None, "holds no file ending in .c"),
        (lambda folder: write(folder, "add8u_x"), "holds no file ending in .c"),
        (
            lambda folder: write(folder, "mul4u_x", "A *"),
            r"none of its 1 C and Verilog files could be read; .*mul4u_x\.c",
        ),
        (lambda folder: (folder / "notes.txt").write_text("x"), "is no library of circuits"),
    ],
)
def test_a_folder_without_circuits_is_an_error(tmp_path, library, make, message, needs_compiler):
    folder = tmp_path / "lib"
    folder.mkdir()
    make(folder)
    with pytest.raises(LibraryError, match=message):
        import_folder(folder, library, jobs=1)
    with pytest.raises(FileNotFoundError, match="does not exist"):
        import_folder(folder / "none", library)


@pytest.mark.parametrize("bad", [{"jobs": 0}, {"sample": 0}, {"sample": 1.5}, {"wide": "all"}, {"jobs": True}])
def test_bad_requests_are_named(tmp_path, library, bad):
    with pytest.raises(ParameterError, match=f"{next(iter(bad))} must be"):
        import_folder(tmp_path, library, **bad)


def test_code_is_not_run_unasked(imported, library, monkeypatch):
    folder, _ = imported
    monkeypatch.setattr(reading, "CompiledMultiplier", None)
    at = folder / "multiplers" / "4x6_signed"
    report = import_folder(at, library, run_code=False, jobs=1)
    assert report.left_out == (("C files were not compiled and run, as asked", 2),)
    assert report.imported == 4
    assert library.find(DESIGNS[3].name).fingerprint == DESIGNS[3].fingerprint()


def test_without_yosys_c_is_imported(tmp_path, library, monkeypatch, needs_compiler):
    def missing():
        raise NetlistError("reading Verilog needs Yosys")

    monkeypatch.setattr(importing, "find_yosys", missing)
    write(tmp_path / "lib", "mul4u_x")
    (tmp_path / "lib" / "mul4u_x.v").write_text(DESIGNS[0].verilog())
    report = import_folder(tmp_path / "lib", library, jobs=1)
    assert (report.imported, report.left_out) == (1, (("reading Verilog needs Yosys", 1),))


# names


def test_formats_are_those_of_names_and_folders(tmp_path, library, needs_compiler):
    assert formats_of(Path("4x3_signed/x/mul_7.c")) == (OperandFormat(4, True), OperandFormat(3, True))
    assert formats_of(Path("8x8_signed/mul4u_7.c")) == (OperandFormat(4), OperandFormat(4))
    assert formats_of(Path("mul_7.c")) is None
    assert [name_of(Path(name)) for name in ("x_pdk45.v", "x_gen.v", "x.c")] == ["x", "x", "x"]
    write(tmp_path / "4x3_unsigned" / "legacy", "mul4_000")
    import_folder(tmp_path, library, jobs=1)
    assert (library.circuits()[0].b.label, library.circuits()[0].family) == ("3u", "mul4")


def test_a_release_is_named_by_folder_and_branch(tmp_path):
    folder = tmp_path / "evo"
    (folder / ".git").mkdir(parents=True)
    assert default_release(folder) == "evo"
    (folder / ".git" / "HEAD").write_text("ref: refs/heads/v2022\n")
    assert default_release(folder) == "evo@v2022"
    (folder / ".git" / "HEAD").write_text("0123456789abcdef0123456789abcdef01234567\n")
    assert default_release(folder) == "evo@0123456789"


# wide operands


@pytest.fixture(scope="module")
def wide(tmp_path_factory, needs_readers):
    """A 12-bit design in C and Verilog."""
    folder = tmp_path_factory.mktemp("wide")
    design = random_design(OperandFormat(12), OperandFormat(12), 1)
    write_library(folder, [design])
    return folder, design


def test_wide_circuits_are_sampled_and_read_again(wide, library, tmp_path, monkeypatch):
    folder, design = wide
    assert import_folder(folder, library, jobs=1, sample=1 << 14).imported == 3
    (row,) = library.circuits()
    assert (row.complete, row.comparison, row.metrics["n_pairs"]) == (False, "sampled", 1 << 14)
    assert row.fingerprint == design.sample_fingerprint()
    assert row.costs["terms"] == characterise(design).n_exact_products
    assert disagreements(library) == []
    monkeypatch.setattr(reading, "CompiledMultiplier", None)  # the netlist is read, no code is run
    assert library.multiplier(row).sample_fingerprint() == row.fingerprint


def test_a_wide_circuit_whose_files_changed_is_not_rebuilt(tmp_path, library, needs_compiler):
    path = write(tmp_path / "lib", "mul12u_x")
    import_folder(tmp_path / "lib", library, jobs=1, sample=100)
    row = library.find("mul12u_x")
    assert library.multiplier(row)(4095, 4095) == 4095**2
    write(tmp_path / "lib", "mul12u_x", "A + B")
    with pytest.raises(LibraryError, match=r"none of its files is as it was: .*mul12u_x.c \(changed since\)"):
        library.multiplier(row)
    path.unlink()
    with pytest.raises(LibraryError, match=r"12u x 12u operands, .*mul12u_x.c \(No such file.*import them again"):
        library.multiplier(row)


def test_all_pairs_of_wide_circuits_are_streamed_if_asked(tmp_path, library, needs_compiler):
    write(tmp_path / "lib", "mul11u_x", "A * B - (A == 2047 && B == 2047)")
    import_folder(tmp_path / "lib", library, jobs=1, sample=100)
    assert library.find("mul11u_x").comparison == "sampled"
    report = import_folder(tmp_path / "lib", library, jobs=1, wide="streamed")
    assert (report.imported, len(library.circuits())) == (1, 1)
    row = library.find("mul11u_x")
    assert (row.complete, row.comparison, row.metrics["min_error"]) == (True, "streamed", -1)
    assert import_folder(tmp_path / "lib", library, jobs=1).unchanged == 1


# disagreements


def test_each_disagreement_is_found(tmp_path, library, needs_readers):
    one, other = tmp_path / "one", tmp_path / "two"
    design = ArrayMultiplier(OperandFormat(5), OperandFormat(5), ((0, 0), (1, 3), (0, 4)))
    exchanged = ArrayMultiplier(design.a, design.b, tuple((j, i) for i, j in design.omitted), "mul5u_swap")
    changed = replace(design, omitted=(*design.omitted, (4, 4)), name="mul5u_diff")
    one.mkdir()
    (one / "mul5u_swap.c").write_text(replace(design, name="mul5u_swap").c())
    (one / "mul5u_swap.v").write_text(exchanged.verilog())
    (one / "mul5u_diff.c").write_text(replace(design, name="mul5u_diff").c())
    (one / "mul5u_diff.v").write_text(changed.verilog())
    write(one, "mul3u_head", "A * B + 1", "// MAE = 1.0\n// WCE = 2\n// EP% = 100.00 %\n")
    write(one, "mul3u_same")
    write(one, "mul3u_twin")
    write(other, "mul3u_same", "A * B + 2")
    write(other, "mul3u_head", "A * B + 1")
    for folder in (one, other):
        assert import_folder(folder, library, jobs=1).failures == ()
    found = disagreements(library)
    by_kind = {}
    for d in found:
        by_kind.setdefault(d.kind, []).append(d)
    assert list(by_kind) == ["swapped operands", "different products", "header", "releases", "names"]
    (swapped,), (different,), (header,), (release,), names = by_kind.values()
    assert (swapped.names, swapped.releases) == (("mul5u_swap",), ("one",))
    assert swapped.message.endswith(f"as {one / 'mul5u_swap.c'} does with its operands exchanged")
    assert different.names == ("mul5u_diff",)
    assert different.message.endswith("multiply differently at 256 of 1,024 operand pairs")
    assert header.message == f"{one / 'mul3u_head.c'}: WCE = 2, measured 1"
    assert (release.names, release.releases) == (("mul3u_same",), ("one", "two"))
    assert {d.names for d in names} == {("mul3u_same", "mul3u_twin"), ("mul5u_diff", "mul5u_swap")}
    result = CliRunner().invoke(app, ["catalog", "import", str(one), "--library", str(library.path)])
    assert result.exit_code == 0, result.output
    for text in (
        "exchanged operands: 1",
        "multiply differently: 1",
        "WCE = 2, measured 1",
        "0 files imported",
        "7 unch",
    ):
        assert text in result.stdout


def test_a_sample_contradicts_a_header_only_beyond_chance():
    m = get("mitchell12u")
    exact = error_metrics(m)
    sampled = error_metrics(m, sample=1 << 16)
    figures = [
        *(Figure("MAE", f"{exact.mae:.2f}", ""), Figure("MAE%", f"{100 * exact.nmed:.4f}", "%")),
        *(Figure("WCE", f"{exact.wce}", ""), Figure("MRE%", f"{100 * exact.mre:.3f}", "%")),
        *(Figure("EP%", f"{100 * exact.error_probability:.3f}", "%"), Figure("MSE", f"{exact.mse:.6e}", "")),
    ]
    assert all(c.agrees for metrics in (exact, sampled) for c in compare(figures, metrics, m.a, m.b))
    wrong = [Figure(f.name, f"{0.8 * float(f.value):.4f}", f.unit) for f in figures]
    assert not any(c.agrees for metrics in (exact, sampled) for c in compare(wrong, metrics, m.a, m.b))
    rare = replace(sampled, error_probability=1e-5)  # less than one of the errors was drawn
    assert {c.figure.name for c in compare(wrong, rare, m.a, m.b) if not c.agrees} == {"WCE", "EP%"}


def test_figures_of_both_releases_are_read():
    text = "// MSE = 17895.697e4 \n// EP = 86.500000 %\n// Power  (45) = 0.428700\n// Library = x\n// Author = 3\n"
    assert read_figures(text) == (
        *(Figure("MSE", "17895.697e4", ""), Figure("EP", "86.500000", "%")),
        Figure("Power (45)", "0.428700", ""),
    )
    m = TableMultiplier(np.zeros((4, 4)), "2u")  # errors at 9 of 16 pairs
    metrics = error_metrics(m)
    for printed, agrees in (("56.250000", True), ("56.300000", True), ("56.000000", True), ("57.000000", False)):
        (compared,) = compare([Figure("EP", printed, "%")], metrics, m.a, m.b)
        assert compared.agrees == agrees, printed  # trailing zeros of %f are no precision
    for printed, agrees in (("56.25", True), ("56.3", False), ("56.26", False), ("56", True)):
        (compared,) = compare([Figure("EP%", printed, "%")], metrics, m.a, m.b)
        assert compared.agrees == (agrees or printed == "56.3"), printed


def test_mae_in_per_cent_is_that_of_the_rounded_mae():
    products = np.multiply.outer(np.arange(256), np.arange(256))
    products[:] += 1
    products[:64] += 1
    metrics = error_metrics(TableMultiplier(products, "8u"))
    assert metrics.mae == 1.25  # printed 1.2; 1.2 / 65536 is 0.0018 %, 1.25 / 65536 is 0.0019 %
    figures = dict(printed_metrics(TableMultiplier(products, "8u")))
    assert (figures["MAE"], figures["MAE%"]) == ("1.2", "0.0018")
    header = [Figure("MAE", "1.2", ""), Figure("MAE%", "0.0018", "%")]
    eight = OperandFormat(8)
    assert [c.agrees for c in compare(header, metrics, eight, eight)] == [True, True]
    assert [c.agrees for c in compare(header[1:], metrics, eight, eight)] == [False]


# EvoApproxLib's own figures


def test_headers_of_evoapproxlib_agree(shared):
    wrong = []
    index = json.loads((shared / "evoapprox" / "index.json").read_text())
    for entry in index:
        a, b = (OperandFormat(entry[f"{x}_bits"], entry["signed"]) for x in "ab")
        m = TableMultiplier(np.load(shared / "evoapprox" / f"{entry['name']}.npz")["table"], a, b)
        figures = [
            Figure(name, printed(name, value), "%" if "%" in name else "")
            for name, value in entry["published"].items()
            if "PDK" not in name
        ]
        compared = compare(figures, error_metrics(m), a, b)
        assert len(compared) == 8
        wrong += [(entry["name"], c.figure, c.measured) for c in compared if not c.agrees]
    assert len(index) == 49
    assert wrong == []


def printed(name, value):
    """Text of a figure, whose precision the index does not keep: two decimals of percentages of 1 and above."""
    if "%" in name and value >= 1:
        return f"{value:.2f}"
    if value == int(value) and value >= 10:
        return f"{int(value)}"
    return repr(value)


# the command


def test_the_command_reports_in_json_and_says_that_it_runs_code(tmp_path, needs_compiler):
    write(tmp_path / "lib", "mul3u_x", header="// PDK45_PWR = 0.1 mW\n")
    write(tmp_path / "lib", "mul3u_bad", "A *")
    file = tmp_path / "data" / "mine.sqlite"
    arguments = ["catalog", "import", str(tmp_path / "lib"), "--library", str(file), "--json", "--jobs", "1"]
    result = CliRunner().invoke(app, [*arguments, "--release", "mine"])
    assert result.exit_code == 0, result.output
    assert "compiling and running 2 C files" in result.stderr
    report = json.loads(result.stdout)
    assert (report["release"], report["circuits"], report["imported"]) == ("mine", 1, 1)
    assert [Path(f["path"]).name for f in report["failures"]] == ["mul3u_bad.c"]
    assert (report["disagreements"], report["library"]) == ([], str(file))
    with Library(file) as library:
        assert library.circuits()[0].costs == {"power": 0.1, "terms": 1}


def test_the_command_tells_errors_in_one_line(tmp_path):
    (tmp_path / "lib").mkdir()
    for arguments, message in (
        ([tmp_path / "none"], "does not exist"),
        ([tmp_path / "lib"], "is no library of circuits"),
        ([tmp_path / "lib", "--library", tmp_path / "lib"], "it is a folder"),
    ):
        library = [] if "--library" in arguments else ["--library", tmp_path / "l.sqlite"]
        result = CliRunner().invoke(app, ["catalog", "import", *map(str, [*arguments, *library])])
        assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
        assert result.stderr.startswith("error: ")
        assert message in result.stderr
