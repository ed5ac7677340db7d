import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
import textwrap
import threading
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import catalog
from catalog.library import Figure, Library, LibraryError, Source, default_path
from catalog.library.measuring import Task, measure
from catalog.library.schema import APPLICATION_ID, VERSION
from multipliers import CallableMultiplier, OperandFormat, TableMultiplier, get
from multipliers.characterise import characterise
from multipliers.errors import ParameterError, UnknownNameError

TASK = Task((), "test", "sampled", 1 << 12)


def random_multiplier(a="4s", b="3u", seed=0):
    formats = OperandFormat.parse(a), OperandFormat.parse(b)
    products = np.random.default_rng(seed).integers(-999, 999, [f.size for f in formats])
    products[-formats[0].minimum, -formats[1].minimum] = 7  # f(0, 0) != 0
    return TableMultiplier(products, *formats, name="random")


def source(name="x", release="one", path=None, **about):
    path = Path(path or f"/nowhere/{release}/{name}.c")
    return Source(path, about.pop("language", "c"), release, name, "digest", **about)


@pytest.fixture
def library(tmp_path):
    with Library(tmp_path / "l.sqlite", create=True) as library:
        yield library


def content(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


@pytest.mark.parametrize(
    "multiplier", [random_multiplier(), random_multiplier("8u"), get("mitchell8s"), get("exact1u")]
)
def test_a_circuit_is_stored_and_rebuilt(library, multiplier):
    measured = measure(multiplier, TASK)
    library.add(measured, [source()])
    (row,) = library.circuits()
    assert (row.a, row.b, row.fingerprint) == (multiplier.a, multiplier.b, multiplier.fingerprint())
    assert (row.complete, row.comparison, row.metrics["mae"]) == (True, "exhaustive", measured.metrics.mae)
    rebuilt = library.multiplier(row)
    assert np.array_equal(rebuilt.table(), multiplier.table())
    assert rebuilt.name == "x"
    assert library.stored()[0][0].metrics == measured.metrics
    assert measured.swapped == TableMultiplier(multiplier.table().T, multiplier.b, multiplier.a).fingerprint()


def test_the_swapped_fingerprint_of_a_wide_circuit():
    a, b = OperandFormat(12), OperandFormat(16, signed=True)
    found = measure(CallableMultiplier(lambda x, y: 2 * x - y, a, b), TASK)
    exchanged = measure(CallableMultiplier(lambda y, x: 2 * x - y, b, a), TASK)
    assert (found.swapped, found.fingerprint) == (exchanged.fingerprint, exchanged.swapped)
    assert found.swapped != found.fingerprint
    assert (found.complete, found.metrics.comparison, found.metrics.n_pairs) == (False, "sampled", 1 << 12)
    assert found.errors is None


def test_costs_and_published_metrics_are_in_one_unit(library):
    figures = (
        *(
            Figure("MAE%", "0.19", "%"),
            Figure("MAE", "125", ""),
            Figure("EP%", "50.00", "%"),
            Figure("WCE%", "0.4", "%"),
        ),
        *(Figure("PDK45_PWR", "410", "uW"), Figure("PDK45_AREA", "700.5", "um2"), Figure("PDK45_DELAY", "1400", "ps")),
    )
    legacy = (Figure("Power (45)", "0.43", ""), Figure("MRE", "1.990000", "%"), Figure("WCE", "300", ""))
    netlist = source(language="verilog", path="/x.v", figures=legacy, gates=90, depth=12)
    mapped = source(language="verilog", path="/x_pdk45.v", gates=70, depth=9)
    library.add(measure(get("mitchell8u"), TASK), [mapped, netlist, source(figures=figures)])
    (row,) = library.circuits()
    published = {"power": 0.41, "area": 700.5, "delay": 1.4, "gates": 90, "depth": 12}
    assert row.costs == pytest.approx({**published, "terms": characterise(get("mitchell8u")).n_exact_products})
    assert row.published == {
        **{"mae": 125, "nmed": pytest.approx(0.0019), "error_probability": 0.5, "mre": pytest.approx(0.0199)},
        "wce": 300,  # in LSB, before the percentage of another file
    }
    assert row.family == "mul"
    library.add(measure(get("mitchell8u"), TASK), [source("mul8x4u_17", figures=(Figure("WCE%", "0.5", "%"),))])
    row = library.find("mul8x4u_17")
    assert (row.family, row.published) == ("mul8x4u", {"wce": pytest.approx(0.005 * 65536)})


def test_rows_are_names_of_releases(library):
    one, other = (measure(random_multiplier(seed=seed), TASK) for seed in (1, 2))
    library.add_all([(one, [source("x"), source("y"), source("x", "two")]), (other, [source("z", "two")])])
    library.add(other, [source("x", "three")])
    assert [(row.origin, row.name) for row in library.circuits()] == [
        *(("one", "x"), ("one", "y"), ("three", "x"), ("two", "x"), ("two", "z"))
    ]
    assert [s.path.name for s in library.sources(library.find("two/z"))] == ["z.c"]


def test_a_file_that_changed_replaces_what_it_was(library):
    one, other = (measure(random_multiplier(seed=seed), TASK) for seed in (1, 2))
    library.add(one, [source()])
    library.add(other, [source()])
    assert [row.fingerprint for row in library.circuits()] == [other.fingerprint]
    assert len(library.stored()) == 1
    assert library.table(one.fingerprint, one.a, one.b) is None  # no circuit without a file is kept


def test_a_sample_does_not_replace_metrics_of_all_pairs(library):
    m = get("mitchell11u")
    sampled = measure(m, TASK)
    streamed = measure(m, Task((), "test", "streamed", 1))
    assert (streamed.complete, streamed.fingerprint) == (True, m.fingerprint())
    library.add(streamed, [source()])
    library.add(sampled, [source("y")])
    assert {row.name: row.comparison for row in library.circuits()} == {"x": "streamed", "y": "sampled"}
    assert library.is_stored(source().path, "digest", "one", ("streamed",))
    assert not library.is_stored(source("y").path, "digest", "one", ("streamed",))
    assert not library.is_stored(source().path, "another", "one", ("streamed",))
    assert not library.is_stored(source().path, "digest", "two", ("streamed",))


def test_a_sample_of_wide_operands_does_not_replace_metrics_of_all_pairs(library):
    sampled = measure(get("mitchell16u"), TASK)
    streamed = replace(sampled, metrics=replace(sampled.metrics, comparison="streamed", intervals={}))
    for measured, expected in ((sampled, "sampled"), (streamed, "streamed"), (sampled, "streamed")):
        library.add(measured, [source()])
        assert [row.comparison for row in library.circuits()] == [expected]


def test_names_and_fingerprints_find_a_circuit(library, monkeypatch):
    one, other = (measure(random_multiplier(seed=seed), TASK) for seed in (1, 2))
    library.add(one, [source("x"), source("y")])
    library.add(other, [source("x", "two")])
    assert library.find("one/x").fingerprint == library.find("y").fingerprint == one.fingerprint
    assert library.find(other.fingerprint[:8]).origin == "two"
    with pytest.raises(LibraryError, match=f"'x' names 2 different circuits.*one/x .{one.fingerprint[:12]}.*two/x"):
        library.find("x")
    with pytest.raises(UnknownNameError, match="did you mean 'y'"):
        library.find("yy")
    with pytest.raises(UnknownNameError):
        library.find(one.fingerprint[:7])
    monkeypatch.setenv("AXSURROGATE_LIBRARY", str(library.path))
    for spec in ("library:y", "library:one/x", one.fingerprint[:10], f"library:{one.fingerprint}"):
        assert catalog.resolve(spec).fingerprint() == one.fingerprint
    with pytest.raises(LibraryError, match="different circuits"):
        catalog.resolve("library:x")
    with pytest.raises(ParameterError, match="operand a of y is 4s, not 8u"):
        catalog.resolve("library:y", "8u")
    monkeypatch.setenv("AXSURROGATE_LIBRARY", str(library.path.with_name("none.sqlite")))
    with pytest.raises(FileNotFoundError, match=r"there is no library.*catalog import FOLDER"):
        catalog.resolve("library:y")


def test_where_the_library_lies(monkeypatch, tmp_path):
    monkeypatch.setenv("AXSURROGATE_LIBRARY", str(tmp_path / "mine"))
    assert default_path() == tmp_path / "mine"
    monkeypatch.delenv("AXSURROGATE_LIBRARY")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    if sys.platform == "linux":
        assert default_path() == tmp_path / "axsurrogate" / "library.sqlite"
        with Library(create=True) as library:
            assert library.circuits() == []
    assert default_path().name == "library.sqlite"


def test_a_circuit_of_another_library_is_not_rebuilt(library, tmp_path):
    library.add(measure(random_multiplier(), TASK), [source()])
    with Library(tmp_path / "other", create=True) as other, pytest.raises(UnknownNameError, match="does not hold x"):
        other.multiplier(library.circuits()[0])


# files that are no library


def other_application(path):
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE t (x)")
    connection.close()


def newer_version(path):
    Library(path, create=True).close()
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    connection.close()


@pytest.mark.parametrize("create", [False, True])
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.write_text("circuits, no database"), "no SQLite file.*not changed"),
        (lambda path: path.write_bytes(b"SQLite format 3\0"), "no library of circuits.*not changed"),
        (lambda path: path.write_bytes(b"SQLite format 3\0" + os.urandom(5000)), "damaged|no library"),
        (other_application, "SQLite file of something else"),
        (newer_version, f"version {VERSION + 1}, this axsurrogate reads up to {VERSION}; update"),
        (lambda path: path.mkdir(), "is a folder"),
    ],
)
def test_what_is_no_library_is_refused_and_not_touched(tmp_path, make, message, create):
    path = tmp_path / "l.sqlite"
    make(path)
    before = path.is_file() and content(path)
    with pytest.raises(LibraryError, match=message):
        Library(path, create=create)
    assert (path.is_file() and content(path)) == before
    assert [p.name for p in tmp_path.iterdir()] == ["l.sqlite"]


