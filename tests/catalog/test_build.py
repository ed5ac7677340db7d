"""Stored measurements and the table of designs: reproducible, complete, and never stale unnoticed."""

import json
import re
import shutil
from dataclasses import replace

import pytest

import catalog
from catalog import build
from catalog.catalog import Entry, Figure, float_entries
from catalog.designs_page import designs_page
from catalog.measure import measure, measure_all
from catalog.measured import Measurement, MeasurementError, dump, measurement, measurements, parse
from catalog.quantities import METRICS
from catalog.verdict import OUTCOMES, verdict
from multipliers import get
from multipliers.characterise import characterise
from multipliers.metric_values import ErrorMetrics
from multipliers.metrics import error_metrics

SAMPLE = ["drum8u_k4", "bam8s_h2v5", "exact8x6u", "mitchw8s_w6c1", "r4abm8s_e1p6", "drum16u_k6", "dralm32s_t6c1"]
FLOATS = ["e8m7_afm8u"]


def entries_of(labels):
    return [entry for label, entry in build.known_entries().items() if label in labels]


def test_sample_is_measured_anew_as_it_is_stored():
    found, failed = measure_all(entries_of(SAMPLE + FLOATS), workers=1)
    assert (sorted(found), failed) == (sorted(SAMPLE + FLOATS), {})
    assert build.differences(build.rounded(found), measurements()) == []


@pytest.mark.slow
def test_every_entry_is_measured_anew_as_it_is_stored(capsys):
    assert build.main(["--check"]) == 0
    assert f"checked {len(build.known_entries())} of" in capsys.readouterr().err


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """Have the command write to a temporary folder, where the surrogates are those of the package."""
    shutil.copytree(build.SURROGATES, tmp_path / "surrogates")
    for name, file in {"MEASURED": "measured.json", "PAGE": "designs.md", "SURROGATES_PAGE": "surrogates.md"}.items():
        monkeypatch.setattr(build, name, tmp_path / file)
    monkeypatch.setattr(build, "SURROGATES", tmp_path / "surrogates")
    return tmp_path


def test_files_are_those_of_the_catalog():
    assert build.stale_files(build.read()) == []


@pytest.mark.parametrize("label", ["bam8s_h2v5", "drum16u_k6"])
def test_measurement_is_what_characterise_finds(label):
    stored, found = measurement(catalog.entry(label)), characterise(get(label), confidence=0.999)
    assert stored.structure == found.structure
    assert (stored.product_rank, stored.error_rank) == (found.product_spectrum.rank, found.error_spectrum.rank)
    assert stored.n_exact_products == found.n_exact_products
    assert stored.ranks_complete == found.complete
    for name in METRICS:
        assert getattr(stored.metrics, name) == pytest.approx(getattr(found.metrics, name), rel=1e-9)
    assert (stored.metrics.comparison, stored.metrics.n_pairs) == (found.metrics.comparison, found.metrics.n_pairs)
    assert set(stored.metrics.intervals) == set(found.metrics.intervals)


def test_parallel_measurement_is_that_of_one_process():
    chosen = entries_of(["udm8u", "drum8u_k4", "e8m3_afm4u"])
    done = []
    alone, _ = measure_all(chosen, workers=1)
    together, failed = measure_all(chosen, workers=2, progress=lambda n, of, label: done.append((n, of, label)))
    assert failed == {}
    assert dump(alone) == dump(together)
    assert [n for n, _, _ in done] == [1, 2, 3]
    assert {label for *_, label in done} == set(together)


def test_bad_entry_is_reported_and_the_others_are_measured():
    good, wrong = catalog.entry("udm8u"), replace(catalog.entry("drum8u_k4"), check="0" * 64)
    found, failed = measure_all([wrong, good], workers=1)
    assert list(found) == ["udm8u"]
    assert "the check value 4fead95d78ff" in str(failed["drum8u_k4"])


def test_streamed_measurement_covers_every_pair_and_says_so():
    small = measure(catalog.entry("udm8u"), every_pair=True)  # no need to stream what is exhaustive anyway
    assert small.metrics.comparison == "exhaustive"
    wide = measurement(catalog.entry("drum16u_k6"))
    assert (wide.metrics.comparison, wide.ranks_complete) == ("sampled", False)
    assert wide.metrics.intervals["mre"].confidence == 0.999


def test_bytes_are_canonical():
    stored = dict(measurements())
    assert dump(stored) == dump(dict(reversed(stored.items()))) == dump(parse(dump(stored)))
    data = json.loads(dump(stored))
    assert list(data["measurements"]) == sorted(stored)
    floats = re.findall(rb"-?\d+\.\d+(?:e[-+]?\d+)?", dump(stored))
    assert len(floats) > 1000
    assert max(len(f.split(b"e")[0].strip(b"-0.").replace(b".", b"")) for f in floats) <= 16  # ten digits, and zeros
    assert all(float(f) == float(f"{float(f):.10g}") for f in floats)


@pytest.mark.parametrize(
    "data", [b"", b"{}", b'{"format": 2, "measurements": {}}', b'{"format": 1, "measurements": {"x": {}}}']
)
def test_file_of_another_version_says_how_to_write_it_anew(data):
    with pytest.raises(MeasurementError, match=r"write them anew with python -m catalog\.build --all"):
        parse(data)


