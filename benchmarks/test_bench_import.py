"""Time to import a library of circuits: python -m pytest benchmarks/test_bench_import.py.

A tenth of EvoApproxLib's size: 66 circuits of its widths in C and Verilog, every third mapped to cells, 154 files in
all. ``circuits_per_s`` of the extra information is the import rate; 660 circuits take ten times the time.
"""

import itertools

import pytest

from catalog.library import Library
from catalog.library.importing import import_folder
from catalog.library.testing import random_design, write_library
from multipliers import OperandFormat

WIDTHS = ("8u", "7u", "8s", "8u", "12u", "8u", "7u", "16u", "8s", "11u", "16s", "12s")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    at = tmp_path_factory.mktemp("evo")
    formats = itertools.cycle(map(OperandFormat.parse, WIDTHS))
    files = write_library(at, [random_design(form, form, seed) for seed, form in zip(range(66), formats, strict=False)])
    assert len(files) == 154
    return at


@pytest.mark.parametrize("run_code", [True, False], ids=["c_and_verilog", "verilog_only"])
def test_import(benchmark, folder, tmp_path, run_code):
    with Library(tmp_path / "l.sqlite", create=True) as library:
        report = benchmark.pedantic(import_folder, (folder, library), {"run_code": run_code}, rounds=1)
        assert not report.failures
        names = {row.name for row in library.circuits()}
    assert len(names) == 66
    benchmark.extra_info["circuits_per_s"] = round(len(names) / report.time_s, 2)
    benchmark.extra_info["files_per_s"] = round(report.imported / report.time_s, 2)


def test_import_of_nothing_new(benchmark, folder, tmp_path):
    with Library(tmp_path / "l.sqlite", create=True) as library:
        import_folder(folder, library)
        report = benchmark(import_folder, folder, library)
    assert report.unchanged == 154