def test_an_empty_file_becomes_a_library_only_if_asked(tmp_path):
    path = tmp_path / "l.sqlite"
    path.touch()
    with pytest.raises(LibraryError, match="it is empty"):
        Library(path)
    with Library(path, create=True) as library:
        assert library.circuits() == []
    assert int.from_bytes(path.read_bytes()[68:72], "big") == APPLICATION_ID


def test_every_truncation_is_refused(tmp_path, library):
    library.add(measure(get("mitchell8u"), TASK), [source()])
    library.close()
    whole = library.path.read_bytes()
    path = tmp_path / "cut.sqlite"
    for size in {1, 15, 16, 50, 99, 100, 4095, 4096, *range(5000, len(whole), 9001), len(whole) - 1}:
        path.write_bytes(whole[:size])
        with pytest.raises(LibraryError, match=r"(damaged|no library).*Move it away and import again"):
            Library(path)
        assert path.read_bytes() == whole[:size]


def test_damaged_pages_are_told(tmp_path, library):
    library.add_all([(measure(random_multiplier(seed=i), TASK), [source(f"x{i}")]) for i in range(40)])
    library.close()
    data = bytearray(library.path.read_bytes())
    data[4096:12288] = os.urandom(8192)
    path = tmp_path / "damaged.sqlite"
    path.write_bytes(data)
    with pytest.raises(LibraryError, match="damaged"), Library(path) as damaged:
        damaged.circuits()
    assert path.read_bytes() == data