def test_stale_measurement_is_an_error():
    entry = catalog.entry("udm8u")
    with pytest.raises(
        MeasurementError, match=r"udm8u: the stored measurement is that of other products; .*catalog.build"
    ):
        measurement(replace(entry, check="0" * 64))
    with pytest.raises(MeasurementError, match="udm9u: there is no stored measurement"):
        measurement(Entry("udm9u", "0" * 64))


def test_differences_name_entries_and_fields():
    stored = dict(measurements())
    changed = replace(stored["udm8u"], product_rank=3, metrics=replace(stored["udm8u"].metrics, mre=0.5))
    lines = build.differences({"udm8u": changed, "drum8u_k4": stored["drum8u_k4"]}, stored)
    assert len(lines) == 1
    assert re.search(r"udm8u: measured anew, metrics.mre 0.03\d+ -> 0.5; product_rank 2 -> 3", lines[0])
    assert build.differences({"new8u": changed}, stored) == [
        "new8u: no measurement is stored; run python -m catalog.build"
    ]


def test_stale_files_are_named(elsewhere):
    stored = dict(measurements())
    measured, page = elsewhere / "measured.json", elsewhere / "designs.md"
    measured.write_bytes(dump(stored))
    page.write_bytes(designs_page(stored).encode())
    assert build.stale_files(stored) == []
    page.write_text(page.read_text() + "edited by hand\n")
    assert build.stale_files(stored) == [
        "designs.md is not the page of these measurements; run python -m catalog.build"
    ]
    measured.write_bytes(dump(stored) + b"\n")
    assert "measured.json is not what this version writes" in build.stale_files(stored)[0]
    fewer = {label: m for label, m in stored.items() if label != "udm8u"} | {"gone8u": stored["udm8u"]}
    said = " ".join(build.stale_files(fewer))
    assert "holds entries that the catalog has not: gone8u" in said
    assert "stale measurements of udm8u" in said


def test_build_measures_what_is_missing_or_stale_and_keeps_the_rest(elsewhere, capsys):
    stored = dict(measurements())
    stored["udm8u"] = replace(stored["udm8u"], check="0" * 64)
    del stored["drum8u_k4"]
    marked = replace(stored["drum8s_k4"], product_rank=77)  # not measured again, or it would be mended
    (elsewhere / "measured.json").write_bytes(dump(stored | {"drum8s_k4": marked, "gone8u": marked}))
    assert build.main(["--workers", "1"]) == 0
    written = parse((elsewhere / "measured.json").read_bytes())
    assert written == dict(measurements()) | {"drum8s_k4": marked}
    assert "measured 2 of" in capsys.readouterr().err
    assert (elsewhere / "designs.md").read_text() == designs_page(written)
    assert build.main(["--workers", "1", "--all", "--only", "drum8s*"]) == 0
    assert (elsewhere / "measured.json").read_bytes() == dump(measurements())
    assert build.main(["--only", "nosuch*"]) == 1
    assert "no entry of the catalog matches 'nosuch*'" in capsys.readouterr().err


def test_page_has_every_entry_and_every_published_figure():
    page = build.PAGE.read_text()
    for family in catalog.families():
        assert f'<a id="{family.family}"></a>' in page
        for entry in family.members:
            assert f"| `{entry.label}` |" in page
            for figure in entry.figures:
                assert f"| `{entry.label}` | {figure.metric} | {figure.value} | " in page.replace("\\", "")
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    figures = sum(len(entry.figures) for f in catalog.families() for entry in f.members)
    assert len(rows) == figures + len(catalog.entries()) + len(float_entries())
    assert f"Of {figures} published figures:" in page
    assert " differs |" not in page
    widths = {line.count(" | ") for line in rows}
    assert widths <= {9, 7, 6}


def metrics_of(label):
    return measurement(catalog.entry(label)).metrics


@pytest.mark.parametrize(
    ("label", "figure", "outcome"),
    [
        ("udm8u", Figure("error_probability", "46.73", "%", "p", "R"), "reproduced"),
        ("udm8u", Figure("error_probability", "46.74", "%", "p", "R"), "differs"),
        ("udm8u", Figure("error_probability", "40", "%", "p", "R", "46.7", "a misprint"), "differs, explained"),
        ("udm8u", Figure("error_probability", "40", "%", "p", "R", "46.8", "a wrong excuse"), "differs"),
        ("drum16u_k6", Figure("mre", "1.4671", "%", "p", "R"), "within the sampling error"),
        ("drum16u_k6", Figure("mre", "1.50", "%", "p", "R"), "differs"),
        ("drum16u_k6", Figure("max_relative_error", "6.3477", "%", "p", "A"), "not contradicted"),
        ("drum16u_k6", Figure("max_relative_error", "6.32", "%", "p", "A"), "differs"),
        ("drum16u_k6", Figure("mre", "1.50", "%", "p", "R", "1.467", "another rounding"), "differs, explained"),
    ],
)
def test_verdicts(label, figure, outcome):
    found = verdict(figure, metrics_of(label))
    assert found.outcome == outcome
    assert outcome in OUTCOMES
    assert found.measured == 100 * getattr(metrics_of(label), figure.metric)


def test_measurements_keep_undefined_metrics():
    metrics = error_metrics(get("exact1u"))
    undefined = replace(metrics, mre=float("nan"))
    stored = replace(measurement(catalog.entry("udm8u")), metrics=undefined)
    again = parse(dump({"x": stored}))["x"]
    assert isinstance(again, Measurement)
    assert isinstance(again.metrics, ErrorMetrics)
    assert again.metrics.mre != again.metrics.mre