@pytest.mark.parametrize(
    "change", ["errors = x'00'", "errors_type = '<i4'", "errors = zeroblob(9)", "errors_type = 'O'"]
)
def test_a_damaged_table_is_told(library, change):
    library.add(measure(get("mitchell8u"), TASK), [source()])
    connection = sqlite3.connect(library.path)
    connection.execute(f"UPDATE circuit SET {change}")
    connection.commit()
    connection.close()
    with pytest.raises(LibraryError, match=r"stored table of .* is damaged.*import again"):
        library.multiplier(library.circuits()[0])


def test_a_table_with_other_products_is_told(library):
    library.add(measure(random_multiplier(), TASK), [source()])
    connection = sqlite3.connect(library.path)
    connection.execute("UPDATE circuit SET errors = ?, errors_type = '<i1'", (zlib.compress(bytes(128)),))
    connection.commit()
    connection.close()
    with pytest.raises(LibraryError, match="stored table of x is damaged"):
        library.multiplier(library.circuits()[0])


# disks that fill, writers at the same time


def test_a_full_disk_loses_nothing(library):
    library.add(measure(random_multiplier(), TASK), [source()])
    pages = library._connection.execute("PRAGMA page_count").fetchone()[0]
    library._connection.execute(f"PRAGMA max_page_count = {pages + 1}")
    before = library.circuits()
    with pytest.raises(LibraryError, match="the disk may be full: make room and run again"):
        library.add_all([(measure(get(name), TASK), [source(name)]) for name in ("mitchell8u", "drum8u_k4")])
    assert library.circuits() == before
    assert [p.name for p in library.path.parent.iterdir()] == ["l.sqlite"]
    library._connection.execute(f"PRAGMA max_page_count = {pages + 100}")
    library.add(measure(get("mitchell8u"), TASK), [source("more")])
    assert len(library.circuits()) == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="limits of file sizes are those of POSIX")
def test_a_file_that_may_not_grow_loses_nothing(library):
    library.add(measure(random_multiplier(), TASK), [source()])
    library.close()
    code = textwrap.dedent(
        f"""
        import resource
        from pathlib import Path
        from catalog.library import Library, LibraryError, Source
        from catalog.library.measuring import Task, measure
        from multipliers import get
        task = Task((), "test", "sampled", 4096)
        found = [
            (measure(get(name), task), [Source(Path("/" + name), "c", "r", name, "")])
            for name in ("mitchell8u", "drum8u_k4", "drum8u_k3", "mitchell8s")
        ]
        with Library({str(library.path)!r}) as library:
            resource.setrlimit(resource.RLIMIT_FSIZE, ({library.path.stat().st_size},) * 2)
            try:
                library.add_all(found)
            except LibraryError as error:
                print(error)
            print(len(library.circuits()))
        """
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "make room and run again; what was stored before is kept" in done.stdout
    assert done.stdout.endswith("1\n")
    assert [p.name for p in library.path.parent.iterdir()] == ["l.sqlite"]
    with Library(library.path) as again:
        assert [row.name for row in again.circuits()] == ["x"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a process that ends within a write, as on POSIX")
def test_a_write_that_was_cut_off_is_undone(library):
    library.add(measure(random_multiplier(), TASK), [source()])
    library.close()
    code = f"""
        import os, sqlite3
        connection = sqlite3.connect({str(library.path)!r}, isolation_level=None)
        connection.execute("PRAGMA cache_size = 1")
        connection.execute("BEGIN")
        connection.execute("UPDATE circuit SET errors = randomblob(1000000)")
        connection.execute("UPDATE source SET name = 'damaged'")
        os._exit(1)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=False)
    assert Path(f"{library.path}-journal").exists()
    with Library(library.path) as again:
        row = again.find("x")
        assert np.array_equal(again.multiplier(row).table(), random_multiplier().table())
    assert not Path(f"{library.path}-journal").exists()


def test_several_writers_wait_for_each_other(tmp_path):
    path, failures = tmp_path / "l.sqlite", []
    measured = [measure(random_multiplier(seed=seed), TASK) for seed in range(8)]

    def write(worker):
        try:
            with Library(path, create=True) as library:
                for i, one in enumerate(measured):
                    library.add(one, [source(f"{worker}_{i}"), source(f"shared_{i}")])
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with Library(path) as library:
        assert len(library.circuits()) == 8 * 5
        assert len(library.stored()) == 8
    assert [p.name for p in tmp_path.iterdir()] == ["l.sqlite"]


def test_a_library_that_another_program_keeps_locked_is_told(library, monkeypatch):
    library._connection.execute("PRAGMA busy_timeout = 50")
    other = sqlite3.connect(library.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(LibraryError, match="another import is writing to it"):
        library.add(measure(random_multiplier(), TASK), [source()])
    other.execute("ROLLBACK")
    other.close()
    library.add(measure(random_multiplier(), TASK), [source()])


def test_a_copy_of_the_file_is_the_library(library, tmp_path):
    library.add(measure(random_multiplier(), TASK), [source()])
    library.close()
    shutil.copy(library.path, tmp_path / "a b %.sqlite")  # a name that an address would escape
    with Library(tmp_path / "a b %.sqlite") as copy:
        assert len(copy.circuits()) == 1
